"""Checks that the options of a training run fit its recipe, and one another."""

from i3d_tf.records.service import check_service
from i3d_tf.specs.recipe import CLIP, FRAMES, MULTILABEL, PERSONS, TRAINED_STREAMS, Recipe
from i3d_tf.specs.streams import FEATURES, JOINT
from i3d_tf.training.settings import TrainOptions
from i3d_tf.zoo.networks import arguments_of

INTERVAL_FILES = ("intervals", "test_intervals")
PERSON_FILES = ("boxes", "test_boxes", "label_map")
# Options of videos, which records have behind them.
RECORDS_EXCLUDE = (
    *("data_dir", "features", "annotation", "quarantine", "second"),
    "input_processes",
    *INTERVAL_FILES,
    *PERSON_FILES,
)
FILE_TITLES = {
    "boxes": "a file of persons",
    "test_boxes": "a file of persons in other videos",
    "label_map": "a file of actions",
}


def check_options(recipe: Recipe, options: TrainOptions) -> None:
    """Checks that a recipe and the options of a run fit, before anything is read or written.

    Args:
        recipe: The network and its schedule.
        options: The options, as `TrainOptions.for_recipe` returns them.

    Raises:
        ValueError: An option is missing or is not for this network, task or kind of data, or no
                data service answers.
    """
    _check_source(options)
    _check_features(recipe, options)
    _check_task(recipe, options)
    _check_second(recipe, options)
    if options.records is not None:
        _check_records(recipe, options)


def _check_features(recipe, options):
    """Checks that there are stored features for a network that reads them, and for no other."""
    if recipe.stream == FEATURES and options.features is None:
        raise ValueError(
            f"`features` must be the folder of stored features for {recipe.model}; received None. "
            "Give --features."
        )
    if recipe.stream != FEATURES and options.features is not None:
        raise ValueError(
            f"`features` must be None for {recipe.model}, which sees clips; received "
            f"{options.features!r}. Give --model=feature_lstm to train on features."
        )


def _check_task(recipe, options):
    """Checks that there are the files that a task learns from, and no others."""
    given = INTERVAL_FILES if recipe.task in (MULTILABEL, FRAMES) else ()
    given = PERSON_FILES if recipe.task == PERSONS else given
    advice = {
        **dict.fromkeys(INTERVAL_FILES, "--task=frames or --task=multilabel"),
        **dict.fromkeys(PERSON_FILES, "--task=persons"),
    }
    for name, task in advice.items():
        value = getattr(options, name)
        if value is not None and name not in given:
            raise ValueError(
                f"`{name}` must be None for `task` {recipe.task!r}; received {value!r}. Give "
                f"{task}."
            )
    for name in given if options.records is None else ():
        if getattr(options, name) is None and name != "test_intervals":
            raise ValueError(
                f"`{name}` must be {FILE_TITLES.get(name, 'an annotation file')} for `task` "
                f"{recipe.task!r}; received None. Give --{name}."
            )
    if recipe.task == CLIP:
        return
    for name in ("class_weights", "annotation"):
        if value := getattr(options, name):
            raise ValueError(
                f"`{name}` is not for `task` {recipe.task!r}; received {value!r}. Leave it out."
            )


def _check_second(recipe, options):
    """Checks that a network can have a head for each of two datasets, where there are two."""
    if options.second is None:
        if options.heads is not None:
            raise ValueError(
                f"`heads` must be None with one dataset; received {', '.join(options.heads)}. Give "
                "--second_data_dir, too."
            )
        return
    if "heads" not in arguments_of(recipe.model) or recipe.stream == JOINT or recipe.task != CLIP:
        able = ", ".join(name for name in TRAINED_STREAMS if "heads" in arguments_of(name))
        raise ValueError(
            f"`second` must be None for {recipe.model} of {recipe.stream} and the task "
            f"{recipe.task}. Give --model, one of {able}, for a head for each of two datasets."
        )
    if options.class_weights:
        raise ValueError(
            "`class_weights` must be False with a second dataset; received True. Leave it out."
        )


def _check_source(options):
    """Checks that there are videos or records, and for records nothing that only videos have."""
    if options.records is None:
        for name in ("test_records", "data_service"):
            if (value := getattr(options, name)) is not None:
                raise ValueError(
                    f"`{name}` must be None without records; received {value!r}. Give --records, "
                    "too."
                )
        if options.data_dir is None:
            raise ValueError(
                "`data_dir` must be the folder of a dataset; received None. Give --data_dir, or "
                "--records to train on records."
            )
        return
    for name in RECORDS_EXCLUDE:
        if (value := getattr(options, name)) is not None:
            shown = repr(value) if isinstance(value, (str, int)) else "one"
            raise ValueError(
                f"`{name}` must be None with records; received {shown}. Leave it out, or train on "
                "the videos: give --data_dir without --records."
            )
    if options.time_offset:
        raise ValueError(
            "`time_offset` must be 0 with records, whose persons have the times of the frames; "
            f"received {options.time_offset:g}. Leave it out."
        )


def _check_records(recipe, options):
    """Checks that records can serve a recipe."""
    if recipe.task != CLIP and options.test_records is None:
        raise ValueError(
            f"`test_records` must be records of other videos for `task` {recipe.task!r}; received "
            "None. Give --test_records."
        )
    if recipe.crop_scales is not None and "flow" in recipe.streams:
        raise ValueError(
            f"`crop_scales` must be None with records of flow; received {recipe.crop_scales!r}. "
            "Train on the videos: give --data_dir without --records."
        )
    if options.data_service is not None:
        if recipe.task == PERSONS:
            raise ValueError(
                "`data_service` must be None for persons, whose clips are made where the training "
                f"is; received {options.data_service!r}. Leave it out."
            )
        if options.deterministic:
            raise ValueError(
                "`data_service` must be None for deterministic training, since the order of its "
                f"clips varies; received {options.data_service!r}. Leave out one of the two."
            )
        check_service(options.data_service)
