import contextlib
import io
import os
import pty
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest

from i3d_tf.system.console import (
    INTERRUPTED,
    TERMINATED,
    check_file_names,
    one_line_errors,
    print_lines,
    printable,
    progress_bar,
    quiet_tensorflow,
)
from i3d_tf.video.errors import VideoError
from i3d_tf.weights.assign import WeightsError


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("`stream` must be\n  one of x"), "error: `stream` must be one of x"),
        (WeightsError("file: truncated"), "error: file: truncated"),
        (FileNotFoundError("No weights"), "error: No weights"),
        (VideoError("a.mp4", "it is empty"), "error: a.mp4: it is empty"),
        (VideoError("a\x1b[2J\x9b.mp4", "\udcff"), r"error: a\x1b[2J\x9b.mp4: \udcff"),
        (PermissionError(13, "Permission denied", "a\x1b"), r"error: a\x1b: permission denied."),
    ],
)
def test_one_line_errors_prints_user_errors_in_one_line(capsys, error, line):
    with pytest.raises(SystemExit) as stop, one_line_errors():
        raise error
    assert stop.value.code == 1
    assert capsys.readouterr() == ("", line + "\n")


def test_one_line_errors_ends_with_130_on_ctrl_c(capsys):
    with pytest.raises(SystemExit) as stop, one_line_errors():
        raise KeyboardInterrupt
    assert stop.value.code == INTERRUPTED == 130
    assert capsys.readouterr() == ("", "Stopped; what was finished is kept.\n")


def test_one_line_errors_ends_with_143_on_sigterm(capsys):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stop, one_line_errors():
        signal.raise_signal(signal.SIGTERM)
    assert stop.value.code == TERMINATED == 143
    assert capsys.readouterr() == ("", "Stopped; what was finished is kept.\n")
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("library_error", [OSError, SystemError])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_line_errors_knows_a_signal_behind_an_error_of_a_library(
    capsys, monkeypatch, number, status, library_error
):
    def read():
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt as error:
            raise library_error("cannot read") from error

    monkeypatch.setattr(signal, "default_int_handler", signal.getsignal(signal.SIGINT))
    with pytest.raises(SystemExit) as stop, one_line_errors():
        read()
    assert stop.value.code == status
    assert capsys.readouterr() == ("", "Stopped; what was finished is kept.\n")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_line_errors_does_not_lose_a_signal_in_a_finalizer(capsys, monkeypatch, number, status):
    class Finalized:
        def __del__(self):
            signal.raise_signal(number)

    monkeypatch.setattr(signal, "default_int_handler", signal.getsignal(signal.SIGINT))

    def finalize():
        Finalized()
        threading.Event().wait(60)  # the signal comes again
        went_on.append(True)

    went_on, before = [], sys.unraisablehook
    with pytest.raises(SystemExit) as stop, one_line_errors():
        finalize()
    assert went_on == []
    assert stop.value.code == status
    assert capsys.readouterr() == ("", "Stopped; what was finished is kept.\n")
    assert sys.unraisablehook is before


def test_one_line_errors_ends_with_130_where_a_library_passes_over_ctrl_c(capsys, monkeypatch):
    monkeypatch.setattr(signal, "default_int_handler", signal.getsignal(signal.SIGINT))
    passed_over = contextlib.suppress(BaseException)
    with pytest.raises(SystemExit) as stop, one_line_errors(), passed_over:
        signal.raise_signal(signal.SIGINT)
    assert stop.value.code == 130
    assert capsys.readouterr() == ("", "Stopped; what was finished is kept.\n")


def test_one_line_errors_keeps_tracebacks_of_other_errors():
    with pytest.raises(TypeError, match="ours"), one_line_errors():
        raise TypeError("ours")


def test_one_line_errors_is_silent_on_a_broken_pipe(repository_root):
    code = """
from i3d_tf.system.console import one_line_errors
with one_line_errors():
    for _ in range(100_000):
        print("line", flush=True)
"""
    writer = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=repository_root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert writer.stdout.readline() == b"line\n"
    writer.stdout.close()
    assert writer.stderr.read() == b""
    writer.stderr.close()
    assert writer.wait(timeout=60) == 1


FAKE = """
import os
os.write(2, b"noise\\n")
{last_line}
"""


@pytest.mark.parametrize(
    ("last_line", "shown"),
    [
        ("zeros = tuple", b""),
        ("raise ImportError('no library')", b"noise\nno library\n"),
        ("raise KeyboardInterrupt", b"stopped\n"),
    ],
)
def test_quiet_tensorflow_shows_messages_only_if_the_import_fails(
    tmp_path, repository_root, last_line, shown
):
    (tmp_path / "tensorflow.py").write_text(FAKE.format(last_line=last_line))
    code = """
import os
from i3d_tf.system.console import quiet_tensorflow
try:
    quiet_tensorflow()
except ImportError as error:
    os.write(2, f"{error}\\n".encode())
except KeyboardInterrupt:
    os.write(2, b"stopped\\n")
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=repository_root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(repository_root)])},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", shown)


def test_quiet_tensorflow_restores_stderr(capfd):
    quiet_tensorflow()
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def advance_past_a_line():
    with progress_bar() as bar:
        task = bar.add_task("videos", total=2)
        print("a prediction")
        bar.advance(task)


def on_a_terminal(monkeypatch, job):
    """What a job writes to standard error when that is a terminal."""
    master, slave = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(slave, "w") as stderr, monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", stderr)
        job()
    written = b""
    with contextlib.suppress(OSError):  # how a terminal ends without a writer
        while piece := os.read(master, 1 << 16):
            written += piece
    os.close(master)
    return written.decode()


def test_progress_bar_keeps_redirected_output_off_the_terminal(capsys, monkeypatch):
    seen = on_a_terminal(monkeypatch, advance_past_a_line)
    assert capsys.readouterr().out == "a prediction\n"
    assert "videos" in seen
    assert "1/2" in seen
    assert "a prediction" not in seen


def test_progress_bar_is_hidden_without_a_terminal(capsys):
    advance_past_a_line()
    assert capsys.readouterr() == ("a prediction\n", "")


def test_progress_bar_counts_bytes(monkeypatch):
    def transfer():
        with progress_bar("bytes") as bar:
            bar.update(bar.add_task("model.ckpt", total=50_000_000), completed=25_000_000)

    assert "25.0/50.0 MB" in on_a_terminal(monkeypatch, transfer)


def test_check_file_names_takes_names_after_two_dashes(tmp_path, monkeypatch, capsys):
    for name in ("-a.mp4", "--flag=1.5", "-v"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    for argv in (["x", "-v", "--flag=1.5", "a.mp4", "--", "-a.mp4"], ["x", "-b.mp4"], ["x"]):
        assert check_file_names(argv) == argv
    with pytest.raises(SystemExit) as stop:
        check_file_names(["x", "-v", "-a.mp4"])
    assert stop.value.code == 1
    assert capsys.readouterr().err.startswith("error: -a.mp4: a name that starts with - is taken")


def test_printable_escapes_control_characters():
    assert printable("a\x1b[2Jb\nc\udcff") == r"a\x1b[2Jb\nc\udcff"
    assert printable("größe 体操 [1]") == "größe 体操 [1]"


def test_one_line_errors_prints_warnings_without_control_characters():
    before = warnings.formatwarning
    with one_line_errors():
        text = warnings.formatwarning("a\x1b[2J.h5: no head", UserWarning, "b.py", 1, "")
    assert text == before("a\\x1b[2J.h5: no head", UserWarning, "b.py", 1, "")
    assert warnings.formatwarning is before


def test_print_lines_escapes_what_a_terminal_would_obey_or_cannot_show():
    file = io.TextIOWrapper(io.BytesIO(), "latin-1")
    print_lines("a\x1b[2J\nb", Path("ü体\udcff"), file=file)
    assert file.buffer.getvalue().decode("latin-1") == "a\\x1b[2J\\nb\nü\\u4f53\\udcff\n"
