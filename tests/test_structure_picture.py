"""The picture of the rooms, docs/structure.svg, and the script that draws it."""

import importlib.util
from pathlib import Path
from xml.etree import ElementTree

import pytest

DOCS = Path(__file__).resolve().parent.parent / "docs"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("draw_structure", DOCS / "draw_structure.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def drawn_rooms(svg):
    """Room -> its <rect>."""
    groups = ElementTree.fromstring(svg).findall(f"{SVG}g")
    return {group.get("id"): group.find(f"{SVG}rect") for group in groups}


def test_picture_in_docs_has_every_room(script):
    rooms = {path.parent.name for path in (script.ROOT / "i3d_tf").glob("*/__init__.py")}
    picture = (DOCS / "structure.svg").read_text("utf-8")
    drawn = set(drawn_rooms(picture))
    assert drawn == {*rooms, "tools"}, "docs/structure.svg is old. Run `make structure`."


def test_draw_structure_places_rooms_above_their_imports(script):
    import_map = script.read_import_map()
    rooms = {name: script.read_room(name) for name in import_map}
    boxes = drawn_rooms(script.draw_structure(import_map, rooms))
    assert set(boxes) == set(rooms)
    for name, room in rooms.items():
        assert room.imports <= import_map[name]
        assert all(float(boxes[name].get("y")) < float(boxes[b].get("y")) for b in room.imports)
    widths = {name: float(box.get("width")) / rooms[name].lines for name, box in boxes.items()}
    assert max(widths.values()) == pytest.approx(min(widths.values()), rel=0.01)
    assert all(float(box.get("x")) + float(box.get("width")) <= 1240 for box in boxes.values())


def test_direct_imports_leave_out_those_that_follow(script):
    def room(name, *imports):
        return script.Room(name, "", 1, 1, frozenset(imports))

    rooms = {r.name: r for r in (room("a"), room("b", "a"), room("c"), room("d", "a", "b", "c"))}
    assert script.direct_imports(rooms) == [("b", "a"), ("d", "b"), ("d", "c")]
