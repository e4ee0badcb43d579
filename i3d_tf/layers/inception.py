"""The Inception block, its branches, and its form without batch norm for inference."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import KerasTensor, ops

from i3d_tf.layers.pool import MaxPool3D
from i3d_tf.layers.unit import UNITS, Unit
from i3d_tf.specs.geometry import Shape
from i3d_tf.specs.inception_v1 import Conv, Mixed, Row, branches

POOLS = {2: keras.layers.MaxPooling2D, 3: MaxPool3D}


def layer_for(row: Row, **kwargs: Any) -> keras.layers.Layer:
    """Makes the layer of a table row: a unit, a max-pool or an `InceptionBlock`.

    Args:
        row: A `Conv`, `MaxPool` or `Mixed` row, 3D or 2D; its name becomes the layer's name.
        **kwargs: See `keras.layers.Layer`.
    """
    if isinstance(row, Mixed):
        return InceptionBlock(*row[1:], name=row.name, **kwargs)
    if isinstance(row, Conv):
        return UNITS[row.rank](row.filters, row.kernel, row.stride, name=row.name, **kwargs)
    return POOLS[row.rank](
        row.kernel,
        row.stride,
        padding="same",
        data_format="channels_last",
        name=row.name,
        **kwargs,
    )


class Branch(keras.layers.Layer):
    """A branch of an `InceptionBlock`: layers one after the other, under one name."""

    def __init__(self, rows: Sequence[Row], **kwargs: Any):
        super().__init__(**kwargs)
        self.units = [layer_for(row, dtype=self.dtype_policy) for row in rows]

    def build(self, input_shape: Shape) -> None:
        """Creates the variables for inputs of (N, *positions, C)."""
        for unit in self.units:
            unit.build(input_shape)
            input_shape = unit.compute_output_shape(input_shape)

    def call(self, inputs: KerasTensor, training: bool | None = None) -> KerasTensor:
        """Applies the layers: (N, *positions, C) -> (N, *positions, filters)."""
        for unit in self.units:
            trains = isinstance(unit, Unit)
            inputs = unit(inputs, training=training) if trains else unit(inputs)
        return inputs

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (N, *positions, filters)."""
        for unit in self.units:
            input_shape = unit.compute_output_shape(input_shape)
        return input_shape


@keras.saving.register_keras_serializable(package="i3d_tf")
class InceptionBlock(keras.layers.Layer):
    """Four branches over one input, concatenated along the channels (arXiv:1705.07750, figure 3).

    Args:
        branch_0: Filters of a 1x1x1 unit.
        branch_1: Filters of a 1x1x1 unit and of the 3x3x3 unit after it.
        branch_2: See `branch_1`.
        branch_3: Filters of the 1x1x1 unit after a 3x3x3 max-pool of stride 1.
        rank: 3 for clips, (N, T, H, W, C), or 2 for images, (N, H, W, C), and 2D kernels.
        **kwargs: See `keras.layers.Layer`.
    """

    def __init__(
        self,
        branch_0: int,
        branch_1: Sequence[int],
        branch_2: Sequence[int],
        branch_3: int,
        rank: int = 3,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.row = Mixed(self.name, branch_0, _pair(branch_1), _pair(branch_2), branch_3, rank)
        self.branches = [
            Branch(rows, dtype=self.dtype_policy, name=f"Branch_{index}")
            for index, rows in enumerate(branches(self.row))
        ]

    def build(self, input_shape: Shape) -> None:
        """Creates the variables for inputs of (N, *positions, C)."""
        for branch in self.branches:
            branch.build(input_shape)

    def call(self, inputs: KerasTensor, training: bool | None = None) -> KerasTensor:
        """Applies the branches and concatenates: (N, *positions, C) -> (N, *positions, filters)."""
        outputs = [branch(inputs, training=training) for branch in self.branches]
        return ops.concatenate(outputs, axis=-1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (N, *positions, sum of the four branches' filters)."""
        return (*input_shape[:-1], self.row.filters)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), **self.row._asdict()}


@keras.saving.register_keras_serializable(package="i3d_tf")
class FusedInceptionBlock(keras.layers.Layer):
    """An `InceptionBlock` without batch norm, for inference, that convolves its input once.

    The 1x1x1 convolutions at the start of branches 0, 1 and 2 are one, `entry`, whose filters are
    theirs in this order.

    Args:
        branch_0: See `InceptionBlock`.
        branch_1: See `InceptionBlock`.
        branch_2: See `InceptionBlock`.
        branch_3: See `InceptionBlock`.
        rank: See `InceptionBlock`.
        **kwargs: See `keras.layers.Layer`.
    """

    def __init__(
        self,
        branch_0: int,
        branch_1: Sequence[int],
        branch_2: Sequence[int],
        branch_3: int,
        rank: int = 3,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.row = Mixed(self.name, branch_0, _pair(branch_1), _pair(branch_2), branch_3, rank)
        (first,), (_, cube_1), (_, cube_2), (pool, projection) = branches(self.row)
        self.entry_filters = (branch_0, self.row.branch_1[0], self.row.branch_2[0])
        entry = Conv("entry", sum(self.entry_filters), first.kernel, first.stride)
        self.entry = self._unit(entry, "entry")
        self.branch_1 = self._unit(cube_1, "Branch_1")
        self.branch_2 = self._unit(cube_2, "Branch_2")
        self.pool = layer_for(pool, dtype=self.dtype_policy)
        self.branch_3 = self._unit(projection, "Branch_3")

    def build(self, input_shape: Shape) -> None:
        """Creates the variables for inputs of (N, *positions, C)."""
        *positions, _ = input_shape
        _, second, third = self.entry_filters
        self.entry.build(input_shape)
        self.branch_1.build((*positions, second))
        self.branch_2.build((*positions, third))
        self.branch_3.build(input_shape)

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Applies the branches and concatenates: (N, *positions, C) -> (N, *positions, filters)."""
        first, second, _ = self.entry_filters
        entry = self.entry(inputs)
        outputs = [
            entry[..., :first],
            self.branch_1(entry[..., first : first + second]),
            self.branch_2(entry[..., first + second :]),
            self.branch_3(self.pool(inputs)),
        ]
        return ops.concatenate(outputs, axis=-1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (N, *positions, sum of the four branches' filters)."""
        return (*input_shape[:-1], self.row.filters)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), **self.row._asdict()}

    def _unit(self, row, name):
        return UNITS[self.row.rank](
            row.filters,
            row.kernel,
            row.stride,
            use_batch_norm=False,
            use_bias=True,
            dtype=self.dtype_policy,
            name=name,
        )


def _pair(filters: Sequence[int]) -> tuple[int, int]:
    first, second = filters
    return first, second
