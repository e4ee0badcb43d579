"""The folder of a report: made, locked, and removed again if nothing comes of it."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from i3d_tf.system.files import folder_lock


@contextlib.contextmanager
def report_folder(report_dir: os.PathLike | str) -> Iterator[None]:
    """Makes the folder of a report, and keeps other processes from writing into it meanwhile.

    After an error a folder that was made, and that is still empty, is removed.

    Raises:
        BlockingIOError: Another process writes a report into it, or trains in it.
        OSError: It cannot be made.
    """
    is_new = not os.path.lexists(report_dir)
    with folder_lock(make_report_folder(report_dir), wait=False):
        try:
            yield
        except BaseException:
            if is_new:
                with contextlib.suppress(OSError):  # it is not empty
                    os.rmdir(report_dir)
            raise


def make_report_folder(report_dir: os.PathLike | str) -> Path:
    """Makes the folder of a report, and those above it; returns it.

    Raises:
        OSError: It cannot be made.
    """
    folder = Path(report_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable_report(folder, error) from error
    return folder


def unwritable_report(report_dir: os.PathLike | str, error: OSError) -> OSError:
    """Returns the error of a folder that cannot be made or written."""
    reason = error.strerror or error
    return OSError(f"`report_dir` {report_dir} cannot be written ({reason}). Name another folder.")
