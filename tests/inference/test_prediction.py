import dataclasses
import json

import numpy as np
import pytest

from i3d_tf.inference.prediction import (
    StageTimer,
    VideoPrediction,
    WindowPrediction,
    failed_prediction,
    rank_classes,
)
from i3d_tf.metrics.ranking import Prediction
from i3d_tf.video.errors import VideoError

RUN = Prediction("run", 7, 0.75, 2.5)
RUN_JSON = {"class": "run", "index": 7, "probability": 0.75, "logit": 2.5}
PREDICTION = VideoPrediction("a.mp4", "rgb", 20, 0.8, [RUN], timing={"decode": 0.12345})
JSON = {
    "path": "a.mp4",
    "stream": "rgb",
    "frames": 20,
    "seconds": 0.8,
    "top": [RUN_JSON],
    "timing": {"decode": 0.123},
}


def test_video_prediction_to_json():
    assert json.loads(json.dumps(PREDICTION.to_json())) == JSON


def test_video_prediction_to_json_with_flow_names_engine():
    prediction = dataclasses.replace(PREDICTION, stream="joint", flow_engine="opencv")
    flow = {"algorithm": "TV-L1", "engine": "opencv"}
    assert prediction.to_json() == {**JSON, "stream": "joint", "flow": flow}


def test_video_prediction_to_json_with_windows_has_timeline():
    prediction = dataclasses.replace(PREDICTION, timeline=[WindowPrediction(0, 2 / 3, [RUN])])
    window = {"start": 0, "end": 0.667, "top": [RUN_JSON]}
    assert prediction.to_json() == {**JSON, "timeline": [window]}


def test_video_prediction_to_json_keeps_prediction_beside_error():
    prediction = dataclasses.replace(PREDICTION, error="no copy")
    assert prediction.to_json() == {**JSON, "error": "no copy"}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (VideoError("b.mp4", "it is empty"), "it is empty"),
        (MemoryError(), "there is not enough memory for it"),
    ],
)
def test_failed_prediction_to_json_has_only_the_reason(error, reason):
    failure = failed_prediction("b.mp4", "flow", error)
    assert failure.to_json() == {"path": "b.mp4", "stream": "flow", "error": reason}


def test_rank_classes_puts_best_first():
    top = rank_classes("a.mp4", np.array([0.0, 3.0, 1.0]), 2, ("run", "jump", "sit"))
    assert [p.label for p in top] == ["jump", "sit"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_rank_classes_refuses_logits_that_are_not_finite(value):
    with pytest.raises(VideoError, match=r"a\.mp4: .* not finite"):
        rank_classes("a.mp4", np.array([0.0, value]), 2, ("run", "jump"))


def test_stage_timer_adds_up_a_stage():
    timer = StageTimer()
    for name in ("decode", "crop", "decode"):
        before = timer.seconds.get(name, 0)
        with timer.stage(name):
            pass
        assert timer.seconds[name] > before
    assert list(timer.seconds) == ["decode", "crop"]
