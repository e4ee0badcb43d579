"""Scores of classes over the time of a video, above the intervals in which each is true, as SVG."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from i3d_tf.viz.curves import ticks
from i3d_tf.viz.markup import Markup, element
from i3d_tf.viz.svg import shorten, svg_text

WIDTH = 940  # pixels
RIGHT, TOP, BOTTOM = 40, 8, 34  # margins
CURVE, BAR, GAP = 34, 6, 12  # pixels of a row: the curve, the bar of the truth, the rest
LETTER = 6.6  # pixels, the mean width of one
MAX_NAME = 30  # letters that are shown
MAX_POINTS = 700  # of a curve; more than a picture of this width can show
TICKS = 8
CORRECT, WRONG = "var(--correct-fill,#2563b0)", "var(--wrong-fill,#b4480f)"
INK, MUTED, LINE = "var(--text,#222)", "var(--muted,#667)", "var(--line,#ddd)"


@dataclass(frozen=True)
class TimelineRow:
    """A class in a video.

    Attributes:
        name: Its name.
        values: Float (P,) in [0, 1], its scores at the times of the picture.
        intervals: (start, end) of each of its actions, seconds.
    """

    name: str
    values: np.ndarray
    intervals: tuple[tuple[float, float], ...] = ()


def interval_timeline_svg(
    times: np.ndarray,
    rows: Sequence[TimelineRow],
    duration: float,
    title: str,
    highest: float = 1.0,
) -> Markup:
    """Draws a curve for each class, blue where the class is true and orange elsewhere.

    A page can set the colours by the CSS variables --text, --muted, --line, --correct-fill and
    --wrong-fill.

    Args:
        times: Float (P,), seconds, rising; curves are straight in between.
        rows: Classes, the first on top.
        duration: Seconds, the end of the axis; it starts at 0.
        title: Text for screen readers.
        highest: Value at the top of a row; the bottom is 0.

    Returns:
        Markup of one <svg> element.

    Raises:
        ValueError: There is no row, no time, no duration, or another number of values.
    """
    times = np.asarray(times, float)
    if not rows or not times.size or not duration > 0:
        raise ValueError("a time line must have rows, times and a duration; received none.")
    if any(np.shape(row.values) != times.shape for row in rows):
        raise ValueError(f"`rows` must have {times.size} values each, one a time.")
    names = [shorten(row.name, MAX_NAME) for row in rows]
    left = 14 + LETTER * max(map(len, names))
    height = timeline_height(len(rows))

    def x_of(seconds):
        return left + min(max(seconds / duration, 0.0), 1.0) * (WIDTH - left - RIGHT)

    def y_of(value):
        return CURVE * min(max(value / highest, 0.0), 1.0)

    return element(
        "svg",
        element("title", title),
        [_tick(tick, x_of(tick), height) for tick in ticks(0, duration, TICKS) if tick <= duration],
        [
            _row(TOP + place * (CURVE + BAR + GAP), name, row, times, x_of, y_of, f"{highest:g}")
            for place, (name, row) in enumerate(zip(names, rows, strict=True))
        ],
        viewBox=f"0 0 {WIDTH} {height}",
        role="img",
        style="font-family:inherit",
        xmlns="http://www.w3.org/2000/svg",
    )


def timeline_height(rows: int) -> int:
    """Returns the height of a picture of so many rows, pixels."""
    return TOP + rows * (CURVE + BAR + GAP) + BOTTOM


def _tick(seconds, x, height):
    bottom = height - BOTTOM + 4
    return (
        element("path", d=f"M{x:.1f} {TOP}V{bottom}", stroke=LINE, fill="none"),
        svg_text(f"{seconds:g} s", x, bottom + 16, text_anchor="middle", fill=MUTED),
    )


def _row(top, name, row, times, x_of, y_of, highest):
    base = top + CURVE
    left, right = x_of(0.0), x_of(np.inf)
    title = element("title", row.name) if name != row.name else None
    scale = {"fill": MUTED, "font_size": 9}
    return (
        element("text", name, title, x=f"{left - 10:.1f}", y=base - 8, text_anchor="end",
                font_size=12, fill=INK),
        element("path", d=f"M{left:.1f} {top}H{right:.1f}", stroke=LINE, stroke_dasharray="2 3"),
        element("path", d=f"M{left:.1f} {base}H{right:.1f}", stroke=MUTED),
        svg_text(highest, right + 5, top + 4, **scale),
        svg_text("0", right + 5, base + 3, **scale),
        [
            _area(points, base, CORRECT if is_true else WRONG, x_of, y_of)
            for is_true, points in curve_parts(*_thin(times, row.values), row.intervals)
        ],
        [
            element(
                "rect",
                element("title", f"{row.name}: {start:.2f} s to {end:.2f} s"),
                x=f"{x_of(start):.1f}",
                y=base + 3,
                width=f"{max(x_of(end) - x_of(start), 2.0):.1f}",
                height=BAR,
                rx=1,
                fill=INK,
            )
            for start, end in row.intervals
        ],
    )  # fmt: skip


def _area(points, base, colour, x_of, y_of):
    line = "L".join(f"{x_of(time):.1f} {base - y_of(value):.1f}" for time, value in points)
    first, last = x_of(points[0][0]), x_of(points[-1][0])
    return (
        element(
            "path",
            d=f"M{first:.1f} {base}L{line}L{last:.1f} {base}Z",
            fill=colour,
            fill_opacity=0.35,
        ),
        element("path", d=f"M{line}", fill="none", stroke=colour, stroke_width=1.5),
    )


def curve_parts(
    times: np.ndarray, values: np.ndarray, intervals: Sequence[tuple[float, float]]
) -> list[tuple[bool, list[tuple[float, float]]]]:
    """Cuts a curve where intervals start and end.

    Args:
        times: Float (P,), rising.
        values: Float (P,).
        intervals: (start, end) of each; they may overlap.

    Returns:
        (whether the part is in an interval, [(time, value), ...]); a part starts where the one
        before it ends.
    """
    edges = [edge for pair in intervals for edge in pair if times[0] < edge < times[-1]]
    at = np.unique(np.concatenate([times, edges]))
    points = list(zip(at.tolist(), np.interp(at, times, values).tolist(), strict=True))
    if len(points) == 1:
        return [(_is_inside(points[0][0], intervals), points)]
    parts: list[tuple[bool, list[tuple[float, float]]]] = []
    for before, after in itertools.pairwise(points):
        is_true = _is_inside((before[0] + after[0]) / 2, intervals)
        if not parts or parts[-1][0] != is_true:
            parts.append((is_true, [before]))
        parts[-1][1].append(after)
    return parts


def _is_inside(time, intervals):
    return any(start <= time <= end for start, end in intervals)


def _thin(times, values):
    """Returns fewer points of a long curve: each stretch of time keeps its highest one."""
    values = np.asarray(values, float)
    if len(times) <= MAX_POINTS:
        return times, values
    parts = np.array_split(np.arange(len(times)), MAX_POINTS)
    kept = np.unique([0, len(times) - 1, *(part[values[part].argmax()] for part in parts)])
    return times[kept], values[kept]
