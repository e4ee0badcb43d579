"""Failures of a job as one line for the page and the JSON interface."""

import sys
import traceback
from pathlib import Path

import tensorflow as tf

from i3d_tf.system.errors import UserError
from i3d_tf.video.errors import VideoError, reason_of

NO_MEMORY = "there is not enough memory for it. Give a shorter or smaller video."
FAULT = "the server failed at this. Its terminal shows why."
# What a user can fix.
EXPECTED = (UserError, ValueError, OSError, FloatingPointError)


def failure_line(error: Exception) -> str:
    """Returns what went wrong in one line; faults of the program are printed with their traceback.

    Args:
        error: What a job raised. Of a video, only the name is shown, without its folder.
    """
    if isinstance(error, VideoError):
        return f"{Path(error.path).name}: {error.reason}."
    if isinstance(error, MemoryError | tf.errors.ResourceExhaustedError):
        return NO_MEMORY
    if isinstance(error, OSError):  # whose message names folders of the server
        return f"the server has a problem with its files: {reason_of(error)}."
    if isinstance(error, EXPECTED):
        return str(error)
    traceback.print_exception(error, file=sys.stderr)
    return FAULT
