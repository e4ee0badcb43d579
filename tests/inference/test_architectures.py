"""The paper's other architectures: as predictors, and as what is exported."""

from functools import cache

import numpy as np
import pytest
import tensorflow as tf

from i3d_tf import zoo
from i3d_tf.export.saved_model import ServingModule
from i3d_tf.flow.compute import compute_flow
from i3d_tf.inference import predictor as predictor_file
from i3d_tf.inference.dataset_logits import forward_function
from i3d_tf.inference.predictor import Networks, Predictor
from i3d_tf.metrics.ranking import softmax
from i3d_tf.specs.protocol import Protocol
from i3d_tf.video.decode import read_clip
from i3d_tf.video.transforms import center_crop, preprocess_input, resize_short_side

NAMES = ("run", "jump", "sit")
TOLERANCE = 1e-5  # of the norm of the logits; float32 in another order, 1e-6 was measured
SMALL = {"classes": 3, "width_multiplier": 1 / 16}
FRAMES = 45  # of the video

# Networks with their protocols, and by hand the frames that each of their windows shows: of RGB,
# the middle one of every `rgb_step`; of flow, all.
CASES = {
    "convnet_lstm": (
        {"input_shape": (None, 32, 32, 3), "all_steps": True},
        "rgb",
        Protocol(20, short_side=40, crop_size=32, rgb_step=5),
        {"rgb": [[2, 7, 12, 17]]},
    ),
    "lrcn": (
        {"input_shape": (None, 32, 32, 3), "all_steps": True},
        "rgb",
        Protocol(16, short_side=40, crop_size=32, windows=2),
        {"rgb": [range(16), range(29, 45)]},
    ),
    "c3d": (
        {"input_shape": (16, 32, 32, 3), "width_multiplier": 1 / 32},
        "rgb",
        Protocol(16, short_side=40, crop_size=32, windows=3),
        {"rgb": [range(16), range(14, 30), range(29, 45)]},
    ),
    "two_stream": (
        {"stream": "flow", "input_shape": (10, 32, 32, 2)},
        "flow",
        Protocol(10, short_side=40, crop_size=32, windows=2, rgb_step=10),
        {"flow": [range(10), range(35, 45)]},
    ),
    "fused_3d": (
        {"input_shape": {"rgb": (2, 32, 32, 3), "flow": (20, 32, 32, 2)}},
        "joint",
        Protocol(20, short_side=40, crop_size=32, windows=2, rgb_step=10),
        {"rgb": [[5, 15], [30, 40]], "flow": [range(20), range(25, 45)]},
    ),
    "tsn": (
        {"input_shape": (None, 32, 32, 3)},
        "rgb",
        Protocol(5, short_side=40, crop_size=32, rgb_step=5, segments=3),
        {"rgb": [[8, 22, 36]]},  # 41 starts: 6, 20, 34; the middle one of five frames
    ),
    "tsn_rgb_difference": (
        {"input_shape": (None, 32, 32, 3)},
        "rgb",
        Protocol(6, short_side=40, crop_size=32, segments=2),
        {"rgb": [[*range(10, 16), *range(30, 36)]]},
    ),
}


@pytest.fixture(scope="module")
def network(random_weights):
    """Function: architecture -> its network, the same at every call."""

    @cache
    def build(name):
        return random_weights(zoo.build(name, **{**SMALL, **CASES[name][0]}))

    return build


@pytest.fixture(scope="module")
def video(moving_video):
    return moving_video(FRAMES)


def clips_of(name, video, flow_engine):
    """Stream to the clips of all windows, (windows, T, 32, 32, C), by hand."""
    frames = resize_short_side(read_clip(video), 40)
    clips = {}
    for stream, windows in CASES[name][3].items():
        values = frames if stream == "rgb" else compute_flow(frames, flow_engine)
        values = preprocess_input(center_crop(values, 32), stream)
        clips[stream] = np.stack([values[np.array(window)] for window in windows])
    return clips


def logits_of(network, clips):
    """The mean of the windows' logits; of the last step, or as LRCN of all, where there are."""
    (inputs,) = [clips] if len(clips) > 1 else clips.values()
    logits = np.array(network(inputs, training=False))
    if network.name == "lrcn":
        logits = np.log(softmax(logits).mean(axis=1))
    return (logits[:, -1] if logits.ndim == 3 else logits).mean(axis=0)


def untraced(model):
    """What `forward_function` returns, but eager: one call takes less time than a trace."""
    return forward_function(model).python_function


def assert_close(logits, expected):
    assert np.linalg.norm(logits - expected) <= TOLERANCE * np.linalg.norm(expected)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name == "tsn_rgb_difference" else name
        for name in CASES
    ],
)
def test_predictor_sees_the_windows_of_the_protocol(network, video, name, monkeypatch):
    _, stream, protocol, windows = CASES[name]
    networks = Networks({stream: network(name)}, NAMES, protocol)
    monkeypatch.setattr(predictor_file, "open_networks", lambda *_: networks)
    monkeypatch.setattr(predictor_file, "forward_function", untraced)
    prediction = Predictor(stream, {}, flow_engine="dis").predict(video, top=3)
    assert prediction.error is None
    logits = np.empty(3)
    logits[[p.index for p in prediction.top]] = [p.logit for p in prediction.top]
    assert_close(logits, logits_of(network(name), clips_of(name, video, "dis")))
    if protocol.windows > 1:  # of fused_3d and two_stream, flow shows all frames
        shows_all = windows.get("flow", windows.get("rgb"))
        assert prediction.frames == len({frame for window in shows_all for frame in window})


@pytest.mark.parametrize(
    "name",
    [
        "convnet_lstm",
        "lrcn",
        "c3d",
        pytest.param("tsn", marks=pytest.mark.slow),
        pytest.param("fused_3d", marks=pytest.mark.slow),
    ],  # flow compiles
)
def test_serving_module_sees_the_windows_of_the_protocol(network, video, name):
    _, stream, protocol, _ = CASES[name]
    module = ServingModule({stream: network(name)}, NAMES, protocol)
    outputs = module.classify(tf.constant(read_clip(video)))
    logits = np.empty(3, np.float32)
    logits[outputs["indices"].numpy()] = outputs["logits"].numpy()
    clips = clips_of(name, video, "graph")
    assert_close(logits, logits_of(network(name), clips))
    first = module.logits(*(of_stream[:1] for of_stream in clips.values()))["logits"].numpy()
    assert first.shape == (1, 3)
