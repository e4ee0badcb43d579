"""Maps of features along the axes; the parts that need scikit-learn are skipped without it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from i3d_tf.data.example import VideoExample
from i3d_tf.data.feature_file import VideoFeatures, write_features
from i3d_tf.explain.map_features import FeatureMap, MapOptions, map_features, map_page
from i3d_tf.metrics import svm

NAMES = ("x", "y")


@pytest.fixture
def options(tmp_path):
    """Two classes along two axes, of videos that cannot be shown."""
    for split, count in (("train", 4), ("test", 2)):
        for label, name in enumerate(NAMES):
            for number in range(count):
                video = tmp_path / "data" / split / name / f"{number}.mp4"
                video.parent.mkdir(parents=True, exist_ok=True)
                video.write_bytes(f"{split}{name}{number}".encode())
                path = tmp_path / "features" / split / name / f"{number}.npz"
                path.parent.mkdir(parents=True, exist_ok=True)
                rows = np.float32([np.eye(2)[label] + 0.1 * number] * 2)
                write_features(path, VideoFeatures(rows, np.zeros((2, 3)), {"stride": 8}))
    return MapOptions(
        features=str(tmp_path / "features"),
        data_dir=str(tmp_path / "data"),
        report_dir=str(tmp_path / "map"),
        neighbors=3,
    )


def test_map_features_writes_accuracies_and_places(options, tmp_path):
    pytest.importorskip("sklearn.manifold")
    found = map_features(options)
    assert found.lines() == [
        "linear SVM: 100.0 % of 4 test videos",
        "nearest neighbors: 100.0 % of 4 test videos",
    ]
    record = json.loads((tmp_path / "map" / "map.json").read_text("utf-8"))
    assert record["accuracy"]["linear SVM"]["by_class"] == [1.0, 1.0]
    assert [video["split"] for video in record["videos"]] == ["train"] * 8 + ["test"] * 4
    assert record["videos"][-1]["path"] == "test/y/1.mp4"
    assert record["videos"][-1]["predicted"] == {"linear SVM": "y", "nearest neighbors": "y"}
    assert record["features"] == {"channels": 2, "stride": 8}
    page = (tmp_path / "map" / "index.html").read_text("utf-8")
    assert page.count('class="point"') == 12
    map_features(options)
    assert json.loads((tmp_path / "map" / "map.json").read_text("utf-8")) == record


def test_page_shows_pictures_and_escapes_names():
    examples = tuple(VideoExample(f"/data/{n}.mp4", n % 2, f"<{n % 2}>") for n in range(4))
    scores = {"linear SVM": np.eye(2), "nearest neighbors": np.eye(2)[::-1]}
    metadata = {"dataset": "d", "splits": ["train", "test"], "neighbors": 3, "data_dir": "/data"}
    found = FeatureMap(("<0>", "<1>"), examples, 2, np.eye(4)[:, :2], scores, metadata)
    page = map_page(found, [("data:image/jpeg;base64,AA==", 90), None, None, None])
    assert "the class of 100.0 % of the 2 test videos is found (linear SVM)" in page
    assert page.count("<image") == 1
    assert "<0>" not in page


def test_map_features_without_scikit_learn_leaves_no_folder(options, tmp_path, monkeypatch):
    monkeypatch.setattr(svm.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="needs scikit-learn"):
        map_features(options)
    assert not (tmp_path / "map").exists()


@pytest.mark.parametrize(("name", "value"), [("neighbors", 0), ("perplexity", -1), ("seed", -1)])
def test_other_options_are_refused(options, name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        map_features(replace(options, **{name: value}))
