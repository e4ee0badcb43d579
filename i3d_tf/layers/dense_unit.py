"""The unit that ends C3D: a fully connected layer, batch norm, ReLU."""

import keras

from i3d_tf.specs.inception_v1 import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM


@keras.saving.register_keras_serializable(package="i3d_tf")
class DenseUnit(keras.layers.Layer):
    """Fully connected layer -> batch norm (beta only) -> ReLU: (N, C) -> (N, units).

    Its variables are `dense/kernel` and `batch_norm/beta`, `batch_norm/moving_mean`,
    `batch_norm/moving_variance`.

    Args:
        units: Output channels.
        **kwargs: As of `keras.layers.Layer`.
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.dense = keras.layers.Dense(
            units, use_bias=False, dtype=self.dtype_policy, name="dense"
        )
        self.batch_norm = keras.layers.BatchNormalization(
            scale=False,
            epsilon=BATCH_NORM_EPSILON,
            momentum=BATCH_NORM_MOMENTUM,
            dtype=self.dtype_policy,
            name="batch_norm",
        )

    def build(self, input_shape):
        """Creates the variables for inputs of (N, C)."""
        self.dense.build(input_shape)
        self.batch_norm.build(self.compute_output_shape(input_shape))

    def call(self, inputs, training=None):
        """(N, C) -> (N, units)."""
        outputs = self.batch_norm(self.dense(inputs), training=training)
        return keras.activations.relu(outputs)

    def compute_output_shape(self, input_shape):
        """(N, C) -> (N, units)."""
        return (*input_shape[:-1], self.units)

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "units": self.units}
