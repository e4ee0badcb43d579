"""A folder for half-written files, which is removed also after its job was killed."""

import contextlib
import os
import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory

try:
    import fcntl
except ImportError:  # Windows: what a killed job left is known by its age
    fcntl = None

PREFIX = ".unfinished-"
LOCK = "lock"
ABANDONED = 7 * 86400  # seconds after which a folder is a killed job's where there are no locks


@contextlib.contextmanager
def unfinished_folder(output_dir):
    """Makes a folder in `output_dir` for what is half-written, and removes those of killed jobs.

    A job holds a lock on a file in its folder, which the system takes away when the job ends in
    whatever way: a folder whose lock can be had is nobody's.

    Args:
        output_dir: A folder that exists.

    Yields:
        Path of the folder, which is gone when the block is left.

    Raises:
        OSError: Nothing can be written there.
    """
    with contextlib.ExitStack() as stack:
        try:
            # One job at a time looks and makes, so that no folder is seen before it is locked.
            with _one_at_a_time(output_dir) as locks:
                for leftover in Path(output_dir).glob(f"{PREFIX}*"):
                    _remove_if_abandoned(leftover, locks)
                folder = stack.enter_context(TemporaryDirectory(prefix=PREFIX, dir=output_dir))
                _lock(stack.enter_context(open(os.path.join(folder, LOCK), "wb")))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise OSError(f"{output_dir}: nothing can be written there: {reason}.") from error
        yield Path(folder)


@contextlib.contextmanager
def _one_at_a_time(folder):
    """Waits until no other job is in this block; yields whether there are locks."""
    if fcntl is None:
        yield False
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            locks = True
        except OSError:  # this file system has none
            locks = False
        yield locks
    finally:
        os.close(descriptor)


def _remove_if_abandoned(folder, locks):
    # One that is gone already, or not ours to remove, is left alone.
    with contextlib.suppress(OSError):
        if not locks:
            abandoned = folder.stat().st_mtime < time.time() - ABANDONED
        elif (folder / LOCK).exists():
            with open(folder / LOCK, "rb+") as file:
                abandoned = _lock(file)
        else:
            abandoned = True  # its job was killed before it could lock it
        if abandoned:
            shutil.rmtree(folder)


def _lock(file):
    """Whether the lock could be had."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
