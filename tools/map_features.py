"""Draws a map of the stored features of a dataset, and classifies its test videos by them.

python tools/map_features.py --features=features --data_dir=my_videos --report_dir=map
python tools/map_features.py --features=f --dataset=ucf101 --data_dir=UCF --report_dir=map \
    --train_split=train1 --test_split=test1

The page shows t-SNE of the videos, with their frames under the pointer, and the accuracies of a
linear SVM and of nearest neighbors. Needs scikit-learn: pip install 'i3d_tf[svm]'. Features are
those of tools/extract_features.py.
"""

from absl import app, flags

from i3d_tf.system.console import one_line_errors, print_lines, refuse_arguments
from i3d_tf.system.flags import define_annotation, define_quarantine

_FEATURES = flags.DEFINE_string("features", None, "Folder of the videos' features.", required=True)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of the dataset.", required=True)
_REPORT_DIR = flags.DEFINE_string("report_dir", None, "Folder of the report.", required=True)
_DATASET = flags.DEFINE_string("dataset", "class_folders", "Name of the dataset's reader, or csv.")
_TRAIN_SPLIT = flags.DEFINE_string("train_split", "train", "Split to learn from.")
_TEST_SPLIT = flags.DEFINE_string("test_split", "test", "Split to evaluate on.")
_ANNOTATION = define_annotation(flags)
_CLASSES = flags.DEFINE_string("classes", None, "File of class names, one a line. Default: all.")
_QUARANTINE = define_quarantine(flags)
_REGULARIZATION = flags.DEFINE_float("regularization", 1.0, "The C of the SVM.")
_NEIGHBORS = flags.DEFINE_integer("neighbors", 5, "Videos that vote.", lower_bound=1)
_PERPLEXITY = flags.DEFINE_float(
    "perplexity", 30.0, "Of t-SNE: about how many videos are near another."
)
_SEED = flags.DEFINE_integer(
    "seed",
    0,
    "Of t-SNE, and of the test videos of class folders without splits.",
    lower_bound=0,
)


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        refuse_arguments(argv)
        from i3d_tf.explain.map_features import MapOptions, map_features

        options = MapOptions(
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
            neighbors=_NEIGHBORS.value,
            perplexity=_PERPLEXITY.value,
            seed=_SEED.value,
        )
        print_lines(*map_features(options).lines(), f"{options.report_dir}/index.html")


if __name__ == "__main__":
    app.run(main)
