import re
from xml.etree import ElementTree

import pytest

from i3d_tf.viz.scatter import LEFT, LEFT_OF, Point, decades, name_places, scatter_svg

POINTS = [
    Point("(a)", "before", (1.0, 10.0), (0.0,)),
    Point("(b)", "before", (10.0, 10.0), (0.4, 0.6)),
    Point("(b)", "after", (100.0, 10.0), (1.0, 1.0)),
]


def circles(svg):
    """(x, y) of the points of the first panel, after those of the key."""
    tree = ElementTree.fromstring(svg)
    panel = tree.find("{*}g")
    return [
        (float(c.get("cx")), float(c.get("cy"))) for c in panel.iter() if c.tag.endswith("circle")
    ]


def test_scatter_svg_has_a_logarithmic_axis_and_shows_means():
    (x1, y1), (x2, y2), (x3, y3) = circles(scatter_svg(POINTS, ("millions", "billions"), "A title"))
    assert x2 - x1 == pytest.approx(x3 - x2 - 6, abs=0.2)  # 6: the second group is moved aside
    assert y2 == pytest.approx((y1 + y3) / 2)
    assert y1 > y3  # 0 % is below 100 %


def test_scatter_svg_has_a_description_and_panels():
    svg = scatter_svg(POINTS, ("millions", "billions"), "A <title>")
    assert "A &lt;title&gt;. (a) before: 0.0%; (b) before: 50.0%; (b) after: 100.0%" in svg
    assert svg.count("millions") == 1
    assert len(re.findall("<g ", svg)) == 2


def test_scatter_svg_draws_the_spread():
    (_, y1), (_, y2), (_, y3) = circles(svg := scatter_svg(POINTS, ("m", "b"), "A title"))
    height = y1 - y3
    assert f"{y2 + 0.1 * height:.1f}V{y2 - 0.1 * height:.1f}" in svg


def test_name_places_avoid_points_and_other_names():
    alone = name_places(["a"], [(200, 100)], [LEFT_OF])
    assert alone == [(191, 104, "end")]
    beside = name_places(["a", "b"], [(200, 100), (188, 100)], [LEFT_OF, LEFT_OF])
    assert beside == [(209, 104, "start"), (179, 104, "end")]
    between = [(200, 100), (188, 100), (212, 100)]
    assert name_places(["a", "b", "c"], between, [LEFT_OF] * 3)[0] == (200, 91, "middle")


def test_name_places_stay_within_the_panel():
    assert name_places(["a"], [(LEFT + 5, 100)], [LEFT_OF]) == [(LEFT + 14, 104, "start")]


@pytest.mark.parametrize(
    ("low", "high", "marks"),
    [
        (0.5, 40.0, [0.1, 1.0, 10.0, 100.0]),
        (1.0, 1.0, [1.0, 2.0]),
        (2.1, 4.9, [1.0, 2.0, 5.0, 10.0]),
    ],
)
def test_decades_are_round_and_surround_the_values(low, high, marks):
    assert decades(low, high) == marks


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([], r"`points` must be of 1..2 groups; received \[\]"),
        ([Point("a", g, (1.0, 1.0), (0.5,)) for g in "xyz"], "must be of 1..2 groups"),
        ([Point("a", "x", (1.0, 0.0), (0.5,))], "must have a positive cost a panel"),
        ([Point("a", "x", (1.0,), (0.5,))], "must have a positive cost a panel"),
        ([Point("a", "x", (1.0, 1.0), ())], "must have a positive cost a panel"),
    ],
)
def test_scatter_svg_refuses_bad_points(points, message):
    with pytest.raises(ValueError, match=message):
        scatter_svg(points, ("m", "b"), "A title")
