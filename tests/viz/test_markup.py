from xml.etree import ElementTree

import pytest

from i3d_tf.viz.markup import Markup, element, escape, join

HOSTILE = """<script>alert("x")</script> & 'y'"""


def test_element_nests():
    cells = (element("td", n) for n in (1, 2))
    assert element("tr", cells, None, class_="row") == '<tr class="row"><td>1</td><td>2</td></tr>'


def test_element_writes_attributes_as_html_does():
    drawn = element("path", stroke_width=2, for_="a", d=None, hidden=True, open=False)
    assert drawn == '<path stroke-width="2" for="a" hidden></path>'


def test_element_leaves_void_elements_open():
    assert element("img", alt="") == '<img alt="">'


def test_element_escapes_text_and_attributes():
    parsed = ElementTree.fromstring(element("p", HOSTILE, title=HOSTILE))
    assert parsed.text == HOSTILE
    assert parsed.get("title") == HOSTILE
    assert list(parsed) == []


def test_join_escapes_all_but_markup():
    assert element("p", element("b", "<")) == "<p><b>&lt;</b></p>"
    assert join((Markup("<b>"), "<"), ", ") == "<b>, &lt;"


@pytest.mark.parametrize("text", ["\x00", "\x1b", "\x85", "\udcff", "\uffff"])
def test_escape_replaces_characters_forbidden_in_documents(text):
    assert escape(f"a{text}b") == "a\ufffdb"
    escape(f"a{text}b").encode("utf-8")
