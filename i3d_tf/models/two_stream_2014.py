"""The two-stream network of 2014 as functional Keras models."""

from collections.abc import Mapping, Sequence

import keras

from i3d_tf.layers.flow_fields import FollowTrajectories, SubtractMeanFlow
from i3d_tf.layers.frames import FoldTime, StackTime
from i3d_tf.models.clip_input import normalized
from i3d_tf.models.cnn_m import cnn_m_2048
from i3d_tf.models.two_stream import build_streams
from i3d_tf.models.validation import (
    check_input_shape,
    check_network,
    shape_argument,
    shapes_of_streams,
)
from i3d_tf.specs.baselines import FLOW_PER_STEP
from i3d_tf.specs.geometry import Shape
from i3d_tf.specs.inception_v1 import HEAD
from i3d_tf.specs.streams import CHANNELS, CROP_SIZE, JOINT
from i3d_tf.specs.validation import check_choice, check_integer

STACKINGS = ("flow", "trajectory")


def two_stream_2014(
    stream: str = JOINT,
    input_shape: Shape | Mapping[str, Shape] | None = None,
    classes: int = 400,
    dropout_rate: float = 0.0,
    width_multiplier: float = 1.0,
    flow_frames: int | None = None,
    stacking: str = "flow",
    is_bidirectional: bool = False,
    subtract_mean_flow: bool = True,
    heads: Mapping[str, int] | None = None,
    pixel_mean: Sequence[float] | None = None,
    pixel_std: Sequence[float] | None = None,
    channel_order: str = "rgb",
    fusion: str = "logits",
    name: str = "two_stream_2014",
) -> keras.Model:
    """Builds the two-stream network of 2014 (arXiv:1406.2199): CNN-M-2048 for each stream.

    Inputs are float in [-1, 1]: (N, 1, H, W, 3) for RGB, and (N, L, H, W, 2) for flow, whose L
    fields are an image of 2 L channels, x and y of the first field first (section 3.1). Outputs are
    logits, (N, classes). `two_stream` is the network of the same kind that I3D's paper compares.
    With 101 classes and L = 10, RGB has 90,627,813 parameters and flow 90,707,781.

    Args:
        stream: "rgb", "flow" or "joint", which has the inputs {"rgb", "flow"}.
        input_shape: (T, H, W, C) of the stream, all given; H and W >= 32. For "joint" a dictionary
            with both. Default: 224 x 224.
        classes: Number of logits.
        dropout_rate: Dropout after `fc6` and after `fc7`; the paper has 0.5 and 0.9.
        width_multiplier: Scale of the number of filters and units of every layer.
        flow_frames: L; default: T of `input_shape`, or 10.
        stacking: "flow", or "trajectory" for fields along the trajectories of their points, see
            `i3d_tf.layers.flow_fields.FollowTrajectories`.
        is_bidirectional: Whether the fields are L / 2 forward in time from a frame, then L / 2
            backward from it, as `i3d_tf.flow.compute.bidirectional_flow` makes them. Trajectories
            then start twice.
        subtract_mean_flow: Whether each field loses its own mean vector. Trajectories follow the
            fields as they were.
        heads: Name of a dataset -> classes, for several classifiers at once, each with an output of
            its name (multi-task learning, section 3.3); of one stream. `classes` is not used then.
        pixel_mean: See `i3d_tf.models.clip_input.normalized`; of RGB alone.
        pixel_std: See `pixel_mean`.
        channel_order: See `pixel_mean`.
        fusion: Fusion of the joint network, see `i3d_tf.two_stream`.
        name: Name of the model.

    Raises:
        ValueError: An argument is not allowed.
    """
    check_choice("stacking", stacking, STACKINGS)
    if flow_frames is not None:
        check_integer("flow_frames", flow_frames, 1)
    frames = {"rgb": 1, "flow": FLOW_PER_STEP if flow_frames is None else flow_frames}
    defaults = {part: (frames[part], CROP_SIZE, CROP_SIZE, CHANNELS[part]) for part in frames}
    shapes = shapes_of_streams(stream, input_shape, defaults)
    check_network(classes, dropout_rate, width_multiplier)
    if heads is not None:
        if stream == JOINT or not heads:
            raise ValueError(
                f"`heads` must be one or more, of one stream; received {heads!r} for {stream!r}."
            )
        for title, count in heads.items():
            check_integer(f"heads[{title!r}]", count, 1)

    def build(stream_name, model_name):
        is_rgb = stream_name == "rgb"
        shape = check_input_shape(
            shapes[stream_name],
            channels=(CHANNELS[stream_name],),
            frames=1 if is_rgb else flow_frames,
            fixed="THW",
            argument=shape_argument(stream_name, shapes),
        )
        clip = keras.Input(shape, name="clip")
        if is_rgb:
            outputs = normalized(clip, pixel_mean, pixel_std, channel_order)
        else:
            outputs = _flow_stack(clip, stacking, is_bidirectional, subtract_mean_flow)
        outputs = FoldTime(name="fold_time")(outputs)
        outputs = cnn_m_2048(outputs, width_multiplier, dropout_rate, has_second_norm=is_rgb)
        return keras.Model(clip, _classify(outputs, classes, heads), name=model_name)

    return build_streams(build, stream, fusion, name)


def _flow_stack(clip, stacking, is_bidirectional, subtract_mean_flow):
    """Returns the image of 2 L channels of L fields: (N, L, H, W, 2) -> (N, 1, H, W, 2 L)."""
    length = clip.shape[1]
    if is_bidirectional and length % 2:
        raise ValueError(f"`is_bidirectional` needs an even number of fields; received {length}.")
    outputs = clip
    if subtract_mean_flow:
        outputs = SubtractMeanFlow(dtype="float32", name="subtract_mean_flow")(outputs)
    if stacking == "trajectory":
        outputs = FollowTrajectories(
            directions=2 if is_bidirectional else 1, dtype="float32", name="follow_trajectories"
        )([outputs, clip])
    return StackTime(length, name="stack_time")(outputs)


def _classify(features, classes, heads):
    # In float32 under every policy, like the logits of all networks.
    if heads is None:
        return keras.layers.Dense(classes, dtype="float32", name=HEAD)(features)
    return {
        title: keras.layers.Dense(count, dtype="float32", name=f"{HEAD}_{title}")(features)
        for title, count in heads.items()
    }
