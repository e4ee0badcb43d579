import numpy as np
import pytest

from i3d_tf.metrics.classification import (
    Confusion,
    confusion_matrix,
    fuse,
    label_ranks,
    mean_class_accuracy,
    most_confused,
    per_class_accuracy,
    top_k_accuracy,
)

# Three classes, six clips. Class 0: both correct. Class 1: one correct, one predicted as 2.
# Class 2: one predicted as 1 with 2 second, one predicted as 0 with 2 last.
LABELS = np.array([0, 0, 1, 1, 2, 2])
LOGITS = np.array(
    [
        [9.0, 1.0, 0.0],
        [5.0, 0.0, 1.0],
        [0.0, 3.0, 1.0],
        [0.0, 1.0, 3.0],
        [0.0, 3.0, 1.0],
        [3.0, 1.0, 0.0],
    ]
)


def test_accuracies_and_ranks_of_six_clips():
    assert top_k_accuracy(LOGITS, LABELS) == 3 / 6
    assert top_k_accuracy(LOGITS, LABELS, k=2) == 5 / 6
    assert top_k_accuracy(LOGITS, LABELS, k=3) == 1
    np.testing.assert_array_equal(per_class_accuracy(LOGITS, LABELS), [1, 0.5, 0])
    assert mean_class_accuracy(LOGITS, LABELS) == 0.5
    np.testing.assert_array_equal(label_ranks(LOGITS, LABELS), [0, 0, 0, 1, 1, 2])


def test_confusion_matrix_rows_are_true_and_columns_predicted_classes():
    np.testing.assert_array_equal(
        confusion_matrix(LOGITS, LABELS), [[2, 0, 0], [0, 1, 1], [1, 1, 0]]
    )


def test_mean_class_accuracy_weighs_classes_alike():
    logits = [[1, 0], [1, 0], [1, 0], [1, 0]]
    assert top_k_accuracy(logits, [0, 0, 0, 1]) == 3 / 4
    assert mean_class_accuracy(logits, [0, 0, 0, 1]) == 1 / 2


def test_class_without_clips_has_no_accuracy_and_is_not_in_the_mean():
    logits, labels = LOGITS[:4], LABELS[:4]
    np.testing.assert_array_equal(per_class_accuracy(logits, labels), [1, 0.5, np.nan])
    assert mean_class_accuracy(logits, labels) == 0.75


def test_equal_logits_predict_the_first_class():
    equal, labels = np.zeros((4, 4)), [0, 1, 2, 3]
    assert [top_k_accuracy(equal, labels, k) for k in (1, 2, 3, 4)] == [0.25, 0.5, 0.75, 1]
    np.testing.assert_array_equal(confusion_matrix(equal, labels)[:, 0], 1)


def test_top_k_accuracy_agrees_with_sorting_every_row():
    generator = np.random.default_rng(0)
    logits = generator.integers(0, 6, (200, 10))  # with many ties
    labels = generator.integers(0, 10, 200)
    order = np.argsort(-logits, axis=1, kind="stable")
    for k in (1, 3, 10):
        expected = np.mean([label in row[:k] for label, row in zip(labels, order, strict=True)])
        assert top_k_accuracy(logits, labels, k) == expected


def test_most_confused_orders_by_clips_then_share():
    matrix = [[8, 0, 2], [1, 0, 0], [2, 0, 2]]
    assert most_confused(matrix) == [
        Confusion(2, 0, 2, 0.5),
        Confusion(0, 2, 2, 0.2),
        Confusion(1, 0, 1, 1.0),
    ]
    assert most_confused(matrix, top=1) == [Confusion(2, 0, 2, 0.5)]
    assert most_confused(np.eye(3, dtype=int)) == []


def test_fuse_logits_adds_them():
    fused = fuse({"rgb": [[1.0, 2.0]], "flow": [[3.0, -1.0]]})
    np.testing.assert_array_equal(fused, [[4, 1]])


def test_fuse_probabilities_averages_them():
    logits = {"rgb": np.log([[1.0, 3.0]]), "flow": np.log([[1.0, 1.0]])}
    np.testing.assert_allclose(fuse(logits, "probabilities"), [[3 / 8, 5 / 8]], rtol=1e-12)


def test_fuse_of_one_stream_is_itself():
    np.testing.assert_array_equal(fuse({"rgb": LOGITS}), LOGITS)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros(3), [0, 0, 0], r"`logits` must be \(N, classes\).*received \(3,\)"),
        (np.zeros((0, 3)), [], r"N >= 1.*received \(0, 3\)"),
        (np.zeros((2, 3)), [0], r"`labels` must be \(2,\).*received \(1,\)"),
        (np.zeros((2, 3)), [0, 3], r"within 0\.\.2.*received 0\.\.3"),
        (np.zeros((2, 3)), [-1, 0], r"received -1\.\.0"),
        (np.zeros((2, 3)), [0.0, 1.0], "integers; received float64"),
        ([[0.0, 1.0], [np.nan, 0.0]], [0, 1], "1 of 2 clips, clip 1 the first"),
    ],
)
def test_accuracies_refuse_wrong_logits_and_labels(logits, labels, message):
    for function in (top_k_accuracy, per_class_accuracy, confusion_matrix):
        with pytest.raises(ValueError, match=message):
            function(logits, labels)


@pytest.mark.parametrize("k", [0, 4])
def test_top_k_accuracy_refuses_k_outside_the_classes(k):
    with pytest.raises(ValueError, match=rf"`k` must be an integer within 1\.\.3; received {k}"):
        top_k_accuracy(LOGITS, LABELS, k)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({"rgb": LOGITS}, "mean"), r"`fusion` must be one of .*received 'mean'"),
        (({"rgb": LOGITS, "flow": LOGITS[:5]},), r"'flow': \(5, 3\)"),
        (({},), "no stream"),
    ],
)
def test_fuse_refuses_streams_that_do_not_match(arguments, message):
    with pytest.raises(ValueError, match=message):
        fuse(*arguments)
