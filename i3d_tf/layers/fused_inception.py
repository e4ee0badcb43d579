"""The Inception block as it is computed once it is trained."""

import keras
from keras import ops

from i3d_tf.layers.inception import layer_for
from i3d_tf.layers.unit import UNITS
from i3d_tf.specs.inception_v1 import Mixed, branches

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
