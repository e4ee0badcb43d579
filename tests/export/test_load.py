import json
import shutil

import numpy as np
import pytest

from i3d_tf.export import load as load_file
from i3d_tf.export.load import SavedPredictor
from i3d_tf.metrics.ranking import softmax
from i3d_tf.specs.protocol import Protocol
from i3d_tf.video.decode import read_clip
from i3d_tf.video.transforms import center_crop, preprocess_input, resize_short_side
from i3d_tf.zoo import load


@pytest.fixture(scope="module")
def saved(small_export):
    return SavedPredictor(small_export)


@pytest.fixture
def broken(small_export, tmp_path):
    """Function: changes of the metadata -> a copy of the export with them; None removes."""

    def change(**changes):
        copy = shutil.copytree(small_export, tmp_path / "copy")
        metadata = json.loads((copy / "export.json").read_text("utf-8")) | changes
        metadata = {key: value for key, value in metadata.items() if value is not None}
        (copy / "export.json").write_text(json.dumps(metadata), "utf-8")
        return copy

    return change


def test_predict_is_that_of_the_exported_network(saved, small_dir, moving_video):
    video = moving_video(30)
    clip = preprocess_input(center_crop(resize_short_side(read_clip(video), 40), 32))
    network = load("small_rgb", small_dir)
    logits = network(clip[np.newaxis, np.arange(250) % 30]).numpy()[0]
    prediction = saved.predict(video, top=3)
    assert [p.index for p in prediction.top] == np.argsort(-logits)[:3].tolist()
    for p in prediction.top:
        assert p.label == saved.class_names[p.index]
        assert p.logit == pytest.approx(logits[p.index], rel=1e-4, abs=1e-5)
        assert p.probability == pytest.approx(softmax(logits)[p.index], abs=1e-5)
    assert (prediction.path, prediction.stream, prediction.error) == (str(video), "rgb", None)
    assert (prediction.frames, prediction.seconds) == (30, 1.2)
    assert set(prediction.timing) == {"decode", "saved model"}
    assert saved.class_names == ("one", "two", "three", "four", "five")


def test_predict_returns_why_a_video_failed(saved, tmp_path):
    prediction = saved.predict(tmp_path / "missing.mp4")
    assert (prediction.error, prediction.top) == ("no such file or directory", [])


def test_predict_with_several_windows_reads_the_whole_video(saved, moving_video, monkeypatch):
    monkeypatch.setattr(saved, "protocol", Protocol(windows=2, short_side=40, crop_size=32))
    assert saved.predict(moving_video(30)).frames == 30
    monkeypatch.setattr(load_file, "MAX_FRAMES", 29)
    assert saved.predict(moving_video(30)).error.startswith("it has more than 29 frames, all of")


def test_predict_of_segments_reads_the_whole_video(saved, moving_video, monkeypatch):
    monkeypatch.setattr(saved, "protocol", Protocol(5, segments=3, short_side=40, crop_size=32))
    assert saved.predict(moving_video(30)).frames == 30


def test_saved_predictor_names_missing_files(small_export, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none: no such folder\. Make one: i3d export"):
        SavedPredictor(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"not an export, there is no export\.json in it"):
        SavedPredictor(tmp_path)
    shutil.copy(small_export / "export.json", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"incomplete, there is no saved_model\.pb"):
        SavedPredictor(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": None, "stream": None}, "does not name stream, class_names"),
        ({"class_names": list("abcde")}, "does not name the classes of the model beside it"),
        ({"format": "onnx"}, "exported as 'onnx'; only 'saved_model' can be used here"),
        ({"protocol": {"speed": 1}}, r"not the metadata of an export \(.*speed"),
    ],
)
def test_saved_predictor_refuses_metadata_that_does_not_match(broken, changes, message):
    with pytest.raises(ValueError, match=message):
        SavedPredictor(broken(**changes))


@pytest.mark.parametrize("file", ["saved_model.pb", "export.json"])
def test_saved_predictor_refuses_damaged_files(broken, file):
    copy = broken()
    (copy / file).write_bytes(b"\xff damaged")
    with pytest.raises(ValueError, match=r"cannot be loaded|not the metadata of an export"):
        SavedPredictor(copy)
