"""Four short videos and the lossless records that are made of them."""

import numpy as np
import pytest

from i3d_tf.data.readers import read_dataset
from i3d_tf.records.make_records import make_records
from i3d_tf.records.record_format import RecordFormat
from i3d_tf.video.encode import write_video

FRAMES = 30


@pytest.fixture(autouse=True)
def reports_add_up(adds_up):
    """Every report made in these tests accounts for every row exactly once."""


@pytest.fixture(scope="session")
def texture_dir(tmp_path_factory):
    """Two classes of two videos of coloured waves, which move right or left."""
    folder = tmp_path_factory.mktemp("vidéo texture")
    generator = np.random.default_rng(0)
    down, along = np.mgrid[:48, :80]
    for label, step in (("left", -1), ("right", 1)):
        (folder / label).mkdir()
        for number in range(2):
            picture = np.full((48, 80, 3), 127.5)
            for waves in range(1, 5):  # in a row, which ends as it starts
                phases = 2 * np.pi * waves * along[..., np.newaxis] / 80
                tilt = 0.2 * generator.uniform(-1, 1, 3) * down[..., np.newaxis]
                picture += 30 * np.sin(phases + tilt + generator.uniform(0, 6, 3))
            picture = np.clip(picture, 0, 255).astype(np.uint8)
            frames = (np.roll(picture, step * index, axis=1) for index in range(FRAMES))
            write_video(folder / label / f"{number} ü.mp4", frames)
    return folder


@pytest.fixture(scope="session")
def texture_set(texture_dir):
    """The dataset of these videos."""
    return read_dataset("class_folders", texture_dir)


@pytest.fixture(scope="session")
def texture_records(texture_set, tmp_path_factory):
    """A folder with two shards of their frames as PNG, 36 pixels high."""
    folder = tmp_path_factory.mktemp("records")
    form = RecordFormat("png", short_side=36)
    report = make_records(texture_set, folder, "all", 2, form, processes=1)
    assert (report.records, report.left_out, report.failed) == (4, (), ())
    return folder
