"""Class probabilities over the time of a video as SVG: one row a class, darker where likelier."""

import math
from collections.abc import Sequence

import numpy as np

from i3d_tf.viz.curves import ticks
from i3d_tf.viz.markup import Markup, element
from i3d_tf.viz.svg import EMPTY, FIRST, INK, shorten, svg_paragraph, svg_picture, svg_text

WIDTH = 760  # pixels
RIGHT, TOP, BOTTOM = 16, 34, 40  # margins
KEY = 110  # pixels, the width of the legend
ROW, GAP = 22, 4  # pixels
LETTER = 6.4  # pixels, the mean width of one
MAX_NAME = 32  # letters that are shown
MAX_CELLS = 380  # along time: two pixels each
ROWS = 8
MAX_NAMED = 3  # classes in the sentence


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
    sentence, room = svg_paragraph(_finding(times, probabilities, class_names), 8, 26, WIDTH - 16)
    top = TOP + room
    height = round(top + len(shown) * (ROW + GAP) + BOTTOM)
    start, end = times[0, 0], times[-1, 1]

    def x_of(seconds):
        return left + (seconds - start) / (end - start) * (WIDTH - left - RIGHT)

    return svg_picture(
        f"{title}: {_description(times, probabilities, class_names)}",
        WIDTH,
        height,
        svg_text(title, 8, 20, font_size=13, font_weight=600, fill=INK),
        _key(),
        sentence,
        [
            _row(top + place * (ROW + GAP), name, probabilities[:, k], times, x_of)
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


def _key():
    """Draws the shades of the probabilities 0, 0.25, ... 1."""
    x = WIDTH - RIGHT - KEY
    return (
        svg_text("probability 0", x - 6, 20, text_anchor="end"),
        [
            element("rect", x=x + 18 * k, y=10, width=18, height=12, fill=colour, opacity=opacity)
            for k in range(5)
            for colour, opacity in ((EMPTY, None), (FIRST, k / 4))
        ],
        svg_text("1", x + 96, 20),
    )


def _finding(times, probabilities, class_names):
    """Returns which classes are the most probable, and for how much of the time."""
    best = probabilities.argmax(axis=1)
    edges = _edges(times)
    seconds = np.bincount(best, edges[1:] - edges[:-1], minlength=probabilities.shape[1])
    order = [k for k in np.argsort(-seconds, kind="stable").tolist() if seconds[k] > 0]
    shares = [f"{class_names[k]} for {seconds[k] / seconds.sum():.0%}" for k in order[:MAX_NAMED]]
    more = len(order) - MAX_NAMED
    others = [f"{more} other{'s' * (more > 1)} for the rest"] if more > 0 else []
    changes = int((np.diff(best) != 0).sum())
    return (
        f"Most probable: {', '.join([*shares, *others])} of the time; it changes "
        f"{'once' if changes == 1 else f'{changes:,} times'}."
    )


def _edges(times):
    """Returns where windows, which may overlap, are shown: from half-way after the one before."""
    middles = times.mean(axis=1)
    between = (middles[:-1] + middles[1:]) / 2
    return np.array([times[0, 0], *between, times[-1, 1]])


def _row(y, name, values, times, x_of):
    left, right = x_of(times[0, 0]), x_of(times[-1, 1])
    edges = _edges(times)
    return (
        svg_text(name, left - 8, y + ROW - 7, text_anchor="end", fill=INK),
        element(
            "rect",
            x=f"{left:.1f}",
            y=f"{y:.1f}",
            width=f"{right - left:.1f}",
            height=ROW,
            fill=EMPTY,
        ),
        [
            element(
                "rect",
                x=f"{x_of(start):.1f}",
                y=f"{y:.1f}",
                width=f"{x_of(stop) - x_of(start):.1f}",
                height=ROW,
                fill=FIRST,
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
