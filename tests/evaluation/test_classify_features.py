from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from i3d_tf.data.feature_file import VideoFeatures, write_features
from i3d_tf.evaluation import classify_features as classify_file
from i3d_tf.evaluation.classify_features import ClassifyOptions, classify_features


@pytest.fixture
def options(tmp_path):
    """Three classes along three axes, of lengths that the norm must take away; two rows a video."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 4), ("test", 2)):
        for label, name in enumerate("xyz"):
            for number in range(count):
                video = tmp_path / "data" / split / name / f"{number}.mp4"
                video.parent.mkdir(parents=True, exist_ok=True)
                video.write_bytes(f"{split}{name}{number}".encode())
                path = tmp_path / "features" / split / name / f"{number}.npz"
                path.parent.mkdir(parents=True, exist_ok=True)
                rows = np.eye(3)[[label] * 2] + generator.uniform(0, 0.6, (2, 3))
                rows = (rows * 10.0 ** generator.integers(-2, 3)).astype(np.float32)
                write_features(path, VideoFeatures(rows, np.zeros((2, 3)), {"stride": 8}))
    return ClassifyOptions(
        features=str(tmp_path / "features"),
        data_dir=str(tmp_path / "data"),
        report_dir=str(tmp_path / "report"),
    )


def read_means(options, split):
    rows, labels = [], []
    for label, name in enumerate("xyz"):
        for path in sorted(Path(options.features, split, name).glob("*.npz")):
            with np.load(path) as arrays:
                mean = arrays["features"].mean(axis=0)
            rows.append(mean / np.linalg.norm(mean))
            labels.append(label)
    return np.array(rows, np.float64), np.array(labels)


def test_report_has_the_scores_of_scikit_learn(options):
    sklearn_svm = pytest.importorskip("sklearn.svm")
    results = classify_features(options)
    machine = sklearn_svm.LinearSVC(max_iter=10_000, random_state=0)
    machine.fit(*read_means(options, "train"))
    rows, labels = read_means(options, "test")
    with np.load(f"{options.report_dir}/logits.npz") as arrays:
        np.testing.assert_allclose(
            arrays["features"], machine.decision_function(rows), rtol=1e-4, atol=1e-5
        )
    assert results.best.top_1 == machine.score(rows, labels) == 1.0
    assert results.protocol["features"] == {"channels": 3, "stride": 8}


def test_class_folders_without_splits_are_split_as_in_training(options, tmp_path):
    pytest.importorskip("sklearn.svm")
    data, features = tmp_path / "data" / "train", tmp_path / "features" / "train"
    results = classify_features(replace(options, data_dir=str(data), features=str(features)))
    assert len(results.predictions) == 3  # one of four in each class
    assert results.data["notes"] == ["chosen by seed 0, from every class"]


def test_classify_features_without_scikit_learn_leaves_no_folder(options, tmp_path, monkeypatch):
    def missing():
        raise ValueError("a linear SVM needs scikit-learn")

    monkeypatch.setattr(classify_file, "check_scikit_learn", missing)
    with pytest.raises(ValueError, match="a linear SVM needs scikit-learn"):
        classify_features(options)
    assert not (tmp_path / "report").exists()
