"""Inception-v1 inflated to three dimensions, as rows.

One row is one endpoint: its name, what it computes, and, beside it, the shape it gives for a clip
of 64 x 224 x 224 (time x height x width x channels). Source: arXiv:1705.07750, figure 3, and the
released graph. Kernels and strides are (time, height, width); the 2D network (arXiv:1409.4842, as
TF-Slim builds it) has the same rows without the first number, see `without_time`.
"""

from collections.abc import Sequence
from typing import NamedTuple


class Conv(NamedTuple):
    """A convolution with SAME padding, batch norm and ReLU."""

    name: str
    filters: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...] = (1, 1, 1)

    @property
    def rank(self) -> int:
        """3 for a kernel of (time, height, width), 2 for (height, width)."""
        return len(self.kernel)


class MaxPool(NamedTuple):
    """Max-pooling with SAME padding."""

    name: str
    kernel: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def rank(self) -> int:
        """See `Conv.rank`."""
        return len(self.kernel)


class Mixed(NamedTuple):
    """An Inception block: four branches over one input, concatenated in this order.

    Attributes:
        branch_0: Filters of the 1x1x1 convolution.
        branch_1: Filters of a 1x1x1 convolution and of the 3x3x3 convolution after it.
        branch_2: See `branch_1`.
        branch_3: Filters of the 1x1x1 convolution after a 3x3x3 max-pool of stride 1.
        rank: 3 for kernels of (time, height, width), 2 for (height, width).
    """

    name: str
    branch_0: int
    branch_1: tuple[int, int]
    branch_2: tuple[int, int]
    branch_3: int
    rank: int = 3

    @property
    def filters(self) -> int:
        """Number of channels of the four branches together."""
        return self.branch_0 + self.branch_1[1] + self.branch_2[1] + self.branch_3


Row = Conv | MaxPool | Mixed

I3D: tuple[Row, ...] = (
    Conv("Conv3d_1a_7x7", 64, (7, 7, 7), (2, 2, 2)),  # 32 x 112 x 112 x 64
    MaxPool("MaxPool3d_2a_3x3", (1, 3, 3), (1, 2, 2)),  # 32 x 56 x 56 x 64
    Conv("Conv3d_2b_1x1", 64, (1, 1, 1)),  # 32 x 56 x 56 x 64
    Conv("Conv3d_2c_3x3", 192, (3, 3, 3)),  # 32 x 56 x 56 x 192
    MaxPool("MaxPool3d_3a_3x3", (1, 3, 3), (1, 2, 2)),  # 32 x 28 x 28 x 192
    Mixed("Mixed_3b", 64, (96, 128), (16, 32), 32),  # 32 x 28 x 28 x 256
    Mixed("Mixed_3c", 128, (128, 192), (32, 96), 64),  # 32 x 28 x 28 x 480
    MaxPool("MaxPool3d_4a_3x3", (3, 3, 3), (2, 2, 2)),  # 16 x 14 x 14 x 480
    Mixed("Mixed_4b", 192, (96, 208), (16, 48), 64),  # 16 x 14 x 14 x 512
    Mixed("Mixed_4c", 160, (112, 224), (24, 64), 64),  # 16 x 14 x 14 x 512
    Mixed("Mixed_4d", 128, (128, 256), (24, 64), 64),  # 16 x 14 x 14 x 512
    Mixed("Mixed_4e", 112, (144, 288), (32, 64), 64),  # 16 x 14 x 14 x 528
    Mixed("Mixed_4f", 256, (160, 320), (32, 128), 128),  # 16 x 14 x 14 x 832
    MaxPool("MaxPool3d_5a_2x2", (2, 2, 2), (2, 2, 2)),  # 8 x 7 x 7 x 832
    Mixed("Mixed_5b", 256, (160, 320), (32, 128), 128),  # 8 x 7 x 7 x 832
    Mixed("Mixed_5c", 384, (192, 384), (48, 128), 128),  # 8 x 7 x 7 x 1024
)

# The head: average pool, dropout, 1x1x1 convolution with bias, mean over the remaining time steps.
HEAD_POOL = "AvgPool3d_0a_7x7"
HEAD_POOL_KERNEL = (2, 7, 7)  # stride 1, VALID: 7 x 1 x 1 x 1024
HEAD_DROPOUT = "Dropout_0b"
HEAD = "Logits"
HEAD_CONV = "Conv3d_0c_1x1"
PREDICTIONS = "Predictions"

ENDPOINTS = (*(row.name for row in I3D), HEAD)

# Parts of names in I3D and in the 2D network; variables change in the same way.
_NAMES_WITHOUT_TIME = (
    ("Conv3d_", "Conv2d_"),
    ("MaxPool3d_", "MaxPool_"),
    ("AvgPool3d_", "AvgPool_"),
)

# Shortest clip with two time steps after Mixed_5c; smallest frame that five halvings leave whole.
MIN_FRAMES = 9
MIN_SIZE = 32

BATCH_NORM_EPSILON = 1e-3
BATCH_NORM_MOMENTUM = 0.999
MIN_WIDTH = 1  # filters a convolution keeps, however small the width multiplier


def kernel_path(layer: str, rank: int) -> str:
    """Returns the path of a layer's kernel among the variables; `rank` is 3 with time, else 2."""
    return f"{layer}/conv_{rank}d/kernel"


def rank_of(rows: Sequence[Row]) -> int:
    """Returns 3 for rows with time, and 2 for rows without."""
    return rows[0].rank


def name_without_time(name: str) -> str:
    """Returns the name that an endpoint, or a layer of one, has in the 2D network."""
    for with_time, without in _NAMES_WITHOUT_TIME:
        name = name.replace(with_time, without)
    return name


def without_time(row: Row) -> Row:
    """Returns a row of the 2D network: without the first number, with TF-Slim's name."""
    if isinstance(row, Mixed):
        return row._replace(name=name_without_time(row.name), rank=2)
    return _unit_without_time(row)


def _unit_without_time(unit: Conv | MaxPool) -> Conv | MaxPool:
    return unit._replace(
        name=name_without_time(unit.name), kernel=unit.kernel[1:], stride=unit.stride[1:]
    )


def widen(row: Row, width_multiplier: float) -> Row:
    """Scales a row's numbers of filters, rounded, to at least `MIN_WIDTH`."""

    def scaled(filters):
        return max(MIN_WIDTH, round(filters * width_multiplier))

    if isinstance(row, Conv):
        return row._replace(filters=scaled(row.filters))
    if isinstance(row, Mixed):
        return row._replace(
            branch_0=scaled(row.branch_0),
            branch_1=tuple(map(scaled, row.branch_1)),
            branch_2=tuple(map(scaled, row.branch_2)),
            branch_3=scaled(row.branch_3),
        )
    return row


def branches(row: Mixed) -> tuple[tuple[Conv | MaxPool, ...], ...]:
    """Returns the rows of the four branches of an Inception block, named as released."""
    one, three, unit = (1, 1, 1), (3, 3, 3), (1, 1, 1)
    with_time = (
        (Conv("Conv3d_0a_1x1", row.branch_0, one),),
        (
            Conv("Conv3d_0a_1x1", row.branch_1[0], one),
            Conv("Conv3d_0b_3x3", row.branch_1[1], three),
        ),
        (
            Conv("Conv3d_0a_1x1", row.branch_2[0], one),
            Conv("Conv3d_0b_3x3", row.branch_2[1], three),
        ),
        (MaxPool("MaxPool3d_0a_3x3", three, unit), Conv("Conv3d_0b_1x1", row.branch_3, one)),
    )
    if row.rank == 3:
        return with_time
    return tuple(tuple(_unit_without_time(unit) for unit in branch) for branch in with_time)


# The 2D network; its shapes for an image of 224 x 224 are those beside `I3D`, without the first.
INCEPTION_V1: tuple[Row, ...] = tuple(without_time(row) for row in I3D)
INCEPTION_V1_ENDPOINTS = (*(row.name for row in INCEPTION_V1), HEAD)

# Path of the first kernel, whose shape tells the input's channels and the network's width.
FIRST_KERNEL = kernel_path(I3D[0].name, 3)
FIRST_KERNEL_2D = kernel_path(INCEPTION_V1[0].name, 2)
