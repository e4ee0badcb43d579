"""How far what stands before and after a clip reaches into an inflated network's outputs."""

from typing import NamedTuple

from i3d_tf.layers.time_padding import TIME_PADDINGS
from i3d_tf.models.inflation_graph import flatten, run
from i3d_tf.models.inflation_schedules import rows_by_layer


class Border(NamedTuple):
    """How many of the first and of the last output steps the padding in time reaches."""

    start: int
    end: int


def border(model_2d, temporal="i3d", padding="zero"):
    """How far the padding in time reaches into each output, before any mean over time.

    It holds for clips whose number of frames the temporal strides divide; with others start and end
    may be longer by a step.

    Args:
        model_2d: As of `i3d_tf.inflate`.
        temporal: Likewise.
        padding: Likewise; with "valid" it is how many steps are left out, which pools do as well.

    Returns:
        List of `Border`, one for each output of the model.
    """
    if padding not in TIME_PADDINGS:
        raise ValueError(f"`padding` must be one of {TIME_PADDINGS}; received {padding!r}.")
    graph = flatten(model_2d)
    rows = rows_by_layer(graph, temporal)

    def visit(call):
        reached = Border(*map(max, zip(*call.inputs, strict=True)))
        row = rows.get(id(call.operation))
        return [_border_after(row, reached, padding)] * len(call.outputs)

    return run(graph, [Border(0, 0)] * len(graph.inputs), visit)


def steps_before(row):
    """How many steps SAME padding adds before a clip whose length the stride divides."""
    return max(row.extent - row.stride, 0) // 2


def _border_after(row, reached, padding):
    """The steps of a layer's output that its own padding or its input's border reaches."""
    if row is None:
        return reached
    if row.spot.kind == "enlargement":
        return Border(reached.start * row.stride, reached.end * row.stride)
    before = steps_before(row)
    start = -(-(reached.start + before) // row.stride)
    end = -(-(reached.end + row.extent - before) // row.stride) - 1
    if row.spot.kind == "pool" and padding != "valid":  # its own padding it does not see
        return Border(start if reached.start else 0, end if reached.end else 0)
    return Border(start, end)
