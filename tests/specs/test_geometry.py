import pytest

from i3d_tf.specs.geometry import (
    FIGURE_3,
    count_multiply_adds,
    count_parameters,
    endpoint_shapes,
    receptive_fields,
)
from i3d_tf.specs.inception_v1 import I3D, INCEPTION_V1, Conv, MaxPool, Mixed, widen, without_time


@pytest.mark.parametrize(
    ("channels", "classes", "parameters"),
    [(3, 400, 12_704_544), (2, 400, 12_682_592), (3, 600, 12_909_544)],
)
def test_parameters_are_the_released_ones(channels, classes, parameters):
    assert count_parameters(I3D, channels, classes) == parameters


@pytest.mark.parametrize(("frames", "billions"), [(64, 111.2), (79, 138.9), (250, 434.9)])
def test_multiply_adds_at_224(frames, billions):
    # The published figures have one decimal.
    counted = count_multiply_adds(I3D, (frames, 224, 224, 3), 400) / 1e9
    assert counted == pytest.approx(billions, abs=0.05)


def test_one_convolution_by_hand():
    rows = (Conv("a", 2, (1, 3, 3), (1, 2, 2)),)
    assert endpoint_shapes(rows, (4, 5, 6, 3)) == {"a": (4, 3, 3, 2)}
    # 3x3 taps x 3 channels x 2 filters; beta and two statistics of 2; 2 x 10 + 10 in the head.
    assert count_parameters(rows, 3, 10) == 54 + 6 + 30
    # 4 x 3 x 3 positions x 54; 3 head positions x 2 x 10.
    assert count_multiply_adds(rows, (4, 5, 6, 3), 10) == 36 * 54 + 60


def test_one_convolution_without_time_by_hand():
    rows = (without_time(Conv("Conv3d_a", 2, (7, 3, 3), (2, 2, 2))),)
    assert rows == (Conv("Conv2d_a", 2, (3, 3), (2, 2)),)
    assert endpoint_shapes(rows, (5, 6, 3)) == {"Conv2d_a": (3, 3, 2)}
    assert count_parameters(rows, 3, 10) == 54 + 6 + 30
    # 3 x 3 positions x 54; the one head position x 2 x 10.
    assert count_multiply_adds(rows, (5, 6, 3), 10) == 9 * 54 + 20


def test_inception_v1_has_the_published_size():
    # arXiv:1409.4842, introduction: a budget of 1.5 billion multiply-adds for an image.
    assert count_multiply_adds(INCEPTION_V1, (224, 224, 3), 1000) / 1e9 == pytest.approx(
        1.5, abs=0.1
    )
    # The values in TF-Slim's checkpoint.
    assert count_parameters(INCEPTION_V1, 3, 1001) == 6_633_209


@pytest.mark.parametrize("endpoint", ["MaxPool3d_2a_3x3", "MaxPool3d_3a_3x3", "MaxPool3d_4a_3x3"])
def test_receptive_fields_are_those_of_figure_3(endpoint):
    assert receptive_fields(I3D)[endpoint].field == FIGURE_3[endpoint]


def test_figure_3_counts_four_of_the_five_blocks_between_the_last_two_max_pools():
    four_blocks = [row for row in I3D if row.name != "Mixed_4b"]
    fields = {name: span.field for name, span in receptive_fields(four_blocks).items()}
    assert {name: fields[name] for name in FIGURE_3} == FIGURE_3
    # With all five it is one block, that is 2 taps x 4 frames and 2 taps x 16 pixels, more.
    assert receptive_fields(I3D)["MaxPool3d_5a_2x2"].field == (59 + 8, 219 + 32, 219 + 32)
    assert receptive_fields(I3D)["head"].field == (99 + 8, 539 + 32, 539 + 32)


def test_receptive_field_of_two_pools_by_hand():
    pool = MaxPool("p", (2, 2, 2), (2, 2, 2))
    spans = receptive_fields([pool, pool._replace(name="q")])
    assert spans["p"] == ((2, 2, 2), (2, 2, 2))
    assert spans["q"] == ((4, 4, 4), (4, 4, 4))


def test_width_multiplier_rounds_and_keeps_at_least_one_filter():
    block = Mixed("m", 64, (96, 128), (16, 32), 32)
    assert widen(block, 0.25) == Mixed("m", 16, (24, 32), (4, 8), 8)
    assert widen(block, 0.001) == Mixed("m", 1, (1, 1), (1, 1), 1)
    assert widen(block, 1.0) == block
