"""SVG pictures: the parts that several charts share."""

import textwrap
from collections.abc import Sequence
from typing import Any

from i3d_tf.viz.markup import Markup, element

PAPER, INK, MUTED, LINE = "#fff", "#222", "#667", "#ddd"
FIRST, SECOND = "#2563b0", "#b4480f"  # colours of two kinds of marks: blue and orange
EMPTY = "#f2f4f7"  # background of a row
# Where a reader has dark colours, each of the colours above is replaced, but not in print. Programs
# that know no style sheets show the others.
_DARK = {
    PAPER: "#1a1f27",
    INK: "#e6e9ee",
    MUTED: "#9aa5b4",
    LINE: "#3a4352",
    FIRST: "#6ea8f0",
    SECOND: "#f0955a",
    EMPTY: "#262d38",
}
_STYLE = Markup(
    f"svg {{--text:{INK};--muted:{MUTED};--line:{LINE};--correct:{FIRST};--wrong:{SECOND}}}"
    "@media screen and (prefers-color-scheme: dark) {"
    f"svg {{--text:{_DARK[INK]};--muted:{_DARK[MUTED]};--line:{_DARK[LINE]};"
    f"--correct:{_DARK[FIRST]};--wrong:{_DARK[SECOND]}}}"
    + "".join(
        f'[{name}="{light}"]{{{name}:{dark}}}'
        for light, dark in _DARK.items()
        for name in ("fill", "stroke")
    )
    + "}"
)
LETTER = 0.52  # mean width of a letter, of the font's size
LEADING = 1.4  # distance of lines, of the font's size


def svg_picture(description: str, width: float, height: float, *children: Any) -> Markup:
    """Returns an SVG picture on a background, white or, for readers with dark colours, dark.

    Args:
        description: Text for screen readers.
        width: Pixels.
        height: Pixels.
        children: Its elements; see `element`. Their colours follow the reader's where they are
            those of this module.
    """
    return element(
        "svg",
        element("title", description),
        element("style", _STYLE),
        element("rect", width=width, height=height, fill=PAPER),
        *children,
        viewBox=f"0 0 {width} {height}",
        role="img",
        xmlns="http://www.w3.org/2000/svg",
        font_family="system-ui, sans-serif",
    )


def captioned_svg(picture: Markup, width: float, height: float, finding: str) -> Markup:
    """Returns a page's picture as one that stands alone, with its own colours and a sentence.

    Args:
        picture: An <svg> element, whose colours are a page's variables.
        width: Pixels of its view box.
        height: Likewise.
        finding: A sentence that says what it shows.
    """
    sentence, room = svg_paragraph(finding, 12, height + 2, width - 24)
    part = element("svg", picture, width=width, height=height)
    return svg_picture(finding, width, round(height + room + 12), part, sentence)


def svg_text(words: str, x: float, y: float, **attributes: Any) -> Markup:
    """Returns a `<text>` element, 11 pixels high and muted unless the attributes say otherwise."""
    style = {"fill": MUTED, "font_size": 11, **attributes}
    return element("text", words, x=f"{x:.1f}", y=f"{y:.1f}", **style)


def svg_paragraph(
    words: str, x: float, y: float, width: float, font_size: int = 12
) -> tuple[Sequence[Markup], float]:
    """Returns lines of text, and the height that they take.

    Args:
        words: The text.
        x: Pixels, its left.
        y: Pixels, its top.
        width: Pixels; lines are broken so that they are not longer.
        font_size: Pixels.
    """
    lines = textwrap.wrap(words, max(1, int(width / (font_size * LETTER))))
    texts = [
        svg_text(line, x, y + font_size * (1 + LEADING * k), fill=INK, font_size=font_size)
        for k, line in enumerate(lines)
    ]
    return texts, font_size * LEADING * len(lines)


def shorten(name: str, length: int) -> str:
    """Returns a name, its end replaced by an ellipsis where it is longer than `length`."""
    return name if len(name) <= length else name[: length - 1] + "…"
