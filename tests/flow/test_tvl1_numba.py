import os
import subprocess
import sys
from dataclasses import fields

import numba.core.caching
import numpy as np
import pytest

from i3d_tf.flow import tvl1_numba
from i3d_tf.flow import tvl1_numba_kernels as kernels
from i3d_tf.flow.tvl1 import DEFAULT, TVL1Parameters
from i3d_tf.flow.tvl1_numba import flow_between
from i3d_tf.flow.tvl1_numba_kernels import MARGIN, Settings, solve


@pytest.fixture(scope="module")
def pairs():
    """Seven different pairs of noise, 24 x 40: nothing about their flow is easy."""
    return np.random.default_rng(0).integers(0, 256, (2, 7, 24, 40), np.uint8)


def test_settings_have_the_fields_of_the_parameters():
    assert Settings._fields == tuple(field.name for field in fields(TVL1Parameters))


def test_settings_keep_their_types():
    settings = tvl1_numba.make_settings(TVL1Parameters(lambda_=1, epsilon=np.float32(0.5)))
    assert (settings.lambda_, settings.epsilon) == (1.0, 0.5)
    expected = [type(value) for value in tvl1_numba.make_settings(DEFAULT)]
    assert [type(value) for value in settings] == expected


@pytest.mark.parametrize("num_threads", [2, 3, 16, None])
def test_the_number_of_threads_changes_no_bit(pairs, num_threads):
    expected = flow_between(*pairs, num_threads=1)
    np.testing.assert_array_equal(flow_between(*pairs, num_threads=num_threads), expected)


def test_a_pair_does_not_depend_on_the_pairs_before_it(pairs):
    previous, following = pairs
    together = flow_between(previous, following, num_threads=1)
    for index in (0, 3, 6):
        alone = flow_between(previous[index : index + 1], following[index : index + 1])
        np.testing.assert_array_equal(alone[0], together[index])


@pytest.mark.parametrize("num_threads", [0, -1])
def test_threads_are_counted_from_one(pairs, num_threads):
    with pytest.raises(ValueError, match=r"`num_threads` must be an integer >= 1; received"):
        flow_between(*pairs, num_threads=num_threads)


def test_large_frames_get_fewer_threads():
    assert tvl1_numba.worker_count(4, 100, (256, 340)) == 4
    assert tvl1_numba.worker_count(64, 100, (2160, 3840)) == 2
    assert tvl1_numba.worker_count(64, 100, (20000, 20000)) == 1
    assert tvl1_numba.worker_count(64, 3, (256, 340)) == 3
    assert tvl1_numba.worker_count(64, 0, (256, 340)) == 0


@pytest.mark.parametrize("size", [(256, 340), (1080, 1920)])
def test_a_workspace_takes_about_as_much_memory_as_it_is_counted_for(size):
    workspace = tvl1_numba.make_workspace(tvl1_numba.pyramid_sizes(*size, DEFAULT))
    arrays = [*workspace.previous, *workspace.following, workspace.fields, workspace.table]
    per_pixel = sum(array.nbytes for array in arrays) / (size[0] * size[1])
    assert 75 < per_pixel < 90
    for array in (workspace.fields, workspace.table):
        assert array.ctypes.data % (MARGIN * array.itemsize) == 0


@pytest.mark.parametrize("scale", [0.8, 0.5, 0.37])
@pytest.mark.parametrize("size", [(256, 341), (131, 99)])
def test_every_level_of_a_pyramid_is_filled(size, scale):
    parameters = TVL1Parameters(scale_step=scale)
    pyramid = [np.full(level, np.nan) for level in tvl1_numba.pyramid_sizes(*size, parameters)]
    pyramid[0] = np.tile(np.arange(size[1], dtype=np.float64), (size[0], 1))
    tvl1_numba.fill_pyramid(pyramid, scale)
    assert len(pyramid) > 1
    for index, level in enumerate(pyramid):
        centres = (np.arange(level.shape[1]) + 0.5) / scale**index - 0.5
        # A ramp stays a ramp, up to the last half pixel of each level.
        np.testing.assert_allclose(level[:, 1:-2], np.broadcast_to(centres, level.shape)[:, 1:-2])


def test_flow_grows_with_its_level():
    above = [np.full((16, 20), value, np.float32) for value in (1, -3)]
    planes = np.zeros((2, 40, 64), np.float32)
    tvl1_numba.enlarge_flow(above, [image[1:21, 16:41] for image in planes], 1.25)
    np.testing.assert_array_equal(planes[:, 1:21, 16:41].mean(axis=(1, 2)), [1.25, -3.75])
    planes[:, 1:21, 16:41] = 0
    assert not planes.any()


def test_an_error_in_a_thread_is_raised(pairs, monkeypatch):
    def fail(*_):
        raise MemoryError("no memory")

    monkeypatch.setattr(tvl1_numba, "solve_pair", fail)
    with pytest.raises(MemoryError, match="no memory"):
        flow_between(*pairs, num_threads=1)


def test_without_a_folder_to_write_it_is_compiled_without_a_cache(monkeypatch):
    def fail(locator):
        raise PermissionError("read-only file system")

    monkeypatch.setattr(numba.core.caching._CacheLocator, "ensure_cache_path", fail)
    assert kernels.compile_solve(()) is solve


def test_without_readable_sources_it_is_compiled_without_a_cache(tmp_path):
    assert kernels.compile_solve([tmp_path / "absent.py"]) is solve


def test_the_cache_notices_a_change_of_any_source(tmp_path):
    source = tmp_path / "source.py"
    digests = []
    for contents in ("a = 1", "a = 2", "a = 1"):
        source.write_text(contents)
        closure = kernels.compile_solve([source]).py_func.__closure__
        digests.append([cell.cell_contents for cell in closure])
    assert digests[0] == digests[2] != digests[1]


def test_the_cache_is_where_the_user_wants_it(tmp_path):
    code = (
        "from i3d_tf.flow import tvl1_numba_kernels as k; print(k.compiled_solve.stats.cache_path)"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.startswith(str(tmp_path))


def test_a_cache_that_cannot_be_written_does_not_matter(monkeypatch):
    calls = []

    def compile_and_fail_to_save(*arguments):
        calls.append(arguments)
        if len(calls) == 1:  # numba saves after compiling; the second call finds it compiled
            raise OSError("No space left on device")

    monkeypatch.setattr(kernels, "compiled_solve", compile_and_fail_to_save)
    kernels.solve_level("level", "previous", "following", "table", "settings")
    assert calls == [("level", "previous", "following", "table", "settings")] * 2
