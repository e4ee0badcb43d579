"""The Inception block and its branches."""

import keras

from i3d_tf.layers.unit3d import Unit3D
from i3d_tf.specs.inception_v1 import Conv, MaxPool, Mixed, branches


def layer_for(row, **kwargs):
    """The layer that a table row stands for: `Unit3D`, `MaxPooling3D` or `InceptionBlock`.

    Args:
        row: A `Conv`, `MaxPool` or `Mixed` row; its name becomes the layer's name.
        **kwargs: As of `keras.layers.Layer`.
    """
    if isinstance(row, Conv):
        return Unit3D(row.filters, row.kernel, row.stride, name=row.name, **kwargs)
    if isinstance(row, MaxPool):
        return keras.layers.MaxPooling3D(
            row.kernel,
            row.stride,
            padding="same",
            data_format="channels_last",
            name=row.name,
            **kwargs,
        )
    return InceptionBlock(*row[1:], name=row.name, **kwargs)


class Branch(keras.layers.Layer):
    """Layers one after the other, under one name; an `InceptionBlock` makes its own."""

    def __init__(self, rows, **kwargs):
        super().__init__(**kwargs)
        self.units = [layer_for(row, dtype=self.dtype_policy) for row in rows]

    def build(self, input_shape):
        """Creates the variables for inputs of (N, T, H, W, C)."""
        for unit in self.units:
            unit.build(input_shape)
            input_shape = unit.compute_output_shape(input_shape)

    def call(self, inputs, training=None):
        """(N, T, H, W, C) -> (N, T, H, W, filters)."""
        for unit in self.units:
            trains = isinstance(unit, Unit3D)
            inputs = unit(inputs, training=training) if trains else unit(inputs)
        return inputs

    def compute_output_shape(self, input_shape):
        """(N, T, H, W, C) -> (N, T, H, W, filters)."""
        for unit in self.units:
            input_shape = unit.compute_output_shape(input_shape)
        return input_shape


@keras.saving.register_keras_serializable(package="i3d_tf")
class InceptionBlock(keras.layers.Layer):
    """Four branches over one input, concatenated along the channels (arXiv:1705.07750, figure 3).

    Args:
        branch_0: Filters of a 1x1x1 unit.
        branch_1: Filters of a 1x1x1 unit and of the 3x3x3 unit after it.
        branch_2: The same again.
        branch_3: Filters of the 1x1x1 unit after a 3x3x3 max-pool of stride 1.
        **kwargs: As of `keras.layers.Layer`.
    """

    def __init__(self, branch_0, branch_1, branch_2, branch_3, **kwargs):
        super().__init__(**kwargs)
        self.row = Mixed(self.name, branch_0, tuple(branch_1), tuple(branch_2), branch_3)
        self.branches = [
            Branch(rows, dtype=self.dtype_policy, name=f"Branch_{index}")
            for index, rows in enumerate(branches(self.row))
        ]

    def build(self, input_shape):
        """Creates the variables for inputs of (N, T, H, W, C)."""
        for branch in self.branches:
            branch.build(input_shape)

    def call(self, inputs, training=None):
        """(N, T, H, W, C) -> (N, T, H, W, sum of the four branches' filters)."""
        outputs = [branch(inputs, training=training) for branch in self.branches]
        return keras.ops.concatenate(outputs, axis=-1)

    def compute_output_shape(self, input_shape):
        """(N, T, H, W, C) -> (N, T, H, W, sum of the four branches' filters)."""
        shapes = [branch.compute_output_shape(input_shape) for branch in self.branches]
        return (*input_shape[:-1], sum(shape[-1] for shape in shapes))

    def get_config(self):
        """The constructor's arguments."""
        arguments = self.row._asdict()
        return {**super().get_config(), **arguments}
