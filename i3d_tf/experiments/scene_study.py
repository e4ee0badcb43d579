"""A small network learns what each of several people does, and sees other boxes than theirs."""

import dataclasses
from pathlib import Path

import numpy as np

from i3d_tf.data.ava import read_label_map
from i3d_tf.data.example import VideoExample
from i3d_tf.data.pipeline import PipelineConfig
from i3d_tf.evaluation.evaluate_persons import (
    PersonOptions,
    evaluate_persons,
    write_person_submission,
)
from i3d_tf.evaluation.score import score_submission
from i3d_tf.experiments.interval_study import GRACE, INIT, Row, train_quietly
from i3d_tf.experiments.make_stick_scenes import LABEL_MAP, make_stick_scenes
from i3d_tf.inference.person_dataset import read_person_dataset
from i3d_tf.inference.person_logits import compute_person_logits, person_function
from i3d_tf.specs.recipe import FULL, PERSONS, Recipe
from i3d_tf.specs.recipes import RECIPES, STICK_ACTIONS, for_task
from i3d_tf.specs.streams import FRAME_RATE
from i3d_tf.synthetic.crowd import PEOPLE
from i3d_tf.system.files import atomic_write
from i3d_tf.system.worker_pool import run_in_process
from i3d_tf.training.train import TrainOptions
from i3d_tf.video.decode import read_clip
from i3d_tf.video.transforms import resize_short_side
from i3d_tf.viz.annotate import annotate_boxes
from i3d_tf.viz.contact_sheet import write_png
from i3d_tf.zoo.checkpoint import open_checkpoint

STEPS = 300
PICTURE = "scenes.png"
SHOWN = (2, 3)  # key frames of the picture: rows and columns
ENLARGED = 5 / 2  # so that words fit into boxes
WHOLE_FRAME = (0.0, 0.0, 1.0, 1.0)


def scene_recipe(steps: int = STEPS) -> Recipe:
    """Returns the recipe: all layers, on 16 frames of 25/3 a second around each key frame.

    Args:
        steps: Updates.
    """
    return dataclasses.replace(
        for_task(RECIPES[STICK_ACTIONS], PERSONS),
        short_side=160,  # people are about as tall as in the clips, of 96 pixels
        crop_size=144,
        batch_size=4,
        max_boxes=max(PEOPLE),
        steps=steps,
        evaluate_every=max(1, steps // 2),
        learning_rates=(1e-3,),
        dropout_rate=0.2,
        transfer=FULL,
        init=INIT,
    )


def study_scenes(folder: Path, steps: int = STEPS, seed: int = 0) -> list[Row]:
    """Renders scenes, trains a network on the people in them, and evaluates it.

    Writes the score and the page to `report/`, the submissions of other boxes below it, and a
    picture of some key frames, `scenes.png`.

    Args:
        folder: For data, run and reports; what is there already is not made again.
        steps: Updates.
        seed: Of the training.

    Returns:
        AVA's frame mAP on the test scenes, with the boxes of people and with others.
    """
    data_dir, run = folder / "data", folder / "run"
    make_stick_scenes(data_dir)
    truth, label_map = str(data_dir / "test.csv"), str(data_dir / LABEL_MAP)
    recipe = scene_recipe(steps)
    options = TrainOptions(
        data_dir=str(data_dir),
        workdir=str(run),
        boxes=str(data_dir / "train.csv"),
        test_boxes=truth,
        label_map=label_map,
        transfer=recipe.transfer,
        init=recipe.init,
        seed=seed,
    )
    run_in_process(train_quietly, recipe, options, grace=GRACE)
    report = folder / "report"
    score = evaluate_persons(
        PersonOptions(str(data_dir), truth, label_map, str(report), {"rgb": str(run)})
    )
    rows = [("looks at the box of each person", score.mean)]
    actions = read_label_map(label_map)
    checkpoint = open_checkpoint(str(run), sees_persons=True)
    dataset = read_person_dataset(
        str(data_dir), truth, actions, checkpoint.protocol.frame_rate, checkpoint.class_names
    )
    forward = person_function(checkpoint.model)
    labels = {number: checkpoint.class_names.index(name) for number, name in actions.items()}
    looks = {
        None: lambda example: example,
        "looks at the box of another person": swap_boxes,
        "looks at the whole frame for each person": look_at_whole_frame,
    }
    for name, change in looks.items():
        config = PipelineConfig(
            examples=tuple(map(change, dataset.examples)),
            streams=("rgb",),
            protocol=checkpoint.protocol,
            batch_size=1,
            seed=0,
            task=PERSONS,
            classes=len(labels),
        )
        logits, _ = compute_person_logits(forward, config, title=name or "test")
        if name is None:
            _write_picture(folder / PICTURE, dataset.examples, logits, checkpoint.class_names)
            continue
        rows.append((name, _frame_map(report, change.__name__, dataset, logits, labels, data_dir)))
    known = [_actions_of_frame(example, len(labels)) for example in dataset.examples]
    name = "the true actions of the frame for each person"
    rows.append((name, _frame_map(report, "know_the_frame", dataset, known, labels, data_dir)))
    return rows


def _frame_map(report, name, dataset, logits, labels, data_dir):
    submission = report / f"submission_{name}.csv"
    write_person_submission(submission, dataset.examples, logits, labels)
    return score_submission("ava", data_dir / "test.csv", submission, data_dir / LABEL_MAP).mean


def _write_picture(path, examples, logits, names):
    """Draws key frames of different videos, with the likeliest action of each person."""
    numbers = np.linspace(0, len(examples) - 1, SHOWN[0] * SHOWN[1]).round().astype(int)
    pictures = [_picture(examples[number], logits[number], names) for number in numbers]
    rows = np.split(np.stack(pictures), SHOWN[0])
    with atomic_write(path) as temporary:
        write_png(temporary, np.concatenate([np.concatenate(row, axis=1) for row in rows]))


def _picture(example, logits, names):
    (key_frame,) = example.key_frames
    (frame, *_) = read_clip(example.path, FRAME_RATE, key_frame.time, key_frame.time + 0.5)
    size = round(len(frame) * ENLARGED)
    enlarged = resize_short_side(frame[np.newaxis], size)[0]
    persons = []
    for person, row in zip(key_frame.persons, logits, strict=True):
        best = int(row.argmax())
        share = float(1 / (1 + np.exp(-row[best])))
        persons.append((person.box, [(f"{names[best]} {share:.0%}", share)]))
    return annotate_boxes(enlarged, persons)


def _with_boxes(example: VideoExample, boxes) -> VideoExample:
    (key_frame,) = example.key_frames
    persons = tuple(
        person._replace(box=box) for person, box in zip(key_frame.persons, boxes, strict=True)
    )
    return dataclasses.replace(example, key_frames=(key_frame._replace(persons=persons),))


def swap_boxes(example: VideoExample) -> VideoExample:
    """Gives every person of the key frame the box of the next one."""
    boxes = [person.box for person in example.key_frames[0].persons]
    return _with_boxes(example, [*boxes[1:], boxes[0]])


def look_at_whole_frame(example: VideoExample) -> VideoExample:
    """Gives every person of the key frame the whole frame as the box."""
    return _with_boxes(example, [WHOLE_FRAME] * len(example.key_frames[0].persons))


def _actions_of_frame(example, classes):
    """Returns logits for each person that know what happens in the frame, but not who does it."""
    persons = example.key_frames[0].persons
    logits = np.full((len(persons), classes), -5.0)
    for person in persons:
        logits[:, list(person.labels)] = 5.0
    return logits
