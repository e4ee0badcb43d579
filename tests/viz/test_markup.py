from xml.etree import ElementTree

import pytest

from i3d_tf.viz.markup import Markup, element, escape, join

HOSTILE = """<script>alert("x")</script> & 'y'"""


def test_elements_nest():
    cells = (element("td", n) for n in (1, 2))
    assert element("tr", cells, None, class_="row") == '<tr class="row"><td>1</td><td>2</td></tr>'


def test_attributes_are_spelt_as_in_html():
    drawn = element("path", stroke_width=2, for_="a", d=None, hidden=True, open=False)
    assert drawn == '<path stroke-width="2" for="a" hidden></path>'


def test_void_elements_have_no_end():
    assert element("img", alt="") == '<img alt="">'


def test_text_and_attributes_come_back_as_they_were():
    parsed = ElementTree.fromstring(element("p", HOSTILE, title=HOSTILE))
    assert parsed.text == HOSTILE
    assert parsed.get("title") == HOSTILE
    assert list(parsed) == []


def test_markup_is_not_escaped_twice():
    assert element("p", element("b", "<")) == "<p><b>&lt;</b></p>"
    assert join((Markup("<b>"), "<"), ", ") == "<b>, &lt;"


@pytest.mark.parametrize("text", ["\x00", "\x1b", "\x85", "\udcff", "\uffff"])
def test_what_no_document_may_hold_is_replaced(text):
    assert escape(f"a{text}b") == "a\ufffdb"
    escape(f"a{text}b").encode("utf-8")
