"""Class probabilities over the time of a video as SVG: one row a class, darker where likelier."""

import math
from collections.abc import Sequence

import numpy as np

from i3d_tf.viz.curves import ticks
from i3d_tf.viz.markup import Markup, element
from i3d_tf.viz.svg import INK, shorten, svg_picture, svg_text

WIDTH = 760  # pixels
RIGHT, TOP, BOTTOM = 16, 34, 40  # margins
ROW, GAP = 22, 4  # pixels
LETTER = 6.4  # pixels, the mean width of one
MAX_NAME = 32  # letters that are shown
MAX_CELLS = 380  # along time: two pixels each
ROWS = 8
COLOUR = "#2563b0"


def class_timeline_svg(
    times: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    title: str,
    rows: int = ROWS,
) -> Markup:
    """Draws the classes that are most probable at any time.

    Args:
        times: Float (N, 2), seconds: start and end of each of N windows, in order.
        probabilities: Float (N, classes) in [0, 1].
        class_names: One name a class.
        title: Title of the picture, such as the video's name.
        rows: Classes to show at most.

    Returns:
        Markup of one <svg> element, with a white background.

    Raises:
        ValueError: The shapes do not match, or there is no window.
    """
    times = np.asarray(times, float)
    probabilities = np.asarray(probabilities, float)
    wanted = (len(times), len(class_names))
    if not len(times) or times.shape[1:] != (2,) or probabilities.shape != wanted:
        raise ValueError(
            "`times` must be (N, 2) and `probabilities` (N, classes); received "
            f"{times.shape} and {probabilities.shape} for {len(class_names)} classes."
        )
    times, probabilities = _merge_windows(times, probabilities)
    shown = leading_classes(probabilities, rows)
    names = [shorten(class_names[k], MAX_NAME) for k in shown]
    left = 16 + LETTER * max(map(len, names))
    height = TOP + len(shown) * (ROW + GAP) + BOTTOM
    start, end = times[0, 0], times[-1, 1]

    def x_of(seconds):
        return left + (seconds - start) / (end - start) * (WIDTH - left - RIGHT)

    return svg_picture(
        f"{title}: {_description(times, probabilities, class_names)}",
        WIDTH,
        height,
        svg_text(title, 8, 20, font_size=13, font_weight=600, fill=INK),
        [
            _row(place, name, probabilities[:, k], times, x_of)
            for place, (name, k) in enumerate(zip(names, shown, strict=True))
        ],
        [
            svg_text(f"{tick:g} s", x_of(tick), height - BOTTOM + 18, text_anchor="middle")
            for tick in ticks(start, end)
            if start <= tick <= end
        ],
    )


def leading_classes(probabilities: np.ndarray, rows: int = ROWS) -> list[int]:
    """Returns the numbers of the classes with the highest probabilities at any time.

    Args:
        probabilities: Float (N, classes).
        rows: Classes to return at most.

    Returns:
        Class numbers, ordered by the time of their highest probability.
    """
    highest = probabilities.max(axis=0)
    chosen = np.argsort(-highest, kind="stable")[:rows]
    return sorted(chosen.tolist(), key=lambda k: (int(probabilities[:, k].argmax()), -highest[k]))


def _merge_windows(times, probabilities):
    """Replaces neighboring windows by their mean where there are too many to draw."""
    together = math.ceil(len(times) / MAX_CELLS)
    starts = range(0, len(times), together)
    parts = [slice(k, k + together) for k in starts]
    return (
        np.array([(times[part][0, 0], times[part][-1, 1]) for part in parts]),
        np.array([probabilities[part].mean(axis=0) for part in parts]),
    )


def _row(place, name, values, times, x_of):
    y = TOP + place * (ROW + GAP)
    left, right = x_of(times[0, 0]), x_of(times[-1, 1])
    # Windows may overlap: each is shown from its middle to half-way before the next one's.
    middles = times.mean(axis=1)
    edges = [times[0, 0], *((middles[:-1] + middles[1:]) / 2), times[-1, 1]]
    return (
        svg_text(name, left - 8, y + ROW - 7, text_anchor="end", fill=INK),
        element(
            "rect", x=f"{left:.1f}", y=y, width=f"{right - left:.1f}", height=ROW, fill="#f2f4f7"
        ),
        [
            element(
                "rect",
                x=f"{x_of(start):.1f}",
                y=y,
                width=f"{x_of(stop) - x_of(start):.1f}",
                height=ROW,
                fill=COLOUR,
                fill_opacity=f"{value:.2f}",
            )
            for start, stop, value in zip(edges[:-1], edges[1:], values, strict=True)
            if value >= 0.005
        ],
    )


def _description(times, probabilities, class_names):
    """Returns the times at which the best class changes, for screen readers."""
    best = probabilities.argmax(axis=1)
    starts = [0, *(np.flatnonzero(np.diff(best)) + 1).tolist()]
    return "; ".join(f"from {times[k, 0]:.1f} s {class_names[best[k]]}" for k in starts[:20])
