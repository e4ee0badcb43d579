"""ImageNet's weights, in whose place random ones are downloaded."""

import keras
import numpy as np
import pytest

from i3d_tf import zoo
from i3d_tf.system.cache import OFFLINE_VARIABLE
from i3d_tf.weights.assign import WeightsError
from i3d_tf.zoo.initialize import write_initial_weights

# One network of each kind of preprocessing, and its public module.
MODULES = {
    "MobileNet": "mobilenet",
    "ResNet50": "resnet",
    "DenseNet121": "densenet",
    "EfficientNetB0": "efficientnet",
    "EfficientNetV2B0": "efficientnet_v2",
    "MobileNetV3Small": "mobilenet_v3",
    "ConvNeXtTiny": "convnext",
}


@pytest.fixture
def downloads(tmp_path, monkeypatch, random_weights):
    """Function: application -> its network with the random weights that Keras then downloads."""
    from keras.src.utils import file_utils

    path = tmp_path / "random.weights.h5"
    monkeypatch.setattr(file_utils, "get_file", lambda *_, **__: str(path))
    monkeypatch.delenv(OFFLINE_VARIABLE, raising=False)

    def make(name):
        build = getattr(keras.applications, name)
        random_weights(build(weights=None, include_top=False)).save_weights(path)
        return build(include_top=False, pooling="avg")

    return make


@pytest.mark.slow
@pytest.mark.parametrize("name", MODULES)
@pytest.mark.filterwarnings("ignore:.*input_shape")
def test_network_gets_the_features_of_the_application(downloads, name):
    application = downloads(name)
    model = zoo.build("tsn", input_shape=(2, 64, 64, 3), classes=3, backbone=name)
    with pytest.warns(UserWarning, match=f"imagenet:{name}: all was loaded but Logits, untrained"):
        write_initial_weights(model, f"imagenet:{name}")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.float32)
    module = getattr(keras.applications, MODULES[name])
    expected = np.array(application(module.preprocess_input(pixels.copy())))
    features = keras.Model(model.input, model.get_layer("unfold_time").output)
    found = np.array(features(pixels[np.newaxis] / 127.5 - 1))[0]
    assert np.ptp(expected, axis=0).max() > 0
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3 * np.abs(expected).max())


@pytest.mark.filterwarnings("ignore:.*(untrained|input_shape)")
def test_first_kernel_of_flow_is_the_mean_of_rgb(downloads):
    source = {weight.path: weight.numpy() for weight in downloads("MobileNet").weights}
    model = zoo.build("tsn", input_shape=(5, 32, 32, 2), classes=3, backbone="MobileNet")
    write_initial_weights(model, "imagenet:MobileNet")
    found = {weight.path: weight.numpy() for weight in model.weights}
    kernel = found.pop("conv1/kernel")
    assert kernel.shape == (3, 3, 10, 32)
    rgb = source.pop("conv1/kernel")
    # The same for each channel; equal channels give what they give in RGB.
    for channel in range(10):
        np.testing.assert_allclose(kernel[:, :, channel], rgb.mean(2) * 3 / 10, rtol=1e-6)
    assert all((found[path] == value).all() for path, value in source.items())


def test_weights_of_another_network_are_refused(monkeypatch):
    def build(**_):
        return keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(7, 3)])

    monkeypatch.delenv(OFFLINE_VARIABLE, raising=False)
    monkeypatch.setattr(keras.applications, "MobileNet", build)
    model = zoo.build("tsn", classes=3, width_multiplier=1 / 16)
    before = model.get_weights()
    with pytest.raises(WeightsError, match=r"MobileNet is no part of 'tsn'.*=MobileNet\.$"):
        write_initial_weights(model, "imagenet:MobileNet")
    assert all(map(np.array_equal, before, model.get_weights()))


def test_download_that_fails_is_one_line(monkeypatch):
    def build(**_):
        raise Exception("URL fetch failure")  # as Keras does

    monkeypatch.delenv(OFFLINE_VARIABLE, raising=False)
    monkeypatch.setattr(keras.applications, "ResNet50", build)
    with pytest.raises(WeightsError, match=r"^ResNet50: .*\(URL fetch failure\)\. Put their file"):
        write_initial_weights(zoo.build("tsn", width_multiplier=1 / 16), "imagenet:ResNet50")


def test_offline_and_unknown_names_are_refused(monkeypatch):
    model = zoo.build("tsn", width_multiplier=1 / 16)
    monkeypatch.setenv(OFFLINE_VARIABLE, "1")
    with pytest.raises(WeightsError, match=f"^imagenet:ResNet50: .*{OFFLINE_VARIABLE} forbids"):
        write_initial_weights(model, "imagenet:ResNet50")
    with pytest.raises(ValueError, match=r"`application` must be one of .*; received 'ResNet'"):
        write_initial_weights(model, "imagenet:ResNet")
