import pytest

from i3d_tf.experiments.comparison_entries import (
    ENTRIES,
    FROM_2D_WEIGHTS,
    SCRATCH,
    select_entries,
)
from i3d_tf.specs.further_networks import FURTHER_NETWORKS
from i3d_tf.specs.published import PUBLISHED_ACCURACIES
from i3d_tf.specs.stick_actions import STICK_LABELS

BY_LETTER = {entry.letter: entry for entry in ENTRIES}


def test_entries_are_the_five_of_the_paper_in_its_order():
    assert [entry.architecture.title for entry in ENTRIES] == [
        "ConvNet+LSTM",
        "3D-ConvNet",
        "Two-Stream",
        "3D-Fused",
        "Two-Stream I3D",
    ]
    both = (SCRATCH, FROM_2D_WEIGHTS)
    assert [entry.initializations for entry in ENTRIES] == [both, (SCRATCH,), both, both, both]


def test_recipes_have_one_budget():
    recipes = [entry.recipe(stream, 7) for entry in ENTRIES for stream in entry.streams]
    assert len(recipes) == 7
    same = ("steps", "batch_size", "learning_rates", "optimizer", "width_multiplier", "crop_size")
    for name in same:
        assert len({getattr(recipe, name) for recipe in recipes}) == 1, name
    assert {recipe.steps for recipe in recipes} == {7}


@pytest.mark.parametrize(
    "letter",
    ["b", *(pytest.param(letter, marks=pytest.mark.slow) for letter in "acde")],
)
def test_parameters_are_those_of_the_built_networks(letter):
    from i3d_tf.training.model import build_model

    entry = BY_LETTER[letter]
    models = [build_model(entry.recipe(stream), len(STICK_LABELS)) for stream in entry.streams]
    assert entry.parameters == sum(model.count_params() for model in models)


def test_multiply_adds_are_of_all_windows_of_a_test_video():
    two_stream = BY_LETTER["c"]
    assert two_stream.recipe("rgb").test_windows == 5
    assert two_stream.multiply_adds % 5 == 0
    assert 0.2e9 < two_stream.multiply_adds < 0.3e9
    assert BY_LETTER["e"].multiply_adds == pytest.approx(2 * 0.346e9, rel=0.01)


def test_select_entries_gives_the_paper_s_all_or_some():
    assert select_entries() == ENTRIES
    every = select_entries("all")
    assert [entry.name for entry in every[5:]] == list(FURTHER_NETWORKS)
    assert {entry.initializations for entry in every} == {(SCRATCH,)}
    assert [entry.letter for entry in every[4:7]] == ["e", "1", "2"]
    assert [entry.name for entry in select_entries("tsn, c3d")] == ["c3d", "tsn"]
    assert select_entries("tsn")[0].streams == ("rgb", "flow")
    assert select_entries("s3d")[0].streams == ("rgb",)
    with pytest.raises(ValueError, match=r"`networks` must be one of .*; received 'c4d'"):
        select_entries("tsn,c4d")


def test_published_accuracies_are_of_known_networks():
    assert PUBLISHED_ACCURACIES.keys() <= FURTHER_NETWORKS.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", FURTHER_NETWORKS)
def test_every_network_has_a_size_and_a_cost_on_the_embedded_dataset(name):
    (entry,) = select_entries(name)
    assert 1e4 < entry.parameters < 1e8
    assert 1e6 < entry.multiply_adds < 2e11
