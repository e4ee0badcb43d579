import tracemalloc

import numpy as np
import pytest

from i3d_tf.flow import stream as flow_stream
from i3d_tf.flow.compute import compute_flow
from i3d_tf.flow.flow_file import open_flow_file
from i3d_tf.flow.quantize import quantize
from i3d_tf.flow.stream import flow_frames, write_video_flow
from i3d_tf.flow.tvl1 import TVL1Parameters
from i3d_tf.system.jobs import source_metadata
from i3d_tf.video.decode import read_clip, read_frames
from i3d_tf.video.encode import write_video
from i3d_tf.video.errors import VideoError
from i3d_tf.video.transforms import resize_short_side

QUICK = TVL1Parameters(scales=2, warps=1, outer_iterations=1, inner_iterations=5)


@pytest.fixture(scope="module")
def frames():
    """uint8 (12, 48, 64, 3): a texture that moves right by one pixel a frame."""
    texture = np.random.default_rng(0).integers(0, 256, (12, 20)).astype(np.uint8)
    texture = np.kron(texture, np.ones((4, 4), np.uint8))  # blocks, so that the codec keeps them
    views = [texture[:, 16 - step : 80 - step] for step in range(12)]
    return np.repeat(np.stack(views)[..., np.newaxis], 3, axis=-1)


@pytest.fixture(scope="module")
def video(frames, tmp_path_factory):
    """The same as a video of 12 frames at 30 frames per second."""
    path = tmp_path_factory.mktemp("stream") / "moving.mp4"
    write_video(path, frames, 30)
    return path


@pytest.mark.parametrize(("engine", "parameters"), [("opencv", QUICK), ("dis", None)])
@pytest.mark.parametrize("pairs", [1, 4, 11, 64])
def test_flow_frames_equals_compute_flow(frames, engine, parameters, pairs, monkeypatch):
    monkeypatch.setattr(flow_stream, "MAX_PAIRS", pairs)
    expected = compute_flow(frames, engine, parameters)
    found = np.stack(list(flow_frames(iter(frames), engine, parameters)))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("pairs", [1, 4, 64])
def test_flow_frames_of_both_directions_are_those_of_the_reversed_clip(frames, pairs, monkeypatch):
    monkeypatch.setattr(flow_stream, "MAX_PAIRS", pairs)
    found = np.stack(list(flow_frames(iter(frames), "dis", direction="both")))
    np.testing.assert_array_equal(found[:, 0], compute_flow(frames, "dis"))
    np.testing.assert_array_equal(found[:, 1], compute_flow(frames[::-1], "dis")[::-1])
    (single,) = flow_frames(frames[:1], "dis", direction="both")
    assert single.shape == (2, 48, 64, 2)


def test_flow_frames_takes_no_more_frames_than_a_piece(frames, monkeypatch):
    monkeypatch.setattr(flow_stream, "MAX_PAIRS", 4)
    taken = []
    stream = flow_frames((taken.append(k) or frame for k, frame in enumerate(frames)), "dis")
    next(stream)
    assert taken == [0, 1, 2, 3, 4]


def test_flow_frames_takes_large_frames_in_small_pieces(frames, monkeypatch):
    monkeypatch.setattr(flow_stream, "MAX_PAIR_BYTES", 2 * flow_stream.BYTES_PER_PIXEL * 48 * 64)
    taken = []
    next(flow_frames((taken.append(k) or frame for k, frame in enumerate(frames)), "dis"))
    assert taken == [0, 1, 2]


def test_flow_frames_of_single_frame_is_zero(frames):
    (flow,) = flow_frames(frames[:1], "dis")
    assert flow.shape == (48, 64, 2)
    assert (flow == 0).all()


def test_flow_frames_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="`frames` must have at least one frame; received none"):
        list(flow_frames([], "dis"))


def test_write_video_flow_equals_compute_flow(video, tmp_path, monkeypatch):
    monkeypatch.setattr(flow_stream, "MAX_PAIRS", 3)
    target = tmp_path / "moving.flow.zip"
    metadata = write_video_flow(video, target, "opencv", QUICK, frame_rate=25, short_side=32)
    flows = open_flow_file(target)
    assert flows.metadata == metadata
    assert (flows.frames, flows.height, flows.width) == (10, 32, 43)
    assert metadata["parameters"]["inner_iterations"] == 5
    assert metadata["source"] == source_metadata(video)
    expected = compute_flow(resize_short_side(read_clip(video), 32), "opencv", QUICK)
    np.testing.assert_array_equal(flows.codes(), quantize(expected))


def test_write_video_flow_of_cut_video_leaves_nothing(frames, make_video, tmp_path, monkeypatch):
    monkeypatch.setattr(flow_stream, "MAX_PAIRS", 1)
    short = tmp_path / "short.mkv"
    whole = make_video(np.tile(frames, (4, 1, 1, 1)), container="matroska")
    short.write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(VideoError, match=r"damaged or cut short after 1\.\d\d s"):
        list(flow_frames(read_frames(short), "dis"))
    with pytest.raises(VideoError, match="damaged or cut short"):
        write_video_flow(short, tmp_path / "short.flow.zip", "dis", short_side=32)
    assert [path.name for path in tmp_path.iterdir()] == ["short.mkv"]


def test_write_video_flow_takes_same_memory_for_any_length(tmp_path, monkeypatch):
    monkeypatch.setattr(flow_stream, "MAX_PAIRS", 8)
    peaks = []
    for length in (20, 200):
        grey = (np.full((32, 32, 3), k % 200, np.uint8) for k in range(length))
        write_video(tmp_path / "long.mp4", grey)
        tracemalloc.start()
        write_video_flow(tmp_path / "long.mp4", tmp_path / "a.flow.zip", "dis", short_side=32)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Ten times the frames: 1.5 MB more if their flow were kept, and what the ZIP directory takes.
    assert peaks[1] - peaks[0] < 300_000
