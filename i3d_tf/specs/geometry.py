"""What follows from the rows of a network: shapes, receptive fields, parameters, multiply-adds.

Everything is counted from the same table that builds the network, in integers.
"""

from collections.abc import Iterator, Sequence
from math import prod
from typing import NamedTuple

from i3d_tf.specs.inception_v1 import (
    HEAD,
    HEAD_CONV,
    HEAD_POOL_KERNEL,
    Conv,
    MaxPool,
    Mixed,
    Row,
    branches,
    name_without_time,
)

# Receptive fields (time, height, width) as printed in figure 3 of arXiv:1705.07750; see
# `receptive_fields` for the last two.
FIGURE_3 = {
    "MaxPool3d_2a_3x3": (7, 11, 11),
    "MaxPool3d_3a_3x3": (11, 27, 27),
    "MaxPool3d_4a_3x3": (23, 75, 75),
    "MaxPool3d_5a_2x2": (59, 219, 219),
    "head": (99, 539, 539),
}


class Span(NamedTuple):
    """How far one output step looks into the input, along (time, height, width).

    Attributes:
        field: Receptive field, in input steps.
        jump: Input steps between two neighbouring output steps.
    """

    field: tuple[int, int, int]
    jump: tuple[int, int, int]


def halve(size: int, stride: int) -> int:
    """Output length of SAME padding: the size over the stride, rounded up."""
    return -(-size // stride)


def filters_out(row: Row, filters_in: int) -> int:
    """Channels after a row."""
    if isinstance(row, Conv):
        return row.filters
    if isinstance(row, MaxPool):
        return filters_in
    return row.branch_0 + row.branch_1[1] + row.branch_2[1] + row.branch_3


def endpoint_shapes(rows: Sequence[Row], clip_shape: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """The shape after every row for one clip.

    Args:
        rows: The network.
        clip_shape: (T, H, W, C), or (H, W, C) for rows without time.

    Returns:
        Endpoint name to (T', H', W', filters), in order.
    """
    *size, channels = clip_shape
    shapes = {}
    for row in rows:
        stride = getattr(row, "stride", (1,) * len(size))
        size = [halve(length, step) for length, step in zip(size, stride, strict=True)]
        channels = filters_out(row, channels)
        shapes[row.name] = (*size, channels)
    return shapes


def _wider(span: Span, kernel: Sequence[int], stride: Sequence[int]) -> Span:
    grown = zip(span.field, span.jump, kernel, strict=True)
    return Span(
        field=tuple(field + (taps - 1) * jump for field, jump, taps in grown),
        jump=tuple(jump * step for jump, step in zip(span.jump, stride, strict=True)),
    )


def receptive_fields(rows: Sequence[Row]) -> dict[str, Span]:
    """The receptive field after every row, with `"head"` for the average pool at the end.

    An Inception block sees as far as its 3x3x3 convolution.

    Note:
        The rows give 67 x 251 x 251 after `MaxPool3d_5a_2x2` and 107 x 571 x 571 at the end. Figure
        3 of arXiv:1705.07750 prints 59 x 219 x 219 and 99 x 539 x 539 (`FIGURE_3`): what the same
        rows give when one of the five blocks between the third and the fourth max-pool is left
        out. The released network has five; the figure's first three numbers agree with the rows.
    """
    span = Span((1, 1, 1), (1, 1, 1))
    spans = {}
    for row in rows:
        if isinstance(row, Mixed):
            span = _wider(span, (3, 3, 3), (1, 1, 1))
        else:
            span = _wider(span, row.kernel, row.stride)
        spans[row.name] = span
    spans["head"] = _wider(span, HEAD_POOL_KERNEL, (1, 1, 1))
    return spans


def convolutions(rows: Sequence[Row], channels: int) -> Iterator[tuple[str, Conv, int]]:
    """Every convolution: (path, row, channels in)."""
    for row in rows:
        if isinstance(row, Conv):
            yield row.name, row, channels
        elif isinstance(row, Mixed):
            for index, branch in enumerate(branches(row)):
                inside = channels
                for unit in branch:
                    if isinstance(unit, Conv):
                        yield f"{row.name}/Branch_{index}/{unit.name}", unit, inside
                        inside = unit.filters
        channels = filters_out(row, channels)


def variable_shapes(rows: Sequence[Row], channels: int, classes: int) -> dict[str, tuple[int, ...]]:
    """The path and the shape of every variable: kernels, batch norm with its statistics, head."""
    shapes = {}
    rank = _rank(rows)
    for path, conv, filters_in in convolutions(rows, channels):
        shapes[f"{path}/conv_{rank}d/kernel"] = (*conv.kernel, filters_in, conv.filters)
        for statistic in ("beta", "moving_mean", "moving_variance"):
            shapes[f"{path}/batch_norm/{statistic}"] = (conv.filters,)
    for row in rows:
        channels = filters_out(row, channels)
    head = f"{HEAD}/{HEAD_CONV if rank == 3 else name_without_time(HEAD_CONV)}/conv_{rank}d"
    shapes[f"{head}/kernel"] = (*(1,) * rank, channels, classes)
    shapes[f"{head}/bias"] = (classes,)
    return shapes


def count_parameters(rows: Sequence[Row], channels: int, classes: int) -> int:
    """Values in all variables, batch-norm statistics included."""
    return sum(prod(shape) for shape in variable_shapes(rows, channels, classes).values())


def count_multiply_adds(rows: Sequence[Row], clip_shape: Sequence[int], classes: int) -> int:
    """Multiply-adds of all convolutions for one clip of (T, H, W, C), or one image of (H, W, C).

    Padding counts as work.
    """
    shapes = endpoint_shapes(rows, clip_shape)
    total = 0
    for path, conv, filters_in in convolutions(rows, clip_shape[-1]):
        positions = prod(shapes[path.partition("/")[0]][:-1])
        total += positions * prod(conv.kernel) * filters_in * conv.filters
    *size, filters = shapes[rows[-1].name]
    head_steps = size[0] - 1 if _rank(rows) == 3 else 1
    return total + head_steps * filters * classes


def _rank(rows):
    """3 for rows with time, 2 without."""
    return len(rows[0].kernel)


class TimeSteps(NamedTuple):
    """The time steps of an endpoint.

    Attributes:
        count: How many there are.
        first: The middle of what the first one sees, as a frame's index: 0.5 is between the first
            two frames. Of the padding, too, as much counts as lies within its receptive field.
        jump: Frames from one step to the next.
    """

    count: int
    first: float
    jump: int


def time_steps(rows: Sequence[Row], endpoint: str, num_frames: int) -> TimeSteps:
    """The time steps of an endpoint for a clip.

    With SAME padding they depend on the clip's length: where a number of zeros is odd, the one that
    is left over stands behind the clip.

    Args:
        rows: The network.
        endpoint: Name of one of the rows.
        num_frames: Of the clip, at least 1.

    Raises:
        ValueError: There is no such endpoint.
    """
    count, first, jump = num_frames, 0.0, 1
    for row in rows:
        if not isinstance(row, Mixed):  # an Inception block sees as far forwards as backwards
            extent, stride = row.kernel[0], row.stride[0]
            steps = halve(count, stride)
            padding = max(0, (steps - 1) * stride + extent - count)
            first += jump * ((extent - 1) / 2 - padding // 2)
            count, jump = steps, jump * stride
        if row.name == endpoint:
            return TimeSteps(count, first, jump)
    names = tuple(row.name for row in rows)
    raise ValueError(f"`endpoint` must be one of {names}; received {endpoint!r}.")
