import numpy as np
import pytest

from i3d_tf.layers.inception import FusedInceptionBlock, InceptionBlock


def test_block_concatenates_its_branches_in_order():
    block = InceptionBlock(1, (1, 2), (1, 3), 4, name="Mixed_1a")
    outputs = np.array(block(np.ones((1, 3, 4, 4, 5), "float32")))
    assert outputs.shape == (1, 3, 4, 4, 1 + 2 + 3 + 4)
    assert block.compute_output_shape((None, 3, 4, 4, 5)) == (None, 3, 4, 4, 10)
    assert [v.path for v in block.variables if v.path.endswith("kernel")] == [
        "Mixed_1a/Branch_0/Conv3d_0a_1x1/conv_3d/kernel",
        "Mixed_1a/Branch_1/Conv3d_0a_1x1/conv_3d/kernel",
        "Mixed_1a/Branch_1/Conv3d_0b_3x3/conv_3d/kernel",
        "Mixed_1a/Branch_2/Conv3d_0a_1x1/conv_3d/kernel",
        "Mixed_1a/Branch_2/Conv3d_0b_3x3/conv_3d/kernel",
        "Mixed_1a/Branch_3/Conv3d_0b_1x1/conv_3d/kernel",
    ]
    for index, branch in enumerate(block.branches):  # one after the other: only its own moves
        block.set_weights([np.zeros_like(weight) for weight in block.get_weights()])
        branch.units[-1].batch_norm.beta.assign(np.ones(branch.units[-1].filters))
        ones = np.array(block(np.ones((1, 1, 1, 1, 5), "float32"))).ravel()
        first = (0, 1, 3, 6)[index]
        assert np.flatnonzero(ones).tolist() == [*range(first, first + index + 1)]


def test_block_over_images_has_the_same_variables_without_time():
    block = InceptionBlock(1, (1, 2), (1, 3), 4, rank=2, name="Mixed_1a")
    assert np.array(block(np.ones((2, 4, 4, 5), "float32"))).shape == (2, 4, 4, 1 + 2 + 3 + 4)
    kernels = {v.path: tuple(v.shape) for v in block.variables if v.path.endswith("kernel")}
    assert kernels["Mixed_1a/Branch_1/Conv2d_0b_3x3/conv_2d/kernel"] == (3, 3, 1, 2)
    assert len(kernels) == 6


@pytest.mark.parametrize("rank", [2, 3])
def test_fused_block_has_one_convolution_over_its_input(rank):
    block = FusedInceptionBlock(1, (2, 3), (4, 5), 6, rank=rank, name="Mixed_1a")
    shape = (2, 3, 4, 4, 5)[-rank - 2 :]
    assert np.array(block(np.ones(shape, "float32"))).shape == (*shape[:-1], 1 + 3 + 5 + 6)
    assert block.compute_output_shape((None, *shape[1:])) == (None, *shape[1:-1], 15)
    assert block.entry.filters == 1 + 2 + 4
    assert [v.path.split("/")[1] for v in block.variables] == (
        ["entry"] * 2 + ["Branch_1"] * 2 + ["Branch_2"] * 2 + ["Branch_3"] * 2
    )


@pytest.mark.parametrize("block_class", [InceptionBlock, FusedInceptionBlock])
@pytest.mark.parametrize("rank", [2, 3])
def test_block_config_round_trips(block_class, rank):
    block = block_class(1, (2, 3), (4, 5), 6, rank=rank, name="b")
    assert block_class.from_config(block.get_config()).get_config() == block.get_config()
