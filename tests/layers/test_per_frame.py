import keras
import numpy as np
import pytest

from i3d_tf.layers.frames import PerFrame, SpacePool


def test_each_frame_is_an_image_of_its_own(tmp_path):
    clip = np.random.default_rng(0).normal(size=(2, 3, 4, 5, 1)).astype("float32")
    layer = PerFrame(keras.layers.Conv2D(2, 3), name="frames")
    inputs = keras.Input((None, None, 5, 1))
    model = keras.Model(inputs, layer(inputs))
    assert model.output_shape == (None, None, None, 3, 2)
    expected = np.stack([np.array(layer.layer(clip[:, step])) for step in range(3)], axis=1)
    np.testing.assert_allclose(np.array(model(clip)), expected, rtol=1e-5, atol=1e-6)
    model.save(tmp_path / "frames.keras")
    loaded = keras.models.load_model(tmp_path / "frames.keras", safe_mode=True)
    np.testing.assert_array_equal(np.array(loaded(clip)), np.array(model(clip)))


def test_space_is_pooled_and_time_is_not():
    """Frames of the numbers 0...3 and 4...7: means 1.5 and 5.5, maxima 3 and 7."""
    clip = np.arange(8.0).reshape(1, 2, 2, 2, 1)
    np.testing.assert_array_equal(np.array(SpacePool("mean")(clip)), [[[1.5], [5.5]]])
    np.testing.assert_array_equal(np.array(SpacePool("max")(clip)), [[[3], [7]]])
    assert SpacePool("max", keepdims=True)(clip).shape == (1, 2, 1, 1, 1)
    free = keras.Input((None, None, None, 6))
    assert SpacePool("mean", keepdims=True)(free).shape == (None, None, 1, 1, 6)


def test_an_unknown_reduction_is_named():
    with pytest.raises(ValueError, match=r"\('mean', 'max'\); received 'sum'"):
        SpacePool("sum")
