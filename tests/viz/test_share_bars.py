"""Bars whose lengths and ends are known."""

from xml.etree import ElementTree as ET

import pytest

from i3d_tf.viz.share_bars import Share, share_bars_svg

SVG = "{http://www.w3.org/2000/svg}"
FULL = 680 - 216 - 56  # pixels of 100 %


def test_bars_are_as_long_as_their_shares():
    groups = {
        "as <is>": {"a": Share(1, 1, 1), "b": Share(0.5, 0.25, 0.75)},
        "other": {"b": Share(0, 0, 0)},
    }
    tree = ET.fromstring(share_bars_svg(groups, "Accuracy", mark=("chance", 0.5)))
    bars = {r.find(f"{SVG}title").text: r for r in tree.iter(f"{SVG}rect") if len(r)}
    lengths = [float(bar.get("width")) for bar in tree.iter(f"{SVG}rect") if len(bar)]
    assert lengths == [FULL, FULL / 2, 0]
    assert set(bars) == {"a: 100.0 %", "b: 50.0 %", "b: 0.0 %"}
    texts = [text.text for text in tree.iter(f"{SVG}text")]
    assert {"as <is>", "other", "chance", "a", "b", "40 %"} <= set(texts)
    intervals = [path for path in tree.iter(f"{SVG}path") if path.get("d").count("M") == 3]
    assert len(intervals) == 1
    assert intervals[0].get("d").startswith(f"M{216 + FULL / 4:.1f} ")
    assert "as <is>: a 100.0 %, b 50.0 %; other: b 0.0 %" in tree.find(f"{SVG}title").text


@pytest.mark.parametrize(
    "groups",
    [
        {},
        {"g": {}},
        {"g": {"a": Share(1.1, 1, 1)}},
        {"g": {"a": Share(0, -1, 0)}},
        {"g": dict.fromkeys("abcd", Share(0, 0, 0))},
    ],
)
def test_other_bars_are_refused(groups):
    with pytest.raises(ValueError, match="`groups` must have"):
        share_bars_svg(groups, "Accuracy")
