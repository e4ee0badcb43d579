"""The sections of a report's page that show more than a few numbers."""

import numpy as np

from i3d_tf.metrics.classification import most_confused
from i3d_tf.runs.report_words import NOTHING, RESULT_NAMES, counted, percent, protocol_line
from i3d_tf.viz.confusion import confusion_svg
from i3d_tf.viz.curves import curves_svg
from i3d_tf.viz.markup import element, join

MOST_CLASSES = 40  # whose confusion matrix can still be read
PAIRS = {True: 10, False: 30}  # confused pairs listed beside a matrix, and instead of one
TALL = 20  # rows from which on a table scrolls
PARTS = {"": "training", "val_": "validation", "test_": "test"}  # prefix in a history
PREDICTIONS_SHOWN = 3  # of each of the worst clips


def confusion_section(record):
    """What was taken for what: matrices of a few classes, the most confused pairs of many."""
    readable = len(record["classes"]) <= MOST_CLASSES
    headline = record["headline"]
    others = [name for name in record["results"] if name != headline]
    if readable:
        legend = (
            "A row is a class, a column what its videos were taken for; the stronger the colour, "
            "the larger the share of the row. Blue is right, orange is wrong."
        )
    else:
        legend = (
            f"Of {len(record['classes'])} classes a matrix could not be read; these are the wrong "
            "answers that were given most often."
        )
    return element(
        "section",
        element("h2", "Confusions"),
        element("p", legend, class_="muted small"),
        _confusions(record, headline, readable),
        [
            element(
                "details",
                element("summary", f"{RESULT_NAMES[name]} alone"),
                _confusions(record, name, readable),
            )
            for name in others
        ],
    )


def _confusions(record, name, readable):
    names = record["classes"]
    matrix = np.zeros((len(names), len(names)), np.int64)
    for true, predicted, videos in record["results"][name]["confusion"]:
        matrix[true, predicted] = videos
    picture = None
    if readable:
        svg = confusion_svg(matrix, names, f"Confusion matrix, {RESULT_NAMES[name]}")
        picture = _scrolling(svg, "wide", f"Confusion matrix, {RESULT_NAMES[name]}")
    pairs = element("div", _pairs(record, name, matrix, readable))
    beside = element("div", picture, pairs, class_="beside") if readable else pairs
    return element("div", element("h3", RESULT_NAMES[name]), beside)


def _pairs(record, name, matrix, readable):
    names = record["classes"]
    pairs = most_confused(matrix, PAIRS[readable])
    if not pairs:
        return element("p", "No video was taken for another class.")
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
    heads = ("Class", "Taken for", "Videos", "Of the class")
    caption = f"Most frequent wrong answers. {protocol_line(record, name)}."
    return _table(caption, heads, rows, numbers=(2,))


def classes_section(record):
    """Every class's accuracy in every result, the lowest of the headline's first."""
    results, headline = record["results"], record["headline"]
    accuracy, videos = results[headline]["class_accuracy"], results[headline]["class_videos"]
    unknown = sum(value is None for value in accuracy)
    order = sorted(range(len(accuracy)), key=lambda k: (accuracy[k] is None, accuracy[k] or 0.0, k))
    rows = [
        element(
            "tr",
            element("th", record["classes"][k], scope="row", class_="any"),
            element("td", f"{videos[k]:,}", class_="number"),
            [
                _share(result["class_accuracy"][k], "headline" if name == headline else None)
                for name, result in results.items()
            ],
        )
        for k in order
    ]
    note = f" {counted(unknown, 'class', 'classes')} without videos: nothing is known of them."
    return element(
        "section",
        element("h2", "Classes"),
        element(
            "p",
            f"Top-1 accuracy of every class, the lowest of {RESULT_NAMES[headline]} first."
            + (note if unknown else ""),
            class_="muted small",
        ),
        _table(
            protocol_line(record) + ".",
            ("Class", "Videos", *(RESULT_NAMES[name] for name in results)),
            rows,
            numbers=(1,),
        ),
    )


def curves_section(record):
    """A chart for each measured value of each stream's training; None without a history."""
    streams = {stream: rows for stream, rows in record["history"].items() if rows}
    if not streams:
        return None
    parts = []
    for stream, rows in streams.items():
        charts = [element("div", chart) for chart in _charts(rows)]
        parts.append(element("h3", RESULT_NAMES.get(stream, stream)))
        parts.append(element("div", charts, class_="charts"))
    return element("section", element("h2", "Training"), parts)


def _charts(rows):
    """A chart for every measured value, of training, validation and test together."""
    # Whole numbers are not measured: they count epochs, videos and the like.
    keys = [key for row in rows for key, value in row.items() if isinstance(value, float)]
    names = dict.fromkeys(_base(key) for key in keys if key != "step")
    for name in names:
        lines = {
            words: [(row["step"], row[prefix + name]) for row in rows if prefix + name in row]
            for prefix, words in PARTS.items()
            if prefix + name in keys
        }
        words = name.replace("_", " ")
        # A single line has no legend to say what it was measured on.
        part = f" ({next(iter(lines))})" if len(lines) == 1 and name not in keys else ""
        yield curves_svg(lines, words[:1].upper() + words[1:] + part, share="accuracy" in name)


def _base(key):
    """The name of a value without the part of the data that it was measured on."""
    prefix = next(prefix for prefix in reversed(PARTS) if key.startswith(prefix))
    return key.removeprefix(prefix)


def worst_section(record, strips):
    """The clips that are wrong with the highest probability."""
    headline = record["headline"]
    cards = [
        _clip(record, record["predictions"][index], *strips[index]) for index in record["worst"]
    ]
    words = (
        f"Wrong with the highest probability by {RESULT_NAMES[headline]}. "
        f"{protocol_line(record, headline)}."
    )
    return element(
        "section",
        element("h2", "Worst videos"),
        element("p", words, class_="muted small"),
        element("div", cards, class_="clips")
        if cards
        else element("p", "None: every video was recognised."),
    )


def _clip(record, prediction, address, reason):
    path, label = prediction["path"], prediction["label"]
    if address is None:
        picture = element("p", f"No picture: {reason}", class_="missed muted small any")
    else:
        picture = element("img", src=address, alt=f"Frames of {path}, of class {label}")
    answers = [
        part
        for name in record["results"]
        for part in (
            element("dt", RESULT_NAMES[name]),
            element("dd", _ranking(prediction[name]["top"], label), class_="any"),
        )
    ]
    cut = _cut(prediction["start"], prediction["end"])
    return element(
        "article",
        picture,
        element("p", path, cut, class_="muted small any", style="margin:4px 0 0"),
        element(
            "dl",
            element("dt", "Label"),
            element("dd", element("span", label, class_="ink-right"), class_="any"),
            answers,
            class_="small",
        ),
    )


def _cut(start, end):
    if start is None and end is None:
        return None
    return f", {start or 0:g} s to {'its end' if end is None else f'{end:g} s'}"


def _ranking(top, label):
    """The best classes with their probabilities, the label among them marked."""
    return join(
        (
            element(
                "span",
                f"{answer['label']} {percent(answer['probability'], 0)}",
                class_=_ink(place, answer["label"] == label),
            )
            for place, answer in enumerate(top[:PREDICTIONS_SHOWN])
        ),
        ", ",
    )


def _ink(place, right):
    if right:
        return "ink-right"
    return "ink-wrong" if place == 0 else None


def _share(share, kind=None):
    """A cell with a share and a bar as long; a dash where nothing is known."""
    if share is None:
        return element("td", NOTHING, class_="share")
    bar = element("span", element("i", style=f"width:{100 * share:.1f}%"), class_="bar")
    content = element("div", element("span", percent(share)), bar)
    return element("td", content, class_=join(filter(None, ("share", kind)), " "))


def _table(caption, heads, rows, numbers=()):
    head = [
        element("th", words, scope="col", class_="number" if k in numbers else None)
        for k, words in enumerate(heads)
    ]
    table = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", head)),
        element("tbody", rows),
    )
    return _scrolling(table, "tall" if len(rows) > TALL else "wide", caption)


def _scrolling(content, kind, label):
    """A box that scrolls, also with the keyboard."""
    return element("div", content, class_=kind, tabindex=0, role="region", aria_label=label)
