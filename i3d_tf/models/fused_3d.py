"""The 3D-Fused network of the comparison: two Inception-v1 trunks, joined by a 3D convolution."""

from collections.abc import Mapping

import keras

from i3d_tf.layers.frames import FoldTime, StackTime, UnfoldTime
from i3d_tf.layers.head import Logits
from i3d_tf.layers.inception import layer_for
from i3d_tf.layers.stream import Stream
from i3d_tf.models.inception import inception_v1
from i3d_tf.models.two_stream import STREAM_NAMES
from i3d_tf.models.validation import (
    check_input_shape,
    check_network,
    shape_argument,
    shapes_of_streams,
)
from i3d_tf.specs.baselines import FLOW_PER_STEP, FUSED_3D, FUSED_STEPS
from i3d_tf.specs.geometry import Shape
from i3d_tf.specs.inception_v1 import HEAD, HEAD_DROPOUT, widen
from i3d_tf.specs.streams import CHANNELS

FRAMES_PER_STEP = {"rgb": 1, "flow": FLOW_PER_STEP}
DEFAULT_SHAPES = {
    name: (FUSED_STEPS * FRAMES_PER_STEP[name], None, None, CHANNELS[name])
    for name in FRAMES_PER_STEP
}


def fused_3d(
    stream: str = "joint",
    input_shape: Shape | Mapping[str, Shape] | None = None,
    classes: int = 400,
    dropout_rate: float = 0.0,
    width_multiplier: float = 1.0,
    name: str = "fused_3d",
) -> keras.Model:
    """Builds the 3D-fused two-stream network (arXiv:1705.07750, section 2.3, after 1604.06573).

    Inputs are float in [-1, 1]: (N, T, H, W, 3) for RGB, frames that are ten apart, and
    (N, 10 T, H, W, 2) for flow; T is 5 in the paper. Every RGB frame, and every ten flow fields as
    an image of 20 channels, go through Inception-v1 up to `Mixed_5c`. Both streams, concatenated to
    (N, T, H', W', 2048), go through a 3x3x3 convolution, a 3x3x3 max-pool and a fully connected
    layer, whose logits, (N, classes), are averaged over all positions.

    Variables' paths start with `rgb_stream/` and `flow_stream/`, followed by those of
    `inception_v1`, or are the joint layers' own, `Conv3d_6a_3x3/` and `Logits/`.
    `model.get_layer("rgb_stream").get_layer("Mixed_4f").output` is an endpoint of a trunk.

    Args:
        stream: "joint", which has the inputs {"rgb", "flow"}; or "rgb" or "flow", the same network
            with one trunk.
        input_shape: {"rgb": (T, H, W, 3), "flow": (10 T, H, W, 2)}, or one of the two for one
            stream. T is an integer, H and W >= 32 or None (any), the same for both. Default: the
            paper's 5 steps of any size.
        classes: Number of logits.
        dropout_rate: Dropout before the last layer.
        width_multiplier: Scale of the number of filters of every layer.
        name: Name of the model.

    Raises:
        ValueError: An argument is not allowed.
    """
    shapes = _check_shapes(shapes_of_streams(stream, input_shape, DEFAULT_SHAPES))
    check_network(classes, dropout_rate, width_multiplier)
    clips = {name: keras.Input(shape, name=name) for name, shape in shapes.items()}
    features = [_apply_trunk(name, clip, width_multiplier) for name, clip in clips.items()]
    if len(features) > 1:
        outputs = keras.layers.Concatenate(name="streams")(features)  # (N, T, H', W', 2048)
    else:
        (outputs,) = features
    for row in FUSED_3D:
        outputs = layer_for(widen(row, width_multiplier))(outputs)
    outputs = keras.layers.Dropout(dropout_rate, name=HEAD_DROPOUT)(outputs)
    outputs = Logits(classes, name=HEAD)(outputs)  # (N, classes)
    inputs = clips if len(clips) > 1 else clips[stream]
    return keras.Model(inputs, outputs, name=name)


def _apply_trunk(stream, clip, width_multiplier):
    """Returns the features of a stream's clip after `Mixed_5c`: (N, T, H', W', 1024)."""
    frames = FRAMES_PER_STEP[stream]
    steps = StackTime(frames, name=f"{stream}_stack_time")(clip)  # (N, T, H, W, L * C)
    images = FoldTime(name=f"{stream}_fold_time")(steps)  # (N * T, H, W, L * C)
    trunk_name = STREAM_NAMES[stream]
    with keras.name_scope(trunk_name):
        network = inception_v1(
            include_top=False, input_shape=images.shape[1:], width_multiplier=width_multiplier
        )
    trunk = Stream(network.input, network.output, name=trunk_name)
    return UnfoldTime(name=f"{stream}_unfold_time")([trunk(images), steps])


def _check_shapes(shapes):
    """Checks the streams' shapes, each and together, and returns them."""
    checked = {}
    for stream, given in shapes.items():
        frames, argument = FRAMES_PER_STEP[stream], shape_argument(stream, shapes)
        shape = check_input_shape(
            given,
            channels=(CHANNELS[stream],),
            min_frames=frames,
            fixed="T",
            argument=argument,
        )
        if shape[0] % frames:
            raise ValueError(
                f"`{argument}` must have a multiple of {frames} frames, T; received {shape}."
            )
        checked[stream] = shape
    if len(checked) > 1:
        rgb, flow = checked["rgb"], checked["flow"]
        if flow[0] != FLOW_PER_STEP * rgb[0] or flow[1:3] != rgb[1:3]:
            raise ValueError(
                f"`input_shape` must have {FLOW_PER_STEP} flow fields for every RGB frame and one "
                f"H and W for both, as in {DEFAULT_SHAPES}; received {checked}."
            )
    return checked
