"""The page of a temporal ablation, and its chart."""

from typing import Any

from i3d_tf.explain.ablation import Ablation
from i3d_tf.explain.frame_orders import BEST, MIDDLE, ORIGINAL, REVERSED
from i3d_tf.metrics.bootstrap import Difference
from i3d_tf.specs.streams import JOINT
from i3d_tf.viz.markup import Markup, element
from i3d_tf.viz.page import (
    card,
    data_table,
    entries_on_demand,
    facts_table,
    finding,
    html_page,
    note,
    share_cell,
)
from i3d_tf.viz.share_bars import Share, share_bars_svg

RESULT_NAMES = {"rgb": "RGB", "flow": "optical flow", JOINT: "both streams"}
HEADING = "Temporal ablation"
SETTING_NAMES = {
    "frames": "Frames of a clip",
    "frame_rate": "Frames per second",
    "windows": "Clips of a video",
    "segments": "Snippets of a clip",
    "rgb_step": "RGB shows one of so many frames",
    "short_side": "Short side, pixels",
    "crop_size": "Crop, pixels",
    "crops": "Crops of a clip",
    "crop_set": "Places of the crops",
    "flow_direction": "Direction of the flow",
    "flow_engine": "Optical flow engine",
    "flow_rounding": "Rounding of the flow's codes",
    "folder_rate": "Frames per second of folders",
    "video_options": "Options of reading videos",
    "frozen_frames": "Frames to choose from",
    "seed": "Seed",
}
UNUSED = {"segments": 1, "rgb_step": 1, "crop_set": "spread"}  # values that need no row
MAX_VIDEOS = 60  # whose predictions are shown; ablation.json has them all
MISSING = "-"
UNBROKEN = "white-space:nowrap"  # of names beside many columns


def ablation_page(ablation: Ablation) -> str:
    """Returns the page of an ablation; names and paths are text in it, whatever they hold."""
    data = ablation.metadata["data"]
    dataset = " ".join(str(data[key]) for key in ("name", "split") if data.get(key))
    count = len(ablation.videos)
    sections: tuple = (predictions_section(ablation),)
    if ablation.labels is not None:
        sections = (
            accuracy_section(ablation),
            reversal_section(ablation),
            classes_section(ablation),
            *(sections if count <= MAX_VIDEOS else ()),
        )
    return html_page(
        f"{HEADING}: {dataset}",
        f"{HEADING} of {dataset}",
        f"{count:,} video{'s' * (count != 1)}, each shown with its frames in other orders, and one "
        "frame repeated. Flow is computed anew of every order.",
        *sections,
        settings_section(ablation),
    )


def accuracy_chart(ablation: Ablation) -> Markup:
    """Returns the accuracies under all conditions as an SVG picture; the videos have labels."""
    groups: dict[str, dict[str, Share]] = {}
    for condition in ablation.conditions:
        for name, results in ablation.results.items():
            labels = results[condition.name].against_labels
            before = labels.accuracy + labels.drop.value
            low, high = before - labels.drop.high, before - labels.drop.low
            share = Share(labels.accuracy, max(low, 0.0), min(high, 1.0))
            groups.setdefault(condition.title, {})[RESULT_NAMES[name]] = share
    chance = 1 / len(ablation.class_names)
    return share_bars_svg(groups, "Accuracy (top-1)", mark=("chance", chance))


def accuracy_section(ablation: Ablation) -> Markup:
    """Returns the chart, and a table of all conditions for each result."""
    return card(
        "Accuracy under each condition",
        [finding(sentence) for sentence in findings(ablation)],
        element("div", accuracy_chart(ablation), class_="wide"),
        note(
            "Lines are 95 % intervals of the drop (paired bootstrap: test sets resampled by video, "
            "the two predictions of a video kept together), drawn around the accuracy. A class "
            "without certain drop is one whose own interval reaches 0; intervals of classes of few "
            "videos are rough. Same prediction: share of the videos that are classified as with "
            "the frames as they are, correctly or not."
        ),
        _for_each_result(ablation, _accuracy_table),
    )


def _for_each_result(ablation, table) -> list[Markup]:
    """Returns the headline's table, and the others on demand."""
    others = [name for name in ablation.results if name != ablation.headline]
    return [
        table(ablation, ablation.headline),
        *(
            element("details", element("summary", _capital(RESULT_NAMES[name])), found)
            for name in others
            for found in [table(ablation, name)]
        ),
    ]


def _accuracy_table(ablation, name):
    rows = []
    for condition in ablation.conditions:
        result = ablation.results[name][condition.name]
        labels = result.against_labels
        kind = "headline" if name == ablation.headline else None
        drop = without = MISSING
        if condition.name != ORIGINAL:
            drop = points(labels.drop)
            without = f"{len(labels.unaffected)} of {_known(labels)}"
        rows.append(
            element(
                "tr",
                element("th", condition.title, scope="row"),
                share_cell(labels.accuracy, percent(labels.accuracy), kind),
                [
                    element("td", words, class_="number")
                    for words in (drop, without, percent(result.same))
                ],
            )
        )
    heads = (
        "Frames",
        "Top-1",
        "Drop, points (95 % interval)",
        "Classes without certain drop",
        "Same prediction",
    )
    return data_table(_capital(RESULT_NAMES[name]), heads, rows, (2, 3, 4))


def findings(ablation: Ablation) -> list[str]:
    """Returns what the numbers of the headline's result say, a sentence each."""
    results = ablation.results[ablation.headline]
    labels = {name: result.against_labels for name, result in results.items() if result.labels}
    network = RESULT_NAMES[ablation.headline]
    found = [f"With the frames as they are, {network}: {percent(labels[ORIGINAL].accuracy)}."]
    frozen = f"frozen:{BEST}" if f"frozen:{BEST}" in labels else f"frozen:{MIDDLE}"
    if frozen in labels:
        still = labels[frozen]
        found.append(
            f"One frame repeated ({'the most confident' if BEST in frozen else 'the middle'}) "
            f"leaves {percent(still.accuracy)}. Without a drop that is certain: "
            f"{len(still.unaffected)} of {_known(still)} classes "
            f"({percent(still.unaffected_share, 0)}), which may need no motion."
        )
    if REVERSED in labels:
        pairs = [pair for pair in labels[REVERSED].exchanges if min(pair.shares) >= 0.5]
        found.append(
            f"Backwards it is {percent(labels[REVERSED].accuracy)}; "
            + (
                f"{_counted(len(pairs), 'pair')} of classes change places in most videos."
                if pairs
                else "no two classes change places in most of their videos."
            )
        )
    return found


def reversal_section(ablation: Ablation) -> Markup | None:
    """Returns the pairs of classes that are exchanged when time runs backwards."""
    if REVERSED not in {condition.name for condition in ablation.conditions}:
        return None
    names, content = ablation.class_names, []
    for result, results in ablation.results.items():
        labels = results[REVERSED].against_labels
        rows = [
            element(
                "tr",
                element("th", names[first], scope="row", class_="any"),
                element("td", names[second], class_="any"),
                [
                    element("td", f"{percent(share)} ({percent(before)})", class_="number")
                    for share, before in zip(pair.shares, pair.original_shares, strict=True)
                ],
            )
            for pair in labels.exchanges
            for first, second in [pair.classes]
        ]
        caption = f"{_capital(RESULT_NAMES[result])}, in parentheses with the frames as they are"
        heads = ("Class", "Other class", "Predicted as the other", "And the other way")
        content.append(
            data_table(caption, heads, rows, (2, 3))
            if rows
            else note(f"{_capital(RESULT_NAMES[result])}: no pair.")
        )
    return card(
        "Exchanged when reversed",
        note("Pairs of classes that are each other's most frequent wrong prediction."),
        content,
    )


def classes_section(ablation: Ablation) -> Markup:
    """Returns every class's accuracy under each condition, those with the largest drop first."""
    return card(
        "Accuracy by class",
        note("* The drop is certain: its interval is above 0."),
        _for_each_result(ablation, _class_table),
    )


def predictions_section(ablation: Ablation) -> Markup:
    """Returns the prediction of each video under each condition."""
    return card(
        "Predictions",
        note(
            "The most probable class; in colour where it is another than with the frames as they "
            "are."
        ),
        _for_each_result(ablation, _predictions_table),
    )


def _predictions_table(ablation, name):
    results, has_labels = ablation.results[name], ablation.labels is not None
    rows = [
        element(
            "tr",
            element("th", video, scope="row", style=UNBROKEN),
            element("td", ablation.class_names[ablation.labels[number]]) if has_labels else None,
            [
                _prediction(ablation, result, results[ORIGINAL], number)
                for result in results.values()
            ],
        )
        for number, video in enumerate(ablation.videos[:MAX_VIDEOS])
    ]
    heads = ("Video", *(("Label",) if has_labels else ()), *results)
    table = data_table(_capital(RESULT_NAMES[name]), heads, rows)
    if has_labels:
        return table
    shares = [(name, percent(result.same)) for name, result in results.items()]
    return element("div", table, element("h3", "Same prediction"), facts_table(shares, "Shares"))


def _prediction(ablation, result, original, number):
    """Returns a cell with a class and its probability."""
    share = percent(float(result.probabilities[number]), 0)
    same = result.predicted[number] == original.predicted[number]
    label = ablation.class_names[result.predicted[number]]
    return element("td", element("span", label, " ", share, class_=None if same else "ink-wrong"))


def settings_section(ablation: Ablation) -> Markup:
    """Returns the protocol, the networks and the data."""
    settings, data = ablation.metadata["settings"], ablation.metadata["data"]
    rows: list[tuple[Any, Any]] = [
        (
            f"Network, {RESULT_NAMES[stream]}",
            (weights["name"], " ", element("span", weights["sha256"][:12], class_="muted mono")),
        )
        for stream, weights in settings["weights"].items()
    ]
    values = {**settings["protocol"], **settings}
    rows += [
        (title, _value(values[key]))
        for key, title in SETTING_NAMES.items()
        if key in values and values[key] != UNUSED.get(key)
    ]
    if ablation.labels is not None:
        rows.append(("Bootstrap samples", f"{ablation.metadata['bootstrap']['samples']:,}"))
    rows += [
        (
            _capital(key.replace("_", " ")),
            f"{len(value):,}" if isinstance(value, list) else _value(value),
        )
        for key, value in data.items()
        if value not in (None, [], 0)
    ]
    unreadable = [f"{row['path']} · {row['reason']}" for row in data["unreadable"]]
    return card(
        "Protocol and data",
        facts_table([(name, _cell(value)) for name, value in rows], "Protocol and data"),
        entries_on_demand("Unreadable", unreadable, "ablation.json") if unreadable else None,
    )


def percent(share: float | None, digits: int = 1) -> str:
    """Returns a share in [0, 1] as text; a dash for None."""
    return MISSING if share is None else f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def points(drop: Difference) -> str:
    """Returns a drop in percentage points, with its interval."""
    value, low, high = (100 * part for part in drop)
    return f"{value:.1f} ({low:.1f} to {high:.1f})"


def _class_table(ablation, name):
    results = ablation.results[name]
    videos = [int((ablation.labels == label).sum()) for label in range(len(ablation.class_names))]
    labels = {
        condition.name: results[condition.name].against_labels for condition in ablation.conditions
    }
    known = [label for label, count in enumerate(videos) if count]
    mean_drop = {k: sum(each.class_drops[k].value for each in labels.values()) for k in known}
    rows = [
        element(
            "tr",
            element("th", ablation.class_names[label], scope="row", style=UNBROKEN),
            element("td", f"{videos[label]:,}", class_="number"),
            [
                element(
                    "td",
                    percent(each.class_accuracy[label], 0),
                    " *" if each.class_drops[label].low > 0 else "",
                    class_="number",
                )
                for each in labels.values()
            ],
        )
        for label in sorted(known, key=lambda k: -mean_drop[k])
    ]
    names = [condition.name for condition in ablation.conditions]
    numbers = tuple(range(1, len(names) + 2))
    heads = ("Class", "Videos", *names)
    return data_table(_capital(RESULT_NAMES[name]), heads, rows, numbers)


def _known(labels):
    return sum(drop is not None for drop in labels.class_drops)


def _counted(number, noun):
    return f"{number} {noun}{'s' * (number != 1)}"


def _capital(text):
    return text[:1].upper() + text[1:]


def _value(value):
    return f"{value:g}" if isinstance(value, float) else str(value)


def _cell(value):
    return value if isinstance(value, str) else element("span", *value)
