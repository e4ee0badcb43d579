import pytest

from i3d_tf.weights.classic_names import (
    bn_inception_caffe_name,
    bn_inception_name,
    c3d_caffe_name,
    c3d_mmaction_name,
)
from i3d_tf.weights.public_networks import find_form

DOUBLE = "inception_3a_double_3x3_1"
CAFFE_DOUBLE = "inception_3a/double_3x3_1"


@pytest.mark.parametrize(
    ("path", "caffe", "mmaction"),
    [
        ("conv3b/kernel", "conv3b.weight", "conv3b.conv.weight"),
        ("fc6/bias", "fc6-1.bias", "fc6.bias"),
        ("Logits/kernel", "fc8-1.weight", "fc8.weight"),
    ],
)
def test_c3d_is_named_as_in_its_files(path, caffe, mmaction):
    assert c3d_caffe_name(path) == caffe
    assert c3d_mmaction_name(path) == mmaction


@pytest.mark.parametrize(
    ("path", "torch", "caffe"),
    [
        ("conv1_7x7_s2/conv_2d/kernel", "conv1_7x7_s2.weight", "conv1/7x7_s2.weight"),
        (f"{DOUBLE}/conv_2d/bias", f"{DOUBLE}.bias", f"{CAFFE_DOUBLE}.bias"),
        (
            f"{DOUBLE}/batch_norm/gamma",
            f"{DOUBLE}_bn.weight",
            f"{CAFFE_DOUBLE}_bn.weight",
        ),
        (
            f"{DOUBLE}/batch_norm/moving_variance",
            f"{DOUBLE}_bn.running_var",
            f"{CAFFE_DOUBLE}_bn.3",
        ),
        ("Logits/bias", "last_linear.bias", "fc-action.bias"),
    ],
)
def test_bn_inception_is_named_as_in_its_files(path, torch, caffe):
    assert bn_inception_name(path) == torch
    assert bn_inception_caffe_name(path) == caffe


@pytest.mark.parametrize(
    ("name", "network", "prefix"),
    [
        ("fc6-1.weight", "c3d_original", ""),
        ("backbone.conv1a.conv.weight", "c3d_original", ""),
        ("conv1a.conv.weight", "c3d_original", ""),
        ("inception_3a/1x1.weight", "tsn", ""),
        ("module.base_model.inception_3a_1x1.weight", "tsn", "module."),
        ("inception_3a_1x1.weight", "bn_inception", ""),
    ],
)
def test_file_is_known_by_one_of_its_names(name, network, prefix):
    found = find_form([name, "another.weight"])
    assert (found.form.network, found.prefix) == (network, prefix)


@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_c3d_of_mmaction2_is_padded_on_both_sides(prefix):
    form = find_form([f"{prefix}conv1a.conv.weight"]).form
    assert form.options({}) == {"pool5": "symmetric"}
    assert form.flattened == {form.name("fc6/kernel"): (512, 1, 4, 4)}
    assert form.name("conv5b/bias") == f"{prefix}conv5b.conv.bias"
