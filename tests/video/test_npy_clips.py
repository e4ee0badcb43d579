import io
import zipfile
from itertools import islice

import numpy as np
import pytest

from i3d_tf.video.errors import VideoError
from i3d_tf.video.npy_clips import count_clips, is_clip_array, iter_array_clips

CLIPS = np.arange(3 * 10 * 2 * 4 * 3).reshape(3, 10, 2, 4, 3).astype(np.uint8)


def read(path, num_frames=9):
    """The first frames of each clip."""
    clips = iter_array_clips(path, num_frames)
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
        (CLIPS.astype(np.float32), r"must be uint8 \(N, T, H, W, 3\), .*; it is float32"),
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
    (np.save if ending == "npy" else np.savez)(path, array, allow_pickle=True)
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
