"""The commands of docs/finetune.md, on videos in a folder for each class."""

import json
import shutil

import pytest
from fixtures.pages import commands_of

from i3d_tf.evaluation.results import read_results

PAGE = "docs/finetune.md"


@pytest.fixture
def folder(own_dir, tmp_path, monkeypatch):
    """The working directory, with the videos that the page speaks of."""
    folder = tmp_path / "work"
    shutil.copytree(own_dir, folder / "my_videos")
    shutil.copy(own_dir / "up" / "1.mp4", folder / "clip.mp4")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def short(small_release, monkeypatch):
    """The recipe finetune takes six steps, so that this file takes seconds."""
    from i3d_tf.specs import recipes

    monkeypatch.setattr(recipes, "MIN_CLIPS", 12)
    monkeypatch.setattr(recipes, "EPOCHS", 1)


@pytest.mark.slow
@pytest.mark.usefixtures("short")
def test_commands_of_the_page_run(run_tool, repository_root, folder):
    commands = commands_of(repository_root / PAGE)
    assert [tool for tool, _ in commands] == [
        *("train", "predict", "evaluate", "export", "predict", "train", "train")
    ]
    shown = {}
    for tool, arguments in commands:
        status, out, err = run_tool(tool, *arguments)
        assert status == 0, (tool, arguments, err)
        shown[tool, arguments[0]] = out
    run = json.loads((folder / "runs/my_videos/run.json").read_text())
    settings = run["settings"]
    assert (settings["transfer"], settings["init"][-7:]) == ("fixed", "e.keras")
    assert (settings["steps"], settings["batch_size"], settings["freeze_batch_norm"]) == (
        6,
        2,
        True,
    )
    assert sorted(name.split("/")[0] for name in run["split"]["test"]) == ["left", "right", "up"]
    paths = [each.path for each in read_results(folder / "report").predictions]
    assert paths == [f"my_videos/{name}" for name in run["split"]["test"]]
    for source in ("--checkpoint=runs/my_videos", "--saved_model=exported"):
        classes = {line.split()[0] for line in shown["predict", source][2:5]}
        assert classes == {"left", "right", "up"}
    full = json.loads((folder / "runs/full/run.json").read_text())["settings"]
    assert (full["transfer"], full["learning_rates"]) == ("full", [0.001])


@pytest.mark.slow
@pytest.mark.usefixtures("short")
def test_train_goes_on_after_the_folder_gained_videos(run_tool, folder):
    command = ("train", "--recipe=finetune", "--data_dir=my_videos")
    status, out, _ = run_tool(*command)
    assert status == 0
    assert "6 steps of 2 clips, an evaluation every 3" in out
    before = json.loads((folder / "runs/my_videos/run.json").read_text())
    shutil.copy(folder / "clip.mp4", folder / "my_videos" / "up" / "new.mp4")
    status, out, _ = run_tool(*command, "--steps=8")
    assert status == 0
    assert (
        "runs/my_videos: goes on with 7 training videos instead of 6 and 8 steps instead of 6. "
        "From step 6 on, the learning rate is that of a cosine schedule of 8 steps."
    ) in out
    after = json.loads((folder / "runs/my_videos/run.json").read_text())
    assert after["split"]["test"] == before["split"]["test"]
    assert set(after["split"]["train"]) - set(before["split"]["train"]) == {"up/new.mp4"}


def test_one_class_is_one_line(run_tool, folder):
    for name in ("left", "right"):
        shutil.rmtree(folder / "my_videos" / name)
    status, _, err = run_tool("train", "--recipe=finetune", "--data_dir=my_videos/")
    assert (status, len(err)) == (1, 1)
    assert err[0].startswith("error: my_videos/: has one class, 'up'. Make a folder for each of")
    assert not (folder / "runs").exists()
