"""I3D on persons in boxes: each sees its box, and the network is I3D around them."""

import keras
import numpy as np
import pytest

from i3d_tf.models.inception import inception_i3d
from i3d_tf.models.person_i3d import person_i3d
from i3d_tf.weights.assign import read_weights
from i3d_tf.zoo.initialize import write_initial_weights

SIZE = 64
LEFT, RIGHT, WHOLE = (0.0, 0.1, 0.4, 0.9), (0.5, 0.0, 1.0, 0.7), (0.0, 0.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def build(random_weights):
    """Function: arguments -> a narrow network with random weights, the same every time."""

    def make(**arguments):
        model = person_i3d(width_multiplier=1 / 16, classes=3, **arguments)
        return random_weights(model)

    return make


@pytest.fixture(scope="module")
def network(build):
    """A narrow network for any size and number of boxes."""
    return build()


@pytest.fixture(scope="module")
def clips():
    return np.random.default_rng(0).uniform(-1, 1, (2, 9, SIZE, SIZE, 3)).astype("float32")


def logits(model, clips, boxes):
    return np.array(model({"clip": clips, "boxes": np.array(boxes, "float32")}, training=False))


def test_boxes_have_logits_of_their_own_in_their_order(network, clips):
    boxes = [[LEFT, RIGHT], [WHOLE, LEFT]]
    found = logits(network, clips, boxes)
    assert found.shape == (2, 2, 3)
    assert np.abs(found[0, 0] - found[0, 1]).max() > 1e-3
    swapped = logits(network, clips, [boxes[0][::-1], boxes[1][::-1]])
    np.testing.assert_allclose(swapped, found[:, ::-1], atol=1e-5)
    alone = logits(network, clips[1:], [[LEFT]])
    np.testing.assert_allclose(alone[0, 0], found[1, 1], atol=1e-5)


def test_box_of_the_whole_frame_is_i3d(build, clips, random_weights):
    side = SIZE // 16
    model = build(roi_size=side, sampling=1)
    trunk = inception_i3d(include_top=False, pooling="avg", width_multiplier=1 / 16)
    weights = {variable.path: variable for variable in model.weights}
    for variable in trunk.weights:
        variable.assign(weights[variable.path])
    features = keras.Model(model.input, model.get_layer("person_features").output)
    found = logits(features, clips, [[WHOLE], [WHOLE]])[:, 0]
    expected = np.array(trunk(clips, training=False))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.slow
def test_checkpoint_of_i3d_starts_it(tmp_path, recwarn, random_weights):
    source = inception_i3d(width_multiplier=1 / 16, classes=5)
    random_weights(source)
    source.save(tmp_path / "i3d.keras")
    model = person_i3d(width_multiplier=1 / 16, classes=3)
    write_initial_weights(model, tmp_path / "i3d.keras", width_multiplier=1 / 16)
    expected = read_weights(source)
    for path, value in read_weights(model).items():
        if not path.startswith("Logits/"):
            np.testing.assert_array_equal(value, expected[path])
    assert any("all was loaded but Logits, untrained" in str(each.message) for each in recwarn)


@pytest.mark.slow
def test_head_without_blocks_is_started_by_i3d_too(tmp_path, random_weights):
    source = random_weights(inception_i3d(width_multiplier=1 / 16, classes=5))
    source.save(tmp_path / "i3d.keras")
    model = person_i3d(width_multiplier=1 / 16, classes=3, head="mean_time")
    with pytest.warns(UserWarning, match="all was loaded but Logits, untrained"):
        write_initial_weights(model, tmp_path / "i3d.keras", width_multiplier=1 / 16)
    expected, found = read_weights(source), read_weights(model)
    assert not any(path.startswith("Mixed_5") for path in found)
    for path, value in found.items():
        if not path.startswith("Logits/"):
            np.testing.assert_array_equal(value, expected[path])


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [{"head": "mean_time"}, {"pooling": "max"}, {"boxes": 1, "sampling": 0}]
)
def test_variants_give_finite_logits(build, clips, arguments):
    found = logits(build(**arguments), clips[:1], [[RIGHT]])
    assert found.shape == (1, 1, 3)
    assert np.isfinite(found).all()


def test_boxes_without_area_do_not_break_the_others(network, clips):
    found = logits(network, clips[:1], [[LEFT, (0, 0, 0, 0)]])
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[0, 0], logits(network, clips[:1], [[LEFT]])[0, 0], atol=1e-5)


@pytest.mark.slow
def test_person_i3d_saves_and_gives_float32_in_bfloat16(network, clips, tmp_path, random_weights):
    network.save(tmp_path / "person.keras")
    loaded = keras.models.load_model(tmp_path / "person.keras")
    boxes = [[LEFT, RIGHT]]
    expected = logits(network, clips[:1], boxes)
    np.testing.assert_array_equal(logits(loaded, clips[:1], boxes), expected)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = person_i3d(width_multiplier=1 / 16, classes=3)
    finally:
        keras.config.set_dtype_policy("float32")
    half.set_weights(network.get_weights())
    found = logits(half, clips[:1], boxes)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"head": "rpn"}, "`head` must be one of"),
        ({"pooling": "sum"}, "`pooling` must be one of"),
        ({"boxes": 0}, "`boxes` must be an integer >= 1"),
        ({"input_shape": (8, 64, 64, 3)}, "must have T >= 9"),
        ({"roi_size": 0}, "`size` must be an integer >= 1"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        person_i3d(**arguments)
