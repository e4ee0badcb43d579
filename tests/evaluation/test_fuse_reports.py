"""Six clips of three classes, whose fusions can be computed by hand."""

import csv

import numpy as np
import pytest

from i3d_tf.evaluation.fuse_reports import fuse_reports
from i3d_tf.evaluation.report import write_report
from i3d_tf.evaluation.report_logits import read_report_logits
from i3d_tf.evaluation.results import read_results
from i3d_tf.metrics.ranking import softmax

NAMES = ("run", "jump", "sit")
# Labels are 0 0 1 1 2 2. A is correct but for both sits, B but for both runs; where one is wrong,
# the other is surer.
A = np.array([[2, 0, 0], [2, 0, 0], [0, 2, 0], [0, 2, 0], [1, 0, 0], [1, 0, 0]], np.float32)
B = np.array([[0, 1, 0], [0, 1, 0], [0, 2, 0], [0, 2, 0], [0, 0, 2], [0, 0, 3]], np.float32)


@pytest.fixture
def write(six_clips, tmp_path):
    """Function: (name, logits, changes) -> folder of a report of the six clips."""

    def write_one(name, logits, stream="rgb", **changes):
        write_report(six_clips(logits={stream: logits}, **changes), tmp_path / name)
        return tmp_path / name

    return write_one


@pytest.fixture
def reports(write):
    return write("a", A), write("b", B, "features")


@pytest.mark.parametrize("fusion", ["logits", "probabilities", "log_probabilities"])
def test_fused_report_is_correct_where_the_surer_network_is(reports, tmp_path, fusion):
    found = fuse_reports(*reports, tmp_path / "both", fusion)
    assert [found.results[name].best.top_1 for name in ("a", "b", "fused")] == [4 / 6, 4 / 6, 1]
    assert [(each.name, each.shares, each.gain) for each in found.classes] == [
        ("sit", (0, 1, 1), 100),
        ("run", (1, 0, 1), 0),
        ("jump", (1, 1, 1), 0),
    ]
    assert found.confused("a") == (("sit", "run", 2, 1.0),)
    assert found.confused("fused") == ()
    assert read_results(tmp_path / "both") == found.results["fused"]


def test_fused_values_are_those_of_the_formula(reports, tmp_path):
    fuse_reports(*reports, tmp_path / "sum", "log_probabilities", weights=(1, 1.5))
    expected = np.log(softmax(A)) + 1.5 * np.log(softmax(B))
    found = read_report_logits(tmp_path / "sum").logits
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    fuse_reports(*reports, tmp_path / "mean", "probabilities")
    mean = softmax(read_report_logits(tmp_path / "mean").logits)
    np.testing.assert_allclose(mean, (softmax(A) + softmax(B)) / 2, rtol=1e-6)
    assert read_results(tmp_path / "sum").protocol["fusion_weights"] == [1, 1.5]


def test_fused_report_has_a_table_of_classes_and_three_matrices(reports, tmp_path):
    fuse_reports(*reports, tmp_path / "both")
    with (tmp_path / "both" / "classes.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["class"], row["fused_minus_a"]) for row in rows] == [
        ("sit", "1.0000"), ("run", "0.0000"), ("jump", "0.0000"),
    ]  # fmt: skip
    assert (rows[0]["videos"], rows[0]["a"], rows[0]["b"]) == ("2", "0.0000", "1.0000")
    for name in ("a", "b", "fused"):
        assert "<svg" in (tmp_path / "both" / f"confusion_{name}.svg").read_text("utf-8")
    fuse_reports(*reports, tmp_path / "both", "logits")  # replaces its own files


def test_videos_and_classes_are_matched_by_name(write, tmp_path):
    order = [5, 3, 0, 1]  # two videos are missing
    changes = {
        "class_names": ("sit", "run", "jump"),
        "paths": [f"data/clip_{k}.mp4" for k in order],
        "labels": np.array([0, 2, 1, 1]),
    }
    other = write("b", B[order][:, [2, 0, 1]], **changes)
    found = fuse_reports(write("a", A), other, tmp_path / "both", "logits")
    assert found.results["fused"].class_names == NAMES
    expected = (A + B)[[0, 1, 3, 5]]
    np.testing.assert_array_equal(read_report_logits(tmp_path / "both").logits, expected)
    assert found.notes == ("2 videos only in A and 0 only in B are left out; 4 are in both",)


def test_lines_show_totals_classes_and_confusions(reports):
    lines = fuse_reports(*reports).lines(max_listed=1)
    assert lines[2] == "A+B: sum of the log-probabilities"
    assert lines[4].split() == ["6", "videos", "top-1", "top-5", "class", "mean"]
    assert [line.split()[:2] for line in lines[5:8]] == [
        ["A", "66.7%"], ["B", "66.7%"], ["A+B", "100.0%"],
    ]  # fmt: skip
    most = lines.index(next(line for line in lines if line.startswith("improves most")))
    assert lines[most + 1].split() == ["sit", "0.0%", "100.0%", "100.0%", "+100.0"]
    assert lines[most + 4].split()[0] == "jump"
    assert any(line.split()[:3] == ["sit", "as", "run"] for line in lines)
    assert lines[-1] == "most confused in A+B: none"


def test_a_report_of_two_streams_is_fused_as_its_own_fusion(six_clips, write, tmp_path):
    write_report(six_clips(fusion_weights=(1, 2)), tmp_path / "two")
    logits = six_clips().logits
    found = read_report_logits(tmp_path / "two").logits
    np.testing.assert_array_equal(found, logits["rgb"] + 2 * logits["flow"])


def test_reports_that_do_not_fit_are_refused(reports, write, tmp_path):
    a, _ = reports
    for name, changes, message in (
        ("others", {"class_names": ("run", "jump", "lie")}, "do not have the same classes. Fuse"),
        ("elsewhere", {"paths": [f"x{k}.mp4" for k in range(6)]}, "have no video in common. Fuse"),
    ):
        with pytest.raises(ValueError, match=message):
            fuse_reports(a, write(name, B, **changes))
    (tmp_path / "b" / "logits.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"logits.npz: not the logits of a report"):
        fuse_reports(*reports)
    (tmp_path / "both").mkdir()
    (tmp_path / "both" / "classes.csv").write_text("mine")
    with pytest.raises(FileExistsError, match=r"classes.csv: exists already"):
        fuse_reports(a, a, tmp_path / "both")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fusion": "svm"}, "`train_reports` must be two for svm"),
        ({"train_reports": ["a", "b"]}, "and none for other fusions; received 2"),
        ({"weights": [1]}, r"`weights` must be 2, one for each of \('a', 'b'\)"),
        ({"fusion": "mean"}, "`fusion` must be one of"),
    ],
)
def test_fuse_reports_checks_its_arguments(reports, arguments, message):
    with pytest.raises(ValueError, match=message):
        fuse_reports(*reports, **arguments)


def test_svm_fusion_is_that_of_scikit_learn(write, reports):
    sklearn_svm = pytest.importorskip("sklearn.svm")
    generator = np.random.default_rng(0)
    labels = np.arange(12) % 3
    train = [generator.normal(size=(12, 3)) + scale * np.eye(3)[labels] for scale in (1, 2)]
    changes = {"labels": labels, "paths": [f"train_{k}.mp4" for k in range(12)]}
    train_reports = [
        write(name, logits.astype(np.float32), **changes)
        for name, logits in zip(("train_a", "train_b"), train, strict=True)
    ]
    found = fuse_reports(*reports, fusion="svm", train_reports=train_reports)

    def rows(first, second):
        parts = [np.exp(x) / np.exp(x).sum(axis=1, keepdims=True) for x in (first, second)]
        return np.hstack([part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts])

    machine = sklearn_svm.LinearSVC(max_iter=10_000, random_state=0)
    machine.fit(rows(*(x.astype(np.float32).astype(float) for x in train)), labels)
    expected = machine.predict(rows(A.astype(float), B.astype(float)))
    predicted = [
        prediction.rankings["fused"].top[0].label
        for prediction in found.results["fused"].predictions
    ]
    assert predicted == [NAMES[k] for k in expected]
    with pytest.raises(ValueError, match="6 videos of it are tested on, such as"):
        fuse_reports(*reports, fusion="svm", train_reports=reports)
