"""The released network `rgb_scratch` on real clips; `make test-release` runs these.

Reference values: `golden/rgb_scratch_real.npz` and `facts/PUBLISHED_NUMBERS.md`, reference data.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fixtures.fvd import BATCH, distance_by_hand, made_up_sets

import i3d_tf
from i3d_tf.export.export import PACKAGES, export
from i3d_tf.export.load import SavedPredictor
from i3d_tf.features.fvd import FvdOptions, frechet_video_distance
from i3d_tf.features.fvd_clips import FeatureNetwork
from i3d_tf.features.fvd_protocol import PROTOCOLS, clip_config
from i3d_tf.features.fvd_self_check import check_values
from i3d_tf.inference.predictor import Predictor
from i3d_tf.inference.streaming import Streamer, step_logits
from i3d_tf.specs.labels import read_labels
from i3d_tf.video.decode import read_clip

pytestmark = pytest.mark.release

REPOSITORY_ROOT = Path(__file__).resolve().parents[2]
NAME = "rgb_scratch"
# The top class of each clip and its logit, by the paper's protocol.
ANSWERS = {
    "kinetics_arm_wrestling.mp4": ("arm wrestling", 32.75),
    "v_GGSY1Qvo990.mp4": ("clean and jerk", 33.68),
    "part.avi": ("filling eyebrows", 22.14),
}
LOGIT_TOLERANCE = 0.02
ONNX_PACKAGES = [name for name in PACKAGES["onnx"] if importlib.util.find_spec(name) is None]


@pytest.fixture(scope="module")
def network(weights):
    return i3d_tf.load(NAME)


@pytest.fixture(scope="module")
def cricket(shared_dir):
    """The 79 frames of the sample clip as they are: float32 (1, 79, 224, 224, 3) in [-1, 1]."""
    frames = read_clip(shared_dir / "videos/v_CricketShot_g04_c01_rgb.gif", frame_rate=None)
    assert frames.shape == (79, 224, 224, 3)
    return i3d_tf.preprocess_input(frames)[np.newaxis]


@pytest.fixture(scope="module")
def golden(shared_dir):
    return np.load(shared_dir / "golden/rgb_scratch_real.npz", allow_pickle=False)


@pytest.fixture(scope="module")
def saved_model(weights, tmp_path_factory):
    return export(NAME, tmp_path_factory.mktemp("export") / "saved_model")


def assert_cricket(logits, golden, tolerance=1e-5):
    """Checks logits of the sample clip: (1, 400), within `tolerance` of the norm."""
    difference = np.linalg.norm(logits - golden["logits"]) / np.linalg.norm(golden["logits"])
    assert difference < tolerance
    assert read_labels("kinetics400")[int(np.argmax(logits))] == "playing cricket"


def test_logits_are_those_of_an_independent_program(network, cricket, golden):
    assert_cricket(network(cricket).numpy(), golden)


def test_logits_of_black_frames_are_the_published_ones(network, golden):
    logits = network(np.full((1, 15, 224, 224, 3), -1, np.float32)).numpy()[0]
    np.testing.assert_allclose(logits[:3], golden["black15_first"], atol=1e-4, rtol=0)
    np.testing.assert_allclose(logits[-3:], golden["black15_last"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_predictor_names_what_people_do(weights, shared_dir, precision):
    predictor = Predictor("rgb", {"rgb": NAME}, precision=precision)
    for clip, (label, logit) in ANSWERS.items():
        best = predictor.predict(shared_dir / "videos" / clip).top[0]
        assert best.label == label
        if precision == "float32":
            assert best.logit == pytest.approx(logit, abs=LOGIT_TOLERANCE)


def test_saved_model_names_what_people_do(saved_model, shared_dir):
    predictor = SavedPredictor(saved_model)
    for clip, (label, logit) in ANSWERS.items():
        best = predictor.predict(shared_dir / "videos" / clip).top[0]
        assert (best.label, best.logit) == (label, pytest.approx(logit, abs=LOGIT_TOLERANCE))


def test_stream_gives_the_logits_of_one_piece(network, shared_dir, golden):
    frames = read_clip(shared_dir / "videos/v_CricketShot_g04_c01_rgb.gif", frame_rate=None)
    chunks = Streamer(network).run(iter(frames), len(frames))
    logits = np.concatenate(list(step_logits(network, chunks))).mean(0, keepdims=True)
    assert_cricket(logits, golden)


@pytest.mark.skipif(
    bool(ONNX_PACKAGES), reason=f"needs {', '.join(ONNX_PACKAGES)}, of the extra i3d_tf[export]"
)
def test_onnx_gives_the_logits(weights, cricket, golden, tmp_path):
    import onnxruntime

    export(NAME, tmp_path / "onnx", format="onnx")
    session = onnxruntime.InferenceSession(tmp_path / "onnx/model.onnx")
    (logits,) = session.run(["logits"], {session.get_inputs()[0].name: cricket})
    assert_cricket(logits, golden)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_give_the_logits(weights, cricket, golden, backend, tmp_path):
    python = REPOSITORY_ROOT / ".venv-backends/bin/python"
    if not python.exists():
        pytest.skip("needs the environment of `make test-backends`")
    np.save(tmp_path / "clip.npy", cricket)
    program = (
        "import sys, numpy as np, keras\n"
        "from i3d_tf.models.inception import inception_i3d\n"
        "model = inception_i3d()\n"
        "model.load_weights(sys.argv[1])\n"
        "logits = model(np.load('clip.npy', allow_pickle=False))\n"
        "np.save('logits.npy', keras.ops.convert_to_numpy(logits))\n"
        "print(keras.backend.backend())\n"
    )
    environment = {"KERAS_BACKEND": backend, "PYTHONPATH": str(REPOSITORY_ROOT)}
    done = subprocess.run(
        [python, "-c", program, weights.path],
        cwd=tmp_path,
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == backend
    assert_cricket(np.load(tmp_path / "logits.npy", allow_pickle=False), golden)


def test_command_predicts_with_the_release(weights, shared_dir):
    clip = shared_dir / "videos/kinetics_arm_wrestling.mp4"
    command = [sys.executable, REPOSITORY_ROOT / "tools/predict.py", "--json"]
    done = subprocess.run(
        [*command, f"--rgb_checkpoint={NAME}", clip], check=True, capture_output=True, text=True
    )
    assert json.loads(done.stdout)["top"][0]["class"] == "arm wrestling"


def test_fvd_has_the_published_check_values(weights):
    values = list(check_values())
    assert len(values) == 9
    assert [value.line() for value in values if not value.is_met] == []


@pytest.mark.parametrize("name", PROTOCOLS)
def test_fvd_protocol_equals_an_independent_computation(name, weights, tmp_path, monkeypatch):
    network = FeatureNetwork(NAME, None, clip_config("original"))

    def same_network(checkpoint, checkpoint_dir, config):
        network.config = config
        return network

    monkeypatch.setattr("i3d_tf.features.fvd.FeatureNetwork", same_network)
    sets = made_up_sets((128, 128))
    for side, clips in zip(("real", "generated"), sets, strict=True):
        np.save(tmp_path / f"{side}.npy", clips)
    real, generated = str(tmp_path / "real.npy"), str(tmp_path / "generated.npy")
    options = FvdOptions((real,), (generated,), config=clip_config(name), batch_size=BATCH)
    expected = distance_by_hand(name, network, sets, 224)
    assert frechet_video_distance(options).fvd == pytest.approx(expected, rel=1e-5)
