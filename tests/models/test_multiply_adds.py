import pytest

from i3d_tf.models.multiply_adds import count_multiply_adds
from i3d_tf.specs.complexity import architecture_complexity, inception_complexity
from i3d_tf.specs.inception_v1 import I3D, widen
from i3d_tf.zoo import build


def test_i3d_has_the_multiply_adds_of_its_table():
    shape = (16, 64, 64, 3)
    model = build("inception_i3d", input_shape=shape, classes=5, width_multiplier=1 / 16)
    rows = [widen(row, 1 / 16) for row in I3D]
    expected = inception_complexity(rows, shape, 5).multiply_adds
    assert count_multiply_adds(model) == expected


def test_attention_counts_both_products():
    arguments = {"width_multiplier": 1 / 64, "input_shape": (2, 64, 64, 3)}
    with_block, without = (
        count_multiply_adds(build("c2d_resnet50", non_local=n, **arguments)) for n in (1, 0)
    )
    positions, channels = 4 * 4, 16  # of one step behind res4's fifth block
    embeddings = channels * 8 * (positions + 2 * positions // 4 + positions)
    assert with_block - without == embeddings + 2 * positions * (positions // 4) * 8


@pytest.mark.parametrize("frames", [1, 5])
def test_frames_count_each_through_the_2d_network_and_the_lstm(frames):
    shape = (frames, 64, 64, 3)
    model = build("convnet_lstm", input_shape=shape, classes=5, width_multiplier=1 / 16)
    expected = architecture_complexity("convnet_lstm", {"rgb": shape}, 5, 1 / 16).multiply_adds
    assert count_multiply_adds(model) == expected


def test_networks_of_any_size_are_refused():
    with pytest.raises(ValueError, match="must take clips of one size"):
        count_multiply_adds(build("i2d", width_multiplier=1 / 16))


# Billions for 64 x 224 x 224, counted by hand from the rows.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "billions"),
    [
        ("inception_i3d", {}, 111.15),
        ("s3d", {}, 71.92),
        ("s3d_g", {"gating": "none"}, 64.18),
        ("i2d", {}, 36.89),
    ],
)
def test_networks_have_the_multiply_adds_of_their_tables(name, options, billions):
    model = build(name, input_shape=(64, 224, 224, 3), **options)
    assert round(count_multiply_adds(model) / 1e9, 2) == billions
