import math
import unicodedata

import numpy as np
import pytest

from i3d_tf.evaluation.compare_reports import compare_reports, sign_test
from i3d_tf.evaluation.report import write_report


def predictions(*best):
    return {"rgb": np.eye(3, dtype=np.float32)[list(best)]}


# Labels are 0 0 1 1 2 2. The first has both runs and a jump right, the second a run and both sits.
FIRST = predictions(0, 0, 1, 0, 1, 1)
SECOND = predictions(0, 1, 0, 0, 2, 2)


@pytest.fixture
def folders(tmp_path, six_clips):
    """Function: changes of the second of two reports -> the folders of both."""

    def write(**changes):
        write_report(six_clips(logits=FIRST), tmp_path / "a")
        write_report(six_clips(**{"logits": SECOND, **changes}), tmp_path / "b")
        return tmp_path / "a", tmp_path / "b"

    return write


def test_classes_are_in_order_of_gain(folders):
    comparison = compare_reports(*folders())
    assert [(c.name, c.before, c.after, c.points) for c in comparison.classes] == [
        ("sit", 0, 1, 100),
        ("run", 1, 0.5, -50),
        ("jump", 0.5, 0, -50),
    ]
    assert comparison.results == ("rgb", "rgb")
    assert comparison.warnings == ()


def test_overall_changes_and_changed_videos(folders):
    comparison = compare_reports(*folders())
    assert [(c.name, c.points) for c in comparison.overall] == [
        ("RGB top-1", 0),
        ("RGB top-5", None),
        ("RGB class mean", 0),
    ]
    assert (comparison.fixed, comparison.broken) == (2, 2)
    assert comparison.p_value == 1


def test_lines_show_the_comparison(folders):
    lines = compare_reports(*folders()).lines()
    assert lines[0].startswith("A: ")
    assert "RGB: 2 videos fixed, 2 broken (sign test: p = 1)" in lines
    gained = next(k for k, line in enumerate(lines) if line.startswith("1 class gained"))
    assert lines[gained + 1].split() == ["sit", "0.0%", "100.0%", "+100.0"]
    lost = next(k for k, line in enumerate(lines) if line.startswith("2 classes lost"))
    assert [line.split()[0] for line in lines[lost + 1 : lost + 3]] == ["jump", "run"]
    assert "0 classes without a change" in lines


def test_confused_pairs_of_both_reports_are_shown(folders):
    comparison = compare_reports(*folders())
    assert comparison.confused == (
        (("sit", "jump", 2, 1.0), ("jump", "run", 1, 0.5)),
        (("jump", "run", 2, 1.0), ("run", "jump", 1, 0.5)),
    )
    lines = comparison.lines()
    first = next(k for k, line in enumerate(lines) if line.startswith("most confused in A"))
    assert lines[first + 1].split() == ["sit", "as", "jump", "2", "100.0%"]


def test_lines_shorten_long_lists(folders):
    lines = compare_reports(*folders()).lines(max_listed=1)
    assert "... and 1 more" in lines


def test_report_compared_with_itself(folders):
    folder, _ = folders()
    comparison = compare_reports(folder, folder / "report.json")
    assert {change.points for change in comparison.classes} == {0}
    assert comparison.p_value is None
    assert "no class gained" in comparison.lines()


def test_other_protocol_is_a_warning(folders):
    protocol = {"frames": 64, "frame_rate": 25.0, "checkpoints": {"rgb": {"name": "other"}}}
    (warning,) = compare_reports(*folders(protocol=protocol)).warnings
    assert (
        warning
        == "The protocols differ: frames 250 and 64, crops 1 and -, flow_engine numba and -."
    )


def test_other_classes_are_a_warning_and_common_ones_are_compared(folders):
    comparison = compare_reports(*folders(class_names=("sit", "jump", "fly")))
    assert "The classes differ: 1 (run) only in A, 1 (fly) only in B" in comparison.warnings[0]
    # Compared by name: sit is the last class of the first report and the first of the second.
    assert {c.name: c.points for c in comparison.classes} == {"sit": 50, "jump": -50}


def test_compare_reports_refuses_reports_without_common_classes(folders):
    with pytest.raises(ValueError, match="no class in common"):
        compare_reports(*folders(class_names=("x", "y", "z")))


def test_other_videos_are_a_warning_and_common_ones_are_counted(folders):
    paths = ["data/clip_0.mp4", "data/clip_1.mp4", *(f"other_{k}.mp4" for k in range(4))]
    comparison = compare_reports(*folders(paths=paths))
    assert "4 only in A, 4 only in B, 2 in both" in comparison.warnings[0]
    assert (comparison.fixed, comparison.broken) == (0, 1)


def test_same_videos_in_another_folder(folders):
    paths = [f"/elsewhere/data/clip_{k}.mp4" for k in range(6)]
    comparison = compare_reports(*folders(paths=paths, data_report={"data_dir": "/elsewhere/"}))
    assert comparison.warnings == ()
    assert comparison.fixed == 2


def test_same_videos_with_accents_that_are_stored_otherwise(six_clips, tmp_path):
    for form in ("NFC", "NFD"):
        paths = [unicodedata.normalize(form, f"data/größe_{k}.mp4") for k in range(6)]
        write_report(six_clips(logits=FIRST, paths=paths), tmp_path / form)
    assert compare_reports(tmp_path / "NFC", tmp_path / "NFD").warnings == ()


def test_result_of_both_reports_is_compared(folders, six_clips):
    comparison = compare_reports(*folders(logits=six_clips().logits))
    assert comparison.results == ("rgb", "rgb")


def test_different_streams_are_compared_with_a_warning(folders):
    comparison = compare_reports(*folders(logits={"flow": SECOND["rgb"]}))
    assert comparison.results == ("rgb", "flow")
    assert comparison.warnings[0] == "RGB of A is compared with Optical flow of B."
    assert comparison.overall == ()
    assert any(line.startswith("RGB and Optical flow: 2 videos") for line in comparison.lines())


def test_lines_are_printable(folders):
    a, b = folders(class_names=("run", "jump", "\x1b[2J"))
    assert not any("\x1b" in line for line in compare_reports(a, b).lines())


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(0, 0, None), (1, 1, 1), (5, 0, 2 / 2**5), (1, 5, 2 * 7 / 2**6), (0, 2000, 0.0)],
)
def test_sign_test(first, second, expected):
    found = sign_test(first, second)
    assert found is None if expected is None else math.isclose(found, expected, abs_tol=1e-12)
