from xml.etree import ElementTree

import pytest

from i3d_tf.viz.bars import bars_svg


def lengths(svg):
    tree = ElementTree.fromstring(svg)
    rects = [r for r in tree.iter() if r.tag.endswith("rect")]
    return [float(r.get("width")) for r in rects[1:]]  # the first is the background


def test_bars_svg_scales_each_bar_by_its_mark():
    found = lengths(bars_svg([("a", 2.0, 1.0), ("b", 20.0, 20.0), ("c", 0.5, 1.0)], "ratios"))
    assert found[0] == pytest.approx(2 * found[1])
    assert found[1] == pytest.approx(2 * found[2])


def test_bars_svg_scales_bars_without_mark_by_the_longest():
    svg = bars_svg([("a & b", 4.0, None), ("c", 1.0, None)], "ratios")
    found = lengths(svg)
    assert found[0] == pytest.approx(4 * found[1])
    assert "ratios: a &amp; b: 4; c: 1" in svg
    assert "<path" not in svg


@pytest.mark.parametrize("rows", [[], [("a", 0.0, None)], [("a", 1.0, -1.0)]])
def test_bars_svg_refuses_numbers_that_are_not_positive(rows):
    with pytest.raises(ValueError, match="`rows` must be"):
        bars_svg(rows, "ratios")
