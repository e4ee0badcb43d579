"""The training and the test videos of a run, and the fields of its recipe that follow from them."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from i3d_tf.data.ava import read_label_map
from i3d_tf.data.class_folders import (
    find_split_folders,
    select_videos,
    split_videos,
    video_name,
)
from i3d_tf.data.clips import find_unreadable
from i3d_tf.data.example import VideoDataset, VideoExample
from i3d_tf.data.readers import read_dataset
from i3d_tf.inference.person_dataset import read_person_dataset, without_empty_frames
from i3d_tf.records.record_set import (
    Place,
    each_key_frame,
    note_differences,
    read_interval_records,
    read_person_records,
    read_records,
)
from i3d_tf.specs.recipe import CLIP, FRAMES, MULTILABEL, PERSONS, Recipe
from i3d_tf.specs.recipes import fit_to_clips
from i3d_tf.system.records import of_kind, record_errors
from i3d_tf.system.remote import file_name
from i3d_tf.training.settings import TrainOptions
from i3d_tf.zoo.run_record import RESTORE, RUN_FILE

# Task to the reader of records; others have one class a record.
RECORD_READERS = {
    MULTILABEL: read_interval_records,
    FRAMES: read_interval_records,
    PERSONS: read_person_records,
}
SPLITS = ("train_split", "test_split")
HEAD_NAME = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class RunVideos:
    """The videos of a run.

    Attributes:
        recipe: The recipe, with the values of its derived fields.
        train: The training videos.
        test: The test videos.
        split: Names of the videos of "train" and "test" where the run chose them; None where the
            dataset has splits.
        second: Those of the second dataset; None where there is one.
        heads: Names of the heads of both.
        places: Path of each example to its record, where these are read and not videos.
        records: How their pictures were made.
    """

    recipe: Recipe
    train: VideoDataset
    test: VideoDataset
    split: dict[str, tuple[str, ...]] | None = None
    second: "RunVideos | None" = None
    heads: tuple[str, ...] = ()
    places: Mapping[str, Place] | None = None
    records: Mapping[str, Any] | None = None

    @property
    def by_head(self) -> dict[str | None, "RunVideos"]:
        """The videos of each dataset by its head, or those of the one dataset by None."""
        if self.second is None:
            return {None: self}
        return dict(zip(self.heads, (self, self.second), strict=True))

    @property
    def classes(self) -> int | dict[str, int]:
        """Number of classes, or of those of each head."""
        if self.second is None:
            return len(self.train.class_names)
        return {str(h): len(videos.train.class_names) for h, videos in self.by_head.items()}

    @property
    def train_examples(self) -> tuple[VideoExample, ...]:
        """The training videos of all datasets, each with its head."""
        if self.second is None:
            return self.train.examples
        return tuple(
            dataclasses.replace(example, head=head)
            for head, videos in self.by_head.items()
            for example in videos.train.examples
        )

    @property
    def second_settings(self) -> dict[str, Any] | None:
        """The settings of the second dataset, as run.json keeps them."""
        if self.second is None:
            return None
        recipe = self.second.recipe
        fields = {name: getattr(recipe, name) for name in ("dataset", *SPLITS)}
        class_names = list(self.second.train.class_names)
        return {"heads": list(self.heads), **fields, "class_names": class_names}


def read_run_videos(
    recipe: Recipe,
    options: TrainOptions,
    replicas: int = 1,
    earlier: Mapping[str, Any] | None = None,
) -> RunVideos:
    """Reads the videos of a run; where it chooses test videos itself, the same as before.

    Args:
        recipe: The recipe. With derived splits and a dataset of class folders, these are the
            folders "train" and "val" or "test", or else a part of every class.
        options: The options, with the recipe's values of those that were None.
        replicas: Devices that share a batch.
        earlier: The content of run.json of a run that goes on, whose derived values stay.

    Raises:
        ValueError: A folder has no videos, fewer than two classes, or no test videos; or all videos
            of a class are unreadable; or the names of the heads are not two.
        OSError: A folder does not exist, or cannot be read.
    """
    heads = () if options.second is None else _heads(recipe, options)
    read = _read_videos if options.records is None else _read_record_videos
    videos = read(recipe, options, earlier)
    _check_classes(videos, options)
    if options.second is not None:
        second = _read_second(recipe, options, options.second, earlier)
        videos = dataclasses.replace(videos, second=second, heads=heads)
    transfer = options.transfer or recipe.transfer
    fitted = fit_to_clips(videos.recipe, transfer, len(videos.train_examples), replicas)
    return dataclasses.replace(videos, recipe=fitted)


def _heads(recipe, options):
    """Returns the names of the two heads, the first dataset's first."""
    folders = options.data_dir.rstrip("/"), options.second.data_dir.rstrip("/")
    readers = recipe.dataset, options.second.dataset or recipe.dataset
    names = options.heads
    if names is None:
        names = readers if len(set(readers)) == 2 else tuple(map(file_name, folders))
    if len(names) != 2 or len(set(names)) != 2 or not all(map(HEAD_NAME.fullmatch, names)):
        raise ValueError(
            "`heads` must be two different names of letters, digits, dots, - and _; received "
            f"{', '.join(names)}. Give --heads, such as --heads=ucf101,hmdb51."
        )
    return tuple(names)


def _read_second(recipe, options, second, earlier):
    """Reads the videos of the second dataset of a run."""
    changes = {name: getattr(second, name) for name in ("dataset", *SPLITS)}
    given = {name: value for name, value in changes.items() if value is not None}
    derived = tuple(name for name in recipe.derived if name in SPLITS and name not in given)
    recipe = dataclasses.replace(recipe, **given, derived=derived)
    options = dataclasses.replace(
        options,
        data_dir=second.data_dir,
        annotation=second.annotation,
        quarantine=second.quarantine,
        classes=None,
    )
    if earlier is not None:
        with record_errors(Path(options.workdir) / RUN_FILE, "the settings of a run", RESTORE):
            fields = of_kind(earlier["settings"].get("second") or {}, "second", dict)
            names = {"name": earlier["settings"].get("name")}
            of_head = earlier.get("heads", {}).get((fields.get("heads") or [None])[-1], {})
        split = {name: of_head[name] for name in ("split",) if name in of_head}
        earlier = {"settings": {**names, **fields}, **split}
    return _read_videos(recipe, options, earlier)


def _read_record_videos(recipe, options, earlier):
    """Reads the records of a run, whose recipe lacks what follows from their number."""
    known = None
    if earlier is not None and earlier["settings"].get("name") == recipe.name:
        known = earlier.get("split")
        recipe = _with_recorded_fields(recipe, options.workdir, earlier["settings"])
    train = _read_records(recipe, options.records, options.classes, "training records")
    if options.test_records is None:
        dataset = train.dataset
        split = _split(dataset, options, known)
        notes = _split_notes(dataset, split, options)
        parts = (
            select_videos(dataset, "train", split["train"]),
            select_videos(dataset, "test", split["test"], notes),
        )
        return RunVideos(recipe, *parts, split, places=train.places, records=train.settings)
    names = train.dataset.class_names
    test = _read_records(recipe, options.test_records, names, "test records")
    dataset = train.dataset
    if recipe.task != CLIP:
        _check_records_apart(train, test, options)
    if recipe.task == PERSONS:
        dataset = without_empty_frames(dataset)
    return RunVideos(
        recipe,
        dataset,
        test.dataset,
        places=train.places | test.places,
        records=train.settings,
    )


def _read_records(recipe, pattern, classes, title):
    read = RECORD_READERS.get(recipe.task, read_records)
    records = read(pattern, classes, title)
    if recipe.task == PERSONS:
        records = each_key_frame(records)
    return note_differences(records, recipe.short_side, recipe.frame_rate, "recipe")


def _read_videos(recipe, options, earlier):
    """Reads the videos of one dataset, whose recipe lacks what follows from their number."""
    known = split = None
    chooses = recipe.dataset == "class_folders" and set(SPLITS) <= set(recipe.derived)
    if earlier is not None and earlier["settings"].get("name") == recipe.name:
        known = earlier.get("split")
        chooses = chooses and known is not None
        recipe = _with_recorded_fields(recipe, options.workdir, earlier["settings"])
    elif chooses and (folders := find_split_folders(options.data_dir)):
        chooses = False
        train_split, test_split = folders
        recipe = dataclasses.replace(recipe, train_split=train_split, test_split=test_split)
    if chooses:
        dataset = _read_readable(recipe, options)
        split = _split(dataset, options, known)
    if split is None:
        if recipe.task == PERSONS:
            train = without_empty_frames(_read_persons(recipe, options, options.boxes))
            test = _read_persons(recipe, options, options.test_boxes)
        else:
            train = _read(recipe, options, recipe.train_split, options.classes)
            test = _read(recipe, options, recipe.test_split, train.class_names, is_test=True)
        if recipe.task != CLIP:
            _check_apart(train, test, options)
    else:
        train = select_videos(dataset, "train", split["train"])
        test = select_videos(dataset, "test", split["test"], _split_notes(dataset, split, options))
    return RunVideos(recipe, train, test, split)


def _check_classes(videos, options):
    names = videos.train.class_names
    if len(names) < 2 and videos.recipe.task == CLIP:
        advice = "Make a folder for each of at least two classes, with its videos in it."
        if options.records is not None:
            advice = "Name records of at least two classes."
        folder = options.records or videos.train.report.data_dir
        raise ValueError(f"{folder}: has one class, {names[0]!r}. {advice}")


def _with_recorded_fields(recipe, workdir, settings):
    """Returns a recipe with the derived fields of a run that goes on."""
    with record_errors(Path(workdir) / RUN_FILE, "the settings of a training run", RESTORE):
        fields = {name: settings[name] for name in recipe.derived if name in settings}
        for name in fields.keys() & set(SPLITS):
            of_kind(fields[name], name, str)
        if "learning_rates" in fields:
            fields["learning_rates"] = tuple(fields["learning_rates"])
        derived = tuple(name for name in recipe.derived if name not in fields)
        return dataclasses.replace(recipe, **fields, derived=derived)


def _read(recipe, options, split, classes, is_test=False):
    annotation = options.annotation
    if recipe.task != CLIP:
        annotation = (is_test and options.test_intervals) or options.intervals
    return read_dataset(
        recipe.dataset,
        options.data_dir,
        split,
        annotation=annotation,
        classes=classes,
        quarantine=options.quarantine,
    )


def _read_persons(recipe, options, boxes):
    """Reads the key frames of persons in boxes."""
    return read_person_dataset(
        options.data_dir,
        boxes,
        read_label_map(options.label_map),
        recipe.frame_rate,
        quarantine=options.quarantine,
        time_offset=options.time_offset,
        split=recipe.train_split if boxes == options.boxes else recipe.test_split,
    )


def _check_apart(train, test, options):
    """Checks that no video is for training and for testing."""
    both = {example.path for example in train.examples} & {each.path for each in test.examples}
    if both:
        advice = "Add a column `split`, or give --test_intervals, another file."
        if options.intervals is None:
            advice = "Give --test_boxes, a file of other videos."
        raise ValueError(
            f"{options.intervals or options.boxes}: {len(both)} of its videos are for training and "
            f"for testing, such as {min(both)}. {advice}"
        )


def _check_records_apart(train, test, options):
    """Checks that no record is for training and for testing."""
    places = [{(p.shard, p.number) for p in each.places.values()} for each in (train, test)]
    if both := set.intersection(*places):
        shard, number = min(both)
        raise ValueError(
            f"`records` {options.records} and `test_records` {options.test_records}: "
            f"{len(both)} records are for training and for testing, such as record {number} of "
            f"{shard}. Name other shards."
        )


def _read_readable(recipe, options):
    """Reads all class folders, without those that hold no video and without unreadable videos."""
    dataset = _read(recipe, options, None, options.classes)
    used = {example.class_name for example in dataset.examples}
    if options.classes is None and used != set(dataset.class_names):
        dataset = _read(recipe, options, None, sorted(used))
    if options.features is not None:  # the videos themselves are not read
        return dataset
    reasons = find_unreadable(dataset.examples, recipe.frame_rate)
    readable = tuple(each for each in dataset.examples if each.path not in reasons)
    classes = {example.class_name for example in readable}
    for example in dataset.examples:
        if example.class_name not in classes:
            raise ValueError(
                f"{options.data_dir}: no video of the class {example.class_name!r} can be read, "
                f"such as {example.path}: {reasons[example.path]}. Replace its videos, or remove "
                "its folder."
            )
    report = dataclasses.replace(
        dataset.report,
        found=len(readable),
        quarantined=(*dataset.report.quarantined, *sorted(reasons.items())),
    )
    return dataclasses.replace(dataset, examples=readable, report=report)


def _split(dataset, options, known):
    """Returns the names of the videos of each split."""
    folder = dataset.report.data_dir
    names = {video_name(example, folder): example.class_name for example in dataset.examples}
    recorded = {*known["train"], *known["test"]} if known else set()
    if recorded and recorded.isdisjoint(names):
        raise ValueError(
            f"{folder}: has none of the videos of the run in {options.workdir}, such as "
            f"{min(recorded)}. Name another --workdir."
        )
    split = split_videos(names, options.seed, known)
    if not split["test"]:
        raise ValueError(
            f"{folder}: no class has two videos, so that none is left to test on. Add videos."
        )
    return split


def _split_notes(dataset, split, options):
    """Returns what a user should know of a split, a sentence each."""
    tested = set(split["test"])
    names = {
        example.class_name
        for example in dataset.examples
        if video_name(example, dataset.report.data_dir) in tested
    }
    notes = [f"chosen by seed {options.seed}, from every class; run.json lists them"]
    if only := [name for name in dataset.class_names if name not in names]:
        notes.append(f"classes with one video, which is for training: {', '.join(only)}")
    return notes
