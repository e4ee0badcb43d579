"""The page of an evaluation's report."""

from typing import NamedTuple

from i3d_tf.evaluation.measure import TOP
from i3d_tf.evaluation.results import Results, StreamResult, VideoPrediction
from i3d_tf.evaluation.text import (
    FUSION_NAMES,
    PROTOCOL_NAMES,
    RESULT_NAMES,
    counted,
    flatten,
    format_value,
    percent,
    protocol_line,
)
from i3d_tf.metrics.classification import most_confused
from i3d_tf.viz.confusion import confusion_svg
from i3d_tf.viz.curves import curves_svg
from i3d_tf.viz.markup import Markup, element, join
from i3d_tf.viz.page import (
    data_table,
    entries_on_demand,
    facts_table,
    html_page,
    scrolling,
    share_cell,
)

MAX_CLASSES = 40  # of a confusion matrix that is readable
MAX_PAIRS_BESIDE_MATRIX, MAX_PAIRS_ALONE = 10, 30
PREDICTIONS_SHOWN = 3  # of each error
HASH_SHOWN = 12  # characters of a SHA-256 beside a number; the table has it whole
DATASETS = {"": "training", "val_": "validation", "test_": "test"}  # prefix in a history


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
        protocol_line(results),
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
    return element(
        "section",
        element("h2", "Accuracy"),
        element(
            "p",
            "Top-1: the label is the most probable class. "
            + (top_5 if results.best.top_5 is not None else "")
            + "Class mean: every class counts the same, however many videos it has.",
            class_="muted small",
        ),
        element("div", [_card(results, name) for name in results.by_stream], class_="results"),
    )


def protocol_section(results: Results) -> Markup:
    """Returns the tables of the protocol and of the dataset's report."""
    protocol, data = results.protocol, results.data
    known = [key for key, _, _ in PROTOCOL_NAMES]
    rows = [(name, format_value(protocol[k])) for k, _, name in PROTOCOL_NAMES if k in protocol]
    rows += [
        (_title(" · ".join(keys)), format_value(value))
        for keys, value in flatten({k: v for k, v in protocol.items() if k not in known})
    ]
    fusions = {r.fusion for r in results.by_stream.values() if r.fusion is not None}
    rows += [("Fusion of the streams", FUSION_NAMES[fusion]) for fusion in fusions]
    counts = [("Videos evaluated", f"{len(results.predictions):,}")]
    counts += [(_title(key), _count(value)) for key, value in data.items()]
    lists = {key: value for key, value in data.items() if isinstance(value, list) and value}
    return element(
        "section",
        element("h2", "Protocol and data"),
        element(
            "div",
            element("div", element("h3", "Protocol"), facts_table(rows, "Protocol")),
            element(
                "div",
                element("h3", "Data"),
                facts_table(counts, "Data"),
                [_details(key, entries) for key, entries in lists.items()],
            ),
            class_="pair",
        ),
    )


def confusion_section(results: Results) -> Markup:
    """Returns confusion matrices of a few classes, the most frequent confusions of many."""
    readable = len(results.class_names) <= MAX_CLASSES
    if readable:
        legend = (
            "Rows are classes, columns predictions; the stronger the colour, the larger the share "
            "of the row. Blue is correct, orange is wrong."
        )
    else:
        legend = (
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
    return element(
        "section",
        element("h2", "Confusion matrix" if readable else "Most frequent confusions"),
        element("p", legend, class_="muted small"),
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
    note = f" {counted(unknown, 'class', 'classes')} without videos." if unknown else ""
    return element(
        "section",
        element("h2", "Accuracy by class"),
        element(
            "p",
            f"Top-1, the lowest of {RESULT_NAMES[results.headline]} first.{note}",
            class_="muted small",
        ),
        data_table(
            protocol_line(results) + ".",
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
        charts = [element("div", chart) for chart in _charts(rows)]
        parts.append(element("h3", RESULT_NAMES.get(stream, stream)))
        parts.append(element("div", charts, class_="charts"))
    return element("section", element("h2", "Training"), parts)


def errors_section(results: Results, pictures: dict[int, Picture]) -> Markup:
    """Returns the videos whose wrong prediction has the highest probability."""
    headline = results.headline
    cards = [_error_card(results.predictions[index], pictures[index]) for index in results.errors]
    text = (
        f"Wrong predictions of {RESULT_NAMES[headline]}, highest probability first. "
        f"{protocol_line(results, headline)}."
    )
    return element(
        "section",
        element("h2", "Most confident errors"),
        element("p", text, class_="muted small"),
        element("div", cards, class_="clips")
        if cards
        else element("p", "None: every video was classified correctly."),
    )


def _card(results, name):
    result = results.by_stream[name]
    rows = [("Correct", f"{result.correct:,} of {counted(len(results.predictions), 'video')}")]
    if result.top_5 is not None:
        rows.append((f"Top-{TOP}", percent(result.top_5)))
    rows.append(("Class mean", _class_mean(result)))
    rows += [
        (f"{RESULT_NAMES[stream]} weights", _checkpoint(results, stream))
        for stream in result.streams
    ]
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
        element("p", protocol_line(results, name), class_="muted small", style="margin-top:8px"),
        class_="headline" if name == results.headline else None,
    )


def _class_mean(result: StreamResult):
    classes = len(result.class_videos)
    with_videos = sum(videos > 0 for videos in result.class_videos)
    mean = percent(result.mean_class)
    if with_videos < classes:
        mean += f" (of the {with_videos} of {classes} classes that have videos)"
    return mean


def _checkpoint(results, stream):
    """Returns the weights' name and the start of their hash."""
    checkpoints = results.protocol.get("checkpoints")
    checkpoint = checkpoints.get(stream) if isinstance(checkpoints, dict) else None
    if not isinstance(checkpoint, dict):
        return format_value(checkpoint)
    name, sha256 = (format_value(checkpoint.get(key)) for key in ("name", "sha256"))
    return join((name, " ", element("span", sha256[:HASH_SHOWN], class_="muted mono")))


def _confusions(results, name, readable):
    result = results.by_stream[name]
    matrix = result.confusion_matrix()
    pairs = most_confused(matrix, MAX_PAIRS_BESIDE_MATRIX if readable else MAX_PAIRS_ALONE)
    content = element("div", _pairs_table(results, name, pairs))
    if readable:
        heading = f"Confusion matrix, {RESULT_NAMES[name]}"
        svg = confusion_svg(matrix, results.class_names, heading)
        content = element("div", scrolling(svg, "wide", heading), content, class_="beside")
    return element("div", element("h3", RESULT_NAMES[name]), content)


def _pairs_table(results, name, pairs):
    if not pairs:
        return element("p", "No video was classified wrongly.")
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
    caption = f"Most frequent confusions. {protocol_line(results, name)}."
    return data_table(caption, ("Class", "Predicted", "Videos", "Of the class"), rows, numbers=(2,))


def _charts(rows):
    """Yields a chart for every measured value, of training, validation and test together."""
    # Integers are not measured: they count epochs, videos and the like.
    keys = [key for row in rows for key, value in row.items() if isinstance(value, float)]
    for name in dict.fromkeys(_without_prefix(key) for key in keys if key != "step"):
        lines = {
            dataset: [(row["step"], row[prefix + name]) for row in rows if prefix + name in row]
            for prefix, dataset in DATASETS.items()
            if prefix + name in keys
        }
        title = _title(name)
        if len(lines) == 1 and name not in keys:  # a single line has no legend to name its dataset
            title += f" ({next(iter(lines))})"
        yield curves_svg(lines, title, share="accuracy" in name)


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
            element("dt", "Label"),
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
    return entries_on_demand(_title(name), shown, "report.json")


def _title(key):
    """Returns the name of a field as a title."""
    text = key.replace("_", " ")
    return text[:1].upper() + text[1:]
