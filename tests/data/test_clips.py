"""Videos and flow files whose every pixel says which frame and which column it is."""

import dataclasses
import threading

import numpy as np
import pytest

from i3d_tf.data import clips
from i3d_tf.data.clips import ClipFormat, count_frames, load_flow, load_rgb, open_flow
from i3d_tf.data.example import VideoExample
from i3d_tf.data.views import View
from i3d_tf.flow.flow_file import write_flow_file
from i3d_tf.flow.metadata import flow_metadata
from i3d_tf.video.encode import write_video
from i3d_tf.video.errors import VideoError

FRAMES, WIDTH, SIZE = 16, 48, 32
BRIGHTER = 4  # grey levels from frame to frame; from column to column it is 1
CODE = 0.08  # pixels: half a step of the 8-bit codes


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "a class"
    folder.mkdir()
    levels = np.arange(FRAMES)[:, None] * BRIGHTER + np.arange(WIDTH) + 20
    frames = np.broadcast_to(levels[:, None, :, None], (FRAMES, SIZE, WIDTH, 3))
    write_video(folder / "ramp.mp4", frames.astype(np.uint8))
    return VideoExample(str(folder / "ramp.mp4"), 0, "a class")


@pytest.fixture
def form(example, tmp_path):
    data_dir = example.path.removesuffix("/a class/ramp.mp4")
    return ClipFormat(25.0, SIZE, SIZE, data_dir, str(tmp_path / "flow"), "dis")


@pytest.fixture
def numbered(monkeypatch):
    """Flow of x = number of the frame and y = column / 4; returns the calls that made it."""
    calls = []

    def write(source, path, engine, frame_rate, short_side):
        calls.append(path)
        flow = np.empty((FRAMES, SIZE, WIDTH, 2), np.float32)
        flow[..., 0] = np.arange(FRAMES)[:, None, None]
        flow[..., 1] = np.arange(WIDTH) / 4
        write_flow_file(path, flow, flow_metadata(source, engine, None, frame_rate, short_side))

    monkeypatch.setattr(clips, "write_video_flow", write)
    return calls


def view(first=0, frames=9, **arguments):
    return View(np.arange(first, first + frames), **arguments)


def rgb_numbers(clip, left):
    """The frame numbers that the first column of a crop spells."""
    return (clip[:, 5, 0, 1].astype(float) - 20 - left) / BRIGHTER


def test_frames_are_counted_from_the_header_and_the_cut(example):
    assert count_frames(example, 25.0) == FRAMES
    assert count_frames(example, 12.5) == FRAMES / 2
    cut = VideoExample(example.path, 0, "a class", start=0.2, end=0.4)
    assert count_frames(cut, 25.0) == 5


@pytest.mark.parametrize(("left", "column"), [(0.0, 0), (0.5, 8), (1.0, 16)])
def test_both_streams_show_the_same_frames_and_the_same_crop(example, form, numbered, left, column):
    chosen = view(first=5, left=left)
    rgb, flow = load_rgb(example, chosen, form), load_flow(example, chosen, form)
    assert rgb.shape == (9, SIZE, SIZE, 3)
    assert flow.shape == (9, SIZE, SIZE, 2)
    assert (rgb.dtype, flow.dtype) == (np.uint8, np.float32)
    assert rgb_numbers(rgb, column) == pytest.approx(np.arange(5, 14), abs=0.6)  # H.264
    assert flow[:, 7, 3, 0] == pytest.approx(np.arange(5, 14), abs=CODE)
    assert flow[4, 7, :, 1] == pytest.approx((np.arange(SIZE) + column) / 4, abs=CODE)


def test_a_mirrored_clip_negates_horizontal_flow(example, form, numbered):
    straight, mirrored = view(first=2, left=1.0), view(first=2, left=1.0, mirrored=True)
    rgb, flow = (load(example, straight, form) for load in (load_rgb, load_flow))
    rgb_mirrored, flow_mirrored = (load(example, mirrored, form) for load in (load_rgb, load_flow))
    assert (rgb_mirrored == rgb[:, :, ::-1]).all()
    assert (flow_mirrored[..., 0] == -flow[:, :, ::-1, 0]).all()
    assert (flow_mirrored[..., 1] == flow[:, :, ::-1, 1]).all()


def test_a_cut_moves_both_streams(example, form, numbered):
    cut = VideoExample(example.path, 0, "a class", start=0.2, end=0.6)
    chosen = view(first=1)
    rgb, flow = load_rgb(cut, chosen, form), load_flow(cut, chosen, form)
    assert rgb_numbers(rgb, 8) == pytest.approx(np.arange(6, 15), abs=0.6)
    assert flow[:, 0, 0, 0] == pytest.approx(np.arange(6, 15), abs=CODE)


def test_what_lies_beyond_the_end_is_looped(example, form, numbered):
    chosen = view(first=12)  # of which four frames are there
    rgb, flow = load_rgb(example, chosen, form), load_flow(example, chosen, form)
    expected = [12, 13, 14, 15, 12, 13, 14, 15, 12]
    assert rgb_numbers(rgb, 8) == pytest.approx(expected, abs=0.6)
    assert flow[:, 0, 0, 0] == pytest.approx(expected, abs=CODE)


def test_a_view_beyond_the_end_is_the_videos_fault(example, form, numbered):
    late = VideoExample(example.path, 0, "a class", start=4.0, end=5.0)
    with pytest.raises(VideoError, match="it ends before frame 100"):
        load_flow(late, view(), form)
    with pytest.raises(VideoError, match="it has no frame"):
        load_rgb(late, view(), form)


def test_flow_is_made_once_where_its_class_folder_says(example, form, numbered, tmp_path):
    for _ in range(2):
        load_flow(example, view(), form)
    assert numbered == [tmp_path / "flow" / "a class" / "ramp.flow.zip"]


def test_of_many_that_want_it_at_once_one_makes_it(example, form, numbered):
    barrier, found = threading.Barrier(4), []

    def load():
        barrier.wait()
        found.append(load_flow(example, view(), form))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(numbered) == 1
    assert all((flow == found[0]).all() for flow in found)
    assert len(found) == 4


def test_flow_is_computed_where_there_is_none(tmp_path):
    generator = np.random.default_rng(0)
    coarse = generator.integers(40, 215, (8, 16)).astype(np.uint8)
    texture = np.kron(coarse, np.ones((8, 8), np.uint8))  # 64 x 128
    frames = [np.roll(texture, 2 * time, axis=1)[:, 32:96, None].repeat(3, 2) for time in range(10)]
    write_video(tmp_path / "right.mp4", frames)
    right = VideoExample(str(tmp_path / "right.mp4"), 0, "right")
    form = ClipFormat(25.0, 64, 64, str(tmp_path), str(tmp_path / "flow"), "dis")
    flow = load_flow(right, view(), form)
    # 2 pixels a frame to the right, away from the edges; a method's error is no matter here.
    assert np.median(flow[:, 16:48, 16:48, 0]) == pytest.approx(2, abs=0.3)
    assert np.median(flow[:, 16:48, 16:48, 1]) == pytest.approx(0, abs=0.3)
    mirrored = load_flow(right, view(mirrored=True), form)
    assert np.median(mirrored[:, 16:48, 16:48, 0]) == pytest.approx(-2, abs=0.3)
    assert load_rgb(right, view(), form).shape == (9, 64, 64, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frame_rate": 12.5}, "at 25 frames per second and short side 32, not by DIS at 12.5 and"),
        ({"short_side": 36}, "not by DIS at 25 and 36; name another folder for the flow"),
        ({"flow_engine": "opencv"}, "made by DIS at .*, not by TV-L1 at 25 and 32"),
    ],
)
def test_flow_made_otherwise_is_refused(example, form, numbered, changes, message):
    open_flow(example, form)
    with pytest.raises(VideoError, match=message):
        open_flow(example, dataclasses.replace(form, **changes))


def test_flow_needs_a_place(example):
    with pytest.raises(ValueError, match="`flow_dir` must be given for flow; received None"):
        load_flow(example, view(), ClipFormat(25.0, SIZE, SIZE))


def test_colours_change_in_rgb_alone(example, form, numbered):
    plain, bright = view(), view(jitter=(1.5, 1.0, 1.0))
    assert load_rgb(example, bright, form).mean() == pytest.approx(
        1.5 * load_rgb(example, plain, form).mean(), rel=0.01
    )
    assert (load_flow(example, bright, form) == load_flow(example, plain, form)).all()


def test_a_sparse_view_decodes_only_its_frames(example, form, monkeypatch):
    asked = []

    def spy(path, rate, start, end, change):
        asked.append(round((end - start) * rate, 6))
        return read_clip(path, rate, start, end, change)

    read_clip = clips.read_clip
    monkeypatch.setattr(clips, "read_clip", spy)
    sparse = load_rgb(example, View(np.array([1, 4, 7, 10])), form)
    assert rgb_numbers(sparse, 8) == pytest.approx([1, 4, 7, 10], abs=0.6)
    assert load_rgb(example, View(np.array([6])), form).shape == (1, SIZE, SIZE, 3)
    assert asked == [pytest.approx(10 / 3, abs=1e-3), 1]
