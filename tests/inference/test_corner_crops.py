"""Prediction and evaluation of segments and corner crops, against slices written out by hand."""

import keras
import numpy as np
import pytest

from i3d_tf.data.example import VideoExample
from i3d_tf.data.flow_store import FlowStore
from i3d_tf.data.pipeline import PipelineConfig
from i3d_tf.flow.compute import compute_flow
from i3d_tf.flow.quantize import through_codes
from i3d_tf.inference import predictor as predictor_file
from i3d_tf.inference.dataset_logits import compute_logits, forward_function
from i3d_tf.inference.predictor import Networks, Predictor
from i3d_tf.specs.protocol import Protocol
from i3d_tf.video.decode import read_clip
from i3d_tf.video.transforms import resize_short_side

SIZE = 32
FRAMES = 29  # resized to 40 x 53: 8 rows and 21 columns to spare
PROTOCOL = Protocol(
    5, short_side=40, crop_size=SIZE, rgb_step=5, segments=3, crops=10, crop_set="corners"
)
STARTS = (4, 12, 20)  # in the middle of three parts of 25 / 3 starts
PLACES = ((0, 0), (0, 21), (8, 0), (8, 21), (4, 10))
TOLERANCE = 1e-5  # of the norm of the logits; float32 in another order


def small_network(channels):
    """A network that sees the order of frames and the places of pixels."""
    layers = [
        keras.Input((None, SIZE, SIZE, channels)),
        keras.layers.Conv3D(4, (2, 7, 5), strides=(1, 5, 3), activation="relu"),
        keras.layers.GlobalAveragePooling3D(),
        keras.layers.Dense(3),
    ]
    return keras.Sequential(layers)


@pytest.fixture(scope="module")
def networks(random_weights):
    """Stream to a small network."""
    return {
        stream: random_weights(small_network(channels))
        for stream, channels in (("rgb", 3), ("flow", 2))
    }


@pytest.fixture(scope="module")
def video(moving_video):
    return moving_video(FRAMES)


@pytest.fixture(scope="module")
def expected(networks, video):
    """Stream to the mean of the logits of ten crops, from slices."""
    rgb = resize_short_side(read_clip(video), 40)
    assert rgb.shape == (FRAMES, 40, 53, 3)
    flow = through_codes(compute_flow(rgb, "dis"), "nearest")
    values = {
        "rgb": rgb[[start + 2 for start in STARTS]] / np.float32(127.5) - 1,
        "flow": np.concatenate([flow[start : start + 5] for start in STARTS]) / np.float32(20),
    }
    logits = {}
    for stream, clip in values.items():
        crops = [clip[:, top : top + SIZE, left : left + SIZE] for top, left in PLACES]
        mirrored = [crop[:, :, ::-1] * ([-1, 1] if stream == "flow" else 1) for crop in crops]
        outputs = [np.array(networks[stream](crop[np.newaxis])) for crop in crops + mirrored]
        assert np.ptp(outputs, axis=0).min() > 0  # every crop counts
        logits[stream] = np.mean(outputs, axis=(0, 1))
    return logits


def assert_close(logits, expected):
    assert np.linalg.norm(logits - expected) <= TOLERANCE * np.linalg.norm(expected)


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_predictor_averages_all_crops(networks, video, expected, stream, monkeypatch):
    opened = Networks({stream: networks[stream]}, ("a", "b", "c"), PROTOCOL)
    monkeypatch.setattr(predictor_file, "open_networks", lambda *_: opened)
    predictor = Predictor(stream, {}, flow_engine="dis", flow_rounding="nearest")
    prediction = predictor.predict(video, top=3)
    assert prediction.error is None
    logits = np.empty(3)
    logits[[p.index for p in prediction.top]] = [p.logit for p in prediction.top]
    assert_close(logits, expected[stream])


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_evaluation_averages_all_crops(networks, video, expected, stream, tmp_path):
    store = FlowStore(tmp_path, PROTOCOL, engine="dis")
    if stream == "flow":
        store.compute_missing([str(video)])
    example = VideoExample(str(video), 0, "a")
    config = PipelineConfig([example], (stream,), PROTOCOL, 4, seed=0, flow_store=store)
    logits, failures = compute_logits(forward_function(networks[stream]), config)
    assert failures.reasons == {}
    assert_close(logits[0], expected[stream])


def test_predictor_takes_snippets_of_frames_in_an_array(networks, video, monkeypatch):
    opened = Networks({"rgb": networks["rgb"]}, ("a", "b", "c"), PROTOCOL)
    monkeypatch.setattr(predictor_file, "open_networks", lambda *_: opened)
    predictor = Predictor("rgb", {})
    of_file = predictor.predict(video, top=3)
    of_array = predictor.predict(read_clip(video), top=3)
    assert [p.logit for p in of_array.top] == pytest.approx([p.logit for p in of_file.top])
