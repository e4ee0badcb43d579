"""Terminal behaviour of every binary: quiet start-up, one-line errors, stopping, progress."""

import contextlib
import os
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO

from i3d_tf.system.errors import UserError, message_of

# Exit statuses of a program stopped by a signal: 128 and the signal's number.
INTERRUPTED = 130  # Ctrl-C
TERMINATED = 143  # SIGTERM

SECONDS_TO_NEXT = 0.1  # from a signal whose exception was lost to the next


class Terminated(KeyboardInterrupt):
    """SIGTERM, by which clusters stop a job; handlers of Ctrl-C handle it, too."""


def quiet_tensorflow():
    """Imports TensorFlow without its start-up messages; a failing import prints everything.

    TF_CPP_MIN_LOG_LEVEL alone does not do it: since 2.20 some messages are written before the
    logging that reads it is set up.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    if "tensorflow" in sys.modules:  # its start is over
        return
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as messages:
        os.dup2(messages.fileno(), 2)
        try:
            import tensorflow as tf

            tf.zeros(())  # the first operation prints messages, too
        except Exception:
            messages.seek(0)
            os.write(stderr, messages.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Turns errors that a user can fix into one line on stderr and exit status 1.

    Ctrl-C and SIGTERM, which raises `Terminated`, end the program with one line and the status of
    the signal, also where a library turns the exception into an error of its own. Everything else
    is a fault of the program and keeps its traceback.
    """
    stops: list[KeyboardInterrupt] = []
    try:
        with _signals_raised(stops), _printable_warnings():
            yield
        if stops:  # a library has swallowed the exception
            _end_stopped(stops[-1])
    except KeyboardInterrupt as stop:
        _end_stopped(stop)
    except Exception as error:
        if stops:
            _end_stopped(stops[-1])
        if isinstance(error, BrokenPipeError):  # the reader of our output went away, as `head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        elif isinstance(error, (ValueError, OSError, FloatingPointError, UserError)):
            print_lines(f"error: {' '.join(message_of(error).split())}", file=sys.stderr)
        else:
            raise
        sys.exit(1)


def _end_stopped(stop):
    print("Stopped; what was finished is kept.", file=sys.stderr)
    sys.exit(TERMINATED if isinstance(stop, Terminated) else INTERRUPTED)


@contextlib.contextmanager
def _signals_raised(stops):
    """Raises an exception when Ctrl-C or SIGTERM comes, and puts it into a list.

    Where it is raised within a function that Python calls by the way, such as one that is called
    when an object goes away, it would be lost: the signal is sent once more.
    """

    def handle(number, frame):
        stops.append(Terminated() if number == signal.SIGTERM else KeyboardInterrupt())
        raise stops[-1]

    def send_again(unraisable):
        if not isinstance(unraisable.exc_value, KeyboardInterrupt):
            hook(unraisable)
            return
        is_sigterm = isinstance(unraisable.exc_value, Terminated)
        number = signal.SIGTERM if is_sigterm else signal.SIGINT
        timer = threading.Timer(SECONDS_TO_NEXT, os.kill, (os.getpid(), number))
        timer.daemon = True
        timers.append(timer)
        timer.start()

    hook, sys.unraisablehook = sys.unraisablehook, send_again
    handlers, timers = {}, []
    if threading.current_thread() is threading.main_thread():  # which alone receives signals
        handlers[signal.SIGTERM] = signal.signal(signal.SIGTERM, handle)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # or it is ignored
            handlers[signal.SIGINT] = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()
        sys.unraisablehook = hook
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _printable_warnings():
    before = warnings.formatwarning

    def format_printable(message, *arguments, **keywords):
        return before(printable(str(message)), *arguments, **keywords)

    warnings.formatwarning = format_printable
    try:
        yield
    finally:
        warnings.formatwarning = before


def print_lines(*lines: Any, file: TextIO | None = None):
    """Prints lines that may have names of files in them, whatever these are, and flushes.

    Args:
        *lines: What is printed, one a line, through `printable`; letters that the file cannot
            encode are escaped, too.
        file: Where it is printed; None means stdout.
    """
    file = sys.stdout if file is None else file
    encoding = file.encoding or "utf-8"
    text = "\n".join(printable(str(line)) for line in lines)
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=file, flush=True)


def printable(text: str) -> str:
    """Returns text without control characters, so that a file's name cannot steer a terminal."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def progress_bar(unit=""):
    """Returns a progress bar on stderr, shown only on a terminal.

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
    console.quiet = not console.is_terminal  # before rich 14.3, a hidden bar leaves an empty line
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


# A module name that absl's --help leaves out: flags of former versions still work, unlisted.
FORMER_FLAGS = "former spellings"
CHECKPOINT_HELP = "a release or another known name, a run's folder, or a .keras file"
FED_ROUNDING_HELP = (
    "Give flow as if it had been stored in 8 bits; deepmind is what the releases were trained on."
)
HEAD_HELP = (
    "Dataset whose classes are meant, of a network that was trained on two with a head for each."
)
LIST_HELP = (
    "Text file with a video a line: a path relative to it, or an address. Labels are passed over."
)
SHARD_HELP = (
    "Part of the videos, i/n with i from 0: 0/4, 1/4, 2/4 and 3/4 are all. env takes it from "
    "SLURM, Kubernetes or AWS Batch."
)
STATUS_HELP = "Only show what is done, missing and failed, over all shards; exit status 0 if done."
STATUS_JSON_HELP = "With --status: print a JSON record, which names what is missing and failed."
CHECKPOINT_DIR_HELP = "Folder in which names are looked up before the cache and those that ship."


def refuse_arguments(argv: list[str]):
    """Refuses command-line arguments of a binary that only has flags.

    Raises:
        ValueError: There are some.
    """
    if len(argv) > 1:
        raise ValueError(f"unexpected arguments {argv[1:]}; every option is a --flag.")


def check_file_names(argv: list[str]) -> list[str]:
    """Refuses names of files that start with a dash, which flags are taken for.

    Args:
        argv: The command line, with the name of the program.

    Returns:
        The same. Where there is such a name before `--`, the program ends with one line instead.
    """
    before = argv[1 : argv.index("--")] if "--" in argv else argv[1:]
    for name in before:
        if name.startswith("-") and "." in name and "=" not in name and os.path.lexists(name):
            print_lines(
                f"error: {name}: a name that starts with - is taken for a flag. Put -- before the "
                "names of videos.",
                file=sys.stderr,
            )
            sys.exit(1)
    return argv


def refuse_flags_beside(flag, others):
    """Refuses absl flags that would have no effect beside another.

    Args:
        flag: FlagHolder of the one that was given.
        others: FlagHolders.

    Raises:
        ValueError: One of the others was given, too.
    """
    if ignored := [f"--{other.name}" for other in others if other.present]:
        raise ValueError(f"--{flag.name} cannot be combined with {' and '.join(ignored)}.")


def refuse_flags_without(flag, others):
    """Refuses absl flags that have no effect without another, which was not given.

    Args:
        flag: FlagHolder of the other.
        others: FlagHolders.

    Raises:
        ValueError: One of the others was given.
    """
    if ignored := [f"--{other.name}" for other in others if other.present]:
        raise ValueError(f"{' and '.join(ignored)} cannot be given without --{flag.name}.")


def parse_numbers(
    name: str, texts: Sequence[str] | None, kind: Callable[[str], Any] = float
) -> tuple[Any, ...] | None:
    """Returns the numbers of a list flag; None where it is not given.

    Args:
        name: Name of the flag, for the message.
        texts: Its value.
        kind: float or int.

    Raises:
        ValueError: A text is no such number.
    """
    try:
        return None if texts is None else tuple(map(kind, texts))
    except ValueError as error:
        raise ValueError(f"--{name} must be numbers with commas between: {error}.") from error
