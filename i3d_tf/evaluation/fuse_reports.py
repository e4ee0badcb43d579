"""Late fusion of two reports, and the classes that it improves.

```
<report_dir>/report.json, logits.npz, index.html   the fused result, as a report of its own
<report_dir>/classes.csv                           accuracy of each class in A, B and A+B; the gain
<report_dir>/confusion_a.svg, _b.svg, _fused.svg   confusion matrices
```
"""

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from i3d_tf.evaluation.compare_reports import (
    ConfusedPair,
    confused_lines,
    confused_pairs,
)
from i3d_tf.evaluation.measure import TOP, Evaluation, measure
from i3d_tf.evaluation.report import check_report_dir, write_report
from i3d_tf.evaluation.report_logits import (
    ReportLogits,
    align,
    logits_of,
    read_report_logits,
)
from i3d_tf.evaluation.results import Results
from i3d_tf.evaluation.text import FUSION_NAMES, MISSING, counted, percent
from i3d_tf.metrics.classification import fuse
from i3d_tf.metrics.svm import check_scikit_learn, stacked_probabilities, svm_scores
from i3d_tf.specs.streams import FUSED, SCORE_FUSIONS
from i3d_tf.specs.validation import check_choice
from i3d_tf.system.console import printable
from i3d_tf.system.files import atomic_write, check_target
from i3d_tf.system.report_folder import report_folder
from i3d_tf.viz.confusion import confusion_svg

SVM = "svm"
FUSIONS_OF_REPORTS = (*SCORE_FUSIONS, SVM)
CLASSES_FILE = "classes.csv"
COLUMNS = ("class", "videos", "a", "b", "fused", "fused_minus_a")
LETTERS = {"a": "A", "b": "B", "fused": "A+B"}
SHOWN_CLASSES = 10  # of those that improve most, and least


@dataclass(frozen=True)
class ClassGain:
    """The accuracy of one class.

    Attributes:
        name: The class.
        videos: Number of its videos.
        shares: Top-1 in [0, 1] of A, B and A+B; None without videos.
    """

    name: str
    videos: int
    shares: tuple[float | None, float | None, float | None]

    @property
    def gain(self) -> float | None:
        """A+B minus A in percentage points; None without videos."""
        first, _, fused = self.shares
        return None if first is None or fused is None else 100 * (fused - first)


@dataclass(frozen=True)
class Fusion:
    """Two reports, of the same videos, and both together.

    Attributes:
        paths: Folders of A and B.
        fusion: How they were fused, one of `FUSIONS_OF_REPORTS`.
        results: "a", "b", "fused" to the results, each of the videos that A and B share.
        classes: Every class, the largest gain first, classes without videos last.
        notes: What a user should know, a sentence each.
    """

    paths: tuple[str, str]
    fusion: str
    results: dict[str, Results]
    classes: tuple[ClassGain, ...]
    notes: tuple[str, ...]

    def confused(self, name: str) -> tuple[ConfusedPair, ...]:
        """Returns the pairs of classes that are confused most often in "a", "b" or "fused"."""
        return confused_pairs(self.results[name], self.results[name].headline)

    def lines(self, max_listed: int = SHOWN_CLASSES) -> list[str]:
        """Returns the lines that show the fusion on a terminal.

        Args:
            max_listed: Classes to list of those that improve most, and of those that do least.
        """
        lines = [f"{LETTERS[name]}: {path}" for name, path in zip("ab", self.paths, strict=True)]
        lines.append(f"A+B: {FUSION_NAMES[self.fusion]}")
        lines += [f"note: {note}" for note in self.notes]
        videos = counted(len(self.results["a"].predictions), "video")
        lines += ["", f"{videos:12}  {'top-1':>7}  {f'top-{TOP}':>7}  {'class mean':>10}"]
        for name, results in self.results.items():
            best = results.best
            top_5 = percent(best.top_5)
            row = f"{percent(best.top_1):>7}  {top_5:>7}  {percent(best.mean_class):>10}"
            lines.append(f"{LETTERS[name]:12}  {row}")
        known = [each for each in self.classes if each.gain is not None]
        lines += _class_lines("improves most", known[:max_listed])
        lines += _class_lines("improves least", known[: -max_listed - 1 : -1])
        for name in self.results:
            lines += confused_lines(f"most confused in {LETTERS[name]}", self.confused(name))
        return [printable(line) for line in lines]


def fuse_reports(
    report_a: os.PathLike | str,
    report_b: os.PathLike | str,
    report_dir: os.PathLike | str | None = None,
    fusion: str = "log_probabilities",
    weights: Sequence[float] | None = None,
    train_reports: Sequence[os.PathLike | str] | None = None,
) -> Fusion:
    """Fuses the main results of two reports of one test set, and compares the sum with the first.

    Args:
        report_a: Folder of a report, or its report.json.
        report_b: Another.
        report_dir: Folder for the fused report, the table of classes and the confusion matrices;
            None writes nothing.
        fusion: See `i3d_tf.metrics.classification.fuse`; or "svm" for a linear SVM on the
            L2-normalized softmax outputs side by side (arXiv:1406.2199).
        weights: Weights of A and B, not for "svm"; None is equal ones.
        train_reports: For "svm", reports of the same two networks on the training split.

    Raises:
        ValueError: An argument or a report does not fit.
        OSError: A file cannot be read or written.
    """
    check_choice("fusion", fusion, FUSIONS_OF_REPORTS)
    train_reports = tuple(train_reports or ())
    if len(train_reports) != (2 if fusion == SVM else 0):
        raise ValueError(
            "`train_reports` must be two for svm, those of A and B on the training split, and none "
            f"for other fusions; received {len(train_reports)}."
        )
    if fusion == SVM:
        check_scikit_learn()
        if weights is not None:
            raise ValueError(f"`weights` must be None for svm; received {tuple(weights)}.")
    if report_dir is not None:
        _check_targets(report_dir)
    first, second = read_report_logits(report_a), read_report_logits(report_b)
    a, b = align([first, second])
    notes = _notes(first, second, a)
    if fusion == SVM:
        scores, train_notes = _svm(a, b, train_reports)
        notes += train_notes
    else:
        scores = fuse({"a": a.logits, "b": b.logits}, fusion, weights)
        if fusion == "probabilities":
            scores = logits_of(scores)
    protocol = {
        "fused": FUSION_NAMES[fusion],
        **({} if weights is None else {"fusion_weights": list(weights)}),
        "reports": {"A": a.path, "B": b.path},
        **({"training_reports": [str(path) for path in train_reports]} if train_reports else {}),
    }
    evaluation = _evaluation(a, scores, protocol, notes)
    if report_dir is None:
        fused = measure(evaluation)
    else:
        with report_folder(report_dir):
            fused = write_report(evaluation, report_dir)
    by_name = {
        "a": measure(_evaluation(a, a.logits, protocol, notes)),
        "b": measure(_evaluation(b, b.logits, protocol, notes)),
        "fused": fused,
    }
    result = Fusion((a.path, b.path), fusion, by_name, _class_gains(by_name), tuple(notes))
    if report_dir is not None:
        _write_classes(result, Path(report_dir))
    return result


def _notes(first, second, a) -> list[str]:
    left_out = [len(first.keys) - len(a.keys), len(second.keys) - len(a.keys)]
    if not any(left_out):
        return []
    return [
        f"{counted(left_out[0], 'video')} only in A and {left_out[1]:,} only in B are left out; "
        f"{len(a.keys):,} are in both"
    ]


def _svm(a, b, train_reports):
    """Returns the scores of a linear SVM, trained on the reports of the training split."""
    train = align([*map(read_report_logits, train_reports)])
    if shared := set(train[0].keys) & set(a.keys):
        raise ValueError(
            f"{train[0].path}: {counted(len(shared), 'video')} of it are tested on, such as "
            f"{min(shared, key=str)[0]}. Name reports of the training split."
        )
    *train, _ = align_classes([*train, a])
    scores = svm_scores(
        stacked_probabilities([report.logits for report in train]),
        train[0].labels,
        stacked_probabilities([a.logits, b.logits]),
        len(a.class_names),
    )
    note = "scores of the SVM are distances; their softmax is no estimate of a probability"
    return scores, [note]


def align_classes(reports: Sequence[ReportLogits]) -> list[ReportLogits]:
    """Returns reports with the classes in the order of the last one, whatever their videos."""
    *others, last = reports
    for other in others:
        if set(other.class_names) != set(last.class_names):
            raise ValueError(
                f"{other.path} and {last.path} do not have the same classes. Name reports of one "
                "dataset."
            )
    return [*(other.with_classes(last.class_names) for other in others), last]


def _evaluation(report: ReportLogits, scores, protocol: dict[str, Any], notes) -> Evaluation:
    data = dict(report.results.data)
    data["notes"] = [*(data.get("notes") or []), *notes]
    predictions = dict(zip(report.all_keys, report.results.predictions, strict=True))
    chosen = [predictions[key] for key in report.keys]
    return Evaluation(
        class_names=report.class_names,
        paths=[prediction.path for prediction in chosen],
        labels=report.labels,
        logits={FUSED: scores},
        protocol=protocol,
        data_report=data,
        cuts=[(prediction.start, prediction.end) for prediction in chosen],
    )


def _class_gains(by_name) -> tuple[ClassGain, ...]:
    """Returns the accuracies of each class, the largest gain first."""
    results = [by_name[name] for name in LETTERS]
    gains = [
        ClassGain(name, results[0].best.class_videos[k], shares)
        for k, name in enumerate(results[0].class_names)
        for shares in [tuple(result.best.class_accuracy[k] for result in results)]
    ]
    return tuple(sorted(gains, key=lambda each: (each.gain is None, -(each.gain or 0.0))))


def _class_lines(title, classes):
    width = max([len(title), *(len(each.name) for each in classes)])
    lines = ["", f"{title:{width}}  {'A':>7}  {'B':>7}  {'A+B':>7}  {'points':>7}"]
    for each in classes:
        points = MISSING if each.gain is None else f"{each.gain:+.1f}"
        columns = (*map(percent, each.shares), points)
        lines.append(f"{each.name:{width}}" + "".join(f"  {column:>7}" for column in columns))
    return lines


def _check_targets(report_dir):
    check_report_dir(report_dir)
    folder = Path(report_dir)
    check_target(folder / CLASSES_FILE, _is_classes)
    for name in LETTERS:
        check_target(folder / _matrix_file(name), _is_matrix)


def _matrix_file(name):
    return f"confusion_{name}.svg"


def _is_classes(path):
    return path.read_text("utf-8", "replace").startswith(",".join(COLUMNS))


def _is_matrix(path):
    return 'class="confusion"' in path.read_text("utf-8", "replace")


def _write_classes(fusion: Fusion, folder: Path):
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for each in fusion.classes:
        numbers = (*each.shares, None if each.gain is None else each.gain / 100)
        rounded = ["" if share is None else f"{share:.4f}" for share in numbers]
        table.writerow([each.name, each.videos, *rounded])
    files = {CLASSES_FILE: text.getvalue()}
    for name, results in fusion.results.items():
        heading = f"Confusion matrix, {LETTERS[name]}"
        matrix = results.best.confusion_matrix()
        files[_matrix_file(name)] = str(confusion_svg(matrix, results.class_names, heading))
    for name, content in files.items():
        with atomic_write(folder / name) as temporary:
            temporary.write_text(content, "utf-8")
