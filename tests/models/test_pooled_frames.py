"""Poolings of single frames, compared with NumPy from the maps of every frame on."""

from functools import cache

import keras
import numpy as np
import pytest

from i3d_tf.models.pooled_frames import pooled_frames
from i3d_tf.specs.baselines import POOLINGS

FRAMES = 17  # windows of 10 that are 5 apart begin at 0, 5, and at 10 with the last repeated
# float32 sums in another order, through two layers
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


@pytest.fixture(scope="module")
def network(build_tiny, random_weights, toy_backbone):
    """Function: (pooling, frames) -> the network; the weights do not depend on the frames."""

    @cache
    def build(pooling, frames=None):
        shape = (frames, 33, 35, 3)
        options = {"pooling": pooling, "backbone": toy_backbone, "input_shape": shape}
        return random_weights(build_tiny("pooled_frames", **options))

    return build


@pytest.fixture(scope="module")
def clips(random_clips):
    """Two clips of 17 frames."""
    return random_clips((FRAMES, 33, 35, 3), 2)


def layer_of(model, name, inputs, relu=True):
    kernel, bias = map(np.array, model.get_layer(name).weights)
    outputs = inputs @ kernel + bias
    return np.maximum(outputs, 0) if relu else outputs


def by_hand(model, pooling, maps):
    """Logits from the maps of every frame, (N, T, H', W', C)."""

    def fc6(inputs):
        return layer_of(model, "fc6", inputs)

    def fc7(inputs):
        return layer_of(model, "fc7", inputs)

    windows = [maps[:, :10], maps[:, 5:15], maps[:, 10:]]
    if pooling == "conv":
        features = fc7(fc6(maps.max(axis=1).mean(axis=(1, 2))))
    elif pooling == "late":
        features = fc7(fc6(maps.mean(axis=(2, 3)))).max(axis=1)
    elif pooling == "slow":
        towers = [fc6(window.max(axis=1).mean(axis=(1, 2))) for window in windows]
        features = fc7(np.max(towers, axis=0))
    elif pooling == "local":
        towers = [fc7(fc6(window.max(axis=1).mean(axis=(1, 2)))) for window in windows]
        features = np.concatenate(towers, axis=1)
    else:
        features = fc7(fc6(time_conv_by_hand(model, maps).max(axis=(1, 2, 3))))
    return layer_of(model, "Logits", features, relu=False)


def time_conv_by_hand(model, maps):
    kernel, bias = map(np.array, model.get_layer("time_conv").weights)
    _, frames, height, width, _ = maps.shape
    extended = np.concatenate([maps, np.repeat(maps[:, -1:], 20 - frames, axis=1)], axis=1)
    padded = np.pad(extended, [(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)])
    outputs = np.empty((len(maps), 3, height, width, len(bias)))
    for window, row, column in np.ndindex(3, height, width):
        patch = padded[:, 5 * window : 5 * window + 10, row : row + 3, column : column + 3]
        outputs[:, window, row, column] = np.tensordot(patch, kernel, 4) + bias
    return np.maximum(outputs, 0)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_pooling_computes_its_definition(network, clips, pooling):
    model = network(pooling, FRAMES if pooling == "local" else None)
    outputs = [model.get_layer("unfold_time").output, model.output]
    maps, logits = map(np.array, keras.Model(model.input, outputs)(clips))
    assert maps.shape[:2] == (2, FRAMES)
    np.testing.assert_allclose(logits, by_hand(model, pooling, maps), **CLOSE)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_one_frame_repeated_is_that_frame(network, clips, pooling):
    alone, repeated = clips[:, :1], np.repeat(clips[:, :1], 10, axis=1)
    first = network(pooling, 1 if pooling == "local" else None)
    second = network(pooling, 10) if pooling == "local" else first
    logits = np.array(first(alone))
    np.testing.assert_allclose(np.array(second(repeated)), logits, **CLOSE)
    assert np.ptp(logits, axis=0).min() > 0


@pytest.mark.parametrize("pooling", POOLINGS)
def test_order_of_frames_counts_for_windows_only(network, clips, pooling):
    model = network(pooling, FRAMES if pooling == "local" else None)
    before, after = (np.array(model(c)) for c in (clips, clips[:, ::-1]))
    if pooling in ("conv", "late"):
        np.testing.assert_allclose(after, before, **CLOSE)
    else:
        assert np.abs(after - before).max() > 1e-3 * np.abs(before).max()


@pytest.mark.parametrize(
    ("pooling", "parameters"),
    [
        # 1,024 features; two layers of 4,096 units; 400 classes.
        ("conv", 1025 * 4096 + 4097 * 4096 + 4097 * 400),
        ("late", 1025 * 4096 + 4097 * 4096 + 4097 * 400),
        ("slow", 1025 * 4096 + 4097 * 4096 + 4097 * 400),
        # The classifier reads three windows.
        ("local", 1025 * 4096 + 4097 * 4096 + (3 * 4096 + 1) * 400),
        # 256 kernels of 10 x 3 x 3.
        ("time_conv", (10 * 3 * 3 * 1024 + 1) * 256 + 257 * 4096 + 4097 * 4096 + 4097 * 400),
    ],
)
@pytest.mark.slow
def test_full_size_network_has_the_parameters_of_its_layers(pooling, parameters, build_tiny):
    trunk = build_tiny("inception_v1", include_top=False, width_multiplier=1.0).count_params()
    model = pooled_frames((FRAMES, 224, 224, 3), pooling=pooling)
    assert model.count_params() == trunk + parameters


def test_pooled_frames_checks_its_arguments():
    with pytest.raises(ValueError, match=r"`pooling` must be one of \('conv'.*'mean'"):
        pooled_frames(pooling="mean")
    with pytest.raises(ValueError, match=r"T = an integer for the pooling local; .*None"):
        pooled_frames(pooling="local")
    with pytest.raises(ValueError, match=r"`backbone` must be one of .*'vgg'"):
        pooled_frames(backbone="vgg")
