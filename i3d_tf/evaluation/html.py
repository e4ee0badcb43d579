"""The report's page: one HTML file that needs no other, no script and no network."""

import numpy as np

from i3d_tf.evaluation.results import TOP
from i3d_tf.evaluation.text import (
    FUSION_WORDS,
    NOTHING,
    PROTOCOL_WORDS,
    RESULT_NAMES,
    counted,
    flattened,
    percent,
    protocol_line,
    spelt,
)
from i3d_tf.metrics.classification import most_confused
from i3d_tf.viz.confusion import confusion_svg
from i3d_tf.viz.curves import curves_svg
from i3d_tf.viz.markup import Markup, element, join

MAX_CLASSES = 40  # whose confusion matrix can still be read
PAIRS = {True: 10, False: 30}  # confused pairs listed beside a matrix, and instead of one
TALL = 20  # rows from which on a table scrolls
PARTS = {"": "training", "val_": "validation", "test_": "test"}  # prefix in a history
PREDICTIONS_SHOWN = 3  # of each of the worst clips


def confusion_section(record):
    """What was taken for what: matrices of a few classes, the most confused pairs of many."""
    readable = len(record["classes"]) <= MAX_CLASSES
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


# Cells of the confusion matrix carry numbers, so their colours differ from those of lines and bars:
# every number reaches a contrast of about 4 or more.
STYLE = """
:root {
  color-scheme: light dark;
  --page: #f5f6f8; --card: #fff; --text: #1b1f27; --muted: #586273; --line: #dfe3e9;
  --correct: #2563b0; --wrong: #b4480f; --correct-fill: #2563b0; --wrong-fill: #b4480f;
  --on-fill: #fff;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12151b; --card: #1a1f27; --text: #e6e9ee; --muted: #9aa5b4; --line: #303845;
    --correct: #6ea8f0; --wrong: #f0955a; --correct-fill: #2f6fc0; --wrong-fill: #b85518;
    --on-fill: #f2f4f8;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 24px 20px 60px; max-width: 1120px;
  background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 4px; }
h2 { font-size: 19px; margin: 0 0 4px; }
h3 { font-size: 15px; margin: 18px 0 6px; }
p { margin: 0 0 10px; }
.muted { color: var(--muted); }
.small { font-size: 13px; }
.mono { font: 13px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.any { overflow-wrap: anywhere; unicode-bidi: isolate; }
section {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 18px 20px; margin-top: 18px;
}
.results { display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(250px, 1fr)); }
.results > div { border-top: 3px solid var(--line); padding-top: 8px; }
.results > .headline { border-color: var(--correct); }
.big { font-size: 38px; line-height: 1.15; font-weight: 650; letter-spacing: -0.01em; }
.big small { font-size: 15px; font-weight: 400; letter-spacing: 0; }
.pair { display: grid; gap: 0 28px; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); }
.wide { overflow-x: auto; }
.beside { display: flex; flex-wrap: wrap; gap: 16px 32px; align-items: flex-start; }
.beside > :first-child { max-width: 100%; }
.beside > :last-child { flex: 1 1 380px; min-width: 0; }
.tall { overflow: auto; max-height: 640px; border-bottom: 1px solid var(--line); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--muted); font-size: 13px; padding-bottom: 6px; }
th, td { text-align: left; padding: 5px 10px 5px 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
thead th { position: sticky; top: 0; background: var(--card); font-size: 13px;
  color: var(--muted); }
tbody th { font-weight: 500; }
.number { text-align: right; white-space: nowrap; }
.number + * { padding-left: 14px; }
td.share { min-width: 76px; width: 20%; }
td.share div { display: flex; flex-wrap: wrap; align-items: center; gap: 0 8px; }
td.share span:first-child { min-width: 62px; text-align: right; }
.bar { flex: 1 1 40px; height: 6px; border-radius: 3px; background: var(--line); }
.bar i { display: block; height: 100%; border-radius: 3px; background: var(--muted); }
.headline .bar i { background: var(--correct); }
.wrong .bar i { background: var(--wrong); }
.facts th { color: var(--muted); font-weight: 400; width: 42%; }
.charts { display: grid; gap: 18px; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); }
.charts svg { width: 100%; max-width: 520px; height: auto; display: block; }
.confusion { display: block; }
.confusion g:hover rect { stroke: var(--text); stroke-width: 2; }
.clips { display: grid; gap: 18px; grid-template-columns: repeat(auto-fill, minmax(310px, 1fr)); }
.clips img { display: block; max-width: 100%; height: auto; border-radius: 4px; }
.clips dl { display: grid; grid-template-columns: auto 1fr; gap: 0 10px; margin: 6px 0 0; }
.clips dt { color: var(--muted); }
.clips dd { margin: 0; }
.clips dd span { unicode-bidi: isolate; }
.missed { border: 1px dashed var(--line); border-radius: 4px; padding: 14px; }
.ink-right { color: var(--correct); font-weight: 600; }
.ink-wrong { color: var(--wrong); font-weight: 600; }
summary { cursor: pointer; padding: 4px 0; }
ul { margin: 4px 0 10px; padding-left: 20px; }
:focus-visible { outline: 2px solid var(--correct); outline-offset: 2px; }
@media (max-width: 520px) {
  body { padding: 16px 10px 40px; }
  section { padding: 14px 12px; }
  .clips { grid-template-columns: 1fr; }
  th, td { padding-right: 6px; }
  .tall, .wide { font-size: 14px; }
  .tall tbody th, .wide tbody th { min-width: 92px; }
  .number + * { padding-left: 4px; }
  td.share { min-width: 60px; }
  td.share span:first-child { text-align: left; }
}
@media print {
  .tall, .wide { overflow: visible; max-height: none; }
  section { break-inside: avoid-page; }
}
"""


# Tells a browser to fetch nothing and run nothing, whatever a class or a file may be called.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
HASH_SHOWN = 12  # characters of a SHA-256 beside a number; the table has it whole
LISTED = 200  # entries of a list of files; report.json has them all


def report_page(record, strips) -> str:
    """The page of an evaluation.

    Args:
        record: What `report_numbers` returns.
        strips: Index of a prediction to (address of a picture or None, why there is none or None),
            for each of `record["worst"]`.

    Returns:
        HTML; names and paths are text in it, whatever they hold.
    """
    best = record["results"][record["headline"]]
    data = record["data"]
    about = " ".join(spelt(data[key]) for key in ("name", "split") if data.get(key))
    title = f"{about or 'Evaluation'}: {percent(best['top_1'])} top-1"
    head = (
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Markup(STYLE)),
    )
    body = (
        element(
            "header",
            element("h1", f"Evaluation on {about}" if about else "Evaluation", class_="any"),
            element("p", protocol_line(record), class_="muted"),
        ),
        element(
            "main",
            _results(record),
            _protocol_and_data(record),
            confusion_section(record),
            classes_section(record),
            curves_section(record),
            worst_section(record, strips),
        ),
    )
    page = element("html", element("head", head), element("body", body), lang="en")
    return f"<!DOCTYPE html>\n{page}\n"


def _results(record):
    cards = [_card(record, name) for name in record["results"]]
    return element(
        "section",
        element("h2", "Results"),
        element(
            "p",
            "Top-1: the label is the best class. "
            + (f"Top-{TOP}: it is among the {TOP} best. " if _has_top_5(record) else "")
            + "Class mean: every class counts the same, however many videos it has.",
            class_="muted small",
        ),
        element("div", cards, class_="results"),
    )


def _has_top_5(record):
    return record["results"][record["headline"]]["top_5"] is not None


def _card(record, name):
    result = record["results"][name]
    seen = sum(videos > 0 for videos in result["class_videos"])
    classes = len(record["classes"])
    mean = percent(result["mean_class"])
    if seen < classes:
        mean += f" (of the {seen} of {classes} classes that have videos)"
    facts = [("Right", f"{result['correct']:,} of {counted(record['videos'], 'video')}")]
    if result["top_5"] is not None:
        facts.append((f"Top-{TOP}", percent(result["top_5"])))
    facts.append(("Class mean", mean))
    facts += [(_made_by(stream), _checkpoint(record, stream)) for stream in result["streams"]]
    return element(
        "div",
        element("h3", RESULT_NAMES[name], style="margin-top:0"),
        element(
            "p",
            percent(result["top_1"]),
            " ",
            element("small", "top-1", class_="muted"),
            class_="big",
        ),
        _facts(facts, f"Numbers of {RESULT_NAMES[name]}"),
        element("p", protocol_line(record, name), class_="muted small", style="margin-top:8px"),
        class_="headline" if name == record["headline"] else None,
    )


def _made_by(stream):
    return f"{RESULT_NAMES[stream]} weights"


def _checkpoint(record, stream):
    """The weights' name and the start of their hash."""
    checkpoints = record["protocol"].get("checkpoints")
    checkpoint = checkpoints.get(stream) if isinstance(checkpoints, dict) else None
    if not isinstance(checkpoint, dict):
        return spelt(checkpoint)
    name, sha256 = (spelt(checkpoint.get(key)) for key in ("name", "sha256"))
    return join((name, " ", element("span", sha256[:HASH_SHOWN], class_="muted mono")))


def _facts(facts, caption):
    rows = [
        element("tr", element("th", name, scope="row"), element("td", value, class_="any"))
        for name, value in facts
    ]
    return element("table", element("tbody", rows), class_="facts small", aria_label=caption)


def _protocol_and_data(record):
    protocol, data = record["protocol"], record["data"]
    known = [key for key, _, _ in PROTOCOL_WORDS]
    facts = [(words, spelt(protocol[key])) for key, _, words in PROTOCOL_WORDS if key in protocol]
    facts += [
        (" · ".join(keys), spelt(value))
        for keys, value in flattened({k: v for k, v in protocol.items() if k not in known})
    ]
    fusions = {result["fusion"] for result in record["results"].values()} - {None}
    facts += [("Fusion of the streams", FUSION_WORDS[fusion]) for fusion in fusions]
    lists = {key: value for key, value in data.items() if isinstance(value, list)}
    found = [(key.replace("_", " ").capitalize(), _count(value)) for key, value in data.items()]
    return element(
        "section",
        element("h2", "Protocol and data"),
        element(
            "div",
            element("div", element("h3", "Protocol"), _facts(facts, "Protocol")),
            element(
                "div",
                element("h3", "Data"),
                _facts([("Evaluated", f"{record['videos']:,}"), *found], "Data"),
                [_list(key, value) for key, value in lists.items() if value],
            ),
            class_="pair",
        ),
    )


def _count(value):
    """How many, of lists and counts; anything else as it is."""
    if isinstance(value, list):
        return f"{len(value):,}"
    return f"{value:,}" if type(value) is int else spelt(value)


def _list(name, entries):
    shown = [
        " · ".join(spelt(part) for part in entry.values() if part is not None)
        if isinstance(entry, dict)
        else spelt(entry)
        for entry in entries[:LISTED]
    ]
    if len(entries) > LISTED:
        shown.append(f"… and {len(entries) - LISTED:,} more, in report.json")
    return element(
        "details",
        element("summary", f"{name.replace('_', ' ').capitalize()} ({len(entries):,})"),
        element("ul", [element("li", entry) for entry in shown], class_="small any"),
    )
