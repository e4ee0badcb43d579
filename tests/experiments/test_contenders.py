import pytest

from i3d_tf.experiments.contenders import CONTENDERS, IMAGES, SCRATCH
from i3d_tf.specs.stick_actions import STICK_LABELS

BY_LETTER = {contender.letter: contender for contender in CONTENDERS}


def test_the_five_of_the_paper_in_its_order():
    assert [c.architecture.title for c in CONTENDERS] == [
        "ConvNet+LSTM",
        "3D-ConvNet",
        "Two-Stream",
        "3D-Fused",
        "Two-Stream I3D",
    ]
    assert [c.starts for c in CONTENDERS if c.letter != "b"] == [(SCRATCH, IMAGES)] * 4
    assert BY_LETTER["b"].starts == (SCRATCH,)


def test_all_have_one_budget_and_differ_in_what_they_see():
    recipes = [c.recipe(stream, 7) for c in CONTENDERS for stream in c.streams]
    assert len(recipes) == 7
    same = ("steps", "batch_size", "learning_rates", "optimizer", "width_multiplier", "crop_size")
    for name in same:
        assert len({getattr(recipe, name) for recipe in recipes}) == 1, name
    assert {recipe.steps for recipe in recipes} == {7}


def test_parameters_are_those_of_the_built_networks():
    from i3d_tf.training.model import build_model

    for contender in CONTENDERS:
        models = [
            build_model(contender.recipe(stream), len(STICK_LABELS)) for stream in contender.streams
        ]
        counted = sum(model.count_params() for model in models)
        assert contender.parameters == counted, contender.name


def test_a_test_video_costs_all_its_windows():
    two_stream = BY_LETTER["c"]
    assert two_stream.recipe("rgb").test_windows == 5
    assert two_stream.multiply_adds % 5 == 0
    assert 0.2e9 < two_stream.multiply_adds < 0.3e9
    assert BY_LETTER["e"].multiply_adds == pytest.approx(2 * 0.346e9, rel=0.01)
