"""Worker processes with a watchdog: a case that hangs or kills its worker is a finding."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from hunt.case import CRASH, HANG, one_line
from hunt.worker import remove

WORKER = Path(__file__).with_name("worker.py")
DUMP_SECONDS = 2.0  # that a hanging worker has to say where
START_SECONDS = 180.0  # that imports and the like may take before a worker's first case of a kind
PREPARE_SECONDS = 900.0
MAX_CASES = 300  # of a worker, before a new one takes its place


@dataclass(frozen=True)
class Job:
    """A case to be run.

    Attributes:
        kind: Name of the kind.
        seed: Seed of the hunt.
        case: Its number.
        limit: Seconds after which it hangs.
    """

    kind: str
    seed: int
    case: int
    limit: float


@dataclass(frozen=True)
class Result:
    """A case that was run.

    Attributes:
        job: The case.
        findings: (column, text) of each fault.
        seconds: That it took.
        title: What was done.
        error: Traceback of the hunt's own fault, or None.
    """

    job: Job
    findings: tuple[tuple[str, str], ...]
    seconds: float
    title: str = ""
    error: str | None = None


class Worker:
    """A worker process.

    Args:
        folder: A folder for its log.
        name: Of the log.
    """

    def __init__(self, folder: Path, name: str):
        self.cases = 0
        self.job = None
        self._log = Path(folder) / f"{name}.log"
        read_end, write_end = os.pipe()
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(WORKER), str(write_end)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=[write_end],
                start_new_session=True,  # so that its own children end with it
                env={**os.environ, "I3D_TF_HOME": f"{folder}/home", "I3D_TF_OFFLINE": "1"},
            )
        os.close(write_end)
        self.descriptor = read_end
        self._received = b""

    def send(self, request: dict):
        """Asks for something."""
        with contextlib.suppress(OSError):  # dead, as receiving will tell
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()

    def start(self, job: Job, request: dict):
        """Starts a case."""
        self.job, self.started = job, time.monotonic()
        with open(self._log, "r+b") as log:
            log.truncate(0)
        self.deadline = self.started + START_SECONDS
        self.cases += 1
        self.send(request)

    def receive(self) -> dict | None:
        """Returns an answer, if it is there in full; raises EOFError where the worker died."""
        if b"\n" not in self._received:
            block = os.read(self.descriptor, 1 << 16)
            if not block:
                raise EOFError
            self._received += block
        if b"\n" not in self._received:
            return None
        line, _, self._received = self._received.partition(b"\n")
        return json.loads(line)

    @property
    def has_answer(self) -> bool:
        """Whether an answer has been read from the pipe already, behind another."""
        return b"\n" in self._received

    def said(self) -> str:
        """Returns the end of what the worker printed."""
        content = self._log.read_bytes().replace(b"\0", b"").decode(errors="replace")
        return content[-3000:]

    def dump(self) -> str:
        """Returns where a hanging worker stands: the innermost calls of its main thread."""
        with contextlib.suppress(OSError):
            os.kill(self._process.pid, signal.SIGUSR1)
        time.sleep(DUMP_SECONDS)
        said = self.said()
        main = said.rpartition("Current thread")[2] or said
        calls = [line.strip() for line in main.splitlines() if line.strip().startswith("File")]
        return " < ".join(_short(call) for call in calls[:6]) or one_line(said[-300:])

    def status(self) -> int:
        """Returns the exit status of a worker that died."""
        return self._process.wait()

    def end(self):
        """Kills the process and what it started."""
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.stdin.close()
        os.close(self.descriptor)
        self._process.wait()


def _short(call):
    parts = call.split('"')
    return f"{Path(parts[1]).name}{parts[2]}" if len(parts) > 2 else call


class Pool:
    """Worker processes that share cases.

    Args:
        folder: Folder for everything.
        processes: How many.
        keep: Whether the folders of cases stay.
    """

    def __init__(self, folder: Path, processes: int, keep: bool = False):
        self._folder, self._processes, self._keep = Path(folder), processes, keep
        self._made = 0
        self._workers: list[Worker] = []

    def prepare(self, kinds):
        """Writes the material of kinds.

        Raises:
            RuntimeError: That failed.
        """
        worker = self._new_worker()
        try:
            for kind in kinds:
                request = {"task": "prepare", "kind": kind, "material": str(self._material(kind))}
                worker.send(request)
                answer, deadline = None, time.monotonic() + PREPARE_SECONDS
                while answer is None:
                    if not select.select([worker.descriptor], [], [], 1.0)[0]:
                        if time.monotonic() > deadline:
                            raise RuntimeError(f"{kind}: its material hangs: {worker.dump()}")
                        continue
                    try:
                        answer = worker.receive()
                    except EOFError as error:
                        raise RuntimeError(f"{kind}: no material: {worker.said()}") from error
                if answer["error"]:
                    raise RuntimeError(f"{kind}: no material: {answer['error']}")
        finally:
            worker.end()

    def run(self, jobs, deadline: float | None = None):
        """Runs cases.

        Args:
            jobs: Cases, in the order in which they start.
            deadline: Time of `time.monotonic` after which no further one starts.

        Yields:
            Results as they come.
        """
        waiting, busy = deque(jobs), []
        idle = self._workers
        try:
            while waiting or busy:
                if deadline is not None and time.monotonic() > deadline:
                    waiting.clear()
                while waiting and len(busy) < self._processes:
                    worker = idle.pop() if idle else self._new_worker()
                    busy.append(worker)
                    self._start(worker, waiting.popleft())
                if not busy:
                    break
                ready, _, _ = select.select([each.descriptor for each in busy], [], [], 0.2)
                for worker in list(busy):
                    is_ready = worker.descriptor in ready or worker.has_answer
                    result, alive = self._look(worker, is_ready)
                    if result is None:
                        continue
                    busy.remove(worker)
                    if alive and worker.cases < MAX_CASES:
                        idle.append(worker)
                    else:
                        worker.end()
                        self._clean(result.job)
                    yield result
        finally:
            for worker in busy:
                worker.end()

    def end(self):
        """Ends all workers."""
        while self._workers:
            self._workers.pop().end()

    def case_folder(self, job: Job) -> Path:
        """Returns the folder of a case."""
        return self._folder / "cases" / f"{job.kind}-{job.seed}-{job.case}"

    def _material(self, kind):
        return self._folder / "material" / kind

    def _new_worker(self):
        self._made += 1
        return Worker(self._folder, f"worker-{self._made}")

    def _start(self, worker, job):
        folder = self.case_folder(job)
        if folder.exists():
            remove(folder)
        request = {
            "task": "run",
            "kind": job.kind,
            "seed": job.seed,
            "case": job.case,
            "folder": str(folder),
            "material": str(self._material(job.kind)),
            "keep": self._keep,
        }
        worker.start(job, request)

    def _look(self, worker, is_ready):
        """Returns (the result if there is one, whether the worker can go on)."""
        job = worker.job
        seconds = time.monotonic() - worker.started
        try:
            answer = worker.receive() if is_ready else None
        except EOFError:
            said = worker.said()
            status = worker.status()
            finding = (CRASH, f"the process died, status {status}: {one_line(said)[-400:]}")
            return Result(job, (finding,), seconds), False
        if answer == {}:
            worker.started = time.monotonic()
            worker.deadline = worker.started + job.limit
            return None, True
        if answer is not None:
            findings = tuple(map(tuple, answer["findings"]))
            seconds, title = answer["seconds"], answer["title"]
            return Result(job, findings, seconds, title, answer["error"]), True
        if time.monotonic() > worker.deadline:
            where = worker.dump()
            finding = (HANG, f"more than {seconds:.0f} s: {where}")
            return Result(job, (finding,), seconds), False
        return None, True

    def _clean(self, job):
        if not self._keep:
            remove(self.case_folder(job))
