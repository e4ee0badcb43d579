import keras
import numpy as np
import pytest

from i3d_tf.models.applications import (
    PIXEL_VALUES,
    application_module,
    application_names,
    apply_application,
)
from i3d_tf.models.backbone import apply_backbone
from i3d_tf.models.clip_input import normalized

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 3)).astype(np.float32)


@pytest.mark.parametrize("module", PIXEL_VALUES)
def test_pixel_values_are_those_of_preprocess_input(module):
    images = keras.Input((None, None, 3))
    model = keras.Model(images, normalized(images, *PIXEL_VALUES[module]))
    expected = getattr(keras.applications, module).preprocess_input(PIXELS.copy())
    # float32 of values of up to 255, added up in another order.
    np.testing.assert_allclose(
        np.array(model(PIXELS / 127.5 - 1)), expected, atol=5e-7 * np.abs(expected).max()
    )


def test_every_application_has_its_pixel_values():
    assert {application_module(name) for name in application_names()} == set(PIXEL_VALUES)


def test_zero_of_other_channels_stays_zero():
    images = keras.Input((32, 32, 10))
    model = keras.Model(images, apply_application("VGG16", images, "avg"))
    layer = model.get_layer("normalize")
    assert (float(layer.scale), float(layer.offset)) == (127.5, 0.0)
    assert model.weights[0].shape == (3, 3, 10, 64)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV3Small", "EfficientNetV2B0", "ConvNeXtTiny"])
def test_preprocessing_of_rgb_is_left_out_for_other_channels(name):
    images = keras.Input((32, 32, 10))
    model = keras.Model(images, apply_application(name, images, "avg"))
    assert next(w for w in model.weights if w.name == "kernel").shape[-2] == 10
    assert not any(isinstance(layer, keras.layers.Normalization) for layer in model.layers)


def test_backbone_of_applications_has_one_width():
    with pytest.raises(ValueError, match="`width_multiplier` must be 1 for the backbone VGG16; re"):
        apply_backbone("VGG16", keras.Input((32, 32, 3)), 0.5)
    with pytest.raises(ValueError, match=r"`backbone` must be one of \('inception_v1', .*'VGG19'"):
        apply_backbone("VGG20", keras.Input((32, 32, 3)))
