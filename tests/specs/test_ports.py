import pytest

from i3d_tf.specs.geometry import variable_shapes
from i3d_tf.specs.inception_v1 import I3D
from i3d_tf.specs.ports import HASSONY2, KERAS2, PYTORCH_I3D, counter_name, scale_name

# As the ports' own code makes them.
NAMES = {
    "Conv3d_1a_7x7/conv_3d/kernel": (
        "Conv3d_1a_7x7.conv3d.weight",
        "conv3d_1a_7x7.conv3d.weight",
        "Conv3d_1a_7x7_conv/kernel",
    ),
    "Conv3d_2c_3x3/batch_norm/beta": (
        "Conv3d_2c_3x3.bn.bias",
        "conv3d_2c_3x3.batch3d.bias",
        "Conv3d_2c_3x3_bn/beta",
    ),
    "Mixed_3b/Branch_0/Conv3d_0a_1x1/conv_3d/kernel": (
        "Mixed_3b.b0.conv3d.weight",
        "mixed_3b.branch_0.conv3d.weight",
        "Conv3d_3b_0a_1x1_conv/kernel",
    ),
    "Mixed_4f/Branch_1/Conv3d_0a_1x1/batch_norm/moving_mean": (
        "Mixed_4f.b1a.bn.running_mean",
        "mixed_4f.branch_1.0.batch3d.running_mean",
        "Conv3d_4f_1a_1x1_bn/moving_mean",
    ),
    "Mixed_5b/Branch_2/Conv3d_0b_3x3/batch_norm/moving_variance": (
        "Mixed_5b.b2b.bn.running_var",
        "mixed_5b.branch_2.1.batch3d.running_var",
        "Conv3d_5b_2b_3x3_bn/moving_variance",
    ),
    "Mixed_5c/Branch_3/Conv3d_0b_1x1/conv_3d/kernel": (
        "Mixed_5c.b3b.conv3d.weight",
        "mixed_5c.branch_3.1.conv3d.weight",
        "Conv3d_5c_3b_1x1_conv/kernel",
    ),
    "Logits/Conv3d_0c_1x1/conv_3d/bias": (
        "logits.conv3d.bias",
        "conv3d_0c_1x1.conv3d.bias",
        "Conv3d_6a_1x1_conv/bias",
    ),
}


@pytest.mark.parametrize("variable", NAMES)
def test_names_are_those_of_the_ports(variable):
    found = tuple(port.name(variable) for port in (PYTORCH_I3D, HASSONY2, KERAS2))
    assert found == NAMES[variable]


@pytest.mark.parametrize("port", [PYTORCH_I3D, HASSONY2, KERAS2], ids=lambda port: port.title)
def test_every_variable_has_a_name_of_its_own(port):
    variables = variable_shapes(I3D, 3, 400)
    assert set(NAMES) <= set(variables)
    assert len({port.name(variable) for variable in variables}) == len(variables) == 230


def test_names_of_a_batch_norm_in_pytorch():
    assert scale_name("Mixed_3b.b0.bn.bias") == "Mixed_3b.b0.bn.weight"
    assert counter_name("Mixed_3b.b0.bn.bias") == "Mixed_3b.b0.bn.num_batches_tracked"
