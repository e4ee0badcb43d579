import keras
import numpy as np

from i3d_tf.layers.stream import Stream


def stream(name, channels):
    with keras.name_scope(name):
        image = keras.Input((channels,), name="image")
        outputs = keras.layers.Dense(2, name="dense")(image)
    return Stream(image, outputs, name=name)


def paths(model):
    return [variable.path for variable in model.variables]


def test_stream_paths_begin_with_its_name_after_loading(tmp_path):
    inputs = {"a": keras.Input((3,), name="a"), "b": keras.Input((4,), name="b")}
    outputs = keras.layers.Add()([stream("one", 3)(inputs["a"]), stream("two", 4)(inputs["b"])])
    model = keras.Model(inputs, outputs)
    expected = ["one/dense/kernel", "one/dense/bias", "two/dense/kernel", "two/dense/bias"]
    assert paths(model) == expected
    model.save(tmp_path / "both.keras")
    loaded = keras.models.load_model(tmp_path / "both.keras", safe_mode=True)
    assert paths(loaded) == expected
    assert paths(keras.models.clone_model(model)) == expected
    assert isinstance(loaded.get_layer("two"), Stream)
    example = {"a": np.ones((1, 3), "float32"), "b": np.ones((1, 4), "float32")}
    np.testing.assert_array_equal(np.array(loaded(example)), np.array(model(example)))


def test_stream_has_reachable_layers():
    network = stream("one", 3)
    assert network.get_layer("dense").output.shape == (None, 2)
