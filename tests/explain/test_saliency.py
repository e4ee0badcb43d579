import keras
import numpy as np
import pytest

from i3d_tf.explain.saliency import (
    FIELDS,
    PARTS,
    PIXELS,
    EndpointNetwork,
    endpoints_of,
    grad_cam,
    gradient_map,
    head_gradient,
    head_kernel,
    logit_gradient,
    place_cells,
    saliency_tubes,
    smooth_gradient,
    weigh_channels,
)
from i3d_tf.specs.inception_v1 import I3D

CLIP = (33, 64, 64, 3)  # 5 steps of 2 x 2 at Mixed_5c


@pytest.fixture(scope="module")
def clip(random_clips):
    return random_clips(CLIP, 1)[0]


def linear_model():
    """Two logits that are weighted sums of the clip, and the weights, (T * H * W * C, 2)."""
    clips = keras.Input((3, 4, 4, 2))
    logits = keras.layers.Dense(2)(keras.layers.Flatten()(clips))
    model = keras.Model(clips, logits)
    return model, model.layers[-1].get_weights()[0]


def test_head_gradient_counts_inner_steps_twice():
    kernel = np.array([[1.0, 10.0], [2.0, 20.0]])
    gradient = head_gradient(kernel, (3, 1, 2, 2), 1)
    # 2 pairs of steps, 2 positions: a value of an outer step is 1 of 8.
    assert gradient[:, 0, 0, 0].tolist() == pytest.approx([10 / 8, 20 / 8, 10 / 8])
    assert gradient[:, 0, 1, 1].tolist() == pytest.approx([20 / 8, 40 / 8, 20 / 8])


def test_weigh_channels_keeps_what_speaks_for_the_class():
    maps = np.zeros((1, 1, 2, 2), np.float32)
    maps[0, 0, 0] = 3, 0
    maps[0, 0, 1] = 0, 5
    gradient = np.zeros_like(maps)
    gradient[..., 0], gradient[..., 1] = 2, -1
    assert weigh_channels(maps, gradient).tolist() == [[[6, 0]]]


def test_gradient_map_takes_the_largest_channel():
    gradient = np.zeros((1, 1, 2, 3))
    gradient[0, 0, 0] = 1, -4, 2
    found = gradient_map(gradient)
    assert found.values.tolist() == [[[4, 0]]]
    assert (found.centers_rule, found.centers[2].tolist()) == (PIXELS, [0, 1])


@pytest.mark.slow
def test_closed_form_equals_the_gradient_at_the_last_endpoint(tiny_network, clip):
    network = EndpointNetwork(tiny_network("inception_i3d"))
    assert (network.endpoint, network.is_before_head) == ("Mixed_5c", True)
    maps = network.maps(clip)
    closed = head_gradient(head_kernel(network.model), maps.shape, 3)
    gradient = network.logit_gradient(maps, 3)
    assert np.abs(closed).max() > 1e-4
    np.testing.assert_allclose(closed, gradient, rtol=1e-5, atol=0)
    found = grad_cam(network, clip, 3)
    np.testing.assert_allclose(found.values, weigh_channels(maps, gradient), rtol=1e-5, atol=1e-7)
    assert found.values.shape == (5, 2, 2)
    assert found.values.max() > 0


@pytest.mark.slow
def test_saliency_tubes_are_grad_cam_of_the_last_endpoint_up_to_a_factor(tiny_network, clip):
    network = EndpointNetwork(tiny_network("inception_i3d"))
    cam, tubes = (method(network, clip, 2).values for method in (grad_cam, saliency_tubes))
    # Grad-CAM's weights are means over the 5 x 2 x 2 positions.
    np.testing.assert_allclose(tubes, cam * 20, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_grad_cam_at_earlier_endpoints_and_in_other_networks(tiny_network, clip):
    i3d = tiny_network("inception_i3d")
    network = EndpointNetwork(i3d, "Mixed_4f")
    assert grad_cam(network, clip, 0).values.shape == (9, 4, 4)
    # By a difference: a small step along the gradient raises the logit by its length. (Where values
    # of a max-pool's window are equal, as zeros are, there is a kink; so noise tells them apart.)
    maps = network.maps(clip)
    maps += np.random.default_rng(0).uniform(0, 1, maps.shape).astype("f4")
    gradient = network.logit_gradient(maps, 0)
    after = keras.Model(i3d.get_layer("Mixed_4f").output, i3d.output)
    size = 1e-3 / np.abs(gradient).max()
    low, high = (after(maps[None] + sign * size * gradient[None])[0, 0] for sign in (-1, 1))
    assert float(high - low) == pytest.approx(2 * size * float((gradient**2).sum()), rel=0.02)
    resnet = EndpointNetwork(tiny_network("r3d_18"))
    assert grad_cam(resnet, clip, 0).centers_rule == PARTS
    with pytest.raises(ValueError, match=r"must have 64 channels for tubes.*'Mixed_3b' with 16"):
        saliency_tubes(EndpointNetwork(i3d, "Mixed_3b"), clip, 0)


@pytest.mark.slow
def test_endpoints_are_those_with_time_height_and_width(tiny_network):
    model = tiny_network("inception_i3d")
    assert endpoints_of(model) == tuple(row.name for row in I3D)
    with pytest.raises(ValueError, match=r"one of \('Conv3d_1a_7x7', .*'Logits'"):
        EndpointNetwork(model, "Logits")
    with pytest.raises(ValueError, match=r"must have one input; received 'two_stream_i3d' with 2"):
        EndpointNetwork(tiny_network("two_stream_i3d"))


@pytest.mark.slow
def test_cells_of_i3d_are_at_their_receptive_fields(tiny_network):
    network = EndpointNetwork(tiny_network("inception_i3d"))
    placed = place_cells(network, np.zeros((8, 7, 7)), (64, 224, 224, 3))
    assert placed.centers_rule == FIELDS
    assert placed.centers[0].tolist() == [5, 13, 21, 29, 37, 45, 53, 61]
    assert placed.centers[1].tolist() == [23, 55, 87, 119, 151, 183, 215]


def test_smooth_gradient_of_a_linear_network_is_its_weights_whatever_the_noise(random_clips):
    model, weights = linear_model()
    clip = random_clips((3, 4, 4, 2), 1)[0]
    expected = weights[:, 1].reshape(clip.shape)
    gradient = logit_gradient(model)
    for samples, noise in ((1, 0.0), (3, 0.5)):
        found = smooth_gradient(gradient, clip, 1, samples, noise)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.slow
def test_smooth_gradient_without_noise_is_the_gradient(tiny_network, random_clips):
    import tensorflow as tf

    model = tiny_network("c3d_original")  # whose pools do not overlap
    clip = random_clips((16, 33, 35, 3), 1)[0]
    inputs = tf.constant(clip[np.newaxis])
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        logit = model(inputs, training=False)[0, 4]
    expected = tape.gradient(logit, inputs)[0].numpy()
    gradient = logit_gradient(model)
    plain = smooth_gradient(gradient, clip, 4, samples=1, noise=0.0)
    np.testing.assert_allclose(plain, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())
    noisy = smooth_gradient(gradient, clip, 4, samples=2, noise=0.15)
    assert np.abs(noisy - plain).max() > 1e-3 * np.abs(plain).max()
    np.testing.assert_array_equal(noisy, smooth_gradient(gradient, clip, 4, samples=2, noise=0.15))
