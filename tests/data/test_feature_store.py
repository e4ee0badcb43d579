import json

import numpy as np
import pytest

from i3d_tf.data.example import VideoExample
from i3d_tf.data.feature_file import VideoFeatures, write_features
from i3d_tf.data.feature_store import FeatureStore, find_features, mean_rows
from i3d_tf.system.jobs import source_metadata


@pytest.fixture
def videos(tmp_path):
    """Three videos in two folders; nothing reads them."""
    paths = [tmp_path / "data" / name for name in ("in/a.mp4", "in/b.mp4", "out/a.mp4")]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([number]) * (number + 1))
    return [str(path) for path in paths]


@pytest.fixture
def store_rows(tmp_path):
    """Function: (name of a feature file, rows, changes of the metadata) -> its path, written."""

    def write(name, rows, **metadata):
        path = tmp_path / "features" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = np.asarray(rows, np.float32)
        times = np.zeros((len(rows), 3))
        write_features(path, VideoFeatures(rows, times, {"stream": "rgb", "stride": 8} | metadata))
        return path

    return write


@pytest.fixture
def stored(store_rows, tmp_path):
    """The feature files of `videos`: one, two and three rows, in three formats."""
    store_rows("in/a.npy", [[1, 2]])
    store_rows("in/b.npz", [[1, 2], [3, 4]])
    store_rows("out/a.h5", [[[[0, 0]]], [[[3, 3]]], [[[6, 0]]]])  # axes that were kept
    return tmp_path / "features"


def test_store_reads_rows_by_video(videos, stored, tmp_path):
    store = FeatureStore(stored, examples(videos), tmp_path / "data")
    assert (store.channels, store.settings) == (2, {"stream": "rgb", "stride": 8})
    assert [store.count_rows(video) for video in videos] == [1, 2, 3]
    assert store.read(videos[2]).tolist() == [[0, 0], [3, 3], [6, 0]]
    assert mean_rows(store, videos).tolist() == [[1, 2], [2, 3], [3, 1]]


def test_find_features_in_a_folder_that_was_extracted_alone(videos, store_rows, tmp_path):
    path = store_rows("b.npy", [[1]])  # extract_features data/in
    assert find_features(videos[1], tmp_path / "features", tmp_path / "data") == path
    assert find_features(videos[0], tmp_path / "features", tmp_path / "data") is None


def test_find_features_of_videos_that_differ_in_their_endings(videos, store_rows, tmp_path):
    own, other = store_rows("in/a.mp4.npy", [[1]]), store_rows("in/a.npy", [[1]])
    folders = tmp_path / "features", tmp_path / "data"
    assert find_features(videos[0], *folders) == own
    assert find_features(videos[0].replace(".mp4", ".avi"), *folders) == other


def examples(videos, **cut):
    return [VideoExample(video, 0, "class", **cut) for video in videos]


def refuses(videos, tmp_path, message, error=ValueError):
    with pytest.raises(error, match=message) as raised:
        FeatureStore(tmp_path / "features", examples(videos), tmp_path / "data")
    assert "\n" not in str(raised.value)


def test_store_refuses_a_video_without_features(videos, stored, tmp_path):
    (stored / "in/b.npz").unlink()
    message = (
        r"1 of 3 videos have no feature file, such as .*in/b.mp4, whose would be in/b.npy below it"
    )
    refuses(videos, tmp_path, message, FileNotFoundError)


def test_store_refuses_other_channels(videos, stored, store_rows, tmp_path):
    store_rows("in/b.npz", [[1, 2, 3]])
    message = r"made differently, such as .*in/a.npy and .*in/b.npz: 2 channels, not 3"
    refuses(videos, tmp_path, message)


def test_store_refuses_features_of_another_profile(videos, stored, store_rows, tmp_path):
    store_rows("out/a.h5", [[1, 2]], stride=16)
    message = r"made differently, such as .*in/a.npy and .*out/a.h5: stride 8, not 16"
    refuses(videos, tmp_path, message)


def test_store_refuses_the_features_of_another_video(videos, stored, store_rows, tmp_path):
    store_rows("in/b.npz", [[1, 2]], source=source_metadata(videos[2]))
    refuses(videos, tmp_path, r"in/b.npz: it has the features of another video than .*in/b.mp4")


def test_source_and_flow_file_of_a_video_are_no_difference(videos, stored, store_rows, tmp_path):
    for video, name in zip(videos, ("in/a.npy", "in/b.npz", "out/a.h5"), strict=True):
        source = source_metadata(video)
        flow = {"flow": {"engine": "dis", "source": {"name": name}}}
        store_rows(name, [[1, 2]], source=source, preprocessing=flow)
    settings = FeatureStore(tmp_path / "features", examples(videos), tmp_path / "data").settings
    assert settings["preprocessing"] == {"flow": {"engine": "dis"}}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((0, 2)), r"in/b.npz: it has no rows. Extract its features with --short"),
        (np.zeros((3, 7, 2)), r"in/b.npz: its features are \(3, 7, 2\), not a row of numbers"),
    ],
)
def test_store_refuses_what_is_no_row(videos, stored, store_rows, tmp_path, rows, message):
    store_rows("in/b.npz", rows)
    refuses(videos, tmp_path, message)


def test_store_refuses_a_damaged_file(videos, stored, tmp_path):
    side = stored / "in/a.npy.json"
    side.write_text(json.dumps(json.loads(side.read_text()) | {"sha256": "0"}))
    refuses(videos, tmp_path, "in/a.npy: not a whole feature file: a.npy.json belongs to another")


def test_store_refuses_cuts(videos, stored, tmp_path):
    with pytest.raises(ValueError, match=r"in/a.mp4: the dataset has a cut of it"):
        FeatureStore(stored, examples(videos, start=1.0), tmp_path / "data")


def test_store_refuses_a_folder_that_is_not_there(videos, tmp_path):
    refuses(videos, tmp_path, "`features` .*: there is no such folder", FileNotFoundError)


def test_check_settings_names_the_network(videos, stored, tmp_path):
    store = FeatureStore(stored, examples(videos), tmp_path / "data")
    store.check_settings({"stream": "rgb", "stride": 8}, "runs/lstm")
    with pytest.raises(ValueError, match="others than runs/lstm was trained on: stride 8, not 4"):
        store.check_settings({"stream": "rgb", "stride": 4}, "runs/lstm")
