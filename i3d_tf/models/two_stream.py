"""Two networks, one per stream, as one model."""

import keras

FUSIONS = ("logits", "probabilities")


def two_stream(rgb_model, flow_model, fusion="logits"):
    """Fuses an RGB and a flow network late (arXiv:1705.07750, section 2.4).

    Args:
        rgb_model: A model from RGB clips, (N, T, H, W, 3), to logits, (N, classes).
        flow_model: A model from flow clips, (N, T, H, W, 2), to logits, (N, classes).
        fusion: "logits" adds the logits, as the released code does; "probabilities" gives the mean
            of the two softmax outputs, as the paper's text says.

    Returns:
        A functional `keras.Model` with inputs {"rgb", "flow"} and output (N, classes): logits, or
        probabilities.

    Raises:
        ValueError: The fusion is unknown, or the models do not give the same classes.
    """
    if fusion not in FUSIONS:
        raise ValueError(f"`fusion` must be one of {FUSIONS}; received {fusion!r}.")
    if rgb_model.output_shape != flow_model.output_shape:
        raise ValueError(
            "`rgb_model` and `flow_model` must give outputs of one shape; received "
            f"{rgb_model.output_shape} and {flow_model.output_shape}."
        )
    inputs = {
        "rgb": keras.Input(rgb_model.input_shape[1:], name="rgb"),
        "flow": keras.Input(flow_model.input_shape[1:], name="flow"),
    }
    # Both may have one name, which layers of one model may not.
    rgb_stream = keras.Model(rgb_model.inputs, rgb_model.outputs[0], name="rgb_stream")
    flow_stream = keras.Model(flow_model.inputs, flow_model.outputs[0], name="flow_stream")
    streams = [rgb_stream(inputs["rgb"]), flow_stream(inputs["flow"])]
    if fusion == "logits":
        outputs = keras.layers.Add(name="Logits")(streams)
    else:
        softmaxes = [keras.layers.Softmax(dtype="float32")(logits) for logits in streams]
        outputs = keras.layers.Average(name="Predictions")(softmaxes)
    return keras.Model(inputs, outputs, name="two_stream")
