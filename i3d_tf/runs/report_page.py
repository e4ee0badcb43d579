"""The report's page: one HTML file that needs no other, no script and no network."""

from i3d_tf.runs.report_numbers import TOP
from i3d_tf.runs.report_sections import (
    classes_section,
    confusion_section,
    curves_section,
    worst_section,
)
from i3d_tf.runs.report_style import STYLE
from i3d_tf.runs.report_words import (
    FUSION_WORDS,
    PROTOCOL_WORDS,
    RESULT_NAMES,
    counted,
    flattened,
    percent,
    protocol_line,
    spelt,
)
from i3d_tf.viz.markup import Markup, element, join

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
