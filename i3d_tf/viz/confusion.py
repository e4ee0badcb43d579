"""Confusion matrices as SVG."""

import unicodedata
from collections.abc import Sequence

import numpy as np

from i3d_tf.viz.markup import Markup, element
from i3d_tf.viz.svg import shorten

CELL = 34  # pixels, the side of a cell
LABEL_SIZE = 12  # pixels
CHARACTER = 0.62  # width of a character, of the font's size; those of East Asia are twice as wide
TITLE_ROOM = 20  # pixels beside the names, for the title of an axis
ALONG, DOWN = 120, 80  # pixels, the lengths of the titles
MAX_LABEL = 26  # characters; longer names are cut, and whole in the titles
STRONG = 0.78  # share of a row from which on a cell is so dark that its number is drawn light


def confusion_svg(
    matrix: np.ndarray, class_names: Sequence[str], heading: str = "Confusion matrix"
) -> Markup:
    """Draws a confusion matrix: rows are the true classes, columns the predicted ones.

    The more of a row's clips a cell holds, the stronger it is filled. A page can set the colours by
    the CSS variables --text, --muted, --line, --correct-fill, --wrong-fill and --on-fill.

    Args:
        matrix: Counts (classes, classes), rows true.
        class_names: One name a class.
        heading: Text for screen readers.

    Returns:
        Markup of one <svg> element; every cell that is not empty has a <title> with its count.

    Raises:
        ValueError: The matrix is not (classes, classes) with one name a class.
    """
    matrix = np.asarray(matrix)
    classes = len(class_names)
    if matrix.shape != (classes, classes) or not classes:
        raise ValueError(
            f"`matrix` must be ({classes}, {classes}), one row for each class name; "
            f"received {matrix.shape}."
        )
    labels = [shorten(name, MAX_LABEL) for name in class_names]
    room = 14 + LABEL_SIZE * CHARACTER * max(map(_width, labels))
    margin, top = room + TITLE_ROOM, max(room * 0.72 + 8, DOWN / 2) + TITLE_ROOM
    # Column names lean to the right, beyond the last column.
    width = margin + max(classes * CELL + room * 0.72, ALONG)
    height = top + max(classes * CELL, (classes * CELL + DOWN) / 2) + 4
    return element(
        "svg",
        element("title", heading),
        _axis_titles(classes, margin, top),
        _grid(classes, margin, top),
        [
            _names(k, *names, margin, top)
            for k, names in enumerate(zip(class_names, labels, strict=True))
        ],
        [
            _cell(int(i), int(j), matrix, class_names, margin, top)
            for i, j in np.argwhere(matrix > 0)
        ],
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        width=f"{width:.0f}",
        height=f"{height:.0f}",
        role="img",
        aria_label=heading,
        class_="confusion",
        style="font-family:inherit",
        xmlns="http://www.w3.org/2000/svg",
    )


def _axis_titles(classes, margin, top):
    style = {"fill": "var(--muted,#667)", "font_size": LABEL_SIZE, "font_weight": 600}
    x, y = 12, top + classes * CELL / 2
    return (
        element("text", "Predicted class", x=f"{margin:.1f}", y=14, **style),
        element(
            "text",
            "True class",
            x=x,
            y=f"{y:.1f}",
            transform=f"rotate(-90 {x} {y:.1f})",
            text_anchor="middle",
            **style,
        ),
    )


def _grid(classes, margin, top):
    # One path for all lines: a hundred classes would else be ten thousand rectangles.
    side = classes * CELL
    rows = "".join(f"M{margin:.1f} {top + k * CELL:.1f}h{side}" for k in range(classes + 1))
    columns = "".join(f"M{margin + k * CELL:.1f} {top:.1f}v{side}" for k in range(classes + 1))
    return element("path", d=rows + columns, stroke="var(--line,#ddd)", fill="none")


def _width(label):
    """Returns the width of a label in characters of Latin scripts."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in label)


def _names(k, name, short, margin, top):
    middle = (k + 0.5) * CELL
    x, y = margin + middle + 4, top - 8
    style = {"fill": "var(--text,#222)", "font_size": LABEL_SIZE}
    row_y = f"{top + middle + LABEL_SIZE * 0.36:.1f}"
    title = element("title", name) if short != name else None
    return (
        element("text", short, title, x=f"{margin - 8:.1f}", y=row_y, text_anchor="end", **style),
        element(
            "text",
            short,
            title,
            x=f"{x:.1f}",
            y=f"{y:.1f}",
            transform=f"rotate(-45 {x:.1f} {y:.1f})",
            **style,
        ),
    )


def _cell(i, j, matrix, class_names, margin, top):
    clips, total = int(matrix[i, j]), int(matrix[i].sum())
    share = clips / total
    fill = "var(--correct-fill,#2563b0)" if i == j else "var(--wrong-fill,#b4480f)"
    ink = "var(--on-fill,#fff)" if share >= STRONG else "var(--text,#222)"
    words = "correct" if i == j else f"predicted as {class_names[j]}"
    x, y = margin + j * CELL, top + i * CELL
    return element(
        "g",
        element("title", f"{class_names[i]}: {clips} of {total} {words}"),
        element(
            "rect",
            x=f"{x + 1:.1f}",
            y=f"{y + 1:.1f}",
            width=CELL - 2,
            height=CELL - 2,
            rx=3,
            fill=fill,
            fill_opacity=f"{0.2 + 0.8 * share:.3f}",  # one clip of many stays visible
        ),
        element(
            "text",
            f"{clips:d}",
            x=f"{x + CELL / 2:.1f}",
            y=f"{y + CELL / 2 + LABEL_SIZE * 0.36:.1f}",
            text_anchor="middle",
            font_size=LABEL_SIZE if clips < 1000 else LABEL_SIZE - 3,
            fill=ink,
        ),
    )
