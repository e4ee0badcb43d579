"""Linear SVMs, against scikit-learn called directly; skipped without it (make test-svm)."""

import numpy as np
import pytest

from i3d_tf.metrics import svm
from i3d_tf.metrics.svm import l2_normalized, stacked_probabilities, svm_scores

GENERATOR = np.random.default_rng(0)


def test_l2_normalized_rows_have_length_one():
    rows = l2_normalized(np.array([[3, 4], [0, 0], [0, -2]], np.float32))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0], [0, -1]], atol=1e-12)


def test_stacked_probabilities_are_normalized_apart():
    first = np.log([[0.6, 0.8, 1e-30]])  # softmax 3/7, 4/7, 0: of length 5/7
    second = np.zeros((1, 3))
    third = 1 / np.sqrt(3)
    rows = stacked_probabilities([first, second])
    np.testing.assert_allclose(rows, [[0.6, 0.8, 0, third, third, third]], atol=1e-12)


def test_svm_without_scikit_learn_says_what_to_install(monkeypatch):
    monkeypatch.setattr(svm.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"needs scikit-learn: pip install 'i3d_tf\[svm\]'"):
        svm_scores(np.eye(2), np.array([0, 1]), np.eye(2), 2)


def test_svm_scores_are_those_of_scikit_learn():
    sklearn_svm = pytest.importorskip("sklearn.svm")
    rows = GENERATOR.normal(size=(60, 5)) + np.repeat(np.eye(5)[:3] * 2, 20, axis=0)
    labels = np.repeat([0, 1, 2], 20)
    machine = sklearn_svm.LinearSVC(C=0.5, max_iter=10_000, random_state=0)
    machine.fit(rows[::2], labels[::2])
    expected = machine.decision_function(rows[1::2])
    found = svm_scores(rows[::2], labels[::2], rows[1::2], 3, regularization=0.5)
    np.testing.assert_array_equal(found, expected)
    assert (found.argmax(axis=1) == machine.predict(rows[1::2])).all()


def test_svm_scores_of_a_class_without_rows_are_the_lowest():
    pytest.importorskip("sklearn.svm")
    rows, labels = np.array([[-1.0], [-2.0], [1.0], [2.0]]), np.array([3, 3, 1, 1])
    scores = svm_scores(rows, labels, np.array([[-3.0], [3.0]]), classes=4)
    assert scores.argmax(axis=1).tolist() == [3, 1]
    np.testing.assert_allclose(scores[:, 3], -scores[:, 1])
    assert (scores[:, [0, 2]] < scores[:, [1, 3]].min()).all()


def test_svm_scores_need_two_classes():
    pytest.importorskip("sklearn.svm")
    with pytest.raises(ValueError, match="`train_labels` must be of two classes or more"):
        svm_scores(np.eye(2), np.array([1, 1]), np.eye(2), 3)
