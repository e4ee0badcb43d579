from functools import cache

import keras
import pytest

from i3d_tf.inflation.schedules import LayerPlan, LayerSite, Spot, temporal_schedule
from i3d_tf.specs.inception_v1 import I3D, Conv, MaxPool, branches, name_without_time
from i3d_tf.zoo import inflate

layers = keras.layers


@cache
def application(name):
    return getattr(keras.applications, name)(weights=None, include_top=False)


def windows(model_2d, temporal="i3d"):
    """Names to (kernel size, stride) in time."""
    return {
        plan.name: (plan.kernel_size, plan.stride) for plan in temporal_schedule(model_2d, temporal)
    }


def test_i3d_schedule_of_inception_v1_is_the_paper_table(build_tiny):
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
    assert windows(build_tiny("inception_v1", include_top=False)) == expected


def test_i3d_schedule_of_resnet_50():
    plans = windows(application("ResNet50"))
    assert len(plans) == 54
    assert plans["conv1_conv"] == (7, 2)
    assert plans["pool1_pool"] == (1, 1)  # the second reduction keeps time
    assert plans["conv2_block1_2_conv"] == (3, 1)
    assert plans["conv3_block1_1_conv"] == (1, 1)  # the third
    assert plans["conv4_block1_0_conv"] == plans["conv4_block1_1_conv"] == (1, 2)
    assert plans["conv5_block1_0_conv"] == plans["conv5_block1_1_conv"] == (1, 2)


def test_bottleneck_schedule_of_resnet_50_is_the_released_one():
    plans = windows(application("ResNet50"), "bottleneck")
    temporal = {name: window for name, window in plans.items() if window[0] > 1}
    assert temporal.pop("conv1_conv") == (5, 2)
    assert list(temporal) == [
        *(f"conv2_block{block}_1_conv" for block in (1, 2, 3)),
        *(f"conv3_block{block}_1_conv" for block in (1, 3)),
        *(f"conv4_block{block}_1_conv" for block in (1, 3, 5)),
        "conv5_block2_1_conv",
    ]
    assert {size for size, _ in temporal.values()} == {3}


def test_every_other_schedule_of_resnet_50():
    plans = windows(application("ResNet50"), "every_other")
    wide = [name for name, (kernel_size, _) in plans.items() if kernel_size > 1]
    assert wide == [
        "conv1_conv",
        "conv2_block1_2_conv",
        "conv2_block3_2_conv",
        "conv3_block2_2_conv",
        "conv3_block4_2_conv",
        "conv4_block2_2_conv",
        "conv4_block4_2_conv",
        "conv4_block6_2_conv",
        "conv5_block2_2_conv",
    ]
    assert plans["conv4_block1_1_conv"] == (1, 2)


def test_schedules_of_vgg_16_begin_with_two_pools_of_single_frames():
    plans = windows(application("VGG16"))
    pools = [window for name, window in plans.items() if "pool" in name]
    assert pools == [(1, 1), (1, 1), (2, 2), (2, 2), (2, 2)]
    assert {window for name, window in plans.items() if "conv" in name} == {(3, 1)}
    every_other = windows(application("VGG16"), "every_other")
    sizes = [size for name, (size, _) in every_other.items() if "conv" in name]
    assert sizes == [3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3]


@pytest.mark.parametrize("name", ["MobileNet", "MobileNetV2"])
def test_five_reductions_make_time_eight_times_shorter(name):
    plans = temporal_schedule(application(name))
    assert [plan.stride for plan in plans if plan.site.stride == 2] == [2, 1, 1, 2, 2]


def small_network():
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, (3, 5), 2, padding="same", name="stem")(image)
    y = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Add()([x, y])
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.UpSampling2D(2, name="larger")(x)
    return keras.Model(image, x)


def test_layer_site_describes_the_place_of_a_layer():
    sites = {plan.name: plan.site for plan in temporal_schedule(small_network())}
    assert list(sites) == ["stem", "depthwise", "pool", "larger"]
    columns = {name: [getattr(site, name) for site in sites.values()] for name in LayerSite._fields}
    assert [layer.name for layer in columns.pop("layer")] == list(sites)
    assert columns == {
        "role": ["convolution", "convolution", "pooling", "upsampling"],
        "kernel_size": [3, 3, 2, 1],
        "stride": [2, 1, 2, 2],
        "downsampling_index": [0, None, 1, 1],
        "block": [0, 0, 1, 1],
        "first": [True, False, False, False],
        "opens_bottleneck": [False] * 4,
        "stage": [0] * 4,
        "block_in_stage": [0] * 4,
    }


def test_former_names_of_a_layer_site_still_work():
    """Functions of users get this object: those written for its former names must keep working."""
    sites = []

    def temporal(spot):
        sites.append(spot)
        is_chosen = spot.kind == "convolution" and spot.halving is not None
        return spot.size if is_chosen else 1, 1

    model = inflate(small_network(), temporal=temporal)
    assert model.get_layer("stem").kernel.shape == (3, 3, 5, 3, 4)
    assert [spot.kind for spot in sites] == ["convolution", "convolution", "pool", "enlargement"]
    assert [spot.size for spot in sites] == [3, 3, 2, 1]
    assert [spot.halving for spot in sites] == [0, None, 1, 1]
    assert all(isinstance(spot, Spot) for spot in sites)
    plan = LayerPlan("stem", sites[0], 3, 1)
    assert (plan.spot, plan.extent) == (sites[0], 3)


def test_layer_plan_is_printed_as_a_line():
    image = keras.Input((32, 32, 3))
    model_2d = keras.Model(image, layers.Conv2D(4, 7, 2, name="stem")(image))
    (plan,) = temporal_schedule(model_2d)
    assert str(plan).split() == ["stem", "7x7", "->", "7x7x7", "stride", "2", "->", "2,2,2"]
