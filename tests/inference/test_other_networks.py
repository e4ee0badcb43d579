"""The paper's other architectures, answering videos: by predict, and as what is exported."""

import numpy as np
import pytest
import tensorflow as tf

from i3d_tf import zoo
from i3d_tf.export.saved_model import ServingModule
from i3d_tf.flow.compute import compute_flow
from i3d_tf.inference.predictor import Predictor
from i3d_tf.specs.protocol import Protocol
from i3d_tf.video.decode import read_clip
from i3d_tf.video.transforms import centre_crop, preprocess_input, resize_short_side
from i3d_tf.zoo import checkpoint as checkpoint_module
from i3d_tf.zoo.checkpoint import Checkpoint

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
}


OF_FLOW = ("two_stream", "fused_3d")  # the flow of a size compiles first
PARAMS = [pytest.param(n, marks=[pytest.mark.slow] if n in OF_FLOW else []) for n in CASES]


@pytest.fixture(scope="module", params=PARAMS)
def case(request, random_weights):
    """(checkpoint, stream to the frames of each window)."""
    arguments, stream, protocol, windows = CASES[request.param]
    model = random_weights(zoo.build(request.param, **{**SMALL, **arguments}))
    return Checkpoint("it", model, stream, NAMES, protocol, "0"), windows


@pytest.fixture(scope="module")
def video(moving_video):
    return moving_video(FRAMES)


@pytest.fixture(scope="module")
def shown(case, video):
    """Stream to all that the network could see of the video, (45, 32, 32, C)."""
    frames = resize_short_side(read_clip(video), 40)
    _, windows = case
    parts = {"rgb": frames}
    if "flow" in windows:
        parts["flow"] = compute_flow(frames, engine="graph")
    return {s: preprocess_input(centre_crop(part, 32), stream=s) for s, part in parts.items()}


def expected_logits(case, shown):
    checkpoint, windows = case
    logits = []
    for number in range(checkpoint.protocol.windows):
        clips = {s: shown[s][np.array(seen[number])][None] for s, seen in windows.items()}
        answer = checkpoint.model(
            clips if len(clips) > 1 else clips[checkpoint.stream], training=False
        )
        logits.append(np.array(answer).reshape(-1, 3)[-1])  # the last step, where there are steps
    return np.mean(logits, axis=0)


def assert_close(answer, expected):
    assert np.linalg.norm(answer - expected) <= TOLERANCE * np.linalg.norm(expected)


def test_predict_shows_the_windows_of_the_protocol(case, video, shown, monkeypatch):
    checkpoint, windows = case
    monkeypatch.setattr(checkpoint_module, "open_checkpoint", lambda *_: checkpoint)
    stream = checkpoint.stream
    answer = Predictor(stream, {stream: "it"}, engine="graph").answer(video, top=3)
    assert answer.error is None
    logits = np.empty(3)
    logits[[p.index for p in answer.top]] = [p.logit for p in answer.top]
    assert_close(logits, expected_logits(case, shown))
    if checkpoint.protocol.windows > 1:  # of fused_3d and two_stream, flow shows all frames
        shows_all = windows.get("flow", windows.get("rgb"))
        assert answer.frames == len({frame for window in shows_all for frame in window})


def test_what_is_exported_shows_them_too(case, video, shown):
    checkpoint, windows = case
    served = ServingModule({checkpoint.stream: checkpoint.model}, NAMES, checkpoint.protocol)
    answer = served.classify(tf.constant(read_clip(video)))
    logits = np.empty(3, np.float32)
    logits[answer["indices"].numpy()] = answer["logits"].numpy()
    expected = expected_logits(case, shown)
    assert_close(logits, expected)
    clips = [shown[stream][np.array(seen[0])][None] for stream, seen in windows.items()]
    first = served.logits(*clips)["logits"].numpy()
    assert first.shape == (1, 3)
    if checkpoint.protocol.windows == 1:
        assert_close(first[0], expected)
