import dataclasses

import pytest

from i3d_tf.evaluation.findings import (
    accuracy_sentence,
    classes_sentence,
    confusion_sentence,
    curve_sentence,
)
from i3d_tf.evaluation.measure import measure


@pytest.fixture
def results(six_clips):
    return measure(six_clips())


def test_accuracy_sentence_compares_the_main_result_with_the_streams(results):
    counts = {name: result.correct for name, result in results.by_stream.items()}
    assert counts == {"rgb": 3, "flow": 5, "joint": 5}
    assert accuracy_sentence(results) == (
        "Two-stream predicts the true class of 5 of 6 videos: 2 more than RGB alone and as "
        "many as Optical flow alone. Guesses would be correct for about 33.3%."
    )
    alone = dataclasses.replace(results, by_stream={"flow": results.by_stream["flow"]})
    assert accuracy_sentence(alone).startswith(
        "Optical flow predicts the true class of 5 of 6 videos. Guesses"
    )


def test_classes_sentence_names_the_lowest(results):
    assert classes_sentence(results) == (
        "All videos of 2 of 3 classes are correct. The lowest accuracy is 50.0%, of sit."
    )
    whole = dataclasses.replace(results.best, class_accuracy=(1.0, None, 1.0))
    perfect = dataclasses.replace(results, by_stream={"rgb": whole})
    assert classes_sentence(perfect) == "Every video of all 2 classes is correct."


def test_confusion_sentence_names_the_most_frequent(results):
    assert confusion_sentence(results.best, results.class_names) == (
        "1 of 6 videos is off the diagonal. The most frequent confusion: sit predicted as jump, "
        "1 video, 50% of the true class."
    )


@pytest.mark.parametrize(
    ("points", "is_share", "sentence"),
    [
        ([(2, 0.5), (1, 0.25)], False, "Loss: 0.5 at the end; lowest at step 1: 0.25."),
        ([(1, 0.25), (2, 0.5)], True, "Loss: 50.0% at the end, the highest."),
        ([(1, 0.25)], False, "Loss: 0.25 at the end."),
        ([(1, None), (2, float("nan"))], False, None),
    ],
)
def test_curve_sentence_has_the_last_and_the_best_value(points, is_share, sentence):
    assert curve_sentence("loss", points, is_share) == sentence
