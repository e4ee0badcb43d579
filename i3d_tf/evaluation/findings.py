"""Sentences that say what the numbers and the pictures of a report show."""

import math
from collections.abc import Sequence

from i3d_tf.evaluation.results import Results, StreamResult
from i3d_tf.evaluation.text import RESULT_NAMES, counted, percent, sentence_case
from i3d_tf.metrics.classification import most_confused

MAX_NAMED = 3  # classes in a sentence


def accuracy_sentence(results: Results) -> str:
    """Returns how many videos the main result predicts, and how many more than the others."""
    videos, best = len(results.predictions), results.best
    others = [
        f"{_more(best.correct - result.correct)} {RESULT_NAMES[name]} alone"
        for name, result in results.by_stream.items()
        if name != results.headline
    ]
    return (
        f"{RESULT_NAMES[results.headline]} predicts the true class of {best.correct:,} of "
        f"{counted(videos, 'video')}{': ' * bool(others)}{' and '.join(others)}. Guesses would be "
        f"correct for about {percent(1 / len(results.class_names))}."
    )


def _more(number):
    if not number:
        return "as many as"
    return f"{abs(number):,} {'more' if number > 0 else 'fewer'} than"


def classes_sentence(results: Results) -> str:
    """Returns how many classes are correct as a whole, and which have the lowest accuracy."""
    names = results.class_names
    known = [
        (accuracy, k)
        for k, accuracy in enumerate(results.best.class_accuracy)
        if accuracy is not None
    ]
    whole = sum(accuracy == 1 for accuracy, _ in known)
    of_all = counted(len(known), "class", "classes")
    if whole == len(known):
        return f"Every video of all {of_all} is correct."
    lowest = min(known)[0]
    worst = [names[k] for accuracy, k in known if accuracy == lowest]
    more = f" and {len(worst) - MAX_NAMED} more" if len(worst) > MAX_NAMED else ""
    return (
        f"All videos of {whole:,} of {of_all} are correct. The lowest accuracy is "
        f"{percent(lowest)}, of {', '.join(worst[:MAX_NAMED])}{more}."
    )


def confusion_sentence(result: StreamResult, class_names: Sequence[str]) -> str:
    """Returns how many videos are off the diagonal of a confusion matrix, and where most are."""
    videos = sum(result.class_videos)
    wrong = videos - result.correct
    if not wrong:
        return f"All {videos:,} videos are on the diagonal: no class is confused with another."
    (first,) = most_confused(result.confusion_matrix(), 1)
    return (
        f"{wrong:,} of {counted(videos, 'video')} {'is' if wrong == 1 else 'are'} off the "
        f"diagonal. The most frequent confusion: {class_names[first.true]} predicted as "
        f"{class_names[first.predicted]}, {counted(first.clips, 'video')}, "
        f"{percent(first.share, 0)} of the true class."
    )


def curve_sentence(
    label: str, points: Sequence[tuple[int, float | None]], is_share: bool
) -> str | None:
    """Returns where a curve of a training ends, and its best value.

    Args:
        label: What the curve is of.
        points: [(step, value), ...].
        is_share: Whether values are shares, of which the highest is the best; else the lowest is.

    Returns:
        A sentence; None where no value is finite.
    """
    known = sorted(
        (step, value) for step, value in points if value is not None and math.isfinite(value)
    )
    if not known:
        return None
    last = known[-1][1]
    step, best = (max if is_share else min)(known, key=lambda point: point[1])
    text = f"{sentence_case(label)}: {_value(last, is_share)} at the end"
    word = "highest" if is_share else "lowest"
    if len(known) == 1:
        return f"{text}."
    if best == last:
        return f"{text}, the {word}."
    return f"{text}; {word} at step {step:,}: {_value(best, is_share)}."


def _value(value, is_share):
    return percent(value) if is_share else f"{value:.3g}"
