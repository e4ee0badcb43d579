from xml.etree import ElementTree

import numpy as np
import pytest

from i3d_tf.viz.interval_timeline import TimelineRow, curve_parts, interval_timeline_svg

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<run> & \"'"


def drawn(rows, times=(0.0, 5.0, 10.0), **more):
    return ElementTree.fromstring(interval_timeline_svg(np.array(times), rows, 10.0, "a", **more))


def test_curve_parts_cut_a_curve_at_the_edges_of_intervals():
    parts = curve_parts(np.array([0.0, 4.0]), np.array([0.0, 4.0]), [(1.0, 2.0)])
    assert parts == [
        (False, [(0, 0), (1, 1)]),
        (True, [(1, 1), (2, 2)]),
        (False, [(2, 2), (4, 4)]),
    ]


def test_curve_parts_of_overlapping_intervals_are_one():
    parts = curve_parts(np.array([0.0, 9.0]), np.zeros(2), [(-1.0, 4.0), (3.0, 9.0)])
    assert [is_true for is_true, _ in parts] == [True]
    assert curve_parts(np.array([3.0]), np.zeros(1), [(3.0, 3.0)]) == [(True, [(3, 0)])]


def test_interval_timeline_svg_places_bars_by_seconds():
    tree = drawn([TimelineRow("x", np.zeros(3), ((0.0, 5.0), (5.0, 12.0)))])
    bars = [(float(r.get("x")), float(r.get("width"))) for r in tree.iter(SVG + "rect")]
    # The second ends with the picture, at 10 s.
    assert bars[1][0] == pytest.approx(bars[0][0] + bars[0][1], abs=0.2)
    assert bars[1][1] == pytest.approx(bars[0][1], abs=0.2)


def test_interval_timeline_svg_is_blue_where_the_class_is_true():
    tree = drawn([TimelineRow("x", np.ones(3), ((0.0, 5.0),)), TimelineRow("y", np.ones(3))])
    fills = [p.get("fill") for p in tree.iter(SVG + "path") if p.get("fill-opacity")]
    assert ["correct" in fill for fill in fills] == [True, False, False]


def test_interval_timeline_svg_escapes_and_shortens_names():
    name = HOSTILE * 9
    text = interval_timeline_svg(np.zeros(1), [TimelineRow(name, np.zeros(1))], 1.0, HOSTILE)
    tree = ElementTree.fromstring(text)
    assert name in [title.text for title in tree.iter(SVG + "title")]
    assert "<run>" not in text


def test_interval_timeline_svg_of_an_hour_is_not_long():
    times = np.arange(90_000) / 25
    text = interval_timeline_svg(times, [TimelineRow("x", times % 1, ((9.0, 99.0),))], 3600.0, "a")
    assert len(text) < 40_000


@pytest.mark.parametrize("rows", [[], [TimelineRow("x", np.zeros(2))]])
def test_interval_timeline_svg_refuses_shapes_that_do_not_match(rows):
    with pytest.raises(ValueError, match=r"a time line must have|`rows` must have 3 values"):
        drawn(rows)
