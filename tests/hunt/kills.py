"""Jobs that are killed or stopped at any moment, and jobs that run twice at once.

Whatever is visible is whole at any time. The same command then finishes the job: its files are
those of a job that nobody disturbed, and nothing hidden is left.
"""

import contextlib
import fcntl
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fixtures.ports import PortFiles
from hunt.case import (
    HALF,
    HANG,
    LEFTOVER,
    TRACEBACK,
    WRONG,
    Case,
    Kind,
    ToolRun,
    hidden_below,
    visible_files,
)
from hunt.records import unpack

CHILD = Path(__file__).with_name("child.py")
START_SECONDS = 120.0  # of a child
JOB_SECONDS = 240.0
STOP_SECONDS = 20.0  # from a signal to the end
HANDLER_SECONDS = 0.2  # from the start of a tool's main until it handles signals
POLL = 0.002
STATUS = {signal.SIGTERM: 143, signal.SIGINT: 130}
# Files with times or random names in them, or that are only added to.
CHANGING = ("tensorboard/", ".journal", "fingerprint.pb")
LIST_FOLDER = re.compile(rb'"path": "[^"]*/')  # relative to the list, which lies elsewhere


@dataclass(frozen=True)
class Job:
    """A command that writes files.

    Attributes:
        tool: The tool.
        arguments: With OUT for the folder of its files, and IN for that of its inputs.
        changes: For `hunt.child`.
        files: How files are compared: "bytes", or "arrays" for a training run.
        refused: Whether a second command at the same time may be refused.
    """

    tool: str
    arguments: tuple[str, ...]
    changes: str = ""
    files: str = "bytes"
    refused: bool = False


NETWORK = ("--rgb_checkpoint=tiny_rgb", "--checkpoint_dir=IN/checkpoints")
TRAINING = (
    *("--recipe=stick_actions", "--dataset=class_folders", "--data_dir=IN/data"),
    *("--train_frames=9", "--test_frames=9", "--frame_rate=25", "--short_side=40"),
    *("--crop_size=32", "--width_multiplier=0.0625", "--batch_norm_momentum=0.9"),
    *("--batch_size=2", "--learning_rates=0.002", "--workers=2"),
)
JOBS = {
    "flow": Job(
        "compute_flow",
        ("--data_dir=IN/data", "--flow_dir=OUT", "--flow_engine=dis", "--processes=2"),
    ),
    "train": Job(
        "train",
        (*TRAINING, "--workdir=OUT", "--steps=6", "--evaluate_every=2", "--deterministic"),
        "small",
        "arrays",
        refused=True,
    ),
    "features": Job(
        "extract_features",
        (*NETWORK, "--output_dir=OUT", "--window=9", "IN/data"),
    ),
    "feature sets": Job(
        "extract_features",
        (
            *(*NETWORK, "--output_dir=OUT", "--window=9", "--tail=repeat", "--size=56x40"),
            *("--crops=5", "--crop_layout=files", "--extra_files=fps,timestamps_ms", "IN/data"),
        ),
    ),
    "render": Job(
        "make_stick_actions",
        ("--data_dir=OUT", "--train_clips=2", "--test_clips=1", "--size=64", "--processes=2"),
    ),
    **{
        f"render {kind}": Job(
            "make_stick_actions",
            (
                *("--data_dir=OUT", f"--kind={kind}", "--train_clips=2", "--test_clips=1"),
                *("--size=64", "--processes=2"),
            ),
        )
        for kind in ("intervals", "scenes")
    },
    "predict": Job("predict", (*NETWORK, "--output_video=OUT", "IN/data/train/left")),
    "convert": Job("convert", ("--name=mine", "--source=IN/state_dict.pt", "--output_dir=OUT")),
    "export": Job(
        "export",
        ("--checkpoint=tiny_rgb", "--checkpoint_dir=IN/checkpoints", "--output_dir=OUT/e"),
        refused=True,  # a folder that is there already
    ),
    "check": Job(
        "check_videos",
        ("--data_dir=IN/videos", "--quarantine=OUT/list.jsonl", "--processes=2"),
    ),
    "report": Job(
        "evaluate",
        (
            "--dataset=class_folders",
            "--data_dir=IN/data",
            "--rgb_checkpoint=IN/run",
            "--report_dir=OUT",
        ),
        refused=True,
    ),
    "ablation": Job(
        "ablate_time",
        (
            *("--data_dir=IN/data", "--rgb_checkpoint=IN/run", "--report_dir=OUT"),
            "--conditions=reversed,frozen:middle",
        ),
        refused=True,
    ),
    "statistics": Job(
        "fvd",
        (
            "--checkpoint=tiny_rgb",
            "--checkpoint_dir=IN/checkpoints",
            "--frames=9",
            "--size=32",
            "--real=IN/data",
            "--save_statistics=OUT/s.npz",
        ),
    ),
    "filters": Job(
        "show_filters",
        ("--checkpoint_dir=IN/checkpoints", "--output_dir=OUT", "tiny_rgb"),
    ),
}
EXPECTED_STATUS = {"check": 1}  # one of its videos is broken


class Kills(Kind):
    """A job is stopped once or twice, then finished."""

    name = "kills"
    limit = 900.0
    memory = 2**33

    def prepare(self, folder: Path):
        """Writes the jobs' inputs."""
        write_inputs(folder)

    def run(self, case: Case):
        """Stops a job at a random moment, looks at its files, and runs it again."""
        name = list(JOBS)[case.number % len(JOBS)]
        job = JOBS[name]
        expected, seconds = undisturbed(case, name)
        out = case.folder / "out"
        out.mkdir()
        before_start = case.chance(0.1)
        for attempt in range(case.pick([1, 1, 2])):
            number = case.pick([signal.SIGKILL] * 3 + [signal.SIGTERM, signal.SIGINT])
            moment = float(case.rng.uniform(0.0, seconds))
            entries = int(case.rng.integers(1, 8)) if case.chance(0.6) else None
            case.title = f"{name}, {signal.Signals(number).name} after " + (
                f"{moment:.2f} s" if entries is None else f"{entries} new files"
            )
            child = Child(case, job, out, f"kill-{attempt}")
            try:
                child.wait_for_start(before_start)
                child.wait_for_moment(moment, entries, seconds, case)
                child.stop(number, before_start)
            finally:
                child.end()
            check_files(case, name, out, expected, is_finished=False)
        child = Child(case, job, out, "again")
        try:
            run = child.finish()
        finally:
            child.end()
        if run is not None:
            check_status(case, name, run)
            check_files(case, name, out, expected, is_finished=True)


class Together(Kind):
    """A job runs twice at once, in one place."""

    name = "together"
    limit = 900.0
    memory = 2**33

    def prepare(self, folder: Path):
        """Writes the jobs' inputs."""
        write_inputs(folder)

    def run(self, case: Case):
        """Starts a job twice, a moment apart."""
        name = list(JOBS)[case.number % len(JOBS)]
        job = JOBS[name]
        expected, seconds = undisturbed(case, name)
        out = case.folder / "out"
        out.mkdir()
        moment = 0.0 if case.chance(0.6) else float(case.rng.uniform(0, seconds))
        case.title = f"{name} twice, {moment:.2f} s apart"
        first = Child(case, job, out, "first")
        second = None
        try:
            first.wait_for_start(False)
            time.sleep(moment)
            second = Child(case, job, out, "second")
            runs = [first.finish(), second.finish()]
        finally:
            first.end()
            if second:
                second.end()
        if None in runs:
            return
        done = EXPECTED_STATUS.get(name, 0)
        statuses = sorted(run.status for run in runs)
        if statuses != [done, done]:
            # `predict` says that a copy exists already, if it is not its own; so may others.
            lines = [line for run in runs for line in run.err if line.startswith("error: ")]
            if done not in statuses or not lines:
                case.found(WRONG, f"statuses {statuses}: {[run.err[-2:] for run in runs]}")
            elif not job.refused:
                case.found(WRONG, f"one was refused: {lines[:2]}")
        for run in runs:
            check_no_traceback(case, run)
        check_files(case, name, out, expected, is_finished=True)


class Child:
    """A job in a process of its own, with a session of its own."""

    def __init__(self, case: Case, job: Job, out: Path, name: str, changes: str = ""):
        self._case, self._out = case, out
        self._marker = case.folder / f"{name}.started"
        self._said = case.folder / f"{name}.out", case.folder / f"{name}.err"
        arguments = [part.replace("OUT", str(out)) for part in job.arguments]
        inputs = inputs_folder(case)
        arguments = [part.replace("IN/", f"{inputs}/") for part in arguments]
        changes = ",".join(filter(None, [job.changes, changes]))
        command = [sys.executable, str(CHILD), str(self._marker), changes, job.tool, *arguments]
        with open(self._said[0], "wb") as said, open(self._said[1], "wb") as err:
            self.process = subprocess.Popen(
                command,
                stdout=said,
                stderr=err,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            )
        self._known = set(out.rglob("*"))

    def wait_for(self, suffix="", seconds=START_SECONDS):
        """Waits until the child makes its marker, or one with another ending, or ends."""
        path = Path(f"{self._marker}{suffix}")
        deadline = time.monotonic() + seconds
        while not path.exists() and self.process.poll() is None:
            if time.monotonic() > deadline:
                self._case.found(HANG, f"it did not reach {path.name} in {seconds:.0f} s")
                return False
            time.sleep(POLL)
        return path.exists()

    def wait_for_start(self, before_start):
        """Waits until the tool's main starts and handles signals."""
        if not before_start:
            self.wait_for()
            time.sleep(HANDLER_SECONDS)

    def wait_for_moment(self, moment, entries, seconds, case):
        """Waits for a time, or until so many new files have appeared."""
        deadline = time.monotonic() + (moment if entries is None else 3 * seconds + 10)
        while self.process.poll() is None and time.monotonic() < deadline:
            if entries is not None and self._count_new() >= entries:
                time.sleep(float(case.rng.uniform(0, 0.02)))
                return
            time.sleep(POLL)

    def _count_new(self):
        with contextlib.suppress(OSError):
            return len(set(self._out.rglob("*")) - self._known)
        return 0

    def stop(self, number, before_start=False):
        """Sends a signal, and checks how the child ends."""
        if self.process.poll() is None:
            with contextlib.suppress(OSError):
                if number == signal.SIGTERM:
                    os.kill(self.process.pid, number)
                else:  # as a terminal does, and as the end of a machine does
                    os.killpg(self.process.pid, number)
        start = time.monotonic()
        run = self.finish(STOP_SECONDS, "it did not end after the signal")
        if run is None or number == signal.SIGKILL:
            return
        self._case.title += f", ended in {time.monotonic() - start:.1f} s"
        if before_start:
            return
        check_no_traceback(self._case, run)
        finished = (0, 1) if "check_videos" in self.process.args else (0,)
        if run.status not in (STATUS[number], -number, *finished):  # a shell shows the same
            self._case.found(WRONG, f"exit status {run.status}: {run.err[-2:]}")

    def finish(self, seconds=JOB_SECONDS, text="it did not end"):
        """Waits for the end; returns the ToolRun, or None where it hangs."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._case.found(HANG, f"{text} in {seconds:.0f} s")
            self.end()
            return None
        out, err = (path.read_text("utf-8", errors="replace").splitlines() for path in self._said)
        return ToolRun(status, out, err)

    def end(self):
        """Kills what is left of it."""
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def write_inputs(folder):
    """Writes the jobs' inputs, once for all kinds that run jobs."""
    inputs = folder.parent / "jobs"
    if not inputs.exists():
        unpack(inputs)
        PortFiles().state_dict(inputs / "state_dict.pt")


def inputs_folder(case) -> Path:
    """Returns the folder of the jobs' inputs."""
    return case.material.parent / "jobs"


def undisturbed(case, name):
    """Runs a job that nobody disturbs, at most once in a hunt; returns (files, seconds)."""
    folder = case.material.parent / "undisturbed"
    folder.mkdir(exist_ok=True)
    with open(folder / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        out, record = folder / name, folder / f"{name}.json"
        if not record.exists():
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir()
            child = Child(case, JOBS[name], out, f"undisturbed-{name}")
            try:
                child.wait_for()
                start = time.monotonic()
                run = child.finish()
            finally:
                child.end()
            if run is None or run.status != EXPECTED_STATUS.get(name, 0):
                raise RuntimeError(f"{name}, undisturbed, failed: {run}")
            if hidden := hidden_below(out):
                raise RuntimeError(f"{name}, undisturbed, leaves {hidden}")
            record.write_text(json.dumps(time.monotonic() - start))
    return comparable(visible_files(out), JOBS[name].files), json.loads(record.read_text())


def comparable(files, how):
    """Returns what of a job's files has to be the same every time."""
    files = {
        name: LIST_FOLDER.sub(b"", content) if name.endswith(".jsonl") else content
        for name, content in files.items()
        if not any(part in name for part in CHANGING)
    }
    if how == "arrays":
        return {
            name: arrays_of(content) if name.endswith(".keras") else content
            for name, content in files.items()
        }
    return files


def arrays_of(content):
    """Returns the bytes of every array of a `.keras` file by name; None where it is damaged."""
    import h5py

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            weights = archive.read("model.weights.h5")
    except (OSError, zipfile.BadZipFile, KeyError, EOFError):
        return None
    found = {}

    def note(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = np.asarray(item[()]).tobytes()

    with h5py.File(io.BytesIO(weights)) as file:
        file.visititems(note)
    return found


def check_files(case, name, out, expected, is_finished):
    """Compares a job's files with those of the undisturbed one."""
    found = comparable(visible_files(out), JOBS[name].files)
    for path, content in found.items():
        whole = expected.get(path)
        if content == whole:
            continue
        if content is None:
            case.found(HALF, f"{path} is damaged")
        elif not is_finished and name == "train":
            is_earlier = path.endswith(".keras") or (
                path == "history.jsonl" and whole is not None and whole.startswith(content)
            )
            if not is_earlier:
                case.found(HALF, f"{path}: {content[-80:]!r}")
        elif whole is None:
            case.found(LEFTOVER if is_finished else HALF, f"{path} is not a file of the job")
        else:
            case.found(
                WRONG if is_finished else HALF,
                f"{path} has {len(content)} bytes or arrays, other than the {len(whole)} it should",
            )
    if is_finished:
        if missing := sorted(set(expected) - set(found)):
            case.found(WRONG, f"the second run did not make {missing[:3]}")
        case.check_no_leftovers(out, f"{name}:")


def check_status(case, name, run):
    """Checks that the second run of a job did all of it."""
    check_no_traceback(case, run)
    # The first may have finished just before it was killed, and `export` replaces nothing.
    is_there = name == "export" and "exists already" in str(run.err[-1:])
    if run.status != EXPECTED_STATUS.get(name, 0) and not is_there:
        case.found(WRONG, f"the second run ended with {run.status}: {run.err[-2:]}")


def check_no_traceback(case, run):
    """Checks that a job printed no traceback."""
    text = "\n".join(run.err)
    if "Traceback (most recent call last)" in text:
        case.found(TRACEBACK, f"... {' / '.join(run.err[-3:])}")
