import keras
import pytest

from i3d_tf.models.keras_graph import is_functional, nodes_of, pack_like, producer_of

layers = keras.layers


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


def shared_layer():
    one, two = keras.Input((3,), name="one"), keras.Input((3,), name="two")
    dense = layers.Dense(3, name="dense")
    both = layers.Concatenate(name="both")([dense(one), dense(two)])
    return keras.Model({"one": one, "two": two}, [both, layers.Dropout(0.5)(both, training=True)])


def test_nodes_of_come_after_those_that_they_need():
    model = shared_layer()
    nodes = nodes_of(model)
    made = set()
    for node in nodes:
        assert all(id(tensor) in made for tensor in node.inputs)
        made |= set(map(id, node.outputs))
    assert [node.operation.name for node in nodes].count("dense") == 2
    assert {node.operation.name for node in nodes if node.is_input} == {"one", "two"}
    assert nodes[-1].kwargs["training"] is True


def test_node_arguments_are_replaced():
    node = next(node for node in nodes_of(shared_layer()) if node.operation.name == "both")
    args, kwargs = node.arguments(
        lambda leaf: "tensor" if isinstance(leaf, keras.KerasTensor) else leaf
    )
    assert args == (["tensor", "tensor"],)
    assert kwargs == {}


def test_nodes_of_a_sequential_model():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="a"), layers.ReLU(name="b")])
    assert [node.operation.name for node in nodes_of(model)][1:] == ["a", "b"]


def test_producer_of_a_tensor_is_its_layer():
    model = shared_layer()
    assert producer_of(model.outputs[0]) is model.get_layer("both")


def test_pack_like_keeps_the_structure():
    model = shared_layer()
    assert pack_like(model, "input", [1, 2]) == {"one": 1, "two": 2}
    assert pack_like(model, "output", [1, 2]) == [1, 2]
    sequential = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    assert pack_like(sequential, "output", [1]) == 1


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (keras.Sequential([keras.Input((3,)), layers.ReLU()]), True),
        (keras.Sequential([layers.ReLU()]), False),
        (Subclassed(), False),
        (layers.ReLU(), False),
        ("ResNet50", False),
    ],
)
def test_is_functional(model, expected):
    assert is_functional(model) is expected
