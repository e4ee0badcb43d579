import contextlib
import io
import os
import secrets
import signal
import subprocess
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from i3d_tf.video.encode import write_video

TINY = (
    "--recipe=stick_actions",
    "--model=two_stream_2014",  # whose graph is soon made
    "--dataset=class_folders",
    "--train_frames=9",
    "--test_frames=9",
    "--frame_rate=25",
    "--short_side=32",
    "--crop_size=32",
    "--width_multiplier=0.0625",
    "--batch_size=2",
    "--steps=20",
    "--evaluate_every=4",
    "--deterministic",
)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A dataset of two classes: clips that grow brighter, and clips that grow darker."""
    folder = tmp_path_factory.mktemp("grey")
    for split in ("train", "test"):
        for name, levels in (("brighter", range(20, 220, 10)), ("darker", range(220, 20, -10))):
            (folder / split / name).mkdir(parents=True)
            for number in range(3):
                frames = (np.full((32, 40, 3), level + number, np.uint8) for level in levels)
                write_video(folder / split / name / f"{number}.mp4", frames)
    return folder


def state(workdir):
    """Name and bytes of every array of the newest state, the optimizer's too."""
    (path,) = workdir.glob("step_*.keras")
    found = {}

    def note(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()].tobytes()

    with h5py.File(io.BytesIO(zipfile.ZipFile(path).read("model.weights.h5"))) as file:
        file.visititems(note)
    return path.name, found


@pytest.mark.slow
def test_train_resumes_after_a_kill_with_the_same_result(tool_command, data_dir, tmp_path):
    def start(name):
        return subprocess.Popen(
            **tool_command("train", *TINY, f"--data_dir={data_dir}", f"--workdir={tmp_path / name}")
        )

    whole, killed = start("whole"), start("killed")
    while not list((tmp_path / "killed").glob("step_*.keras")):
        assert killed.poll() is None, killed.communicate()[1]
        time.sleep(0.02)
    delay = secrets.randbelow(1500) / 1000  # seconds; another moment every time
    time.sleep(delay)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    resumed = start("killed")
    for process in (whole, resumed):
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
    assert "going on from step" in out

    name, expected = state(tmp_path / "whole")
    assert name == "step_00000020.keras"
    found_name, found = state(tmp_path / "killed")
    assert (found_name, set(found)) == (name, set(expected))
    differing = [key for key, value in expected.items() if found[key] != value]
    assert differing == [], f"killed {delay} s after its first state"
    assert any(key.startswith("optimizer/") for key in expected)
    histories = [(tmp_path / run / "history.jsonl").read_text() for run in ("whole", "killed")]
    assert histories[0] == histories[1]
    assert len(histories[0].splitlines()) == 5
    names = {path.name for path in (tmp_path / "killed").iterdir()}
    wanted = {"run.json", "history.jsonl", "best.keras", name, "tensorboard"}
    assert names == wanted  # nothing half-written is left


def processes_with(variable):
    """The processes that have an environment variable, but for those that have ended."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # ended, or another user's
            if variable.encode() in (process / "environ").read_bytes().split(b"\0"):
                found.add(int(process.name))
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks into /proc")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_train_with_processes_ends_them_and_goes_on_to_the_same_result(
    tool_command, data_dir, tmp_path, number, status
):
    def start(name, *more):
        flags = (*TINY, "--steps=12", f"--data_dir={data_dir}", f"--workdir={tmp_path / name}")
        command = tool_command("train", *flags, *more)
        command["env"] = {**(command.get("env") or os.environ), "I3D_TF_TEST": str(tmp_path)}
        return subprocess.Popen(**command)

    def end(process):
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        return out

    stopped = start("processes", "--input_processes=2")
    while not list((tmp_path / "processes").glob("step_*.keras")):
        assert stopped.poll() is None, stopped.communicate()[1]
        time.sleep(0.02)
    ours = f"I3D_TF_TEST={tmp_path}"
    assert len(processes_with(ours)) >= 2
    stopped.send_signal(number)
    stopped.communicate(timeout=300)
    assert stopped.returncode == status
    deadline = time.monotonic() + 30
    while processes_with(ours):
        assert time.monotonic() < deadline, "processes outlived the run by 30 s"
        time.sleep(0.1)
    resumed, whole = start("processes", "--input_processes=2"), start("threads")
    assert "going on from step" in end(resumed)
    end(whole)
    assert state(tmp_path / "processes") == state(tmp_path / "threads")
    histories = [
        (tmp_path / name / "history.jsonl").read_text() for name in ("processes", "threads")
    ]
    assert histories[0] == histories[1]


@pytest.mark.slow
def test_train_saves_its_state_on_sigterm_and_exits_with_143(tool_command, data_dir, tmp_path):
    flags = (*TINY, f"--data_dir={data_dir}", f"--workdir={tmp_path}", "--evaluate_every=2")
    process = subprocess.Popen(**tool_command("train", *flags))
    while not list(tmp_path.glob("step_*.keras")):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 143, err
    lines = [line for line in err.splitlines() if line]
    assert lines[-1] == "Stopped; what was finished is kept."
    name, arrays = state(tmp_path)
    # Between two steps the state is saved, and the message names it; elsewhere the latest one is.
    if "Stopping after this step ..." in lines:
        assert f"Saved step {int(name[5:13])} in {tmp_path}; the same command" in err
    assert any(key.startswith("optimizer/") for key in arrays)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--steps=0"], "`steps` must be an integer >= 1; received 0."),
        (["--learning_rates=0.1,x"], "--learning_rates must be numbers with commas between"),
        (["--stream=both"], "`stream` must be one of ('rgb', 'flow') for inception_i3d; received"),
        (["--model=r3d"], "`model` must be one of ('inception_i3d', 'convnet_lstm', 'c3d', 'two"),
        (
            ["--network_arguments=slow"],
            "--network_arguments must be name=value with commas between",
        ),
        (
            ["--network_arguments=name=mine"],
            "`network_arguments` must be other than ('input_shape'",
        ),
        (
            ["--model=tsn", "--stream=flow", "--train_frames=7"],
            "`train_frames` must be so many that tsn gets a multiple of 5 for flow; received 7.",
        ),
        (["--model=c3d", "--stream=flow"], "`stream` must be one of ('rgb',) for c3d; received"),
    ],
)
def test_train_prints_one_line_for_bad_flags(run_tool, data_dir, tmp_path, flags, message):
    status, out, err = run_tool(
        "train", f"--data_dir={data_dir}", f"--workdir={tmp_path / 'run'}", *flags
    )
    assert (status, out, len(err)) == (1, [], 1)
    assert err[0].startswith("error: ")
    assert message in err[0]
    assert not (tmp_path / "run").exists()
