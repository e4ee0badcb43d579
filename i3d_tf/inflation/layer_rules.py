"""What each 2D layer becomes in 3D: from its configuration, without its weights.

A 2D layer over (N, ...) becomes a chain of layers over (N, T, ...): every tensor of the inflated
network is the 2D network's with time after the batch. Where a chain has several layers the last one
has the 2D layer's name. Their weights, one after the other, are the 2D layer's in its own order,
each as it is or with time as a new first axis.
"""

import keras

from i3d_tf.layers.frames import PerFrame, SpacePool
from i3d_tf.layers.padded_conv import DepthwiseConv3D, PaddedConv3D

layers = keras.layers


def _convolution(layer, row, padding):
    return [_convolution_3d(layers.Conv3D, layer.get_config(), row, padding)]


def _convolution_3d(plain, config, row, padding):
    """A Conv3D, or one with a padding for time where Keras has no such."""
    space_padding = config["padding"]
    config |= {
        "name": row.name,
        "kernel_size": (row.extent, *config["kernel_size"]),
        "strides": (row.stride, *config["strides"]),
        "dilation_rate": (1, *config["dilation_rate"]),
    }
    if _one_padding_does(row, space_padding, padding):
        return plain.from_config(config)
    return PaddedConv3D.from_config(
        {**config, "space_padding": space_padding, "time_padding": padding}
    )


def _one_padding_does(row, space_padding, padding):
    """Whether padding time as space is padded gives what is asked for."""
    if row.extent == 1:
        return True  # nothing is added along time, by any padding
    return (space_padding, padding) in {("same", "zero"), ("valid", "valid")}


def _depthwise_convolution(layer, row, padding):
    return [_depthwise_3d(layer.get_config(), row.name, row, padding)]


def _depthwise_3d(config, name, row, padding):
    time = {"extent": row.extent, "time_stride": row.stride, "time_padding": padding}
    return DepthwiseConv3D.from_config({**config, **time, "name": name})


def _separable_convolution(layer, row, padding):
    """A depthwise convolution, and a pointwise one that has the bias and the activation."""
    config = layer.get_config()
    space = ("strides", "padding", "data_format", "dilation_rate", "kernel_size")
    base = {key: config[key] for key in ("dtype", "trainable")}
    depthwise = base | {key: config[key] for key in (*space, "depth_multiplier")}
    pointwise = base | {
        key: config[key]
        for key in (
            *("filters", "activation", "use_bias", "bias_initializer", "bias_regularizer"),
            *("activity_regularizer", "bias_constraint", "data_format"),
        )
    }
    for part in ("initializer", "regularizer", "constraint"):
        depthwise[f"depthwise_{part}"] = config[f"depthwise_{part}"]
        pointwise[f"kernel_{part}"] = config[f"pointwise_{part}"]
    depthwise["use_bias"] = False
    pointwise |= {"kernel_size": (1, 1, 1), "name": row.name}
    return [
        _depthwise_3d(depthwise, f"{row.name}_depthwise", row, padding),
        layers.Conv3D.from_config(pointwise),
    ]


def _pool(layer, row, padding):
    """A 3D pool; where space and time are padded differently one of each, which is the same.

    A pool does not see its padding: the maximum or the average is over what is there.
    """
    plain = _POOLS[type(layer)]
    config = layer.get_config()
    space, strides = tuple(config["pool_size"]), tuple(config["strides"])
    time_padding = "valid" if padding == "valid" else "same"
    if row.extent == 1 or config["padding"] == time_padding:
        whole = {"pool_size": (row.extent, *space), "strides": (row.stride, *strides)}
        return [plain.from_config({**config, **whole, "name": row.name})]
    in_space = {"pool_size": (1, *space), "strides": (1, *strides), "name": f"{row.name}_space"}
    in_time = {
        "pool_size": (row.extent, 1, 1),
        "strides": (row.stride, 1, 1),
        "padding": time_padding,
        "name": row.name,
    }
    return [plain.from_config({**config, **part}) for part in (in_space, in_time)]


def _transposed_convolution(layer, row, padding):
    config = layer.get_config()
    output_padding = config["output_padding"]
    config |= {
        "kernel_size": (1, *config["kernel_size"]),
        "strides": (1, *config["strides"]),
        "dilation_rate": (1, *config["dilation_rate"]),
        "output_padding": None if output_padding is None else (0, *output_padding),
    }
    return _then_longer(layers.Conv3DTranspose, config, row)


def _up_sampling(layer, row, padding):
    config = layer.get_config()
    if config["interpolation"] == "nearest":
        del config["interpolation"]
        whole = {"size": (row.stride, *config["size"]), "name": row.name}
        return [layers.UpSampling3D.from_config({**config, **whole})]
    base = {key: config[key] for key in ("dtype", "trainable")}
    return _then_longer(PerFrame, {**base, "layer": _image_layer(layer)}, row)


def _image_layer(layer):
    return keras.saving.serialize_keras_object(layer)


def _then_longer(layer_class, config, row):
    """A layer that enlarges every frame; after it each step is repeated where time gets longer."""
    if row.stride == 1:
        return [layer_class.from_config({**config, "name": row.name})]
    longer = {"size": (row.stride, 1, 1), "data_format": "channels_last", "name": row.name}
    return [
        layer_class.from_config({**config, "name": f"{row.name}_space"}),
        layers.UpSampling3D.from_config({**longer, "dtype": config["dtype"]}),
    ]


_POOLS = {
    layers.AveragePooling2D: layers.AveragePooling3D,
    layers.MaxPooling2D: layers.MaxPooling3D,
}
WINDOW_RULES = {
    layers.AveragePooling2D: _pool,
    layers.Conv2D: _convolution,
    layers.Conv2DTranspose: _transposed_convolution,
    layers.DepthwiseConv2D: _depthwise_convolution,
    layers.MaxPooling2D: _pool,
    layers.SeparableConv2D: _separable_convolution,
    layers.UpSampling2D: _up_sampling,
}


layers = keras.layers

# They treat every position alike, or the last axis only.
_UNCHANGED = (
    layers.Activation,
    layers.ActivityRegularization,
    layers.Add,
    layers.AlphaDropout,
    layers.Average,
    layers.Dense,
    layers.Dropout,
    layers.ELU,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
    layers.LeakyReLU,
    layers.Maximum,
    layers.Minimum,
    layers.Multiply,
    layers.ReLU,
    layers.Rescaling,
    layers.Subtract,
)
_WITH_AXES = (
    layers.BatchNormalization,
    layers.Concatenate,
    layers.GroupNormalization,
    layers.LayerNormalization,
    layers.Normalization,
    layers.Softmax,
    layers.UnitNormalization,
)
# Names of the classes behind `keras.ops`; they work on each number by itself.
_ELEMENTWISE = {
    *("Absolute", "Add", "Cast", "Clip", "Divide", "Exp", "Log", "Maximum", "Minimum", "Multiply"),
    *("Negative", "Power", "Sqrt", "Square", "Subtract", "TrueDivide"),
    *("Celu", "Elu", "Gelu", "HardSigmoid", "HardSilu", "HardTanh", "LeakyRelu", "LogSigmoid"),
    *("Relu", "Relu6", "Selu", "Sigmoid", "Silu", "Softplus", "Softsign", "Tanh"),
}
_OPERATIONS_WITH_AXES = {"Concatenate", "LogSoftmax", "Max", "Mean", "Min", "Softmax", "Sum"}


def inflated_layers(call, row, padding, rules=None):
    """The layers over clips that stand for a layer, or another operation, over images.

    Args:
        call: A `Call` of it.
        row: What the schedule says of it, or None where it never looks along time.
        padding: One of `TIME_PADDINGS`.
        rules: Dictionary of a user's own rules: layer class -> function from the 2D layer to the
            layer over (N, T, ...).

    Returns:
        List of layers and operations, to be applied one after the other.

    Raises:
        ValueError: It has no 3D form.
    """
    operation = call.operation
    if type(operation) in (rules or {}):
        return [rules[type(operation)](operation)]
    if getattr(operation, "data_format", None) == "channels_first":
        raise ValueError(
            f"{_described(call)} has its channels first; build `model_2d` with "
            'data_format="channels_last".'
        )
    if row is not None:
        return WINDOW_RULES[type(operation)](operation, row, padding)
    if type(operation) in _RULES:
        return _RULES[type(operation)](operation, call.name)
    if not isinstance(operation, layers.Layer):
        return _plain_operation(call)
    raise ValueError(
        f"{_described(call)} has no 3D form. Put another layer in its place, leave it out of "
        "`model_2d` and apply it before or after, or say what it becomes with `rules="
        f"{{{type(operation).__name__}: function}}`, from the 2D layer to one over (N, T, ...); "
        "i3d_tf.layers.PerFrame applies a layer to every frame by itself."
    )


def _described(call):
    return f"The layer {call.name!r} ({type(call.operation).__name__})"


def _copied(layer, name):
    """The same layer: it treats every position alike."""
    return _changed(layer, name)


def _changed(layer, name, **changes):
    return [type(layer).from_config({**layer.get_config(), **changes, "name": name})]


def _moved(axis):
    """An axis, or several, of (N, ...) as those of (N, T, ...)."""
    if isinstance(axis, list | tuple):
        return [_moved(one) for one in axis]
    return axis + 1 if axis is not None and axis > 0 else axis


def _with_moved_axis(layer, name):
    return _changed(layer, name, axis=_moved(layer.get_config()["axis"]))


def _dropout(layer, name):
    """Where a noise shape has one draw for all positions, it has one for all of time."""
    shape = layer.get_config().get("noise_shape")
    if shape is None:
        return _copied(layer, name)
    return _changed(layer, name, noise_shape=(shape[0], 1, *shape[1:]))


def _prelu(layer, name):
    """Slopes for each position, shared over time."""
    shared = layer.get_config()["shared_axes"] or ()
    return _changed(layer, name, shared_axes=[1, *_moved(shared)])


def _as_3d(layer_class, **changes):
    """Rule: a layer whose 3D class has the same arguments."""

    def rule(layer, name):
        config = {**layer.get_config(), **changes, "name": name}
        return [layer_class.from_config(config)]

    return rule


def _framed(layer_class, argument):
    """Rule: a layer with (before, after) for height and width; nothing happens along time."""

    def rule(layer, name):
        config = layer.get_config()
        config |= {argument: ((0, 0), *config[argument]), "name": name}
        return [layer_class.from_config(config)]

    return rule


def _space_pool(reduction):
    """Rule: a global pool, over each frame."""

    def rule(layer, name):
        config = layer.get_config()
        base = {key: config[key] for key in ("dtype", "trainable", "keepdims")}
        return [SpacePool.from_config({**base, "reduction": reduction, "name": name})]

    return rule


def _reshape(layer, name):
    """Each time step is reshaped like the image."""
    shape = tuple(layer.output.shape[1:])
    if shape.count(None) > 0:
        raise ValueError(
            f"The layer {name!r} ({type(layer).__name__}) gives {shape} for an image, and what its "
            "size is depends on the input's; build `model_2d` with a fixed height and width."
        )
    config = {"target_shape": (-1, *shape), "dtype": layer.get_config()["dtype"], "name": name}
    return [layers.Reshape.from_config(config)]


def _permute(layer, name):
    return _changed(layer, name, dims=(1, *(axis + 1 for axis in layer.dims)))


def _plain_operation(call):
    """A `keras.ops` function in the graph."""
    operation = call.operation
    kind = type(operation).__name__
    config = {**operation.get_config(), "name": call.name}
    if kind == "GetItem" and isinstance(call.args[1], tuple) and call.args[1][0] is Ellipsis:
        return [type(operation).from_config(config)]  # counted from the last axis: stays as it is
    if kind in _OPERATIONS_WITH_AXES:
        axis = config.get("axis")
        if axis is None or 0 in (axis if isinstance(axis, list | tuple) else (axis,)):
            raise ValueError(
                f"{_described(call)} works along the axis {axis}, the batch among them; name the "
                "axes of the image that it is to work along."
            )
        config["axis"] = _moved(axis)
    elif kind not in _ELEMENTWISE:
        raise ValueError(
            f"{_described(call)}, a function of keras.ops, has no 3D form; put one of keras.layers "
            "in its place, or a layer of your own and its rule in `rules`."
        )
    return [type(operation).from_config(config)]


_RULES = {
    **dict.fromkeys(_UNCHANGED, _copied),
    **dict.fromkeys(_WITH_AXES, _with_moved_axis),
    layers.AlphaDropout: _dropout,
    layers.Cropping2D: _framed(layers.Cropping3D, "cropping"),
    layers.Dropout: _dropout,
    layers.Flatten: _reshape,
    layers.GlobalAveragePooling2D: _space_pool("mean"),
    layers.GlobalMaxPooling2D: _space_pool("max"),
    layers.Permute: _permute,
    layers.PReLU: _prelu,
    layers.Reshape: _reshape,
    layers.SpatialDropout2D: _as_3d(layers.SpatialDropout3D, data_format="channels_last"),
    layers.ZeroPadding2D: _framed(layers.ZeroPadding3D, "padding"),
}
