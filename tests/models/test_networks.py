"""The contract of every network of the zoo."""

import keras
import numpy as np
import pytest
from fixtures.networks import CLIP_SHAPES, TINY, network_params

from i3d_tf.specs.architectures import ARCHITECTURES
from i3d_tf.specs.baselines import SPORTS_1M_FUSIONS
from i3d_tf.specs.complexity import architecture_complexity
from i3d_tf.specs.inception_variants import VARIANTS
from i3d_tf.specs.resnet_3d import BASIC_RESNETS
from i3d_tf.zoo import build
from i3d_tf.zoo.networks import MODELS


@pytest.mark.parametrize("name", network_params(MODELS))
def test_network_gives_finite_logits_for_each_clip(name, tiny_network, tiny_clips):
    model = tiny_network(name)
    logits = np.array(model(tiny_clips(name, 3)))
    assert logits.shape == (3, 5)
    assert np.isfinite(logits).all()
    assert np.ptp(logits, axis=0).min() > 0  # clips differ
    assert model.name == name.replace("two_stream_2d", "two_stream")
    assert model.output_shape == (None, 5)


@pytest.mark.parametrize("name", network_params(MODELS))
def test_network_is_made_of_layers_that_every_backend_has(name, tiny_network):
    modules = {type(layer).__module__ for layer in tiny_network(name)._flatten_layers()}
    assert {".".join(module.split(".")[:2]) for module in modules} <= {"keras.src", "i3d_tf.layers"}


@pytest.mark.parametrize("name", network_params(MODELS))
def test_network_has_dropout_of_the_given_rate(name, tiny_network):
    layers = tiny_network(name)._flatten_layers()
    rates = {layer.rate for layer in layers if isinstance(layer, keras.layers.Dropout)}
    assert rates == {0.5}


def test_dropout_acts_in_training_only(build_tiny, tiny_network, tiny_clips):
    model, clips = build_tiny("c3d"), tiny_clips("c3d", 1)
    model.set_weights(tiny_network("c3d").get_weights())
    np.testing.assert_array_equal(np.array(model(clips)), np.array(tiny_network("c3d")(clips)))
    first, second = (np.array(model(clips, training=True)) for _ in range(2))
    assert np.abs(first - second).max() > 0


# A deep network takes seconds; `tests/models/test_two_stream.py` saves a small one of two streams.
QUICKLY_SAVED = (
    *("inception_i3d", "c3d", "lrcn", "c3d_original", "sports_1m_slow"),
    *("feature_lstm", "feature_gru", "feature_linear"),
)


@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICKLY_SAVED else pytest.param(name, marks=pytest.mark.slow)
        for name in MODELS
    ],
)
def test_network_saves_and_loads(name, tiny_network, tiny_clips, assert_saves):
    assert_saves(tiny_network(name), tiny_clips(name, 1))


@pytest.mark.parametrize("name", network_params(MODELS))
def test_network_gives_float32_logits_in_mixed_precision(
    name, build_tiny, tiny_clips, assert_float32_logits
):
    assert_float32_logits(lambda: build_tiny(name), tiny_clips(name, 1))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_network_has_the_parameters_of_its_table(name, tiny_network):
    shape = CLIP_SHAPES[name]
    shapes = shape if isinstance(shape, dict) else {"rgb": shape}
    counted = architecture_complexity(name, shapes, classes=5, width_multiplier=TINY)
    assert tiny_network(name).count_params() == counted.parameters


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_full_size_network_has_the_parameters_of_its_table(name):
    assert build(name).count_params() == architecture_complexity(name).parameters


@pytest.mark.parametrize("name", network_params(MODELS))
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": 0}, "`classes` must be an integer >= 1; received 0"),
        ({"dropout_rate": 1.0}, r"`dropout_rate` must be a number in \[0, 1\); received 1.0"),
        ({"width_multiplier": 0}, "`width_multiplier` must be a number > 0; received 0"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_network_checks_its_arguments(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        build(name, **arguments)


# Name: arguments, learning rate, steps. Memorizing eight clips takes so few.
OVERFITTING = {
    "inception_i3d": ({"input_shape": (9, 32, 32, 3), "width_multiplier": 1 / 16}, 0.1, 10),
    "inception_v1": ({"input_shape": (32, 32, 3), "width_multiplier": 1 / 8}, 0.1, 12),
    "convnet_lstm": (
        {"input_shape": (4, 32, 32, 3), "width_multiplier": 1 / 8, "all_steps": True},
        0.3,
        12,
    ),
    "c3d": ({"input_shape": (16, 48, 48, 3), "width_multiplier": 1 / 16}, 0.03, 15),
    "two_stream": (
        {
            "input_shape": {"rgb": (1, 32, 32, 3), "flow": (10, 32, 32, 2)},
            "width_multiplier": 1 / 8,
        },
        0.1,
        12,
    ),
    "fused_3d": (
        {
            "input_shape": {"rgb": (3, 32, 32, 3), "flow": (30, 32, 32, 2)},
            "width_multiplier": 1 / 16,
        },
        0.1,
        10,
    ),
    "two_stream_i3d": (
        {
            "input_shape": {"rgb": (9, 32, 32, 3), "flow": (9, 32, 32, 2)},
            "width_multiplier": 1 / 16,
        },
        0.1,
        10,
    ),
    **{
        name: ({"input_shape": (table.min_frames, 32, 32, 3), "width_multiplier": 1 / 16}, 0.1, 12)
        for name, table in VARIANTS.items()
    },
    "s3d_g": ({"input_shape": (9, 32, 32, 3), "width_multiplier": 1 / 16}, 0.1, 30),
    **dict.fromkeys(
        BASIC_RESNETS, ({"input_shape": (2, 32, 32, 3), "width_multiplier": 1 / 8}, 0.05, 12)
    ),
    **dict.fromkeys(
        ("i3d_resnet50", "c2d_resnet50"),
        ({"input_shape": (2, 32, 32, 3), "width_multiplier": 1 / 8}, 0.05, 12),
    ),
    "pooled_frames": ({"input_shape": (1, 32, 32, 3), "width_multiplier": 1 / 16}, 0.1, 20),
    "lrcn": (
        {"input_shape": (1, 64, 64, 3), "width_multiplier": 1 / 8, "all_steps": True},
        0.1,
        40,
    ),
    "deep_lstm": (
        {"input_shape": (1, 32, 32, 3), "width_multiplier": 1 / 8, "lstm_layers": 2},
        1.0,
        15,
    ),
    "c3d_original": ({"input_shape": (16, 32, 32, 3), "width_multiplier": 1 / 16}, 0.01, 40),
    "two_stream_2014": (
        {
            "input_shape": {"rgb": (1, 48, 48, 3), "flow": (10, 48, 48, 2)},
            "width_multiplier": 1 / 8,
        },
        0.03,
        20,
    ),
    **{
        f"sports_1m_{fusion}": (
            {"input_shape": (table.frames, 48, 48, 3), "width_multiplier": 1 / 16},
            0.03,
            20,
        )
        for fusion, table in SPORTS_1M_FUSIONS.items()
    },
    "bn_inception": ({"input_shape": (32, 32, 3), "width_multiplier": 1 / 8}, 0.1, 10),
    "tsn": ({"input_shape": (1, 32, 32, 3), "width_multiplier": 1 / 8}, 0.3, 24),
    "tsn_rgb_difference": ({"input_shape": (6, 32, 32, 3), "width_multiplier": 1 / 8}, 0.5, 12),
    **dict.fromkeys(
        ("feature_lstm", "feature_gru"),
        ({"input_shape": (2, 12), "width_multiplier": 1 / 8, "all_steps": True}, 0.5, 12),
    ),
    "feature_linear": ({"input_shape": (2, 12)}, 0.5, 20),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", network_params(MODELS))
def test_network_overfits_eight_clips(name, accuracy_after_training):
    arguments, learning_rate, steps = OVERFITTING[name]
    keras.utils.set_random_seed(0)
    model = build(name, classes=4, **arguments)
    assert accuracy_after_training(model, arguments["input_shape"], learning_rate, steps) == 1.0
