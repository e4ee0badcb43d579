"""The study of both tasks, with stand-ins for trainings, and once for real, with tiny networks."""

import dataclasses
import json
from functools import partial

import numpy as np
import pytest

from i3d_tf.data.example import Interval, IntervalVideo, KeyFrame, Person, VideoExample
from i3d_tf.evaluation.video_scores import VideoScores
from i3d_tf.experiments import interval_study, scene_study, tasks
from i3d_tf.experiments.interval_study import interval_recipe, spread
from i3d_tf.experiments.scene_study import scene_recipe
from i3d_tf.experiments.tasks import study_tasks, tasks_table

FOUND = {"intervals": [("trained", 0.93), ("clips", 0.41)], "scenes": [("persons", 0.951)]}


@pytest.mark.parametrize(
    ("recipe", "task"), [(interval_recipe(6), "frames"), (scene_recipe(6), "persons")]
)
def test_recipes_start_all_layers_from_the_network_that_ships(recipe, task):
    assert (recipe.task, recipe.transfer, recipe.init) == (task, "full", "stick_actions_rgb")
    assert (recipe.steps, recipe.evaluate_every, recipe.width_multiplier) == (6, 3, 0.25)


def test_spread_scores_one_answer_at_all_frames():
    # Of four frames the first two have class 0. One answer a video ranks both videos' frames alike.
    times = np.arange(4) / 25
    first = IntervalVideo("a", (Interval(0, 0.0, 0.04),), 0.16)
    scores = np.array([[9.0, 0], [9, 0], [0, 0], [0, 0]])
    videos = [VideoScores(first, times, scores), VideoScores(IntervalVideo("b"), times, -scores)]
    assert spread(videos, np.max) == pytest.approx((1 + 1) / 2)
    late = VideoScores(IntervalVideo("a", (Interval(0, 0.08, 0.12),), 0.16), times, scores)
    assert spread([late], np.mean) == pytest.approx((1 / 3 + 2 / 4) / 2)


def test_swapped_and_whole_boxes_keep_who_does_what():
    persons = (Person((0, 0, 0.2, 1), (3,)), Person((0.5, 0, 0.7, 1), (5,)))
    example = VideoExample("a.mp4", -1, "", key_frames=(KeyFrame("a", 1.0, 1.0, persons),))
    swapped = scene_study.swap_boxes(example).key_frames[0].persons
    assert [person.box[0] for person in swapped] == [0.5, 0]
    assert [person.labels for person in swapped] == [(3,), (5,)]
    whole = scene_study.look_at_whole_frame(example).key_frames[0].persons
    assert {person.box for person in whole} == {(0, 0, 1, 1)}


def test_study_writes_a_table_and_results(tmp_path, monkeypatch, capsys):
    calls = []

    def study(name, folder, steps, seed):
        calls.append((folder.name, steps, seed))
        return FOUND[name]

    monkeypatch.setattr(tasks, "study_intervals", partial(study, "intervals"))
    monkeypatch.setattr(tasks, "study_scenes", partial(study, "scenes"))
    assert study_tasks(tmp_path, 6, 4, seed=2) == FOUND
    assert calls == [("intervals", 6, 2), ("scenes", 4, 2)]
    assert (tmp_path / "table.md").read_text() == "\n".join(tasks_table(FOUND)) + "\n"
    assert "| persons | 0.951 |" in tasks_table(FOUND)
    assert json.loads((tmp_path / "results.json").read_text())["mAP"]["intervals"]["clips"] == 0.41
    (tmp_path / "table.md").write_text("someone's own")
    with pytest.raises(FileExistsError, match=r"table\.md"):
        study_tasks(tmp_path, 6, 4)


def test_study_refuses_no_steps(tmp_path):
    with pytest.raises(ValueError, match="`scene_steps` must be an integer >= 1; received 0"):
        study_tasks(tmp_path, 1, 0)


@pytest.mark.slow
@pytest.mark.usefixtures("eager_training")
def test_both_studies_run_from_rendering_to_reports(tmp_path, monkeypatch):
    def call(function, *arguments, grace):
        return function(*arguments)

    for module, make, recipe in (
        (interval_study, "make_stick_intervals", "interval_recipe"),
        (scene_study, "make_stick_scenes", "scene_recipe"),
    ):
        few = partial(getattr(module, make), train_videos=2, test_videos=1, size=64, processes=1)
        monkeypatch.setattr(module, make, few)
        monkeypatch.setattr(module, "run_in_process", call)
        tiny = dataclasses.replace(
            getattr(module, recipe)(1), short_side=36, crop_size=32, train_frames=9, test_frames=9
        )
        monkeypatch.setattr(module, recipe, lambda steps, tiny=tiny: tiny)
    found = study_tasks(tmp_path, 1, 1)
    assert [len(rows) for rows in found.values()] == [4, 4]
    assert all(0 < value <= 1 for rows in found.values() for _, value in rows)
    for name in ("intervals", "scenes"):
        assert (tmp_path / name / "report" / "report.html").is_file()
    assert "<svg" in (tmp_path / "intervals" / "intervals.svg").read_text()
