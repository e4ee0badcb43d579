import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest

from i3d_tf.data.readers import read_dataset
from i3d_tf.experiments.make_stick_actions import RECIPE_FILE, make_stick_actions
from i3d_tf.specs.stick_actions import STICK_LABELS
from i3d_tf.synthetic.clip import clip_seed, render_clip
from i3d_tf.video.decode import read_clip
from i3d_tf.video.errors import VideoError

SMALL = {"train_clips": 1, "test_clips": 1, "size": 64, "seed": 3, "processes": 1}
VIDEO = "videos/sit_down/sit_down_train_0000.mp4"


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows(data_dir, split):
    with open(data_dir / "splits" / f"{split}.csv", newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset")
    report = make_stick_actions(folder, **SMALL)
    assert (report.rendered, report.kept) == (24, 0)
    return folder


def test_render_makes_a_folder_a_class_and_a_list_a_split(dataset):
    assert sorted(os.listdir(dataset)) == ["splits", RECIPE_FILE, "videos"]
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


def test_rendered_dataset_is_read_without_notes(dataset):
    found = read_dataset("stick_actions", dataset, "test")
    assert found.class_names == STICK_LABELS
    assert [example.label for example in found.examples] == list(range(12))
    assert found.report.notes == ()


def test_render_writes_the_frames_of_the_clip(dataset):
    clip = render_clip("put_on_hat", clip_seed(3, "test", "put_on_hat", 0), 64)
    video = read_clip(dataset / "videos/put_on_hat/put_on_hat_test_0000.mp4", frame_rate=None)
    assert video.shape == clip.shape
    # H.264 at high quality; halved colour resolution blurs the edges of vivid clothes.
    assert np.abs(video.astype(int) - clip).mean() < 6
    assert np.abs(video.mean(axis=-1) - clip.mean(axis=-1)).mean() < 4


def test_render_in_two_processes_gives_the_same_files(dataset, tmp_path):
    # Fewer training clips leave the others as they are.
    report = make_stick_actions(tmp_path, **{**SMALL, "train_clips": 0, "processes": 2})
    assert report.rendered == 12
    assert rows(tmp_path, "train") == []
    one, two = contents(dataset), contents(tmp_path)
    videos = {path for path in one if "_test_" in path.name}
    assert len(videos) == 12
    assert {path: one[path] for path in videos} == {p: two[p] for p in two if p.suffix == ".mp4"}


def test_make_stick_actions_renders_only_missing_clips(dataset):
    before = contents(dataset)
    (dataset / VIDEO).unlink()
    times = {path: path.stat().st_mtime_ns for path in dataset.rglob("*.mp4")}
    report = make_stick_actions(dataset, **SMALL)
    assert (report.rendered, report.kept) == (1, 23)
    assert contents(dataset) == before
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in times.items())


def test_render_removes_half_written_videos_of_killed_jobs(dataset):
    staging = dataset / ".unfinished-0a1b2c3d"
    staging.mkdir()
    for name in ("lock", "sit_down.mp4"):
        (staging / name).touch()
    make_stick_actions(dataset, **SMALL)
    assert not staging.exists()


def test_render_goes_on_when_it_was_stopped_between_two_folders(tmp_path, monkeypatch):
    def stop(folder, *arguments, **options):
        if folder.name == "splits":
            raise KeyboardInterrupt
        os.makedirs(folder, exist_ok=True)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", stop)
        with pytest.raises(KeyboardInterrupt):
            make_stick_actions(tmp_path, **SMALL)
    assert (tmp_path / "videos").is_dir()
    assert make_stick_actions(tmp_path, **SMALL).rendered == 24


def test_render_stops_at_a_video_that_cannot_be_written(tmp_path, monkeypatch):
    def write_video(path, frames, frame_rate):
        path.write_bytes(b"half")
        raise VideoError(str(path), "it cannot be written: no space left on device")

    monkeypatch.setattr("i3d_tf.video.encode.write_video", write_video)
    video = tmp_path / "videos/climb_down/climb_down_train_0000.mp4"
    with pytest.raises(VideoError, match=f"^{video}: it cannot be written: no space left"):
        make_stick_actions(tmp_path, **SMALL)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [RECIPE_FILE]


def test_render_stops_where_processes_are_killed(tmp_path, monkeypatch):
    def map_unordered(function, tasks, processes, died):
        yield tasks[0], died

    monkeypatch.setattr("i3d_tf.experiments.rendered_folder.map_unordered", map_unordered)
    video = tmp_path / "videos/climb_down/climb_down_train_0000.mp4"
    with pytest.raises(OSError, match=f"^{video}: the process that rendered it was killed"):
        make_stick_actions(tmp_path, **{**SMALL, "processes": 2})


@pytest.mark.parametrize("changed", [{"seed": 4}, {"size": 80}])
def test_render_leaves_a_dataset_of_another_recipe_alone(dataset, changed):
    before = contents(dataset)
    message = r"holds clips made with .*seed 3, size 64, not with .*Give another folder"
    with pytest.raises(ValueError, match=message):
        make_stick_actions(dataset, **{**SMALL, **changed})
    assert contents(dataset) == before


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"seed": 3})])
def test_render_refuses_a_damaged_recipe(tmp_path, text):
    (tmp_path / RECIPE_FILE).write_text(text)
    with pytest.raises(ValueError, match=r"stick_actions\.json: the file is damaged"):
        make_stick_actions(tmp_path, **SMALL)


@pytest.mark.parametrize("folder", ["videos", "splits"])
def test_render_leaves_other_videos_alone(tmp_path, folder):
    (tmp_path / folder / "archery").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"has videos or splits but no stick_actions\.json"):
        make_stick_actions(tmp_path, **SMALL)
    assert [path.name for path in tmp_path.rglob("*")] == [folder, "archery"]


def test_render_names_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file.below: the folder cannot be written: Not a directory"):
        make_stick_actions(tmp_path / "file" / "below", **SMALL)


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
def test_make_stick_actions_checks_arguments_before_it_writes_files(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        make_stick_actions(tmp_path / "new", **{**SMALL, **arguments})
    assert not (tmp_path / "new").exists()
