import itertools
from math import prod

import keras
import numpy as np
import pytest

from i3d_tf.models.sports_1m import sports_1m

SMALL = {"width_multiplier": 1 / 32, "classes": 5}


def small(fusion, frames, size=48, **arguments):
    return sports_1m(fusion, (frames, size, size, 3), **SMALL, **arguments)


@pytest.fixture(scope="module")
def single(random_weights):
    return random_weights(small("single", 1))


@pytest.fixture(scope="module")
def clip():
    return np.random.default_rng(0).uniform(-1, 1, (2, 10, 48, 48, 3)).astype("f4")


def concentrate(model, single, taps):
    """Gives a network the weights of one of single frames, at one step of each kernel's time."""
    for layer in model.layers:
        if not layer.weights:
            continue
        kernel, bias = single.get_layer(layer.name).get_weights()
        if layer.name in taps:
            spread = np.zeros(layer.kernel.shape, "f4")
            spread[taps[layer.name]] = kernel[0]
            kernel = spread
        layer.set_weights([kernel, bias])


@pytest.mark.parametrize(("first", "second", "third"), [(0, 0, 0), (3, 0, 1), (2, 1, 0), (3, 1, 1)])
def test_slow_fusion_on_one_frame_is_the_network_of_that_frame(first, second, third, single, clip):
    model = small("slow", 10)
    concentrate(model, single, {"conv1": first, "conv2": second, "conv3": third})
    frame = first + 2 * second + 4 * third
    expected = np.array(single(clip[:, frame : frame + 1]))
    np.testing.assert_allclose(np.array(model(clip)), expected, rtol=1e-4, atol=1e-5)


def test_early_fusion_on_one_frame_is_the_network_of_that_frame(single, clip):
    model = small("early", 10)
    concentrate(model, single, {"conv1": 7})
    expected = np.array(single(clip[:, 7:8]))
    np.testing.assert_allclose(np.array(model(clip)), expected, rtol=1e-4, atol=1e-5)


def test_late_fusion_of_the_same_frame_twice_is_the_network_of_that_frame(single, clip):
    model = small("late", 2)
    for layer in model.layers:
        if layer.weights:
            kernel, bias = single.get_layer(layer.name).get_weights()
            halves = np.concatenate([kernel, kernel]) / 2
            layer.set_weights([halves if layer.name == "fc6" else kernel, bias])
    twice = np.repeat(clip[:, 3:4], 2, axis=1)
    expected = np.array(single(clip[:, 3:4]))
    np.testing.assert_allclose(np.array(model(twice)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("fusion", "frames", "steps"),
    [
        ("single", 1, (1, 1, 1)),
        ("early", 10, (1, 1, 1)),
        ("late", 2, (2, 2, 2)),
        ("slow", 10, (4, 2, 1)),
    ],
)
def test_frames_end_as_7_x_7_positions(fusion, frames, steps):
    model = sports_1m(fusion, **SMALL)
    assert model.input_shape == (None, frames, 170, 170, 3)
    sizes = {"conv1": 54, "pool1": 27, "conv2": 27, "pool2": 14, "conv5": 14, "pool5": 7}
    found = {name: model.get_layer(name).output.shape[2:4] for name in sizes}
    assert found == {name: (size, size) for name, size in sizes.items()}
    times = [model.get_layer(f"conv{number}").output.shape[1] for number in (1, 2, 3)]
    assert tuple(times) == steps


def test_two_resolutions_end_as_7_x_7_positions_each():
    model = sports_1m("slow", multiresolution=True, **SMALL)
    assert model.input_shape == (None, 10, 178, 178, 3)
    for prefix in ("fovea", "context"):
        assert model.get_layer(prefix).output.shape == (None, 10, 89, 89, 3)
        assert model.get_layer(f"{prefix}_conv5").output.shape == (None, 1, 7, 7, 8)
    assert model.get_layer("join").output.shape == (None, 1, 7, 7, 16)


def test_fovea_is_the_center_and_context_the_mean_of_four_pixels():
    model = small("single", 1, size=34, multiresolution=True)
    views = [model.get_layer(name).output for name in ("fovea", "context")]
    clip = np.random.default_rng(0).uniform(-1, 1, (1, 1, 34, 34, 3)).astype("f4")
    fovea, context = map(np.array, keras.Model(model.input, views)(clip))
    np.testing.assert_array_equal(fovea, clip[:, :, 8:25, 8:25])
    four = clip.reshape(1, 1, 17, 2, 17, 2, 3).mean((3, 5))
    np.testing.assert_allclose(context, four, atol=1e-6)


@pytest.mark.slow
def test_single_frame_network_has_the_parameters_of_its_layers():
    dense = (7 * 7 * 256, 4096, 4096, 487)
    kernels = ((11, 3, 96), (5, 96, 256), (3, 256, 384), (3, 384, 384), (3, 384, 256))
    expected = sum((k * k * i + 1) * o for k, i, o in kernels)
    expected += sum((i + 1) * o for i, o in itertools.pairwise(dense))
    model = sports_1m("single", classes=487)
    assert model.count_params() == expected == 73_908_071
    assert prod(model.get_layer("fc6").kernel.shape) == 7 * 7 * 256 * 4096


@pytest.mark.parametrize(
    ("fusion", "frames", "message"),
    [("slow", 9, r"T = 10; received \(9,"), ("middle", 1, "`fusion` must be one of")],
)
def test_arguments_are_checked(fusion, frames, message):
    with pytest.raises(ValueError, match=message):
        small(fusion, frames)
