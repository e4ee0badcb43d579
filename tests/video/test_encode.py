import errno
import io
import os

import av
import numpy as np
import pytest

from i3d_tf.video.decode import read_clip
from i3d_tf.video.encode import write_video
from i3d_tf.video.errors import VideoError
from i3d_tf.video.probe import probe


def test_write_video_is_read_back(tmp_path, numbered_frames, read_numbers):
    path = tmp_path / "clip.mp4"
    write_video(path, numbered_frames(30))
    assert read_numbers(read_clip(path)) == list(range(30))
    info = probe(path)
    assert (info.frame_rate, info.num_frames, info.duration) == (25.0, 30, 1.2)


@pytest.mark.parametrize(
    ("frame_rate", "seconds"), [(10, 3), (30000 / 1001, 1.001), (19.62, 30 / 19.62)]
)
def test_write_video_keeps_frame_rate(tmp_path, numbered_frames, frame_rate, seconds):
    path = tmp_path / "clip.mp4"
    write_video(path, numbered_frames(30), frame_rate)
    assert probe(path).frame_rate == pytest.approx(frame_rate)
    # A player's clock for an mp4 has a step of about 0.1 ms.
    assert probe(path).duration == pytest.approx(seconds, abs=2e-4)


def test_write_video_keeps_colour(tmp_path):
    frames = np.full((5, 32, 32, 3), (220, 30, 60), np.uint8)
    path = tmp_path / "clip.mp4"
    write_video(path, frames)
    # 8 bits of luma and chroma, and FFmpeg's fast conversions twice: about 2 levels each.
    assert np.abs(read_clip(path).astype(int) - frames).max() <= 5


def test_write_video_is_h264_yuv420p_bt601(tmp_path, numbered_frames):
    path = tmp_path / "clip.mp4"
    write_video(path, numbered_frames(3))
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert (context.colorspace, context.color_range) == (5, 1)  # BT.601, 16 to 235


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 5), (63, 64), (64, 65)])
def test_write_video_repeats_last_pixels_of_odd_sides(tmp_path, height, width):
    frames = (
        np.random.default_rng(0).integers(0, 2, (3, height, width, 1), np.uint8).repeat(3, 3) * 255
    )
    path = tmp_path / "clip.mp4"
    write_video(path, frames)
    clip = read_clip(path)
    even = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    assert clip.shape == even.shape
    # Black stays on the dark side and white on the bright, compressed or not.
    np.testing.assert_array_equal(clip > 127, even > 127)


def test_write_video_gives_same_bytes_from_array_iterator_and_list(tmp_path, numbered_frames):
    paths = [tmp_path / name for name in ("a.mp4", "b.mp4", "c.mp4")]
    frames = numbered_frames(20)
    for path, source in zip(paths, (frames, iter(frames), list(frames)), strict=True):
        write_video(path, source)
    assert len({path.read_bytes() for path in paths}) == 1


def test_write_video_takes_any_memory_order(tmp_path, numbered_frames):
    paths = tmp_path / "a.mp4", tmp_path / "b.mp4"
    mirrored = numbered_frames(5)[:, :, ::-1]
    write_video(paths[0], mirrored)
    write_video(paths[1], mirrored.copy())
    assert paths[0].read_bytes() == paths[1].read_bytes()


def good_then(bad):
    yield np.zeros((16, 16, 3), np.uint8)
    yield bad


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (
            np.zeros((0, 16, 16, 3), np.uint8),
            "`frames` must hold at least one frame; received none",
        ),
        (np.zeros((2, 16, 16, 3), np.float32), r"`frames` must be uint8 .* received float32"),
        (np.zeros((2, 16, 16), np.uint8), r"received uint8 \(16, 16\)"),
        (np.zeros((2, 16, 16, 4), np.uint8), r"\(H, W, 3\).* received uint8 \(16, 16, 4\)"),
        (np.zeros((2, 0, 16, 3), np.uint8), r"received uint8 \(0, 16, 3\)"),
        ([[1, 2], [3, 4]], "received list"),
        (good_then(np.zeros((16, 18, 3), np.uint8)), r"all be \(16, 16, 3\) like the first"),
        (good_then(np.zeros((16, 16, 3), np.int64)), "received int64"),
    ],
)
def test_write_video_names_wrong_frames_and_keeps_old_file(tmp_path, frames, message):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"what was there")
    with pytest.raises(ValueError, match=message):
        write_video(path, frames)
    assert path.read_bytes() == b"what was there"
    assert os.listdir(tmp_path) == ["clip.mp4"]


def test_write_video_names_wrong_frame_rate(tmp_path, numbered_frames):
    with pytest.raises(ValueError, match="`frame_rate` must be a number > 0"):
        write_video(tmp_path / "clip.mp4", numbered_frames(1), 0)


def test_write_video_into_missing_folder_is_an_error(tmp_path, numbered_frames):
    path = tmp_path / "none" / "clip.mp4"
    with pytest.raises(
        VideoError, match=r"clip\.mp4: it cannot be written: no such file or directory"
    ):
        write_video(path, numbered_frames(1))


def test_write_video_over_folder_is_an_error(tmp_path, numbered_frames):
    with pytest.raises(VideoError, match="it is a folder, not a file"):
        write_video(tmp_path, numbered_frames(1))


def failing_file(monkeypatch, error):
    """Makes every file that is opened for writing raise `error` when it is written to."""

    class Failing(io.FileIO):
        def write(self, data):
            super().write(data[:100])
            raise error

    monkeypatch.setattr("builtins.open", Failing)


def test_write_video_without_permission_is_an_error(tmp_path, numbered_frames, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    # Not by file mode, which does not stop the superuser that containers run tests as.
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(VideoError, match="it cannot be written: permission denied"):
        write_video(tmp_path / "clip.mp4", numbered_frames(1))


def test_write_video_on_full_disk_leaves_nothing(tmp_path, numbered_frames, monkeypatch):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"what was there")
    failing_file(monkeypatch, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(VideoError, match="it cannot be written: no space left on device"):
        write_video(path, numbered_frames(100))
    monkeypatch.undo()
    assert path.read_bytes() == b"what was there"
    assert os.listdir(tmp_path) == ["clip.mp4"]


def test_write_video_refused_by_encoder_leaves_nothing(tmp_path):
    too_wide = np.zeros((1, 2, 20_000, 3), np.uint8)  # H.264 ends at 16384
    with pytest.raises(VideoError, match="it cannot be encoded"):
        write_video(tmp_path / "clip.mp4", too_wide)
    assert os.listdir(tmp_path) == []


def test_write_video_passes_on_error_of_iterator_and_leaves_nothing(tmp_path):
    def frames():
        yield np.zeros((16, 16, 3), np.uint8)
        raise OSError("from the caller")

    with pytest.raises(OSError, match=r"^from the caller$"):
        write_video(tmp_path / "clip.mp4", frames())
    assert os.listdir(tmp_path) == []


def test_write_video_prints_nothing(tmp_path, numbered_frames, capfd):
    write_video(tmp_path / "clip.mp4", numbered_frames(3))
    assert capfd.readouterr() == ("", "")


def test_write_video_gives_usual_permissions(tmp_path, numbered_frames):
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    write_video(tmp_path / "clip.mp4", numbered_frames(1))
    assert (tmp_path / "clip.mp4").stat().st_mode == plain.stat().st_mode
