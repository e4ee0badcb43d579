"""Rows and times of each profile: as numbers, and as files that small networks write."""

from itertools import islice

import numpy as np
import pytest

import i3d_tf
from i3d_tf.features.extract_features import extract_feature_files
from i3d_tf.features.file_layout import settings_layout
from i3d_tf.features.options import num_windows, settings_options, timestamps
from i3d_tf.specs.feature_profiles import PROFILES, resolve_settings
from i3d_tf.video.decode import read_frames
from i3d_tf.video.encode import write_video

# Rows of a video of so many frames, as the makers of the public files count them.
ROWS = {
    "thumos14": lambda frames: max(0, (frames - 16) // 4 + 1),
    "activitynet": lambda frames: max(0, (frames - 16) // 16 + 1),
    "video_features": lambda frames: max(0, (frames - 65) // 64 + 1),
    "charades": lambda frames: -(-frames // 8) - 1 if frames >= 9 else 0,
    "ucf_crime": lambda frames: -(-frames // 16),
    "xd_violence": lambda frames: (frames - 1) // 16,
    "bsl1k": lambda frames: max(1, (frames - 16) // 8 + 1),  # a short one is padded
}
FRAMES = (1, 8, 9, 15, 16, 17, 19, 20, 64, 65, 128, 250, 5088)


def test_every_profile_has_a_formula():
    assert ROWS.keys() == PROFILES.keys()


@pytest.mark.parametrize("frames", FRAMES)
@pytest.mark.parametrize("profile", PROFILES)
def test_rows_of_profiles_are_those_of_their_makers(profile, frames):
    config = settings_options(*resolve_settings(profile, {})).config
    times = timestamps(config, frames)
    assert len(times) == ROWS[profile](frames)
    if config.window is not None:
        expected = np.arange(len(times))[:, np.newaxis] * config.stride
        np.testing.assert_array_equal(times, expected + np.array([[0, 0.5, 1]]) * config.window)


def test_rows_of_a_published_video():
    """Published for video_validation_0000051 of THUMOS14: 5088 frames, 1269 rows."""
    config = settings_options(*resolve_settings("thumos14", {})).config
    assert len(timestamps(config, 5088)) == 1269
    of_ucf_crime = settings_options(*resolve_settings("ucf_crime", {})).config
    assert num_windows(of_ucf_crime, 1601) == 101


def test_times_of_thumos14_are_those_of_actionformer_and_opentad():
    config = settings_options(*resolve_settings("thumos14", {})).config
    frame_rate = 30000 / 1001
    seconds = timestamps(config, 5088)[:, 1] / frame_rate
    rows = np.arange(1269)
    np.testing.assert_allclose(seconds * frame_rate / 4 - 0.5 * 16 / 4, rows, atol=1e-9)
    np.testing.assert_allclose((seconds * frame_rate - 8) / 4, rows, atol=1e-9)


FILES = (1, 8, 9, 15, 16, 17, 65)  # frames of videos
SHAPES = {
    "thumos14": (128,),
    "activitynet": (128,),
    "charades": (1, 1, 64),
}


@pytest.fixture(scope="module")
def videos(moving_video, tmp_path_factory):
    """A folder with a video of each number of frames, at 24 per second."""
    folder = tmp_path_factory.mktemp("videos")
    for frames in FILES:
        write_video(folder / f"{frames}.mp4", islice(read_frames(moving_video(250)), frames), 24)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES)
def test_files_have_the_rows_that_their_makers_count(profile, videos, small_dir, tmp_path):
    settings, use = resolve_settings(profile, {})
    if settings.frame_rate == "25":
        settings, use = resolve_settings(profile, {"frame_rate": "24"})
    options = settings_options(
        settings,
        use,
        rgb_checkpoint="small_rgb",
        flow_checkpoint="small_flow",
        checkpoint_dir=str(small_dir),
        flow_engine="dis",
    )
    layout = settings_layout(settings)
    report = extract_feature_files([videos], tmp_path, options, layout=layout)
    skipped = {frames for frames in FILES if ROWS[profile](frames) == 0}
    skipped = set() if settings.short == "empty" else skipped
    needed = options.config.min_frames
    assert {reason for _, reason in report.failed} == {
        f"it has {frames} frames at 24 per second; at least {needed} are needed, or --short=loop "
        "or --short=repeat"
        for frames in skipped
    }
    for frames in set(FILES) - skipped:
        first, *others = (tmp_path / name for name in layout.names(str(frames)))
        found = i3d_tf.read_features(first)
        shape = (ROWS[profile](frames), *SHAPES.get(profile, (64,)))
        assert found.features.shape == shape
        assert len(found.times) == shape[0]
        assert all(np.load(other).shape == shape for other in others if "_rgb" not in first.name)
    assert extract_feature_files([videos], tmp_path, options, layout=layout).extracted == 0
