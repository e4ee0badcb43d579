"""Videos and flow files whose every pixel says which frame and which column it is."""

import dataclasses

import numpy as np
import pytest

from i3d_tf.data import clips
from i3d_tf.data.clips import count_frames, find_unreadable, load_flow, load_rgb
from i3d_tf.data.example import VideoExample
from i3d_tf.data.flow_store import FlowStore
from i3d_tf.data.views import View
from i3d_tf.flow.flow_file import write_flow_file
from i3d_tf.flow.metadata import flow_metadata
from i3d_tf.specs.protocol import Protocol
from i3d_tf.video import decode
from i3d_tf.video.encode import write_video
from i3d_tf.video.errors import VideoError
from i3d_tf.video.transforms import CropPlace

FRAMES, WIDTH, SIZE = 16, 48, 32
BRIGHTER = 4  # grey levels from frame to frame; from column to column it is 1
CODE = 0.08  # pixels: half a step of the 8-bit codes
PROTOCOL = Protocol(frames=9, short_side=SIZE, crop_size=SIZE)


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "a class"
    folder.mkdir()
    levels = np.arange(FRAMES)[:, None] * BRIGHTER + np.arange(WIDTH) + 20
    frames = np.broadcast_to(levels[:, None, :, None], (FRAMES, SIZE, WIDTH, 3))
    write_video(folder / "ramp.mp4", frames.astype(np.uint8))
    return VideoExample(str(folder / "ramp.mp4"), 0, "a class")


@pytest.fixture(scope="module")
def flow_store(example, tmp_path_factory):
    """Flow of x = number of the frame and y = column / 4."""
    flow = np.empty((FRAMES, SIZE, WIDTH, 2), np.float32)
    flow[..., 0] = np.arange(FRAMES)[:, None, None]
    flow[..., 1] = np.arange(WIDTH) / 4
    store = FlowStore(tmp_path_factory.mktemp("flow"), PROTOCOL, engine="dis")
    metadata = flow_metadata(example.path, "dis", None, PROTOCOL.frame_rate, SIZE)
    write_flow_file(store.path(example.path), flow, metadata)
    return store


@pytest.fixture
def load_both(flow_store):
    """Function: (example, view) -> its RGB and its flow."""

    def load(example, view):
        return load_rgb(example, view, PROTOCOL), load_flow(example, view, PROTOCOL, flow_store)

    return load


def view(first=0, frames=9, jitter=(1.0, 1.0, 1.0), **place):
    return View(np.arange(first, first + frames), CropPlace(**place), jitter)


def rgb_numbers(clip, left):
    """The frame numbers that the first column of a crop spells."""
    return (clip[:, 5, 0, 1].astype(float) - 20 - left) / BRIGHTER


def test_count_frames_uses_header_and_cut(example):
    assert count_frames(example, 25.0) == FRAMES
    assert count_frames(example, 12.5) == FRAMES / 2
    cut = VideoExample(example.path, 0, "a class", start=0.2, end=0.4)
    assert count_frames(cut, 25.0) == 5


def test_count_frames_of_video_without_duration_decodes_once(tmp_path, make_video, monkeypatch):
    frames = np.zeros((20, SIZE, WIDTH, 3), np.uint8)
    path = tmp_path / "raw.h264"
    path.write_bytes(make_video(frames, "h264"))
    raw = VideoExample(str(path), 0, "a class")
    assert count_frames(raw, 25.0) == 20
    monkeypatch.setattr(decode, "decode_from", None)  # nothing is decoded a second time
    assert count_frames(raw, 25.0) == 20


def test_count_frames_refuses_header_of_years(example, monkeypatch):
    monkeypatch.setattr(clips, "MAX_FRAMES", FRAMES - 1)
    with pytest.raises(VideoError, match="it has more than 15 frames by its header"):
        count_frames(example, 25.0)


@pytest.mark.parametrize(("left", "column"), [(0.0, 0), (0.5, 8), (1.0, 16)])
def test_both_streams_show_same_frames_and_same_crop(example, load_both, left, column):
    rgb, flow = load_both(example, view(first=5, left=left))
    assert rgb.shape == (9, SIZE, SIZE, 3)
    assert flow.shape == (9, SIZE, SIZE, 2)
    assert (rgb.dtype, flow.dtype) == (np.uint8, np.float32)
    assert rgb_numbers(rgb, column) == pytest.approx(np.arange(5, 14), abs=0.6)  # H.264
    assert flow[:, 7, 3, 0] == pytest.approx(np.arange(5, 14), abs=CODE)
    assert flow[4, 7, :, 1] == pytest.approx((np.arange(SIZE) + column) / 4, abs=CODE)


def test_mirrored_clip_negates_horizontal_flow(example, load_both):
    rgb, flow = load_both(example, view(first=2, left=1.0))
    rgb_mirrored, flow_mirrored = load_both(example, view(first=2, left=1.0, mirrored=True))
    assert (rgb_mirrored == rgb[:, :, ::-1]).all()
    assert (flow_mirrored[..., 0] == -flow[:, :, ::-1, 0]).all()
    assert (flow_mirrored[..., 1] == flow[:, :, ::-1, 1]).all()


def test_cut_shifts_both_streams(example, load_both):
    cut = VideoExample(example.path, 0, "a class", start=0.2, end=0.6)
    rgb, flow = load_both(cut, view(first=1))
    assert rgb_numbers(rgb, 8) == pytest.approx(np.arange(6, 15), abs=0.6)
    assert flow[:, 0, 0, 0] == pytest.approx(np.arange(6, 15), abs=CODE)


def test_view_past_the_end_is_looped(example, load_both):
    rgb, flow = load_both(example, view(first=12))  # of which four frames are there
    expected = [12, 13, 14, 15, 12, 13, 14, 15, 12]
    assert rgb_numbers(rgb, 8) == pytest.approx(expected, abs=0.6)
    assert flow[:, 0, 0, 0] == pytest.approx(expected, abs=CODE)


def test_cut_after_the_end_is_an_error_of_the_video(example, flow_store):
    late = VideoExample(example.path, 0, "a class", start=4.0, end=5.0)
    with pytest.raises(VideoError, match="it ends before frame 100"):
        load_flow(late, view(), PROTOCOL, flow_store)
    with pytest.raises(VideoError, match="it has no frame"):
        load_rgb(late, view(), PROTOCOL)


def test_jitter_changes_rgb_alone(example, load_both):
    rgb, flow = load_both(example, view())
    bright_rgb, bright_flow = load_both(example, view(jitter=(1.5, 1.0, 1.0)))
    assert bright_rgb.mean() == pytest.approx(1.5 * rgb.mean(), rel=0.01)
    assert (bright_flow == flow).all()


def test_load_rgb_decodes_only_frames_of_sparse_view(example, monkeypatch):
    requested = []

    def spy(path, rate, start, end, change):
        requested.append(round((end - start) * rate, 6))
        return read_clip(path, rate, start, end, change)

    read_clip = clips.read_clip
    monkeypatch.setattr(clips, "read_clip", spy)
    sparse = load_rgb(example, View(np.array([1, 4, 7, 10])), PROTOCOL)
    assert rgb_numbers(sparse, 8) == pytest.approx([1, 4, 7, 10], abs=0.6)
    assert load_rgb(example, View(np.array([6])), PROTOCOL).shape == (1, SIZE, SIZE, 3)
    assert requested == [pytest.approx(10 / 3, abs=1e-3), 1]


SNIPPETS = View(np.array([7, 8, 1, 2, 11, 12, 1, 2]))


def test_snippets_are_in_their_order_in_both_streams(example, load_both):
    rgb, flow = load_both(example, SNIPPETS)
    assert rgb_numbers(rgb, 8) == pytest.approx(SNIPPETS.indices, abs=0.6)
    assert flow[:, 0, 0, 0] == pytest.approx(SNIPPETS.indices, abs=CODE)


def test_frames_between_snippets_are_not_kept(example, monkeypatch):
    kept = []

    class Spy(clips.FrameBuffer):
        def append(self, frame, count=1):
            kept.append(count)
            super().append(frame, count)

    monkeypatch.setattr(clips, "FrameBuffer", Spy)
    load_rgb(example, SNIPPETS, PROTOCOL)
    assert sum(kept) == 6  # each once


def test_snippets_past_the_end_start_over(example, load_both):
    indices = np.array([12, 13, 15, 16, 20, 21])  # of the four frames from the first on
    rgb, flow = load_both(example, View(indices))
    assert rgb_numbers(rgb, 8) == pytest.approx([12, 13, 15, 12, 12, 13], abs=0.6)
    assert flow[:, 0, 0, 0] == pytest.approx([12, 13, 15, 12, 12, 13], abs=CODE)


def test_find_unreadable_gives_path_and_reason(example, tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").touch()
    bad = [VideoExample(str(tmp_path / name), 0, "a") for name in ("text.mp4", "empty.mp4")]
    reasons = find_unreadable([example, *bad], 25.0)
    assert list(reasons) == [each.path for each in bad]
    assert reasons[bad[0].path].startswith("it is not a video that FFmpeg can read")


def test_mirrored_fields_of_both_directions_negate_x(tmp_path, example):
    forward = np.full((FRAMES, SIZE, WIDTH, 2), (3, 2), np.float32)
    forward[:, :, WIDTH // 2 :, 0] = 6
    backward = np.full_like(forward, (-5, -1))
    both = {**flow_metadata(example.path, "dis", short_side=SIZE), "direction": "both"}
    protocol = dataclasses.replace(PROTOCOL, frames=4, flow_direction="both")
    store = FlowStore(tmp_path, protocol, engine="dis")
    write_flow_file(store.path(example.path), np.stack([forward, backward], 1), both)
    fields = {
        mirrored: load_flow(
            example,
            View(np.arange(4), CropPlace(mirrored=mirrored)).of_stream("flow", protocol),
            protocol,
            store,
        )
        for mirrored in (False, True)
    }
    np.testing.assert_allclose(fields[False][:2, :, 0, 0], 3, atol=CODE)
    np.testing.assert_allclose(fields[False][:2, :, -1, 0], 6, atol=CODE)
    np.testing.assert_allclose(fields[True][:2, :, 0, 0], -6, atol=CODE)
    np.testing.assert_allclose(fields[True][2:, :, :, 0], 5, atol=CODE)
    np.testing.assert_allclose(fields[True][2:, :, :, 1], -1, atol=CODE)
