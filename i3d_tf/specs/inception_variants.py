"""The networks between Inception-v1 and I3D, as options of I3D's rows: S3D, S3D-G, I2D and others.

Source: Xie et al., "Rethinking Spatiotemporal Feature Learning", arXiv:1712.04851. The public
implementations differ in more than the paper tells, so that each difference is an option here.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any, NamedTuple

from i3d_tf.specs.inception_v1 import (
    BATCH_NORM_EPSILON,
    BATCH_NORM_MOMENTUM,
    I3D,
    MIN_FRAMES,
    Conv,
    MaxPool,
    Mixed,
    branches,
)
from i3d_tf.specs.validation import check_choice

GATINGS = ("none", "branch", "cell")
STEMS = ("1", "3", "7", "separable")
HEADS = ("window", "frame", "mean")
STEM, FIRST_GATED = I3D[0].name, "Conv3d_2c_3x3"
ROW_NAMES = tuple(row.name for row in I3D)
SPATIAL, TEMPORAL, GATE = "_spatial", "_temporal", "_gate"


@dataclass(frozen=True)
class InceptionVariant:
    """A network of I3D's rows.

    Attributes:
        stem: Time steps of the first kernel, "1", "3" or "7"; or "separable", 1x7x7, then 7x1x1.
        separable: Whether kernels over space and time are two: 1 x k x k, then k x 1 x 1.
        first_3d: First row whose 3x3x3 kernels span time; those before have 1x3x3. Pools stay.
        last_3d: Last such row; "" for none.
        keeps_pairs: Whether rows without time still have two kernels, 1 x 3 x 3 and 1 x 1 x 1.
        gating: "none"; "branch", behind each branch of a block; or "cell", behind the block.
        gate_bias: Whether gates have a bias.
        padding: See `i3d_tf.layers.unit.PADDINGS`; pools pad the same way.
        temporal_norm: Whether batch norm follows the kernels over time, too; else they have a bias.
        use_scale: Whether batch norm has a scale.
        epsilon: Of batch norm.
        momentum: Of batch norm.
        pools_first: Whether branch 3 pools before its convolution.
        head: "window", an average over 2 x 7 x 7 as released; "frame", over 2 steps and the whole
            frame, which is the same at 224 x 224; or "mean", over all positions, each of which
            weighs the same.
        space_to_depth: Whether each 2x2x2 positions of a clip become one of 8 times the channels,
            and the first kernel has 2x4x4; clips of 24 channels are such already.
    """

    stem: str = "7"
    separable: bool = False
    first_3d: str = FIRST_GATED
    last_3d: str = ROW_NAMES[-1]
    keeps_pairs: bool = False
    gating: str = "none"
    gate_bias: bool = True
    padding: str = "same"
    temporal_norm: bool = True
    use_scale: bool = False
    epsilon: float = BATCH_NORM_EPSILON
    momentum: float = BATCH_NORM_MOMENTUM
    pools_first: bool = True
    head: str = "frame"
    space_to_depth: bool = False

    def __post_init__(self):
        check_choice("stem", self.stem, STEMS)
        check_choice("gating", self.gating, GATINGS)
        check_choice("padding", self.padding, ("same", "symmetric"))
        check_choice("head", self.head, HEADS)
        check_choice("first_3d", self.first_3d, ROW_NAMES)
        check_choice("last_3d", self.last_3d, (*ROW_NAMES, ""))

    @property
    def min_frames(self) -> int:
        """The shortest clip that leaves two steps; pools without padding drop some."""
        return 13 if self.padding == "symmetric" else MIN_FRAMES

    def has_time(self, row: str) -> bool:
        """Returns whether the 3x3x3 kernels of a row span time."""
        if not self.last_3d:
            return False
        first, last = map(ROW_NAMES.index, (self.first_3d, self.last_3d))
        return first <= ROW_NAMES.index(row) <= last


# Named networks. S3D is torchvision's, S3D-G TF-Slim's; I2D and the heavy ones have I3D's layers.
VARIANTS = {
    "s3d": InceptionVariant(
        stem="separable", separable=True, padding="symmetric", use_scale=True, head="window"
    ),
    "s3d_g": InceptionVariant(
        stem="3", separable=True, gating="branch", gate_bias=False, temporal_norm=False
    ),
    "i2d": InceptionVariant(stem="1", last_3d=""),
    "top_heavy_i3d": InceptionVariant(stem="1", first_3d="Mixed_4b"),
    "bottom_heavy_i3d": InceptionVariant(last_3d="Mixed_3c"),
    "top_heavy_s3d": InceptionVariant(stem="1", separable=True, first_3d="Mixed_4b"),
    "bottom_heavy_s3d": InceptionVariant(stem="7", separable=True, last_3d="Mixed_3c"),
}


def inception_variant(name: str, **options: Any) -> InceptionVariant:
    """Returns a named network with some of its options changed; None leaves one as it is.

    Raises:
        ValueError: The name or an option is unknown, or has a value that it cannot have.
    """
    check_choice("name", name, VARIANTS)
    changed = {option: value for option, value in options.items() if value is not None}
    return dataclasses.replace(VARIANTS[name], **changed)


class ConvPart(NamedTuple):
    """A convolution with what follows it.

    Attributes:
        name: Of its layer.
        filters: Output channels.
        kernel: (time, height, width).
        stride: Like `kernel`.
        has_norm: Whether batch norm follows, not a bias.
    """

    name: str
    filters: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    has_norm: bool = True


class GatePart(NamedTuple):
    """A gate over all channels."""

    name: str


Part = ConvPart | GatePart | MaxPool


class VariablePath(NamedTuple):
    """The parts of a path, such as `Mixed_3b_Branch_1_Conv3d_0b_3x3_temporal/conv_3d/kernel`.

    Attributes:
        row: Mixed_3b; or the layer itself outside of blocks.
        branch: 1; None outside of blocks.
        unit: Conv3d_0b_3x3; empty outside of blocks and for gates.
        half: SPATIAL, TEMPORAL, GATE or empty.
        variable: kernel, bias, gamma, beta, moving_mean or moving_variance.
    """

    row: str
    branch: int | None
    unit: str
    half: str
    variable: str


def split_path(path: str) -> VariablePath:
    """Returns the parts of a path."""
    layer, *_, variable = path.split("/")
    half = next((half for half in (SPATIAL, TEMPORAL, GATE) if layer.endswith(half)), "")
    row, _, inside = layer.removesuffix(half).partition("_Branch_")
    if not inside:
        return VariablePath(row, None, "", half, variable)
    branch, _, unit = inside.partition("_")
    return VariablePath(row, int(branch), unit, half, variable)


def conv_parts(row: Conv, variant: InceptionVariant, name: str, of_row: str) -> list[Part]:
    """Returns the layers that a convolution of the table becomes.

    Args:
        row: The convolution.
        variant: The network.
        name: Of its layers.
        of_row: The row of the table that it is part of.
    """
    time, *space = row.kernel
    if of_row == STEM:
        return _stem_parts(row, variant)
    spans_both = time > 1 and max(space) > 1
    if not spans_both:
        return [ConvPart(name, row.filters, row.kernel, row.stride)]
    has_time = variant.has_time(of_row)
    if not variant.separable:
        kernel = row.kernel if has_time else (1, *space)
        parts: list[Part] = [ConvPart(name, row.filters, kernel, row.stride)]
    else:
        parts = [ConvPart(name + SPATIAL, row.filters, (1, *space), (1, *row.stride[1:]))]
        if has_time or variant.keeps_pairs:
            kernel, stride = (time if has_time else 1, 1, 1), (row.stride[0], 1, 1)
            has_norm = variant.temporal_norm
            parts.append(ConvPart(name + TEMPORAL, row.filters, kernel, stride, has_norm))
    if of_row == FIRST_GATED and variant.gating != "none":
        parts.append(GatePart(name + GATE))
    return parts


def _stem_parts(row, variant):
    _, *space = row.kernel
    if variant.space_to_depth:
        return [ConvPart(row.name, row.filters, (2, 4, 4), (1, 1, 1))]
    if variant.stem == "separable":
        has_norm = variant.temporal_norm
        return [
            ConvPart(row.name + SPATIAL, row.filters, (1, *space), (1, *row.stride[1:])),
            ConvPart(row.name + TEMPORAL, row.filters, (7, 1, 1), (row.stride[0], 1, 1), has_norm),
        ]
    return [ConvPart(row.name, row.filters, (int(variant.stem), *space), row.stride)]


def branch_parts(row: Mixed, variant: InceptionVariant) -> list[list[Part]]:
    """Returns the layers of the four branches of a block, named after block and branch."""
    found = []
    for number, branch in enumerate(branches(row)):
        prefix = f"{row.name}_Branch_{number}_"
        parts: list[Part] = []
        for unit in branch if variant.pools_first else sorted(branch, key=_is_pool):
            if isinstance(unit, MaxPool):
                parts.append(unit._replace(name=prefix + unit.name))
            else:
                parts += conv_parts(unit, variant, prefix + unit.name, row.name)
        if variant.gating == "branch":
            parts.append(GatePart(f"{row.name}_Branch_{number}{GATE}"))
        found.append(parts)
    return found


def _is_pool(unit):
    return isinstance(unit, MaxPool)


def pool_padding(row: MaxPool) -> tuple[int, ...]:
    """Returns the pads of a pool of networks with symmetric padding: none for even sizes."""
    return tuple(size // 2 if size % 2 else 0 for size in row.kernel)
