import keras
import pytest

from i3d_tf.inflation.schedules import temporal_schedule
from i3d_tf.models.inception import inception_v1
from i3d_tf.specs.inception_v1 import I3D, Conv, MaxPool, branches, name_without_time

layers = keras.layers


def windows(model_2d, temporal="i3d"):
    """Names to (extent, stride)."""
    return {row.name: (row.extent, row.stride) for row in temporal_schedule(model_2d, temporal)}


def test_inception_v1_becomes_the_papers_i3d():
    """The schedule is a rule for any network; here it must give the published table."""
    expected = {}
    for row in I3D:
        parts = [((name_without_time(row.name),), row)]
        if not isinstance(row, Conv | MaxPool):
            parts = [
                ((row.name, f"Branch_{index}", name_without_time(part.name)), part)
                for index, branch in enumerate(branches(row))
                for part in branch
            ]
        for path, part in parts:
            ending = ("conv_2d",) if isinstance(part, Conv) else ()
            expected["_".join(path + ending)] = (part.kernel[0], part.stride[0])
    assert windows(inception_v1(include_top=False, width_multiplier=0.1)) == expected


def test_resnet_50():
    found = windows(keras.applications.ResNet50(weights=None, include_top=False))
    assert len(found) == 54
    assert found["conv1_conv"] == (7, 2)
    assert found["pool1_pool"] == (1, 1)  # the second reduction: time is left alone
    assert found["conv2_block1_2_conv"] == (3, 1)
    assert found["conv3_block1_1_conv"] == (1, 1)  # the third
    assert found["conv4_block1_0_conv"] == found["conv4_block1_1_conv"] == (1, 2)
    assert found["conv5_block1_0_conv"] == found["conv5_block1_1_conv"] == (1, 2)


def test_every_other_block_of_resnet_50():
    found = windows(keras.applications.ResNet50(weights=None, include_top=False), "every_other")
    wide = [name for name, (extent, _) in found.items() if extent > 1]
    assert wide == [
        *("conv1_conv", "conv2_block1_2_conv", "conv2_block3_2_conv"),
        *("conv3_block2_2_conv", "conv3_block4_2_conv"),
        *("conv4_block2_2_conv", "conv4_block4_2_conv", "conv4_block6_2_conv"),
        "conv5_block2_2_conv",
    ]
    assert found["conv4_block1_1_conv"] == (1, 2)


def test_vgg_16_begins_with_two_pools_of_single_frames():
    found = windows(keras.applications.VGG16(weights=None, include_top=False))
    pools = [window for name, window in found.items() if "pool" in name]
    assert pools == [(1, 1), (1, 1), (2, 2), (2, 2), (2, 2)]
    assert {window for name, window in found.items() if "conv" in name} == {(3, 1)}
    every_other = windows(keras.applications.VGG16(weights=None, include_top=False), "every_other")
    extents = [extent for name, (extent, _) in every_other.items() if "conv" in name]
    assert extents == [3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3]


@pytest.mark.parametrize("name", ["MobileNet", "MobileNetV2"])
def test_five_halvings_make_time_eight_times_shorter(name):
    model_2d = getattr(keras.applications, name)(weights=None, include_top=False)
    strides = [row.stride for row in temporal_schedule(model_2d) if row.spot.stride == 2]
    assert strides == [2, 1, 1, 2, 2]


def test_a_function_sees_where_a_layer_stands():
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, (3, 5), 2, padding="same", name="stem")(image)
    y = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Add()([x, y])
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.UpSampling2D(2, name="larger")(x)
    spots = {row.name: row.spot for row in temporal_schedule(keras.Model(image, x))}
    assert list(spots) == ["stem", "depthwise", "pool", "larger"]
    assert [spot.kind for spot in spots.values()] == [
        *("convolution", "convolution", "pool", "enlargement")
    ]
    assert [spot.size for spot in spots.values()] == [3, 3, 2, 1]
    assert [spot.stride for spot in spots.values()] == [2, 1, 2, 2]
    assert [spot.halving for spot in spots.values()] == [0, None, 1, 1]
    assert [spot.block for spot in spots.values()] == [0, 0, 1, 1]
    assert [spot.first for spot in spots.values()] == [True, False, False, False]


def test_a_row_can_be_read():
    image = keras.Input((32, 32, 3))
    model_2d = keras.Model(image, layers.Conv2D(4, 7, 2, name="stem")(image))
    (row,) = temporal_schedule(model_2d)
    assert str(row).split() == ["stem", "7x7", "->", "7x7x7", "stride", "2", "->", "2,2,2"]
