"""The unit that I3D is made of: convolution, batch norm, ReLU."""

import keras

from i3d_tf.specs.inception_v1 import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM


@keras.saving.register_keras_serializable(package="i3d_tf")
class Unit3D(keras.layers.Layer):
    """3D convolution -> batch norm (beta only) -> activation, with the released variable names.

    Its variables are `conv_3d/kernel`, `conv_3d/bias` where there is a bias, and `batch_norm/beta`,
    `batch_norm/moving_mean`, `batch_norm/moving_variance` where there is batch norm. Input and
    output are (N, T, H, W, C). Padding is SAME, as TensorFlow defines it.

    Args:
        filters: Output channels.
        kernel_size: Extent along (time, height, width).
        strides: Steps along (time, height, width).
        activation: Name of an activation, or None.
        use_batch_norm: Whether batch norm follows the convolution.
        use_bias: Whether the convolution has a bias.
        **kwargs: As of `keras.layers.Layer`.
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=(1, 1, 1),
        activation="relu",
        use_batch_norm=True,
        use_bias=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = tuple(kernel_size)
        self.strides = tuple(strides)
        self.activation = keras.activations.get(activation)
        self.use_batch_norm = use_batch_norm
        self.use_bias = use_bias
        self.conv_3d = keras.layers.Conv3D(
            filters,
            self.kernel_size,
            self.strides,
            padding="same",
            data_format="channels_last",
            use_bias=use_bias,
            dtype=self.dtype_policy,
            name="conv_3d",
        )
        self.batch_norm = None
        if use_batch_norm:
            self.batch_norm = keras.layers.BatchNormalization(
                scale=False,
                epsilon=BATCH_NORM_EPSILON,
                momentum=BATCH_NORM_MOMENTUM,
                dtype=self.dtype_policy,
                name="batch_norm",
            )

    def build(self, input_shape):
        """Creates the variables for inputs of (N, T, H, W, C)."""
        self.conv_3d.build(input_shape)
        if self.batch_norm is not None:
            self.batch_norm.build(self.conv_3d.compute_output_shape(input_shape))

    def call(self, inputs, training=None):
        """(N, T, H, W, C) -> (N, T', H', W', filters)."""
        outputs = self.conv_3d(inputs)
        if self.batch_norm is not None:
            outputs = self.batch_norm(outputs, training=training)
        return self.activation(outputs)

    def compute_output_shape(self, input_shape):
        """(N, T, H, W, C) -> (N, T', H', W', filters)."""
        return self.conv_3d.compute_output_shape(input_shape)

    def get_config(self):
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "activation": keras.activations.serialize(self.activation),
            "use_batch_norm": self.use_batch_norm,
            "use_bias": self.use_bias,
        }
