import numpy as np
import pytest

from i3d_tf.data.intervals import interval_targets, read_intervals
from i3d_tf.data.readers import read_dataset
from i3d_tf.experiments.make_stick_actions import make_stick_actions
from i3d_tf.experiments.make_stick_intervals import make_stick_intervals
from i3d_tf.specs.stick_actions import STICK_LABELS
from i3d_tf.synthetic.long_video import long_schedule

SMALL = {"train_videos": 0, "test_videos": 1, "size": 64, "seed": 3, "processes": 1}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("intervals")
    report = make_stick_intervals(folder, **SMALL)
    assert (report.rendered, report.kept) == (1, 0)
    return folder


def test_the_videos_and_their_intervals_are_read(dataset):
    found = read_dataset("intervals", dataset, "test", classes=STICK_LABELS)
    assert (found.report.missing, found.report.skipped) == ((), ())
    (example,) = found.examples
    assert example.path.endswith("videos/test_0000.mp4")


def test_intervals_hold_exactly_the_frames_of_their_actions(dataset):
    schedule = long_schedule((3, 1, 100, 0))
    (video,) = read_intervals(dataset / "intervals.csv", STICK_LABELS).videos
    assert video.duration == schedule.num_frames / 25
    expected = np.zeros((schedule.num_frames, 12), bool)
    for span in schedule.spans:
        expected[span.start : span.end, STICK_LABELS.index(span.action)] = True
    times = np.arange(schedule.num_frames) / 25
    np.testing.assert_array_equal(interval_targets(video.intervals, times, 12), expected)


def test_videos_that_are_there_are_kept(dataset):
    before = (dataset / "videos/test_0000.mp4").stat().st_mtime_ns
    report = make_stick_intervals(dataset, **SMALL)
    assert (report.rendered, report.kept) == (0, 1)
    assert (dataset / "videos/test_0000.mp4").stat().st_mtime_ns == before


def test_a_folder_of_clips_is_left_alone(dataset):
    with pytest.raises(ValueError, match=r"has videos or splits but no stick_actions\.json"):
        make_stick_actions(dataset, 1, 1, 64)
