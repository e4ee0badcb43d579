import numpy as np
import pytest

from i3d_tf.data.ava import read_label_map, read_persons
from i3d_tf.experiments.make_stick_scenes import make_stick_scenes
from i3d_tf.specs.stick_actions import STICK_LABELS
from i3d_tf.synthetic.crowd import build_crowd, key_frames
from i3d_tf.video.probe import probe

SMALL = {"train_videos": 1, "test_videos": 1, "size": 64, "seed": 3, "processes": 1}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    report = make_stick_scenes(folder, **SMALL)
    assert (report.rendered, report.kept) == (2, 0)
    return folder


def test_files_are_in_avas_form(dataset):
    assert read_label_map(dataset / "actions.pbtxt") == dict(enumerate(STICK_LABELS, 1))
    for number, split in enumerate(("train", "test")):
        crowd = build_crowd((3, number, 200, 0), 64)
        content = read_persons(dataset / f"{split}.csv", range(1, 13))
        assert content.skipped == ()
        expected = [
            (f"{split}_0000", frame / 25, names[k], person)
            for k, frame in enumerate(key_frames())
            for person, names in enumerate(crowd.actions)
        ]
        found = [
            (row.frame.video, row.frame.timestamp, STICK_LABELS[row.action - 1], row.last)
            for row in content.rows
        ]
        assert found == expected
        boxes = np.concatenate([crowd.boxes(frame) for frame in key_frames()])
        np.testing.assert_allclose([row.box for row in content.rows], boxes, atol=5e-5)


def test_videos_have_all_frames_and_are_kept(dataset):
    video = dataset / "videos/test_0000.mp4"
    assert probe(video).duration == pytest.approx(192 / 25)
    before = video.stat().st_mtime_ns
    assert make_stick_scenes(dataset, **SMALL).kept == 2
    assert video.stat().st_mtime_ns == before
