"""Holds the import map: an import never points up, and heavy libraries stay in their rooms."""

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "i3d_tf"
TOOLS = PACKAGE.parent / "tools"

ALLOWED = {
    "specs": set(),
    "layers": {"specs"},
    "video": {"specs"},
    "metrics": {"specs"},
    "viz": {"specs"},
    "synthetic": {"specs"},
    "weights": {"specs"},
    "models": {"specs", "layers"},
    "data": {"specs", "video", "synthetic"},
    "zoo": {"specs", "models", "weights"},
    "runs": {
        *("specs", "layers", "video", "metrics", "viz"),
        *("synthetic", "weights", "models", "data", "zoo"),
    },
    "tools": {"runs", "specs", "zoo"},
}
# Library: the rooms that may import it.
ONLY_IN = {
    "av": {"video"},
    "numba": {"video"},
    "cv2": {"video", "viz", "synthetic"},
    "matplotlib": {"viz"},
    "absl": {"tools"},
}
# Room: libraries it must not import.
NEVER_IN = {
    "specs": {"tensorflow", "keras", "numpy"},
    "video": {"keras"},
    "layers": {"tensorflow"},
    "models": {"tensorflow"},
}
SAYS_NOTHING = {"utils", "common", "helpers", "misc"}

SOURCES = sorted(PACKAGE.rglob("*.py")) + sorted(TOOLS.glob("*.py"))


def room_of(path):
    """The room a source file belongs to; None for the front door, `i3d_tf/__init__.py`."""
    if path.parent == TOOLS:
        return "tools"
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return None if first == "__init__" else first


def imports_of(source):
    """Every module that the source text imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def faults(room, source):
    """What is wrong with a source text's imports if it stands in `room`."""
    for module in imports_of(source):
        top, _, rest = module.partition(".")
        if top in {"tools", "tests"} and room != "tools":
            yield f"{module}: nothing in the package imports {top}"
        if top == "i3d_tf":
            target = rest.partition(".")[0]
            if target != room and target not in ALLOWED[room]:
                yield f"{module}: {room} may import only {sorted(ALLOWED[room])}"
        if room not in ONLY_IN.get(top, {room}) or top in NEVER_IN.get(room, ()):
            yield f"{module}: not in {room}"
        if room == "specs" and top != "i3d_tf" and top not in sys.stdlib_module_names:
            yield f"{module}: specs use the standard library only"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE.parent)))
def test_imports_follow_the_map(path):
    room = room_of(path)
    if room is None:
        assert set(imports_of(path.read_text("utf-8"))) == {"importlib.import_module"}
        return
    assert list(faults(room, path.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("specs", "import numpy"),
        ("specs", "import rich"),
        ("models", "from i3d_tf.data import pipeline"),
        ("video", "def f():\n    import keras"),
        ("weights", "from i3d_tf.models import inception_i3d"),
        ("zoo", "from absl import flags"),
        ("runs", "import tools.predict"),
        ("data", "import cv2"),
    ],
)
def test_a_forbidden_import_is_seen(room, source):
    assert len(list(faults(room, source))) >= 1


def test_names_say_something():
    assert [path for path in SOURCES if path.stem in SAYS_NOTHING] == []


def test_rooms_are_not_nested():
    assert all(len(path.relative_to(PACKAGE).parts) <= 2 for path in PACKAGE.rglob("*.py"))


def test_binaries_stay_short():
    assert {
        p.name: n for p in TOOLS.glob("*.py") if (n := len(p.read_text().splitlines())) > 80
    } == {}
