import keras
import numpy as np
import pytest

from i3d_tf.inflation.inception_variants import inflate_variant
from i3d_tf.weights.assign import assign_weights, read_weights
from i3d_tf.zoo import build


@pytest.mark.parametrize(
    ("name", "options"),
    [("i2d", {}), ("s3d_g", {"stem": "1", "gating": "none"})],
)
def test_variant_starts_as_the_network_of_images(name, options, tiny_network):
    images = tiny_network("inception_v1")
    model = build(name, classes=5, width_multiplier=1 / 16, **options)
    targets = {variable.path: tuple(variable.shape) for variable in model.weights}
    arrays = inflate_variant(read_weights(images), targets)
    assert assign_weights(model, arrays) == len(targets)
    image = np.random.default_rng(0).uniform(-1, 1, (1, 33, 35, 3)).astype("f4")
    clip = image[:, None].repeat(16, axis=1)
    expected = np.array(keras.Model(images.input, images.get_layer("Mixed_5c").output)(image))
    found = np.array(keras.Model(model.input, model.get_layer("Mixed_5c").output)(clip))
    assert found.shape[1] == 2
    for step in range(2):
        np.testing.assert_allclose(found[:, step], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.array(model(clip)), np.array(images(image)), rtol=1e-3)


def test_gates_stay_untrained_and_flow_gets_the_kernels_of_its_channels(tiny_network):
    source = read_weights(tiny_network("inception_v1"))
    model = build("s3d_g", width_multiplier=1 / 16, input_shape=(None, None, None, 2))
    targets = {variable.path: tuple(variable.shape) for variable in model.weights}
    arrays = inflate_variant(source, targets)
    assert {path.partition("/")[0][-5:] for path in set(targets) - set(arrays)} == {"_gate"}
    kernel = arrays["Conv3d_1a_7x7/conv_3d/kernel"]
    assert kernel.shape == (3, 7, 7, 2, 4)
    expected = source["Conv2d_1a_7x7/conv_2d/kernel"].sum(axis=2) / 2 / 3
    np.testing.assert_allclose(kernel[1, :, :, 0], expected, rtol=1e-5)
