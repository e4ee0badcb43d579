"""The Inception block and its branches."""

import keras
from keras import ops

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


_FOLDED = {"use_batch_norm": False, "use_bias": True}


@keras.saving.register_keras_serializable(package="i3d_tf")
class FusedInceptionBlock(keras.layers.Layer):
    """An `InceptionBlock` without batch norm, whose first three branches read their input once.

    The 1x1x1 convolutions that branches 0, 1 and 2 begin with are one, `entry`, whose filters are
    theirs in this order. (N, *positions, C) -> (N, *positions, sum of the four branches' filters).

    Args:
        branch_0: As the other arguments, those of `InceptionBlock`.
        branch_1: Filters of two units.
        branch_2: Filters of two units.
        branch_3: Filters of one unit.
        rank: 3 or 2.
        **kwargs: As of `keras.layers.Layer`.
    """

    def __init__(self, branch_0, branch_1, branch_2, branch_3, rank=3, **kwargs):
        super().__init__(**kwargs)
        self.row = Mixed(self.name, branch_0, tuple(branch_1), tuple(branch_2), branch_3, rank)
        (first,), (second, cube_1), (third, cube_2), (pool, projection) = branches(self.row)
        self.entry_filters = (first.filters, second.filters, third.filters)
        self.entry = self._unit(first._replace(filters=sum(self.entry_filters)), "entry")
        self.branch_1 = self._unit(cube_1, "Branch_1")
        self.branch_2 = self._unit(cube_2, "Branch_2")
        self.pool = layer_for(pool, dtype=self.dtype_policy)
        self.branch_3 = self._unit(projection, "Branch_3")

    def _unit(self, row, name):
        options = {**_FOLDED, "dtype": self.dtype_policy, "name": name}
        return UNITS[self.row.rank](row.filters, row.kernel, row.stride, **options)

    def build(self, input_shape):
        """Creates the variables for inputs of (N, *positions, C)."""
        *positions, _ = input_shape
        _, second, third = self.entry_filters
        self.entry.build(input_shape)
        self.branch_1.build((*positions, second))
        self.branch_2.build((*positions, third))
        self.branch_3.build(input_shape)

    def call(self, inputs):
        """(N, *positions, C) -> (N, *positions, sum of the four branches' filters)."""
        first, second, _ = self.entry_filters
        entry = self.entry(inputs)
        outputs = [
            entry[..., :first],
            self.branch_1(entry[..., first : first + second]),
            self.branch_2(entry[..., first + second :]),
            self.branch_3(self.pool(inputs)),
        ]
        return ops.concatenate(outputs, axis=-1)

    def compute_output_shape(self, input_shape):
        """(N, *positions, C) -> (N, *positions, sum of the four branches' filters)."""
        row = self.row
        return (*input_shape[:-1], row.branch_0 + row.branch_1[1] + row.branch_2[1] + row.branch_3)

    def get_config(self):
        """The constructor's arguments."""
        arguments = self.row._asdict()
        return {**super().get_config(), **arguments}
