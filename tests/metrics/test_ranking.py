import numpy as np
import pytest

from i3d_tf.metrics.ranking import decode_predictions, softmax


def test_softmax_of_logarithms_is_their_shares():
    np.testing.assert_allclose(softmax(np.log([1.0, 2.0, 5.0])), [1 / 8, 2 / 8, 5 / 8], rtol=1e-12)


def test_softmax_of_huge_logits_is_finite():
    np.testing.assert_array_equal(softmax([1e4, 0.0]), [1.0, 0.0])


def test_decode_predictions_keeps_the_order_of_equal_logits():
    logits = np.log([[1.0, 4.0, 1.0, 2.0]])
    (ranking,) = decode_predictions(logits, top=3, labels=("a", "b", "c", "d"))
    assert [(p.label, p.index) for p in ranking] == [("b", 1), ("d", 3), ("a", 0)]
    np.testing.assert_allclose([p.probability for p in ranking], [0.5, 0.25, 0.125], rtol=1e-12)
    np.testing.assert_allclose([p.logit for p in ranking], np.log([4.0, 2.0, 1.0]), rtol=1e-12)


def test_decode_predictions_reads_label_sets_by_name():
    logits = np.zeros((2, 600))
    logits[1, 599] = 1.0
    first, second = decode_predictions(logits, top=1, labels="kinetics600")
    assert first[0].label == "abseiling"
    assert second[0].label == "zumba"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"logits": np.zeros((1, 600))}, r"\(N, 400\)"),
        ({"logits": np.zeros(400)}, r"received \(400,\)"),
        ({"logits": np.full((1, 400), np.nan)}, "finite"),
        ({"logits": np.zeros((1, 400), complex)}, "real numbers; received dtype complex128"),
        ({"logits": [["one"] * 400]}, "real numbers; received dtype <U3"),
        ({"logits": None}, "real numbers; received dtype object"),
        ({"logits": np.zeros((1, 400)), "top": 0}, "`top`"),
        ({"logits": np.zeros((1, 400)), "top": 1.5}, "`top`"),
        ({"logits": np.zeros((1, 1)), "labels": None}, "`labels` must be a label set, or a list"),
        ({"logits": np.zeros((1, 1)), "labels": [5]}, "`labels` must be a label set, or a list"),
        ({"logits": np.zeros((1, 400)), "labels": "imagenet"}, "'imagenet'"),
    ],
)
def test_decode_predictions_refuses_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        decode_predictions(**arguments)
