"""Early ends of training and of the pipeline: each within seconds, with its line and status."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from hunt.case import HANG, TRACEBACK, WRONG, Case, Kind, hidden_below
from hunt.kills import STATUS, TRAINING, Child, Job, inputs_folder, write_inputs

SECONDS = 20.0  # from the event to the end of the process
STEPS = 40
ENDS = ("nan", "callback", "pipeline", "ctrl-c", "sigterm", "dropped")
ERROR_LINES = {"value": "error: made to fail", "os": "error: made to fail"}

PIPELINE = """
import sys, time, gc
sys.path[:0] = [{tests!r}, {root!r}]
from i3d_tf.system.console import quiet_tensorflow
quiet_tensorflow()
from pathlib import Path
from i3d_tf.data.pipeline import Failures, PipelineConfig, evaluation_clips, train_batches
from i3d_tf.data.readers import read_dataset
from i3d_tf.specs.protocol import Protocol
examples = read_dataset("class_folders", {data!r}, "train").examples
protocol = Protocol(frames=9, frame_rate=25.0, short_side=40, crop_size=32)
config = PipelineConfig(examples, ("rgb",), protocol, 2, {seed})
if {slow}:
    decode = PipelineConfig.decode
    def slowly(self, example, view):
        time.sleep({slow})
        return decode(self, example, view)
    PipelineConfig.decode = slowly
batches = iter(train_batches(config, 0, 10**6, Failures(), {workers}))
for _ in range({taken}):
    next(batches)
Path({marker!r}).touch()
{end}
"""
PIPELINE_ENDS = {
    "the program ends": ("", 0, ""),
    "an exit with an error": ("sys.exit('error: so')", 1, "error: so"),
    "an error": ("1 / 0", 1, "ZeroDivisionError"),
    "dropped": ("del batches\ngc.collect()\nprint('went on')", 0, ""),
    "dropped often": (
        "for k in range(5):\n"
        "    batches = iter(train_batches(config, k, 10**6, Failures(), 2))\n"
        "    next(batches)\n"
        "print('went on')",
        0,
        "",
    ),
    "a dataset that is never read": (
        "again = train_batches(config, 0, 10**6, Failures(), 3)\ndel batches",
        0,
        "",
    ),
    "the evaluation's is dropped": (
        "clips = iter(evaluation_clips(config, Failures(), 2))\nnext(clips)\ndel clips",
        0,
        "",
    ),
}


class Ends(Kind):
    """Training that ends early in one of six ways."""

    name = "ends"
    limit = 300.0
    memory = 2**33

    def prepare(self, folder: Path):
        """Writes a small dataset."""
        write_inputs(folder)

    def run(self, case: Case):
        """Ends a training, or a pipeline, and measures how long that takes."""
        end = ENDS[case.number % len(ENDS)]
        if end == "dropped":
            self._pipeline(case)
        else:
            self._training(case, end)

    def _training(self, case, end):
        step = int(case.rng.integers(1, 12))
        every = case.pick([1, 3, 50])
        error = case.pick(["value", "os", "zero", "memory"])
        case.title = f"{end} at step {step}, evaluated every {every}"
        arguments = [*TRAINING, "--workdir=OUT", f"--steps={STEPS}", f"--evaluate_every={every}"]
        changes = f"step:{step}"
        if end == "nan":
            rate = case.pick(["1e38", "1e30"])
            arguments = [part for part in arguments if "learning_rates" not in part]
            arguments.append(f"--learning_rates={rate}")
        elif end in ("callback", "pipeline"):
            case.title += f", {error}"
            changes += f",{end}:{step if end == 'callback' else 2 * step}:{error}"
        job = Job("train", tuple(arguments), "small")
        out = case.folder / "out"
        out.mkdir()
        child = Child(case, job, out, "it", changes)
        try:
            self._end(case, child, end, error)
        finally:
            child.end()
        from i3d_tf.system.files import remove_abandoned

        remove_abandoned(out)  # a signal may come while they are being removed: the next start
        if hidden := hidden_below(out):
            case.found(WRONG, f"hidden files are left: {hidden[:3]}")

    @staticmethod
    def _end(case, child, end, error):
        if not child.wait_for():
            return
        if end in ("ctrl-c", "sigterm"):
            child.wait_for(".step")
            time.sleep(float(case.rng.uniform(0, 0.3)))
            number = signal.SIGINT if end == "ctrl-c" else signal.SIGTERM
            if child.process.poll() is None:
                os.kill(child.process.pid, number)
            expected = STATUS[number]
        else:
            if end != "nan":
                child.wait_for(".ending")
            expected = 1
        start = time.monotonic()
        seconds = SECONDS + (60.0 if end == "nan" else 0.0)  # with the steps before it
        run = child.finish(seconds, "it did not end")
        if run is None:
            return
        case.title += f", ended in {time.monotonic() - start:.1f} s"
        if run.status != expected:
            case.found(WRONG, f"exit status {run.status}, not {expected}: {run.err[-2:]}")
        has_traceback = any(line.startswith("Traceback") for line in run.err)
        wants_traceback = end in ("callback", "pipeline") and error not in ERROR_LINES
        if has_traceback and not wants_traceback:
            case.found(TRACEBACK, " / ".join(run.err[-3:]))
        last = run.err[-1] if run.err else ""
        wanted = {
            "nan": "finite" if "logits" in last else "error: the loss is ",
            "ctrl-c": "Stopped; what was finished is kept.",
            "sigterm": "Stopped; what was finished is kept.",
        }.get(end, ERROR_LINES.get(error, "made to fail"))
        if wanted not in last and not (wants_traceback and "made to fail" in "\n".join(run.err)):
            case.found(WRONG, f"its last line is {last!r}")

    @staticmethod
    def _pipeline(case):
        name = case.pick(PIPELINE_ENDS)
        end, status, last = PIPELINE_ENDS[name]
        marker = case.folder / "marker"
        values = {
            "tests": str(Path(__file__).resolve().parent.parent),
            "root": str(Path(__file__).resolve().parent.parent.parent),
            "data": str(inputs_folder(case) / "data"),
            "seed": int(case.rng.integers(100)),
            "slow": case.pick([0, 0.01, 0.1, 1.0]),
            "workers": case.pick([1, 2, 7, None]),
            "taken": int(case.rng.integers(0, 6)),
            "marker": str(marker),
            "end": end,
        }
        case.title = f"{name}, {values['taken']} batches, {values['workers']} workers, " + (
            f"{values['slow']} s a clip"
        )
        said = case.folder / "said"
        with open(said, "wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", PIPELINE.format(**values)],
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            _wait_for_end(case, process, marker)
        finally:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        lines = said.read_text(errors="replace").splitlines()
        if process.returncode != status:
            case.found(WRONG, f"exit status {process.returncode}, not {status}: {lines[-2:]}")
        if last not in (lines[-1] if lines else ""):
            case.found(WRONG, f"its last line is {lines[-1:]}")
        if status == 0 and any("Traceback" in line or "Error" in line for line in lines):
            case.found(TRACEBACK, " / ".join(lines[-3:]))


def _wait_for_end(case, process, marker):
    deadline = time.monotonic() + 120.0
    while not marker.exists() and process.poll() is None:
        if time.monotonic() > deadline:
            case.found(HANG, "it made no batches")
            return
        time.sleep(0.01)
    start = time.monotonic()
    try:
        process.wait(SECONDS)
        case.title += f", ended in {time.monotonic() - start:.1f} s"
    except subprocess.TimeoutExpired:
        case.found(HANG, f"it did not end in {SECONDS:.0f} s")
