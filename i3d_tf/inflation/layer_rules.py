"""The 3D form of each 2D layer, made from its configuration, without its weights.

A 2D layer over (N, ...) becomes a chain of layers over (N, T, ...): every tensor of the inflated
network is the 2D network's with time after the batch. The last layer of a chain has the 2D layer's
name. The weights of a chain, in order, are the 2D layer's in its own order, each as it is or with
time as a new first axis.

The file has two kinds of rules: those of layers with a window (convolutions, pools, upsampling),
which a schedule gives a kernel size and a stride in time, and those of all others, which do the
same to every time step.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
from keras import layers

from i3d_tf.inflation.flatten import Call
from i3d_tf.inflation.schedules import LayerPlan
from i3d_tf.layers.frames import PerFrame, SpacePool
from i3d_tf.layers.padded_conv import DepthwiseConv3D, PaddedConv3D
from i3d_tf.layers.pool import MaxPool3D

# Layers that treat every position alike, or work along the last axis.
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
_POOLS = {
    layers.AveragePooling2D: layers.AveragePooling3D,
    layers.MaxPooling2D: MaxPool3D,
}
# Names of the classes behind `keras.ops` that work on each number by itself.
_ELEMENTWISE_ARITHMETIC = {
    "Absolute",
    "Add",
    "Cast",
    "Clip",
    "Divide",
    "Exp",
    "Log",
    "Maximum",
    "Minimum",
    "Multiply",
    "Negative",
    "Power",
    "Sqrt",
    "Square",
    "Subtract",
    "TrueDivide",
}
_ACTIVATIONS = {
    "Celu",
    "Elu",
    "Gelu",
    "HardSigmoid",
    "HardSilu",
    "HardTanh",
    "LeakyRelu",
    "LogSigmoid",
    "Relu",
    "Relu6",
    "Selu",
    "Sigmoid",
    "Silu",
    "Softplus",
    "Softsign",
    "Tanh",
}
_OPERATIONS_WITH_AXES = {"Concatenate", "LogSoftmax", "Max", "Mean", "Min", "Softmax", "Sum"}
# Arguments of a separable convolution that its two parts have in common.
_SEPARABLE_DEPTHWISE = (
    "strides",
    "padding",
    "data_format",
    "dilation_rate",
    "kernel_size",
    "depth_multiplier",
)
_SEPARABLE_POINTWISE = (
    "filters",
    "activation",
    "use_bias",
    "bias_initializer",
    "bias_regularizer",
    "activity_regularizer",
    "bias_constraint",
    "data_format",
)


def layers_3d(
    call: Call,
    plan: LayerPlan | None,
    padding: str,
    rules: Mapping[type, Callable[[keras.Layer], keras.Layer]] | None = None,
) -> Sequence[Any]:
    """Returns the layers over clips for a layer, or another operation, over images.

    Args:
        call: A call of it.
        plan: Its entry in the schedule, or None if it has no window.
        padding: One of `TIME_PADDINGS`.
        rules: A user's own rules: layer class -> function from the 2D layer to the layer over
            (N, T, ...).

    Returns:
        Layers and operations, to be applied one after the other.

    Raises:
        ValueError: It has no 3D form.
    """
    operation = call.operation
    if rules and type(operation) in rules:
        return [rules[type(operation)](operation)]
    if getattr(operation, "data_format", None) == "channels_first":
        raise ValueError(
            f"{_describe(call)} has its channels first; build `model_2d` with "
            'data_format="channels_last".'
        )
    if plan is not None:
        return _WINDOW_RULES[type(operation)](operation, plan, padding)
    if type(operation) in _RULES:
        return _RULES[type(operation)](operation, call.name)
    if not isinstance(operation, layers.Layer):
        return _plain_operation(call)
    raise ValueError(
        f"{_describe(call)} has no 3D form. Put another layer in its place, leave it out of "
        "`model_2d` and apply it before or after, or give its 3D form with `rules="
        f"{{{type(operation).__name__}: function}}`, from the 2D layer to one over (N, T, ...); "
        "i3d_tf.layers.PerFrame applies a layer to every frame by itself."
    )


def _describe(call):
    return f"The layer {call.name!r} ({type(call.operation).__name__})"


# ---- layers with a window: functions (layer, plan, padding) -> layers


def _convolution(layer, plan, padding):
    """Returns a Conv3D, or a `PaddedConv3D` if Keras has no such padding."""
    config = layer.get_config()
    space_padding = config["padding"]
    config |= {
        "name": plan.name,
        "kernel_size": (plan.kernel_size, *config["kernel_size"]),
        "strides": (plan.stride, *config["strides"]),
        "dilation_rate": (1, *config["dilation_rate"]),
    }
    is_plain = (space_padding, padding) in {("same", "zero"), ("valid", "valid")}
    if plan.kernel_size == 1 or is_plain:  # a size of 1 needs no padding in time
        return [layers.Conv3D.from_config(config)]
    config |= {"space_padding": space_padding, "time_padding": padding}
    return [PaddedConv3D.from_config(config)]


def _depthwise_convolution(layer, plan, padding):
    return [_depthwise_3d(layer.get_config(), plan.name, plan, padding)]


def _depthwise_3d(config, name, plan, padding):
    time = {"extent": plan.kernel_size, "time_stride": plan.stride, "time_padding": padding}
    return DepthwiseConv3D.from_config({**config, **time, "name": name})


def _separable_convolution(layer, plan, padding):
    """Returns a depthwise convolution, and a pointwise one with the bias and the activation."""
    config = layer.get_config()
    base = {key: config[key] for key in ("dtype", "trainable")}
    depthwise = base | {key: config[key] for key in _SEPARABLE_DEPTHWISE}
    pointwise = base | {key: config[key] for key in _SEPARABLE_POINTWISE}
    for part in ("initializer", "regularizer", "constraint"):
        depthwise[f"depthwise_{part}"] = config[f"depthwise_{part}"]
        pointwise[f"kernel_{part}"] = config[f"pointwise_{part}"]
    depthwise["use_bias"] = False
    pointwise |= {"kernel_size": (1, 1, 1), "name": plan.name}
    return [
        _depthwise_3d(depthwise, f"{plan.name}_depthwise", plan, padding),
        layers.Conv3D.from_config(pointwise),
    ]


def _pool(layer, plan, padding):
    """Returns a 3D pool, or equivalent pools of space and of time if these are padded differently.

    A pool ignores its padding: the maximum or the average is over the steps that exist.
    """
    plain = _POOLS[type(layer)]
    config = layer.get_config()
    space, strides = tuple(config["pool_size"]), tuple(config["strides"])
    time_padding = "valid" if padding == "valid" else "same"
    if plan.kernel_size == 1 or config["padding"] == time_padding:
        config |= {
            "pool_size": (plan.kernel_size, *space),
            "strides": (plan.stride, *strides),
            "name": plan.name,
        }
        return [plain.from_config(config)]
    in_space = {"pool_size": (1, *space), "strides": (1, *strides), "name": f"{plan.name}_space"}
    in_time = {
        "pool_size": (plan.kernel_size, 1, 1),
        "strides": (plan.stride, 1, 1),
        "padding": time_padding,
        "name": plan.name,
    }
    return [plain.from_config({**config, **part}) for part in (in_space, in_time)]


def _transposed_convolution(layer, plan, padding):
    config = layer.get_config()
    output_padding = config["output_padding"]
    config |= {
        "kernel_size": (1, *config["kernel_size"]),
        "strides": (1, *config["strides"]),
        "dilation_rate": (1, *config["dilation_rate"]),
        "output_padding": None if output_padding is None else (0, *output_padding),
    }
    return _with_time_repeated(layers.Conv3DTranspose, config, plan)


def _up_sampling(layer, plan, padding):
    config = layer.get_config()
    if config["interpolation"] == "nearest":
        del config["interpolation"]
        config |= {"size": (plan.stride, *config["size"]), "name": plan.name}
        return [layers.UpSampling3D.from_config(config)]
    base = {key: config[key] for key in ("dtype", "trainable")}
    image_layer = keras.saving.serialize_keras_object(layer)
    return _with_time_repeated(PerFrame, {**base, "layer": image_layer}, plan)


def _with_time_repeated(layer_class, config, plan):
    """Returns a layer that enlarges every frame, and one that repeats steps if time gets longer."""
    if plan.stride == 1:
        return [layer_class.from_config({**config, "name": plan.name})]
    repeat = {"size": (plan.stride, 1, 1), "data_format": "channels_last", "name": plan.name}
    return [
        layer_class.from_config({**config, "name": f"{plan.name}_space"}),
        layers.UpSampling3D.from_config({**repeat, "dtype": config["dtype"]}),
    ]


_WINDOW_RULES = {
    layers.AveragePooling2D: _pool,
    layers.Conv2D: _convolution,
    layers.Conv2DTranspose: _transposed_convolution,
    layers.DepthwiseConv2D: _depthwise_convolution,
    layers.MaxPooling2D: _pool,
    layers.SeparableConv2D: _separable_convolution,
    layers.UpSampling2D: _up_sampling,
}


# ---- all other layers: functions (layer, name) -> layers


def _copied(layer, name):
    return _changed(layer, name)


def _changed(layer, name, **changes):
    return [type(layer).from_config({**layer.get_config(), **changes, "name": name})]


def _with_moved_axis(layer, name):
    return _changed(layer, name, axis=_moved(layer.get_config()["axis"]))


def _moved(axis):
    """Returns an axis, or several, of (N, ...) as those of (N, T, ...)."""
    if isinstance(axis, list | tuple):
        return [_moved(one) for one in axis]
    return axis + 1 if axis is not None and axis > 0 else axis


def _dropout(layer, name):
    """Returns dropout whose mask, if broadcast over space, is also broadcast over time."""
    shape = layer.get_config().get("noise_shape")
    if shape is None:
        return _copied(layer, name)
    return _changed(layer, name, noise_shape=(shape[0], 1, *shape[1:]))


def _prelu(layer, name):
    """Returns slopes for each position, shared over time."""
    shared = layer.get_config()["shared_axes"] or ()
    return _changed(layer, name, shared_axes=[1, *_moved(shared)])


def _spatial_dropout(layer, name):
    config = {**layer.get_config(), "data_format": "channels_last", "name": name}
    return [layers.SpatialDropout3D.from_config(config)]


def _cropping(layer, name):
    return _around_space(layers.Cropping3D, "cropping", layer, name)


def _zero_padding(layer, name):
    return _around_space(layers.ZeroPadding3D, "padding", layer, name)


def _around_space(layer_class, argument, layer, name):
    """Returns a layer with (before, after) for height and width, and (0, 0) for time."""
    config = layer.get_config()
    config |= {argument: ((0, 0), *config[argument]), "name": name}
    return [layer_class.from_config(config)]


def _global_average_pool(layer, name):
    return _space_pool("mean", layer, name)


def _global_max_pool(layer, name):
    return _space_pool("max", layer, name)


def _space_pool(reduction, layer, name):
    """Returns a global pool over each frame."""
    config = layer.get_config()
    base = {key: config[key] for key in ("dtype", "trainable", "keepdims")}
    return [SpacePool.from_config({**base, "reduction": reduction, "name": name})]


def _reshape(layer, name):
    """Returns a reshape of each time step."""
    shape = tuple(layer.output.shape[1:])
    if None in shape:
        raise ValueError(
            f"The layer {name!r} ({type(layer).__name__}) gives {shape} for an image, whose sizes "
            "depend on the input's; build `model_2d` with a fixed height and width."
        )
    config = {"target_shape": (-1, *shape), "dtype": layer.get_config()["dtype"], "name": name}
    return [layers.Reshape.from_config(config)]


def _permute(layer, name):
    return _changed(layer, name, dims=(1, *(axis + 1 for axis in layer.dims)))


_RULES = {
    **dict.fromkeys(_UNCHANGED, _copied),
    **dict.fromkeys(_WITH_AXES, _with_moved_axis),
    layers.AlphaDropout: _dropout,
    layers.Cropping2D: _cropping,
    layers.Dropout: _dropout,
    layers.Flatten: _reshape,
    layers.GlobalAveragePooling2D: _global_average_pool,
    layers.GlobalMaxPooling2D: _global_max_pool,
    layers.Permute: _permute,
    layers.PReLU: _prelu,
    layers.Reshape: _reshape,
    layers.SpatialDropout2D: _spatial_dropout,
    layers.ZeroPadding2D: _zero_padding,
}


def _plain_operation(call):
    """Returns a `keras.ops` function of the graph for clips."""
    operation = call.operation
    kind = type(operation).__name__
    config = {**operation.get_config(), "name": call.name}
    if kind == "GetItem" and isinstance(call.args[1], tuple) and call.args[1][0] is Ellipsis:
        return [type(operation).from_config(config)]  # counted from the last axis: no change
    if kind in _OPERATIONS_WITH_AXES:
        axis = config.get("axis")
        if axis is None or 0 in (axis if isinstance(axis, list | tuple) else (axis,)):
            raise ValueError(
                f"{_describe(call)} works along the axis {axis}, which includes the batch; name "
                "axes of the image only."
            )
        config["axis"] = _moved(axis)
    elif kind not in _ELEMENTWISE_ARITHMETIC | _ACTIVATIONS:
        raise ValueError(
            f"{_describe(call)}, a function of keras.ops, has no 3D form; put one of keras.layers "
            "in its place, or a layer of your own and its rule in `rules`."
        )
    return [type(operation).from_config(config)]
