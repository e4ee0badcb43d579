"""The Two-Stream I3D of the comparison: I3D on frames, and on flow."""

from i3d_tf.models.arguments import (
    argument_of,
    check_clip_shape,
    check_network,
    shapes_of_streams,
)
from i3d_tf.models.inception_i3d import inception_i3d
from i3d_tf.models.two_stream import build_streams
from i3d_tf.specs.inception_v1 import MIN_FRAMES
from i3d_tf.specs.streams import CHANNELS

DEFAULT_SHAPES = {name: (None, None, None, channels) for name, channels in CHANNELS.items()}


def two_stream_i3d(
    stream="joint",
    input_shape=None,
    classes=400,
    dropout_rate=0.0,
    width_multiplier=1.0,
    fusion="logits",
    name="two_stream_i3d",
):
    """Builds I3D for one stream or for both (arXiv:1705.07750, section 2.4).

    Inputs are float in [-1, 1]: (N, T, H, W, 3) for RGB and (N, T, H, W, 2) for flow. Outputs are
    logits, (N, classes). Variables are those of `i3d_tf.InceptionI3D`; in the joint network their
    paths begin with `rgb_stream/` and `flow_stream/`.

    Args:
        stream: "rgb", "flow" or "joint", which has the inputs {"rgb", "flow"}.
        input_shape: (T, H, W, C) of the stream, T >= 9, H and W >= 32, each of the three may be
            None (any); for "joint" a dictionary with both. Default: any size.
        classes: Number of logits.
        dropout_rate: Dropout between the average pool and the last convolution; the paper has 0.5.
        width_multiplier: Scales the number of filters everywhere.
        fusion: Of the joint network, see `i3d_tf.two_stream`.
        name: The model's name.

    Raises:
        ValueError: An argument cannot work; the message names what is allowed.
    """
    shapes = shapes_of_streams(stream, input_shape, DEFAULT_SHAPES)
    check_network(classes, dropout_rate, width_multiplier)

    def network(stream_name, model_name):
        return inception_i3d(
            input_shape=check_clip_shape(
                shapes[stream_name],
                channels=(CHANNELS[stream_name],),
                min_frames=MIN_FRAMES,
                argument=argument_of(stream_name, shapes),
            ),
            classes=classes,
            dropout_rate=dropout_rate,
            width_multiplier=width_multiplier,
            name=model_name,
        )

    return build_streams(network, stream, fusion, name)
