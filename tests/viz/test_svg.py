from xml.etree import ElementTree

from i3d_tf.viz.svg import shorten, svg_paragraph, svg_picture, svg_text


def test_svg_picture_has_description_background_and_children():
    svg = ElementTree.fromstring(svg_picture("a < b", 30, 20, svg_text("text", 1, 2.25)))
    title, style, background, text = svg
    assert svg.get("viewBox") == "0 0 30 20"
    assert title.text == "a < b"
    assert "screen and (prefers-color-scheme: dark)" in style.text
    assert (background.get("width"), background.get("height")) == ("30", "20")
    assert (text.text, text.get("x"), text.get("y")) == ("text", "1.0", "2.2")


def test_svg_text_attributes_replace_the_style():
    assert 'fill="red" font-size="11"' in svg_text("a", 0, 0, fill="red")


def test_shorten_cuts_names_that_are_too_long():
    assert shorten("swimming", 8) == "swimming"
    assert shorten("swimming", 7) == "swimmi…"


def test_svg_paragraph_breaks_lines_that_are_too_long():
    lines, height = svg_paragraph("one two three four", 0, 0, 60, font_size=10)
    assert [ElementTree.fromstring(line).text for line in lines] == ["one two", "three four"]
    assert height == 28
