"""Two-stream networks: late fusion of any two networks, and the paper's two of this kind."""

from collections.abc import Callable, Mapping

import keras

from i3d_tf.layers.frames import FoldTime, StackTime
from i3d_tf.layers.stream import Stream
from i3d_tf.models.backbone import apply_backbone
from i3d_tf.models.inception import inception_i3d, inception_v1
from i3d_tf.models.keras_graph import is_functional, producer_of
from i3d_tf.models.validation import (
    check_input_shape,
    check_network,
    shape_argument,
    shapes_of_streams,
)
from i3d_tf.specs.baselines import FLOW_PER_STEP
from i3d_tf.specs.geometry import Shape
from i3d_tf.specs.inception_v1 import HEAD, HEAD_DROPOUT, MIN_FRAMES
from i3d_tf.specs.streams import CHANNELS, FUSIONS, JOINT
from i3d_tf.specs.validation import check_choice

# Names of the two networks within the joint one, in which names are unique.
STREAM_NAMES = {"rgb": "rgb_stream", "flow": "flow_stream"}
FRAMES_2D = {"rgb": 1, "flow": FLOW_PER_STEP}
SHAPES_2D = {name: (FRAMES_2D[name], None, None, CHANNELS[name]) for name in FRAMES_2D}
SHAPES_I3D = {name: (None, None, None, channels) for name, channels in CHANNELS.items()}


def two_stream(
    rgb_model: keras.Model,
    flow_model: keras.Model,
    fusion: str = "logits",
    name: str = "two_stream",
) -> keras.Model:
    """Fuses an RGB and a flow network late (arXiv:1705.07750, section 2.4).

    Args:
        rgb_model: A model from RGB clips, (N, T, H, W, 3), to logits, (N, classes).
        flow_model: A model from flow clips, (N, T, H, W, 2), to logits, (N, classes).
        fusion: "logits" adds the logits, as the released code does; "probabilities" gives the mean
            of the two softmax outputs, as the paper's text says.
        name: Name of the model.

    Returns:
        A functional `keras.Model` with inputs {"rgb", "flow"} and output (N, classes): logits, or
        probabilities.

    Raises:
        ValueError: The fusion is unknown, or a model is of another stream or ends in a softmax, or
            the models have different numbers of classes.
    """
    check_choice("fusion", fusion, FUSIONS)
    for stream, model in (("rgb", rgb_model), ("flow", flow_model)):
        _check_stream(stream, model)
    if rgb_model.output_shape != flow_model.output_shape:
        raise ValueError(
            "`rgb_model` and `flow_model` must give outputs of one shape; received "
            f"{rgb_model.output_shape} and {flow_model.output_shape}."
        )
    inputs = {
        "rgb": keras.Input(rgb_model.input_shape[1:], name="rgb"),
        "flow": keras.Input(flow_model.input_shape[1:], name="flow"),
    }
    streams = [
        Stream(model.input, model.output, name=STREAM_NAMES[stream])(inputs[stream])
        for stream, model in (("rgb", rgb_model), ("flow", flow_model))
    ]
    if fusion == "logits":
        outputs = keras.layers.Add(dtype="float32", name="Logits")(streams)
    else:
        softmaxes = [keras.layers.Softmax(dtype="float32")(logits) for logits in streams]
        outputs = keras.layers.Average(dtype="float32", name="Predictions")(softmaxes)
    return keras.Model(inputs, outputs, name=name)


def _check_stream(stream, model):
    """Checks that a network of one stream reads its channels and gives logits."""
    name = f"{stream}_model"
    if not is_functional(model) or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            f"`{name}` must be a functional or sequential Keras model of one input and one output; "
            f"received {model!r:.80}."
        )
    channels = model.inputs[0].shape[-1]
    if channels not in (None, CHANNELS[stream]):
        raise ValueError(
            f"`{name}` must read {CHANNELS[stream]} channels; received a model of {channels}. Give "
            "the RGB network first, then that of flow."
        )
    if _is_softmax(model.outputs[0]):
        raise ValueError(
            f"`{name}` must give logits; received a model that ends in a softmax. Build it without "
            "(classifier_activation=None)."
        )


def _is_softmax(tensor):
    """Returns whether the layer that makes a tensor ends in a softmax."""
    operation = producer_of(tensor)
    if isinstance(operation, keras.Model):
        return is_functional(operation) and any(map(_is_softmax, operation.outputs))
    activation = getattr(operation, "activation", None)
    return isinstance(operation, keras.layers.Softmax) or activation is keras.activations.softmax


def two_stream_2d(
    stream: str = "joint",
    input_shape: Shape | Mapping[str, Shape] | None = None,
    classes: int = 400,
    dropout_rate: float = 0.0,
    width_multiplier: float = 1.0,
    fusion: str = "logits",
    name: str = "two_stream",
    *,
    backbone: str = "inception_v1",
) -> keras.Model:
    """Builds the 2D two-stream network (arXiv:1406.2199; arXiv:1705.07750, section 2.3).

    Inputs are float in [-1, 1]: (N, 1, H, W, 3) for RGB and (N, 10, H, W, 2) for flow, whose fields
    are stacked to images of 20 channels, x and y of the first field first. Outputs are logits,
    (N, classes). Variables are those of `inception_v1`; in the joint network their paths start with
    `rgb_stream/` and `flow_stream/`. arXiv:1705.06950 has ResNet-50 in the place of Inception.

    Args:
        stream: "rgb", "flow" or "joint", which has the inputs {"rgb", "flow"}.
        input_shape: (T, H, W, C) of the stream, T and C as above, H and W >= 32 or None (any); for
            "joint" a dictionary with both. Default: any size.
        classes: Number of logits.
        dropout_rate: Dropout between the average pool and the last layer.
        width_multiplier: Scale of the number of filters of every layer.
        fusion: Fusion of the joint network, see `i3d_tf.two_stream`.
        name: Name of the model.
        backbone: The 2D network, one of `i3d_tf.models.backbone.BACKBONES`.

    Raises:
        ValueError: An argument is not allowed.
    """
    shapes = shapes_of_streams(stream, input_shape, SHAPES_2D)
    check_network(classes, dropout_rate, width_multiplier)

    def build(stream_name, model_name):
        shape = check_input_shape(
            shapes[stream_name],
            channels=(CHANNELS[stream_name],),
            frames=FRAMES_2D[stream_name],
            argument=shape_argument(stream_name, shapes),
        )
        clip = keras.Input(shape, name="clip")
        stacked = StackTime(FRAMES_2D[stream_name], name="stack_time")(clip)  # (N, 1, H, W, T * C)
        image = FoldTime(name="fold_time")(stacked)  # (N, H, W, T * C)
        if backbone == "inception_v1":  # with its own head, a convolution
            outputs = inception_v1(
                input_tensor=image,
                classes=classes,
                dropout_rate=dropout_rate,
                width_multiplier=width_multiplier,
            ).output
        else:
            outputs = apply_backbone(backbone, image, width_multiplier)
            outputs = keras.layers.Dropout(dropout_rate, name=HEAD_DROPOUT)(outputs)
            outputs = keras.layers.Dense(classes, dtype="float32", name=HEAD)(outputs)
        return keras.Model(clip, outputs, name=model_name)

    return build_streams(build, stream, fusion, name)


def two_stream_i3d(
    stream: str = "joint",
    input_shape: Shape | Mapping[str, Shape] | None = None,
    classes: int = 400,
    dropout_rate: float = 0.0,
    width_multiplier: float = 1.0,
    fusion: str = "logits",
    name: str = "two_stream_i3d",
) -> keras.Model:
    """Builds I3D for one stream or for both (arXiv:1705.07750, section 2.4).

    Inputs are float in [-1, 1]: (N, T, H, W, 3) for RGB and (N, T, H, W, 2) for flow. Outputs are
    logits, (N, classes). Variables are those of `i3d_tf.InceptionI3D`; in the joint network their
    paths start with `rgb_stream/` and `flow_stream/`.

    Args:
        stream: "rgb", "flow" or "joint", which has the inputs {"rgb", "flow"}.
        input_shape: (T, H, W, C) of the stream, T >= 9, H and W >= 32, each of the three may be
            None (any); for "joint" a dictionary with both. Default: any size.
        classes: Number of logits.
        dropout_rate: Dropout between the average pool and the last convolution; the paper has 0.5.
        width_multiplier: Scale of the number of filters of every layer.
        fusion: Fusion of the joint network, see `i3d_tf.two_stream`.
        name: Name of the model.

    Raises:
        ValueError: An argument is not allowed.
    """
    shapes = shapes_of_streams(stream, input_shape, SHAPES_I3D)
    check_network(classes, dropout_rate, width_multiplier)

    def build(stream_name, model_name):
        return inception_i3d(
            input_shape=check_input_shape(
                shapes[stream_name],
                channels=(CHANNELS[stream_name],),
                min_frames=MIN_FRAMES,
                argument=shape_argument(stream_name, shapes),
            ),
            classes=classes,
            dropout_rate=dropout_rate,
            width_multiplier=width_multiplier,
            name=model_name,
        )

    return build_streams(build, stream, fusion, name)


def build_streams(
    build: Callable[[str, str], keras.Model], stream: str, fusion: str, name: str
) -> keras.Model:
    """Builds one stream's network, or both and the joint one.

    Args:
        build: Function of a stream, "rgb" or "flow", and a model's name -> untrained model.
        stream: "rgb", "flow" or "joint".
        fusion: See `two_stream`.
        name: Name of the model.

    Returns:
        A functional `keras.Model`; the paths of the joint one's variables start with their stream.
    """
    check_choice("fusion", fusion, FUSIONS)
    if stream != JOINT:
        return build(stream, name)
    models = {}
    for part, part_name in STREAM_NAMES.items():
        with keras.name_scope(part_name):
            models[part] = build(part, part_name)
    return two_stream(models["rgb"], models["flow"], fusion, name)
