"""Convolutions in pairs of steps, and gradients in bfloat16 against those in float32.

The gradients are of inputs that both types hold exactly. bfloat16 has 8 significant bits; with sums
in float32, as here, a gradient is off by less than 1 % of its largest value. The fault that this
guards against is off by half of it at least.
"""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from i3d_tf.layers import convolution
from i3d_tf.layers.convolution import Conv3D, convolve_pairs, in_pairs
from i3d_tf.layers.halo import halo_given
from i3d_tf.specs.further_networks import FURTHER_NETWORKS
from i3d_tf.specs.recipes import RECIPES, STICK_ACTIONS, STICK_SAMPLING
from i3d_tf.training.model import build_model

TOLERANCE = 0.01  # of the largest value
OF_IMAGES = {
    *("convnet_lstm", "two_stream", "pooled_frames", "deep_lstm", "lrcn", "two_stream_2014"),
    *("tsn", "tsn_rgb_difference"),
}  # networks without a kernel over time
REPEATS = 3  # the fault gives another result at every call
CLIPS = np.random.default_rng(0).uniform(-1, 1, (2, 9, 6, 5, 4)).astype(np.float32)
ROUNDING = 1e-6  # sums in another order


def in_bfloat16(values):
    return tf.cast(tf.cast(tf.constant(values, tf.float32), tf.bfloat16), tf.float32)


def gradients(layer, inputs, kernel, dtype):
    """Returns the gradients of the sum of squares of a convolution: to inputs and kernel."""
    inputs, kernel = tf.cast(inputs, dtype), tf.cast(kernel, dtype)
    with tf.GradientTape() as tape:
        tape.watch([inputs, kernel])
        loss = tf.reduce_sum(tf.cast(layer.convolution_op(inputs, kernel), tf.float32) ** 2)
    return [tf.cast(each, tf.float32).numpy() for each in tape.gradient(loss, [inputs, kernel])]


def largest_error(layer, shape):
    """Returns the largest error of both gradients, as a part of the largest value."""
    generator = np.random.default_rng(0)
    inputs = in_bfloat16(generator.normal(size=(2, *shape)))
    kernel = in_bfloat16(
        0.05 * generator.normal(size=(*layer.kernel_size, shape[-1], layer.filters))
    )
    wanted = gradients(layer, inputs, kernel, tf.float32)  # tested below
    return max(
        float(np.abs(a - b).max() / np.abs(b).max())
        for _ in range(REPEATS)
        for a, b in zip(gradients(layer, inputs, kernel, tf.bfloat16), wanted, strict=True)
    )


@pytest.mark.parametrize(
    ("time", "kernel_time", "stride"),
    [(1, 3, 1), (2, 3, 1), (3, 3, 1), (4, 3, 1), (3, 4, 1), (2, 7, 1), (7, 7, 2), (8, 7, 2)],
)
def test_gradients_in_bfloat16_are_those_in_float32(time, kernel_time, stride):
    layer = Conv3D(8, (kernel_time, 3, 3), (stride, 1, 1), padding="same")
    assert largest_error(layer, (time, 5, 5, 4)) < TOLERANCE


def gradient_of_kernel(inputs, upstream, kernel_time, stride):
    """Computes the gradient of a kernel of (time, 1, 1) from its definition; SAME padding."""
    time, steps = inputs.shape[1], upstream.shape[1]
    total = max((steps - 1) * stride + kernel_time - time, 0)
    padded = np.pad(inputs, ((0, 0), (total // 2, total - total // 2), (0, 0)))
    return sum(
        np.stack([padded[:, step * stride + k].T @ upstream[:, step] for k in range(kernel_time)])
        for step in range(steps)
    )


@pytest.mark.parametrize(("time", "stride"), [(5, 2), (7, 2), (8, 2), (2, 1), (7, 1)])
def test_gradient_in_float32_is_that_of_the_definition(time, stride):
    layer = Conv3D(8, (7, 1, 1), (stride, 1, 1), padding="same")
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(2, time, 4)).astype(np.float32)
    upstream = generator.normal(size=(2, -(-time // stride), 8)).astype(np.float32)
    wanted = gradient_of_kernel(inputs, upstream, 7, stride)
    for _ in range(REPEATS):
        kernel = tf.zeros((7, 1, 1, 4, 8))
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            outputs = layer.convolution_op(tf.constant(inputs[:, :, None, None]), kernel)
        gradient = tape.gradient(outputs, kernel, upstream[:, :, None, None])
        np.testing.assert_allclose(gradient[:, 0, 0], wanted, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 5, 6), (None, 5, 6), (None, None, None)])
def test_gradients_of_a_compiled_function_of_any_shape(shape):
    """Compiled, because TensorFlow joins operations such as padding and convolution then."""
    layer = Conv3D(8, 3, padding="same", dtype="mixed_bfloat16")
    layer.build((None, None, None, None, 4))

    @tf.function(input_signature=[tf.TensorSpec((None, *shape, 4))])
    def outputs_and_gradients(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs)
            loss = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 2)
        return outputs, tape.gradient(loss, [inputs, layer.kernel.value])

    inputs = in_bfloat16(np.random.default_rng(0).normal(size=(2, 2, 5, 6, 4)))
    kernel = in_bfloat16(layer.kernel.numpy())
    outputs, found = outputs_and_gradients(inputs)
    wanted = tf.nn.conv3d(inputs, kernel, [1] * 5, "SAME")
    np.testing.assert_allclose(tf.cast(outputs, tf.float32), wanted, atol=TOLERANCE)
    for gradient, right in zip(found, gradients(layer, inputs, kernel, tf.float32), strict=True):
        assert np.abs(gradient - right).max() < TOLERANCE * np.abs(right).max()


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in FURTHER_NETWORKS else name
        for name in STICK_SAMPLING
        if name not in OF_IMAGES
    ],
)
def test_every_convolution_of_a_recipe_has_its_gradient_in_bfloat16(model, monkeypatch):
    recipe = dataclasses.replace(
        RECIPES[STICK_ACTIONS],
        model=model,
        **STICK_SAMPLING[model],
        stream="joint" if model == "fused_3d" else "rgb",
        width_multiplier=0.125,
    )
    layers = {}

    def remember(layer, inputs):
        layers.setdefault((layer.kernel_size, layer.strides, tuple(inputs.shape[1:])), layer)
        return convolve(layer, inputs)

    convolve = keras.layers.Conv3D.call
    monkeypatch.setattr(keras.layers.Conv3D, "call", remember)
    clips = {s: np.zeros((1, *recipe.clip_shape(s, recipe.train_frames))) for s in recipe.streams}
    network = build_model(recipe, 12)
    network(clips if len(clips) > 1 else clips[recipe.stream])
    monkeypatch.undo()
    errors = {key: largest_error(layer, key[-1]) for key, layer in layers.items()}
    assert {key: error for key, error in errors.items() if error >= TOLERANCE} == {}
    assert layers


def test_convolve_pairs_by_hand():
    """Six steps of one pixel, 1, 10, ...: the digits of the outputs are the kernel's steps."""
    steps = 10 ** np.arange(6, dtype=np.float32).reshape(6, 1, 1, 1)
    kernel = np.array([1, 2, 3], np.float32).reshape(3, 1, 1, 1, 1)
    outputs = np.array(convolve_pairs(steps, kernel))
    assert outputs.shape == (4, 1, 1, 1)
    assert outputs.ravel().tolist() == [321, 3210, 32100, 321000]


@pytest.fixture
def calls_of_pairs(monkeypatch):
    """The lengths of what `convolve_pairs` is called with, here also for a few channels."""
    lengths = []

    def counted(steps, kernel):
        lengths.append(len(steps))
        return convolve_pairs(steps, kernel)

    monkeypatch.setattr(convolution, "MIN_PAIR_CHANNELS", CLIPS.shape[-1])
    monkeypatch.setattr(convolution, "convolve_pairs", counted)
    return lengths


@pytest.mark.parametrize("kernel", [(3, 3, 3), (3, 1, 1), (3, 2, 5)])
def test_one_clip_is_convolved_in_pairs(calls_of_pairs, kernel):
    layer = Conv3D(7, kernel, padding="same", bias_initializer="random_normal")
    for length in range(1, 10):
        expected = np.array(layer(CLIPS[:1, :length]))
        with in_pairs():
            outputs = np.array(layer(CLIPS[:1, :length]))
        np.testing.assert_allclose(outputs, expected, atol=ROUNDING)
    assert calls_of_pairs == [4, 4, 6, 6, 8, 8, 10, 10, 12]  # even, with one step or more beside it


def test_one_clip_with_its_halo_is_convolved_in_pairs(calls_of_pairs):
    layer = Conv3D(7, (3, 3, 3), padding="same")
    expected = np.array(layer(CLIPS[:1]))
    for end in range(3, 9):
        with in_pairs(), halo_given():
            outputs = np.array(layer(CLIPS[:1, 1 : end + 1]))
        np.testing.assert_allclose(outputs, expected[:, 2:end], atol=ROUNDING)
    assert calls_of_pairs == [4, 4, 6, 6, 8, 8]


@pytest.mark.parametrize(
    ("clips", "kernel", "strides", "dtype"),
    [
        (2, (3, 3, 3), 1, "float32"),
        (1, (3, 3, 3), 1, "bfloat16"),
        (1, (3, 3, 3), (2, 1, 1), "float32"),
        (1, (5, 3, 3), 1, "float32"),
        (1, (1, 3, 3), 1, "float32"),
    ],
)
def test_other_convolutions_are_not_in_pairs(calls_of_pairs, clips, kernel, strides, dtype):
    layer = Conv3D(7, kernel, strides, padding="same", dtype=dtype)
    with in_pairs():
        layer(CLIPS[:clips])
    layer(CLIPS[:1])
    assert calls_of_pairs == []
