import math

import cv2
import numpy as np
import pytest

from i3d_tf.features.fvd_protocol import clip_config
from i3d_tf.features.fvd_reader import ClipReader, cut_clips, find_num_frames
from i3d_tf.features.npy_clips import ArrayLayout

FRAMES = 30


def levels(clips):
    """The grey level of each frame of each clip, from [-1, 1]."""
    return [np.rint((clip.mean((1, 2, 3)) + 1) * 127.5).astype(int).tolist() for clip in clips]


@pytest.fixture
def ramp(tmp_path):
    """Function: number of clips -> a file of them; frame t of clip k has the level 100 k + t."""

    def write(count=1, frames=FRAMES):
        values = 100 * np.arange(count)[:, None] + np.arange(frames)
        clips = np.broadcast_to(values[..., None, None, None], (*values.shape, 32, 32, 3))
        np.save(tmp_path / "ramp.npy", clips.astype(np.uint8))
        return str(tmp_path / "ramp.npy")

    return write


def read(paths, failures=None, seed=0, **config):
    config = clip_config("original", **{"frames": 9, "size": 32, **config})
    reader = ClipReader(paths, config, {} if failures is None else failures, seed)
    return list(reader), reader


def test_first_clips_begin_at_the_first_frame(ramp):
    clips, reader = read([ramp(2)], frame_step=3)
    assert levels(clips) == [list(range(0, 27, 3)), list(range(100, 127, 3))]
    assert reader.total == 2


def test_sliding_clips_follow_each_other(ramp):
    clips, reader = read([ramp(2)], clips="sliding")
    assert [row[0] for row in levels(clips)] == [0, 9, 18, 100, 109, 118]
    assert all(row == list(range(row[0], row[0] + 9)) for row in levels(clips))
    assert reader.total == 6
    clips, _ = read([ramp(1)], clips="sliding", clips_per_video=2)
    assert [row[0] for row in levels(clips)] == [0, 9]


def test_random_clips_are_determined_by_seed_and_place(ramp):
    path = ramp(2)
    settings = {"clips": "random", "clips_per_video": 5, "frame_step": 2}
    first = levels(read([path], **settings)[0])
    assert first == levels(read([path], **settings)[0])
    assert first != levels(read([path], **settings, seed=1)[0])
    starts = [row[0] for row in first]
    assert starts[:5] == sorted(starts[:5])
    assert starts[:5] != [start - 100 for start in starts[5:]]  # another place in the file
    assert all(0 <= start % 100 <= FRAMES - 17 for start in starts)
    assert all(row == list(range(row[0], row[0] + 17, 2)) for row in first)


def test_random_clips_reach_both_ends(ramp):
    clips, _ = read([ramp(1, frames=11)], clips="random", clips_per_video=40)
    assert {row[0] for row in levels(clips)} == {0, 1, 2}


def test_random_clips_of_videos_do_not_depend_on_threads(write_grey_video, tmp_path, monkeypatch):
    paths = [str(write_grey_video(tmp_path / f"{k}.mp4", range(0, 200, 8))) for k in range(4)]
    many = np.stack(read(paths, clips="random")[0])
    monkeypatch.setattr("i3d_tf.features.fvd_reader.processor_count", lambda: 1)
    np.testing.assert_array_equal(np.stack(read(paths, clips="random")[0]), many)
    failing = [str(tmp_path / "none.mp4"), *paths[1:]]
    np.testing.assert_array_equal(np.stack(read(failing, clips="random")[0]), many[1:])


def test_too_short_videos_are_left_out(ramp, write_grey_video, tmp_path):
    short = str(write_grey_video(tmp_path / "a.mp4", range(0, 120, 10)))
    for clips in ("first", "random", "sliding"):
        failures = {}
        found, reader = read([short, ramp(1)], failures, clips=clips, frame_step=2)
        assert failures == {short: "it has 12 frames; 17 are needed"}
        assert len(found) == reader.total == 1


def test_clips_that_are_too_large_are_refused(ramp, monkeypatch):
    monkeypatch.setattr("i3d_tf.features.fvd_reader.MAX_BYTES", 9 * 32 * 32 * 12 - 1)
    failures, path = {}, ramp(1)
    assert read([path], failures)[0] == []
    assert failures[path].startswith("a clip of 9 frames of 32 x 32 exceeds")


def test_cut_clips_takes_no_more_frames_than_it_needs():
    frames = iter(np.zeros((30, 1, 1, 3), np.uint8))
    config = clip_config("original", frames=9)
    clips = list(cut_clips("a", frames, iter([0, 4]), config, lambda frame: frame))
    assert [clip.shape for clip in clips] == [(9, 1, 1, 3)] * 2
    assert len(list(frames)) == 30 - 13


def test_find_num_frames_is_that_of_the_first_readable_video(ramp, tmp_path, write_grey_video):
    config = clip_config("original")
    short = str(write_grey_video(tmp_path / "a.mp4", range(0, 80, 10)))
    video = str(write_grey_video(tmp_path / "b.mp4", range(0, 150, 10)))
    array = ramp(1)
    assert find_num_frames([str(tmp_path / "none.mp4"), short, video, array], config) == 15
    assert find_num_frames([array, video], config) == FRAMES
    assert find_num_frames([short], config) is None
    with pytest.raises(ValueError, match=r"it has 513 frames, and original takes all of them\. Gi"):
        find_num_frames([ramp(1, frames=513)], config)


@pytest.mark.parametrize(("shape", "kept"), [((32, 45), (6, 38)), ((45, 32), (6, 38))])
def test_short_side_keeps_the_center(tmp_path, shape, kept):
    # A ramp along the long side; its size is not changed, so that the crop alone is seen.
    ramp = np.broadcast_to(np.arange(45)[:, None, None], (45, 32, 3)).astype(np.uint8)
    frame = ramp if shape[0] == 45 else ramp.swapaxes(0, 1)
    np.save(tmp_path / "a.npy", np.broadcast_to(frame, (1, 10, *frame.shape)))
    config = clip_config("videogpt", frames=10, size=32)
    (clip,) = ClipReader([str(tmp_path / "a.npy")], config, {})
    expected = 2 * np.arange(*kept) / 255 - 1
    line = clip[0, :, 0, 0] if shape[0] == 45 else clip[0, 0, :, 0]
    np.testing.assert_allclose(line, expected, atol=1e-6)
    assert math.isclose(clip.std((0, 3)).max(), 0, abs_tol=1e-6)


def test_all_forms_of_a_clip_give_the_same_frames(tmp_path):
    clip = np.random.default_rng(0).integers(0, 256, (9, 40, 50, 3), np.uint8)
    (tmp_path / "frames/one").mkdir(parents=True)
    for number, frame in enumerate(clip):
        cv2.imwrite(str(tmp_path / f"frames/one/{number + 1}.png"), frame[..., ::-1])
    np.save(tmp_path / "a.npy", clip[None])
    np.save(tmp_path / "b.npy", np.moveaxis(clip / np.float32(255), -1, 0)[None])
    config = clip_config("original").with_all_frames(9)
    layout = ArrayLayout("NCTHW", "0..1")
    paths = [str(tmp_path / name) for name in ("a.npy", "frames/one")]
    first, second = ClipReader(paths, config, {})
    (third,) = ClipReader([str(tmp_path / "b.npy")], config, {}, layout=layout)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, third, atol=1e-6)
    assert find_num_frames([paths[1]], clip_config("original")) == 9
    assert find_num_frames([str(tmp_path / "b.npy")], clip_config("original"), layout) == 9


def test_frame_folders_are_resampled_from_25_frames_per_second(tmp_path):
    (tmp_path / "one").mkdir()
    for number in range(9):
        cv2.imwrite(str(tmp_path / f"one/{number}.png"), np.full((32, 32, 3), number, np.uint8))
    path = str(tmp_path / "one")
    assert levels(read([path])[0]) == [list(range(9))]
    assert levels(read([path], frame_rate=50.0)[0]) == [[0, 0, 1, 1, 2, 2, 3, 3, 4]]
