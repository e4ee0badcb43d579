"""Resumable jobs: each input becomes one complete output or none; failed inputs are counted.

A stopped job goes on when it is run again: existing outputs are kept if they were made from the
same input with the same settings.
"""

import hashlib
import json
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any, NamedTuple, Protocol

from i3d_tf.system.console import print_lines, progress_bar
from i3d_tf.system.errors import UserError
from i3d_tf.system.files import check_target, open_regular, path_problem, staging_dir
from i3d_tf.system.job_status import Failures, OutputFiles
from i3d_tf.system.remote import (
    RemoteFileError,
    copies_folder,
    download,
    file_name,
    is_remote,
    local_copy,
    path_of,
    upload,
)
from i3d_tf.system.remote_stores import SEPARATOR
from i3d_tf.system.worker_pool import map_unordered

NO_MEMORY = "there is not enough memory for it"
SOURCE = "source"  # of an output, in its metadata: see `source_metadata`
END_BYTES = 2**16


class Task(NamedTuple):
    """One input and its output.

    Attributes:
        source: Name of the input, such as the path of a video, or an address.
        target: Path of the output, or an address.
        details: What else the work needs to know; it can be pickled.
    """

    source: str
    target: Path | str
    details: Any = None


# A task and why it failed, or None.
Outcomes = Iterable[tuple[Task, str | None]]
# Makes a task's output in a staging folder and moves it to its target.
Work = Callable[[Task, Path], None]


class JobRunner(Protocol):
    """A runner of the tasks of a job, in processes that it starts here or elsewhere.

    Attributes:
        threads: Threads of each of its processes.
        records_dir: Folder or address for small files that a job whose outputs are no files needs
            while it runs; None means beside what it writes.
    """

    threads: int
    records_dir: str | None

    def run_each(
        self,
        work: Work,
        output_dir: os.PathLike | str,
        died: str,
        inputs: Callable[[Task], Iterable[str]] | None = None,
    ) -> Callable[[Sequence[Task], Path], Outcomes]:
        """Returns a function for `run_job`.

        Args:
            work: See `run_each`; it is pickled.
            output_dir: Folder of all outputs.
            died: See `run_each`.
            inputs: Function of a task to the files that it reads; None means its source.
        """


def missing_outputs(
    tasks: Iterable[Task],
    mismatch: Callable[[Task], str | None],
    overwrite: bool = False,
    remedy: str = "Name another output folder, or give --overwrite to replace such files.",
    is_own: Callable[[Path], bool] = os.path.isfile,
    outdated: Callable[[Task], str | None] = lambda task: None,
    outputs: Callable[[Task], Sequence[Path | str]] = lambda task: (task.target,),
    output_dir: os.PathLike | str = "",
) -> list[Task]:
    """Returns the tasks without an output.

    Args:
        tasks: All tasks of a job.
        mismatch: Function of a task with an output: the difference between its settings and the
            wanted ones, or None. A UserError means that the input is bad: the task is returned, as
            its failure is reported when it runs.
        overwrite: Whether to replace outputs that were made with other settings.
        remedy: Last sentence of the error.
        is_own: Function of a path to whether the file there was written by such a job; others are
            never replaced.
        outdated: Function of a task with an output to why it is made anew in any case, which is
            printed; or None.
        outputs: See `run_job`.
        output_dir: Folder of all outputs. Where it is an address, outputs are there by their names:
            without `overwrite`, only the first one is fetched and its settings compared.

    Raises:
        ValueError: An output was made with other settings, and must not be replaced.
        FileExistsError: An output would replace its input, or a file of another kind.
    """
    files, missing, is_compared = OutputFiles(output_dir), [], False
    for task in tasks:
        if not is_remote(task.target):
            is_missing = task.target not in files or _must_be_made(
                task, task, mismatch, overwrite, remedy, is_own, outdated
            )
        elif not all(path in files for path in outputs(task)):
            is_missing = True
        elif is_compared and not overwrite:
            is_missing = False
        else:
            is_compared = True
            with _fetched_outputs(task, outputs(task)) as there:
                is_missing = there is None or _must_be_made(
                    task, there, mismatch, overwrite, remedy, is_own, outdated
                )
        if is_missing:
            missing.append(task)
    return missing


def _must_be_made(task, there, mismatch, overwrite, remedy, is_own, outdated):
    """Returns whether an output is to be made anew; `there` is the task with it on this machine."""
    try:
        old = outdated(there)
        wrong = old or mismatch(there)
    except UserError:
        return True
    if wrong is None:
        return False
    if not overwrite and old is None:
        raise ValueError(
            f"{task.target}: it exists and was made with other settings: {wrong}. {remedy}"
        )
    check_target(there.target, is_own, [task.source])
    if old is not None:
        print_lines(f"{task.target}: {old}; it is made anew.")
    return True


@contextmanager
def _fetched_outputs(task, addresses):
    """Gives a task whose outputs are copied to this machine; None where they cannot be."""
    with staging_dir(gettempdir()) as staging:
        try:
            for address in addresses:
                path = staging / "outputs" / path_of(address)
                path.parent.mkdir(parents=True, exist_ok=True)
                download(str(address), path)
        except RemoteFileError:
            yield None
            return
        yield task._replace(target=staging / "outputs" / path_of(task.target))


def source_metadata(source: os.PathLike | str) -> dict[str, Any]:
    """Returns what tells a file or a folder of files from others, by its content and name.

    Returns:
        Its `name` without folders; its `bytes`, of a folder those of the files in it; and a
        `digest`, the SHA-256 of its first and last 64 KiB, of a folder that of the names and sizes
        of the files in it. What is not on this machine has the bytes None, and no digest.
    """
    name = file_name(source)
    try:
        found = os.stat(source)
        size, digest = _fingerprint(os.fspath(source), found.st_size, found.st_mtime_ns)
    except (OSError, ValueError):
        return {"name": name, "bytes": None}
    return {"name": name, "bytes": size, "digest": digest}


@lru_cache(maxsize=1 << 17)
def _fingerprint(path, size, mtime_ns):
    """Returns the bytes and the digest of a file or folder, read once while it stays the same."""
    digest = hashlib.sha256()
    if os.path.isdir(path):
        with os.scandir(path) as entries:
            files = sorted((e.name, e.stat().st_size) for e in entries if e.is_file())
        digest.update(json.dumps(files).encode())
        return sum(size for _, size in files), digest.hexdigest()
    with open_regular(path) as file:
        digest.update(file.read(END_BYTES))
        file.seek(max(END_BYTES, size - END_BYTES))
        digest.update(file.read(END_BYTES))
    return size, digest.hexdigest()


def source_difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str | None:
    """Returns how an output's source differs from another, see `source_metadata`.

    Of a source with the same content the name does not matter. Accents in names are compared as
    letters. A value that is not known of both, such as the digest in files of earlier versions, is
    no difference.

    Args:
        found: Metadata of the source of an output.
        wanted: Metadata of the source that it should have.

    Returns:
        Text such as "bytes 3, not 4"; None where there is no difference.
    """
    contents = [(source.get("bytes"), source.get("digest")) for source in (found, wanted)]
    if contents[0] == contents[1] and None not in contents[0]:
        found = {**found, "name": wanted.get("name")}
    for name in dict.fromkeys((*wanted, *found)):
        value, other = found.get(name), wanted.get(name)
        if value == other or (None in (value, other) and name in ("bytes", "digest")):
            continue
        if name == "digest":
            return "its first or last bytes are others"
        if name != "name" or _composed(value) != _composed(other):
            return f"{name} {value}, not {other}"
    return None


def _composed(name):
    return unicodedata.normalize("NFC", str(name))


def first_difference(
    found: Mapping[str, Any], wanted: Mapping[str, Any], names: Iterable[str] | None = None
) -> str | None:
    """Returns the first difference between the metadata of an output and those that are wanted.

    Args:
        found: Metadata of the output, plain values by name.
        wanted: The metadata that it should have.
        names: Names to compare; None compares all. Of mappings within, all are compared.

    Returns:
        Text such as "weights: rgb: name a, not b"; None where there is no difference.
    """
    for name in dict.fromkeys((*wanted, *found)) if names is None else names:
        value, other = found.get(name), wanted.get(name)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            compare = source_difference if name == SOURCE else first_difference
            if difference := compare(value, other):
                return f"{name}: {difference}"
        elif value != other:
            return f"{name} {value}, not {other}"
    return None


def run_job(
    tasks: Sequence[Task],
    run: Callable[[Sequence[Task], Path], Outcomes],
    output_dir,
    title: str,
    outputs: Callable[[Task], Iterable[Path | str]] = lambda task: (task.target,),
) -> tuple[tuple[str, str], ...]:
    """Does tasks with a progress bar; a failure is reported on stderr, and the others are done.

    Failures are kept in the output folder until they succeed, see `i3d_tf.system.job_status`.

    Args:
        tasks: What is to be done. Folders of outputs are made.
        run: Function (tasks, staging folder) -> outcomes as they come, such as `run_each` returns;
            for tasks with addresses it must be from `run_each`.
        output_dir: Folder of all outputs; the staging folder lies in it. Or an address.
        title: Text of the progress bar.
        outputs: Function of a task to the paths of its outputs; a task fails at once where there
            can be no such file.

    Returns:
        (source, reason) of each task that failed.

    Raises:
        OSError: A folder cannot be made or written.
    """
    impossible = {}
    for task in tasks:
        here = [path for path in outputs(task) if not is_remote(path)]
        if problem := next(filter(None, map(path_problem, here)), None):
            impossible[task.source] = f"its output cannot be written: {problem}"
    possible = [task for task in tasks if task.source not in impossible]
    if not is_remote(output_dir):
        for folder in sorted({Path(output_dir), *(Path(task.target).parent for task in possible)}):
            make_folder(folder)
    failures, failed = Failures(output_dir), []
    is_local = not is_remote(output_dir)
    with staging_dir(output_dir if is_local else gettempdir()) as staging, progress_bar() as shown:
        bar = shown.add_task(title, total=len(tasks))
        known = [(task, impossible[task.source]) for task in tasks if task.source in impossible]
        with closing(_generator(known, run(possible, staging))) as outcomes:
            for task, reason in outcomes:
                if reason is None:
                    failures.discard(task.target)
                else:
                    failed.append(_failure(task, reason))
                    failures.add(task.target, task.source, reason, staging)
                shown.advance(bar)
    return tuple(failed)


def run_each(
    work: Work, processes: int = 1, died: str = ""
) -> Callable[[Sequence[Task], Path], Outcomes]:
    """Returns a function for `run_job` that does one task after the other, or several at once.

    An input at an address is copied to this machine for the time of its task; outputs for an
    address are made on this machine, and copied there when they are whole.

    Args:
        work: Function (task, staging folder) that makes a task's output in the staging folder and
            moves it to its target. A UserError or a MemoryError is the task's failure; anything
            else ends the job. For several processes it must be a module's function, or a `partial`
            of one.
        processes: 1 works in this process, more in as many others.
        died: Why a task failed that ended its process every time.
    """

    def run(tasks, staging):
        paths = (path for task in tasks for path in (task.source, task.target))
        with copies_folder(paths) as copies:
            call = partial(attempt_task, work, staging, copies)
            if processes > 1:
                results = map_unordered(call, tasks, min(processes, len(tasks) or 1), died)
                with closing(results):
                    yield from results
            else:
                yield from ((task, call(task)) for task in tasks)

    return run


def has_remote(tasks: Iterable[Task]) -> bool:
    """Returns whether an input or an output is at an address."""
    return any(is_remote(task.source) or is_remote(task.target) for task in tasks)


@contextmanager
def on_this_machine(task: Task, copies: Path | None) -> Iterator[Task]:
    """Gives a task whose input and output are on this machine.

    Where the output is at an address, it and all files that the block leaves below the folders of
    its path are copied there, the output itself last.

    Args:
        task: The task.
        copies: See `copies_folder`.

    Raises:
        RemoteFileError: The input cannot be copied, or the connection is cut.
        RemoteAccessError: There is no access.
        OSError: Outputs cannot be written at their address.
    """
    if copies is None:
        yield task
        return
    with TemporaryDirectory(dir=copies) as place, local_copy(task.source, place) as source:
        if not is_remote(task.target):
            yield task._replace(source=source)
            return
        folder = Path(place, "outputs")
        target = folder / path_of(task.target)
        if problem := path_problem(target):
            raise RemoteFileError(str(task.target), f"it cannot be made on this machine: {problem}")
        target.parent.mkdir(parents=True)
        yield task._replace(source=source, target=target)
        scheme = str(task.target).partition(SEPARATOR)[0]
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        for path in sorted(paths, key=target.__eq__):
            upload(path, f"{scheme}{SEPARATOR}{path.relative_to(folder).as_posix()}")


def reason_of_failure(task: Task, error: UserError | MemoryError) -> str:
    """Returns why a task failed, without the name of its source."""
    return NO_MEMORY if isinstance(error, MemoryError) else error.reason_for(task.source)


def attempt_task(work: Work, staging: Path, copies: Path | None, task: Task) -> str | None:
    """Does a task; its input and its output may be at addresses.

    Args:
        work: See `run_each`.
        staging: Folder for half-written files.
        copies: See `copies_folder`.
        task: The task.

    Returns:
        Why it failed, or None.
    """
    here = task
    try:
        with on_this_machine(task, copies) as here:
            work(here, staging)
    except (UserError, MemoryError) as error:
        return reason_of_failure(here, error)
    return None


def make_folder(folder):
    """Makes a folder and those above it.

    Raises:
        OSError: It cannot be made; the message names it.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OSError(f"{folder}: this folder cannot be made: {reason}.") from error


def _failure(task, reason):
    print_lines(f"error: {task.source}: {reason}", file=sys.stderr)
    return task.source, reason


def _generator(*parts):
    for part in parts:
        yield from part
