import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from i3d_tf.experiments.render import RECIPE_FILE, render_stick_actions
from i3d_tf.specs.stick_actions import STICK_LABELS
from i3d_tf.synthetic.clip import clip_seed, render_clip
from i3d_tf.video.decode import read_clip

SMALL = {"train_clips": 1, "test_clips": 1, "size": 64}
REPOSITORY_ROOT = Path(__file__).resolve().parent.parent.parent


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def rows(data_dir, split):
    with open(data_dir / "splits" / f"{split}.csv", newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset")
    report = render_stick_actions(folder, seed=3, processes=1, **SMALL)
    assert (report.rendered, report.kept) == (24, 0)
    return folder


def test_a_folder_for_every_class_and_a_list_for_every_split(dataset):
    assert sorted(path.name for path in (dataset / "videos").iterdir()) == list(STICK_LABELS)
    for split in ("train", "test"):
        found = rows(dataset, split)
        assert [row["label"] for row in found] == list(STICK_LABELS)
        for row in found:
            assert row["path"] == f"videos/{row['label']}/{row['label']}_{split}_0000.mp4"
            assert (dataset / row["path"]).is_file()
    listed = {row["path"] for split in ("train", "test") for row in rows(dataset, split)}
    videos = {str(path.relative_to(dataset)) for path in dataset.rglob("*.mp4")}
    assert listed == videos


def test_a_video_shows_the_clip(dataset):
    clip = render_clip("put_on_hat", clip_seed(3, "test", "put_on_hat", 0), 64)
    video = read_clip(dataset / "videos/put_on_hat/put_on_hat_test_0000.mp4", frame_rate=None)
    assert video.shape == clip.shape
    # H.264 at high quality; halved colour resolution blurs the edges of vivid clothes.
    assert np.abs(video.astype(int) - clip).mean() < 6
    assert np.abs(video.mean(axis=-1) - clip.mean(axis=-1)).mean() < 4


def test_two_processes_give_the_same_files(dataset, tmp_path):
    report = render_stick_actions(tmp_path, seed=3, processes=2, **SMALL)
    assert report.rendered == 24
    one = {path.relative_to(dataset): data for path, data in contents(dataset).items()}
    two = {path.relative_to(tmp_path): data for path, data in contents(tmp_path).items()}
    assert one == two


def test_run_again_it_makes_what_is_missing_and_touches_nothing_else(dataset):
    before = contents(dataset)
    victim = dataset / "videos/sit_down/sit_down_train_0000.mp4"
    victim.unlink()
    times = {path: path.stat().st_mtime_ns for path in dataset.rglob("*.mp4")}
    report = render_stick_actions(dataset, seed=3, processes=1, **SMALL)
    assert (report.rendered, report.kept) == (1, 23)
    assert contents(dataset) == before
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in times.items())


def test_what_a_killed_job_left_half_written_is_removed(dataset):
    old, young = (dataset / f"videos/sit_down/.sit_down.{age}.part" for age in ("old", "young"))
    for path in (old, young):
        path.write_bytes(b"half")
    an_hour_ago = time.time() - 3600
    os.utime(old, (an_hour_ago, an_hour_ago))
    render_stick_actions(dataset, seed=3, processes=1, **SMALL)
    assert not old.exists()
    assert young.exists()  # perhaps another job is writing it now
    young.unlink()


def test_more_clips_leave_the_first_ones_as_they_were(dataset, tmp_path):
    render_stick_actions(tmp_path, train_clips=0, test_clips=1, size=64, seed=3, processes=1)
    for path in (tmp_path / "videos").rglob("*.mp4"):
        assert path.read_bytes() == (dataset / path.relative_to(tmp_path)).read_bytes()
    assert rows(tmp_path, "train") == []


@pytest.mark.parametrize("changed", [{"seed": 4}, {"size": 80}])
def test_a_dataset_of_another_recipe_is_left_alone(dataset, changed):
    before = contents(dataset)
    arguments = {**SMALL, "seed": 3, "processes": 1, **changed}
    with pytest.raises(
        ValueError, match=r"holds clips made with .*seed 3, size 64, not with .*give"
    ):
        render_stick_actions(dataset, **arguments)
    assert contents(dataset) == before


def test_a_damaged_recipe_is_named(tmp_path):
    for text in ("", "[]", "{}", json.dumps({"seed": 3})):
        (tmp_path / RECIPE_FILE).write_text(text)
        with pytest.raises(ValueError, match=r"stick_actions.json is damaged"):
            render_stick_actions(tmp_path, processes=1, **SMALL)


def test_somebody_elses_videos_are_left_alone(tmp_path):
    (tmp_path / "videos" / "archery").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"has videos but no stick_actions.json"):
        render_stick_actions(tmp_path, processes=1, **SMALL)
    assert [path.name for path in tmp_path.rglob("*")] == ["videos", "archery"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        OSError, match=r"`data_dir` .*file.below cannot be written: Not a directory"
    ):
        render_stick_actions(tmp_path / "file" / "below", processes=1, **SMALL)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"train_clips": -1}, r"`train_clips` must be an integer within 0..9999; received -1"),
        ({"test_clips": 2.5}, r"`test_clips` must be an integer within 0..9999; received 2.5"),
        ({"size": 63}, r"`size` must be an integer within 64..1024; received 63"),
        ({"seed": -1}, r"`seed` must be an integer within .*; received -1"),
        ({"processes": 0}, r"`processes` must be an integer within 1..1024; received 0"),
    ],
)
def test_bad_arguments_are_named_before_anything_is_made(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        render_stick_actions(tmp_path / "new", **arguments)
    assert not (tmp_path / "new").exists()


def run_tool(*flags):
    command = [sys.executable, str(REPOSITORY_ROOT / "tools" / "make_stick_actions.py"), *flags]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_binary_renders(tmp_path):
    done = run_tool(f"--data_dir={tmp_path}", "--train_clips=0", "--test_clips=1", "--size=64")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"{tmp_path}: 12 clips rendered, 0 already there"
    assert len(list(tmp_path.rglob("*.mp4"))) == 12


def test_the_binary_answers_bad_input_with_one_line(tmp_path):
    done = run_tool(f"--data_dir={tmp_path / 'new'}", "--size=8")
    assert done.returncode == 1
    assert done.stderr == "error: `size` must be an integer within 64..1024; received 8.\n"
