import re

from i3d_tf.viz.markup import element
from i3d_tf.viz.page import (
    card,
    data_table,
    entries_on_demand,
    facts_table,
    finding,
    html_page,
    note,
    share_cell,
)

HOSTILE = "</script><img src=x onerror=alert(1)> \"'&"


def test_html_page_escapes_every_text():
    page = html_page(
        HOSTILE,
        HOSTILE,
        HOSTILE,
        None,
        card(HOSTILE, note(HOSTILE), finding(HOSTILE), facts_table([(HOSTILE, HOSTILE)], HOSTILE)),
        card("lists", entries_on_demand(HOSTILE, [HOSTILE], HOSTILE)),
        card("tables", data_table(HOSTILE, [HOSTILE], [element("tr", share_cell(0.5, HOSTILE))])),
    )
    assert "<img" not in page
    assert "</script>" not in page
    assert page.count("&lt;img") == 15  # a table's caption is its label, too


def test_html_page_loads_nothing_and_has_its_colours():
    page = html_page("a", "b", "c")
    assert "default-src 'none'" in page.replace("&#x27;", "'")
    assert "prefers-color-scheme: dark" in page
    assert not re.search(r"url\(|@import|<link|<script", page)


def test_share_cell_has_a_bar_as_long():
    assert 'style="width:25.0%"' in share_cell(0.25, "25%")
    assert share_cell(None, "-") == '<td class="share">-</td>'


def test_entries_on_demand_shortens_a_long_list():
    shown = entries_on_demand("Missing", [f"video {k}" for k in range(300)], "report.json")
    assert "Missing (300)" in shown
    assert "video 199" in shown
    assert "video 200" not in shown
    assert "and 100 more, in report.json" in shown
