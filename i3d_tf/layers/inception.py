"""The Inception block and its branches."""

import keras

from i3d_tf.layers.unit import UNITS, Unit
from i3d_tf.specs.inception_v1 import Conv, Mixed, branches

POOLS = {2: keras.layers.MaxPooling2D, 3: keras.layers.MaxPooling3D}


def layer_for(row, **kwargs):
    """The layer that a table row stands for: a unit, a max-pool or an `InceptionBlock`.

    Args:
        row: A `Conv`, `MaxPool` or `Mixed` row, 3D or 2D; its name becomes the layer's name.
        **kwargs: As of `keras.layers.Layer`.
    """
    if isinstance(row, Mixed):
        return InceptionBlock(*row[1:], name=row.name, **kwargs)
    rank = len(row.kernel)
    if isinstance(row, Conv):
        return UNITS[rank](row.filters, row.kernel, row.stride, name=row.name, **kwargs)
    return POOLS[rank](
        row.kernel,
        row.stride,
        padding="same",
        data_format="channels_last",
        name=row.name,
        **kwargs,
    )


class Branch(keras.layers.Layer):
    """Layers one after the other, under one name; an `InceptionBlock` makes its own."""

    def __init__(self, rows, **kwargs):
        super().__init__(**kwargs)
        self.units = [layer_for(row, dtype=self.dtype_policy) for row in rows]

    def build(self, input_shape):
        """Creates the variables for inputs of (N, *positions, C)."""
        for unit in self.units:
            unit.build(input_shape)
            input_shape = unit.compute_output_shape(input_shape)

    def call(self, inputs, training=None):
        """(N, *positions, C) -> (N, *positions, filters)."""
        for unit in self.units:
            trains = isinstance(unit, Unit)
            inputs = unit(inputs, training=training) if trains else unit(inputs)
        return inputs

    def compute_output_shape(self, input_shape):
        """(N, *positions, C) -> (N, *positions, filters)."""
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
        rank: 3 for clips, (N, T, H, W, C), or 2 for images, (N, H, W, C), without the first extent.
        **kwargs: As of `keras.layers.Layer`.
    """

    def __init__(self, branch_0, branch_1, branch_2, branch_3, rank=3, **kwargs):
        super().__init__(**kwargs)
        self.row = Mixed(self.name, branch_0, tuple(branch_1), tuple(branch_2), branch_3, rank)
        self.branches = [
            Branch(rows, dtype=self.dtype_policy, name=f"Branch_{index}")
            for index, rows in enumerate(branches(self.row))
        ]

    def build(self, input_shape):
        """Creates the variables for inputs of (N, *positions, C)."""
        for branch in self.branches:
            branch.build(input_shape)

    def call(self, inputs, training=None):
        """(N, *positions, C) -> (N, *positions, sum of the four branches' filters)."""
        outputs = [branch(inputs, training=training) for branch in self.branches]
        return keras.ops.concatenate(outputs, axis=-1)

    def compute_output_shape(self, input_shape):
        """(N, *positions, C) -> (N, *positions, sum of the four branches' filters)."""
        shapes = [branch.compute_output_shape(input_shape) for branch in self.branches]
        return (*input_shape[:-1], sum(shape[-1] for shape in shapes))

    def get_config(self):
        """The constructor's arguments."""
        arguments = self.row._asdict()
        return {**super().get_config(), **arguments}
