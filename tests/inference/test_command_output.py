import io
import json
import os
import sys
from pathlib import Path

import pytest

from i3d_tf.inference import command_output as command_output_file
from i3d_tf.inference.command_output import classify_videos, format_table
from i3d_tf.inference.prediction import VideoPrediction, WindowPrediction
from i3d_tf.metrics.ranking import Prediction
from i3d_tf.video.decode import read_clip
from i3d_tf.video.errors import VideoError

TOP = [
    Prediction("catching or throwing baseball", 3, 0.875, 12.5),
    Prediction("run", 7, 0.0625, -1.25),
]
TABLE = [
    "a.mp4  (rgb, 250 frames, 10.00 s)",
    "  class                          probability    logit",
    "  catching or throwing baseball       0.8750   12.500",
    "  run                                 0.0625   -1.250",
    "  decode 0.50 s, crop 0.25 s",
    "",
]


class FakePredictor:
    """The same prediction for every video whose name does not begin with "bad"."""

    stream = "rgb"

    def __init__(self, **fields):
        self.fields, self.calls = fields, 0

    def predict(self, path, top=5):
        self.calls += 1
        if Path(path).name.startswith("bad"):
            return VideoPrediction(path, "rgb", error="it is empty (0 bytes)")
        timing = {"decode": 0.5, "crop": 0.25}
        return VideoPrediction(path, "rgb", 250, 10.0, TOP[:top], timing=timing, **self.fields)


@pytest.fixture
def predictor():
    return FakePredictor()


def test_format_table_has_a_line_for_each_class(predictor):
    assert format_table(predictor.predict("a.mp4")) == TABLE


def test_format_table_joins_windows_of_one_best_class():
    run, jump = Prediction("run", 0, 0.5, 1.0), Prediction("jump", 1, 0.75, 2.0)
    bests = [run, run._replace(probability=0.625), jump]
    windows = [WindowPrediction(k, k + 1, [best]) for k, best in enumerate(bests)]
    lines = format_table(FakePredictor(timeline=windows).predict("a.mp4"))
    assert lines == [
        *TABLE[:4],
        "  0.0 to 2.0 s          run (up to 0.62)",
        "  2.0 to 3.0 s          jump (up to 0.75)",
        *TABLE[4:],
    ]


def test_classify_videos_prints_tables_on_stdout_and_failures_on_stderr(predictor, capsys):
    predictions = classify_videos(["a.mp4", "bad.mp4", "b.mp4"], predictor)
    assert [p.path for p in predictions] == ["a.mp4", "bad.mp4", "b.mp4"]
    assert [p.error for p in predictions] == [None, "it is empty (0 bytes)", None]
    output = capsys.readouterr()
    second = [line.replace("a.mp4", "b.mp4") for line in TABLE]
    assert output.out.splitlines() == TABLE + second
    assert output.err.splitlines() == [
        "error: bad.mp4: it is empty (0 bytes)",
        "2 classified, 1 failed",
    ]


def test_classify_videos_prints_nothing_on_stderr_without_failures(predictor, capsys):
    classify_videos(["a.mp4"], predictor)
    assert capsys.readouterr().err == ""


def test_classify_videos_prints_json_lines_with_failures(predictor, capsys):
    classify_videos(["a.mp4", "bad.mp4"], predictor, top=1, as_json=True)
    output = capsys.readouterr()
    first, second = map(json.loads, output.out.splitlines())
    assert first == predictor.predict("a.mp4", 1).to_json()
    assert second == {"path": "bad.mp4", "stream": "rgb", "error": "it is empty (0 bytes)"}
    assert output.err == ""


def test_classify_videos_prints_each_prediction_as_it_comes(capsys):
    class Impatient(FakePredictor):
        def predict(self, path, top=5):
            printed = capsys.readouterr().out
            assert [json.loads(line)["path"] for line in printed.splitlines()] == ["a", "b"][
                self.calls - 1 : self.calls
            ]
            return super().predict(path, top)

    assert len(classify_videos(["a", "b", "c"], Impatient(), as_json=True)) == 3


LATIN = os.fsdecode(b"caf\xe9.mp4")  # a name that is not UTF-8


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
@pytest.mark.parametrize("name", [LATIN, "ünï ✓.mp4"])
def test_classify_videos_prints_names_that_stdout_cannot_encode(
    predictor, monkeypatch, encoding, name
):
    for as_json in (True, False):
        output = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output, encoding))
        classify_videos([name, "a.mp4"], predictor, as_json=as_json)
        lines = output.getvalue().decode(encoding).splitlines()
        if as_json:
            assert [json.loads(line)["path"] for line in lines] == [name, "a.mp4"]
        else:
            assert lines[1:6] == TABLE[1:]
            assert lines[6:] == TABLE


@pytest.mark.parametrize("as_json", [False, True])
def test_classify_videos_prints_names_without_control_characters(predictor, capsys, as_json):
    names = ["a\x1b]2J\x9b.mp4", "bad\x7f\r\x07.mp4"]
    classify_videos(names, predictor, as_json=as_json)
    out, err = capsys.readouterr()
    assert (out + err).replace("\n", "").isprintable()
    if as_json:
        assert [json.loads(line)["path"] for line in out.splitlines()] == names
    else:
        assert out.startswith(r"a\x1b]2J\x9b.mp4  (rgb")
        assert err.startswith(r"error: bad\x7f\r\x07.mp4: it is empty")


def test_classify_videos_prints_letters_in_json_as_they_are(predictor, capsys):
    classify_videos(["ünï ✓.mp4"], predictor, as_json=True)
    assert '"ünï ✓.mp4"' in capsys.readouterr().out


@pytest.mark.parametrize("option", ["output_video", "timeline_dir"])
def test_classify_videos_checks_arguments_before_the_first_prediction(predictor, tmp_path, option):
    with pytest.raises(ValueError, match="no videos in this folder"):
        classify_videos(["a.mp4", tmp_path], predictor)
    with pytest.raises(ValueError, match="would both become"):
        classify_videos(["x/a.mp4", "y/a.mp4"], predictor, **{option: tmp_path / "new"})
    assert predictor.calls == 0
    assert not (tmp_path / "new").exists()


@pytest.fixture
def videos(write_grey_video, tmp_path):
    return [str(write_grey_video(tmp_path / name, [100] * 12)) for name in ("a.avi", "b.mp4")]


def test_classify_videos_writes_copies_and_timelines(videos, tmp_path, capsys):
    predictor = FakePredictor(timeline=[WindowPrediction(0, 1, TOP)])
    arguments = [*videos, tmp_path / "bad.mp4"]
    copies, timelines = tmp_path / "copies", tmp_path / "timelines"
    predictions = classify_videos(arguments, predictor, output_video=copies, timeline_dir=timelines)
    assert [p.error for p in predictions] == [None, None, "it is empty (0 bytes)"]
    assert sorted(os.listdir(copies)) == ["a_predicted.mp4", "b_predicted.mp4"]
    assert sorted(os.listdir(timelines)) == ["a_timeline.svg", "b_timeline.svg"]
    assert read_clip(copies / "a_predicted.mp4").shape == (12, 48, 64, 3)


def test_classify_videos_goes_on_beside_its_copies(videos, tmp_path, capsys):
    first = classify_videos([tmp_path], FakePredictor(), output_video=tmp_path)
    copies = {path: path.read_bytes() for path in tmp_path.glob("*_predicted.mp4")}
    assert len(copies) == 2
    (tmp_path / "a_predicted.mp4").unlink()
    kept = (tmp_path / "b_predicted.mp4").stat().st_mtime_ns
    again = classify_videos([tmp_path], FakePredictor(), output_video=tmp_path)
    assert [p.path for p in again] == [p.path for p in first] == videos
    assert {path: path.read_bytes() for path in tmp_path.glob("*_predicted.mp4")} == copies
    assert (tmp_path / "b_predicted.mp4").stat().st_mtime_ns == kept
    (tmp_path / ".unfinished-0a1b2c3d").mkdir()
    classify_videos([tmp_path], FakePredictor(), output_video=tmp_path)  # writes nothing
    assert not (tmp_path / ".unfinished-0a1b2c3d").exists()


def test_classify_videos_reports_a_copy_that_shows_something_else(videos, tmp_path, capsys):
    classify_videos(videos[:1], FakePredictor(), output_video=tmp_path / "copies")
    (one,) = classify_videos(videos[:1], FakePredictor(), 1, output_video=tmp_path / "copies")
    assert one.error.startswith("classified, but its copy cannot be written: ")
    assert "a_predicted.mp4: it exists and shows something else: classes " in one.error


@pytest.mark.parametrize("error", [VideoError("copy.mp4", "no space"), OSError("no space")])
def test_classify_videos_prints_a_prediction_whose_copy_failed(
    predictor, videos, tmp_path, monkeypatch, capsys, error
):
    def fail(prediction, path):
        if prediction.path == videos[0]:
            raise error

    monkeypatch.setattr(command_output_file, "write_annotated", fail)
    first, second = classify_videos(videos, predictor, output_video=tmp_path / "copies")
    assert first.error.startswith("classified, but its copy cannot be written: ")
    assert "no space" in first.error
    assert first.top == second.top
    output = capsys.readouterr()
    assert output.out.count("catching or throwing baseball") == 2
    assert f"error: {videos[0]}: classified, but its copy cannot be written: " in output.err
