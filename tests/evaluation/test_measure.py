import json
import math

import numpy as np
import pytest

from i3d_tf.evaluation.measure import Evaluation, measure


def test_results_of_two_streams_and_their_sum(six_clips):
    results = measure(six_clips())
    assert list(results.by_stream) == ["rgb", "flow", "joint"]
    assert results.headline == "joint"
    correct = {name: result.correct for name, result in results.by_stream.items()}
    assert correct == {"rgb": 3, "flow": 5, "joint": 5}
    rgb = results.by_stream["rgb"]
    assert rgb.top_1 == 3 / 6
    assert rgb.class_accuracy == (1, 0.5, 0)
    assert rgb.class_videos == (2, 2, 2)
    assert rgb.mean_class == 0.5
    assert rgb.confusion == ((0, 0, 2), (1, 0, 1), (1, 1, 1), (2, 1, 2))
    assert rgb.confusion_matrix().tolist() == [[2, 0, 0], [1, 1, 0], [0, 2, 0]]
    assert results.best.streams == ("rgb", "flow")


def test_one_stream_has_no_joint_result(six_clips):
    results = measure(six_clips(logits={"rgb": six_clips().logits["rgb"]}))
    assert list(results.by_stream) == ["rgb"]
    assert results.headline == "rgb"


def test_top_5_of_three_classes_is_left_out(six_clips):
    assert measure(six_clips()).best.top_5 is None


def test_predictions_have_rank_and_probability(six_clips):
    results = measure(six_clips(cuts=[(1.0, 2.5)] + [(None, None)] * 5))
    first, last = results.predictions[0], results.predictions[5]
    assert (first.path, first.start, first.end) == ("data/clip_0.mp4", 1.0, 2.5)
    best = first.rankings["rgb"].top[0]
    # A logit of 2 beside two of 0.
    expected = math.exp(2) / (math.exp(2) + 2)
    assert best.label == "run"
    assert best.probability == pytest.approx(expected, abs=5e-7)  # kept to six digits
    assert (last.rankings["rgb"].rank, last.rankings["flow"].rank, last.label) == (3, 1, "sit")


def test_most_confident_error_comes_first(six_clips):
    logits = np.zeros((6, 3), np.float32)
    logits[:, 2] = [1.0, 5.0, 3.0, 2.0, 9.0, 9.0]  # all predict sit, the last two correctly
    assert measure(six_clips(logits={"rgb": logits})).errors == (1, 2, 3, 0)


def test_probabilities_are_fused_as_such(six_clips):
    results = measure(six_clips(fusion="probabilities"))
    rgb, flow = (math.exp(x) / (math.exp(x) + 2) for x in (2, 4))
    best = results.predictions[0].rankings["joint"].top[0]
    assert best.probability == pytest.approx((rgb + flow) / 2, abs=5e-7)
    assert results.best.fusion == "probabilities"


def test_class_without_videos_has_no_accuracy(six_clips):
    results = measure(six_clips(labels=np.array([0, 0, 1, 1, 1, 1])))
    assert results.best.class_accuracy[2] is None
    assert results.best.class_videos == (2, 4, 0)
    json.dumps(results.to_json(), allow_nan=False)


@pytest.mark.parametrize(
    "rows", [[{"loss": 1.0}], [3], {"loss": 1.0}, {"step": 1}, [{"step": "1"}]]
)
def test_history_rows_need_steps(six_clips, rows):
    with pytest.raises(ValueError, match="`history` of rgb must be dicts with a number `step`"):
        measure(six_clips(history={"rgb": rows}))


def test_logits_must_be_finite(six_clips):
    logits = np.zeros((6, 3))
    logits[2] = math.nan
    with pytest.raises(ValueError, match="1 of 6 clips, clip 2 the first"):
        measure(six_clips(logits={"rgb": logits}))


def test_evaluation_orders_streams_and_keeps_float32(six_clips):
    evaluation = six_clips(logits={s: np.zeros((6, 3)) for s in ("flow", "rgb")})
    assert list(evaluation.logits) == ["rgb", "flow"]
    assert evaluation.logits["rgb"].dtype == np.float32


def test_evaluation_takes_any_sequences():
    evaluation = Evaluation(["a"], ["v.mp4"], [0], {"rgb": [[1.0]]}, {})
    assert evaluation.class_names == ("a",)
    assert evaluation.cuts == ((None, None),)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"logits": {}}, r"`logits` must be of streams among .*received none"),
        ({"logits": {"depth": np.zeros((6, 3))}}, r"received \['depth'\]"),
        ({"logits": {"rgb": np.zeros((6, 4))}}, r"`logits` of rgb must be \(6, 3\).*\(6, 4\)"),
        ({"class_names": ("run", "run", "sit")}, "`class_names` must differ; received 'run' twice"),
        ({"cuts": [(0.0, 1.0)]}, "`cuts` must be 6, one a path; received 1"),
        ({"fusion": "max"}, "`fusion` must be one of .*received 'max'"),
    ],
)
def test_evaluation_checks_that_parts_fit(six_clips, changes, message):
    with pytest.raises(ValueError, match=message):
        six_clips(**changes)
