import json
import time
import zipfile

import cv2
import numpy as np
import pytest

from i3d_tf.flow.compute import compute_flow
from i3d_tf.flow.quantize import dequantize, quantize, through_codes
from i3d_tf.flow.stream import write_video_flow
from i3d_tf.inference import video_source as video_source_file
from i3d_tf.inference.video_source import VideoSource, flow_origin
from i3d_tf.specs.protocol import Protocol
from i3d_tf.video.decode import read_clip
from i3d_tf.video.errors import VideoError
from i3d_tf.video.transforms import center_crop, resize, resize_short_side

SMALL = Protocol(short_side=40, crop_size=32)


@pytest.fixture(scope="module")
def video(moving_video):
    return moving_video(30)


@pytest.fixture(scope="module")
def resized(video):
    return resize_short_side(read_clip(video), 40)


@pytest.fixture(scope="module")
def flow_file(video, tmp_path_factory):
    path = tmp_path_factory.mktemp("flow") / "30.flow.zip"
    write_video_flow(video, path, "dis", short_side=40)
    return path


def test_frames_of_rgb_are_the_centre_of_the_resized_frames(video, resized):
    source = VideoSource(video, SMALL)
    frames = list(source.frames("rgb"))
    np.testing.assert_array_equal(frames, center_crop(resized, 32))
    assert all(frame.base is None for frame in frames)  # nothing larger is kept for them
    assert source.num_frames == 30
    np.testing.assert_array_equal(list(source.frames("rgb")), frames)  # as often as one likes


def test_frames_of_flow_are_computed_before_they_are_cropped(video, resized):
    found = list(VideoSource(video, SMALL, "dis").frames("flow"))
    np.testing.assert_array_equal(found, center_crop(compute_flow(resized, "dis"), 32))


@pytest.mark.parametrize("stored", [False, True])
def test_pairs_are_both_streams_and_decode_the_video_once(video, flow_file, stored, monkeypatch):
    source = VideoSource(video, SMALL, "dis", flow_file if stored else None, "nearest")
    expected = [np.stack(list(source.whole_frames(stream))) for stream in ("rgb", "flow")]
    opened, read = [], video_source_file.read_frames
    monkeypatch.setattr(
        video_source_file, "read_frames", lambda *args: (opened.append(1), read(*args))[1]
    )
    rgb, flow = zip(*source.whole_frame_pairs(), strict=True)
    np.testing.assert_array_equal(rgb, expected[0])
    np.testing.assert_array_equal(flow, expected[1])
    assert len(opened) == 1


def test_frames_have_the_rate_and_size_of_the_protocol(video):
    source = VideoSource(video, Protocol(frame_rate=12.5, short_side=48, crop_size=48))
    assert source.num_frames == 15
    assert np.stack(list(source.frames("rgb"))).shape == (15, 48, 48, 3)


class Stretched:
    """Rules: frames of 44 x 36, at a rate of their own."""

    def __init__(self, frame_rate=None):
        self.frame_rate = frame_rate

    def size_of(self, height, width):
        return 36, 44

    def resize(self, frame):
        return resize(frame, 36, 44)


def test_rules_replace_rate_and_size_of_the_protocol(video, monkeypatch):
    frames = read_clip(video, None)
    expected = np.stack([resize(frame, 36, 44) for frame in frames])
    source = VideoSource(video, SMALL, "dis", rules=Stretched())
    assert (source.num_frames, source.frame_rate) == (30, 25.0)
    np.testing.assert_array_equal(list(source.whole_frames("rgb")), expected)
    np.testing.assert_array_equal(list(source.frames("rgb")), center_crop(expected, 32))
    flow = compute_flow(expected, "dis")
    np.testing.assert_array_equal(list(source.whole_frames("flow")), flow)
    slower = VideoSource(video, SMALL, rules=Stretched(12.5))
    assert (slower.num_frames, slower.frame_rate) == (15, 12.5)
    monkeypatch.setattr(video_source_file, "MAX_FRAME_PIXELS", 36 * 44 - 1)
    with pytest.raises(VideoError, match="its frames would have 44 x 36 pixels, more than 1583"):
        next(source.whole_frames("rgb"))


def test_rules_need_flow_of_their_size(video, flow_file, tmp_path, monkeypatch):
    for number in range(29):
        for axis in "xy":
            cv2.imwrite(
                str(tmp_path / f"flow_{axis}_{number}.png"), np.full((36, 44), 99, np.uint8)
            )
    monkeypatch.setenv("I3D_TF_FOLDER_RATE", "24")
    source = VideoSource(video, SMALL, flow_file=tmp_path, rules=Stretched())
    flow = np.stack(list(source.whole_frames("flow")))
    assert flow.shape == (30, 36, 44, 2)
    np.testing.assert_array_equal(flow, dequantize(np.uint8([99]))[0])
    quirk = VideoSource(video, SMALL, "dis", tmp_path, "video_features", Stretched())
    expected = through_codes(flow[0], "video_features")
    np.testing.assert_array_equal(next(quirk.whole_frames("flow")), expected)
    with pytest.raises(VideoError, match="flow is of 24 frames per second, not 25; name another"):
        VideoSource(video, SMALL, flow_file=tmp_path, rules=Stretched(25.0))
    with pytest.raises(VideoError, match="flow is of 53 x 40 pixels, not 44 x 36; name another"):
        VideoSource(video, SMALL, flow_file=flow_file, rules=Stretched())


@pytest.mark.parametrize("read_bytes", [1, 7 * 40 * 53 * 8, 2**26])
def test_frames_of_flow_are_read_from_a_flow_file(flow_file, resized, read_bytes, monkeypatch):
    monkeypatch.setattr(video_source_file, "READ_BYTES", read_bytes)
    source = VideoSource("not there/30.mp4", SMALL, flow_file=flow_file)
    expected = dequantize(quantize(compute_flow(resized, "dis")))
    np.testing.assert_array_equal(list(source.frames("flow")), center_crop(expected, 32))
    assert source.num_frames == 30


def test_computed_flow_goes_through_codes_where_wanted(video, resized):
    source = VideoSource(video, SMALL, "dis", flow_rounding="deepmind")
    expected = through_codes(compute_flow(resized, "dis"), "deepmind")
    np.testing.assert_array_equal(list(source.frames("flow")), center_crop(expected, 32))
    assert flow_origin("dis", flow_rounding="deepmind")["stored"] == "8 bits, rounding deepmind"


@pytest.mark.parametrize("pictures", [29, 30])
def test_frames_of_flow_are_read_from_a_folder(video, tmp_path, pictures):
    for number in range(pictures):
        for axis in "xy":
            picture = np.full((40, 53), number + 100, np.uint8)
            cv2.imwrite(str(tmp_path / f"flow_{axis}_{number}.png"), picture)
    source = VideoSource(video, SMALL, flow_file=tmp_path)
    flow = np.stack(list(source.frames("flow")))
    assert flow.shape == (30, 32, 32, 2)
    expected = dequantize(np.minimum(np.arange(30), pictures - 1).astype(np.uint8) + 100)
    np.testing.assert_array_equal(flow[:, 5, 5, 1], expected)
    assert flow_origin(flow_file=tmp_path)["engine"] == "unknown"


def test_flow_origin_of_computed_and_stored_flow(flow_file):
    assert flow_origin("dis") == {
        "algorithm": "DIS",
        "engine": "dis",
        "parameters": {"preset": "medium"},
        "stored": None,
    }
    assert flow_origin("opencv", flow_file)["engine"] == "dis"
    assert flow_origin("dis", flow_file)["stored"] == "8 bits, rounding nearest"


def test_video_source_refuses_flow_of_another_protocol_or_video(flow_file, moving_video, tmp_path):
    with pytest.raises(VideoError, match=r"short side 40, not 25 and 256; name another folder"):
        VideoSource(moving_video(30), Protocol(), flow_file=flow_file)
    for frames in (29, 31):
        other = moving_video(frames)
        with pytest.raises(VideoError, match=rf"another video than {other} \(name 30.mp4, not"):
            VideoSource(other, SMALL, flow_file=flow_file)
        named_alike = tmp_path / f"{frames}.flow.zip"
        with zipfile.ZipFile(flow_file) as old, zipfile.ZipFile(named_alike, "w") as new:
            for entry in old.infolist():
                content = old.read(entry)
                if entry.filename == "flow.json":
                    source = {"name": other.name, "bytes": None}
                    content = json.dumps({**json.loads(content), "source": source}).encode()
                new.writestr(entry.filename, content)
        source = VideoSource(other, SMALL, flow_file=named_alike)
        with pytest.raises(
            VideoError, match=rf"zip: it has 30 frames of flow, and the .* {frames}"
        ):
            source.num_frames  # noqa: B018
        assert len(list(source.frames("rgb"))) == frames
        with pytest.raises(VideoError, match=rf"zip: it has 30 frames of flow, and not {frames}"):
            list(source.frames("flow"))
        pairs = VideoSource(other, SMALL, flow_file=named_alike).whole_frame_pairs()
        with pytest.raises(VideoError, match=rf"30 frames of flow, and the video {frames}: it"):
            list(pairs)


def test_frames_are_decoded_ahead_within_bounds(video, monkeypatch):
    made = []

    def read_frames(*_):
        for number in range(900):
            made.append(number)
            yield np.zeros((40, 53, 3), np.uint8)

    monkeypatch.setattr(video_source_file, "read_frames", read_frames)
    frames = VideoSource(video, SMALL).frames("rgb")
    next(frames)
    limit = time.monotonic() + 60
    while len(made) < video_source_file.FRAMES_AHEAD and time.monotonic() < limit:
        time.sleep(0.01)
    frames.close()
    # One is in use, one is being handed over, and one was made before the thread saw the end.
    assert video_source_file.FRAMES_AHEAD <= len(made) <= video_source_file.FRAMES_AHEAD + 3


def test_video_source_of_an_unreadable_video_raises(tmp_path):
    (tmp_path / "empty.mp4").touch()
    source = VideoSource(tmp_path / "empty.mp4", SMALL, "dis")
    for stream in ("rgb", "flow"):
        with pytest.raises(VideoError, match="it is empty"):
            list(source.frames(stream))
    with pytest.raises(VideoError, match="it is empty"):
        source.num_frames  # noqa: B018
    with pytest.raises(ValueError, match=r"`stream` must be one of .*; received 'joint'"):
        list(source.frames("joint"))
