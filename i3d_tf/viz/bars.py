"""Bar charts as SVG: bars of one unit have one scale, and those with a goal a mark at it."""

from collections.abc import Sequence
from typing import NamedTuple

from i3d_tf.viz.curves import ticks
from i3d_tf.viz.markup import Markup, element
from i3d_tf.viz.svg import (
    FIRST,
    INK,
    LETTER,
    LINE,
    SECOND,
    svg_paragraph,
    svg_picture,
    svg_text,
)

WIDTH = 820  # pixels
RIGHT, MARGIN = 170, 14  # pixels; values stand at the right
ROW, GAP = 18, 7  # pixels
HEAD, FOOT = 30, 26  # pixels of a group: its heading, its scale
TICKS = 5


class Bar(NamedTuple):
    """One number.

    Attributes:
        name: Its name.
        value: At least 0.
        goal: The value that it is to reach, or None.
    """

    name: str
    value: float
    goal: float | None = None


class BarGroup(NamedTuple):
    """Numbers that can be compared.

    Attributes:
        title: What they are.
        unit: Their unit; groups of one unit have one scale.
        bars: The numbers.
    """

    title: str
    unit: str
    bars: tuple[Bar, ...]


def bars_svg(groups: Sequence[BarGroup], title: str, finding: str) -> Markup:
    """Draws a horizontal bar for each number, group below group.

    Args:
        groups: The numbers.
        title: What they are.
        finding: A sentence that says what they show.

    Returns:
        Markup of one <svg> element.

    Raises:
        ValueError: There are no numbers, or one of them is negative.
    """
    bars = [bar for group in groups for bar in group.bars]
    if not bars or min(n for bar in bars for n in bar[1:] if n is not None) < 0:
        raise ValueError(f"`groups` must have numbers of at least 0; received {groups!r}.")
    sentence, height = svg_paragraph(finding, MARGIN, 34, WIDTH - 2 * MARGIN)
    top = 34 + height + 8
    has_goals = any(bar.goal is not None for bar in bars)
    key = _key(top) if has_goals else None
    top += 20 * has_goals
    left = MARGIN + 12 * LETTER * max(len(bar.name) for bar in bars) + 10
    parts = []
    for group in groups:
        parts.append(_group(group, top, left, _scale(groups, group.unit)))
        top += HEAD + len(group.bars) * (ROW + GAP) + FOOT
    values = "; ".join(f"{bar.name}: {bar.value:.3g}" for bar in bars)
    return svg_picture(
        f"{title}. {finding} {values}",
        WIDTH,
        round(top + 6),
        svg_text(title, MARGIN, 24, fill=INK, font_size=15, font_weight=600),
        sentence,
        key,
        parts,
    )


def _scale(groups, unit):
    """Returns the ticks of a unit."""
    numbers = [
        n for group in groups if group.unit == unit for bar in group.bars for n in bar[1:] if n
    ]
    return ticks(0.0, max(numbers, default=1.0), TICKS)


def _key(top):
    return (
        element("rect", x=MARGIN, y=top + 2, width=18, height=9, fill=FIRST),
        svg_text("measured", MARGIN + 24, top + 11),
        element("path", d=f"M{MARGIN + 100} {top}v13", stroke=SECOND, stroke_width=3),
        svg_text("goal: at least", MARGIN + 108, top + 11),
    )


def _group(group, top, left, scale):
    def x_of(value):
        return left + value / scale[-1] * (WIDTH - RIGHT - left)

    start = top + HEAD
    end = start + len(group.bars) * (ROW + GAP)
    return (
        svg_text(group.title, MARGIN, top + 18, fill=INK, font_size=12, font_weight=600),
        [
            (
                element("path", d=f"M{x_of(tick):.1f} {start - 3}V{end}", stroke=LINE),
                svg_text(f"{tick:g}", x_of(tick), end + 13, text_anchor="middle"),
            )
            for tick in scale
        ],
        svg_text(group.unit, WIDTH - RIGHT + 14, end + 13),
        [
            _bar(bar, start + place * (ROW + GAP), left, x_of)
            for place, bar in enumerate(group.bars)
        ],
    )


def _bar(bar, y, left, x_of):
    goal, words = None, f"{bar.value:.3g}"
    end = x_of(bar.value)
    if bar.goal is not None:
        at = x_of(bar.goal)
        goal = element("path", d=f"M{at:.1f} {y - 3}v{ROW + 6}", stroke=SECOND, stroke_width=3)
        words += f" (goal {bar.goal:g}{'' if bar.value >= bar.goal else ', missed'})"
        end = max(end, at)
    return (
        svg_text(bar.name, left - 8, y + 13, fill=INK, font_size=12, text_anchor="end"),
        element("rect", x=f"{left:.1f}", y=y, width=f"{x_of(bar.value) - left:.1f}", height=ROW,
                fill=FIRST),
        goal,
        svg_text(words, end + 7, y + 13, fill=INK, font_size=12),
    )  # fmt: skip
