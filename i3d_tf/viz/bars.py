"""Ratios as horizontal bars, as SVG: each with the mark that it is measured against."""

from i3d_tf.viz.markup import element

WIDTH = 640  # pixels
LEFT, RIGHT, TOP, BOTTOM = 250, 70, 40, 14  # margins
ROW, GAP = 20, 8  # pixels
COLOUR, MARK = "#2563b0", "#b4480f"


def bars_svg(rows, title):
    """Draws one bar a row; every row has a scale of its own, on which the mark is 1.

    Args:
        rows: List of (name, value, mark): a positive number and what it shall reach, or None where
            there is nothing to reach; bars without a mark are drawn against the longest of them.
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
    words = "; ".join(f"{name}: {value:.3g}" for name, value, _ in rows)
    return element(
        "svg",
        element("title", f"{title}: {words}"),
        element("rect", width=WIDTH, height=height, fill="white"),
        _text(title, 8, 22, font_size=13, font_weight=600),
        [_bar(place, row, scale, longest) for place, row in enumerate(rows)],
        viewBox=f"0 0 {WIDTH} {height}",
        role="img",
        xmlns="http://www.w3.org/2000/svg",
        font_family="system-ui, sans-serif",
    )


def _bar(place, row, scale, longest):
    name, value, mark = row
    y = TOP + place * (ROW + GAP)
    length = value / (mark or longest) * scale
    at = LEFT + scale
    return (
        _text(name, LEFT - 8, y + 14, text_anchor="end"),
        element(
            "rect", x=LEFT, y=y, width=f"{length:.1f}", height=ROW, fill=COLOUR, fill_opacity=0.8
        ),
        _text(f"{value:.3g}", LEFT + length + 6, y + 14),
        mark and element("path", d=f"M{at:.1f} {y - 3}V{y + ROW + 3}", stroke=MARK, stroke_width=2),
    )


def _text(words, x, y, **attributes):
    style = {"fill": "#222", "font_size": 11, **attributes}
    return element("text", words, x=f"{x:.1f}", y=f"{y:.1f}", **style)
