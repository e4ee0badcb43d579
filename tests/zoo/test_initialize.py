from functools import cache

import keras
import numpy as np
import pytest

from i3d_tf import zoo
from i3d_tf.weights.assign import WeightsError
from i3d_tf.zoo import network_file
from i3d_tf.zoo.initialize import read_initial_weights, write_initial_weights

NARROW = {"classes": 3, "width_multiplier": 1 / 16}
FIRST = "Conv2d_1a_7x7/conv_2d/kernel"
INSIDE = "Mixed_4b/Branch_1/Conv2d_0b_3x3/batch_norm/beta"


def values(model):
    return {variable.path: variable.numpy() for variable in model.weights}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A network of single frames, and the file it was saved to."""
    model = zoo.build("two_stream", stream="rgb", input_shape=(1, 32, 32, 3), **NARROW)
    generator = np.random.default_rng(0)
    for variable in model.weights:
        is_variance = variable.path.endswith("moving_variance")
        sample = generator.random if is_variance else generator.standard_normal
        variable.assign(sample(variable.shape))
    path = tmp_path_factory.mktemp("images") / "best.keras"
    model.save(path)
    (path.parent / "run.json").write_text("{}")
    with pytest.MonkeyPatch.context() as patch:  # the file is read once
        patch.setattr(network_file, "load_keras", cache(network_file.load_keras))
        yield values(model), path


def test_weights_of_images_are_inflated_for_i3d(images):
    source, path = images
    model = zoo.build("inception_i3d", input_shape=(None, 32, 32, 2), **NARROW)
    write_initial_weights(model, path)
    found = values(model)
    kernel = found["Conv3d_1a_7x7/conv_3d/kernel"]
    assert kernel.shape == (7, 7, 7, 2, 4)
    # Every frame and every channel of one grey picture together answer as the 2D kernel does.
    np.testing.assert_allclose(kernel.sum((0, 3)), source[FIRST].sum(2), rtol=1e-5)
    beta = found[INSIDE.replace("2d", "3d")]
    assert (beta == source[INSIDE]).all()
    assert found["Logits/Conv3d_0c_1x1/conv_3d/kernel"].shape == (1, 1, 1, 64, 3)


def test_image_weights_go_to_every_trunk_and_other_variables_are_named(images):
    source, path = images
    shapes = {"rgb": (1, 32, 32, 3), "flow": (10, 32, 32, 2)}
    model = zoo.build("fused_3d", input_shape=shapes, **NARROW)
    before = values(model)
    with pytest.warns(UserWarning, match="all was loaded but Conv3d_6a_3x3, Logits, untrained"):
        write_initial_weights(model, path.parent)  # the folder of a run means its best state
    found = values(model)
    for stream in shapes:
        assert (found[f"{stream}_stream/{INSIDE}"] == source[INSIDE]).all()
    assert (found[f"rgb_stream/{FIRST}"] == source[FIRST]).all()
    assert found[f"flow_stream/{FIRST}"].shape == (7, 7, 20, 4)
    new = [name for name in found if name.startswith(("Conv3d_6a_3x3/", "Logits/"))]
    assert len(new) == 6
    assert all((found[name] == before[name]).all() for name in new)


@pytest.mark.parametrize(
    ("name", "untrained"),
    [
        ("convnet_lstm", "lstm_input_norm, lstm, lstm_output_norm, Logits"),
        ("deep_lstm", "but lstm, lstm_2, lstm_3, lstm_4, lstm_5, Logits"),
        ("pooled_frames", "but fc6, fc7, Logits"),
    ],
)
def test_what_follows_frames_starts_untrained_on_trained_ones(images, name, untrained):
    source, path = images
    model = zoo.build(name, input_shape=(None, 32, 32, 3), **NARROW)
    with pytest.warns(UserWarning, match=untrained):
        write_initial_weights(model, path)
    assert (values(model)[INSIDE] == source[INSIDE]).all()


def test_same_network_with_other_channels_or_classes(images):
    source, path = images
    flow = zoo.build("two_stream", stream="flow", input_shape=(10, 32, 32, 2), **NARROW)
    write_initial_weights(flow, path)
    assert (values(flow)["Logits/Conv2d_0c_1x1/conv_2d/bias"].shape) == (3,)
    five = zoo.build(
        "two_stream", stream="rgb", input_shape=(1, 32, 32, 3), **{**NARROW, "classes": 5}
    )
    with pytest.warns(UserWarning, match="all was loaded but Logits, untrained"):
        write_initial_weights(five, path)
    assert (values(five)[FIRST] == source[FIRST]).all()


@pytest.mark.slow
def test_first_kernel_of_bn_inception_is_adapted_to_flow(tmp_path, random_weights):
    arguments = {**NARROW, "backbone": "bn_inception"}
    rgb = random_weights(zoo.build("tsn", input_shape=(1, 32, 32, 3), **arguments))
    rgb.save(tmp_path / "best.keras")
    flow = zoo.build("tsn", input_shape=(5, 32, 32, 2), **arguments)
    write_initial_weights(flow, tmp_path / "best.keras")
    source, found = values(rgb), values(flow)
    first = "conv1_7x7_s2/conv_2d/kernel"
    kernel, of_rgb = found.pop(first), source.pop(first)
    assert kernel.shape[2] == 10
    np.testing.assert_allclose(kernel[:, :, 7], of_rgb.sum(2) / 10, rtol=1e-5)
    assert all((found[path] == value).all() for path, value in source.items())


@pytest.mark.parametrize("name", ["c3d", "two_stream"])
def test_weights_of_another_network_change_nothing(images, name):
    _, path = images
    shape = (16, 32, 32, 3) if name == "c3d" else (1, 32, 32, 3)
    wide = {"classes": 3, "width_multiplier": 1 / 8, "input_shape": shape}
    model = zoo.build(name, **(wide if name == "c3d" else {**wide, "stream": "rgb"}))
    before = values(model)
    with pytest.raises(WeightsError, match="Nothing was assigned"):
        write_initial_weights(model, path)
    assert all((before[path] == value).all() for path, value in values(model).items())


def test_weights_of_another_width_are_refused(tiny_dir):
    with pytest.raises(WeightsError, match=r"with width_multiplier=0\.5 it would have 32"):
        read_initial_weights(tiny_dir / "tiny_rgb.weights.h5", width_multiplier=0.5)


def test_missing_weights_are_named(tmp_path):
    for name in ("none.keras", "none.weights.h5"):
        with pytest.raises(FileNotFoundError, match=name):
            read_initial_weights(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="No weights named 'none'"):
        read_initial_weights("none", tmp_path)


def heads_on_one_layer(**heads):
    inputs = keras.Input((3,))
    features = keras.layers.Dense(4, name="fc7")(inputs)
    return keras.Model(
        inputs,
        {name: keras.layers.Dense(k, name=f"Logits_{name}")(features) for name, k in heads.items()},
    )


def test_heads_of_other_datasets_stay_untrained(tmp_path):
    source = heads_on_one_layer(a=2, b=3)
    source.save(tmp_path / "best.keras")
    model = heads_on_one_layer(b=3, c=5)
    before = values(model)
    with pytest.warns(UserWarning, match="all was loaded but Logits_c, untrained"):
        write_initial_weights(model, tmp_path / "best.keras")
    found, expected = values(model), values(source)
    for path in ("fc7/kernel", "Logits_b/kernel"):
        np.testing.assert_array_equal(found[path], expected[path])
    np.testing.assert_array_equal(found["Logits_c/kernel"], before["Logits_c/kernel"])
