"""Which classes a video shows when, as SVG: one row a class, darker where it is more probable."""

import math

import numpy as np

from i3d_tf.viz.curves import ticks
from i3d_tf.viz.markup import element

WIDTH = 760  # pixels
RIGHT, TOP, BOTTOM = 16, 34, 40  # margins
ROW, GAP = 22, 4  # pixels
LETTER = 6.4  # pixels, the mean width of one
LONGEST_NAME = 32  # letters that are shown
MAX_CELLS = 380  # along time: two pixels each
ROWS = 8
COLOUR = "#2563b0"


def timeline_svg(times, probabilities, class_names, title, rows=ROWS):
    """Draws the classes that are most probable at some time.

    Args:
        times: Float (N, 2), seconds: begin and end of each of N windows, in order.
        probabilities: Float (N, classes) in [0, 1].
        class_names: One name a class.
        title: What the picture shows, such as the video's name.
        rows: How many classes to show at most.

    Returns:
        Markup of one <svg> element, with a white background.

    Raises:
        ValueError: The shapes do not go together, or there is no window.
    """
    times = np.asarray(times, float)
    probabilities = np.asarray(probabilities, float)
    wanted = (len(times), len(class_names))
    if not len(times) or times.shape[1:] != (2,) or probabilities.shape != wanted:
        raise ValueError(
            "`times` must be (N, 2) and `probabilities` (N, classes); received "
            f"{times.shape} and {probabilities.shape} for {len(class_names)} classes."
        )
    times, probabilities = _thinned(times, probabilities)
    shown = leading_classes(probabilities, rows)
    names = [_short(class_names[k]) for k in shown]
    left = 16 + LETTER * max(map(len, names))
    height = TOP + len(shown) * (ROW + GAP) + BOTTOM
    begin, end = times[0, 0], times[-1, 1]

    def across(seconds):
        return left + (seconds - begin) / (end - begin) * (WIDTH - left - RIGHT)

    return element(
        "svg",
        element("title", f"{title}: {_in_words(times, probabilities, class_names)}"),
        element("rect", width=WIDTH, height=height, fill="white"),
        _text(title, 8, 20, font_size=13, font_weight=600, fill="#222"),
        [
            _row(place, name, probabilities[:, k], times, across)
            for place, (name, k) in enumerate(zip(names, shown, strict=True))
        ],
        [
            _text(f"{tick:g} s", across(tick), height - BOTTOM + 18, text_anchor="middle")
            for tick in ticks(begin, end)
            if begin <= tick <= end
        ],
        viewBox=f"0 0 {WIDTH} {height}",
        role="img",
        xmlns="http://www.w3.org/2000/svg",
        font_family="system-ui, sans-serif",
    )


def leading_classes(probabilities, rows=ROWS):
    """The classes with the highest probability at any time, in the order in which they lead.

    Args:
        probabilities: Float (N, classes).
        rows: How many at most.

    Returns:
        List of class numbers: those chosen, by the time of their highest probability.
    """
    highest = probabilities.max(axis=0)
    chosen = np.argsort(-highest, kind="stable")[:rows]
    return sorted(chosen.tolist(), key=lambda k: (int(probabilities[:, k].argmax()), -highest[k]))


def _thinned(times, probabilities):
    """Of too many windows, some neighbours become one with their mean."""
    together = math.ceil(len(times) / MAX_CELLS)
    starts = range(0, len(times), together)
    parts = [slice(k, k + together) for k in starts]
    return (
        np.array([(times[part][0, 0], times[part][-1, 1]) for part in parts]),
        np.array([probabilities[part].mean(axis=0) for part in parts]),
    )


def _row(place, name, values, times, across):
    y = TOP + place * (ROW + GAP)
    left, right = across(times[0, 0]), across(times[-1, 1])
    # Windows may overlap: each is shown from its middle to half-way before the next one's.
    middles = times.mean(axis=1)
    edges = [times[0, 0], *((middles[:-1] + middles[1:]) / 2), times[-1, 1]]
    return (
        _text(name, left - 8, y + ROW - 7, text_anchor="end", fill="#222"),
        element(
            "rect", x=f"{left:.1f}", y=y, width=f"{right - left:.1f}", height=ROW, fill="#f2f4f7"
        ),
        [
            element(
                "rect",
                x=f"{across(start):.1f}",
                y=y,
                width=f"{across(stop) - across(start):.1f}",
                height=ROW,
                fill=COLOUR,
                fill_opacity=f"{value:.2f}",
            )
            for start, stop, value in zip(edges[:-1], edges[1:], values, strict=True)
            if value >= 0.005
        ],
    )


def _short(name):
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _text(words, x, y, **attributes):
    style = {"fill": "#667", "font_size": 11, **attributes}
    return element("text", words, x=f"{x:.1f}", y=f"{y:.1f}", **style)


def _in_words(times, probabilities, class_names):
    """The best class of each stretch in which it stays the same, for those who do not see it."""
    best = probabilities.argmax(axis=1)
    starts = [0, *(np.flatnonzero(np.diff(best)) + 1).tolist()]
    return "; ".join(f"from {times[k, 0]:.1f} s {class_names[best[k]]}" for k in starts[:20])
