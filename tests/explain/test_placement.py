import numpy as np
import pytest

from i3d_tf.explain.placement import (
    CropGeometry,
    FrameHeat,
    clip_saliency,
    interpolation_weights,
)
from i3d_tf.explain.saliency import FIELDS, SaliencyMap

# A frame of 512 x 680 is resized to 256 x 340; its center of 224 starts at row 16, column 58.
CROP = CropGeometry((256, 340), 16, 58, 224)


CENTERS = (np.array([3.0, 11.0]), np.arange(7) * 32.0 + 23, np.arange(7) * 32.0 + 23)


def one_hot(cell):
    values = np.zeros((2, 7, 7), np.float32)
    values[cell] = 4
    return SaliencyMap(values, CENTERS, FIELDS)


def test_interpolation_weights_are_linear_between_cells_and_constant_beyond():
    weights = interpolation_weights(np.array([2.0, 6.0]), np.array([0, 2, 3, 6, 9]))
    assert weights.tolist() == [[1, 0], [1, 0], [0.75, 0.25], [0, 1], [0, 1]]


def test_crop_geometry_places_pixels_by_their_centers():
    rows, columns = CROP.positions(512, 680)
    # The middle of pixels 0 and 1 is that of the resized frame's pixel 0, 16 rows above the square.
    assert (rows[0] + rows[1]) / 2 == -16
    assert (columns[116] + columns[117]) / 2 == 0
    seen = CROP.sees(512, 680)
    assert seen.sum() == 448 * 448
    assert seen[32, 116]
    assert not seen[31, 116]
    assert not seen[32, 115]


def test_heat_is_largest_at_the_cell_in_the_original_frame():
    heat = FrameHeat(one_hot((0, 3, 1)), range(16), CROP)
    assert (heat.first, heat.last, heat.scale) == (0, 15, 4)
    found = heat.heat(3, 512, 680)
    row, column = np.unravel_index(found.argmax(), found.shape)
    # Row 3 is at 119 of the square, 135 of the resized frame; column 1 at 55 and 113.
    assert row in (270, 271)
    assert column in (226, 227)
    assert found.max() == pytest.approx(1, abs=0.02)
    assert found[:32].max() == found[:, :116].max() == 0
    assert heat.heat(7, 512, 680).max() == pytest.approx(found.max() / 2)  # halfway to frame 11
    assert heat.heat(11, 512, 680).max() == 0


def test_frames_that_a_clip_repeats_have_the_mean_heat():
    heat = FrameHeat(one_hot((0, 3, 3)), [5, 6, 7, 5, 6, 7, 5, 6, 7, 5, 6, 7], CROP)
    assert (heat.first, heat.last) == (5, 7)
    weight = interpolation_weights(np.array([3.0, 11.0]), np.arange(12))[:, 0]
    assert heat.total(6) == pytest.approx(4 * weight[[1, 4, 7, 10]].mean())


def test_frames_that_the_network_is_not_given_have_the_heat_of_the_nearest():
    heat = FrameHeat(one_hot((0, 3, 3)), [2, 12, 22, 32, 42, 52, 62, 72], CROP)
    assert heat.total(16) == heat.total(12)
    assert heat.total(18) == heat.total(22)


def test_map_without_heat_is_zero():
    empty = one_hot((0, 0, 0))
    empty.values[:] = 0
    assert FrameHeat(empty, range(16), CROP).heat(0, 64, 64).max() == 0


def test_clip_saliency_interpolates_along_every_axis():
    ramp = np.arange(2.0)[:, None, None] * 100 + np.arange(2)[:, None] * 10 + np.arange(2)
    centers = (np.array([0.0, 2.0]), np.array([0.0, 4.0]), np.array([1.0, 3.0]))
    found = clip_saliency(SaliencyMap(ramp, centers, FIELDS), (3, 5, 5, 3))
    assert found.shape == (3, 5, 5)
    assert found[1, 2].tolist() == pytest.approx([55, 55, 55.5, 56, 56])
    assert found[:, 0, 0].tolist() == pytest.approx([0, 50, 100])
