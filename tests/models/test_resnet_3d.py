import numpy as np
import pytest

from i3d_tf.zoo import build

# Trainable parameters with 400 classes, as torchvision and pytorchvideo state them.
PARAMETERS = {
    ("r3d_18", 0): 33_371_472,
    ("mc3_18", 0): 11_695_440,
    ("r2plus1d_18", 0): 31_505_325,
    ("c2d_resnet50", 0): 24_327_632,
    ("c2d_resnet50", 5): 31_686_096,
    ("i3d_resnet50", 0): 28_043_472,
    ("i3d_resnet50", 5): 35_401_936,
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "non_local"), PARAMETERS)
def test_network_has_the_published_parameters(name, non_local):
    model = build(name, **({"non_local": non_local} if non_local else {}))
    count = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    assert count == PARAMETERS[name, non_local]


@pytest.mark.parametrize(
    ("geometry", "shapes"),
    [
        ("slowfast", {"conv1": (8, 56), "pool1": (8, 28), "pool2": (4, 28), "res5": (4, 4)}),
        ("released_8x8", {"conv1": (8, 56), "pool1": (8, 27), "pool2": (4, 27), "res5": (4, 4)}),
        ("released", {"conv1": (4, 56), "pool1": (2, 27), "pool2": (1, 27), "res5": (1, 4)}),
    ],
)
def test_geometry_decides_how_time_shrinks(geometry, shapes):
    model = build(
        "i3d_resnet50",
        geometry=geometry,
        width_multiplier=1 / 64,
        input_shape=(8, 112, 112, 3),
    )
    found = {name: model.get_layer(name).output.shape[1:3] for name in shapes}
    assert found == shapes


def test_mc3_keeps_time_behind_its_first_stage():
    model = build("mc3_18", width_multiplier=1 / 64, input_shape=(8, 64, 64, 3))
    assert model.get_layer("layer4").output.shape[1:4] == (8, 4, 4)
    assert model.get_layer("layer2_0_conv1").kernel_size == (1, 3, 3)
    assert model.get_layer("layer1_0_conv1").kernel_size == (3, 3, 3)


def test_10_non_local_blocks_follow_every_block_of_two_stages():
    model = build("c2d_resnet50", non_local=10, width_multiplier=1 / 64)
    blocks = [layer.name for layer in model.layers if layer.name.endswith("_attention")]
    assert len(blocks) == 10
    assert blocks[0] == "nonlocal3_0_attention"
    with pytest.raises(ValueError, match="`non_local` must be one of"):
        build("c2d_resnet50", non_local=3)
