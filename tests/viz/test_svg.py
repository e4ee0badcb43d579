from xml.etree import ElementTree

from i3d_tf.viz.svg import shorten, svg_picture, svg_text


def test_svg_picture_has_description_background_and_children():
    svg = ElementTree.fromstring(svg_picture("a < b", 30, 20, svg_text("text", 1, 2.25)))
    title, background, text = svg
    assert svg.get("viewBox") == "0 0 30 20"
    assert title.text == "a < b"
    assert (background.get("width"), background.get("height")) == ("30", "20")
    assert (text.text, text.get("x"), text.get("y")) == ("text", "1.0", "2.2")


def test_svg_text_attributes_replace_the_style():
    assert 'fill="red" font-size="11"' in svg_text("a", 0, 0, fill="red")


def test_shorten_cuts_names_that_are_too_long():
    assert shorten("swimming", 8) == "swimming"
    assert shorten("swimming", 7) == "swimmi…"
