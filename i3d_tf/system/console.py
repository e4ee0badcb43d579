"""What every binary shares on the terminal: quiet start-up, one-line errors, progress."""

import contextlib
import os
import sys
import tempfile

from i3d_tf.system.errors import UserError

STOPPED = 130  # the exit status of a program stopped with Ctrl-C


def quiet_tensorflow():
    """Imports TensorFlow without its start-up messages; a failing import says all it has to say.

    TF_CPP_MIN_LOG_LEVEL alone does not do it: since 2.20 some messages are written before the
    logging that reads it is set up.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as messages:
        os.dup2(messages.fileno(), 2)
        try:
            import tensorflow as tf

            tf.zeros(())  # the first operation has something to say, too
        except Exception:
            messages.seek(0)
            os.write(stderr, messages.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


@contextlib.contextmanager
def one_line_errors():
    """Turns the errors a user can mend into one line on stderr and exit status 1.

    Everything else is a fault of ours and keeps its traceback.
    """
    try:
        yield
    except KeyboardInterrupt:
        print("Stopped; what was finished is kept.", file=sys.stderr)
        sys.exit(STOPPED)
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (ValueError, OSError, FloatingPointError, UserError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(1)


def progress_bar(unit=""):
    """A progress bar on stderr, shown only where a person watches.

    Args:
        unit: "bytes" for transfers; anything else counts steps.

    Returns:
        A `rich.progress.Progress`, to be used in a `with` statement.
    """
    from rich import progress
    from rich.console import Console

    counters = (
        (progress.DownloadColumn(), progress.TransferSpeedColumn())
        if unit == "bytes"
        else (progress.MofNCompleteColumn(),)
    )
    console = Console(stderr=True)
    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        *counters,
        progress.TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        # Else lines printed for a file or a pipe would go to the terminal that shows the bar.
        redirect_stdout=sys.stdout.isatty(),
        transient=True,
    )


def leave_out(flag, others):
    """Refuses absl flags that would have no effect beside another.

    Args:
        flag: FlagHolder of the one that was given.
        others: FlagHolders.

    Raises:
        ValueError: One of the others was given, too.
    """
    if ignored := [f"--{other.name}" for other in others if other.present]:
        raise ValueError(f"--{flag.name} says it all; leave out {' and '.join(ignored)}.")


def printable(text) -> str:
    """Text for a terminal: what is in a file's name can neither steer it nor break the output."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )
