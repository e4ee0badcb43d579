"""RoIAlign against torchvision's numbers, a loop over samples, and cases by hand."""

import keras
import numpy as np
import pytest

from i3d_tf.layers.roi_align import RoIAlign

SCALE = 1 / 16


def roi_align(feature_map, boxes, size, sampling):
    """The bins of boxes of one (H, W, C) map, (M, size, size, C)."""
    layer = RoIAlign(size, sampling, SCALE)
    inputs = [np.asarray(v, np.float32)[np.newaxis] for v in (feature_map[np.newaxis], boxes)]
    return keras.ops.convert_to_numpy(layer(inputs))[0, :, 0]


def one_by_one(feature_map, box, size, sampling):
    """The same by a loop over the samples of one box."""
    height, width, _ = feature_map.shape
    x1, y1, x2, y2 = np.array(box) * SCALE
    outputs = np.zeros((size, size, feature_map.shape[-1]))
    bin_height, bin_width = (y2 - y1) / size, (x2 - x1) / size
    rows = sampling or max(1, int(np.ceil(bin_height)))
    columns = sampling or max(1, int(np.ceil(bin_width)))
    for i, j, k, m in np.ndindex(size, size, rows, columns):
        y = y1 - 0.5 + bin_height * (i + (k + 0.5) / rows)
        x = x1 - 0.5 + bin_width * (j + (m + 0.5) / columns)
        if not (-1 <= y <= height and -1 <= x <= width):
            continue
        y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
        top, left = int(y), int(x)
        below, right = min(top + 1, height - 1), min(left + 1, width - 1)
        down, across = y - top, x - left
        upper = (1 - across) * feature_map[top, left] + across * feature_map[top, right]
        lower = (1 - across) * feature_map[below, left] + across * feature_map[below, right]
        outputs[i, j] += ((1 - down) * upper + down * lower) / (rows * columns)
    return outputs


@pytest.mark.parametrize("sampling", [0, 2])
@pytest.mark.parametrize("size", [2, 7])
@pytest.mark.parametrize("case", ["linear", "square", "batch", "outside"])
def test_bins_equal_those_of_torchvision(more_golden, more_recipe, case, size, sampling):
    golden = more_golden("roi_align")
    boxes = golden[f"boxes/{case}"]
    expected = golden[f"out/{case}/{size}x{size}/sampling{sampling}"]
    if case == "linear":
        maps = golden["map/linear"]
    else:
        name = "batch" if case == "batch" else "square"
        maps = more_recipe.feature_map(f"roi {name}", tuple(golden[f"shape/{name}"]))
    found = [roi_align(maps[int(image)], [corners], size, sampling)[0] for image, *corners in boxes]
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("sampling", [0, 1, 2, 3])
def test_bins_of_a_linear_map_are_its_values_at_their_centers(sampling):
    feature_map = np.add.outer(10 * np.arange(8.0), np.arange(8.0))[..., np.newaxis]
    found = roi_align(feature_map, [(32, 48, 96, 112)], 2, sampling)
    np.testing.assert_allclose(found[0, ..., 0], [[37.5, 39.5], [57.5, 59.5]], atol=1e-4)


def test_box_of_the_whole_frame_with_a_bin_for_each_step_is_the_map():
    feature_map = np.random.default_rng(0).random((5, 5, 3))
    np.testing.assert_allclose(
        roi_align(feature_map, [(0, 0, 80, 80)], 5, 1)[0], feature_map, atol=1e-6
    )


def test_box_that_moves_by_a_step_moves_its_bins_by_one():
    feature_map = np.random.default_rng(1).random((8, 8, 2))
    boxes = [(16, 16, 80, 80), (32, 16, 96, 80)]
    first, moved = roi_align(feature_map, boxes, 4, 2)
    np.testing.assert_allclose(first[:, 1:], moved[:, :-1], atol=1e-6)


def test_bins_equal_a_loop_over_the_samples():
    generator = np.random.default_rng(2)
    feature_map = generator.random((6, 9, 2))
    corners = generator.uniform(-30, 170, (12, 2, 2))
    boxes = np.concatenate([corners.min(1), corners.max(1)], axis=1)
    for size, sampling in ((3, 2), (2, 0)):
        expected = [one_by_one(feature_map, box, size, sampling) for box in boxes]
        found = roi_align(feature_map, boxes, size, sampling)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_boxes_are_of_their_clip_and_all_its_steps():
    features = np.random.default_rng(3).random((2, 3, 4, 4, 1), np.float32)
    whole = np.array([[[0, 0, 64, 64]], [[0, 0, 64, 64]]], np.float32)
    layer = RoIAlign(4, 1, SCALE)
    found = keras.ops.convert_to_numpy(layer([features, whole]))
    np.testing.assert_allclose(found[:, 0], features, atol=1e-6)
    assert layer.compute_output_shape([features.shape, whole.shape]) == found.shape
    assert RoIAlign.from_config(layer.get_config()).get_config() == layer.get_config()
