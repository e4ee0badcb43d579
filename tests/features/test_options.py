import numpy as np
import pytest

from i3d_tf.features.options import FeatureConfig, feature_rules, receptive_field, row_times
from i3d_tf.features.windows import means_of, windows_of


@pytest.mark.parametrize(
    ("arguments", "rules"),
    [
        ({}, FeatureConfig("Mixed_5c", "space", None, 8)),
        ({"endpoint": "Mixed_4f", "pool": "none"}, FeatureConfig("Mixed_4f", "none", None, 4)),
        ({"stride": 32}, FeatureConfig("Mixed_5c", "space", None, 32)),
        ({"pool": "space_time"}, FeatureConfig("Mixed_5c", "space_time", None, None)),
        ({"window": 16}, FeatureConfig("Mixed_5c", "space_time", 16, 16)),
        ({"window": 64, "stride": 7}, FeatureConfig("Mixed_5c", "space_time", 64, 7)),
        ({"endpoint": "Logits"}, FeatureConfig("Logits", "space", None, 8)),
    ],
)
def test_what_was_not_said_is_filled_in(arguments, rules):
    assert feature_rules(**arguments) == rules


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"endpoint": "Mixed_6a"}, r"`endpoint` must be one of .*; received 'Mixed_6a'"),
        ({"pool": "time"}, r"`pool` must be one of .*; received 'time'"),
        ({"window": 8}, r"`window` must be an integer within 9\.\.4096 \(frames\); received 8"),
        ({"window": 16, "stride": 0}, r"`stride` must be an integer within 1\.\.4096"),
        ({"stride": 4}, r"`stride` must be an integer within 8\.\.4096"),
        ({"stride": 12}, "must be a multiple of 8, the stride of Mixed_5c; received 12. Other"),
        ({"pool": "space_time", "stride": 8}, "must be None where the whole video is one row"),
    ],
)
def test_rules_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        feature_rules(**arguments)


def test_times_of_the_whole_video():
    times = row_times(feature_rules(), 20)
    # Three steps; the middle of the first is frame 5, as in any clip whose length halves to even
    # numbers, but here 5 steps halve to 3, whose pool looks a frame of its own further back.
    np.testing.assert_array_equal(times[:, 0], [0, 8, 16])
    np.testing.assert_array_equal(times[:, 2], [8, 16, 20])
    np.testing.assert_array_equal(row_times(feature_rules(), 64)[:, 1], 8 * np.arange(8) + 5.5)
    assert ((times[:, 0] <= times[:, 1]) & (times[:, 1] <= times[:, 2])).all()


def test_times_of_means_of_steps():
    times = row_times(feature_rules(stride=16), 40)
    np.testing.assert_array_equal(times[:, [0, 2]], [[0, 16], [16, 32], [32, 40]])
    steps = row_times(feature_rules(), 40)[:, 1]
    np.testing.assert_allclose(times[:, 1], [steps[:2].mean(), steps[2:4].mean(), steps[4]])
    whole = row_times(feature_rules(pool="space_time"), 40)
    np.testing.assert_allclose(whole, [[0, steps.mean(), 40]])


def test_times_of_the_heads_steps_which_see_two():
    times = row_times(feature_rules("AvgPool3d_0a_7x7"), 64)
    np.testing.assert_array_equal(times[0], [0, 9.5, 16])
    np.testing.assert_array_equal(times[-1], [48, 57.5, 64])
    assert len(times) == 7
    assert receptive_field("Logits") == receptive_field("Mixed_5c") + 8


def test_times_of_windows():
    times = row_times(feature_rules(window=16, stride=8), 39)
    np.testing.assert_array_equal(times, [[0, 8, 16], [8, 16, 24], [16, 24, 32]])
    assert len(row_times(feature_rules(window=16), 15)) == 0


@pytest.mark.parametrize(
    ("window", "stride", "begins"), [(4, 4, [0, 4]), (4, 1, range(8)), (4, 6, [0, 6]), (9, 3, [0])]
)
def test_windows_of_a_ramp(window, stride, begins):
    frames = iter(np.arange(11))
    found = list(windows_of(frames, window, stride))
    assert [part.tolist() for part in found] == [list(range(b, b + window)) for b in begins]
    assert next(frames, None) is None
    rules = FeatureConfig("Mixed_5c", "space", window, stride)
    np.testing.assert_array_equal(row_times(rules, 11)[:, 0], list(begins))


def test_means_of_a_ramp():
    steps = np.arange(5, dtype=np.float32)[:, np.newaxis]
    assert np.concatenate(list(means_of(steps, 2))).tolist() == [0.5, 2.5, 4.0]
    assert np.concatenate(list(means_of(steps, None))).tolist() == [2.0]
    assert np.stack(list(means_of(steps, 1))).tolist() == steps.tolist()
    assert next(means_of(steps, 2)).dtype == np.float32
    assert list(means_of([], None)) == []
