"""Maps of points as SVG, whose pictures are shown under the pointer, without a script."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from i3d_tf.viz.markup import Markup, element
from i3d_tf.viz.svg import shorten, svg_text

SIZE, MARGIN = 760, 16  # pixels of the map, and of its border
RADIUS = 5
KEY_ROW, KEY_WIDTH, MAX_KEY = 18, 190, 24  # of the names of groups: pixels, pixels, characters
PICTURE_HEIGHT = 96
MAX_TITLE = 60  # characters
# Hues far from each other come first.
HUES = (212, 22, 130, 285, 48, 178, 340, 90, 240, 5, 155, 310)
STYLE = Markup(
    ".point .shown{visibility:hidden;pointer-events:none}"
    ".point:hover .shown,.point:focus .shown{visibility:visible}"
    ".points:has(.point:hover) .point:not(:hover){opacity:.18}"
    ".point:focus{outline:none}.point:hover .dot,.point:focus .dot{stroke:var(--text,#222)}"
)


class MapPoint(NamedTuple):
    """A point of a map.

    Attributes:
        x: Its place, in any unit.
        y: The same, upwards.
        group: Index of its group.
        title: A line of text that is shown with it.
        is_filled: False for a ring in place of a disc.
        picture: Address of a picture, or None.
        width: Pixels of the picture, which is `PICTURE_HEIGHT` high.
    """

    x: float
    y: float
    group: int
    title: str
    is_filled: bool = True
    picture: str | None = None
    width: int = 0


def point_map_svg(
    points: Sequence[MapPoint], groups: Sequence[str], heading: str, kinds: tuple[str, str]
) -> Markup:
    """Draws points in the colours of their groups; under the pointer, each shows its picture.

    Args:
        points: One or more.
        groups: Names of the groups.
        heading: Text for screen readers.
        kinds: Names of the discs and of the rings.

    Returns:
        Markup of one <svg> element.

    Raises:
        ValueError: There are no points.
    """
    if not points:
        raise ValueError("`points` must be one or more; received none.")
    places = _places(np.array([[point.x, -point.y] for point in points], float))
    columns = max(1, SIZE // KEY_WIDTH)
    height = SIZE + KEY_ROW * (math.ceil(len(groups) / columns) + 2)
    return element(
        "svg",
        element("title", heading),
        element("style", STYLE),
        element("rect", width=SIZE, height=height, fill="var(--card,#fff)"),
        [_key(number, name, columns) for number, name in enumerate(groups)],
        svg_text(
            f"Discs: {kinds[0]}. Rings: {kinds[1]}.", MARGIN, height - 8, fill="var(--muted,#667)"
        ),
        element(
            "g",
            [_point(*pair) for pair in zip(points, places.tolist(), strict=True)],
            class_="points",
        ),
        viewBox=f"0 0 {SIZE} {height}",
        width=SIZE,
        height=height,
        role="img",
        aria_label=heading,
        style="font-family:system-ui,sans-serif;max-width:100%;height:auto",
        xmlns="http://www.w3.org/2000/svg",
    )


def colour(group: int) -> str:
    """Returns the colour of a group; of many groups, later ones are lighter or darker."""
    lightness = (48, 64, 34)[group // len(HUES) % 3]
    return f"hsl({HUES[group % len(HUES)]} 70% {lightness}%)"


def _places(values):
    """Returns places within the map, both axes on one scale."""
    low, high = values.min(axis=0), values.max(axis=0)
    scale = (SIZE - 2 * MARGIN) / max(float((high - low).max()), 1e-9)
    return (values - (low + high) / 2) * scale + SIZE / 2


def _key(number, name, columns):
    x = MARGIN + number % columns * KEY_WIDTH
    y = SIZE + KEY_ROW * (number // columns + 1)
    return (
        element("circle", cx=x, cy=y - 4, r=RADIUS, fill=colour(number)),
        svg_text(shorten(name, MAX_KEY), x + 10, y, fill="var(--text,#222)", font_size=12),
    )


def _point(point, place):
    x, y = place
    ink = colour(point.group)
    dot = element(
        "circle",
        cx=f"{x:.1f}",
        cy=f"{y:.1f}",
        r=RADIUS,
        fill=ink if point.is_filled else "var(--card,#fff)",
        stroke=ink,
        stroke_width=1.6,
        class_="dot",
    )
    return element("g", dot, _shown(point, x, y), class_="point", tabindex=0)


def _shown(point, x, y):
    """Draws what is shown under the pointer, beside the point and within the map."""
    title = shorten(point.title, MAX_TITLE)
    width = max(point.width, 7 * len(title) + 12)
    height = 24 + (PICTURE_HEIGHT + 6 if point.picture is not None else 0)
    left = min(max(4.0, x - width / 2), max(4.0, SIZE - width - 4.0))
    top = y + 12 if y < SIZE / 2 else y - 12 - height
    return element(
        "g",
        element(
            "rect",
            x=f"{left:.1f}",
            y=f"{top:.1f}",
            width=width,
            height=height,
            rx=4,
            fill="var(--card,#fff)",
            stroke="var(--line,#ccc)",
        ),
        None
        if point.picture is None
        else element(
            "image",
            href=point.picture,
            x=f"{left + (width - point.width) / 2:.1f}",
            y=f"{top + 4:.1f}",
            width=point.width,
            height=PICTURE_HEIGHT,
        ),
        svg_text(title, left + 6, top + height - 8, fill="var(--text,#222)", font_size=12),
        class_="shown",
    )
