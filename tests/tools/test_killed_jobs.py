"""Every job that writes, killed at random moments and run again.

`I3D_TF_KILLS=100 pytest -m slow -s tests/tools/test_killed_jobs.py` kills more often, and prints
how often a job was killed and how often something was half-written then.
"""

import io
import json
import math
import os
import random
import shutil
import subprocess
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import pytest

SEED = 13
KILLS = int(os.environ.get("I3D_TF_KILLS", "12"))  # of all jobs together
SMALL = "--rgb_checkpoint=small_rgb"


def whole(path):
    """The content of a file of which every run makes the same bytes."""
    return path.read_bytes()


def arrays(path):
    """Name to values of the arrays in a Keras file, whose archive has the time in it."""
    found = {}

    def note(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()].tobytes()

    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
            file.visititems(note)
    return found


def lines(path):
    """The lines of a file that grows line by line, in the order in which processes end."""
    return sorted(path.read_text("utf-8").splitlines())


def settings(path):
    """The settings of a run, without the versions of what ran it."""
    return json.loads(path.read_text("utf-8"))["settings"]


def nothing(path):
    """Of a file that differs from run to run."""


@dataclass(frozen=True)
class Job:
    """A tool and what it leaves.

    Attributes:
        arguments: The tool and its flags, with {out} for the output folder and other fixtures.
        read: Function of a path to the function that reads what is compared of it.
        passing: Patterns of files that an undisturbed run changes or removes again.
    """

    arguments: tuple[str, ...]
    read: Callable[[Path], Callable] = lambda path: whole
    passing: tuple[str, ...] = ()


def _of_training(path):
    if "tensorboard" in path.parts:
        return nothing
    if path.name == "run.json":
        return settings
    return arrays if path.suffix == ".keras" else whole


def _of_export(path):
    # Names of functions in the graph, and a fingerprint, differ from run to run.
    return nothing if path.suffix == ".pb" else whole


JOBS = {
    "convert": Job(
        ("convert", "--release=rgb_imagenet", "--source={checkpoint}", "--output_dir={out}")
    ),
    "export": Job(
        ("export", "--checkpoint=small_rgb", "--checkpoint_dir={small}", "--output_dir={out}/new"),
        _of_export,
    ),
    "make_records": Job(
        (
            *("make_records", "--data_dir={dataset}", "--split=train", "--output_dir={out}"),
            *("--shards=4", "--processes=2", "--short_side=32", "--format=png"),
        )
    ),
    "make_stick_actions": Job(
        (
            *("make_stick_actions", "--data_dir={out}", "--train_clips=1", "--test_clips=1"),
            *("--size=64", "--processes=2"),
        )
    ),
    "predict": Job(
        (
            *("predict", SMALL, "--checkpoint_dir={small}", "--output_video={out}"),
            *("--timeline_dir={out}", "--window=9", "{videos}"),
        )
    ),
    "compute_flow": Job(
        ("compute_flow", "--data_dir={videos}", "--flow_dir={out}", "--engine=dis", "--processes=2")
    ),
    "extract_features": Job(
        ("extract_features", SMALL, "--checkpoint_dir={small}", "--output_dir={out}", "{videos}")
    ),
    "train": Job(
        (
            *("train", "--recipe=stick_actions", "--model=two_stream_2014", "--deterministic"),
            *("--dataset=class_folders", "--train_frames=9", "--test_frames=9", "--frame_rate=25"),
            *("--short_side=32", "--crop_size=32", "--width_multiplier=0.0625"),
            *("--batch_size=2", "--steps=6"),
            *("--evaluate_every=2", "--data_dir={dataset}", "--workdir={out}"),
        ),
        _of_training,
        ("step_*.keras", "best.keras", "history.jsonl", "tensorboard/*"),
    ),
    "evaluate": Job(
        (
            *("evaluate", SMALL, "--checkpoint_dir={small}", "--dataset=class_folders"),
            *("--split=test", "--data_dir={dataset}", "--report_dir={out}"),
        )
    ),
    "fvd": Job(
        (
            *("fvd", "--checkpoint=small_rgb", "--checkpoint_dir={small}", "--frames=9"),
            *("--size=32", "--real={videos}", "--save_statistics={out}.npz"),
        )
    ),
    "check_videos": Job(
        ("check_videos", "--data_dir={videos}", "--quarantine={out}/list.jsonl", "--processes=2"),
        lambda path: lines if path.suffix == ".journal" else whole,
        ("list.jsonl.journal",),
    ),
    "show_filters": Job(
        ("show_filters", "--checkpoint_dir={small}", "--output_dir={out}", "small_rgb")
    ),
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, write_grey_video):
    """Folders by name: videos, and a dataset of two classes of `small_rgb`."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "videos").mkdir()
    for number in range(12):
        write_grey_video(folder / "videos" / f"{number}.mp4", range(number, 81 + number, 3))
    for split in ("train", "test"):
        for name, first in (("one", 0), ("two", 100)):
            (folder / "dataset" / split / name).mkdir(parents=True)
            for number in range(4):
                levels = range(first + number, first + number + 80, 5)
                write_grey_video(folder / "dataset" / split / name / f"{number}.mp4", levels)
    return {name: folder / name for name in ("videos", "dataset")}


def entries(folder):
    """Every file and folder below, hidden ones too, with what changes when it is written."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            try:
                state = path.lstat()
            except FileNotFoundError:  # gone meanwhile
                continue
            found[path] = (state.st_ino, state.st_size, state.st_mtime_ns)
    return found


def is_hidden(path, folder):
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def visible(folder, job):
    """Path to content of the visible files."""
    return {
        path.relative_to(folder).as_posix(): job.read(path)(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not is_hidden(path, folder)
    }


def clear(folder):
    shutil.rmtree(folder)
    folder.mkdir()


def kill(command, folder, seconds):
    """Starts a job and kills it; returns whether it ran still, and what was there then.

    Args:
        command: Keywords of `subprocess`.
        folder: The folder in which the job writes.
        seconds: When, after its first change on disk.
    """
    before = entries(folder)
    with subprocess.Popen(**command) as process:
        while process.poll() is None and entries(folder) == before:
            time.sleep(0.002)
        end = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.001)
        was_running = process.poll() is None
        process.kill()
        process.communicate(timeout=60)
    return was_running, entries(folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", JOBS)
def test_killed_job_leaves_nothing_half_written_and_goes_on(
    name, inputs, small_dir, released_checkpoint, run_tool, tool_command, tmp_path
):
    job, generator = JOBS[name], random.Random(f"{SEED} {name}")
    folder = tmp_path / "outputs"
    folder.mkdir()
    places = {"out": folder / "out", "small": small_dir, "checkpoint": released_checkpoint}
    arguments = [argument.format(**places, **inputs) for argument in job.arguments]
    command = tool_command(*arguments)

    def run():
        if name == "train":  # a process has one state of its random generators and names
            done = subprocess.run(**command, check=False)
            assert done.returncode == 0, done.stderr
        else:
            status, _, errors = run_tool(*arguments)
            assert status == 0, errors

    run()
    times = [path.stat().st_mtime for path in (folder, *entries(folder))]
    duration = max(times) - min(times) + 0.05  # seconds, between the first and the last change
    expected = visible(folder, job)
    names = {path.relative_to(folder) for path in entries(folder)}
    assert expected
    assert not any(is_hidden(path, folder) for path in entries(folder)), names
    clear(folder)

    killed = half_written = 0
    for _ in range(math.ceil(KILLS / len(JOBS))):
        was_running, found = kill(command, folder, duration * generator.random())
        killed += was_running
        half_written += any(is_hidden(path, folder) for path in found)
        for path, content in visible(folder, job).items():
            if not any(Path(path).match(pattern) for pattern in job.passing):
                assert content == expected[path], f"{path} is visible and not whole"
        is_done = set(visible(folder, job)) == set(expected)
        if not was_running or (name == "export" and is_done):  # which replaces no folder
            clear(folder)
    run()
    found = visible(folder, job)
    if name == "train":  # each start has a file of TensorBoard's of its own
        found, expected = ({k: v for k, v in c.items() if v is not None} for c in (found, expected))
    else:
        assert {path.relative_to(folder) for path in entries(folder)} == names
    assert set(found) == set(expected)
    assert [path for path in expected if found[path] != expected[path]] == []
    assert not any(is_hidden(path, folder) for path in entries(folder))
    print(f"{name}: killed {killed} times, {half_written} times with something half-written")
