"""The page of a score: average precision by class, and time lines of truth against scores."""

from collections.abc import Sequence

import numpy as np

from i3d_tf.evaluation.score import Score, left_out_notes
from i3d_tf.evaluation.text import MISSING, counted, format_value
from i3d_tf.evaluation.video_scores import VideoScores, best_and_worst, score_scale, shown_classes
from i3d_tf.metrics.average_precision import ClassScores
from i3d_tf.viz.interval_timeline import TimelineRow, interval_timeline_svg
from i3d_tf.viz.markup import Markup, element
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

HEADING = "Average precision"
VIDEOS_SHOWN = 3  # of the best, and of the worst
MAX_TRUE, MAX_OTHER = 10, 2  # classes of a time line
MAX_NAMED = 5  # in a sentence
HASH_SHOWN = 12  # characters of a SHA-256
POSITIVES = {
    "charades_classify": "videos",
    "charades_localize": "points",
    "frames": "frames",
    "ava": "boxes",
    "activitynet": "actions",
    "thumos14": "actions",
}
_RANKED = (
    "The average precision (AP) of a class is the mean of the precision at the rank of each of its "
    "positives."
)
_AREA = (
    "The average precision (AP) of a class is the area under its precision, made monotone, over "
    "its recall."
)
_OVERLAP = (
    "A detection is correct where its overlap in time (intersection over union) with a true action "
    "of its class reaches the threshold. " + _AREA
)
RULES = {
    "charades_classify": "Charades, classification: which actions are in each video. Videos "
    "without actions do not count. " + _RANKED,
    "charades_localize": "Charades, localization: which actions there are at each of 25 evenly "
    "spaced points of each video. " + _RANKED,
    "frames": "Every frame of each video: which actions there are. " + _RANKED,
    "ava": "AVA, frame mAP: what each person does. A box is correct where its overlap "
    "(intersection over union) with a true box of its class is at least 0.5. " + _AREA,
    "activitynet": "ActivityNet, detection: which actions there are, and when. " + _OVERLAP,
    "thumos14": "THUMOS14, detection: which actions there are, and when. " + _OVERLAP,
}


def score_page(score: Score, source: str = "score.json") -> str:
    """Returns the page of a score.

    Args:
        score: The score.
        source: Name of the file that has all of it.

    Returns:
        HTML; names are text in it, whatever they hold.
    """
    data = " ".join(format_value(score.protocol[k]) for k in ("Dataset", "Split")
                    if score.protocol.get(k))  # fmt: skip
    return html_page(
        f"mAP {_number(score.mean)}{f': {data}' if data else ''}",
        f"{HEADING}{f' on {data}' if data else ''}",
        RULES[score.rule],
        mean_section(score),
        classes_section(score),
        timeline_section(score),
        protocol_section(score, source),
    )


def mean_section(score: Score) -> Markup:
    """Returns a card with the mean average precision, by the overlap where there are several."""
    scores = _first(score)
    with_positives = int((scores.positives > 0).sum())
    rows = [
        ("Classes with positives", f"{with_positives:,} of {len(score.class_names):,}"),
        ("Positives", f"{int(scores.positives.sum()):,} {POSITIVES[score.rule]}"),
    ]
    if len(score.by_overlap) == 1:
        rows.insert(0, ("mAP weighted by positives", _number(scores.weighted_mean)))
    if scores.chance is not None:
        rows.insert(1, ("A random order", f"about {_number(scores.chance)}"))
    several = len(score.by_overlap) > 1
    return card(
        "Mean average precision",
        element(
            "p",
            _number(score.mean),
            " ",
            element("small", "mAP" + ", mean of the thresholds" * several, class_="muted"),
            class_="big",
        ),
        element(
            "div",
            element("div", facts_table(rows, "Numbers of the score")),
            _overlap_table(score) if several else None,
            class_="pair",
        ),
    )


def _overlap_table(score):
    rows = [
        element(
            "tr",
            element("th", f"{overlap:.2f}", scope="row"),
            share_cell(_share(scores.mean), _number(scores.mean), "headline main"),
        )
        for overlap, scores in score.by_overlap.items()
    ]
    (low, first), *_, (high, last) = score.by_overlap.items()
    sentence = (
        f"From an overlap of {low:.2f} to {high:.2f} the mAP goes from {_number(first.mean)} to "
        f"{_number(last.mean)}."
    )
    table = data_table("mAP by threshold", ("Overlap at least", "mAP"), rows)
    return element("div", table, finding(sentence))


def classes_section(score: Score) -> Markup:
    """Returns the average precision of each class, the highest first."""
    by_class = _by_class(score)
    positives = _first(score).positives
    present = np.flatnonzero(positives > 0)
    order = sorted(present.tolist(), key=lambda k: (-by_class[k], k))
    names = score.class_names
    without = [names[k] for k in np.flatnonzero(positives == 0)]
    unit = POSITIVES[score.rule]
    columns = list(score.by_overlap.items()) if len(score.by_overlap) > 1 else []
    shown = [columns[0], columns[len(columns) // 2], columns[-1]] if len(columns) > 3 else columns
    main = "headline" if shown else "headline main"
    rows = [
        element(
            "tr",
            element("th", names[k], scope="row", class_="any"),
            element("td", f"{positives[k]:,}", class_="number"),
            share_cell(_share(by_class[k]), _number(by_class[k]), main),
            [
                share_cell(_share(scores.by_class[k]), _number(scores.by_class[k]))
                for _, scores in shown
            ],
        )
        for k in order
    ]
    heads = (
        "Class",
        f"Positives ({unit})",
        "AP, mean of the thresholds" if columns else "AP",
        *(f"AP at {overlap:.2f}" for overlap, _ in shown),
    )
    return card(
        "Average precision by class",
        finding(_classes_sentence(by_class, positives, names)) if order else None,
        data_table("The highest first.", heads, rows, numbers=(1,)),
        note(
            f"{counted(len(without), 'class', 'classes')} without positives, of which no AP is "
            f"known: {', '.join(without)}."
        )
        if without
        else None,
    )


def _classes_sentence(by_class, positives, names):
    """Returns a sentence about the classes that have positives."""
    present = np.flatnonzero(positives > 0)
    best = present[by_class[present].argmax()]
    if len(present) == 1:
        return (
            f"{names[best]}, the only class with positives, has an AP of {_number(by_class[best])}."
        )
    worst = present[by_class[present].argmin()]
    half = int((by_class[present] >= 0.5).sum())
    verb = "has" if half == 1 else "have"
    return (
        f"{half} of {len(present):,} classes with positives {verb} an AP of 0.5 or more. The "
        f"highest is that of {names[best]} ({_number(by_class[best])}), the lowest that of "
        f"{names[worst]} ({_number(by_class[worst])})."
    )


def timeline_section(score: Score) -> Markup | None:
    """Returns the time lines of the best and of the worst videos; None without scores in time."""
    best, worst = best_and_worst(score.videos, VIDEOS_SHOWN)
    if not best:
        return None
    ranked = sum(not np.isnan(video.average_precision) for video in score.videos)
    text = (
        "Videos by their own AP: that of all their pairs of a moment and a class, ranked by score. "
        f"Of {counted(ranked, 'video')} with actions, the {len(best)} with the highest"
        + (f" and the {len(worst)} with the lowest." if worst else ".")
    )
    scale = score_scale(score.videos, score.are_logits)
    highest = _round_up(max(scale(video.values).max() for video in (*best, *worst)))
    content = []
    for title, videos in (("Best", best), ("Worst", worst)):
        if videos:
            content.append(element("h3", title))
            content += [
                _timeline(video, scale(video.values), score.class_names, highest)
                for video in videos
            ]
    return card("Truth against scores over time", note(text), _legend(score), content)


def _round_up(value):
    """Returns a round number that is at least a value in [0, 1], for the top of a scale."""
    return next(tenth / 10 for tenth in range(1, 11) if tenth / 10 >= min(value, 1.0))


def _legend(score):
    height = "the sigmoid of the logit" if score.are_logits else "the score, rescaled to 0 to 1"
    return colour_key(
        {
            "correct-fill": "score where the action happens",
            "wrong-fill": "score where it does not happen",
            "text": "the action, as annotated",
        },
        f"Height: {height}. Time in seconds.",
    )


def _timeline(video: VideoScores, values: np.ndarray, names: Sequence[str], highest: float):
    true, others = shown_classes(video, MAX_TRUE, MAX_OTHER)
    intervals = video.actions.intervals
    rows = [
        TimelineRow(
            names[k],
            values[:, k],
            tuple((start, end) for label, start, end in intervals if label == k),
        )
        for k in (*true, *others)
    ]
    title = f"{video.actions.name}: AP {_number(video.average_precision)}"
    # An annotation may know of less than the video's frames show.
    duration = max(video.actions.duration or 0.0, float(video.times[-1])) or 1.0
    sentence = timeline_sentence(video, values, names)
    picture = interval_timeline_svg(video.times, rows, duration, f"{title}. {sentence}", highest)
    return element(
        "div",
        element("p", element("strong", title), class_="any"),
        scrolling(picture, "wide", f"Time line of {video.actions.name}"),
        finding(sentence),
        class_="timeline",
    )


def timeline_sentence(video: VideoScores, values: np.ndarray, names: Sequence[str]) -> str:
    """Returns whether the highest score of each action is where it happens, as a sentence.

    Args:
        video: Its scores and its actions.
        values: Its scores within [0, 1], (P, classes).
        names: One name a class.
    """
    true, others = shown_classes(video, len(names), 1)
    highest = values.argmax(axis=0)
    asked = [k for k in true if video.targets[:, k].any()]
    found = [k for k in asked if video.targets[highest[k], k]]
    missed = [k for k in asked if k not in found]
    sentences = []
    if asked:
        sentences.append(
            f"The highest score of {_all_or_number(len(found), len(asked))} is where the action "
            "happens"
            + (
                "."
                if not missed
                else "; "
                + _named(
                    [
                        f"that of {names[k]} is at {video.times[highest[k]]:.1f}\u00a0s"
                        for k in missed
                    ]
                )
                + "."
            )
        )
    if others:
        (k,) = others
        sentences.append(
            f"The highest of a class that does not happen is {values[highest[k], k]:.2f}, of "
            f"{names[k]} at {video.times[highest[k]]:.1f}\u00a0s."
        )
    return " ".join(sentences)


def _all_or_number(found, asked):
    if found == asked:
        return "the only class that happens" if asked == 1 else f"all {asked} classes that happen"
    return f"{found} of the {counted(asked, 'class', 'classes')} that {_verb(asked)}"


def _verb(number):
    return "happens" if number == 1 else "happen"


def _named(words):
    more = [f"{len(words) - MAX_NAMED} more elsewhere"] if len(words) > MAX_NAMED else []
    return ", ".join([*words[:MAX_NAMED], *more])


def protocol_section(score: Score, source: str) -> Markup:
    """Returns how the scores were made, and what was left out, with the names."""
    rows = [(name, _value(value)) for name, value in score.protocol.items() if value is not None]
    lists = {
        **{_capital(kind): names for kind, names in score.left_out.items()},
        "Rows that are not valid, and skipped": tuple(map(str, score.skipped)),
    }
    lists = {heading: names for heading, names in lists.items() if names}
    notes = [note for note in score.notes if note not in left_out_notes(score.left_out)]
    left_out = (
        [entries_on_demand(heading, names, source) for heading, names in lists.items()]
        if lists
        else element("p", "Nothing: every row was valid, and every video has scores.")
    )
    return card(
        "Protocol and data",
        element(
            "div",
            element("div", element("h3", "Protocol"), facts_table(rows, "Protocol"))
            if rows
            else None,
            element(
                "div",
                element("h3", "Left out"),
                left_out,
                [element("p", f"{_capital(words)}.", class_="small any") for words in notes],
            ),
            class_="pair",
        ),
    )


def _capital(words):
    return words[:1].upper() + words[1:]


def _value(value):
    if isinstance(value, dict):  # a network
        sha256 = element("span", str(value["sha256"])[:HASH_SHOWN], class_="muted mono")
        return element("span", value["name"], " ", sha256)
    return f"{value:.4g}" if isinstance(value, float) else format_value(value)


def _first(score) -> ClassScores:
    return next(iter(score.by_overlap.values()))


def _by_class(score):
    """Returns the average precision of each class, of several overlaps their mean."""
    return np.mean([scores.by_class for scores in score.by_overlap.values()], axis=0)


def _share(value):
    return None if np.isnan(value) else float(value)


def _number(value):
    return MISSING if value is None or np.isnan(value) else f"{value:.3f}"
