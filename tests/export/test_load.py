import json
import shutil

import pytest

from i3d_tf.export.export import export
from i3d_tf.export.load import SavedPredictor
from i3d_tf.inference.predictor import Predictor


@pytest.fixture(scope="module")
def folder(tiny_dir, tmp_path_factory):
    return export("tiny_rgb", tmp_path_factory.mktemp("saved") / "export", checkpoint_dir=tiny_dir)


@pytest.fixture(scope="module")
def saved(folder):
    return SavedPredictor(folder)


@pytest.fixture
def broken(folder, tmp_path):
    """Function: changes of the record -> a copy of the export with them; None removes."""

    def change(**changes):
        copy = shutil.copytree(folder, tmp_path / "copy")
        record = json.loads((copy / "export.json").read_text("utf-8")) | changes
        record = {key: value for key, value in record.items() if value is not None}
        (copy / "export.json").write_text(json.dumps(record), "utf-8")
        return copy

    return change


def test_it_answers_like_the_predictor(saved, tiny_dir, write_grey_video, tmp_path):
    video = write_grey_video(tmp_path / "ramp.mp4", range(0, 200, 10))
    expected = Predictor("rgb", {"rgb": "tiny_rgb"}, tiny_dir).answer(video, top=3)
    answer = saved.answer(video, top=3)
    assert (answer.frames, answer.seconds, answer.stream) == (20, 0.8, "rgb")
    assert [p.label for p in answer.top] == [p.label for p in expected.top]
    for ours, theirs in zip(answer.top, expected.top, strict=True):
        assert ours.index == theirs.index
        assert ours.logit == pytest.approx(theirs.logit, rel=1e-4, abs=1e-5)
        assert ours.probability == pytest.approx(theirs.probability, abs=1e-5)
    assert set(answer.timing) == {"decode", "saved model"}
    assert (saved.stream, saved.engine, len(saved.labels)) == ("rgb", None, 5)


def test_videos_that_cannot_be_answered_say_why(saved, write_bad_videos, tmp_path):
    for name, reason in write_bad_videos(tmp_path).items():
        answer = saved.answer(tmp_path / name)
        assert answer.error.startswith(reason)
        assert answer.top == []


def test_frames_too_narrow_are_refused(saved, write_grey_video, tmp_path):
    video = write_grey_video(tmp_path / "narrow.mp4", range(0, 200, 10), size=(16, 288))
    assert saved.answer(video).error.startswith("its frames of 288 x 16 pixels are too narrow")


def test_a_folder_that_is_no_export_says_what_is_missing(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none: no such folder\. Make one: python tools/"):
        SavedPredictor(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"not an export, there is no export\.json in it"):
        SavedPredictor(tmp_path)
    shutil.copy(folder / "export.json", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"incomplete, there is no saved_model\.pb"):
        SavedPredictor(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": None, "stream": None}, "does not say stream, class_names"),
        ({"class_names": list("abcde")}, "does not name the classes of the model beside it"),
        ({"format": "onnx"}, "exported as 'onnx'; only 'saved_model' can be used here"),
        ({"protocol": {"speed": 1}}, r"not the record of an export \(.*speed"),
    ],
)
def test_a_record_that_does_not_fit_is_refused(broken, changes, message):
    with pytest.raises(ValueError, match=message):
        SavedPredictor(broken(**changes))


@pytest.mark.parametrize("file", ["saved_model.pb", "export.json"])
def test_damaged_files_are_refused(broken, file):
    copy = broken()
    (copy / file).write_bytes(b"\xff damaged")
    with pytest.raises(ValueError, match=r"cannot be loaded|not the record of an export"):
        SavedPredictor(copy)
