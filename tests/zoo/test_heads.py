import keras
import numpy as np
import pytest

from i3d_tf.zoo.heads import choose_head, head_names, is_head, select_head

SIZES = (("a", 2), ("b", 4))


def test_one_head_of_a_network_gives_its_output():
    inputs = keras.Input((3,))
    outputs = {name: keras.layers.Dense(k, name=f"Logits_{name}")(inputs) for name, k in SIZES}
    model = keras.Model(inputs, outputs)
    assert head_names(model) == ("a", "b")
    clip = np.eye(3, dtype=np.float32)
    for name, classes in SIZES:
        head = select_head(model, name)
        assert head_names(head) == ()
        assert head.output_shape == (None, classes)
        np.testing.assert_array_equal(head(clip), model(clip)[name])


def test_is_head_knows_the_classifiers_by_their_names():
    assert list(map(is_head, ("Logits", "Logits_ucf101", "LogitsOf", "fc7"))) == [
        True,
        True,
        False,
        False,
    ]


def test_choose_head_asks_for_one_of_several():
    assert choose_head("run", ("a", "b"), "b") == "b"
    assert choose_head("run", (), "b") is None  # whether it was needed is another question
    with pytest.raises(ValueError, match=r"run: it has the heads a and b. Choose .*--head=a\."):
        choose_head("run", ("a", "b"), None)
    with pytest.raises(ValueError, match=r"heads a and b; received 'c'"):
        choose_head("run", ("a", "b"), "c")
