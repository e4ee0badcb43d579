"""Scatter plots of accuracy against cost as SVG: points with their spread, a logarithmic axis."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from i3d_tf.viz.markup import Markup, element
from i3d_tf.viz.svg import (
    FIRST,
    INK,
    LINE,
    MUTED,
    PAPER,
    SECOND,
    svg_paragraph,
    svg_picture,
    svg_text,
)

WIDTH, HEIGHT = 420, 300  # pixels of one panel
LEFT, RIGHT, TOP, BOTTOM = 48, 22, 14, 44  # margins of a panel
GRID = 5  # lines between 0 and 100 %
RADIUS = 5
COLOURS = (FIRST, SECOND)  # of the groups; the second is also hollow
MAX_GROUPS = len(COLOURS)
# Where a name may stand beside its point: (shift to the right, of its base line downwards, anchor).
LEFT_OF, RIGHT_OF = (-9, 4, "end"), (9, 4, "start")
AROUND = (
    *((0, -9, "middle"), (0, 18, "middle")),
    *((7, -6, "start"), (-7, -6, "end"), (7, 14, "start"), (-7, 14, "end")),
)
LETTER = 6.6  # pixels, width of a letter of a name


class Point(NamedTuple):
    """One network.

    Attributes:
        name: A short text that is drawn beside the point.
        group: Name of its group, such as the way its weights were initialized.
        costs: One value for each panel, positive.
        accuracies: Shares in [0, 1]; the point is drawn at their mean, with a line from the
            smallest to the largest.
    """

    name: str
    group: str
    costs: tuple[float, ...]
    accuracies: tuple[float, ...]


def scatter_svg(
    points: Sequence[Point],
    panels: Sequence[str],
    title: str,
    names: Mapping[str, str] | None = None,
) -> Markup:
    """Draws accuracies against costs, one panel beside the other.

    Args:
        points: Of two groups at most.
        panels: Label of each panel's costs, with their unit.
        title: Title of the picture.
        names: Name of a point to a longer one, for a legend.

    Returns:
        Markup of one <svg> element.

    Raises:
        ValueError: There are no points, too many groups, or a cost is not positive.
    """
    groups = list(dict.fromkeys(point.group for point in points))
    if not points or len(groups) > MAX_GROUPS:
        raise ValueError(f"`points` must be of 1..{MAX_GROUPS} groups; received {groups}.")
    for point in points:
        if len(point.costs) != len(panels) or min(point.costs) <= 0 or not point.accuracies:
            raise ValueError(f"`points` must have a positive cost a panel; received {point}.")
    width = WIDTH * len(panels)
    sentence, top = svg_paragraph(_finding(points), LEFT, 26, width - LEFT - RIGHT)
    legend = " · ".join(f"{name} {long}" for name, long in (names or {}).items())
    key, room = svg_paragraph(legend, LEFT, 26 + top + 4, width - LEFT - RIGHT, 11)
    top += 26 + room + 34
    return svg_picture(
        f"{title}. {_description(points)}",
        width,
        round(top + HEIGHT),
        svg_text(title, LEFT, 20, font_size=14, font_weight=600, fill=INK),
        sentence,
        key,
        [_key(group, number, top - 12) for number, group in enumerate(groups)],
        [
            element(
                "g",
                _panel(points, groups, number, label),
                transform=f"translate({number * WIDTH} {top:.1f})",
            )
            for number, label in enumerate(panels)
        ],
    )


def decades(low: float, high: float) -> list[float]:
    """Returns powers of ten from <= low to >= high; where these are few, their 2s and 5s too."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    last = max(last, first + 1)
    marks = [10.0**power for power in range(first, last + 1)]
    if len(marks) > 3:
        return marks
    between = [mark * part for mark in marks[:-1] for part in (2.0, 5.0)]
    marks = sorted((*marks, *between))
    inside = [mark for mark in marks if low / 2.6 <= mark <= high * 2.6]
    return inside if len(inside) > 1 else marks


def _panel(points, groups, panel, label):
    costs = [point.costs[panel] for point in points]
    marks = decades(min(costs), max(costs))
    low, high = min(marks[0], *costs), max(marks[-1], *costs)

    def x_of(cost):
        share = math.log(cost / low) / math.log(high / low)
        return LEFT + 10 + share * (WIDTH - LEFT - RIGHT - 20)

    numbers = [groups.index(point.group) for point in points]
    # Groups are moved aside, so that those of one cost do not hide each other.
    places = [
        (x_of(cost) + (-3, 3)[number], _y(_mean(point)))
        for point, cost, number in zip(points, costs, numbers, strict=True)
    ]
    names = name_places(
        [point.name for point in points], places, [(LEFT_OF, RIGHT_OF)[n] for n in numbers]
    )
    return [
        [_horizontal(k / GRID) for k in range(GRID + 1)],
        [_mark(mark, x_of(mark)) for mark in marks],
        svg_text(label, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, text_anchor="middle", fill=INK),
        [_dot(*each) for each in zip(points, numbers, places, names, strict=True)],
    ]


def name_places(
    names: Sequence[str],
    places: Sequence[tuple[float, float]],
    preferred: Sequence[tuple[float, float, str]],
) -> list[tuple[float, float, str]]:
    """Returns where names stand beside their points, so that few of them lie on anything.

    Args:
        names: Name of each point.
        places: (x, y) of each point.
        preferred: The place of each name where nothing is in its way.

    Returns:
        (x, y, anchor) of each name's base line.
    """
    dots = [(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS) for x, y in places]
    boxes: list[tuple[float, float, float, float]] = []
    chosen = []
    for number, (name, (x, y), first) in enumerate(zip(names, places, preferred, strict=True)):
        others = [*dots[:number], *dots[number + 1 :], *boxes]
        options = []
        for dx, dy, anchor in dict.fromkeys((first, LEFT_OF, RIGHT_OF, *AROUND)):
            box = _text_box(name, x + dx, y + dy, anchor)
            outside = box[0] < LEFT or box[2] > WIDTH or box[3] > HEIGHT - BOTTOM + 4
            hidden = sum(_overlap(box, other) for other in others) + 1000 * outside
            options.append((hidden, box, (x + dx, y + dy, anchor)))
        _, box, place = min(options, key=lambda option: option[0])  # the first of equal ones
        boxes.append(box)
        chosen.append(place)
    return chosen


def _text_box(name, x, y, anchor):
    """Returns the (left, top, right, bottom) of a text."""
    width = LETTER * len(name)
    left = x - {"start": 0, "middle": width / 2, "end": width}[anchor]
    return left, y - 9, left + width, y + 2


def _overlap(box, other):
    """Returns the area that two boxes share."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    return max(0, width) * max(0, height)


def _dot(point, group, place, name_place):
    """Draws a point, its spread, and its name."""
    colour = COLOURS[group]
    (x, y), (name_x, name_y, anchor) = place, name_place
    spread = f"M{x:.1f} {_y(min(point.accuracies)):.1f}V{_y(max(point.accuracies)):.1f}"
    return (
        element("path", d=spread, stroke=colour, stroke_width=2),
        element(
            "circle",
            cx=f"{x:.1f}",
            cy=f"{y:.1f}",
            r=RADIUS,
            fill=(colour, PAPER)[group],
            stroke=colour,
            stroke_width=2,
        ),
        svg_text(
            point.name,
            name_x,
            name_y,
            text_anchor=anchor,
            fill=colour,
        ),
    )


def _key(group, number, y):
    x = LEFT + 4 + 170 * number
    colour = COLOURS[number]
    return (
        element(
            "circle",
            cx=x,
            cy=f"{y:.1f}",
            r=RADIUS,
            fill=(colour, PAPER)[number],
            stroke=colour,
            stroke_width=2,
        ),
        svg_text(group, x + 10, y + 4, fill=colour),
    )


def _y(share):
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _horizontal(share):
    y = _y(share)
    return (
        element("path", d=f"M{LEFT} {y:.1f}H{WIDTH - RIGHT}", stroke=LINE, fill="none"),
        svg_text(f"{100 * share:.0f}%", LEFT - 6, y + 4, text_anchor="end"),
    )


def _mark(value, x):
    return (
        element("path", d=f"M{x:.1f} {HEIGHT - BOTTOM}v4", stroke=MUTED, fill="none"),
        svg_text(f"{value:g}", x, HEIGHT - BOTTOM + 17, text_anchor="middle"),
    )


def _finding(points):
    """Returns which point is the highest, and which the lowest."""

    def words(point):
        return f"{point.name} {point.group} ({_mean(point):.1%})"

    highest, lowest = max(points, key=_mean), min(points, key=_mean)
    if len(points) == 1:
        return f"The only point is {words(highest)}."
    return f"The highest accuracy is that of {words(highest)}, the lowest that of {words(lowest)}."


def _mean(point):
    return sum(point.accuracies) / len(point.accuracies)


def _description(points):
    """Returns the points' means, for screen readers."""
    return "; ".join(f"{p.name} {p.group}: {100 * _mean(p):.1f}%" for p in points)
