import re
from html.parser import HTMLParser

import numpy as np
import pytest

from i3d_tf.evaluation.html import (
    Picture,
    classes_section,
    confusion_section,
    errors_section,
    report_page,
    training_section,
)
from i3d_tf.evaluation.measure import measure
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
    results = measure(evaluation)
    return report_page(results, dict.fromkeys(results.errors, Picture(missing="not there")))


def first_cells(section):
    """The first cell of every row of a section's tables."""
    return re.findall(r'<th scope="row"[^>]*>([^<]*)</th>', section)


def rgb_alone(six_clips):
    return six_clips(logits={"rgb": six_clips().logits["rgb"]})


def test_page_is_well_formed_and_shows_every_result(six_clips):
    outline = Outline(page_of(six_clips()))
    assert outline.crossed == []
    assert outline.open == []
    text = " ".join(outline.words)
    for shown in ("50.0%", "83.3%", "3 of 6 videos", "5 of 6 videos", "Two-stream"):
        assert shown in text


def test_protocol_stands_in_one_place(six_clips):
    page = page_of(six_clips())
    sections = dict(re.findall(r"<section><h2>([^<]+)</h2>(.*?)</section>", page))
    assert [name for name, section in sections.items() if ">250<" in section] == [
        "Protocol and data"
    ]
    assert page.count(">250<") == 1


def test_rows_of_the_data_that_say_nothing_are_left_out(six_clips):
    page = page_of(six_clips(data_report={"found": 6, "missing": [], "split": None, "notes": []}))
    assert "No video is missing" in page
    assert not re.search(r">(Missing videos|Split|Notes)<", page)


def test_page_has_its_style_and_loads_nothing(six_clips):
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
    assert "prefers-color-scheme: dark" in style
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


def test_path_that_is_not_text_can_be_written(six_clips):
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
    assert "Missing videos (300)" in page
    assert "gone_199.mp4" in page
    assert "gone_200.mp4" not in page
    assert "and 100 more, in report.json" in page
    assert "bad.mp4 · cut short" in page
    assert ">1,200<" in page


def test_title_is_dataset_and_accuracy(six_clips):
    assert "<title>mine: 83.3% top-1</title>" in page_of(six_clips(data_report={"name": "mine"}))
    assert "<title>Evaluation: 83.3% top-1</title>" in page_of(six_clips())


def test_confusion_section_of_a_few_classes_has_matrices_and_pairs(six_clips):
    section = confusion_section(measure(six_clips()))
    assert section.count("<svg") == 3  # of both streams and of both together
    assert "sit: 1 of 2 predicted as jump" in section
    assert first_cells(section)[0] == "sit"


def test_confusion_section_of_many_classes_has_pairs_alone(six_clips):
    # Every class has one video, and is correct but for the first, which is predicted as the last.
    logits = np.eye(60)
    logits[0] = logits[-1]
    evaluation = six_clips(
        class_names=[f"class {k}" for k in range(60)],
        paths=[f"{k}.mp4" for k in range(60)],
        labels=np.arange(60),
        logits={"rgb": logits},
    )
    section = confusion_section(measure(evaluation))
    assert "<svg" not in section
    assert first_cells(section) == ["class 0"]
    assert ">class 59</td>" in section


def test_sections_without_errors(six_clips):
    results = measure(six_clips(logits={"rgb": 3 * np.eye(3)[[0, 0, 1, 1, 2, 2]]}))
    assert "All 6 videos are on the diagonal" in confusion_section(results)
    assert "None: every video is correct." in errors_section(results, {})


def test_classes_go_up_from_the_lowest_with_bars_as_long(six_clips):
    section = classes_section(measure(rgb_alone(six_clips)))
    assert first_cells(section) == ["sit", "jump", "run"]
    assert re.findall(r"width:([\d.]+)%", section) == ["0.0", "50.0", "100.0"]


def test_classes_without_videos_come_last_with_a_dash(six_clips):
    section = classes_section(measure(six_clips(labels=np.array([1, 1, 1, 1, 2, 2]))))
    assert first_cells(section)[-1] == "run"
    assert section.count('<td class="share">-</td>') == 3
    assert "1 class without videos" in section


def test_training_section_has_a_chart_for_each_value(six_clips):
    rows = [
        {"step": step, "epoch": step, "loss": 1.0 / step, "val_loss": 2.0 / step, "lr": 0.1}
        for step in (1, 2)
    ]
    test_only = [{"step": 5, "test_accuracy": 0.9, "test_videos": 120, "note": "best"}]
    section = training_section(measure(six_clips(history={"rgb": rows, "flow": test_only})))
    titles = re.findall(r"<svg[^>]*><title>([^<]*)</title>", section)
    assert titles == [
        "Loss: training ends with 0.5 at step 2; validation ends with 1 at step 2",
        "Lr: training ends with 0.1 at step 2",
        "Accuracy (test): test ends with 90% at step 5",
    ]


@pytest.mark.parametrize("history", [None, {}, {"rgb": []}])
def test_without_a_history_there_is_no_training_section(six_clips, history):
    assert training_section(measure(six_clips(history=history))) is None


def test_errors_section_shows_predictions_and_picture(six_clips):
    results = measure(six_clips(cuts=[(None, None)] * 4 + [(1.5, None)] * 2))
    assert results.errors == (4,)
    shown = errors_section(results, {4: Picture("data:image/jpeg;base64,AAAA")})
    assert 'src="data:image/jpeg;base64,AAAA"' in shown
    assert "data/clip_4.mp4, 1.5 s to its end" in shown
    # Logits of 6 beside two of 0: 99.5 %, and the label has half of the rest.
    assert '<span class="ink-wrong">jump 100%</span>' in shown
    assert '<span class="ink-correct">sit 0%</span>' in shown
    assert "No picture: gone" in errors_section(results, {4: Picture(missing="gone")})
