"""Holds the import map: an import never points up, and heavy libraries stay in their rooms."""

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "i3d_tf"
TOOLS = PACKAGE.parent / "tools"

# Room: the rooms that it may import. Listed from the ground up: every room names earlier ones.
ALLOWED = {
    "specs": "",
    "system": "",
    "viz": "specs",
    "layers": "specs",
    "metrics": "specs system",
    "synthetic": "specs",
    "weights": "specs system",
    "bitstream": "",
    "video": "specs system bitstream",
    "flow": "specs system video",
    "models": "specs layers",
    "data": "specs system video flow",
    "records": "specs system video flow data",
    "inflation": "specs layers weights models",
    "zoo": "specs system metrics weights models inflation",
    "inference": "specs system layers metrics viz video flow models data zoo",
    "training": "specs system layers metrics data records zoo inference",
    "evaluation": "specs system metrics viz video data records zoo inference",
    "features": "specs system metrics video flow data models zoo inference",
    "export": "specs system metrics video flow models zoo inference",
    "explain": "specs system metrics viz video flow data models zoo inference",
    "experiments": "specs system layers metrics viz synthetic weights video flow models data "
    "records inflation zoo inference training evaluation features export explain",
    "distributed": "specs system layers metrics viz synthetic weights video flow models data "
    "records inflation zoo inference training evaluation features export explain experiments",
    "web": "specs system metrics viz synthetic weights video flow data models zoo inference "
    "features explain",
}
ALLOWED = {room: set(rooms.split()) for room, rooms in ALLOWED.items()}
ALLOWED["tools"] = set(ALLOWED)
# Library: the rooms that may import it.
ONLY_IN = {
    "av": {"video"},
    "numba": {"flow"},
    "cv2": {"video", "flow", "viz", "synthetic"},
    "matplotlib": {"viz"},
    "absl": {"tools"},
    "apache_beam": {"distributed"},
    **{library: {"web"} for library in ("anyio", "fastapi", "gradio", "starlette", "uvicorn")},
}
# Room: libraries it must not import.
NEVER_IN = {
    "specs": {"tensorflow", "keras", "numpy"},
    "video": {"keras"},
    "flow": {"keras"},
    "layers": {"tensorflow"},
    "models": {"tensorflow"},
    "inflation": {"tensorflow"},
}
SAYS_NOTHING = {"utils", "common", "helpers", "misc"}
MAX_FILES = 24  # modules of a folder
MAX_SHARE = 0.14  # of the package's lines, that one room may hold

SOURCES = sorted(PACKAGE.rglob("*.py")) + sorted(TOOLS.glob("*.py"))


def room_of(path):
    """The room a source file belongs to; None for the front door, `i3d_tf/__init__.py`."""
    if path.parent == TOOLS:
        return "tools"
    return None if path.parent == PACKAGE else path.relative_to(PACKAGE).parts[0]


def imports_of(source):
    """Every module that the source text imports, wherever in it, by a statement or by name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module}.{alias.name}" for alias in node.names)


def imports_by_name(source):
    """Whether the source text imports modules by strings, which the map would not see."""
    return any("import_module" in name or "__import__" in name for name in imports_of(source)) or (
        "importlib.import_module" in source or "__import__(" in source
    )


def faults(room, source):
    """What is wrong with a source text's imports if it stands in `room`."""
    for module in imports_of(source):
        top, _, rest = module.partition(".")
        if not top:
            yield f"{module}: imports are absolute"
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


def test_imports_follow_the_map():
    found = []
    for path in SOURCES:
        room, source = room_of(path), path.read_text("utf-8")
        if room is not None:
            found += [
                f"{path.relative_to(PACKAGE.parent)}: {fault}" for fault in faults(room, source)
            ]
    assert found == []


def test_map_has_no_circle():
    rooms = list(ALLOWED)
    assert all(rooms.index(lower) < rooms.index(room) for room in rooms for lower in ALLOWED[room])
    assert {path.name for path in PACKAGE.iterdir() if path.is_dir()} - {"__pycache__"} == (
        set(rooms) - {"tools"}
    )


def test_modules_of_a_room_import_in_no_circle():
    edges = {}
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        edges[name] = set()
        for module in imports_of(path.read_text("utf-8")):
            edges[name] |= {module, module.rpartition(".")[0]}
    edges = {name: found & set(edges) for name, found in edges.items()}
    while leaves := {name for name, found in edges.items() if not found}:
        edges = {name: found - leaves for name, found in edges.items() if name not in leaves}
    assert edges == {}


# The front door names its modules in a table.
BY_NAME = {"__init__.py"}


def test_no_module_is_reached_round_the_map():
    by_name = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if imports_by_name(path.read_text("utf-8"))
    }
    assert by_name == BY_NAME


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("specs", "import numpy"),
        ("specs", "import rich"),
        ("models", "from i3d_tf.data import pipeline"),
        ("flow", "def f():\n    import keras"),
        ("weights", "from i3d_tf.models import inception"),
        ("zoo", "from absl import flags"),
        ("training", "import tools.predict"),
        ("training", "from i3d_tf.tools import predict"),
        ("training", "import i3d_tf.tools.predict"),
        ("training", "from i3d_tf.evaluation import evaluate"),
        ("data", "import cv2"),
        ("data", "from . import clips"),
    ],
)
def test_forbidden_import_is_a_fault(room, source):
    assert len(list(faults(room, source))) >= 1


def test_file_names_say_something():
    assert [path for path in SOURCES if path.stem in SAYS_NOTHING] == []


def test_rooms_are_not_nested():
    assert all(len(path.relative_to(PACKAGE).parts) <= 2 for path in PACKAGE.rglob("*.py"))


def test_no_room_is_too_large():
    lines = {path: path.read_text("utf-8").count("\n") for path in PACKAGE.rglob("*.py")}
    rooms = {path.parent for path in lines} - {PACKAGE}
    shares = {
        room.name: sum(n for path, n in lines.items() if path.parent == room) / sum(lines.values())
        for room in rooms
    }
    assert {room: share for room, share in shares.items() if share > MAX_SHARE} == {}
    counts = {room.name: len([path for path in lines if path.parent == room]) for room in rooms}
    assert {room: count for room, count in counts.items() if count > MAX_FILES} == {}
