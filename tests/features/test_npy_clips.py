import io
import zipfile
from itertools import islice

import numpy as np
import pytest

from i3d_tf.features.npy_clips import (
    AXES,
    ArrayLayout,
    count_clips,
    is_clip_array,
    iter_array_clips,
)
from i3d_tf.video.errors import VideoError

CLIPS = np.arange(3 * 10 * 2 * 4 * 3).reshape(3, 10, 2, 4, 3).astype(np.uint8)


def read(path, num_frames=9, **layout):
    """The first frames of each clip."""
    clips = iter_array_clips(path, num_frames, ArrayLayout(**layout))
    return [np.stack(list(islice(clip.frames, num_frames))) for clip in clips]


def npy_bytes(array, **keywords):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **keywords)
    return file.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_iter_array_clips_of_npz(tmp_path, save):
    save(tmp_path / "a.npz", first=CLIPS, second=CLIPS[:1, :9, :, :3])
    assert count_clips(tmp_path / "a.npz", 9) == 4
    clips = read(tmp_path / "a.npz")
    assert len(clips) == 4
    for clip, expected in zip(clips[:3], CLIPS[:, :9], strict=True):
        np.testing.assert_array_equal(clip, expected)
    np.testing.assert_array_equal(clips[3], CLIPS[0, :9, :, :3])


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_iter_array_clips_of_npy(tmp_path, version):
    (tmp_path / "a.npy").write_bytes(npy_bytes(CLIPS, version=version))
    assert count_clips(tmp_path / "a.npy", 10) == 3
    np.testing.assert_array_equal(read(tmp_path / "a.npy", 10), CLIPS)
    np.testing.assert_array_equal(read(tmp_path / "a.npy", 1), CLIPS[:, :1])


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("channels", [1, 3])
def test_iter_array_clips_of_any_axes(tmp_path, axes, channels):
    clips = CLIPS[..., :channels]
    np.save(tmp_path / "a.npy", clips.transpose(["NTHWC".index(axis) for axis in axes]))
    # So that what comes is the order that was asked for, and stored row by row.
    np.save(tmp_path / "a.npy", np.ascontiguousarray(np.load(tmp_path / "a.npy")))
    layout = ArrayLayout(axes)
    assert count_clips(tmp_path / "a.npy", 9, layout) == 3
    expected = np.broadcast_to(clips, CLIPS.shape)
    for num_frames in (2, 10):
        found = read(tmp_path / "a.npy", num_frames, axes=axes)
        np.testing.assert_array_equal(found, expected[:, :num_frames])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, ">f8"])
@pytest.mark.parametrize(("value_range", "low", "high"), [("0..1", 0, 1), ("-1..1", -1, 1)])
def test_iter_array_clips_scales_float_values(tmp_path, dtype, value_range, low, high):
    np.save(tmp_path / "a.npy", (low + CLIPS / 255 * (high - low)).astype(dtype))
    found = read(tmp_path / "a.npy", value_range=value_range)
    assert found[0].dtype == np.float32
    np.testing.assert_allclose(found, CLIPS[:, :9], atol=0.1 if dtype == np.float16 else 1e-4)


def test_iter_array_clips_takes_float_values_of_pixels(tmp_path):
    np.save(tmp_path / "a.npy", CLIPS + np.float32(0.25))
    found = read(tmp_path / "a.npy", value_range="0..255")
    np.testing.assert_array_equal(found, CLIPS[:, :9] + np.float32(0.25))


@pytest.mark.parametrize(("value", "said"), [(2, "0..2, not 0..1"), (np.nan, "nan..nan, not")])
def test_values_outside_of_their_range_are_refused(tmp_path, value, said):
    clips = np.zeros((1, 9, 2, 2, 1), np.float32)
    clips[0, 8, 1, 1] = value
    np.save(tmp_path / "a.npy", clips)
    with pytest.raises(VideoError, match=f"it has values within {said}"):
        read(tmp_path / "a.npy", value_range="0..1")


def test_clips_that_are_read_whole_must_not_be_too_large(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", np.zeros((1, 3, 9, 8, 8), np.uint8))
    monkeypatch.setattr("i3d_tf.features.npy_clips.MAX_BYTES", 3 * 9 * 64 - 1)
    with pytest.raises(VideoError, match="a clip of it exceeds"):
        count_clips(tmp_path / "a.npy", 9, ArrayLayout("NCTHW"))


def test_array_layout_names_bad_values():
    with pytest.raises(ValueError, match=r"`axes` must be one of .*received 'NHWC'"):
        ArrayLayout("NHWC")
    with pytest.raises(ValueError, match=r"`value_range` must be one of .*received '0\.\.2'"):
        ArrayLayout(value_range="0..2")


def test_iter_array_clips_skips_frames_that_are_not_taken(tmp_path):
    np.save(tmp_path / "a.npy", CLIPS)
    firsts = [
        (clip.num_frames, next(clip.frames)) for clip in iter_array_clips(tmp_path / "a.npy", 9)
    ]
    assert [number for number, _ in firsts] == [10, 10, 10]
    np.testing.assert_array_equal([frame for _, frame in firsts], CLIPS[:, 0])


def test_is_clip_array_looks_at_ending():
    assert [is_clip_array(name) for name in ("a.npy", "b/c.NPZ", "a.mp4", "npy")] == [
        *(True, True, False, False)
    ]


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (CLIPS.astype(np.float32), r"is float32; give the range of its values as --value_range"),
        (CLIPS.astype(np.int64), r"must be uint8 or float \(N, T, H, W, C\), .*; it is int64"),
        (CLIPS[0], r"it is uint8 \(10, 2, 4, 3\)"),
        (CLIPS[..., :2], "it is uint8"),
        (np.array([{}]), "it is object"),  # not unpickled
        (np.asfortranarray(CLIPS), "stored column by column"),
        (CLIPS[:, :8], "it has 8 frames; 9 are needed"),
        (CLIPS[:, :, :0], "frames of 4 x 0 pixels"),
    ],
)
@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_arrays_that_are_not_clips_are_refused(tmp_path, ending, array, reason):
    path = tmp_path / f"a.{ending}"
    (np.save if ending == "npy" else np.savez)(path, array)
    for reading in (read, lambda path: count_clips(path, 9)):
        with pytest.raises(VideoError, match=reason):
            reading(path)


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ("(9000000000, 10, 2, 4, 3)", "is cut short"),
        ("(1, 10, 99999, 99999, 3)", "frames of 99999 x 99999 pixels"),
        ("(-1, 10, 2, 4, 3)", "cannot have a negative side"),
        ("(3, 10, 2, 4, 3", "not an array as NumPy writes them, or damaged"),
        ("(10 ** 9, 10, 2, 4, 3)", "not an array as NumPy writes them, or damaged"),
    ],
)
def test_forged_headers_allocate_nothing(tmp_path, shape, reason):
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()
    (tmp_path / "a.npy").write_bytes(content + bytes(99))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", content + bytes(99))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(VideoError, match=reason):
            count_clips(tmp_path / name, 9)


@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_damaged_files_are_refused(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    (np.save if ending == "npy" else np.savez_compressed)(path, CLIPS)
    whole = path.read_bytes()
    for content in (b"", b"nonsense" * 99, whole[:60], whole[:-60]):
        path.write_bytes(content)
        with pytest.raises(VideoError):
            read(path)
    path.unlink()
    with pytest.raises(VideoError, match="no such file"):
        read(path)


def test_damaged_value_in_archive_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, np.repeat(CLIPS, 99, axis=0))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(VideoError, match="CRC"):
        read(path, 10)


def test_empty_archive_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz")
    with pytest.raises(VideoError, match="it has no arrays"):
        count_clips(tmp_path / "a.npz", 9)


def test_archive_that_unpacks_to_gigabytes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("i3d_tf.system.expansion.ALWAYS_ALLOWED", 2**16)
    path = tmp_path / "a.npz"
    np.savez_compressed(path, np.zeros((20, 9, 99, 99, 3), np.uint8))
    with pytest.raises(VideoError, match=r"its [\d,]+ bytes unpack to 5,2\d\d,\d{3}, which is not"):
        count_clips(path, 9)
