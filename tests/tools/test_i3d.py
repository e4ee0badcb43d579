"""The command `i3d`: its own help and errors, and the tools as its subcommands."""

import ast
import importlib.util
import subprocess
import sys

import pytest
from absl import app, flags
from fixtures.tools import TOOLS

from i3d_tf.specs.version import __version__

NAMES = sorted({path.stem for path in TOOLS.glob("*.py")} - {"__init__", "i3d"})


@pytest.fixture
def run_i3d(monkeypatch, capsys):
    """Function: arguments -> (exit status, stdout, stderr) of `i3d` in this process.

    In place of `app.run`, which works once a process, it parses the flags and calls main.
    """
    app.define_help_flags()
    before = set(flags.FLAGS)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["/somewhere/bin/i3d", *map(str, arguments)])
        status = 0
        try:
            load().main()
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()

    modules = set(sys.modules)
    monkeypatch.setattr(app, "run", lambda main, flags_parser: main(flags_parser(sys.argv)))
    monkeypatch.setattr(sys.modules["__main__"], "__doc__", None)
    yield run
    for name in set(flags.FLAGS) - before:
        delattr(flags.FLAGS, name)
    flags.FLAGS.unparse_flags()
    for name in set(sys.modules) - modules:
        if name.startswith("i3d "):
            del sys.modules[name]


def load():
    """The module of the command."""
    spec = importlib.util.spec_from_file_location("i3d_command", TOOLS / "i3d.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("dashes", "error"),
    [
        (
            [],
            "error: -a.mp4: a name that starts with - is taken for a flag. Put -- before ",
        ),
        (["--"], "error: -a.mp4: it is empty (0 bytes)\n"),
    ],
)
def test_name_that_starts_with_a_dash_needs_two_dashes_before_it(
    run_i3d, monkeypatch, tmp_path, dashes, error
):
    (tmp_path / "-a.mp4").touch()
    monkeypatch.chdir(tmp_path)
    status, _, err = run_i3d("compute_flow", "--flow_dir=flow", "--engine=dis", *dashes, "-a.mp4")
    assert status == 1
    assert err.startswith(error)


def test_tools_are_known_with_hyphens_too(run_i3d):
    status, _, err = run_i3d("data-worker", "--dispatcher=here")
    assert (status, err) == (1, "error: `dispatcher` must be grpc://HOST:PORT; received 'here'.\n")


@pytest.mark.parametrize("argument", ["--help", "-h", "help"])
def test_help_lists_every_tool_with_its_first_line(run_i3d, argument):
    status, out, err = run_i3d(argument)
    assert (status, err) == (0, "")
    lines = out.partition("Tools:\n")[2].splitlines()
    listed = dict(line.split(maxsplit=1) for line in lines)
    assert sorted(listed) == NAMES
    for name, description in listed.items():
        docstring = ast.get_docstring(ast.parse((TOOLS / f"{name}.py").read_text("utf-8")))
        assert docstring.splitlines()[0] == description
        assert "make " not in description  # which an installed package does not have


def test_without_arguments_the_help_goes_to_stderr(run_i3d):
    status, out, err = run_i3d()
    assert (status, out) == (1, "")
    assert err == f"{load().help_text()}\n"


def test_version(run_i3d):
    assert run_i3d("--version") == (0, f"i3d_tf {__version__}\n", "")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("predcit", "Did you mean predict?"),
        ("extract-feature", "Did you mean extract_features?"),
        ("compare", "Did you mean compare_architectures or compare_reports?"),
        ("flow", "Did you mean compute_flow?"),
        ("--stream=rgb", "`i3d --help` lists the tools."),
        ("i3d", "`i3d --help` lists the tools."),
        ("../tools/predict", "Did you mean predict?"),
    ],
)
def test_unknown_tool_is_one_line_with_near_names(run_i3d, name, hint):
    status, out, err = run_i3d(name, "clip.mp4")
    assert (status, out) == (1, "")
    assert err == f"error: {name}: no such tool. {hint}\n"


@pytest.mark.parametrize("name", NAMES)
def test_help_of_a_tool_shows_its_flags_under_the_command(run_i3d, name):
    status, out, err = run_i3d(name, "--help")
    assert (status, err) == (1, "")  # absl's own status
    assert f"\ni3d {name}" in out
    assert "tools/" not in out
    assert all(f"\ni3d {other}:" not in out for other in NAMES if other != name)
    if name != "compare_reports":  # it has none
        assert f"\ni3d {name}:\n  --" in out


def test_only_the_chosen_tool_has_its_flags_defined(run_i3d):
    status, _, err = run_i3d("compare_reports", "--stream=rgb", "a.json", "b.json")
    assert status == 1
    assert err.startswith("FATAL Flags parsing error: Unknown command line flag 'stream'")


def test_tool_gets_the_arguments_after_its_name(run_i3d, tmp_path):
    none = tmp_path / "none.json"
    status, out, err = run_i3d("compare_reports", none, none)
    assert (status, out) == (1, "")
    assert err.startswith("error: ")
    assert str(none) in err


def test_help_starts_quickly_without_libraries(repository_root):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "tools/i3d.py", "--help"],
        cwd=repository_root,
        env={"PYTHONPATH": str(repository_root)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    imported = {
        line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()
    }
    assert "i3d_tf" in imported
    assert not imported & {"absl", "av", "cv2", "keras", "numpy", "rich", "tensorflow"}
