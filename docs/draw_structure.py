"""Draws docs/structure.svg: the rooms of `i3d_tf`, their sizes, and the imports between them.

python docs/draw_structure.py

Each room stands above all rooms that it may import (`ALLOWED` in tests/test_layering.py); its width
is proportional to its lines of code. Lines are imports that do not follow from other lines.
"""

import ast
import itertools
import textwrap
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from i3d_tf.viz.markup import Markup, element

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "structure.svg"
IMPORT_MAP = ROOT / "tests" / "test_layering.py"

WIDTH = 1240  # pixels
TOP, BOTTOM, LEFT, RIGHT = 76, 8, 30, 2  # margins
ROOM_HEIGHT, STAIRS = 124, 40
GAP, PADDING = 14, 8
NAME_SIZE, TEXT_SIZE, LINE_HEIGHT = 16, 12, 15
LETTER = 6.9  # pixels, the mean width of one of TEXT_SIZE
BOLD_LETTER = 0.66  # mean width of a letter of a name, of its size
MAX_LINES = 5  # of a description
# Boxes have their own background, so that the picture is legible on light and on dark pages.
FLOOR_COLOURS = (
    "#dde4ee",
    "#d5e6f7",
    "#cfeaf0",
    "#d0eee2",
    "#dcefd0",
    "#eef0c8",
    "#f8e9c6",
    "#f9dcc8",
    "#f4d3d8",
)
LEGEND = "Widths are lines of code. Curves are imports that do not follow from other curves."
INK, MUTED, EDGE, OUTSIDE = "#1b2430", "#4c5a6b", "#8795a8", "#7d8aa0"


@dataclass(frozen=True)
class Room:
    """A folder of the package, or `tools`.

    Attributes:
        name: Name of the folder.
        description: First line of its docstring.
        files: Number of Python files.
        lines: Number of their lines.
        imports: Rooms that it imports.
    """

    name: str
    description: str
    files: int
    lines: int
    imports: frozenset[str]


@dataclass(frozen=True)
class Box:
    """The place of a room in the picture, pixels; it has the height ROOM_HEIGHT."""

    floor: int
    left: float
    top: float
    width: float

    @property
    def middle(self) -> float:
        """Horizontal middle."""
        return self.left + self.width / 2


def read_import_map() -> dict[str, set[str]]:
    """Reads the rooms, and for each the rooms that it may import, from the test of the layers."""
    for node in ast.parse(IMPORT_MAP.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "ALLOWED":
            rooms = {name: set(text.split()) for name, text in ast.literal_eval(node.value).items()}
            return {**rooms, "tools": set(rooms)}
    raise ValueError(f"{IMPORT_MAP}: `ALLOWED` is missing. Assign the import map to it.")


def read_room(name: str) -> Room:
    """Reads the size, the docstring and the imports of a room."""
    folder = ROOT / name if name == "tools" else ROOT / "i3d_tf" / name
    sources = {path.stem: path.read_text("utf-8") for path in sorted(folder.glob("*.py"))}
    imported = set()
    for source in sources.values():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("i3d_tf."):
                imported.add(node.module.split(".")[1])
    description = "Command-line programs: flags, and one call."
    if "__init__" in sources:
        description = ast.get_docstring(ast.parse(sources["__init__"])).splitlines()[0]
    return Room(
        name,
        description,
        len(sources),
        sum(source.count("\n") for source in sources.values()),
        frozenset(imported - {name}),
    )


def floors_of(import_map: dict[str, set[str]]) -> dict[str, int]:
    """Returns the floor of each room: 0 if it may import nothing, else above all it may import."""
    floors = {}
    for room, allowed in import_map.items():  # from the ground up
        floors[room] = max((floors[name] + 1 for name in allowed), default=0)
    return floors


def direct_imports(rooms: dict[str, Room]) -> list[tuple[str, str]]:
    """Returns the imports (upper room, lower room) that do not follow from other imports."""
    reached = {}
    for name, room in rooms.items():  # from the ground up
        reached[name] = room.imports.union(*(reached[lower] for lower in room.imports))
    return [
        (name, lower)
        for name, room in rooms.items()
        for lower in sorted(room.imports)
        if not any(lower in reached[other] for other in room.imports)
    ]


def draw_structure(import_map: dict[str, set[str]], rooms: dict[str, Room]) -> Markup:
    """Draws the rooms from the lowest floor at the bottom to the highest at the top."""
    floors = floors_of(import_map)
    edges = direct_imports(rooms)
    boxes = _boxes(floors, rooms, edges)
    height = TOP + (max(floors.values()) + 1) * (ROOM_HEIGHT + STAIRS) - STAIRS + BOTTOM
    lines = sum(room.lines for room in rooms.values())
    title = f"{len(rooms)} rooms, {lines:,} lines of code; a room imports only rooms below it"
    return element(
        "svg",
        element("title", title),
        _text("i3d_tf", LEFT, 34, fill=OUTSIDE, font_size=26, font_weight=600),
        _text(title, LEFT + 96, 34, fill=OUTSIDE, font_size=15),
        _text(LEGEND, LEFT, 56, fill=OUTSIDE, font_size=13),
        [
            _text(str(floor), 8, box.top + ROOM_HEIGHT / 2 + 5, fill=OUTSIDE, font_size=15)
            for floor, box in {box.floor: box for box in boxes.values()}.items()
        ],
        _edges(edges, boxes),
        [_room(room, boxes[room.name]) for room in rooms.values()],
        viewBox=f"0 0 {WIDTH} {height}",
        role="img",
        xmlns="http://www.w3.org/2000/svg",
        font_family="system-ui, sans-serif",
    )


def _boxes(floors, rooms, edges):
    """Places the rooms: floor by floor from the top, each room below those that import it."""
    count = max(floors.values()) + 1
    rows = [[room for name, room in rooms.items() if floors[name] == k] for k in range(count)]
    free = WIDTH - LEFT - RIGHT
    scale = min((free - GAP * (len(row) - 1)) / sum(room.lines for room in row) for row in rows)
    boxes = {}
    for floor in reversed(range(count)):

        def wish(room):
            above = [boxes[upper].middle for upper, lower in edges if lower == room.name]
            return sum(above) / len(above) if above else 0.0

        row = sorted(rows[floor], key=wish)
        widths = [scale * room.lines for room in row]
        left = LEFT + (free - sum(widths) - GAP * (len(row) - 1)) / 2
        top = TOP + (count - 1 - floor) * (ROOM_HEIGHT + STAIRS)
        for room, width in zip(row, widths, strict=True):
            boxes[room.name] = Box(floor, left, top, width)
            left += width + GAP
    return boxes


def _edges(edges, boxes):
    """Draws curves from the bottom of the upper rooms to the top of the lower ones.

    On the floors between, they run through the gaps beside the rooms, on the shortest way.
    """
    gaps = {}
    for box in boxes.values():  # of each floor from left to right
        left, right = box.left - GAP / 2, box.left + box.width + GAP / 2
        gaps[box.floor] = [*gaps.get(box.floor, [left]), right]
    used = Counter()
    for upper, lower in edges:
        start, end = boxes[upper], boxes[lower]
        between = range(start.floor - 1, end.floor, -1)

        def sideways(way, start=start, end=end):
            return sum(abs(b - a) for a, b in itertools.pairwise((start.middle, *way, end.middle)))

        way = min(itertools.product(*(gaps[floor] for floor in between)), key=sideways)
        x, y = start.middle, start.top + ROOM_HEIGHT
        path = [f"M{x:.1f} {y}"]
        for floor, gap in zip(between, way, strict=True):
            lane = gap + (0, 4, -4)[used[floor, gap] % 3]
            used[floor, gap] += 1
            path += [_bend(x, y, lane, y + STAIRS), f"v{ROOM_HEIGHT}"]
            x, y = lane, y + STAIRS + ROOM_HEIGHT
        path.append(_bend(x, y, end.middle, end.top))
        yield element("path", d="".join(path), stroke=EDGE, stroke_width=1.3, fill="none")


def _bend(x1, y1, x2, y2):
    return f"C{x1:.1f} {y1 + STAIRS * 0.8:.1f} {x2:.1f} {y2 - STAIRS * 0.8:.1f} {x2:.1f} {y2}"


def _room(room, box):
    inside = box.width - 2 * PADDING
    # Names and words that are too long for a narrow box are smaller.
    name_size = min(NAME_SIZE, inside / (BOLD_LETTER * len(room.name)))
    longest = max(map(len, room.description.split()))
    text_size = min(TEXT_SIZE, inside / (longest * LETTER / TEXT_SIZE))
    letters = max(1, int(inside / (LETTER * text_size / TEXT_SIZE)))
    lines = textwrap.wrap(
        room.description, letters, max_lines=MAX_LINES, placeholder=" …", break_long_words=False
    )
    size = f"{room.lines:,} lines, {room.files} files"
    x = box.left + PADDING
    return element(
        "g",
        element("title", f"{room.name} imports {', '.join(sorted(room.imports)) or 'no room'}"),
        element(
            "rect",
            x=f"{box.left:.1f}",
            y=box.top,
            width=f"{box.width:.1f}",
            height=ROOM_HEIGHT,
            rx=5,
            fill=FLOOR_COLOURS[box.floor % len(FLOOR_COLOURS)],
            stroke=EDGE,
            stroke_width=0.8,
        ),
        _text(room.name, x, box.top + 21, font_size=f"{name_size:.1f}", font_weight=600),
        [
            _text(line, x, box.top + 39 + LINE_HEIGHT * number, font_size=f"{text_size:.1f}")
            for number, line in enumerate(lines)
        ],
        _text(
            size if len(size) * LETTER <= inside else f"{room.lines:,} lines",
            x,
            box.top + ROOM_HEIGHT - 7,
            fill=MUTED,
            font_size=TEXT_SIZE - 1,
        ),
        id=room.name,
    )


def _text(words, x, y, **attributes):
    style = {"fill": INK, "font_size": TEXT_SIZE, **attributes}
    return element("text", words, x=f"{x:.1f}", y=f"{y:.1f}", **style)


def main() -> None:
    """Writes the picture."""
    import_map = read_import_map()
    rooms = {name: read_room(name) for name in import_map}
    PICTURE.write_text(draw_structure(import_map, rooms) + "\n", "utf-8")
    print(PICTURE)


if __name__ == "__main__":
    main()
