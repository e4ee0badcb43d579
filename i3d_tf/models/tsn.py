"""Temporal Segment Networks: a 2D network on snippets from all over a video."""

from collections.abc import Sequence

import keras

from i3d_tf.layers.frame_differences import FrameDifferences
from i3d_tf.layers.frames import REDUCTIONS, FoldTime, StackTime, TimePool, UnfoldTime
from i3d_tf.models.backbone import apply_backbone, has_preprocessing
from i3d_tf.models.clip_input import normalized
from i3d_tf.models.validation import check_input_shape, check_network
from i3d_tf.specs.baselines import FLOW, HEAD_STDDEV, MODALITIES, RGB
from i3d_tf.specs.geometry import Shape
from i3d_tf.specs.inception_v1 import HEAD
from i3d_tf.specs.streams import CHANNELS
from i3d_tf.specs.validation import check_choice, check_integer

CONSENSUS = "consensus"


def tsn(
    input_shape: Shape | None = None,
    classes: int = 400,
    dropout_rate: float = 0.0,
    width_multiplier: float = 1.0,
    backbone: str = "inception_v1",
    modality: str | None = None,
    segments: int | None = None,
    snippet_frames: int | None = None,
    consensus: str = "mean",
    pixel_mean: Sequence[float] | None = None,
    pixel_std: Sequence[float] | None = None,
    channel_order: str = "rgb",
    name: str = "tsn",
) -> keras.Model:
    """Builds a 2D network that sees K snippets of a video (arXiv:1608.00859).

    Inputs are float in [-1, 1], (N, K * L, H, W, C): the snippets one after the other, L frames
    each. The frames of a snippet are stacked to one image; the same network gives logits for every
    snippet (endpoint `Logits`, (N, K, classes)), and their consensus, before any softmax, is the
    output, (N, classes). Networks for any K and for one have the same variables.

    Args:
        input_shape: (T, H, W, C); T is a multiple of L, H and W >= 32, each may be None (any). C is
            3, or 2 for flow. Default: any size, RGB or the channels of `modality`.
        classes: Number of logits.
        dropout_rate: Dropout between the average pool and the last layer; the paper has 0.8 for
            RGB and its differences, and 0.7 for flow.
        width_multiplier: Scale of the number of filters of every layer.
        backbone: The 2D network, see `i3d_tf.models.backbone`.
        modality: "rgb", one frame; "flow", five fields as 10 channels, x and y of the first field
            first; or "rgb_difference", the five differences of six RGB frames as 15 channels, later
            minus earlier. None is that of the channels.
        segments: K; None is that of `input_shape`, or any.
        snippet_frames: L, other than the modality's.
        consensus: "mean" or "max" over the snippets.
        pixel_mean: See `i3d_tf.models.clip_input.normalized`.
        pixel_std: See `pixel_mean`.
        channel_order: See `pixel_mean`; the released weights of the paper read "bgr".
        name: Name of the model.

    Raises:
        ValueError: An argument is not allowed.
    """
    if modality is None:
        modality = FLOW if input_shape is not None and input_shape[-1] == CHANNELS[FLOW] else RGB
    chosen = MODALITIES[check_choice("modality", modality, MODALITIES)]
    check_network(classes, dropout_rate, width_multiplier)
    check_choice("consensus", consensus, REDUCTIONS)
    if pixel_mean is not None and has_preprocessing(backbone):
        raise ValueError(
            f"`pixel_mean` must be None for the backbone {backbone}, which has its own "
            f"preprocessing; received {pixel_mean!r}."
        )
    minimum = 2 if chosen.is_difference else 1
    frames = check_integer(
        "snippet_frames", chosen.frames if snippet_frames is None else snippet_frames, minimum
    )
    shape = _input_shape(input_shape, CHANNELS[chosen.stream], frames, segments)
    clip = keras.Input(shape, name="clip")
    snippets, stacked = normalized(clip, pixel_mean, pixel_std, channel_order), frames
    if chosen.is_difference:
        snippets, stacked = FrameDifferences(frames, name="differences")(snippets), frames - 1
    if stacked > 1:
        snippets = StackTime(stacked, name="stack_time")(snippets)  # (N, K, H, W, stacked * C)
    images = FoldTime(name="fold_time")(snippets)  # (N * K, H, W, stacked * C)
    features = apply_backbone(backbone, images, width_multiplier)
    features = UnfoldTime(name="unfold_time")([features, snippets])  # (N, K, features)
    features = keras.layers.Dropout(dropout_rate, name="dropout")(features)
    # In float32 under every policy, like the logits of all networks.
    logits = keras.layers.Dense(
        classes,
        kernel_initializer=keras.initializers.RandomNormal(stddev=HEAD_STDDEV),
        dtype="float32",
        name=HEAD,
    )(features)
    outputs = TimePool(consensus, dtype="float32", name=CONSENSUS)(logits)
    return keras.Model(clip, outputs, name=name)


def _input_shape(shape, channels, frames, segments):
    """Returns the shape of a clip, checked."""
    time = None if segments is None else check_integer("segments", segments, 1) * frames
    if shape is None:
        return (time, None, None, channels)
    shape = check_input_shape(shape, channels=(channels,))
    if shape[0] is None:
        return (time, *shape[1:])
    if shape[0] % frames or time not in (None, shape[0]):
        wanted = f"a multiple of {frames}" if time is None else f"= {time}"
        raise ValueError(f"`input_shape` must have T {wanted}; received {shape}.")
    return shape
