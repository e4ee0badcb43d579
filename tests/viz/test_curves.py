import math
import re
from xml.etree import ElementTree

import pytest

from i3d_tf.viz.curves import curves_svg, thin, ticks

SVG = "{http://www.w3.org/2000/svg}"


def paths_of(svg, colour):
    """The drawn lines of a colour, as lists of (command, x, y)."""
    found = []
    for path in ElementTree.fromstring(svg).iter(SVG + "path"):
        if colour in path.get("stroke") and path.get("stroke-linejoin"):  # not in the legend
            steps = re.findall(r"([ML])(-?[\d.]+) (-?[\d.]+)", path.get("d"))
            found.append([(command, float(x), float(y)) for command, x, y in steps])
    return found


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0.3, 4.4, [0, 1, 2, 3, 4, 5]),
        (-3, 3, [-4, -2, 0, 2, 4]),
        (0, 115_000, [0, 50_000, 100_000, 150_000]),
        (7, 7, [2, 4, 6, 8, 10, 12]),
        (0, 0, [-0.6, -0.4, -0.2, 0, 0.2, 0.4, 0.6]),
        (0, 4e-15, [0, 1e-15, 2e-15, 3e-15, 4e-15]),
    ],
)
def test_ticks_are_round_and_cover_the_values(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected, rel=1e-9, abs=1e-18)


def test_curves_svg_draws_a_line_from_corner_to_corner():
    (line,) = paths_of(curves_svg({"training": [(0, 0.0), (5, 0.5), (10, 1.0)]}, "loss"), "correct")
    # 440 x 250 pixels with margins of 48, 14, 34 and 34.
    assert line == [("M", 48, 216), ("L", 237, 125), ("L", 426, 34)]


def test_curves_svg_axis_of_shares_is_0_to_100_percent():
    svg = curves_svg({"training": [(0, 0.5), (10, 0.5)]}, "accuracy", share=True)
    (line,) = paths_of(svg, "correct")
    assert [y for _, _, y in line] == [125, 125]  # halfway between 34 and 216
    assert {"0%", "20%", "100%"} <= {t.text for t in ElementTree.fromstring(svg).iter()}


def test_curves_svg_leaves_gaps_at_values_that_are_not_finite():
    points = [(0, 1.0), (1, 2.0), (2, math.nan), (3, 2.0), (4, None), (5, 1.0), (6, 2.0)]
    svg = curves_svg({"training": points}, "loss")
    (line,) = paths_of(svg, "correct")
    assert [command for command, _, _ in line] == ["M", "L", "M", "M", "L"]
    assert len(list(ElementTree.fromstring(svg).iter(SVG + "circle"))) == 1  # the lone value


def test_curves_svg_names_two_lines_in_their_own_styles():
    svg = curves_svg({"training": [(0, 1.0), (1, 2.0)], "validation": [(0, 2.0), (1, 4.0)]}, "loss")
    assert len(paths_of(svg, "correct")) == 1
    assert len(paths_of(svg, "wrong")) == 1
    assert {"training", "validation"} <= {t.text for t in ElementTree.fromstring(svg).iter()}
    title = ElementTree.fromstring(svg).find(SVG + "title").text
    assert title == "loss: training ends with 2 at step 1; validation ends with 4 at step 1"


@pytest.mark.parametrize("points", [[], [(0, math.inf)], [(0, None)]])
def test_curves_svg_says_where_no_value_is_finite(points):
    assert "no finite values" in curves_svg({"training": points}, "loss")


def test_curves_svg_draws_a_single_point_as_a_dot():
    svg = curves_svg({"training": [(7, 3.0)]}, "loss")
    assert len(list(ElementTree.fromstring(svg).iter(SVG + "circle"))) == 1


def test_thin_sorts_points_by_step():
    assert thin([(3, 1.0), (1, 2.0), (2, 3.0)]) == [(1, 2.0), (2, 3.0), (3, 1.0)]


def test_thin_keeps_extremes_and_ends():
    points = [(step, 0.0) for step in range(100_000)]
    points[54_321] = (54_321, 1.0)
    points[70_000] = (70_000, -1.0)
    kept = thin(points, count=600)
    assert len(kept) <= 610
    assert {(0, 0.0), (54_321, 1.0), (70_000, -1.0), (99_999, 0.0)} <= set(kept)
    assert kept == sorted(kept)


def test_curves_svg_refuses_too_many_lines():
    with pytest.raises(ValueError, match="3 at most"):
        curves_svg({name: [] for name in "abcd"}, "loss")


def test_curves_svg_escapes_names():
    svg = curves_svg({"<b>": [(0, 1.0)], "&": [(0, 1.0)]}, "<i>")
    assert {"<b>", "&", "<i>"} <= {t.text for t in ElementTree.fromstring(svg).iter()}
