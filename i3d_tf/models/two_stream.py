"""Two networks, one per stream, as one model."""

import keras

from i3d_tf.layers.stream import Stream
from i3d_tf.specs.architectures import JOINT
from i3d_tf.specs.streams import FUSIONS

# Of the two networks within the joint one; in it, both may not have one name.
STREAM_NAMES = {"rgb": "rgb_stream", "flow": "flow_stream"}


def two_stream(rgb_model, flow_model, fusion="logits", name="two_stream"):
    """Fuses an RGB and a flow network late (arXiv:1705.07750, section 2.4).

    Args:
        rgb_model: A model from RGB clips, (N, T, H, W, 3), to logits, (N, classes).
        flow_model: A model from flow clips, (N, T, H, W, 2), to logits, (N, classes).
        fusion: "logits" adds the logits, as the released code does; "probabilities" gives the mean
            of the two softmax outputs, as the paper's text says.
        name: The model's name.

    Returns:
        A functional `keras.Model` with inputs {"rgb", "flow"} and output (N, classes): logits, or
        probabilities.

    Raises:
        ValueError: The fusion is unknown, or the models do not give the same classes.
    """
    _check_fusion(fusion)
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


def build_streams(network, stream, fusion, name):
    """Builds one stream's network, or both and the joint one.

    Args:
        network: Function of a stream, "rgb" or "flow", and a model's name -> untrained model.
        stream: "rgb", "flow" or "joint".
        fusion: As of `two_stream`.
        name: The model's name.

    Returns:
        A functional `keras.Model`; the joint one's variables begin with their stream's name.
    """
    _check_fusion(fusion)
    if stream != JOINT:
        return network(stream, name)
    models = {}
    for part, part_name in STREAM_NAMES.items():
        with keras.name_scope(part_name):
            models[part] = network(part, part_name)
    return two_stream(models["rgb"], models["flow"], fusion, name)


def _check_fusion(fusion):
    if fusion not in FUSIONS:
        raise ValueError(f"`fusion` must be one of {FUSIONS}; received {fusion!r}.")
