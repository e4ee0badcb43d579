"""SVG pictures: the parts that several charts share."""

from typing import Any

from i3d_tf.viz.markup import Markup, element

INK, MUTED = "#222", "#667"  # colours of text


def svg_picture(description: str, width: float, height: float, *children: Any) -> Markup:
    """Returns an SVG picture on a white background.

    Args:
        description: Text for screen readers.
        width: Pixels.
        height: Pixels.
        children: Its elements; see `element`.
    """
    return element(
        "svg",
        element("title", description),
        element("rect", width=width, height=height, fill="white"),
        *children,
        viewBox=f"0 0 {width} {height}",
        role="img",
        xmlns="http://www.w3.org/2000/svg",
        font_family="system-ui, sans-serif",
    )


def svg_text(words: str, x: float, y: float, **attributes: Any) -> Markup:
    """Returns a `<text>` element, 11 pixels high and muted unless the attributes say otherwise."""
    style = {"fill": MUTED, "font_size": 11, **attributes}
    return element("text", words, x=f"{x:.1f}", y=f"{y:.1f}", **style)


def shorten(name: str, length: int) -> str:
    """Returns a name, its end replaced by an ellipsis where it is longer than `length`."""
    return name if len(name) <= length else name[: length - 1] + "…"
