import numpy as np
import pytest

from i3d_tf.features.options import FeatureConfig, num_windows, timestamps
from i3d_tf.features.windows import (
    SHARED_BATCHES,
    average_steps,
    batched,
    compute_in_batches,
    extended,
    sliding_windows,
)


@pytest.mark.parametrize(
    ("window", "stride", "starts"), [(4, 4, [0, 4]), (4, 1, range(8)), (4, 6, [0, 6]), (9, 3, [0])]
)
def test_sliding_windows_of_a_ramp_start_where_timestamps_say(window, stride, starts):
    frames = iter(np.arange(11))
    config = FeatureConfig("Mixed_5c", "space", window, stride)
    windows = [part.frames.tolist() for part in sliding_windows(frames, config)]
    assert windows == [list(range(start, start + window)) for start in starts]
    assert next(frames, None) is None
    np.testing.assert_array_equal(timestamps(config, 11)[:, 0], list(starts))


@pytest.mark.parametrize("settings", [{}, {"lookahead": 1}, {"tail": "repeat"}, {"tail": "pad"}])
@pytest.mark.parametrize("short", ["skip", "loop", "repeat", "pad", "empty"])
@pytest.mark.parametrize("stride", [1, 3, 4, 6])
def test_sliding_windows_are_as_many_as_num_windows(settings, short, stride):
    config = FeatureConfig("Mixed_5c", "head", 4, stride, short=short, **settings)
    for frames in range(1, 30):
        windows = list(sliding_windows(np.arange(frames), config))
        assert len(windows) == num_windows(config, frames), frames
        assert all(len(window.frames) == 4 for window in windows)


def windows_of(num_frames, **settings):
    config = FeatureConfig("Mixed_5c", "head", 4, 4, **settings)
    return [
        (w.frames.tolist(), w.num_valid) for w in sliding_windows(np.arange(num_frames), config)
    ]


def test_sliding_windows_fill_the_tail():
    assert windows_of(6) == [([0, 1, 2, 3], 4)]
    assert windows_of(6, tail="repeat") == [([0, 1, 2, 3], 4), ([4, 5, 5, 5], 4)]
    assert windows_of(6, tail="pad") == [([0, 1, 2, 3], 4), ([4, 5, 5, 5], 2)]
    assert windows_of(8, tail="repeat")[1:] == [([4, 5, 6, 7], 4)]


def test_sliding_windows_fill_a_short_video():
    assert windows_of(3) == windows_of(3, short="empty") == []
    assert windows_of(3, short="loop") == [([0, 1, 2, 0], 4)]
    assert windows_of(3, short="repeat") == [([0, 1, 2, 2], 4)]
    assert windows_of(3, short="pad") == [([0, 1, 2, 2], 3)]
    assert windows_of(4, short="loop", lookahead=1) == [([0, 1, 2, 3], 4)]


def test_extended_adds_frames_that_are_missing():
    assert list(extended(range(3), 8, "loop")) == [0, 1, 2, 0, 1, 2, 0, 1]
    assert list(extended(range(3), 5, "repeat")) == [0, 1, 2, 2, 2]
    assert list(extended(range(7), 5, "loop")) == list(range(7))


def test_average_steps_of_a_ramp():
    steps = np.arange(5, dtype=np.float32)[:, np.newaxis]
    assert np.concatenate(list(average_steps(steps, 2))).tolist() == [0.5, 2.5, 4.0]
    assert np.concatenate(list(average_steps(steps, None))).tolist() == [2.0]
    assert np.stack(list(average_steps(steps, 1))).tolist() == steps.tolist()
    assert next(average_steps(steps, 2)).dtype == np.float32
    assert list(average_steps([], None)) == []


def test_batched_leaves_a_shorter_last_batch():
    assert list(batched(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(batched([], 2)) == []


def letters(video):
    """The windows of a "video": capitals are those of its second stream."""
    return [("flow" if letter.isupper() else "rgb", letter) for letter in video]


def batches_and_order(videos, batch_size, windows_of=letters):
    """Batches as "stream: letters" and videos as "-> video", in the order in which they come."""
    events = []

    def compute(stream, batch):
        events.append(f"{stream}: {''.join(window for _, window in batch)}")
        assert all(window in video for video, window in batch)

    for video in compute_in_batches(videos, windows_of, compute, batch_size):
        events.append(f"-> {video}")
    return events


def test_compute_in_batches_fills_batches_with_short_videos():
    assert batches_and_order(["ab", "cd", "", "e"], 3) == [
        *("rgb: abc", "-> ab", "rgb: de", "-> cd", "-> ", "-> e"),
    ]
    assert batches_and_order(["", "a", ""], 2) == ["rgb: a", "-> ", "-> a", "-> "]
    assert batches_and_order([], 2) == []


def test_compute_in_batches_gives_each_stream_its_own_batches():
    assert batches_and_order(["abA", "cBC", "D"], 2) == [
        *("rgb: ab", "flow: AB", "-> abA", "flow: CD", "rgb: c", "-> cBC", "-> D"),
    ]


def test_compute_in_batches_ends_a_long_video_before_the_next():
    long = "ab" * SHARED_BATCHES + "c"
    events = batches_and_order([long, "dD"], 2)
    assert events[-4:] == [f"-> {long}", "rgb: d", "flow: D", "-> dD"]
    assert events[-5] == "rgb: c"


def test_compute_in_batches_reads_little_ahead():
    read, computed = [], []

    def windows_of(video):
        read.append(video)
        yield "rgb", video

    videos = compute_in_batches(range(40), windows_of, lambda *_: computed.append(len(read)), 2)
    assert list(videos) == list(range(40))
    # One batch waits, and one more is being filled.
    assert all(count <= 2 * (k + 3) for k, count in enumerate(computed))


def test_compute_in_batches_raises_errors_of_reading():
    def windows_of(video):
        yield from letters(video)
        raise OSError("no such disk")

    with pytest.raises(OSError, match="no such disk"):
        batches_and_order(["ab"], 2, windows_of)
