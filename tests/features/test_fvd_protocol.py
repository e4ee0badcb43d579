import numpy as np
import pytest
from fixtures.fvd import BATCH, distance_by_hand, made_up_sets

from i3d_tf.features.fvd import FvdOptions, frechet_video_distance
from i3d_tf.features.fvd_clips import FeatureNetwork
from i3d_tf.features.fvd_protocol import PROTOCOLS, ClipConfig, clip_config


@pytest.fixture
def write(tmp_path):
    def write_sets(sets):
        for name, clips in zip(("real", "generated"), sets, strict=True):
            np.save(tmp_path / f"{name}.npy", clips)
        return tuple((str(tmp_path / f"{name}.npy"),) for name in ("real", "generated"))

    return write_sets


@pytest.fixture(scope="module")
def network(tiny_dir):
    """A small network, which takes the clips that a test prepares as they are."""
    return FeatureNetwork("tiny_rgb", tiny_dir, clip_config("original", size=32))


@pytest.mark.slow
@pytest.mark.parametrize("name", PROTOCOLS)
def test_protocol_equals_an_independent_computation(name, network, write, monkeypatch):
    def same_network(checkpoint, checkpoint_dir, config):
        monkeypatch.setattr(network, "config", config)
        return network

    monkeypatch.setattr("i3d_tf.features.fvd.FeatureNetwork", same_network)
    sets = made_up_sets((40, 56))
    options = FvdOptions(*write(sets), config=clip_config(name, size=32), batch_size=BATCH)
    expected = distance_by_hand(name, network, sets, 32)
    assert frechet_video_distance(options).fvd == pytest.approx(expected, rel=1e-5)


def test_protocols_are_the_published_ones():
    assert ClipConfig() == PROTOCOLS["original"]
    table = {
        name: (p.frames, p.min_frames, p.resize, p.clips, p.frame_step, p.covariance)
        for name, p in PROTOCOLS.items()
    }
    assert table == {
        "original": (None, 9, "tensorflow1", "first", 1, "unbiased"),
        "styleganv": (16, 9, "half_pixel", "random", 1, "biased"),
        "videogpt": (None, 10, "short_side", "first", 1, "unbiased"),
        "version_0_1": (16, 9, "opencv", "first", 1, "unbiased"),
    }
    assert {(p.size, p.features, p.frame_rate) for p in PROTOCOLS.values()} == {
        (224, "logits", None)
    }
    assert all(config.protocol == name for name, config in PROTOCOLS.items())


def test_overrides_are_named():
    assert clip_config("styleganv").overrides == {}
    changed = clip_config("styleganv", frames=32, covariance="unbiased", size=None)
    assert changed.overrides == {"frames": 32, "covariance": "unbiased"}
    assert clip_config("original").with_all_frames(15).overrides == {}
    assert clip_config("original", frames=15).overrides == {"frames": 15}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"protocol": "fvd"}, r"`protocol` must be one of .*received 'fvd'"),
        ({"features": "Mixed_5c"}, r"`features` must be one of .*received 'Mixed_5c'"),
        ({"resize": "cubic"}, r"`resize` must be one of .*received 'cubic'"),
        ({"clips": "last"}, r"`clips` must be one of .*received 'last'"),
        ({"covariance": "n"}, r"`covariance` must be one of .*received 'n'"),
        ({"frames": 8}, "`frames` must be an integer >= 9; received 8"),
        ({"frames": 9, "protocol": "videogpt"}, "`frames` must be an integer >= 10; received 9"),
        ({"size": 31}, r"`size` must be an integer within 32\.\.1024; received 31"),
        ({"frame_rate": 0.0}, r"`frame_rate` must be a number > 0; received 0\.0"),
        ({"frame_step": 0}, "`frame_step` must be an integer >= 1; received 0"),
        ({"clips_per_video": 2}, "`clips_per_video` must be 1 for the first frames of a video"),
        ({"clips": "random"}, "`frames` must be a number where a clip is a part of its video"),
    ],
)
def test_clip_config_names_bad_values(config, message):
    with pytest.raises(ValueError, match=message):
        clip_config(**config)
