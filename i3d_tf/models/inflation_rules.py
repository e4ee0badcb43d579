"""What each 2D layer becomes in 3D: from its configuration, without its weights.

A 2D layer over (N, ...) becomes a chain of layers over (N, T, ...): every tensor of the inflated
network is the 2D network's with time after the batch. Where a chain has several layers the last one
has the 2D layer's name. Their weights, one after the other, are the 2D layer's in its own order,
each as it is or with time as a new first axis.
"""

import keras

from i3d_tf.layers.per_frame import SpacePool
from i3d_tf.models.inflation_windows import WINDOW_RULES

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
