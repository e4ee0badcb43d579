import numpy as np
import pytest

from i3d_tf.features.options import (
    FeatureConfig,
    FeatureOptions,
    feature_config,
    receptive_field,
    timestamps,
)


@pytest.mark.parametrize(
    ("arguments", "config"),
    [
        ({}, FeatureConfig("Mixed_5c", "space", None, 8)),
        ({"endpoint": "Mixed_4f", "pool": "none"}, FeatureConfig("Mixed_4f", "none", None, 4)),
        ({"stride": 32}, FeatureConfig("Mixed_5c", "space", None, 32)),
        ({"pool": "space_time"}, FeatureConfig("Mixed_5c", "space_time", None, None)),
        ({"window": 16}, FeatureConfig("Mixed_5c", "head", 16, 16)),
        ({"window": 64, "stride": 7}, FeatureConfig("Mixed_5c", "head", 64, 7)),
        ({"endpoint": "Logits"}, FeatureConfig("Logits", "space", None, 8)),
    ],
)
def test_feature_config_has_defaults(arguments, config):
    assert feature_config(**arguments) == config


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"endpoint": "Mixed_6a"}, r"`endpoint` must be one of .*; received 'Mixed_6a'"),
        ({"pool": "time"}, r"`pool` must be one of .*; received 'time'"),
        ({"window": 8}, r"`window` must be an integer within 9\.\.4096; received 8"),
        ({"window": 16, "stride": 0}, r"`stride` must be an integer within 1\.\.4096"),
        ({"stride": 4}, r"`stride` must be an integer within 8\.\.4096"),
        ({"stride": 12}, "must be a multiple of 8, the stride of Mixed_5c; received 12. For other"),
        ({"pool": "space_time", "stride": 8}, "must be None where the whole video is one row"),
        ({"endpoint": "Mixed_4f", "pool": "head"}, "must not be 'head' for Mixed_4f: the head"),
        ({"tail": "repeat"}, "`tail` and `lookahead` are of windows"),
        ({"lookahead": 1}, "`tail` and `lookahead` are of windows"),
        ({"window": 16, "tail": "pad", "lookahead": 1}, "must be 0 where the tail is not dropped"),
        ({"short": "pad"}, r"`short` must be one of .*; received 'pad'"),
    ],
)
def test_feature_config_names_bad_values(arguments, message):
    with pytest.raises(ValueError, match=message):
        feature_config(**arguments)


def test_feature_options_name_bad_values():
    with pytest.raises(ValueError, match=r"`stream` must be one of .*; received 'both'"):
        FeatureOptions(feature_config(), "both")
    with pytest.raises(ValueError, match=r"`batch_size` must be an integer within 1\.\.1024"):
        FeatureOptions(feature_config(), "rgb", batch_size=0)


def test_timestamps_of_a_whole_video():
    times = timestamps(feature_config(), 20)
    # Three steps; the middle of the first is frame 5, as in any clip whose length halves to even
    # numbers, but here 5 steps halve to 3, whose pool looks a frame of its own further back.
    np.testing.assert_array_equal(times[:, 0], [0, 8, 16])
    np.testing.assert_array_equal(times[:, 2], [8, 16, 20])
    np.testing.assert_array_equal(timestamps(feature_config(), 64)[:, 1], 8 * np.arange(8) + 5.5)
    assert ((times[:, 0] <= times[:, 1]) & (times[:, 1] <= times[:, 2])).all()


def test_timestamps_of_means_of_steps():
    times = timestamps(feature_config(stride=16), 40)
    np.testing.assert_array_equal(times[:, [0, 2]], [[0, 16], [16, 32], [32, 40]])
    steps = timestamps(feature_config(), 40)[:, 1]
    np.testing.assert_allclose(times[:, 1], [steps[:2].mean(), steps[2:4].mean(), steps[4]])
    whole = timestamps(feature_config(pool="space_time"), 40)
    np.testing.assert_allclose(whole, [[0, steps.mean(), 40]])


def test_timestamps_of_the_head_overlap():
    times = timestamps(feature_config("AvgPool3d_0a_7x7"), 64)
    np.testing.assert_array_equal(times[0], [0, 9.5, 16])
    np.testing.assert_array_equal(times[-1], [48, 57.5, 64])
    assert len(times) == 7
    assert receptive_field("Logits") == receptive_field("Mixed_5c") + 8


def test_timestamps_of_windows():
    times = timestamps(feature_config(window=16, stride=8), 39)
    np.testing.assert_array_equal(times, [[0, 8, 16], [8, 16, 24], [16, 24, 32]])
    assert len(timestamps(feature_config(window=16), 15)) == 0


def test_timestamps_of_the_heads_rows_of_a_whole_video():
    """The network's second pool, of two neighboring steps: row k is from frame 8 k to 8 k + 16."""
    times = timestamps(feature_config(pool="head"), 64)
    np.testing.assert_array_equal(times, timestamps(feature_config("AvgPool3d_0a_7x7"), 64))
    np.testing.assert_array_equal(times[:, 0], 8 * np.arange(7))
    assert len(timestamps(feature_config(short="loop"), 5)) == 2
    assert len(timestamps(feature_config(short="empty"), 5)) == 0
