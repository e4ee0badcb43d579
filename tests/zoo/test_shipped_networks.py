"""The two networks in checkpoints/: what the manifest says, and what they say of unseen clips."""

from pathlib import Path

import pytest

from i3d_tf.inference.predictor import Predictor
from i3d_tf.specs.stick_actions import DEMO, STICK_LABELS, STICK_NETWORKS
from i3d_tf.synthetic.clip import clip_seed, render_clip
from i3d_tf.video.encode import write_video
from i3d_tf.weights.store import find_weights

CHECKPOINTS = Path(__file__).parent.parent.parent / "checkpoints"
ACTIONS = ("sit_down", "stand_up", "open_door", "close_door", "climb_up", "climb_down")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """One clip of six of the actions, that no network was trained on."""
    folder = tmp_path_factory.mktemp("clips")
    paths = {action: folder / f"{action}.mp4" for action in ACTIONS}
    for action, path in paths.items():
        write_video(path, render_clip(action, clip_seed(0, DEMO, action, 1)))
    return paths


@pytest.mark.parametrize("stream", STICK_NETWORKS)
def test_manifest_describes_the_shipped_networks(stream):
    path, row = find_weights(STICK_NETWORKS[stream], CHECKPOINTS)  # compares the hash
    assert path.stat().st_size < 4 * 2**20
    assert tuple(row["labels"]) == STICK_LABELS
    assert (row["stream"], row["classes"], row["width_multiplier"]) == (stream, 12, 0.25)
    assert "train_stick_actions.py" in row["source"]["command"]


@pytest.mark.slow
def test_shipped_networks_tell_actions_from_their_reversals(clips):
    predictor = Predictor("joint", STICK_NETWORKS, CHECKPOINTS)
    predictions = {action: predictor.predict(path) for action, path in clips.items()}
    correct = [action for action, p in predictions.items() if p.top[0].label == action]
    # On 120 test clips both streams are right 119 times or more: of six, one miss is luck.
    assert len(correct) >= 5
