"""Training curves as SVG."""

import math
from collections.abc import Mapping, Sequence

from i3d_tf.viz.markup import Markup, element
from i3d_tf.viz.svg import svg_text

WIDTH, HEIGHT = 440, 250  # pixels
LEFT, RIGHT, TOP, BOTTOM = 48, 14, 34, 34  # margins
TICKS = 5  # about as many on each axis
MAX_POINTS = 600  # of a line; more than a picture of this width can show
MUTED = "var(--muted,#667)"
# The second line is also dashed and thinner, for people who do not see colours.
STYLES = (
    {"stroke": "var(--correct,#2563b0)", "stroke_width": 2},
    {"stroke": "var(--wrong,#b4480f)", "stroke_width": 1.6, "stroke_dasharray": "5 3"},
    {"stroke": MUTED, "stroke_width": 1.6, "stroke_dasharray": "1.5 3"},
)


def curves_svg(
    lines: Mapping[str, Sequence[tuple[int, float | None]]], heading: str, share: bool = False
) -> Markup:
    """Draws values over the steps of a training.

    A page can set the colours by the CSS variables --text, --muted, --line, --correct and --wrong.

    Args:
        lines: Name to [(step, value), ...], three names at most; where a value is None, NaN or
            infinite the line has a gap.
        heading: What the values are.
        share: Shows values in [0, 1] as percentages.

    Returns:
        Markup of one <svg> element.

    Raises:
        ValueError: There are too many lines.
    """
    if len(lines) > len(STYLES):
        raise ValueError(f"`lines` must be {len(STYLES)} at most; received {sorted(lines)}.")
    lines = {name: thin(points) for name, points in lines.items()}
    finite = [point for points in lines.values() for point in points if point[1] is not None]
    steps = _axis([step for step, _ in finite], integers=True)
    values = _axis([0.0, 1.0] if share else [value for _, value in finite])
    return element(
        "svg",
        element("title", f"{heading}: {_description(lines, share)}"),
        svg_text(heading, LEFT, 18, fill="var(--text,#222)", font_size=13, font_weight=600),
        [_value_tick(value, values, share) for value in values],
        [_step_tick(step, steps) for step in steps],
        [
            _line(points, steps, values, style)
            for points, style in zip(lines.values(), STYLES, strict=False)
        ],
        _legend(lines),
        None if finite else _text("no finite values", WIDTH / 2, HEIGHT / 2, text_anchor="middle"),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        class_="curves",
        style="font-family:inherit",
        xmlns="http://www.w3.org/2000/svg",
    )


def thin(
    points: Sequence[tuple[int, float | None]], count: int = MAX_POINTS
) -> list[tuple[int, float | None]]:
    """Sorts points by their steps; of too many, each stretch of steps keeps its extremes.

    Args:
        points: [(step, value), ...].
        count: About how many to keep.

    Returns:
        [(step, value), ...]; the value is None where it was not a finite number.
    """
    points = sorted(((step, _finite(value)) for step, value in points), key=lambda p: p[0])
    if len(points) <= count:
        return points
    stretch = math.ceil(4 * len(points) / count)  # each keeps four points at most
    kept = []
    for start in range(0, len(points), stretch):
        part = range(start, min(start + stretch, len(points)))
        finite = ((value, k) for k in part if (value := points[k][1]) is not None)
        ranked = [k for _, k in sorted(finite)]
        kept += sorted({part[0], part[-1], *ranked[:1], *ranked[-1:]})
    return [points[k] for k in kept]


def ticks(low: float, high: float, count: int = TICKS) -> list[float]:
    """Returns about `count` round numbers, the first <= low and the last >= high."""
    if math.isclose(low, high, rel_tol=1e-9):
        low, high = low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    spacing = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))
    first = math.floor(low / spacing + 1e-9)
    last = math.ceil(high / spacing - 1e-9)
    return [float(f"{k * spacing:.12g}") for k in range(first, last + 1)]


def _finite(value):
    return float(value) if value is not None and math.isfinite(value) else None


def _axis(values, integers=False):
    """Returns two or more ticks that cover the values."""
    if not values:
        return [0, 1]
    found = ticks(min(values), max(values))
    if integers:
        found = [tick for tick in found if tick == round(tick)]
    return found if len(found) > 1 else [min(values), min(values) + 1]


def _x(step, steps):
    return LEFT + (step - steps[0]) / (steps[-1] - steps[0]) * (WIDTH - LEFT - RIGHT)


def _y(value, values):
    share = (value - values[0]) / (values[-1] - values[0])
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _text(words, x, y, **attributes):
    return svg_text(words, x, y, **{"fill": MUTED, **attributes})


def _format(value, share):
    return f"{100 * value:.4g}%" if share else f"{value:.4g}"


def _value_tick(value, values, share):
    y = _y(value, values)
    line = f"M{LEFT} {y:.1f}H{WIDTH - RIGHT}"
    return (
        element("path", d=line, stroke="var(--line,#ddd)", fill="none"),
        _text(_format(value, share), LEFT - 6, y + 4, text_anchor="end"),
    )


def _step_tick(step, steps):
    last = step == steps[-1]
    words = f"step {step:,.0f}" if step == steps[0] else f"{step:,.0f}"
    anchor = "end" if last else "start" if step == steps[0] else "middle"
    return _text(words, _x(step, steps), HEIGHT - BOTTOM + 18, text_anchor=anchor)


def _line(points, steps, values, style):
    """Draws a path with gaps where there is no value, and a dot for a value between two gaps."""
    path, dots = [], []
    for k, (step, value) in enumerate(points):
        if value is None:
            continue
        at = f"{_x(step, steps):.1f} {_y(value, values):.1f}"
        joined = k > 0 and points[k - 1][1] is not None
        path.append(f"{'L' if joined else 'M'}{at}")
        if not joined and (k + 1 == len(points) or points[k + 1][1] is None):
            x, y = at.split()
            dots.append(element("circle", cx=x, cy=y, r=3, fill=style["stroke"]))
    line = element("path", d="".join(path), fill="none", stroke_linejoin="round", **style)
    return (line if path else None), dots


def _legend(lines):
    if len(lines) < 2:
        return []
    parts, right = [], WIDTH - RIGHT
    for name, style in reversed(list(zip(lines, STYLES, strict=False))):
        parts.append(_text(name, right, 18, text_anchor="end"))
        right -= 6 * len(name) + 8
        parts.append(element("path", d=f"M{right - 20} 14.5H{right}", fill="none", **style))
        right -= 34
    return parts


def _description(lines, share):
    """Returns the last value of every line, for screen readers."""
    words = []
    for name, points in lines.items():
        finite = [point for point in points if point[1] is not None]
        if finite:
            step, value = finite[-1]
            words.append(f"{name} ends with {_format(value, share)} at step {step:,g}")
        else:
            words.append(f"{name} has no finite values")
    return "; ".join(words)
