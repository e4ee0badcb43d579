from xml.etree import ElementTree

import numpy as np
import pytest

from i3d_tf.viz.class_timeline import class_timeline_svg, leading_classes

NAMES = ("run", "jump", "sit & wait")
TIMES = [(0.0, 1.0), (1.0, 2.0), (2.0, 4.0)]
SHARES = [(0.9, 0.1, 0.0), (0.2, 0.8, 0.0), (0.0, 0.3, 0.7)]


def cells(svg):
    """(x, y, width, opacity) of every coloured cell."""
    tree = ElementTree.fromstring(svg)
    rects = [r for r in tree.iter() if r.tag.endswith("rect") and r.get("fill-opacity")]
    keys = ("x", "y", "width", "fill-opacity")
    return [tuple(float(r.get(key)) for key in keys) for r in rects]


def test_leading_classes_are_ordered_by_time():
    assert leading_classes(np.array(SHARES)) == [0, 1, 2]
    assert leading_classes(np.array(SHARES)[::-1]) == [2, 1, 0]
    assert leading_classes(np.array(SHARES), rows=2) == [0, 1]


def test_class_timeline_svg_opacity_is_probability_and_width_is_time():
    found = cells(class_timeline_svg(TIMES, SHARES, NAMES, "a video"))
    assert [cell[3] for cell in found] == [0.9, 0.2, 0.1, 0.8, 0.3, 0.7]
    run = [cell for cell in found if cell[1] == found[0][1]]
    assert len(run) == 2
    # Edges at 0, half-way between the middles 0.5, 1.5 and 3.0, and at 4 seconds.
    assert run[1][2] / run[0][2] == pytest.approx(1.25, rel=0.01)
    assert run[1][0] == pytest.approx(run[0][0] + run[0][2], abs=0.2)


def test_class_timeline_svg_describes_the_leading_classes():
    svg = class_timeline_svg(TIMES, SHARES, NAMES, "<a> video")
    assert "&lt;a&gt; video: from 0.0 s run; from 1.0 s jump; from 2.0 s sit &amp; wait" in svg
    assert "0 s</text>" in svg
    assert "4 s</text>" in svg


def test_class_timeline_svg_says_for_how_long_a_class_is_the_most_probable():
    svg = class_timeline_svg(TIMES, SHARES, NAMES, "a video")
    # Edges at 0, 1, 2.25 and 4 s.
    words = (
        "Most probable: sit &amp; wait for 44%, jump for 31%, run for 25% of the time; it changes"
    )
    assert f"{words} 2 times." in svg


def test_class_timeline_svg_merges_many_windows():
    count = 11_250
    times = np.arange(count)[:, None] * 0.32 + [0.0, 2.56]
    shares = np.zeros((count, 3))
    shares[np.arange(count), np.arange(count) * 3 // count] = 1.0
    svg = class_timeline_svg(times, shares, NAMES, "an hour")
    assert len(svg) < 100_000
    assert {cell[3] for cell in cells(svg)} >= {1.0}


@pytest.mark.parametrize(
    ("times", "shares"),
    [([], np.zeros((0, 3))), (TIMES, np.zeros((2, 3))), ([(0.0,)], np.zeros((1, 3)))],
)
def test_class_timeline_svg_refuses_shapes_that_do_not_match(times, shares):
    with pytest.raises(ValueError, match=r"`times` must be \(N, 2\) and `probabilities` \(N, cla"):
        class_timeline_svg(times, shares, NAMES, "a video")
