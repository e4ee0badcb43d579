"""The logits of a report's main result, and those of several reports side by side."""

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from i3d_tf.evaluation.compare_reports import video_keys
from i3d_tf.evaluation.report import LOGITS
from i3d_tf.evaluation.results import FILE, Results, read_results
from i3d_tf.metrics.classification import fuse
from i3d_tf.system.errors import short_reason
from i3d_tf.system.expansion import check_archive
from i3d_tf.system.files import open_regular

_DAMAGE = (ValueError, KeyError, EOFError, zipfile.BadZipFile)


@dataclass(frozen=True, eq=False)
class ReportLogits:
    """The main result of a report.

    Attributes:
        path: The report's folder.
        results: Its numbers.
        class_names: In the order of the logits.
        labels: int64 (N,).
        logits: float64 (N, classes).
        keys: What tells each video from the others, see `video_keys`.
        all_keys: The same of all videos of `results`, in their order.
    """

    path: str
    results: Results
    class_names: tuple[str, ...]
    labels: np.ndarray
    logits: np.ndarray
    keys: tuple[tuple, ...]
    all_keys: tuple[tuple, ...]

    def with_classes(self, class_names: tuple[str, ...]) -> "ReportLogits":
        """Returns the same result with its classes in another order."""
        columns = np.array([self.class_names.index(name) for name in class_names])
        return replace(
            self,
            class_names=class_names,
            labels=np.argsort(columns)[self.labels],
            logits=self.logits[:, columns],
        )


def read_report_logits(path: os.PathLike | str) -> ReportLogits:
    """Reads the logits of a report's main result; of two streams, those of both together.

    Args:
        path: The report's folder, or the report.json in it.

    Raises:
        ValueError: It is not a report, or the files in it do not belong together.
        OSError: A file cannot be read.
    """
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    results = read_results(folder / FILE)
    file = folder / LOGITS
    try:
        with open_regular(file) as stream, zipfile.ZipFile(stream) as archive:
            check_archive(archive)
        with open_regular(file) as stream, np.load(stream, allow_pickle=False) as arrays:
            logits = {name: arrays[name] for name in results.by_stream if name in arrays}
            names, labels = arrays["class_names"].tolist(), arrays["labels"]
        videos = len(results.predictions)
        if tuple(names) != results.class_names or labels.shape != (videos,) or not logits:
            raise ValueError(f"it is not that of {FILE} beside it")
        scores = _headline(results, logits)
        if scores.shape != (videos, len(names)) or not np.isfinite(scores).all():
            raise ValueError("its logits do not fit its videos and classes")
    except _DAMAGE as error:
        raise ValueError(
            f"{file}: not the logits of a report ({short_reason(error)}). Evaluate again to make "
            "them."
        ) from error
    keys = video_keys(results)
    labels = labels.astype(np.int64)
    return ReportLogits(str(folder), results, tuple(names), labels, scores, keys, keys)


def _headline(results, logits):
    """Returns the logits of the main result, float64."""
    if results.headline in logits:
        return logits[results.headline].astype(np.float64)
    fusion = results.best.fusion or "logits"
    scores = fuse(logits, fusion, results.protocol.get("fusion_weights"))
    return logits_of(scores) if fusion == "probabilities" else scores


def logits_of(probabilities: np.ndarray) -> np.ndarray:
    """Returns logits whose softmax the probabilities are."""
    return np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))


def align(reports: Sequence[ReportLogits]) -> list[ReportLogits]:
    """Returns reports with the same videos and classes, in the order of the first one.

    Args:
        reports: Reports of one split of a dataset, two or more.

    Raises:
        ValueError: They do not have the same classes, or no video in common.
    """
    first, *others = reports
    for other in others:
        if set(other.class_names) != set(first.class_names):
            raise ValueError(
                f"{first.path} and {other.path} do not have the same classes. Fuse reports of one "
                "dataset."
            )
    common = set(first.keys).intersection(*(other.keys for other in others))
    if not common:
        raise ValueError(
            f"{' and '.join(report.path for report in reports)} have no video in common. Fuse "
            "reports of one split."
        )
    order = [key for key in first.keys if key in common]
    return [_select(report, order, first.class_names) for report in reports]


def _select(report, keys, class_names):
    place = {key: k for k, key in enumerate(report.keys)}
    rows = np.array([place[key] for key in keys])
    chosen = replace(
        report, labels=report.labels[rows], logits=report.logits[rows], keys=tuple(keys)
    )
    return chosen.with_classes(class_names)
