from i3d_tf.specs.baselines import C3D, C3D_CROP_SIZE, C3D_FRAMES, FUSED_3D, widen_units
from i3d_tf.specs.geometry import endpoint_shapes
from i3d_tf.specs.inception_v1 import Conv, MaxPool


def test_c3d_has_eight_convolutions_and_five_pools():
    assert [type(row) for row in C3D].count(Conv) == 8
    assert [type(row) for row in C3D].count(MaxPool) == 5


def test_c3d_halves_time_and_space_five_times():
    shapes = endpoint_shapes(C3D, (C3D_FRAMES, C3D_CROP_SIZE, C3D_CROP_SIZE, 3))
    pools = [shapes[row.name][:3] for row in C3D if isinstance(row, MaxPool)]
    assert pools == [(8, 56, 56), (4, 28, 28), (2, 14, 14), (1, 7, 7), (1, 4, 4)]


def test_fused_3d_halves_its_positions():
    shapes = endpoint_shapes(FUSED_3D, (5, 7, 7, 2048))
    assert list(shapes.values()) == [(5, 7, 7, 512), (3, 4, 4, 512)]


def test_widen_units_rounds_and_keeps_at_least_one():
    assert [widen_units(512, width) for width in (1.0, 0.25, 0.001)] == [512, 128, 1]
