"""Where in a clip the time steps of an endpoint look: counted from the rows of the network."""

from collections.abc import Sequence
from typing import NamedTuple

from i3d_tf.specs.geometry import halve
from i3d_tf.specs.inception_v1 import Mixed, Row


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
