"""Features of the released network on real clips, against computations of their own."""

import cv2
import keras
import numpy as np
import pytest

import i3d_tf
from i3d_tf.features.extractor import FeatureExtractor
from i3d_tf.features.options import FeatureOptions, feature_config, settings_options
from i3d_tf.specs.feature_profiles import resolve_settings
from i3d_tf.video.decode import read_clip

pytestmark = pytest.mark.release
CLIP = "videos/part.avi"  # 164 frames, 25 per second, 320 x 240
# Of the largest value. Batch norm is folded and sums are in another order.
TOLERANCE = 1e-4


def network_to(endpoint):
    model = i3d_tf.load("rgb_scratch")
    return keras.Model(model.input, model.get_layer(endpoint).output)


def inputs(shared_dir, size, crop):
    """The frames of the clip, resized by OpenCV and cropped, in [-1, 1]."""
    frames = read_clip(shared_dir / CLIP, None)
    top, left = crop
    resized = np.stack([cv2.resize(frame, size) for frame in frames])
    cropped = resized[:, top : top + 224, left : left + 224]
    return cropped.astype(np.float32) / np.float32(127.5) - 1


def pooled_by_hand(network, clip):
    """The average pool of 2x7x7 with stride 1, and the mean over the remaining time."""
    steps = network(clip[np.newaxis], training=False).numpy()[0].astype(np.float64)
    assert steps.shape[1:] == (7, 7, 1024)
    return np.mean([steps[k : k + 2].mean((0, 1, 2)) for k in range(len(steps) - 1)], 0)


def assert_near(found, expected):
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())


@pytest.fixture(scope="module")
def clip(shared_dir):
    return inputs(shared_dir, (341, 256), (16, 58))


@pytest.mark.parametrize("window", [16, 64])
def test_pooling_is_that_of_the_head(weights, shared_dir, clip, window):
    starts = range(0, 164 - window + 1, window)
    network = network_to("Mixed_5c")
    expected = np.stack([pooled_by_hand(network, clip[k : k + window]) for k in starts])
    for endpoint in ("Mixed_5c", "AvgPool3d_0a_7x7"):
        config = feature_config(endpoint, window=window)
        options = FeatureOptions(config, "rgb", rgb_checkpoint="rgb_scratch", batch_size=2)
        found = FeatureExtractor(options).extract(shared_dir / CLIP)
        assert_near(found.features, expected)
    layer = network_to("AvgPool3d_0a_7x7")(clip[np.newaxis, :window], training=False).numpy()
    assert_near(layer.mean((0, 1, 2, 3)), expected[0])


def test_rows_of_thumos14_are_those_of_its_frames(weights, shared_dir):
    clip = inputs(shared_dir, (340, 256), (16, 58))
    settings = resolve_settings("thumos14", {"stream": "rgb", "stride": 64})
    options = settings_options(*settings, rgb_checkpoint="rgb_scratch")
    found = FeatureExtractor(options).extract(shared_dir / CLIP)
    network = network_to("Mixed_5c")
    expected = [pooled_by_hand(network, clip[k : k + 16]) for k in (0, 64, 128)]
    assert_near(found.features, np.stack(expected))
    np.testing.assert_allclose(found.times[:, 1] * 25, [8, 72, 136])
