import pytest

from i3d_tf.specs.datasets import DATASETS, PERSON_BOXES, SPLIT_SPELLINGS, find_dataset
from i3d_tf.specs.labels import read_labels
from i3d_tf.specs.recipes import RECIPES
from i3d_tf.specs.stick_actions import STICK_LABELS


def test_class_counts_are_those_of_the_label_sets():
    assert DATASETS["stick_actions"].classes == len(STICK_LABELS)
    for name in ("kinetics400", "kinetics600"):
        assert DATASETS[name].classes == len(read_labels(DATASETS[name].labels))


def test_recipes_name_known_datasets():
    known = {*DATASETS, PERSON_BOXES}  # the latter is read with the boxes that a user names
    assert {recipe.dataset for recipe in RECIPES.values()} <= known


def test_split_spellings_are_unique():
    spellings = [spelling for every in SPLIT_SPELLINGS.values() for spelling in every]
    assert len(spellings) == len(set(spellings))


def test_find_dataset_names_the_choices():
    with pytest.raises(ValueError, match=r"`dataset` must be one of .*'ucf101'.*received 'ucf'"):
        find_dataset("ucf")
