from xml.etree import ElementTree

import numpy as np
import pytest

from i3d_tf.viz.confusion import CELL, confusion_svg

SVG = "{http://www.w3.org/2000/svg}"
MATRIX = np.array([[3, 1, 0], [0, 0, 0], [0, 2, 2]])
NAMES = ("run", "<sit> & stand", "jump")


def test_confusion_svg_cells_have_counts_and_titles():
    groups = ElementTree.fromstring(confusion_svg(MATRIX, NAMES)).findall(SVG + "g")
    assert [group.find(SVG + "title").text for group in groups] == [
        "run: 3 of 4 correct",
        "run: 1 of 4 predicted as <sit> & stand",
        "jump: 2 of 4 predicted as <sit> & stand",
        "jump: 2 of 4 correct",
    ]
    assert [group.find(SVG + "text").text for group in groups] == ["3", "1", "2", "2"]


def test_confusion_svg_places_and_fills_cells():
    groups = ElementTree.fromstring(confusion_svg(MATRIX, NAMES)).findall(SVG + "g")
    cells = [group.find(SVG + "rect") for group in groups]
    x, y = ([float(cell.get(axis)) for cell in cells] for axis in ("x", "y"))
    assert (x[1] - x[0], y[1] - y[0]) == pytest.approx((CELL, 0), abs=0.11)  # written to 0.1
    assert (x[3] - x[0], y[3] - y[0]) == pytest.approx((2 * CELL, 2 * CELL), abs=0.11)
    opacity = [float(cell.get("fill-opacity")) for cell in cells]
    assert opacity[0] > opacity[2] == opacity[3] > opacity[1] > 0.1
    assert ["correct" in cell.get("fill") for cell in cells] == [True, False, False, True]


def test_confusion_svg_cuts_long_names_except_in_titles():
    name = "a very long name of a class that nobody can read"
    svg = ElementTree.fromstring(confusion_svg([[1]], [name]))
    (row, column) = (t for t in svg.iter(SVG + "text") if t.text.startswith("a very"))
    assert row.text == column.text == "a very long name of a cla…"
    assert row.find(SVG + "title").text == column.find(SVG + "title").text == name


def test_confusion_svg_grows_with_the_classes():
    sizes = []
    for classes in (4, 40):
        svg = confusion_svg(np.eye(classes, dtype=int), ["name"] * classes)
        sizes.append(float(ElementTree.fromstring(svg).get("height")))
    assert sizes[1] - sizes[0] == 36 * CELL


@pytest.mark.parametrize(("shape", "names"), [((2, 3), "ab"), ((3, 3), "ab"), ((0, 0), "")])
def test_confusion_svg_refuses_other_numbers_of_names(shape, names):
    with pytest.raises(ValueError, match=r"`matrix` must be"):
        confusion_svg(np.zeros(shape), tuple(names))


def test_confusion_svg_has_room_for_wide_letters():
    latin, chinese = (
        ElementTree.fromstring(confusion_svg([[1]], [name]))
        for name in ("swimming in a pool", "游泳" * 9)
    )
    assert float(chinese.get("width")) > 1.5 * float(latin.get("width"))


@pytest.mark.parametrize("names", [["a"], ["a very long name"], ["a", "b", "c"]])
def test_confusion_svg_has_room_for_axis_titles(names):
    svg = ElementTree.fromstring(confusion_svg(np.eye(len(names), dtype=int), names))
    texts = {text.text: text for text in svg.iter(SVG + "text")}
    # Bold letters of 12 pixels are about 0.62 as wide.
    along, down = (0.62 * 12 * len(words) for words in ("Predicted class", "True class"))
    assert float(texts["Predicted class"].get("x")) + along < float(svg.get("width"))
    middle = float(texts["True class"].get("y"))
    assert middle - down / 2 > 0
    assert middle + down / 2 < float(svg.get("height"))
