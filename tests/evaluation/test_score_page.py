import re

import numpy as np
import pytest

from i3d_tf.data.example import Interval, IntervalVideo
from i3d_tf.evaluation.score import Score
from i3d_tf.evaluation.score_page import score_page, timeline_sentence
from i3d_tf.evaluation.score_report import check_score_dir, write_score
from i3d_tf.evaluation.video_scores import VideoScores
from i3d_tf.metrics.average_precision import ClassScores
from i3d_tf.system.tables import SkippedRow

HOSTILE = "</script><img src=x onerror=alert(1)> \"'&"
NAMES = ("run", "jump", "sit")
# Of "sit" there is nothing.
SCORES = ClassScores(np.array([0.25, 0.75, np.nan]), np.array([10, 30, 0]), 100)
TIMES = np.array([0.0, 2.0, 4.0])


def video(name, *values):
    intervals = (Interval(0, 0.0, 2.5), Interval(1, 3.0, 4.0))
    return VideoScores(IntervalVideo(name, intervals, 5.0), TIMES, np.array(values))


# "run" is highest at 2 s, where it happens, and "jump" at 0 s, where it does not.
HALF = video("half", [0.1, 0.9, 0.0], [0.8, 0.1, 0.0], [0.1, 0.4, 0.3])


def score(rule="frames", by_overlap=None, **more):
    return Score(rule, NAMES, by_overlap or {None: SCORES}, **more)


def first_cells(page):
    return re.findall(r'<th scope="row" class="any">([^<]*)</th><td class="number">', page)


def test_classes_go_down_from_the_highest_and_those_without_positives_are_named():
    page = score_page(score())
    assert first_cells(page) == ["jump", "run"]
    assert re.findall(r"width:([\d.]+)%", page) == ["75.0", "25.0"]
    assert "1 class without positives, of which no AP is known: sit." in page
    assert "1 of 2 classes with positives has an AP of 0.5 or more" in page
    assert "about 0.200" in page  # 10 and 30 of 100
    assert "mAP 0.500" in page


def test_several_thresholds_have_a_table_and_no_random_order():
    def at(value):
        return ClassScores(np.array([value, value, np.nan]), np.array([10, 30, 0]))

    page = score_page(score("thumos14", {0.3: at(0.9), 0.5: at(0.5), 0.7: at(0.1)}))
    assert re.findall(r'<th scope="row">(0\.\d\d)</th>', page) == ["0.30", "0.50", "0.70"]
    assert re.findall(r"AP at [\d.]+", page) == ["AP at 0.30", "AP at 0.50", "AP at 0.70"]
    assert "mAP, mean of the thresholds" in page
    assert "From an overlap of 0.30 to 0.70 the mAP goes from 0.900 to 0.100." in page
    assert "random" not in page
    assert "<svg" not in page


def test_without_any_positives_there_are_no_numbers():
    nothing = ClassScores(np.full(3, np.nan), np.zeros(3, int), 100)
    page = score_page(score("ava", {None: nothing}))
    assert "3 classes without positives" in page
    assert "nan" not in page


def test_time_lines_of_the_best_and_the_worst_videos():
    low = video("low", [0.1, 0.9, 0.9], [0.1, 0.9, 0.9], [0.8, 0.1, 0.9])
    page = score_page(score(videos=(low, HALF)))
    assert re.findall(r"<strong>(\w+): AP", page) == ["half", "low"]
    assert page.count("<svg") == 2


def test_timeline_sentence_says_where_scores_are_highest():
    assert timeline_sentence(HALF, HALF.values, NAMES) == (
        "The highest score of 1 of the 2 classes that happen is where the action happens; that of "
        "jump is at 0.0\u00a0s. The highest of a class that does not happen is 0.30, of sit at "
        "4.0\u00a0s."
    )


def test_what_was_left_out_is_counted_and_named():
    page = score_page(
        score(skipped=(SkippedRow("a.csv", 3, "it is bad"),), left_out={"missing videos": ("a",)})
    )
    assert "Missing videos (1)" in page
    assert "a.csv line 3: it is bad" in page
    assert "Nothing: every row was valid" in score_page(score())


def test_notes_that_repeat_a_list_are_left_out():
    left_out = {"videos have no scores": ("a", "b")}
    page = score_page(
        score(notes=("2 videos have no scores, such as a", "all of a_b is well"), left_out=left_out)
    )
    assert "such as a" not in page
    assert "All of a_b is well." in page


def test_names_stay_text():
    hostile = Score(
        "charades_localize",
        (HOSTILE, HOSTILE + "1", HOSTILE + "2"),
        {None: SCORES},
        (HOSTILE,),
        (SkippedRow(HOSTILE, 1, HOSTILE),),
        {HOSTILE: (HOSTILE,)},
        {"Dataset": HOSTILE, "net": {"name": HOSTILE, "sha256": HOSTILE}, HOSTILE: HOSTILE},
        (video(HOSTILE, *HALF.values),),
    )
    page = score_page(hostile)
    assert "<img" not in page
    assert "<script" not in page


def test_write_score_replaces_scores_only(tmp_path):
    folder = tmp_path / "new"
    write_score(score(), folder, {"more": 1})
    assert '"more": 1' in (folder / "score.json").read_text()
    check_score_dir(folder)
    for name in ("score.json", "report.html"):
        before = (folder / name).read_bytes()
        (folder / name).write_text("mine")
        with pytest.raises(FileExistsError, match=f"{name}: exists already and was not written"):
            check_score_dir(folder)
        (folder / name).write_bytes(before)
