"""Shapes, receptive fields, time steps and variables of a network, computed from its rows.

The rows are those that the network is built from; all numbers are exact.
"""

from collections.abc import Iterator, Sequence
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
    kernel_path,
    name_without_time,
    rank_of,
)
from i3d_tf.specs.validation import check_choice

# Receptive fields (time, height, width) as printed in figure 3 of arXiv:1705.07750; see
# `receptive_fields` for the last two.
FIGURE_3 = {
    "MaxPool3d_2a_3x3": (7, 11, 11),
    "MaxPool3d_3a_3x3": (11, 27, 27),
    "MaxPool3d_4a_3x3": (23, 75, 75),
    "MaxPool3d_5a_2x2": (59, 219, 219),
    "head": (99, 539, 539),
}

Shape = tuple[int | None, ...]  # of a tensor; None is any length
# Where the steps of the head are taken to be in time, see `head_positions`.
CENTERS, ALIGN_CORNERS, HALF_PIXELS = STEP_RULES = ("centers", "align_corners", "half_pixels")


class Span(NamedTuple):
    """The part of the input that one output step depends on, along (time, height, width).

    Attributes:
        field: Receptive field, in input steps.
        jump: Input steps between two neighboring output steps.
    """

    field: tuple[int, int, int]
    jump: tuple[int, int, int]


class TimeSteps(NamedTuple):
    """The time steps of an endpoint, or its rows or columns.

    Attributes:
        length: Number of steps.
        first: Middle of the first step's receptive field, padding included, as a frame's index: 0.5
            is between the first two frames. Of rows and columns, as a pixel's index.
        jump: Frames, or pixels, from one step to the next.
    """

    length: int
    first: float
    jump: int

    @property
    def centers(self) -> tuple[float, ...]:
        """The middle of every step's receptive field, see `first`."""
        return tuple(self.first + self.jump * step for step in range(self.length))


def output_length(length: int, stride: int) -> int:
    """Returns the output length of SAME padding: the length over the stride, rounded up."""
    return -(-length // stride)


def filters_out(row: Row, filters_in: int) -> int:
    """Returns the number of channels after a row."""
    return filters_in if isinstance(row, MaxPool) else row.filters


def endpoint_shapes(rows: Sequence[Row], clip_shape: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """Computes the shape after every row for one clip.

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
        size = [output_length(length, step) for length, step in zip(size, stride, strict=True)]
        channels = filters_out(row, channels)
        shapes[row.name] = (*size, channels)
    return shapes


def receptive_fields(rows: Sequence[Row]) -> dict[str, Span]:
    """Computes the receptive field after every row, with `"head"` for the final average pool.

    That of an Inception block is its 3x3x3 convolution's.

    Note:
        The rows give 67 x 251 x 251 after `MaxPool3d_5a_2x2` and 107 x 571 x 571 at the end. Figure
        3 of arXiv:1705.07750 prints 59 x 219 x 219 and 99 x 539 x 539 (`FIGURE_3`), which is the
        result for four instead of five blocks between the third and the fourth max-pool. The
        released network has five; the figure's first three numbers agree with the rows.
    """
    span = Span((1, 1, 1), (1, 1, 1))
    spans = {}
    for row in rows:
        if isinstance(row, Mixed):
            span = _span_after(span, (3, 3, 3), (1, 1, 1))
        else:
            span = _span_after(span, row.kernel, row.stride)
        spans[row.name] = span
    spans["head"] = _span_after(span, HEAD_POOL_KERNEL, (1, 1, 1))
    return spans


def time_steps(rows: Sequence[Row], endpoint: str, num_frames: int) -> TimeSteps:
    """Computes the time steps of an endpoint for a clip.

    With SAME padding they depend on the clip's length: of an odd number of zeros, the one left over
    is after the clip.

    Args:
        rows: The network.
        endpoint: Name of one of the rows.
        num_frames: Length of the clip, at least 1.

    Raises:
        ValueError: There is no such endpoint.
    """
    return _axis_steps(rows, endpoint, num_frames, 0)


def cell_steps(
    rows: Sequence[Row], endpoint: str, clip_size: Sequence[int]
) -> tuple[TimeSteps, TimeSteps, TimeSteps]:
    """Computes the time steps, the rows and the columns of an endpoint's cells.

    Args:
        rows: See `time_steps`.
        endpoint: See `time_steps`.
        clip_size: (frames, height, width) of the clip.

    Raises:
        ValueError: There is no such endpoint.
    """
    time, height, width = clip_size
    return (
        _axis_steps(rows, endpoint, time, 0),
        _axis_steps(rows, endpoint, height, 1),
        _axis_steps(rows, endpoint, width, 2),
    )


def _axis_steps(rows, endpoint, length, axis):
    count, first, jump = length, 0.0, 1
    for row in rows:
        if not isinstance(row, Mixed):  # an Inception block is symmetric
            extent, stride = row.kernel[axis], row.stride[axis]
            steps = output_length(count, stride)
            padding = max(0, (steps - 1) * stride + extent - count)
            first += jump * ((extent - 1) / 2 - padding // 2)
            count, jump = steps, jump * stride
        if row.name == endpoint:
            return TimeSteps(count, first, jump)
    names = tuple(row.name for row in rows)
    raise ValueError(f"`endpoint` must be one of {names}; received {endpoint!r}.")


def head_steps(rows: Sequence[Row], num_frames: int) -> TimeSteps:
    """Computes the time steps of the head, which are means of two neighboring steps before it.

    Args:
        rows: See `time_steps`.
        num_frames: See `time_steps`; long enough for two steps before the head.

    Raises:
        ValueError: The clip is too short.
    """
    steps = time_steps(rows, rows[-1].name, num_frames)
    if steps.length < HEAD_POOL_KERNEL[0]:
        raise ValueError(f"`num_frames` must be enough for the head; received {num_frames}.")
    return TimeSteps(steps.length - 1, steps.first + steps.jump / 2, steps.jump)


def head_positions(rows: Sequence[Row], num_frames: int, rule: str = CENTERS) -> tuple[float, ...]:
    """Computes where in a clip the steps of the head are, as indices of frames.

    Args:
        rows: See `head_steps`.
        num_frames: See `head_steps`.
        rule: One of `STEP_RULES`. "centers" are the middles of the frames that a step sees: 9, 17,
            ..., 57 for I3D and 64 frames. The other two are where PyTorch's linear
            upsampling takes them to be, with align_corners=True (until 0.3 it knew no other): from
            the first frame to the last; or False: in the middle of equal parts.

    Raises:
        ValueError: The clip is too short, or the rule is unknown.
    """
    check_choice("rule", rule, STEP_RULES)
    steps = head_steps(rows, num_frames)
    if rule == CENTERS:
        return steps.centers
    if rule == ALIGN_CORNERS:
        distance = (num_frames - 1) / max(steps.length - 1, 1)
        return tuple(distance * step for step in range(steps.length))
    distance = num_frames / steps.length
    return tuple(distance * (step + 0.5) - 0.5 for step in range(steps.length))


def convolutions(rows: Sequence[Row], channels: int) -> Iterator[tuple[str, Conv, int]]:
    """Yields (path, row, input channels) of every convolution."""
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
    """Computes path and shape of every variable: kernels, batch norm with its statistics, head."""
    shapes = {}
    rank = rank_of(rows)
    for path, conv, filters_in in convolutions(rows, channels):
        shapes[kernel_path(path, rank)] = (*conv.kernel, filters_in, conv.filters)
        for statistic in ("beta", "moving_mean", "moving_variance"):
            shapes[f"{path}/batch_norm/{statistic}"] = (conv.filters,)
    for row in rows:
        channels = filters_out(row, channels)
    head = f"{HEAD}/{HEAD_CONV if rank == 3 else name_without_time(HEAD_CONV)}"
    shapes[kernel_path(head, rank)] = (*(1,) * rank, channels, classes)
    shapes[f"{head}/conv_{rank}d/bias"] = (classes,)
    return shapes


def _span_after(span, kernel, stride):
    grown = zip(span.field, span.jump, kernel, strict=True)
    return Span(
        field=tuple(field + (taps - 1) * jump for field, jump, taps in grown),
        jump=tuple(jump * step for jump, step in zip(span.jump, stride, strict=True)),
    )
