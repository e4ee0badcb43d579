"""The Two-Stream network of the comparison: Inception-v1 on one frame, and on ten flow fields."""

import keras

from i3d_tf.layers.frames import FoldTime, StackTime
from i3d_tf.models.arguments import (
    argument_of,
    check_clip_shape,
    check_network,
    shapes_of_streams,
)
from i3d_tf.models.inception_v1 import inception_v1
from i3d_tf.models.two_stream import build_streams
from i3d_tf.specs.baselines import FLOW_PER_STEP
from i3d_tf.specs.streams import CHANNELS

FRAMES = {"rgb": 1, "flow": FLOW_PER_STEP}
DEFAULT_SHAPES = {name: (FRAMES[name], None, None, CHANNELS[name]) for name in FRAMES}


def two_stream_2d(
    stream="joint",
    input_shape=None,
    classes=400,
    dropout_rate=0.0,
    width_multiplier=1.0,
    fusion="logits",
    name="two_stream",
):
    """Builds the 2D two-stream network (arXiv:1406.2199; arXiv:1705.07750, section 2.3).

    Inputs are float in [-1, 1]: (N, 1, H, W, 3) for RGB and (N, 10, H, W, 2) for flow, whose fields
    are stacked to images of 20 channels, x and y of the first field first. Outputs are logits,
    (N, classes). Variables are those of `inception_v1`; in the joint network their paths begin with
    `rgb_stream/` and `flow_stream/`.

    Args:
        stream: "rgb", "flow" or "joint", which has the inputs {"rgb", "flow"}.
        input_shape: (T, H, W, C) of the stream, T and C as above, H and W >= 32 or None (any); for
            "joint" a dictionary with both. Default: any size.
        classes: Number of logits.
        dropout_rate: Dropout between the average pool and the last layer.
        width_multiplier: Scales the number of filters everywhere.
        fusion: Of the joint network, see `i3d_tf.two_stream`.
        name: The model's name.

    Raises:
        ValueError: An argument cannot work; the message names what is allowed.
    """
    shapes = shapes_of_streams(stream, input_shape, DEFAULT_SHAPES)
    check_network(classes, dropout_rate, width_multiplier)

    def network(stream_name, model_name):
        shape = check_clip_shape(
            shapes[stream_name],
            channels=(CHANNELS[stream_name],),
            frames=FRAMES[stream_name],
            argument=argument_of(stream_name, shapes),
        )
        clip = keras.Input(shape, name="clip")
        stacked = StackTime(FRAMES[stream_name], name="stack_time")(clip)  # (N, 1, H, W, T * C)
        image = FoldTime(name="fold_time")(stacked)  # (N, H, W, T * C)
        outputs = inception_v1(
            input_tensor=image,
            classes=classes,
            dropout_rate=dropout_rate,
            width_multiplier=width_multiplier,
        ).output
        return keras.Model(clip, outputs, name=model_name)

    return build_streams(network, stream, fusion, name)
