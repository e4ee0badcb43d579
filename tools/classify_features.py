"""Trains a linear SVM on stored features of videos, and writes a report on the test split.

python tools/classify_features.py --features=features --data_dir=my_videos --report_dir=report
python tools/classify_features.py --features=f --dataset=ucf101 --data_dir=UCF --report_dir=report \
    --train_split=train1 --test_split=test1

A video is the mean of its rows, divided by its length (arXiv:1412.0767). Needs scikit-learn:
pip install 'i3d_tf[svm]'. Features are those of tools/extract_features.py.
"""

from absl import app, flags

from i3d_tf.system.console import one_line_errors, print_lines, refuse_arguments
from i3d_tf.system.flags import define_annotation, define_quarantine

_FEATURES = flags.DEFINE_string("features", None, "Folder of the videos' features.", required=True)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of the dataset.", required=True)
_REPORT_DIR = flags.DEFINE_string("report_dir", None, "Folder of the report.", required=True)
_DATASET = flags.DEFINE_string("dataset", "class_folders", "Name of the dataset's reader, or csv.")
_TRAIN_SPLIT = flags.DEFINE_string("train_split", "train", "Split to train on.")
_TEST_SPLIT = flags.DEFINE_string("test_split", "test", "Split to evaluate on.")
_ANNOTATION = define_annotation(flags)
_CLASSES = flags.DEFINE_string("classes", None, "File of class names, one a line. Default: all.")
_QUARANTINE = define_quarantine(flags)
_REGULARIZATION = flags.DEFINE_float("regularization", 1.0, "The C of the SVM.")
_SEED = flags.DEFINE_integer(
    "seed", 0, "Seed of the test videos of class folders without splits.", lower_bound=0
)


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        refuse_arguments(argv)
        from i3d_tf.evaluation.classify_features import ClassifyOptions, classify_features
        from i3d_tf.evaluation.text import summary

        options = ClassifyOptions(
            features=_FEATURES.value,
            data_dir=_DATA_DIR.value,
            report_dir=_REPORT_DIR.value,
            dataset=_DATASET.value,
            train_split=_TRAIN_SPLIT.value,
            test_split=_TEST_SPLIT.value,
            annotation=_ANNOTATION.value,
            classes=_CLASSES.value,
            quarantine=_QUARANTINE.value,
            regularization=_REGULARIZATION.value,
            seed=_SEED.value,
        )
        print_lines(*summary(classify_features(options), options.report_dir))


if __name__ == "__main__":
    app.run(main)
