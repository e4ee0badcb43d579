"""What a 2D layer with a window (convolution, pool, up-sampling) becomes in 3D.

Each function takes the 2D layer, its row of the schedule and the padding in time, and gives a list
of layers to be applied one after the other, the last one with the row's name.
"""

import keras

from i3d_tf.layers.padded_conv import DepthwiseConv3D, PaddedConv3D
from i3d_tf.layers.per_frame import PerFrame

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
