import re
from html.parser import HTMLParser

from i3d_tf.evaluation.html import report_page
from i3d_tf.evaluation.results import report_numbers
from i3d_tf.viz.markup import VOID

HOSTILE = "</script><img src=x onerror=alert(1)> \"'&"


class Outline(HTMLParser):
    """Every element and its attributes, all text, and whether elements were closed in order."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.words, self.open, self.crossed = [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.crossed.append(tag)

    def handle_data(self, data):
        self.words.append(data)


def page_of(evaluation):
    record = report_numbers(evaluation)
    return report_page(record, dict.fromkeys(record["worst"], (None, "not there")))


def test_the_page_is_well_formed_and_shows_every_result(six_clips):
    outline = Outline(page_of(six_clips()))
    assert outline.crossed == []
    assert outline.open == []
    text = " ".join(outline.words)
    for shown in ("50.0%", "83.3%", "3 of 6 videos", "5 of 6 videos", "Two-stream"):
        assert shown in text


def test_the_protocol_stands_beside_the_numbers(six_clips):
    page = page_of(six_clips(logits={"rgb": six_clips().logits["rgb"]}))
    sections = dict(re.findall(r"<section><h2>(\w+).*?</h2>(.*?)</section>", page))
    line = "6 videos, 250 frames, 25 frames/s, 1 crop"
    assert [name for name, section in sections.items() if line in section] == [
        "Results",
        "Confusions",
        "Classes",
        "Worst",
    ]


def test_the_page_needs_nothing_from_elsewhere(six_clips):
    outline = Outline(page_of(six_clips(history={"rgb": [{"step": 1, "loss": 1.0}]})))
    tags = {tag for tag, _ in outline.elements}
    assert tags.isdisjoint({"script", "link", "iframe", "object", "base", "form"})
    addresses = [
        value
        for _, attributes in outline.elements
        for name, value in attributes.items()
        if name in {"src", "href", "srcset", "action", "data"}
    ]
    assert addresses == []
    style = next(words for words in outline.words if ":root" in words)
    assert not re.search(r"url\(|@import", style)


def test_names_and_paths_stay_text(six_clips):
    evaluation = six_clips(
        class_names=(HOSTILE, "jump", "sit"),
        paths=[f"{HOSTILE}{k}" for k in range(6)],
        protocol={HOSTILE: HOSTILE, "checkpoints": {"rgb": {"name": HOSTILE, "sha256": HOSTILE}}},
        data_report={"name": HOSTILE, "missing": [HOSTILE], "unreadable": [[HOSTILE, HOSTILE]]},
        history={"rgb": [{"step": 1, HOSTILE: 1.0}]},
    )
    outline = Outline(page_of(evaluation))
    assert outline.crossed == []
    assert not any("onerror" in attributes for _, attributes in outline.elements)
    assert "img" not in {tag for tag, _ in outline.elements}
    assert HOSTILE in " ".join(outline.words)


def test_what_is_not_text_can_still_be_written(six_clips):
    page = page_of(six_clips(paths=[f"\udcff\x00{k}" for k in range(6)]))
    assert "\ufffd\ufffd4" in page.encode("utf-8").decode("utf-8")


def test_data_is_counted_and_listed(six_clips):
    report = {
        "found": 1200,
        "missing": [f"gone_{k}.mp4" for k in range(300)],
        "unreadable": [{"path": "bad.mp4", "reason": "cut short"}],
        "skipped": [],
        "split": None,
    }
    page = page_of(six_clips(data_report=report))
    assert "Missing (300)" in page
    assert "gone_199.mp4" in page
    assert "gone_200.mp4" not in page
    assert "and 100 more, in report.json" in page
    assert "bad.mp4 · cut short" in page
    assert ">1,200<" in page


def test_checkpoints_stand_in_the_cards(six_clips):
    digest = "0123456789abcdef" * 4
    protocol = {"checkpoints": {"rgb": {"name": "mine", "sha256": digest}, "flow": "other"}}
    page = page_of(six_clips(protocol=protocol))
    assert 'mine <span class="muted mono">0123456789ab</span>' in page
    assert digest in page  # whole, in the table
    assert ">other<" in page


def test_a_name_without_its_split(six_clips):
    assert "<title>mine: 83.3% top-1</title>" in page_of(six_clips(data_report={"name": "mine"}))
    assert "<title>Evaluation: 83.3% top-1</title>" in page_of(six_clips())
