"""A map of a dataset's stored features, and how well simple classifiers do on them.

```
<report_dir>/map.json     accuracies, places on the map, and the classifiers' predictions
<report_dir>/index.html   the same as one page; the videos' frames are shown under the pointer
```
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from i3d_tf.data.example import VideoExample
from i3d_tf.data.feature_store import FeatureStore, check_feature_folder, mean_rows
from i3d_tf.inference.test_set import read_train_and_test
from i3d_tf.metrics.classification import mean_class_accuracy, per_class_accuracy, top_k_accuracy
from i3d_tf.metrics.embedding import check_perplexity, tsne
from i3d_tf.metrics.neighbors import neighbor_scores
from i3d_tf.metrics.svm import check_scikit_learn, l2_normalized, svm_scores
from i3d_tf.specs.datasets import check_has_classes
from i3d_tf.specs.validation import check_integer, check_positive
from i3d_tf.system.console import progress_bar
from i3d_tf.system.files import atomic_write, check_target
from i3d_tf.system.records import read_json_object
from i3d_tf.system.report_folder import report_folder
from i3d_tf.video.decode import read_clip
from i3d_tf.video.errors import VideoError
from i3d_tf.video.names import relative_name
from i3d_tf.video.probe import probe
from i3d_tf.viz.markup import Markup, element
from i3d_tf.viz.page import (
    card,
    data_table,
    facts_table,
    finding,
    html_page,
    note,
    share_cell,
)
from i3d_tf.viz.point_map import PICTURE_HEIGHT, MapPoint, point_map_svg
from i3d_tf.viz.thumbnails import data_uri, film_strip, jpeg

FORMAT, VERSION = "i3d_tf feature map", 1
NUMBERS, PAGE = "map.json", "index.html"
SVM, NEIGHBORS = "linear SVM", "nearest neighbors"
MAX_PICTURES = 1000  # of a page, about 4 kB each
FRAMES_SHOWN, SECONDS_SHOWN = 2, 4.0
QUALITY = 60  # of the pictures, 0..100
DIGITS = 4


@dataclass(frozen=True)
class MapOptions:
    """The features, the data and the settings of a map.

    Attributes:
        features: Folder of the videos' stored features.
        data_dir: Folder of the dataset.
        report_dir: Folder of the report.
        dataset: Name of the dataset's reader.
        train_split: Split that the classifiers learn from; rings on the map.
        test_split: Split whose accuracy is told; discs.
        annotation: Annotation file of the dataset, or the folder of its files.
        classes: File with the class names to use, one a line; None for all.
        quarantine: List of videos to leave out.
        regularization: The C of the SVM.
        neighbors: Videos that vote.
        perplexity: Of t-SNE: about how many videos are near another.
        seed: Of t-SNE, and of the test videos of class folders without splits.
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
    neighbors: int = 5
    perplexity: float = 30.0
    seed: int = 0


@dataclass(frozen=True)
class FeatureMap:
    """A map of features.

    Attributes:
        class_names: Names of the classes.
        examples: The training videos, then the test videos.
        num_train: Number of the former.
        places: float64 (N, 2).
        scores: Name of a classifier to its scores of the test videos, (M, classes).
        metadata: Settings and data, as plain values.
    """

    class_names: tuple[str, ...]
    examples: tuple[VideoExample, ...]
    num_train: int
    places: np.ndarray
    scores: dict[str, np.ndarray]
    metadata: dict[str, Any]

    @property
    def test_labels(self) -> np.ndarray:
        """The classes of the test videos, int64 (M,)."""
        return np.array([example.label for example in self.examples[self.num_train :]])

    def lines(self) -> list[str]:
        """Returns the accuracies as lines for a terminal."""
        labels = self.test_labels
        return [
            f"{name}: {100 * top_k_accuracy(scores, labels):.1f} % of {len(labels)} test videos"
            for name, scores in self.scores.items()
        ]

    def to_json(self) -> dict[str, Any]:
        """Returns plain values."""
        labels, data_dir = self.test_labels, self.metadata["data_dir"]
        accuracy = {
            name: {
                "top_1": round(top_k_accuracy(scores, labels), DIGITS),
                "class_mean": round(mean_class_accuracy(scores, labels), DIGITS),
                "by_class": [_or_none(share) for share in per_class_accuracy(scores, labels)],
            }
            for name, scores in self.scores.items()
        }
        videos = []
        for number, (example, place) in enumerate(zip(self.examples, self.places, strict=True)):
            video: dict[str, Any] = {
                "path": relative_name(example.path, data_dir),
                "label": example.class_name,
                "split": "train" if number < self.num_train else "test",
                "place": [round(float(value), DIGITS) for value in place],
            }
            if number >= self.num_train:
                video["predicted"] = {
                    name: self.class_names[scores[number - self.num_train].argmax()]
                    for name, scores in self.scores.items()
                }
            videos.append(video)
        return {
            "format": FORMAT,
            "version": VERSION,
            **self.metadata,
            "class_names": list(self.class_names),
            "accuracy": accuracy,
            "videos": videos,
        }


def map_features(options: MapOptions) -> FeatureMap:
    """Draws a map of stored features by t-SNE, and classifies the test videos by them.

    A video is the mean of its rows, divided by its length.

    Raises:
        ValueError: scikit-learn is not installed, or an argument, the features or the data do not
            fit.
        OSError: A file is missing, or the folder of the report cannot be written.
    """
    check_positive("regularization", options.regularization)
    check_integer("neighbors", options.neighbors, 1)
    check_integer("seed", options.seed, 0)
    check_perplexity(options.perplexity)
    check_has_classes(options.dataset)
    check_feature_folder(options.features)
    folder = Path(options.report_dir)
    check_target(folder / NUMBERS, _is_numbers)
    check_target(folder / PAGE, _is_page)
    with report_folder(folder):
        found = _compute(options)
        with atomic_write(folder / PAGE) as page:
            page.write_text(map_page(found, _pictures(found.examples)), "utf-8")
        with atomic_write(folder / NUMBERS) as numbers:
            numbers.write_text(json.dumps(found.to_json(), indent=1) + "\n", "utf-8")
    return found


def _compute(options: MapOptions) -> FeatureMap:
    """Returns the map of the features, and the scores of the classifiers."""
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
    rows = l2_normalized(mean_rows(store, [example.path for example in examples]))
    labels, count = np.array([example.label for example in examples]), len(train.examples)
    classes = len(train.class_names)
    data = (rows[:count], labels[:count], rows[count:], classes)
    return FeatureMap(
        class_names=train.class_names,
        examples=examples,
        num_train=count,
        places=tsne(rows, options.perplexity, options.seed),
        scores={
            SVM: svm_scores(*data, options.regularization),
            NEIGHBORS: neighbor_scores(*data, options.neighbors),
        },
        metadata={
            "data_dir": options.data_dir,
            "dataset": options.dataset,
            "splits": [options.train_split, options.test_split],
            "features": {"channels": store.channels, **store.settings},
            "regularization": options.regularization,
            "neighbors": options.neighbors,
            "perplexity": options.perplexity,
            "seed": options.seed,
        },
    )


def map_page(found: FeatureMap, pictures: list[tuple[str, int] | None]) -> str:
    """Returns the page of a map; names and paths are text in it, whatever they hold.

    Args:
        found: The map.
        pictures: Address and width of a picture of each video, or None.
    """
    labels, metadata = found.test_labels, found.metadata
    points = []
    for number, (example, place) in enumerate(zip(found.examples, found.places, strict=True)):
        picture, width = pictures[number] or (None, 0)
        is_test = number >= found.num_train
        title = f"{example.class_name} · {os.path.basename(example.path)}"
        x, y = place.tolist()
        points.append(MapPoint(x, y, example.label, title, is_test, picture, width))
    splits = metadata["splits"]
    svg = point_map_svg(points, found.class_names, "Map of the features", (splits[1], splits[0]))
    best = max(found.scores, key=lambda name: top_k_accuracy(found.scores[name], labels))
    share = top_k_accuracy(found.scores[best], labels)
    shown = [(key.replace("_", " ").capitalize(), _text(value)) for key, value in metadata.items()]
    return html_page(
        f"Feature map: {metadata['dataset']}",
        f"Feature map of {metadata['dataset']}",
        f"{len(found.examples):,} videos, each the mean of its stored features.",
        card(
            "Map",
            finding(
                "Videos that lie together are alike to the network. From these features the class "
                f"of {100 * share:.1f} % of the {len(labels):,} test videos is found ({best})."
            ),
            note(
                "t-SNE: what is near is alike; distances between groups, and the sizes of groups, "
                "mean little. Point at a video to see it."
            ),
            element("div", svg, class_="wide"),
        ),
        _accuracy_card(found, labels),
        card("Settings", facts_table(shown, "Settings")),
    )


def _accuracy_card(found, labels) -> Markup:
    shares = {name: per_class_accuracy(scores, labels) for name, scores in found.scores.items()}
    counts = np.bincount(labels, minlength=len(found.class_names))
    rows = [
        element(
            "tr",
            element("th", name, scope="row", class_="any"),
            element("td", f"{counts[number]:,}", class_="number"),
            [_share_cell(of_classes[number]) for of_classes in shares.values()],
        )
        for number, name in enumerate(found.class_names)
    ]
    total = element(
        "tr",
        element("th", "all videos", scope="row"),
        element("td", f"{len(labels):,}", class_="number"),
        [
            _share_cell(top_k_accuracy(scores, labels), "headline")
            for scores in found.scores.values()
        ],
    )
    neighbors = f"{found.metadata['neighbors']} {NEIGHBORS}"
    return card(
        "Accuracy of simple classifiers",
        data_table(
            "Top-1 on the test split, learned from the stored features of the training split.",
            ("Class", "Videos", "Linear SVM", neighbors),
            [total, *rows],
            (1,),
        ),
    )


def _pictures(examples) -> list[tuple[str, int] | None]:
    """Returns an address and a width of a picture of each video; None where there is none."""
    pictures: list[tuple[str, int] | None] = []
    with progress_bar() as bar:
        task = bar.add_task("frames of the videos", total=len(examples))
        for number, example in enumerate(examples):
            pictures.append(_picture(example.path) if number % _every(examples) == 0 else None)
            bar.advance(task)
    return pictures


def _every(examples):
    return -(-len(examples) // MAX_PICTURES)


def _picture(path):
    try:
        duration = probe(path).duration
        seconds = SECONDS_SHOWN if duration is None else min(SECONDS_SHOWN, duration)
        rate = (FRAMES_SHOWN - 1) / (0.9 * seconds)
        strip = film_strip(read_clip(path, rate, 0, seconds), FRAMES_SHOWN, PICTURE_HEIGHT)
    except (VideoError, OSError, ValueError, ZeroDivisionError):
        return None  # the map is drawn all the same
    return data_uri(jpeg(strip, QUALITY)), strip.shape[1]


def _share_cell(share, kind=None):
    known = _or_none(share)
    return share_cell(known, "-" if known is None else f"{100 * known:.1f} %", kind)


def _or_none(share):
    return None if np.isnan(share) else round(float(share), DIGITS)


def _text(value):
    if isinstance(value, dict):
        return "; ".join(f"{key.replace('_', ' ')} {_text(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _is_numbers(path):
    try:
        return read_json_object(path).get("format") == FORMAT
    except (OSError, ValueError, RecursionError):
        return False


def _is_page(path):
    return b'<h1 class="any">Feature map' in path.read_bytes()
