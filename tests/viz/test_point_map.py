"""Maps of three points."""

from xml.etree import ElementTree as ET

import pytest

from i3d_tf.viz.point_map import MARGIN, SIZE, MapPoint, colour, point_map_svg

SVG = "{http://www.w3.org/2000/svg}"


def test_points_are_placed_on_one_scale_with_their_pictures():
    points = [
        MapPoint(0, 0, 0, "a <b>", True, "data:image/jpeg;base64,AA==", 150),
        MapPoint(2, 1, 1, "right", False),
        MapPoint(1, 0.5, 1, "middle"),
    ]
    text = point_map_svg(points, ("one", "two"), "Map", ("test", "train"))
    tree = ET.fromstring(text)
    dots = [circle for circle in tree.iter(f"{SVG}circle") if circle.get("class") == "dot"]
    places = [(float(dot.get("cx")), float(dot.get("cy"))) for dot in dots]
    quarter = (SIZE - 2 * MARGIN) / 4
    assert places == [
        (MARGIN, SIZE / 2 + quarter),  # y is upwards
        (SIZE - MARGIN, SIZE / 2 - quarter),
        (SIZE / 2, SIZE / 2),
    ]
    assert [dot.get("fill") for dot in dots] == [colour(0), "var(--card,#fff)", colour(1)]
    (picture,) = tree.iter(f"{SVG}image")
    assert 0 <= float(picture.get("x")) <= SIZE - 150
    assert "<b>" not in text
    assert "<script" not in text
    assert "Discs: test. Rings: train." in text


def test_groups_have_different_colours():
    assert len({colour(group) for group in range(36)}) == 36


def test_no_point_is_refused():
    with pytest.raises(ValueError, match="one or more"):
        point_map_svg([], (), "Map", ("a", "b"))
