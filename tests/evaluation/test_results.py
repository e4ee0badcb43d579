import json
import math

import numpy as np
import pytest

from i3d_tf.evaluation.results import plain, report_numbers


def test_results_of_six_clips(six_clips):
    record = report_numbers(six_clips())
    assert list(record["results"]) == ["rgb", "flow", "joint"]
    assert record["headline"] == "joint"
    correct = {name: result["correct"] for name, result in record["results"].items()}
    assert correct == {"rgb": 3, "flow": 5, "joint": 5}
    assert record["results"]["rgb"]["top_1"] == 3 / 6
    assert record["results"]["rgb"]["class_accuracy"] == [1, 0.5, 0]
    assert record["results"]["rgb"]["class_videos"] == [2, 2, 2]
    assert record["results"]["rgb"]["mean_class"] == 0.5
    assert record["results"]["rgb"]["confusion"] == [[0, 0, 2], [1, 0, 1], [1, 1, 1], [2, 1, 2]]
    assert record["results"]["joint"]["streams"] == ["rgb", "flow"]


def test_one_stream_has_no_joint_result(six_clips):
    record = report_numbers(six_clips(logits={"rgb": six_clips().logits["rgb"]}))
    assert list(record["results"]) == ["rgb"]
    assert record["headline"] == "rgb"


def test_top_5_of_three_classes_says_nothing_and_is_left_out(six_clips):
    assert report_numbers(six_clips())["results"]["joint"]["top_5"] is None


def test_predictions_carry_rank_and_probability(six_clips):
    record = report_numbers(six_clips(cuts=[(1.0, 2.5)] + [(None, None)] * 5))
    first, last = record["predictions"][0], record["predictions"][5]
    assert (first["path"], first["start"], first["end"]) == ("data/clip_0.mp4", 1.0, 2.5)
    # A logit of 2 beside two of 0.
    expected = math.exp(2) / (math.exp(2) + 2)
    assert first["rgb"]["top"][0] == {
        "label": "run",
        "probability": pytest.approx(expected, abs=5e-7),  # kept to six digits
    }
    assert (last["rgb"]["rank"], last["flow"]["rank"], last["label"]) == (3, 1, "sit")


def test_the_surest_error_comes_first(six_clips):
    logits = np.zeros((6, 3), np.float32)
    logits[:, 2] = [1.0, 5.0, 3.0, 2.0, 9.0, 9.0]  # all are taken for sit, the last two rightly
    assert report_numbers(six_clips(logits={"rgb": logits}))["worst"] == [1, 2, 3, 0]


def test_probabilities_are_fused_as_such(six_clips):
    record = report_numbers(six_clips(fusion="probabilities"))
    rgb, flow = (math.exp(x) / (math.exp(x) + 2) for x in (2, 4))
    top = record["predictions"][0]["joint"]["top"][0]
    assert top["probability"] == pytest.approx((rgb + flow) / 2, abs=5e-7)
    assert record["results"]["joint"]["fusion"] == "probabilities"


def test_a_class_without_videos_is_null_in_json(six_clips):
    record = report_numbers(six_clips(labels=np.array([0, 0, 1, 1, 1, 1])))
    assert record["results"]["joint"]["class_accuracy"][2] is None
    assert record["results"]["joint"]["class_videos"] == [2, 4, 0]
    json.dumps(record, allow_nan=False)


def test_plain_values():
    assert plain({"a": np.float32(0.5), 1: (np.int64(3), None, True)}, "x") == {
        "a": 0.5,
        "1": [3, None, True],
    }
    assert plain([math.nan, math.inf], "x") == [None, None]


def test_what_json_cannot_hold_is_named():
    with pytest.raises(ValueError, match=r"`protocol\['a'\]\[1\]` must be text.*received object"):
        plain({"a": [1, object()]}, "protocol")


@pytest.mark.parametrize("rows", [[{"loss": 1.0}], [3], {"loss": 1.0}, [{"step": "1"}]])
def test_a_history_has_steps(six_clips, rows):
    with pytest.raises(ValueError, match="`history` of rgb must be dicts with a number `step`"):
        report_numbers(six_clips(history={"rgb": rows}))


def test_logits_that_are_not_finite_are_named(six_clips):
    logits = np.zeros((6, 3))
    logits[2] = math.nan
    with pytest.raises(ValueError, match="1 of 6 clips, clip 2 the first"):
        report_numbers(six_clips(logits={"rgb": logits}))
