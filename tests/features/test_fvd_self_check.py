import json

import numpy as np
import pytest

from i3d_tf.features import fvd_self_check
from i3d_tf.features.fvd_self_check import BLACK_AND_WHITE, LOGITS, check_values
from i3d_tf.metrics.frechet import FeatureStatistics, frechet_distance


class Published:
    """A network that gives the published logits of black frames, and distances of white ones."""

    off = 0.0

    def __init__(self, *_):
        pass

    def __call__(self, clips):
        assert len(clips) == 1
        logits = np.zeros((1, 400))
        logits[0, list(LOGITS)] = list(LOGITS.values())
        if clips.max() == 1:
            logits += np.sqrt((BLACK_AND_WHITE[clips.shape[1]] + self.off) / 400)
        return logits


@pytest.mark.parametrize(("off", "status"), [(0.0, 0), (0.02, 1)])
def test_self_check_fails_where_a_value_is_off(monkeypatch, run_tool, off, status):
    monkeypatch.setattr(Published, "off", off)
    monkeypatch.setattr(fvd_self_check, "FeatureNetwork", Published)
    found, out, err = run_tool("fvd", "--self_check=quick")
    assert (found, err) == (status, [])
    assert out[0].split() == ["check", "computed", "published"]
    assert out[1].endswith(f"{LOGITS[0]:.6f}")
    assert [line.endswith("OFF") for line in out[1:]] == [False] * 6 + [bool(status)] * 2
    _, out, _ = run_tool("fvd", "--self_check=quick", "--json")
    assert [json.loads(line)["is_met"] for line in out] == [True] * 6 + [not status] * 2


def test_random_clips_are_those_of_one_array(monkeypatch):
    shape = (8, 2, 3, 3, 3)
    monkeypatch.setattr(fvd_self_check, "RANDOM_CLIPS", 8)
    monkeypatch.setattr(fvd_self_check, "RANDOM_FRAMES", 2)
    monkeypatch.setattr(fvd_self_check, "RANDOM_SIZE", 3)
    monkeypatch.setattr(fvd_self_check, "BATCH_SIZE", 3)

    class Pixels:
        def __init__(self, *_):
            pass

        def __call__(self, clips):
            assert clips.dtype == np.float32
            return (
                np.resize(clips, (len(clips), clips[0].size))
                if clips[0].size == 54
                else (np.zeros((1, 400)))
            )

    monkeypatch.setattr(fvd_self_check, "FeatureNetwork", Pixels)
    *_, value = check_values()
    a, b = (
        FeatureStatistics.of(np.random.RandomState(seed).rand(*shape).reshape(8, -1))
        for seed in (1, 2)
    )
    assert value.computed == pytest.approx(frechet_distance(a, b), rel=1e-5)  # of float32
    assert value.published == 10.138085
