"""Comparison of two reports: classes that gained or lost accuracy, and a significance test."""

import math
import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from i3d_tf.evaluation.measure import TOP
from i3d_tf.evaluation.results import Results, read_results
from i3d_tf.evaluation.text import MISSING, RESULT_NAMES, counted, flatten, format_value, percent
from i3d_tf.metrics.classification import most_confused
from i3d_tf.specs.streams import JOINT
from i3d_tf.system.console import printable

MEASURES = {"top_1": "top-1", "top_5": f"top-{TOP}", "mean_class": "class mean"}
MAX_LISTED = 20  # classes of each list on the terminal
MAX_PAIRS = 10  # of classes that are confused most often

ConfusedPair = tuple[str, str, int, float]


@dataclass(frozen=True)
class Change:
    """One number in two reports.

    Attributes:
        name: A class, or a result and a measure.
        before: A share in [0, 1] in the first report, or None.
        after: The same in the second one.
    """

    name: str
    before: float | None
    after: float | None

    @property
    def points(self) -> float | None:
        """The gain in percentage points; None where a share is not known."""
        if self.before is None or self.after is None:
            return None
        return 100 * (self.after - self.before)


@dataclass(frozen=True)
class Comparison:
    """The changes from one report to another.

    Attributes:
        paths: The two reports.
        warnings: Reasons why the numbers may not be comparable, a sentence each.
        overall: Changes of the measures that both reports have.
        results: The result of each report in which classes and videos are compared.
        classes: Changes of the classes that both reports have, the largest gain first, classes
            without videos in one of them last.
        fixed: Videos of both reports that only the second one classifies correctly.
        broken: Videos that only the first one classifies correctly.
        p_value: Of the two-sided sign test, whose hypothesis is that each changed video was as
            likely to be fixed as broken; None without changed videos.
        confused: The most frequent wrong predictions of each report, see `most_confused`, with the
            names of the classes: (true, predicted, videos, share of the class).
    """

    paths: tuple[str, str]
    warnings: tuple[str, ...]
    overall: tuple[Change, ...]
    results: tuple[str, str]
    classes: tuple[Change, ...]
    fixed: int
    broken: int
    p_value: float | None
    confused: tuple[tuple[ConfusedPair, ...], tuple[ConfusedPair, ...]] = ((), ())

    def lines(self, max_listed: int = MAX_LISTED) -> list[str]:
        """Returns the lines that show the comparison on a terminal.

        Args:
            max_listed: Classes to list of those that gained, and of those that lost.
        """
        gained = [change for change in self.classes if (change.points or 0) > 0]
        lost = [change for change in reversed(self.classes) if (change.points or 0) < 0]
        names = " and ".join(dict.fromkeys(RESULT_NAMES[name] for name in self.results))
        p_value = "" if self.p_value is None else f" (sign test: p = {self.p_value:.2g})"
        lines = [
            *(f"{letter}: {path}" for letter, path in zip("AB", self.paths, strict=True)),
            *(f"warning: {warning}" for warning in self.warnings),
            "",
            *_table("", self.overall),
            "",
            f"{names}: {counted(self.fixed, 'video')} fixed, {self.broken:,} broken{p_value}",
            *_classes("gained", gained, max_listed),
            *_classes("lost", lost, max_listed),
        ]
        same = sum(change.points == 0 for change in self.classes)
        unknown = sum(change.points is None for change in self.classes)
        lines += ["", f"{counted(same, 'class', 'classes')} without a change"]
        if unknown:
            lines.append(f"{counted(unknown, 'class', 'classes')} without videos in one of them")
        for letter, pairs in zip("AB", self.confused, strict=True):
            lines += confused_lines(f"most confused in {letter}", pairs)
        return [printable(line) for line in lines]


def compare_reports(path_a: os.PathLike | str, path_b: os.PathLike | str) -> Comparison:
    """Compares two reports, the second with the first.

    Args:
        path_a: A report.json, or the folder that holds it.
        path_b: Another.

    Raises:
        ValueError: A file is not a report, or the two have no class in common.
        OSError: A file cannot be read.
    """
    a, b = read_results(path_a), read_results(path_b)
    names = _compared_results(a, b)
    accuracy_a, accuracy_b = (
        dict(zip(results.class_names, results.by_stream[name].class_accuracy, strict=True))
        for results, name in zip((a, b), names, strict=True)
    )
    changes = [
        Change(name, accuracy_a[name], accuracy_b[name])
        for name in accuracy_a
        if name in accuracy_b
    ]
    if not changes:
        raise ValueError(f"{path_a} and {path_b} have no class in common. Compare others.")
    fixed, broken = _changed_videos(a, b, names)
    return Comparison(
        (str(path_a), str(path_b)),
        tuple(_warnings(a, b, names)),
        tuple(_overall(a, b)),
        names,
        tuple(sorted(changes, key=lambda c: (c.points is None, -(c.points or 0)))),
        fixed,
        broken,
        sign_test(fixed, broken),
        (confused_pairs(a, names[0]), confused_pairs(b, names[1])),
    )


def confused_pairs(results: Results, name: str, top: int = MAX_PAIRS) -> tuple[ConfusedPair, ...]:
    """Returns the most frequent wrong predictions of a result, the most frequent first.

    Args:
        results: A report.
        name: One of its results.
        top: Pairs of classes to return at most.
    """
    matrix, names = results.by_stream[name].confusion_matrix(), results.class_names
    pairs = most_confused(matrix, top)
    return tuple((names[p.true], names[p.predicted], p.clips, p.share) for p in pairs)


def confused_lines(title: str, pairs: Sequence[ConfusedPair]) -> list[str]:
    """Returns the lines that show pairs of classes on a terminal, after an empty one."""
    if not pairs:
        return ["", f"{title}: none"]
    texts = [f"{true} as {predicted}" for true, predicted, *_ in pairs]
    width = max(map(len, (title, *texts)))
    lines = ["", f"{title:{width}}  {'videos':>7}  {'share':>7}"]
    for text, (*_, videos, share) in zip(texts, pairs, strict=True):
        lines.append(f"{text:{width}}  {videos:>7,}  {percent(share):>7}")
    return lines


def sign_test(first: int, second: int) -> float | None:
    """Returns the probability that first + second fair coins split as unevenly, or more so.

    Returns:
        A float in [0, 1]; None for no coin.
    """
    total, fewer = first + second, min(first, second)
    if not total:
        return None
    # In logarithms: the coefficients of some thousand coins are no floats.
    logs = [
        math.lgamma(total + 1) - math.lgamma(k + 1) - math.lgamma(total - k + 1)
        for k in range(fewer + 1)
    ]
    return min(1.0, 2 * sum(math.exp(log - total * math.log(2)) for log in logs))


def _compared_results(a, b):
    """Returns the best result that both reports have, else each report's own headline."""
    for name in (JOINT, "rgb", "flow"):
        if name in a.by_stream and name in b.by_stream:
            return name, name
    return a.headline, b.headline


def _overall(a, b) -> Iterator[Change]:
    for name in a.by_stream:
        if name in b.by_stream:
            for measure, title in MEASURES.items():
                pair = (getattr(results.by_stream[name], measure) for results in (a, b))
                yield Change(f"{RESULT_NAMES[name]} {title}", *pair)


def video_keys(results: Results) -> tuple[tuple, ...]:
    """Returns what tells each labelled video from others, also in another report of it.

    Paths are relative to the data folder; accents may be stored otherwise on another system.
    """
    folder = str(results.data.get("data_dir") or "").rstrip("/") + "/"
    return tuple(
        (unicodedata.normalize("NFC", p.path.removeprefix(folder)), p.start, p.end, p.label)
        for p in results.predictions
    )


def _ranks(results, name):
    """Returns labelled video to the rank of its label."""
    ranks = (prediction.rankings[name].rank for prediction in results.predictions)
    return dict(zip(video_keys(results), ranks, strict=True))


def _changed_videos(a, b, names):
    """Returns how many of the videos of both reports were fixed, and broken."""
    first, second = (_ranks(results, name) for results, name in zip((a, b), names, strict=True))
    both = [(first[key] == 1, second[key] == 1) for key in first if key in second]
    return both.count((False, True)), both.count((True, False))


def _warnings(a, b, names) -> Iterator[str]:
    if names[0] != names[1]:
        yield f"{RESULT_NAMES[names[0]]} of A is compared with {RESULT_NAMES[names[1]]} of B."
    only_a, only_b = (set(x.class_names) - set(y.class_names) for x, y in ((a, b), (b, a)))
    if only_a or only_b:
        yield (
            f"The classes differ: {_examples(only_a)} only in A, {_examples(only_b)} only in B; "
            "the accuracies are of different tasks."
        )
    first, second = (set(_ranks(r, name)) for r, name in zip((a, b), names, strict=True))
    if first != second:
        yield (
            f"The videos or their labels differ: {len(first - second):,} only in A, "
            f"{len(second - first):,} only in B, {len(first & second):,} in both."
        )
    protocol_a, protocol_b = (_protocol(r, name) for r, name in zip((a, b), names, strict=True))
    differing = [
        f"{key} {protocol_a.get(key, MISSING)} and {protocol_b.get(key, MISSING)}"
        for key in dict.fromkeys((*protocol_a, *protocol_b))
        if protocol_a.get(key) != protocol_b.get(key)
    ]
    if differing:
        yield f"The protocols differ: {', '.join(differing)}."


def _protocol(results: Results, name):
    """Returns how the clips were made, as text; not the weights, which are what is compared."""
    fields = {
        " ".join(keys): format_value(value)
        for keys, value in flatten(results.protocol)
        if keys[0] != "checkpoints"
    }
    return {**fields, "fusion": format_value(results.by_stream[name].fusion)}


def _examples(names, count=3):
    shown = sorted(names)[:count] + (["..."] if len(names) > count else [])
    return f"{len(names)}" + (f" ({', '.join(shown)})" if shown else "")


def _classes(verb, changes, max_listed):
    if not changes:
        return ["", f"no class {verb}"]
    title = f"{counted(len(changes), 'class', 'classes')} {verb}"
    more = [f"... and {len(changes) - max_listed} more"] if len(changes) > max_listed else []
    return ["", *_table(title, changes[:max_listed]), *more]


def _table(title, changes: Sequence[Change]):
    """Returns lines of aligned columns under A, B and points."""
    width = max([len(title), *(len(change.name) for change in changes)])
    lines = [f"{title:{width}}  {'A':>7}  {'B':>7}  {'points':>7}"]
    for change in changes:
        points = MISSING if change.points is None else f"{change.points:+.1f}"
        columns = (percent(change.before), percent(change.after), points)
        lines.append(f"{change.name:{width}}" + "".join(f"  {column:>7}" for column in columns))
    return lines
