import io
import json
import os
import sys
from pathlib import Path

import pytest

from i3d_tf.inference import command_output as answering
from i3d_tf.inference.command_output import answer_videos, table
from i3d_tf.inference.prediction import Answer
from i3d_tf.metrics.ranking import Prediction
from i3d_tf.video.decode import read_clip
from i3d_tf.video.errors import VideoError

TOP = [
    Prediction("catching or throwing baseball", 3, 0.875, 12.5),
    Prediction("run", 7, 0.0625, -1.25),
]


class Predictor:
    """Answers every video whose name does not begin with "bad", and counts the questions."""

    def __init__(self):
        self.asked = 0

    def answer(self, path, top):
        self.asked += 1
        if Path(path).name.startswith("bad"):
            return Answer(path, "rgb", error="it is empty (0 bytes)")
        return Answer(path, "rgb", 250, 10.0, TOP[:top], timing={"decode": 0.5, "crop": 0.25})


@pytest.fixture
def predictor():
    return Predictor()


TABLE = [
    "a.mp4  (rgb, 250 frames, 10.00 s)",
    "  class                          probability    logit",
    "  catching or throwing baseball       0.8750   12.500",
    "  run                                 0.0625   -1.250",
    "  decode 0.50 s, crop 0.25 s",
    "",
]


def test_a_table_of_one_answer(predictor):
    assert table(predictor.answer("a.mp4", 5)) == TABLE


def test_tables_on_stdout_failures_on_stderr(predictor, capsys):
    assert answer_videos(["a.mp4", "bad.mp4", "b.mp4"], predictor) == 1
    output = capsys.readouterr()
    second = [line.replace("a.mp4", "b.mp4") for line in TABLE]
    assert output.out.splitlines() == TABLE + second
    assert output.err.splitlines() == [
        "error: bad.mp4: it is empty (0 bytes)",
        "2 answered, 1 failed",
    ]


def test_nothing_is_said_of_failures_where_there_are_none(predictor, capsys):
    assert answer_videos(["a.mp4"], predictor) == 0
    assert capsys.readouterr().err == ""


def test_json_lines_have_the_failures_too(predictor, capsys):
    assert answer_videos(["a.mp4", "bad.mp4"], predictor, top=1, as_json=True) == 1
    output = capsys.readouterr()
    first, second = map(json.loads, output.out.splitlines())
    assert first == {
        "path": "a.mp4",
        "stream": "rgb",
        "frames": 250,
        "seconds": 10.0,
        "top": [
            {
                "class": "catching or throwing baseball",
                "index": 3,
                "probability": 0.875,
                "logit": 12.5,
            }
        ],
        "timing": {"decode": 0.5, "crop": 0.25},
    }
    assert second == {"path": "bad.mp4", "stream": "rgb", "error": "it is empty (0 bytes)"}
    assert output.err == ""


def test_answers_are_printed_as_they_come(capsys):
    class Impatient(Predictor):
        def answer(self, path, top):
            seen = capsys.readouterr().out
            assert [json.loads(line)["path"] for line in seen.splitlines()] == ["a", "b"][
                self.asked - 1 : self.asked
            ]
            return super().answer(path, top)

    assert answer_videos(["a", "b", "c"], Impatient(), as_json=True) == 0


LATIN = os.fsdecode(b"caf\xe9.mp4")  # a name that is not UTF-8


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
@pytest.mark.parametrize("name", [LATIN, "ünï ✓.mp4"])
def test_names_that_the_output_cannot_show(predictor, monkeypatch, encoding, name):
    for as_json in (True, False):
        output = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output, encoding))
        assert answer_videos([name, "a.mp4"], predictor, as_json=as_json) == 0
        lines = output.getvalue().decode(encoding).splitlines()
        if as_json:
            assert [json.loads(line)["path"] for line in lines] == [name, "a.mp4"]
        else:
            assert lines[1:6] == TABLE[1:]
            assert lines[6:] == TABLE


def test_names_that_the_output_can_show_are_readable(predictor, capsys):
    answer_videos(["ünï ✓.mp4"], predictor, as_json=True)
    assert '"ünï ✓.mp4"' in capsys.readouterr().out


def test_no_video_is_asked_about_where_there_is_none(predictor, tmp_path):
    with pytest.raises(ValueError, match="no videos in this folder"):
        answer_videos(["a.mp4", tmp_path], predictor)
    assert predictor.asked == 0


@pytest.fixture
def videos(write_grey_video, tmp_path):
    """Two videos of one name in two folders, and a third."""
    paths = [tmp_path / name for name in ("x/clip.mp4", "y/clip.avi", "y/other.mp4")]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        write_grey_video(path, [100] * 12)
    return [str(path) for path in paths]


def test_copies_play(predictor, videos, tmp_path, capsys):
    copies = tmp_path / "copies"
    assert answer_videos(videos[1:], predictor, output_video=copies) == 0
    names = sorted(os.listdir(copies))
    assert names == ["clip_predicted.mp4", "other_predicted.mp4"]
    for name in names:
        assert read_clip(copies / name).shape == (12, 48, 64, 3)


def test_one_copy_under_the_name_given(predictor, videos, tmp_path, capsys):
    assert answer_videos(videos[:1], predictor, output_video=tmp_path / "copy.mp4") == 0
    assert read_clip(tmp_path / "copy.mp4").shape == (12, 48, 64, 3)


def test_two_videos_never_share_a_copy(predictor, videos, tmp_path):
    with pytest.raises(ValueError, match=r"x/clip\.mp4 and .*y/clip\.avi would both become"):
        answer_videos(videos, predictor, output_video=tmp_path / "copies")
    assert predictor.asked == 0
    assert not (tmp_path / "copies").exists()


def test_nothing_is_replaced_by_a_copy(predictor, videos, tmp_path):
    (tmp_path / "copies").mkdir()
    earlier = tmp_path / "copies/other_predicted.mp4"
    earlier.write_text("earlier")
    with pytest.raises(ValueError, match=r"other_predicted\.mp4: exists already"):
        answer_videos(videos[1:], predictor, output_video=tmp_path / "copies")
    with pytest.raises(ValueError, match="exists already"):
        answer_videos(videos[:1], predictor, output_video=videos[0].replace("x/", "./x/"))
    assert earlier.read_text() == "earlier"
    assert predictor.asked == 0


def test_failures_get_no_copy(predictor, tmp_path, capsys):
    assert answer_videos(["bad.mp4"], predictor, output_video=tmp_path / "copies") == 1
    assert not (tmp_path / "copies").exists()


@pytest.mark.parametrize("error", [VideoError("copy.mp4", "no space"), OSError("no space")])
def test_an_answer_is_shown_though_its_copy_failed(
    predictor, videos, tmp_path, monkeypatch, capsys, error
):
    def fail(answer, target):
        if answer.path == videos[1]:
            raise error

    monkeypatch.setattr(answering, "write_annotated", fail)
    assert answer_videos(videos[1:], predictor, output_video=tmp_path / "copies") == 1
    output = capsys.readouterr()
    assert output.out.count("catching or throwing baseball") == 2
    assert f"error: {videos[1]}: answered, but its copy could not be written: " in output.err
    assert answer_videos(videos[1:], predictor, as_json=True, output_video=tmp_path / "copies") == 1
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert "no space" in first["error"]
    assert first["top"] == second["top"]
