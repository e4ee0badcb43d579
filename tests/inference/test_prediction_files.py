import json

import pytest

from i3d_tf.inference.prediction import VideoPrediction
from i3d_tf.inference.prediction_files import predict_files, prediction_status, read_prediction
from i3d_tf.metrics.ranking import Prediction
from i3d_tf.system.shards import Shard


class FakePredictor:
    """The same prediction for every video that is not empty."""

    stream = "rgb"

    def __init__(self, **settings):
        self.settings, self.calls = settings, 0

    def predict(self, path, top=5):
        self.calls += 1
        with open(path, "rb") as file:
            if not file.read():
                return VideoPrediction(str(path), "rgb", error="it is empty (0 bytes)")
        best = [Prediction("run", 7, 0.75, 1.5)]
        return VideoPrediction(str(path), "rgb", 250, 10.0, best, timing={"decode": self.calls})


@pytest.fixture
def videos(tmp_path):
    folder = tmp_path / "videos"
    for name in ("run/a.mp4", "run/b.mp4", "walk/größe.mp4"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    (folder / "empty.mp4").touch()
    return folder


def predict(videos, output_dir, predictor, **arguments):
    return predict_files([videos], output_dir, lambda: predictor, **arguments)


def test_predict_files_writes_a_file_for_each_video(videos, tmp_path, capsys):
    out = tmp_path / "out"
    report = predict(videos, out, FakePredictor(precision="float32"), top=3)
    assert report.line() == f"{out}: 3 classified, 0 already there, 1 failed"
    assert capsys.readouterr().err == f"error: {videos}/empty.mp4: it is empty (0 bytes)\n"
    found = json.loads((out / "walk/größe.json").read_text())
    assert found["path"] == "walk/größe.mp4"
    assert found["top"] == [{"class": "run", "index": 7, "probability": 0.75, "logit": 1.5}]
    assert found["settings"] == {"precision": "float32", "stream": "rgb", "top": 3}
    assert found["source"]["bytes"] == len("walk/größe.mp4".encode())
    assert "timing" not in found
    assert prediction_status([videos], out).lines() == [
        f"failed: {videos}/empty.mp4: it is empty (0 bytes)",
        f"{out}: 3 of 4 done, 0 missing, 1 failed",
    ]


def test_predict_files_goes_on_and_keeps_what_is_there(videos, tmp_path):
    out, predictor = tmp_path / "out", FakePredictor()
    predict(videos, out, predictor)
    before = (out / "run/a.json").stat().st_mtime_ns
    (out / "run/b.json").unlink()
    assert predict(videos, out, predictor).line() == (
        f"{out}: 1 classified, 2 already there, 1 failed"
    )
    assert (out / "run/a.json").stat().st_mtime_ns == before
    assert predictor.calls == 4 + 2


def test_predict_files_refuses_other_settings(videos, tmp_path):
    out = tmp_path / "out"
    predict(videos, out, FakePredictor(precision="float32"))
    message = "other settings: settings: precision float32, not bfloat16"
    with pytest.raises(ValueError, match=message):
        predict(videos, out, FakePredictor(precision="bfloat16"))
    report = predict(videos, out, FakePredictor(precision="bfloat16"), overwrite=True)
    assert report.classified == 3
    (out / "run/a.json").write_text('{"mine": 1}')
    with pytest.raises(FileExistsError, match=r"a\.json: exists already and was not written by"):
        predict(videos, out, FakePredictor(precision="bfloat16"), overwrite=True)


def test_shards_of_predictions_are_those_of_one_run(videos, tmp_path):
    predict(videos, tmp_path / "whole", FakePredictor())
    for index in range(3):
        predict(videos, tmp_path / "parts", FakePredictor(), shard=Shard(index, 3))

    def contents(folder):
        return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*.json")}

    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "i3d_tf prediction"}', "[" * 9999])
def test_read_prediction_refuses_other_files(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=r"a\.json: not a prediction: "):
        read_prediction(tmp_path / "a.json")
