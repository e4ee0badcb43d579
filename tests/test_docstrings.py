"""Holds how docstrings open: functions with a verb, classes and modules with a noun phrase."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "i3d_tf").rglob("*.py")) + sorted((ROOT / "tools").glob("*.py"))
NOT_AN_OPENING = {
    *("what", "how", "which", "where", "whether", "when", "who", "why", "that", "as", "if"),
    *("such", "of", "for"),
}


def is_property(function):
    """Whether a function is read like an attribute, so that a noun phrase describes it."""
    names = [getattr(each, "id", getattr(each, "attr", "")) for each in function.decorator_list]
    return bool({"property", "cached_property", "setter", "fixture"} & set(names))


def faults(source):
    """(line, first line of the docstring) of every docstring that opens otherwise."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            continue
        text = (ast.get_docstring(node) or "").strip()
        if not text:
            continue
        first = text.split()[0].strip(",.:;").lower()
        is_verb = first.endswith("s") and first.isalpha()
        needs_verb = isinstance(node, ast.FunctionDef) and not is_property(node)
        if first in NOT_AN_OPENING or (needs_verb and not is_verb):
            yield getattr(node, "lineno", 1), text.splitlines()[0]


def test_docstrings_open_with_a_verb_or_a_noun():
    found = [
        f"{path.relative_to(ROOT)}:{line} {text}"
        for path in SOURCES
        for line, text in faults(path.read_text("utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        '"""What is known of a video."""',
        'class A:\n    """How it is shown."""',
        'def f():\n    """Whether it is there."""',
        'def f():\n    """The frames of a video."""',
    ],
)
def test_other_openings_are_faults(source):
    assert len(list(faults(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        '"""Frames of videos."""',
        'class A:\n    """A video."""',
        'def f():\n    """Reads a video."""',
        'class A:\n    @property\n    def f(self):\n        """Seconds."""',
    ],
)
def test_verbs_and_nouns_are_no_faults(source):
    assert list(faults(source)) == []
