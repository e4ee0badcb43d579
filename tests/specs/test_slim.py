import numpy as np
import pytest

from i3d_tf.specs.geometry import variable_shapes
from i3d_tf.specs.slim import CLASSES, ROWS, slim_name


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("Conv2d_1a_7x7/conv_2d/kernel", "InceptionV1/Conv2d_1a_7x7/weights"),
        ("Logits/Conv2d_0c_1x1/conv_2d/bias", "InceptionV1/Logits/Conv2d_0c_1x1/biases"),
        (
            "Mixed_3b/Branch_1/Conv2d_0b_3x3/batch_norm/moving_mean",
            "InceptionV1/Mixed_3b/Branch_1/Conv2d_0b_3x3/BatchNorm/moving_mean",
        ),
        # The one unit whose name breaks the rule.
        (
            "Mixed_5b/Branch_2/Conv2d_0b_3x3/conv_2d/kernel",
            "InceptionV1/Mixed_5b/Branch_2/Conv2d_0a_3x3/weights",
        ),
    ],
)
def test_slim_name(ours, theirs):
    assert slim_name(ours) == theirs


def test_slim_names_and_shapes_are_those_of_the_original_graph(shared_dir):
    with np.load(shared_dir / "golden/slim_inception_v1.npz", allow_pickle=False) as reference:
        names, shapes = reference["variable_names"], reference["variable_shapes"]
    expected = {
        str(name): tuple(map(int, str(shape).split(",")))
        for name, shape in zip(names, shapes, strict=True)
    }
    ours = variable_shapes(ROWS, 3, CLASSES)
    assert {slim_name(path): shape for path, shape in ours.items()} == expected
