"""A linear SVM on the stored features of videos, as arXiv:1412.0767 measures C3D's."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from i3d_tf.data.feature_store import FeatureStore, check_feature_folder, mean_rows
from i3d_tf.evaluation.measure import Evaluation
from i3d_tf.evaluation.report import check_report_dir, write_report
from i3d_tf.evaluation.results import Results
from i3d_tf.inference.test_set import read_train_and_test
from i3d_tf.metrics.svm import check_scikit_learn, l2_normalized, svm_scores
from i3d_tf.specs.datasets import check_has_classes
from i3d_tf.specs.streams import FEATURES
from i3d_tf.specs.validation import check_positive
from i3d_tf.system.report_folder import report_folder


@dataclass(frozen=True)
class ClassifyOptions:
    """The features and the data of a classification.

    Attributes:
        features: Folder of the videos' stored features.
        data_dir: Folder of the dataset.
        report_dir: Folder of the report.
        dataset: Name of the dataset's reader.
        train_split: Split to train on.
        test_split: Split to evaluate on.
        annotation: Annotation file of the dataset, or the folder of its files.
        classes: File with the class names to use, one a line; None for all.
        quarantine: List of videos to leave out.
        regularization: The C of the SVM.
        seed: Seed of the test videos of class folders without splits, as in training.
    """

    features: str
    data_dir: str
    report_dir: str
    dataset: str = "class_folders"
    train_split: str = "train"
    test_split: str = "test"
    annotation: str | None = None
    classes: str | None = None
    quarantine: str | None = None
    regularization: float = 1.0
    seed: int = 0


def classify_features(options: ClassifyOptions) -> Results:
    """Trains a linear SVM on the L2-normalized mean of each video's rows, and writes the report.

    Raises:
        ValueError: scikit-learn is not installed, or an argument, the features or the data do not
            fit.
        OSError: A file is missing, or the folder of the report cannot be written.
    """
    check_positive("regularization", options.regularization)
    check_has_classes(options.dataset)
    check_report_dir(options.report_dir)
    check_feature_folder(options.features)
    with report_folder(options.report_dir):
        train, test = read_train_and_test(
            options.dataset,
            options.data_dir,
            (options.train_split, options.test_split),
            options.annotation,
            options.classes,
            options.quarantine,
            options.seed,
        )
        check_scikit_learn()
        examples = (*train.examples, *test.examples)
        store = FeatureStore(options.features, examples, options.data_dir)
        paths = [[example.path for example in dataset.examples] for dataset in (train, test)]
        labels = [np.array([e.label for e in dataset.examples]) for dataset in (train, test)]
        train_rows, test_rows = (l2_normalized(mean_rows(store, videos)) for videos in paths)
        scores = svm_scores(
            train_rows, labels[0], test_rows, len(train.class_names), options.regularization
        )
        evaluation = Evaluation(
            class_names=train.class_names,
            paths=paths[1],
            labels=labels[1],
            logits={FEATURES: scores},
            protocol=_protocol_metadata(options, store),
            data_report=test.report.as_json(),
        )
        return write_report(evaluation, options.report_dir)


def _protocol_metadata(options: ClassifyOptions, store: FeatureStore) -> dict[str, Any]:
    """Returns how the scores were made, by the keys of report.json."""
    return {
        "dataset": options.dataset,
        "training_split": options.train_split,
        "split": options.test_split,
        "classifier": "linear SVM on the L2-normalized mean of the rows",
        "regularization": options.regularization,
        "scores": "distances from the planes; their softmax is no estimate of a probability",
        "features": {"channels": store.channels, **store.settings},
    }
