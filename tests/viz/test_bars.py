from xml.etree import ElementTree

import pytest

from i3d_tf.viz.bars import Bar, BarGroup, bars_svg


def lengths(svg):
    tree = ElementTree.fromstring(svg)
    rects = [r for r in tree.iter() if r.tag.endswith("rect") and r.get("height") == "18"]
    return [float(r.get("width")) for r in rects]


def test_bars_svg_of_one_unit_have_one_scale_whatever_their_goals():
    groups = [
        BarGroup("fast", "times", (Bar("a", 27.9, 20.0), Bar("b", 11.5, 3.5))),
        BarGroup("slow", "times", (Bar("c", 2.79),)),
        BarGroup("other", "seconds", (Bar("d", 2.79),)),
    ]
    a, b, c, d = lengths(bars_svg(groups, "ratios", "A sentence."))
    assert a / b == pytest.approx(27.9 / 11.5, rel=0.01)
    assert a / c == pytest.approx(10, rel=0.01)
    assert d > 5 * c


def test_bars_svg_says_which_goals_are_missed():
    bars = (Bar("a & b", 0.9, 1.0), Bar("c", 1.0, 1.0), Bar("d", 0.5))
    svg = bars_svg([BarGroup("x", "share", bars)], "ratios", "Two < three.")
    texts = [text.text for text in ElementTree.fromstring(svg).iter() if text.tag.endswith("text")]
    assert {"a & b", "0.9 (goal 1, missed)", "1 (goal 1)", "0.5", "Two < three."} <= set(texts)
    assert "goal: at least" in texts
    assert "ratios. Two &lt; three. a &amp; b: 0.9; c: 1; d: 0.5" in svg


def test_bars_svg_without_goals_has_no_legend_of_them():
    svg = bars_svg([BarGroup("x", "ms", (Bar("a", 0.0), Bar("b", 1.0)))], "costs", "None.")
    assert "goal" not in svg
    assert lengths(svg)[0] == 0


@pytest.mark.parametrize("bars", [(), (Bar("a", -1.0),), (Bar("a", 1.0, -1.0),)])
def test_bars_svg_refuses_negative_numbers_and_none(bars):
    with pytest.raises(ValueError, match="`groups` must have numbers of at least 0"):
        bars_svg([BarGroup("x", "ms", bars)], "ratios", "None.")
