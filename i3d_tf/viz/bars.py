"""Bar charts of ratios as SVG, each bar with the mark that it is measured against."""

from collections.abc import Sequence

from i3d_tf.viz.markup import Markup, element
from i3d_tf.viz.svg import INK, svg_picture, svg_text

WIDTH = 640  # pixels
LEFT, RIGHT, TOP, BOTTOM = 250, 70, 40, 14  # margins
ROW, GAP = 20, 8  # pixels
COLOUR, MARK = "#2563b0", "#b4480f"


def bars_svg(rows: Sequence[tuple[str, float, float | None]], title: str) -> Markup:
    """Draws one horizontal bar a row, each on a scale of its own, on which its mark is 1.

    Args:
        rows: (name, value, mark): a positive number and the number it is to reach, or None; bars
            without a mark are drawn against the longest of them.
        title: What the ratios are.

    Returns:
        Markup of one <svg> element, with a white background.

    Raises:
        ValueError: There are no rows, or a number is not positive.
    """
    if not rows or min(n for _, *pair in rows for n in pair if n is not None) <= 0:
        raise ValueError(f"`rows` must be (name, value > 0, mark > 0 or None); received {rows!r}.")
    height = TOP + len(rows) * (ROW + GAP) + BOTTOM
    longest = max((value for _, value, mark in rows if mark is None), default=1.0)
    reach = max((value / mark for _, value, mark in rows if mark is not None), default=1.0)
    scale = (WIDTH - LEFT - RIGHT) / max(reach, 1.0)
    values = "; ".join(f"{name}: {value:.3g}" for name, value, _ in rows)
    return svg_picture(
        f"{title}: {values}",
        WIDTH,
        height,
        svg_text(title, 8, 22, fill=INK, font_size=13, font_weight=600),
        [_bar(place, row, scale, longest) for place, row in enumerate(rows)],
    )


def _bar(place, row, scale, longest):
    name, value, mark = row
    y = TOP + place * (ROW + GAP)
    length = value / (mark or longest) * scale
    at = LEFT + scale
    return (
        svg_text(name, LEFT - 8, y + 14, fill=INK, text_anchor="end"),
        element(
            "rect", x=LEFT, y=y, width=f"{length:.1f}", height=ROW, fill=COLOUR, fill_opacity=0.8
        ),
        svg_text(f"{value:.3g}", LEFT + length + 6, y + 14, fill=INK),
        mark and element("path", d=f"M{at:.1f} {y - 3}V{y + ROW + 3}", stroke=MARK, stroke_width=2),
    )
