import cv2
import numba.core.caching
import numpy as np
import pytest

from i3d_tf.flow import tvl1_numba_kernels as kernels
from i3d_tf.flow.tvl1_numba_kernels import (
    MARGIN,
    Level,
    fill_table,
    image_in,
    linearise,
    median_filter,
    plane,
    plane_shape,
    solve,
    table_size,
)


def to_plane(image):
    whole = plane(np.zeros(np.prod(plane_shape(*image.shape)), np.float32), image.shape)
    image_in(whole, image.shape)[:] = image
    return whole, image.shape


def test_plane_shape_has_whole_vectors_and_margin():
    assert plane_shape(10, 16) == (12, MARGIN + 16)
    assert plane_shape(10, 17) == (12, MARGIN + 32)


@pytest.mark.parametrize("shape", [(23, 37), (1, 1), (2, 3), (5, 64)])
def test_median_filter_equals_opencv_and_leaves_margin_alone(shape):
    noise = np.random.default_rng(1).random(shape).astype(np.float32)
    whole, size = to_plane(noise)
    median_filter(whole, size)
    np.testing.assert_array_equal(image_in(whole, size), cv2.medianBlur(noise, 5).reshape(shape))
    image_in(whole, size)[:] = 0
    assert not whole.any()


def test_median_filter_removes_speck_and_keeps_step():
    image = np.zeros((16, 16), np.float32)
    image[:, 8:] = 1
    specks = image.copy()
    specks[4, 3], specks[9, 12] = 5, -5
    whole, size = to_plane(specks)
    median_filter(whole, size)
    np.testing.assert_array_equal(image_in(whole, size), image)


SHAPE = (24, 37)


def warp(previous, following, u1, u2):
    """Images of grey levels and flow -> gradient_x, gradient_y, constant."""
    planes = np.zeros((len(Level._fields), np.prod(plane_shape(*SHAPE))), np.float32)
    level = Level(*(plane(buffer, SHAPE) for buffer in planes))
    image_in(level.u1, SHAPE)[:], image_in(level.u2, SHAPE)[:] = u1, u2
    table = np.full(table_size(*SHAPE), np.nan, np.float32)
    fill_table(following, table)
    linearise(level, previous, table)
    return [
        image_in(field, SHAPE) for field in (level.gradient_x, level.gradient_y, level.constant)
    ]


def derivatives(image):
    """Central differences with the edge repeated: OpenCV's centeredGradient."""
    padded = np.pad(image, 1, mode="edge")
    return (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2, (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2


@pytest.fixture
def images():
    generator = np.random.default_rng(0)
    return generator.uniform(0, 255, (2, *SHAPE)).astype(np.float32)


def test_linearise_without_motion_reads_image_itself(images):
    previous, following = images
    gradient_x, gradient_y, constant = warp(previous, following, 0, 0)
    expected_x, expected_y = derivatives(following)
    np.testing.assert_array_equal(gradient_x, expected_x)
    np.testing.assert_array_equal(gradient_y, expected_y)
    np.testing.assert_array_equal(constant, following - previous)


def test_linearise_between_pixels_is_opencv_s_cubic_remap(images, exact_remap):
    previous, following = images
    generator = np.random.default_rng(1)
    u1, u2 = generator.uniform(-8, 8, (2, *SHAPE)).astype(np.float32)  # some lead out of the image
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)
    expected = [
        cv2.remap(image, x + u1, y + u2, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)
        for image in (following, *derivatives(following))
    ]
    gradient_x, gradient_y, constant = warp(previous, following, u1, u2)
    # Positions below 64 have a spacing of 4e-6, and neighbors differ by up to 255 grey levels.
    np.testing.assert_allclose(gradient_x, expected[1], atol=1e-3)
    np.testing.assert_allclose(gradient_y, expected[2], atol=1e-3)
    expected_constant = expected[0] - expected[1] * u1 - expected[2] * u2 - previous
    np.testing.assert_allclose(constant, expected_constant, atol=1e-2)


@pytest.mark.parametrize("u1", [-1000.0, 1000.0, -SHAPE[1] - 5.0, SHAPE[1] + 5.0])
def test_linearise_far_outside_reads_zeros(images, u1):
    previous, following = images
    gradient_x, gradient_y, constant = warp(previous, following, u1, -u1)
    assert not gradient_x.any()
    assert not gradient_y.any()
    np.testing.assert_array_equal(constant, -previous)


def test_linearise_of_flat_image_has_no_gradient():
    flat = np.full(SHAPE, 77, np.float32)
    gradient_x, gradient_y, constant = warp(flat, flat + 10, 0, 0)
    assert not gradient_x.any()
    assert not gradient_y.any()
    np.testing.assert_array_equal(constant, 10)


def test_compile_solve_without_writable_folder_has_no_cache(monkeypatch):
    def fail(locator):
        raise PermissionError("read-only file system")

    monkeypatch.setattr(numba.core.caching._CacheLocator, "ensure_cache_path", fail)
    assert kernels.compile_solve(()) is solve


def test_compile_solve_without_readable_sources_has_no_cache(tmp_path):
    assert kernels.compile_solve([tmp_path / "absent.py"]) is solve


def test_compile_solve_closes_over_digest_of_sources(tmp_path):
    source = tmp_path / "source.py"
    digests = []
    for contents in ("a = 1", "a = 2", "a = 1"):
        source.write_text(contents)
        closure = kernels.compile_solve([source]).py_func.__closure__
        digests.append([cell.cell_contents for cell in closure])
    assert digests[0] == digests[2] != digests[1]


def test_cache_is_in_numba_cache_dir(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.core.config, "CACHE_DIR", str(tmp_path))
    assert kernels.compile_solve([]).stats.cache_path.startswith(str(tmp_path))


def test_solve_level_tries_again_where_cache_cannot_be_written(monkeypatch):
    calls = []

    def compile_and_fail_to_save(*arguments):
        calls.append(arguments)
        if len(calls) == 1:  # numba saves after compiling; the second call finds it compiled
            raise OSError("No space left on device")

    monkeypatch.setattr(kernels, "compiled_solve", compile_and_fail_to_save)
    kernels.solve_level("level", "previous", "following", "table", "settings")
    assert calls == [("level", "previous", "following", "table", "settings")] * 2
