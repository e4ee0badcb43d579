import sys
import warnings
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from i3d_tf.layers.input_range import input_range_problem
from i3d_tf.models.c3d import c3d
from i3d_tf.models.inception import inception_i3d
from i3d_tf.models.two_stream import two_stream_2d

SHAPE = (9, 32, 32)
NOISE = np.random.default_rng(0).uniform(-1, 1, (1, *SHAPE, 3)).astype(np.float32)
FLOW = NOISE[..., :2]
NO_VALUES = SimpleNamespace(is_meta=True, is_cuda=False)  # a tensor of PyTorch


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        (NOISE, None),
        (NOISE * 1.0005, None),
        (np.zeros_like(NOISE), None),
        (np.ones_like(NOISE), None),
        (NOISE[:0], None),
        (NOISE + 0.5, "values from -0.5 to 1.5; they must be within [-1, 1]. Give it i3d_tf.prepr"),
        (NOISE * 255, "values from -255 to 255"),
        ((NOISE * 127.5 + 127.5).astype(np.uint8), "values from 0 to 254"),
        ((NOISE + 1) / 2, "All values of the network's input are within [0, 1]"),
        (FLOW, None),
        (np.maximum(FLOW, 0), None),
        (FLOW * 20, "Give it i3d_tf.preprocess_input(flow, stream='flow')."),
        ((FLOW * 0.9 + 1) / 2, "All values of the network's input are within [0, 1]"),
    ],
)
def test_input_range_problem_is_named(inputs, problem):
    found = input_range_problem(tf.constant(inputs))
    if problem is None:
        assert found is None
    else:
        assert problem in found


@pytest.mark.parametrize("is_recording", [True, False])
def test_input_range_problem_leaves_a_graph_alone_that_pytorch_records(is_recording, monkeypatch):
    torch = SimpleNamespace(
        cuda=SimpleNamespace(is_current_stream_capturing=lambda: is_recording),
        compiler=SimpleNamespace(is_compiling=lambda: False),
    )
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    looked = []
    monkeypatch.setattr(keras.ops, "min", lambda inputs: looked.append("min") or NO_VALUES)
    monkeypatch.setattr(keras.ops, "max", lambda inputs: looked.append("max") or NO_VALUES)
    inputs = SimpleNamespace(is_meta=False, is_cuda=True, shape=NOISE.shape)
    assert input_range_problem(inputs) is None
    assert bool(looked) == (not is_recording)


@pytest.fixture(scope="module")
def tiny():
    return inception_i3d(input_shape=(None, None, None, 3), classes=5, width_multiplier=1 / 16)


def warned(function, *arguments):
    """The texts of the warnings that a call gives."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(*arguments)
    return [str(each.message) for each in caught if "network's input" in str(each.message)]


@pytest.fixture
def copy(tiny, tmp_path):
    """A copy of the network, loaded from a file."""
    tiny.save(tmp_path / "tiny.keras")
    return keras.models.load_model(tmp_path / "tiny.keras")


def test_network_warns_once_where_it_is_called_eagerly(copy):
    assert warned(copy, NOISE) == []
    frames = ((NOISE + 1) * 127.5).astype(np.uint8)
    assert len(warned(copy, frames)) == 1
    assert warned(copy, frames) == []


def test_inner_layers_of_narrow_networks_say_nothing(copy):
    # A sixteenth of the width has layers that read 2 and 3 channels of any values.
    assert warned(copy, NOISE) == []


def test_graph_is_as_it_was(copy):
    function = tf.function(lambda clip: copy(clip, training=False), autograph=False)
    concrete = function.get_concrete_function(tf.TensorSpec(NOISE.shape))
    kinds = {operation.type for operation in concrete.graph.get_operations()}
    assert not kinds & {"Min", "Max"}
    assert warned(function, tf.constant(NOISE * 255)) == []
    assert warned(copy.predict, NOISE * 255, 32, 0) == []


def test_function_may_capture_its_clip(copy):
    clip = tf.constant(NOISE * 255)
    outputs = tf.function(lambda: copy(clip, training=False))()
    np.testing.assert_allclose(outputs, copy(clip, training=False), rtol=1e-4, atol=1e-4)


def test_warning_changes_neither_outputs_nor_files(tiny, copy):
    np.testing.assert_array_equal(tiny(NOISE), copy(NOISE))
    config = copy.get_config()
    warned(copy, NOISE * 255)
    assert copy.get_config() == config


@pytest.mark.parametrize(
    "build",
    [
        lambda: c3d(input_shape=(16, 32, 32, 3), classes=2, width_multiplier=1 / 32),
        lambda: two_stream_2d("rgb", classes=2, width_multiplier=1 / 32),
    ],
)
def test_other_networks_warn_too(build):
    model = build()
    shape = (1, *(length or 32 for length in model.input_shape[1:-1]), 3)
    clip = np.resize(NOISE, shape)
    assert warned(model, clip) == []
    assert len(warned(model, clip * 255)) == 1


@pytest.mark.parametrize(("height", "width"), [(5, 5), (31, 40), (40, 31)])
def test_clips_of_few_pixels_are_refused(tiny, height, width):
    clip = np.zeros((1, 9, height, width, 3), np.float32)
    message = f"at least 32 x 32 pixels; received {height} x {width}. Resize"
    for call in (tiny, tf.function(tiny)):
        with pytest.raises(ValueError, match=message):
            call(tf.constant(clip))
