"""The page of an evaluation's report."""

from typing import NamedTuple

from i3d_tf.evaluation.findings import (
    accuracy_sentence,
    classes_sentence,
    confusion_sentence,
    curve_sentence,
)
from i3d_tf.evaluation.measure import TOP
from i3d_tf.evaluation.results import Results, StreamResult, VideoPrediction
from i3d_tf.evaluation.text import (
    RESULT_NAMES,
    counted,
    format_value,
    percent,
    protocol_rows,
    sentence_case,
)
from i3d_tf.metrics.classification import most_confused
from i3d_tf.viz.confusion import confusion_svg
from i3d_tf.viz.curves import curves_svg
from i3d_tf.viz.markup import Markup, element, join
from i3d_tf.viz.page import (
    card,
    colour_key,
    data_table,
    entries_on_demand,
    facts_table,
    finding,
    html_page,
    note,
    scrolling,
    share_cell,
)

MAX_CLASSES = 40  # of a confusion matrix that is readable
MAX_PAIRS_BESIDE_MATRIX, MAX_PAIRS_ALONE = 10, 30
PREDICTIONS_SHOWN = 3  # of each error
DATASETS = {"": "training", "val_": "validation", "test_": "test"}  # prefix in a history
# Entry of the dataset's report to its name; those that are empty are left out.
DATA_NAMES = {
    "name": "Dataset",
    "split": "Split",
    "data_dir": "Folder",
    "rows": "Rows of the annotation",
    "found": "Videos found",
    "missing": "Missing videos",
    "unreadable": "Unreadable videos",
    "skipped": "Skipped rows",
    "left_out": "Rows of other splits or classes",
    "classes": "Classes",
    "notes": "Notes",
}


class Picture(NamedTuple):
    """Frames of a video as an image's address, or the reason why there are none."""

    address: str | None = None
    missing: str | None = None


def report_page(results: Results, pictures: dict[int, Picture]) -> str:
    """Returns the page of an evaluation.

    Args:
        results: The results.
        pictures: Index of a prediction to its picture, for each of `results.errors`.

    Returns:
        HTML; names and paths are text in it, whatever they hold.
    """
    data = results.data
    dataset = " ".join(format_value(data[key]) for key in ("name", "split") if data.get(key))
    return html_page(
        f"{dataset or 'Evaluation'}: {percent(results.best.top_1)} top-1",
        f"Evaluation on {dataset}" if dataset else "Evaluation",
        f"{counted(len(results.predictions), 'video')} of "
        f"{counted(len(results.class_names), 'class', 'classes')}",
        accuracy_section(results),
        protocol_section(results),
        confusion_section(results),
        classes_section(results),
        training_section(results),
        errors_section(results, pictures),
    )


def accuracy_section(results: Results) -> Markup:
    """Returns a card with the accuracies of each result."""
    top_5 = f"Top-{TOP}: it is among the {TOP} most probable. "
    return card(
        "Accuracy",
        note(
            "Top-1: the true class is the most probable one. "
            + (top_5 if results.best.top_5 is not None else "")
            + "Class mean: the mean of the classes' top-1, however many videos each has."
        ),
        element("div", [_card(results, name) for name in results.by_stream], class_="results"),
        finding(accuracy_sentence(results)),
    )


def protocol_section(results: Results) -> Markup:
    """Returns the tables of the protocol and of the dataset's report."""
    data = results.data
    counts = [("Videos evaluated", f"{len(results.predictions):,}")]
    counts += [
        (_data_name(key), _count(value))
        for key, value in data.items()
        if value not in (None, "", 0, [])
    ]
    lists = {key: value for key, value in data.items() if isinstance(value, list) and value}
    absent = [key for key in ("missing", "unreadable", "skipped") if key in data]
    return card(
        "Protocol and data",
        element(
            "div",
            element(
                "div", element("h3", "Protocol"), facts_table(protocol_rows(results), "Protocol")
            ),
            element(
                "div",
                element("h3", "Data"),
                facts_table(counts, "Data"),
                note("No video is missing or unreadable, and no row was skipped.")
                if absent and not any(data[key] for key in absent)
                else None,
                [_details(key, entries) for key, entries in lists.items()],
            ),
            class_="pair",
        ),
    )


def confusion_section(results: Results) -> Markup:
    """Returns confusion matrices of a few classes, the most frequent confusions of many."""
    readable = len(results.class_names) <= MAX_CLASSES
    if readable:
        legend = colour_key(
            {"correct-fill": "correct", "wrong-fill": "wrong"},
            "Rows are the true classes, columns the predicted ones; numbers are videos. The "
            "stronger the colour, the larger the share of the true class.",
        )
    else:
        legend = note(
            f"The confusion matrix of {len(results.class_names)} classes is too large to be read; "
            "these are its largest entries off the diagonal."
        )
    others = [
        element(
            "details", element("summary", RESULT_NAMES[name]), _confusions(results, name, readable)
        )
        for name in results.by_stream
        if name != results.headline
    ]
    return card(
        "Confusion matrix" if readable else "Most frequent confusions",
        legend,
        _confusions(results, results.headline, readable),
        others,
    )


def classes_section(results: Results) -> Markup:
    """Returns every class's accuracy in every result, the lowest of the headline's first."""
    accuracy, videos = results.best.class_accuracy, results.best.class_videos
    unknown = sum(value is None for value in accuracy)
    order = sorted(range(len(accuracy)), key=lambda k: (accuracy[k] is None, accuracy[k] or 0.0, k))
    rows = [
        element(
            "tr",
            element("th", results.class_names[k], scope="row", class_="any"),
            element("td", f"{videos[k]:,}", class_="number"),
            [
                _share(result.class_accuracy[k], "headline" if name == results.headline else None)
                for name, result in results.by_stream.items()
            ],
        )
        for k in order
    ]
    without = f" {counted(unknown, 'class', 'classes')} without videos." if unknown else ""
    return card(
        "Accuracy by class",
        finding(classes_sentence(results)),
        data_table(
            f"Top-1, the lowest of {RESULT_NAMES[results.headline]} first.{without}",
            ("Class", "Videos", *(RESULT_NAMES[name] for name in results.by_stream)),
            rows,
            numbers=(1,),
        ),
    )


def training_section(results: Results) -> Markup | None:
    """Returns a chart for each measured value of each stream's training; None without a history."""
    histories = {stream: rows for stream, rows in results.history.items() if rows}
    if not histories:
        return None
    parts = []
    for stream, rows in histories.items():
        charts = [element("div", *chart) for chart in _charts(rows)]
        parts.append(element("h3", RESULT_NAMES.get(stream, stream)))
        parts.append(element("div", charts, class_="charts"))
    return card("Training", parts)


def errors_section(results: Results, pictures: dict[int, Picture]) -> Markup:
    """Returns the videos whose wrong prediction has the highest probability."""
    headline = results.headline
    cards = [_error_card(results.predictions[index], pictures[index]) for index in results.errors]
    wrong = len(results.predictions) - results.best.correct
    if not cards:
        return card("Most confident errors", finding("None: every video is correct."))
    return card(
        "Most confident errors",
        finding(
            f"{counted(wrong, 'video')} of {len(results.predictions):,} "
            f"{'is' if wrong == 1 else 'are'} predicted as another class by "
            f"{RESULT_NAMES[headline]}. Shown: {len(cards)}, the highest probability of the "
            "predicted class first."
        ),
        colour_key({"correct": "true class", "wrong": "predicted class, if it is another"}),
        element("div", cards, class_="clips"),
    )


def _card(results, name):
    result = results.by_stream[name]
    rows = [("Correct", f"{result.correct:,} of {counted(len(results.predictions), 'video')}")]
    if result.top_5 is not None:
        rows.append((f"Top-{TOP}", percent(result.top_5)))
    rows.append(("Class mean", _class_mean(result)))
    return element(
        "div",
        element("h3", RESULT_NAMES[name], style="margin-top:0"),
        element(
            "p",
            percent(result.top_1),
            " ",
            element("small", "top-1", class_="muted"),
            class_="big",
        ),
        facts_table(rows, f"Numbers of {RESULT_NAMES[name]}"),
        class_="headline" if name == results.headline else None,
    )


def _class_mean(result: StreamResult):
    classes = len(result.class_videos)
    with_videos = sum(videos > 0 for videos in result.class_videos)
    mean = percent(result.mean_class)
    if with_videos < classes:
        mean += f" (of the {with_videos} of {classes} classes that have videos)"
    return mean


def _confusions(results, name, readable):
    result = results.by_stream[name]
    matrix = result.confusion_matrix()
    pairs = most_confused(matrix, MAX_PAIRS_BESIDE_MATRIX if readable else MAX_PAIRS_ALONE)
    content = element("div", _pairs_table(results, pairs))
    if readable:
        heading = f"Confusion matrix, {RESULT_NAMES[name]}"
        svg = confusion_svg(matrix, results.class_names, heading)
        content = element("div", scrolling(svg, "wide", heading), content, class_="beside")
    return element(
        "div",
        element("h3", RESULT_NAMES[name]),
        content,
        finding(confusion_sentence(result, results.class_names)),
    )


def _pairs_table(results, pairs):
    if not pairs:
        return None
    names = results.class_names
    rows = [
        element(
            "tr",
            element("th", names[pair.true], scope="row", class_="any"),
            element("td", names[pair.predicted], class_="any"),
            element("td", f"{pair.clips:,}", class_="number"),
            _share(pair.share),
            class_="wrong",
        )
        for pair in pairs
    ]
    heads = ("True class", "Predicted class", "Videos", "Share of the true class")
    return data_table("Most frequent confusions", heads, rows, numbers=(2,))


def _charts(rows):
    """Yields (chart, sentence) of every measured value, of training, validation and test."""
    # Integers are not measured: they count epochs, videos and the like.
    keys = [key for row in rows for key, value in row.items() if isinstance(value, float)]
    for name in dict.fromkeys(_without_prefix(key) for key in keys if key != "step"):
        lines = {
            dataset: [(row["step"], row[prefix + name]) for row in rows if prefix + name in row]
            for prefix, dataset in DATASETS.items()
            if prefix + name in keys
        }
        title = sentence_case(name)
        if len(lines) == 1 and name not in keys:  # a single line has no legend to name its dataset
            title += f" ({next(iter(lines))})"
        is_share = "accuracy" in name
        words = [curve_sentence(label, points, is_share) for label, points in lines.items()]
        yield curves_svg(lines, title, share=is_share), note(" ".join(filter(None, words)))


def _without_prefix(key):
    """Returns the name of a value without the dataset that it was measured on."""
    prefix = next(prefix for prefix in reversed(DATASETS) if key.startswith(prefix))
    return key.removeprefix(prefix)


def _error_card(prediction: VideoPrediction, picture: Picture):
    path, label = prediction.path, prediction.label
    if picture.address is None:
        image = element("p", f"No picture: {picture.missing}", class_="missed muted small any")
    else:
        image = element("img", src=picture.address, alt=f"Frames of {path}, of class {label}")
    rankings = [
        part
        for name, ranking in prediction.rankings.items()
        for part in (
            element("dt", RESULT_NAMES[name]),
            element("dd", _predictions(ranking, label), class_="any"),
        )
    ]
    cut = _cut(prediction.start, prediction.end)
    return element(
        "article",
        image,
        element("p", path, cut, class_="muted small any", style="margin:4px 0 0"),
        element(
            "dl",
            element("dt", "True class"),
            element("dd", element("span", label, class_="ink-correct"), class_="any"),
            rankings,
            class_="small",
        ),
    )


def _cut(start, end):
    if start is None and end is None:
        return None
    return f", {start or 0:g} s to {'its end' if end is None else f'{end:g} s'}"


def _predictions(ranking, label):
    """Returns the most probable classes with their probabilities, the label among them marked."""
    return join(
        (
            element(
                "span",
                f"{predicted.label} {percent(predicted.probability, 0)}",
                class_=_ink(place, predicted.label == label),
            )
            for place, predicted in enumerate(ranking.top[:PREDICTIONS_SHOWN])
        ),
        ", ",
    )


def _ink(place, correct):
    if correct:
        return "ink-correct"
    return "ink-wrong" if place == 0 else None


def _share(share, kind=None):
    """Returns a cell with a share and a bar as long; a dash for None."""
    return share_cell(share, percent(share), kind)


def _count(value):
    """Returns the number of a list's entries; a count or another value as it is."""
    if isinstance(value, list):
        return f"{len(value):,}"
    return f"{value:,}" if type(value) is int else format_value(value)


def _details(name, entries):
    """Returns a list that is shown on demand."""
    shown = [
        " · ".join(format_value(part) for part in entry.values() if part is not None)
        if isinstance(entry, dict)
        else format_value(entry)
        for entry in entries
    ]
    return entries_on_demand(_data_name(name), shown, "report.json")


def _data_name(key):
    return DATA_NAMES.get(key, sentence_case(key))
