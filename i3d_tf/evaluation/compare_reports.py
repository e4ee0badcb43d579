"""Two reports beside each other: which classes gained, which lost, and whether it may be chance."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

from i3d_tf.evaluation.results import FILE, FORMAT, TOP, VERSION
from i3d_tf.evaluation.text import NOTHING, RESULT_NAMES, counted, flattened, percent, spelt
from i3d_tf.specs.streams import JOINT
from i3d_tf.system.console import printable

MAX_REPORT = 2**30  # bytes; a report of a million videos has about half of it
MEASURES = {"top_1": "top-1", "top_5": f"top-{TOP}", "mean_class": "class mean"}
SHOWN = 20  # classes of each list on the terminal


@dataclass(frozen=True)
class Change:
    """A number in two reports.

    Attributes:
        name: What it is of: a class, or a result and a measure.
        before: A share in [0, 1] in the first report, or None.
        after: The same in the second one.
    """

    name: str
    before: float | None
    after: float | None

    @property
    def points(self):
        """How many percentage points it gained; None where one of them is not known."""
        if self.before is None or self.after is None:
            return None
        return 100 * (self.after - self.before)


@dataclass(frozen=True)
class Comparison:
    """What changed from one report to another.

    Attributes:
        paths: The two reports.
        warnings: Why the numbers may not be comparable, a sentence each.
        overall: Changes of the measures that both reports have.
        results: Which result of each report the classes and the videos are compared in.
        classes: Changes of the classes that both reports have, the largest gain first, the classes
            without videos in one of them last.
        fixed: How many of the videos of both reports only the second one recognises.
        broken: How many of them only the first one recognises.
        p_value: How probable so uneven a change, or one more uneven, is when each changed video is
            as likely to become right as wrong (two-sided sign test); None without changed videos.
    """

    paths: tuple[str, str]
    warnings: tuple[str, ...]
    overall: tuple[Change, ...]
    results: tuple[str, str]
    classes: tuple[Change, ...]
    fixed: int
    broken: int
    p_value: float | None

    def lines(self, shown=SHOWN) -> list[str]:
        """The lines that show the comparison on a terminal.

        Args:
            shown: Classes to list of those that gained, and of those that lost.
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
            f"{names}: {counted(self.fixed, 'video')} became right, "
            f"{self.broken:,} became wrong{p_value}",
            *_classes("gained", gained, shown),
            *_classes("lost", lost, shown),
        ]
        same = sum(change.points == 0 for change in self.classes)
        unknown = sum(change.points is None for change in self.classes)
        lines += ["", f"{counted(same, 'class', 'classes')} without a change"]
        if unknown:
            lines.append(f"{counted(unknown, 'class', 'classes')} without videos in one of them")
        return [printable(line) for line in lines]


def compare_reports(path_a, path_b) -> Comparison:
    """Compares two reports, the second with the first.

    Args:
        path_a: A report.json, or the folder that holds it.
        path_b: Another.

    Returns:
        A Comparison.

    Raises:
        ValueError: A file is not a report, or the two have no class in common.
        OSError: A file cannot be read.
    """
    a, b = read_report(path_a), read_report(path_b)
    results = _results(a, b)
    accuracy_a, accuracy_b = (
        dict(zip(r["classes"], r["results"][name]["class_accuracy"], strict=True))
        for r, name in zip((a, b), results, strict=True)
    )
    changes = [
        Change(name, accuracy_a[name], accuracy_b[name])
        for name in accuracy_a
        if name in accuracy_b
    ]
    if not changes:
        raise ValueError(f"{path_a} and {path_b} have no class in common; compare others.")
    right, wrong = _changed(a, b, results)
    return Comparison(
        (str(path_a), str(path_b)),
        tuple(_warnings(a, b, results)),
        tuple(_overall(a, b)),
        results,
        tuple(sorted(changes, key=lambda c: (c.points is None, -(c.points or 0)))),
        right,
        wrong,
        sign_test(right, wrong),
    )


def read_report(path) -> dict:
    """Reads a report.json, or the one in a folder.

    Raises:
        ValueError: It is not a report of this version.
        OSError: It cannot be read.
    """
    path = Path(path)
    file = path / FILE if path.is_dir() else path
    if file.stat().st_size > MAX_REPORT:
        raise ValueError(f"{file}: larger than any report, {MAX_REPORT:,} bytes.")
    try:
        record = json.loads(file.read_text("utf-8"))
        if (record["format"], record["version"]) != (FORMAT, VERSION):
            raise ValueError(f"{record['format']!r}, version {record['version']!r}")
        _check(record)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{file}: not a report of format {FORMAT!r}, version {VERSION} ({error}); "
            "evaluate again to make one."
        ) from error
    return record


def _check(record):
    """Touches all that a comparison reads; what is not there, or of another kind, raises."""
    classes = len(record["classes"])
    if len(set(record["classes"])) != classes:
        raise ValueError("a class twice")
    if not record["results"] or not set(record["results"]) <= set(RESULT_NAMES):
        raise ValueError(f"results {list(record['results'])}")
    for name, result in record["results"].items():
        if len(result["class_accuracy"]) != classes:
            raise ValueError(f"{len(result['class_accuracy'])} accuracies for {classes} classes")
        for share in (*result["class_accuracy"], *(result[key] for key in MEASURES)):
            if share is not None and not 0 <= share <= 1:
                raise ValueError(f"an accuracy of {share!r}")
        _ = record["protocol"].items(), {rank + 0 for rank in _ranks(record, name).values()}


def sign_test(first, second):
    """The probability of a split of first + second fair coins as uneven as this, or more so.

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


def _results(a, b):
    """The result to compare in: the best that both have, else each report's own headline."""
    shared = [
        name for name in (JOINT, "rgb", "flow") if name in a["results"] and name in b["results"]
    ]
    return (shared[0], shared[0]) if shared else (list(a["results"])[-1], list(b["results"])[-1])


def _overall(a, b):
    for name in a["results"]:
        if name in b["results"]:
            for measure, words in MEASURES.items():
                pair = (report["results"][name][measure] for report in (a, b))
                yield Change(f"{RESULT_NAMES[name]} {words}", *pair)


def _ranks(report, result):
    """Labelled video to the rank of its label, from 1; a path counts from the data folder on."""
    folder = str(report["data"].get("data_dir") or "").rstrip("/") + "/"
    return {
        (p["path"].removeprefix(folder), p["start"], p["end"], p["label"]): p[result]["rank"]
        for p in report["predictions"]
    }


def _changed(a, b, results):
    """How many of the videos of both became right, and wrong."""
    first, second = (_ranks(r, name) for r, name in zip((a, b), results, strict=True))
    both = [(first[key] == 1, second[key] == 1) for key in first if key in second]
    return both.count((False, True)), both.count((True, False))


def _warnings(a, b, results):
    if results[0] != results[1]:
        yield f"{RESULT_NAMES[results[0]]} of A is compared with {RESULT_NAMES[results[1]]} of B."
    only_a, only_b = (set(x["classes"]) - set(y["classes"]) for x, y in ((a, b), (b, a)))
    if only_a or only_b:
        yield (
            f"The classes differ: {_some(only_a)} only in A, {_some(only_b)} only in B; the "
            "accuracies are of different tasks."
        )
    first, second = (set(_ranks(r, name)) for r, name in zip((a, b), results, strict=True))
    if first != second:
        yield (
            f"The videos or their labels differ: {len(first - second):,} only in A, "
            f"{len(second - first):,} only in B, {len(first & second):,} in both."
        )
    ways_a, ways_b = (
        _protocol(report, result) for report, result in zip((a, b), results, strict=True)
    )
    differing = [
        f"{key} {ways_a.get(key, NOTHING)} and {ways_b.get(key, NOTHING)}"
        for key in dict.fromkeys((*ways_a, *ways_b))
        if ways_a.get(key) != ways_b.get(key)
    ]
    if differing:
        yield f"The protocols differ: {', '.join(differing)}."


def _protocol(report, result):
    """How the videos were shown: all but the weights, which are what is compared."""
    ways = {
        " ".join(keys): spelt(value)
        for keys, value in flattened(report["protocol"])
        if keys[0] != "checkpoints"
    }
    return {**ways, "fusion": spelt(report["results"][result].get("fusion"))}


def _some(names, most=3):
    shown = sorted(names)[:most] + (["..."] if len(names) > most else [])
    return f"{len(names)}" + (f" ({', '.join(shown)})" if shown else "")


def _classes(word, changes, shown):
    if not changes:
        return ["", f"no class {word}"]
    title = f"{counted(len(changes), 'class', 'classes')} {word}"
    more = [f"... and {len(changes) - shown} more"] if len(changes) > shown else []
    return ["", *_table(title, changes[:shown]), *more]


def _table(title, changes):
    """Lines of aligned columns under A, B and points."""
    width = max(len(title), *(len(change.name) for change in changes)) if changes else len(title)
    lines = [f"{title:{width}}  {'A':>7}  {'B':>7}  {'points':>7}"]
    for change in changes:
        points = NOTHING if change.points is None else f"{change.points:+.1f}"
        columns = (percent(change.before), percent(change.after), points)
        lines.append(f"{change.name:{width}}" + "".join(f"  {column:>7}" for column in columns))
    return lines
