import re

import numpy as np
import pytest

from i3d_tf.evaluation.html import (
    classes_section,
    confusion_section,
    curves_section,
    worst_section,
)
from i3d_tf.evaluation.results import report_numbers


def headings(section):
    """The first cell of every row of a section's tables."""
    return re.findall(r'<th scope="row"[^>]*>([^<]*)</th>', section)


def many_classes(six_clips, classes=60):
    """Every class has one clip, and is right but for the first, which is taken for the last."""
    logits = np.eye(classes)
    logits[0] = logits[-1]
    return six_clips(
        class_names=[f"class {k}" for k in range(classes)],
        paths=[f"{k}.mp4" for k in range(classes)],
        labels=np.arange(classes),
        logits={"rgb": logits},
    )


def test_a_few_classes_have_a_matrix_and_the_pairs(six_clips):
    section = confusion_section(report_numbers(six_clips()))
    assert section.count("<svg") == 3  # of both streams and of both together
    assert "sit: 1 of 2 predicted as jump" in section
    assert headings(section)[0] == "sit"


def test_many_classes_have_the_most_confused_pairs_instead(six_clips):
    section = confusion_section(report_numbers(many_classes(six_clips)))
    assert "<svg" not in section
    assert headings(section) == ["class 0"]
    assert ">class 59</td>" in section


def test_nothing_confused_is_said(six_clips):
    record = report_numbers(six_clips(logits={"rgb": 3 * np.eye(3)[[0, 0, 1, 1, 2, 2]]}))
    assert "No video was taken for another class." in confusion_section(record)
    assert "every video was recognised" in worst_section(record, {})


def test_classes_go_up_from_the_lowest_and_bars_are_as_long(six_clips):
    section = classes_section(report_numbers(six_clips(logits={"rgb": six_clips().logits["rgb"]})))
    assert headings(section) == ["sit", "jump", "run"]
    assert re.findall(r"width:([\d.]+)%", section) == ["0.0", "50.0", "100.0"]


def test_classes_without_videos_come_last_with_a_dash(six_clips):
    section = classes_section(report_numbers(six_clips(labels=np.array([1, 1, 1, 1, 2, 2]))))
    assert headings(section)[-1] == "run"
    assert section.count('<td class="share">-</td>') == 3
    assert "1 class without videos" in section


def test_training_has_a_chart_for_each_value(six_clips):
    rows = [
        {"step": step, "epoch": step, "loss": 1.0 / step, "val_loss": 2.0 / step, "lr": 0.1}
        for step in (1, 2)
    ]
    test_only = [{"step": 5, "test_accuracy": 0.9, "test_videos": 120, "note": "best"}]
    section = curves_section(report_numbers(six_clips(history={"rgb": rows, "flow": test_only})))
    titles = re.findall(r"<svg[^>]*><title>([^<]*)</title>", section)
    assert titles == [
        "Loss: training ends with 0.5 at step 2; validation ends with 1 at step 2",
        "Lr: training ends with 0.1 at step 2",
        "Accuracy (test): test ends with 90% at step 5",
    ]


@pytest.mark.parametrize("history", [None, {}, {"rgb": []}])
def test_without_a_history_there_is_no_section(six_clips, history):
    assert curves_section(report_numbers(six_clips(history=history))) is None


def test_worst_videos_show_what_was_said_and_why_there_is_no_picture(six_clips):
    record = report_numbers(six_clips(cuts=[(None, None)] * 4 + [(1.5, None)] * 2))
    assert record["worst"] == [4]
    shown = worst_section(record, {4: ("data:image/jpeg;base64,AAAA", None)})
    assert 'src="data:image/jpeg;base64,AAAA"' in shown
    assert "data/clip_4.mp4, 1.5 s to its end" in shown
    # Logits of 6 beside two of 0: 99.5 %, and the label has half of the rest.
    assert '<span class="ink-wrong">jump 100%</span>' in shown
    assert '<span class="ink-right">sit 0%</span>' in shown
    assert "No picture: gone" in worst_section(record, {4: (None, "gone")})
