"""Residual networks over clips: R3D, MC3, R(2+1)D; ResNet-50 C2D and I3D, Non-local blocks.

Sources: Tran et al., arXiv:1711.11248, as torchvision builds them; Wang et al., arXiv:1711.07971,
as released (facebookresearch/video-nonlocal-net) and as PySlowFast and pytorchvideo build them.
"""

from dataclasses import dataclass
from typing import NamedTuple

EPSILON = 1e-5  # of batch norm
RELEASED_EPSILON = 1.0000001e-5  # of video-nonlocal-net
MOMENTUM = 0.9  # of batch norm


class StemConv(NamedTuple):
    """A convolution of the stem.

    Attributes:
        filters: Output channels.
        kernel: (time, height, width).
        stride: Like `kernel`.
    """

    filters: int
    kernel: tuple[int, int, int]
    stride: tuple[int, int, int]


class Pool(NamedTuple):
    """A max-pool.

    Attributes:
        kernel: (time, height, width).
        stride: Like `kernel`.
        pads: Positions before and after each axis.
    """

    kernel: tuple[int, int, int]
    stride: tuple[int, int, int]
    pads: tuple[int, int, int] = (0, 0, 0)


@dataclass(frozen=True)
class BasicResNet:
    """A network of two 3x3x3 convolutions in each block, 18 layers in all.

    Attributes:
        stem: Its first convolutions.
        stages: For each of the four stages, "3d", "2d" (1x3x3) or "2plus1d" (1x3x3, then 3x1x1).
    """

    stem: tuple[StemConv, ...]
    stages: tuple[str, str, str, str]
    filters: tuple[int, ...] = (64, 128, 256, 512)
    blocks: int = 2  # of each stage


_STEM = (StemConv(64, (3, 7, 7), (1, 2, 2)),)
_STEM_2PLUS1D = (StemConv(45, (1, 7, 7), (1, 2, 2)), StemConv(64, (3, 1, 1), (1, 1, 1)))

BASIC_RESNETS = {
    "r3d_18": BasicResNet(_STEM, ("3d",) * 4),
    "mc3_18": BasicResNet(_STEM, ("3d", "2d", "2d", "2d")),
    "r2plus1d_18": BasicResNet(_STEM_2PLUS1D, ("2plus1d",) * 4),
}


def middle_filters(filters_in: int, filters: int) -> int:
    """Returns the channels between 1x3x3 and 3x1x1 that give as many parameters as 3x3x3.

    torchvision takes those of a block's first convolution for its second, too.
    """
    return (filters_in * filters * 27) // (9 * filters_in + 3 * filters)


HALF_TIME = Pool((2, 1, 1), (2, 1, 1))


@dataclass(frozen=True)
class BottleneckResNet:
    """A ResNet-50 or -101 over clips, whose stride is in the 3x3 convolution.

    Attributes:
        stem: Its first convolution.
        pool_1: Pool behind the stem.
        temporal: For each stage, the blocks whose first kernel is 3x1x1, repeated to its length.
        blocks: Of each stage.
        filters: Output channels of each stage.
        pool_2: Pool behind the first stage.
        non_local: For each stage, the blocks that a Non-local block follows.
        epsilon: Of batch norm.
    """

    stem: StemConv
    pool_1: Pool
    temporal: tuple[tuple[int, ...], ...]
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    filters: tuple[int, ...] = (256, 512, 1024, 2048)
    pool_2: Pool = HALF_TIME
    non_local: tuple[tuple[int, ...], ...] = ((), (), (), ())
    epsilon: float = EPSILON

    def has_time(self, stage: int, block: int) -> bool:
        """Returns whether the first kernel of a block spans three steps."""
        pattern = self.temporal[stage]
        return bool(pattern[block % len(pattern)])


# Blocks, from 0, that a Non-local block follows (section 4, and the released scripts).
NON_LOCAL = {
    0: ((), (), (), ()),
    1: ((), (), (4,), ()),
    5: ((), (1, 3), (1, 3, 5), ()),
    10: ((), (0, 1, 2, 3), (0, 1, 2, 3, 4, 5), ()),
}
NON_LOCAL_COUNTS = tuple(NON_LOCAL)
_TIME = {"i3d": ((1,), (1, 0), (1, 0), (0, 1)), "c2d": ((0,),) * 4}
_STEM_TIME = {"i3d": 5, "c2d": 1}
# How time shrinks. "slowfast": 8 frames, 8 apart, as in PySlowFast and pytorchvideo. "released" and
# "released_8x8": video-nonlocal-net's for 32 frames, two apart, and for 8; its pools have no
# padding.
GEOMETRIES = ("slowfast", "released", "released_8x8")


def bottleneck_resnet(
    temporal: str, geometry: str = "slowfast", non_local: int = 0
) -> BottleneckResNet:
    """Returns the table of a ResNet-50.

    Args:
        temporal: "i3d", or "c2d" without kernels over time.
        geometry: One of `GEOMETRIES`.
        non_local: Number of Non-local blocks, one of `NON_LOCAL_COUNTS`.
    """
    time = 2 if geometry == "released" else 1
    is_padded = geometry == "slowfast"
    stem = StemConv(64, (_STEM_TIME[temporal], 7, 7), (time, 2, 2))
    pool_1 = Pool((time, 3, 3), (time, 2, 2), (0, 1, 1) if is_padded else (0, 0, 0))
    return BottleneckResNet(
        stem,
        pool_1,
        _TIME[temporal],
        non_local=NON_LOCAL[non_local],
        epsilon=EPSILON if is_padded else RELEASED_EPSILON,
    )
