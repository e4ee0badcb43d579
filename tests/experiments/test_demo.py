import cv2

from i3d_tf.experiments import demo as job
from i3d_tf.experiments.demo import CLIPS, demo, demo_release
from i3d_tf.inference.prediction import VideoPrediction, WindowPrediction
from i3d_tf.metrics.ranking import Prediction


class FakePredictor:
    """Fails at the first clip, and takes the others for sitting down."""

    stream = "rgb"

    def __init__(self, *arguments):
        pass

    def predict(self, path, top):
        if CLIPS[0] in path:
            return VideoPrediction(path, "rgb", error="it is damaged")
        return VideoPrediction(path, "rgb", top=[Prediction("sit_down", 0, 0.5, 1.0)])


def test_demo_shows_the_clips_that_have_a_prediction(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(job, "SIZE", 64)
    monkeypatch.setattr(job, "Predictor", FakePredictor)
    (tmp_path / "labelled").mkdir()
    (tmp_path / "labelled/run_predicted.mp4").touch()  # of an earlier demo
    assert demo(tmp_path) == 1
    assert {path.stem for path in tmp_path.glob("*.mp4")} == set(CLIPS)
    copies = {path.stem for path in (tmp_path / "labelled").iterdir()}
    assert copies == {f"{name}_predicted" for name in CLIPS[1:]}
    picture = cv2.imread(str(tmp_path / "predictions.png"))
    assert picture.shape == ((len(CLIPS) - 1) * 160, 6 * 160, 3)
    assert str(tmp_path / "predictions.png") in capsys.readouterr().out


class FakeWindowPredictor(FakePredictor):
    def predict(self, path, top):
        if "damaged" in path:
            return VideoPrediction(path, "rgb", error="it is damaged")
        best = [Prediction("sit_down", 0, 0.5, 1.0)]
        return VideoPrediction(path, "rgb", top=best, timeline=[WindowPrediction(0.0, 1.0, best)])


def test_demo_release_writes_a_copy_and_a_timeline(tmp_path, monkeypatch, ten_seconds):
    monkeypatch.setattr(job, "WindowPredictor", FakeWindowPredictor)
    video = tmp_path / "sit ä.mp4"
    video.write_bytes(ten_seconds)
    (tmp_path / "damaged.mp4").touch()
    for _ in range(2):  # the second run replaces the files of the first
        assert demo_release([video, tmp_path / "damaged.mp4"], tmp_path / "out", "some") == 1
    made = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*")}
    assert made == {"labelled/sit ä_predicted.mp4", "timelines/sit ä_timeline.svg"}
