"""Inflation of a 2D network and its weights (arXiv:1705.07750, section 2.4)."""

from collections.abc import Callable, Mapping

import keras
import numpy as np

from i3d_tf.inflation.build import build_3d
from i3d_tf.inflation.kernels import INITS, inflate_arrays
from i3d_tf.inflation.schedules import Schedule
from i3d_tf.specs.validation import check_choice
from i3d_tf.weights.assign import assign_weights


def inflate(
    model_2d: keras.Model,
    temporal: str | Schedule = "i3d",
    init: str = "repeat",
    padding: str = "zero",
    time: str = "mean",
    frames: int | None = None,
    channels: int | None = None,
    rules: Mapping[type, Callable[[keras.Layer], keras.Layer]] | None = None,
    name: str | None = None,
) -> keras.Model:
    """Turns a 2D network and its weights into a 3D network (arXiv:1705.07750, section 2.4).

    Every tensor of the 3D network is the 2D network's with time after the batch: (N, H, W, C)
    becomes (N, T, H, W, C), and a layer without a kernel in time does the same to each time step.
    Layers keep their names. For a frozen video, one image repeated, the 3D network gives the 2D
    network's outputs at every step: with padding "edge" and "valid" exactly, with "zero" at the
    steps that the padding does not reach; `i3d_tf.inflation.build.border` counts the others
    (ResNet50 with "i3d": the first and the last 8, each step being 8 frames). With init="centre"
    and zero padding there is no such border.

    Depthwise and separable convolutions are inflated like others, and computed as a sum of 2D ones
    over the kernel's time steps, which runs on a CPU too. Pools ignore the padding: they reduce
    over the steps that exist. Layers without a 3D form (recurrent ones, attention, those that are
    not Keras's own) need an entry in `rules`.

    Args:
        model_2d: A functional or sequential Keras model over images with its channels last, such as
            of keras.applications, with its weights; it stays as it is. Models within it are
            replaced by their layers.
        temporal: The layers that get a kernel or a stride in time: "i3d", the paper's;
            "every_other", half of the residual blocks; "bottleneck", the 1x1 convolutions that open
            them, which is cheapest; or a function, `LayerSite` -> (kernel_size,
            stride). See `i3d_tf.inflation.schedules`, whose `temporal_schedule` lists the result
            for a network.
        init: "repeat", each kernel copied along time and divided by its size in time; or "centre",
            the kernel in the middle of zeros, so that at first every frame is processed alone.
        padding: Padding before the first and after the last step: "zero", as in the paper; "edge",
            copies of the outermost step; "valid", none: the clip gets shorter, and branches are cut
            to the time that they have in common.
        time: "mean", outputs without space, (N, C), are the mean over time of the head's outputs
            (probabilities if it ends in a softmax); "steps", they are (N, T', C). Outputs with
            space always keep their time.
        frames: T, or None for any.
        channels: Channels of the input if they differ from the 2D network's, such as 2 for optical
            flow; the first kernels are adapted (`i3d_tf.inflation.kernels.adapt_channels`).
        rules: Class of a layer -> function from the 2D layer to a layer over (N, T, ...) with the
            same weights; see `i3d_tf.layers.PerFrame`.
        name: Name of the model; None is the 2D network's with "_3d".

    Returns:
        A functional `keras.Model`, its inputs and outputs structured like the 2D network's.

    Raises:
        ValueError: An argument is not allowed, or a layer has no 3D form; the message names it and
            says what to do.
    """
    check_choice("init", init, INITS)
    inflation = build_3d(
        model_2d,
        temporal=temporal,
        padding=padding,
        time=time,
        frames=frames,
        channels=channels,
        rules=rules,
        name=name,
    )
    sources = {path: np.asarray(variable) for path, variable in inflation.sources.items()}
    shapes = {variable.path: tuple(variable.shape) for variable in inflation.model.weights}
    assign_weights(inflation.model, inflate_arrays(sources, shapes, init))
    for layer in inflation.model.layers:
        if hasattr(layer, "finalize_state"):  # Normalization computes with copies
            layer.finalize_state()
    return inflation.model
