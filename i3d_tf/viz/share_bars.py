"""Bar charts of shares as SVG: groups of bars on one scale from 0 to 100 %, with intervals."""

from collections.abc import Mapping
from typing import NamedTuple

from i3d_tf.viz.markup import Markup, element
from i3d_tf.viz.svg import svg_text

WIDTH = 680  # pixels
LEFT, RIGHT, TOP, BOTTOM = 216, 56, 78, 30  # margins
BAR, GAP = 14, 12  # pixels: of a bar, and between groups
GRID = 5  # lines from 0 to 100 %
TEXT, MUTED, LINE = "var(--text,#222)", "var(--muted,#667)", "var(--line,#ddd)"
CARD = "var(--card,#fff)"
COLOURS = ("var(--correct,#2563b0)", "var(--wrong,#b4480f)", MUTED)


class Share(NamedTuple):
    """One bar.

    Attributes:
        value: Within [0, 1].
        low: Lower end of its interval.
        high: Upper end of its interval.
    """

    value: float
    low: float
    high: float


def share_bars_svg(
    groups: Mapping[str, Mapping[str, Share]],
    title: str,
    mark: tuple[str, float] | None = None,
) -> Markup:
    """Draws a horizontal bar for each share, those of a group one below the other.

    A page can set the colours by the CSS variables --card, --text, --muted, --line, --correct and
    --wrong.

    Args:
        groups: Name of a group to name of a bar to its share; at most three names of bars in all.
        title: What the shares are.
        mark: Name and value of a share that all are compared with, drawn as a dashed line.

    Returns:
        Markup of one <svg> element.

    Raises:
        ValueError: There are no bars, or too many of a group, or a share is outside of [0, 1].
    """
    names = list(dict.fromkeys(name for bars in groups.values() for name in bars))
    if not names or len(names) > len(COLOURS):
        raise ValueError(f"`groups` must have 1..{len(COLOURS)} names of bars; received {names}.")
    values = [value for bars in groups.values() for share in bars.values() for value in share]
    if min(values) < 0 or max(values) > 1:
        raise ValueError(f"`groups` must have shares within 0..1; received {min(values)}.")
    tops, height = [], float(TOP)
    for bars in groups.values():
        tops.append(height)
        height += BAR * len(bars) + GAP
    bottom = height
    height += BOTTOM
    return element(
        "svg",
        element("title", f"{title}. {_description(groups)}"),
        element("rect", width=WIDTH, height=f"{height:g}", fill=CARD),
        svg_text(title, 8, 20, fill=TEXT, font_size=14, font_weight=600),
        [_key(name, number, names) for number, name in enumerate(names)],
        [_grid(k / GRID, bottom) for k in range(GRID + 1)],
        None if mark is None else _mark(*mark, bottom),
        [_group(*group, top, names) for group, top in zip(groups.items(), tops, strict=True)],
        viewBox=f"0 0 {WIDTH} {height:g}",
        role="img",
        class_="shares",
        style="font-family:system-ui,sans-serif;max-width:100%;height:auto",
        width=WIDTH,
        height=f"{height:g}",
        xmlns="http://www.w3.org/2000/svg",
    )


def _x(share):
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _key(name, number, names):
    x = LEFT + sum(34 + 7 * len(other) for other in names[:number])
    return (
        element("rect", x=x, y=34, width=12, height=12, rx=2, fill=COLOURS[number]),
        svg_text(name, x + 18, 44, fill=TEXT, font_size=12),
    )


def _grid(share, bottom):
    x = _x(share)
    return (
        element("path", d=f"M{x:.1f} {TOP - 6}V{bottom:.1f}", stroke=LINE, fill="none"),
        svg_text(f"{100 * share:.0f} %", x, bottom + 16, fill=MUTED, text_anchor="middle"),
    )


def _mark(name, share, bottom):
    x = _x(share)
    return (
        element("path", d=f"M{x:.1f} {TOP - 6}V{bottom:.1f}", stroke=TEXT, stroke_dasharray="4 3"),
        svg_text(name, x, TOP - 9, fill=TEXT, text_anchor="middle"),
    )


def _group(title, bars, top, names):
    middle = top + BAR * len(bars) / 2 + 4
    return (
        svg_text(title, LEFT - 10, middle, fill=TEXT, font_size=12.5, text_anchor="end"),
        [
            _bar(name, share, top + BAR * place, names)
            for place, (name, share) in enumerate(bars.items())
        ],
    )


def _bar(name, share, y, names):
    middle, end = y + BAR / 2, _x(share.value)
    low, high = _x(share.low), _x(share.high)
    interval = f"M{low:.1f} {middle:.1f}H{high:.1f}M{low:.1f} {middle - 3:.1f}v6M{high:.1f} "
    return (
        element(
            "rect",
            element("title", f"{name}: {100 * share.value:.1f} %"),
            x=LEFT,
            y=f"{y + 1:.1f}",
            width=f"{end - LEFT:.1f}",
            height=BAR - 2,
            rx=1,
            fill=COLOURS[names.index(name)],
        ),
        element("path", d=f"{interval}{middle - 3:.1f}v6", stroke=TEXT, fill="none")
        if share.high > share.low
        else None,
        svg_text(
            f"{100 * share.value:.1f}",
            max(end, high) + 5,
            middle + 4,
            fill=TEXT,
            font_size=10.5,
            stroke=CARD,
            stroke_width=3,
            paint_order="stroke",  # so that no line crosses it
        ),
    )


def _description(groups):
    """Returns the shares as text, for screen readers."""
    return "; ".join(
        f"{title}: {', '.join(f'{name} {100 * share.value:.1f} %' for name, share in bars.items())}"
        for title, bars in groups.items()
    )
