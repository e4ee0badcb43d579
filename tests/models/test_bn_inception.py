import keras
import numpy as np
import pytest

from i3d_tf.models.backbone import apply_backbone
from i3d_tf.models.bn_inception import bn_inception
from i3d_tf.specs.baselines import BN_INCEPTION
from i3d_tf.zoo import build


def test_blocks_have_the_published_shapes():
    model = build("bn_inception", input_shape=(224, 224, 3), width_multiplier=1 / 32)
    sizes = {block.name: 28 for block in BN_INCEPTION[:2]}
    sizes |= {block.name: 14 for block in BN_INCEPTION[2:7]}
    sizes |= {block.name: 7 for block in BN_INCEPTION[7:]}
    found = {name: model.get_layer(name).output.shape[1:3] for name in sizes}
    assert found == {name: (size, size) for name, size in sizes.items()}
    assert model.get_layer("inception_5b").output.shape[-1] == 1024 // 32
    assert {layer.name for layer in model.layers if "_5b_pool" in layer.name} == {
        "inception_5b_pool",
        "inception_5b_pool_proj",
    }


@pytest.mark.parametrize("size", [33, pytest.param(99, marks=pytest.mark.slow)])
def test_images_of_any_size_are_taken(size):
    model = bn_inception(include_top=False, input_shape=(size, size, 5), width_multiplier=1 / 32)
    assert model.output_shape == (None, size // 32, size // 32, 32)


def test_pooling_is_checked():
    with pytest.raises(ValueError, match="`pooling` must be one of"):
        bn_inception(pooling="max")


@pytest.mark.slow
def test_network_has_the_published_parameters():
    model = build("bn_inception", classes=101)
    sizes = {variable.path: int(np.prod(variable.shape)) for variable in model.weights}
    norms = {path: size for path, size in sizes.items() if "/batch_norm/" in path}
    assert sum(sizes.values()) - sum(norms.values()) == 10_353_733
    assert sum(norms.values()) == 4 * 10_016


@pytest.mark.slow
def test_backbone_is_the_network_without_its_classifier(random_weights):
    images = keras.Input((32, 32, 3))
    trunk = keras.Model(images, apply_backbone("bn_inception", images, 1 / 16))
    model = random_weights(build("bn_inception", width_multiplier=1 / 16))
    paths = [variable.path for variable in model.weights if not variable.path.startswith("Logits")]
    assert [variable.path for variable in trunk.weights] == paths
    trunk.set_weights(model.get_weights()[: len(paths)])
    inputs = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)).astype("f4")
    pooled = keras.Model(model.input, model.get_layer("avg_pool").output)
    np.testing.assert_array_equal(np.array(trunk(inputs)), np.array(pooled(inputs)))
