"""Inflation of a 2D network and its weights (arXiv:1705.07750, section 2.4)."""

import numpy as np

from i3d_tf.inflation.build import inflated
from i3d_tf.inflation.kernels import INITS, inflate_arrays
from i3d_tf.weights.assign import assign_weights


def inflate(
    model_2d,
    temporal="i3d",
    init="repeat",
    padding="zero",
    time="mean",
    frames=None,
    channels=None,
    rules=None,
    name=None,
):
    """Turns a 2D network and its weights into a 3D network (arXiv:1705.07750, section 2.4).

    Every tensor of the 3D network is the 2D network's with time after the batch: (N, H, W, C)
    becomes (N, T, H, W, C), and whatever the 2D network does to an image without looking along time
    is done to each time step. Layers keep their names. A frozen video, one picture repeated, gets
    the 2D network's answer at every step: with padding "edge" and "valid" exactly, with "zero" at
    the steps that the padding does not reach; `i3d_tf.inflation.build.border` counts the
    others (ResNet50 with "i3d": the first and the last 8, each step being 8 frames). With
    init="centre" and zero padding there is no such border.

    Depthwise and separable convolutions are inflated like others, and computed as a sum of 2D ones
    over the kernel's time steps, which runs on a CPU too. Pools do not see the padding: they are
    over the steps there are. Layers between which time would have to go (recurrent, attention),
    and such as are not Keras's own, have no 3D form: `rules` gives them one.

    Args:
        model_2d: A functional or sequential Keras model over images with its channels last, such as
            of keras.applications, with the weights it is to begin with; it stays as it is. Models
            within it are dissolved into their layers.
        temporal: Which layers look along time and shorten it: "i3d", the paper's; "every_other",
            half of the residual blocks; or a function, `Spot` -> (extent, stride). They are read in
            `i3d_tf.inflation.schedules`, whose `temporal_schedule` lists them for a network.
        init: "repeat", each kernel copied along time and divided by its extent; or "centre", the
            kernel in the middle of zeros, so that frames are at first seen one by one.
        padding: What stands before the first and after the last step: "zero", as in the paper;
            "edge", copies of the outermost step; "valid", nothing: the clip gets shorter, and
            branches are cut to the time that they have in common.
        time: "mean", outputs without space, (N, C), are the mean over time of what the head says of
            each step (where it ends in a softmax, of probabilities); "steps", they are
            (N, T', C). Outputs with space always keep their time.
        frames: T, or None for any.
        channels: Channels of the input, where not those of the 2D network: its first kernels are
            adapted (`i3d_tf.inflation.kernels.adapt_channels`), such as to 2 for optical flow.
        rules: Dictionary: class of a layer -> function from the 2D layer to a layer over
            (N, T, ...) with the same weights; see `i3d_tf.layers.PerFrame`.
        name: The model's name; that of the 2D network with "_3d" where None.

    Returns:
        A functional `keras.Model`, its inputs and outputs structured like the 2D network's.

    Raises:
        ValueError: An argument cannot work, or a layer has no 3D form; the message names it and
            says what to do.
    """
    if init not in INITS:
        raise ValueError(f"`init` must be one of {INITS}; received {init!r}.")
    inflation = inflated(model_2d, temporal, padding, time, frames, channels, rules, name)
    sources = {path: np.asarray(variable) for path, variable in inflation.sources.items()}
    shapes = {variable.path: tuple(variable.shape) for variable in inflation.model.weights}
    assign_weights(inflation.model, inflate_arrays(sources, shapes, init))
    for layer in inflation.model.layers:
        if hasattr(layer, "finalize_state"):  # Normalization computes with copies
            layer.finalize_state()
    return inflation.model
