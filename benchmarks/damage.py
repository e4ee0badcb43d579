"""Damage in videos that is passed over: bytes set to zero, other bytes, the end cut off.

python benchmarks/damage.py clip.mp4 clip.webm clip.gif

Every damaged copy is read as a whole. It is refused, or gives the frames of the sound file, or
gives others: these are counted, beside the number of places.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
from absl import app, flags
from record import write_record

from i3d_tf.system.console import one_line_errors

_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the numbers.")
_BLOCK = flags.DEFINE_integer("block", 4096, "Bytes that are set to zero.", lower_bound=1)
_BLOCKS = flags.DEFINE_integer("blocks", 30, "Places where a block is.", lower_bound=1)
_CHANGED = flags.DEFINE_integer("changed", 20, "Bytes that become others.", lower_bound=1)
_CUTS = flags.DEFINE_integer("cuts", 20, "Places where a file is cut.", lower_bound=1)

LIBRARIES = ("numpy", "av")


def main(argv):
    """Measures, prints the table, writes the file."""
    if len(argv) < 2:
        raise app.UsageError("name one or more sound videos.")
    with one_line_errors():
        results = {path: _measure(Path(path).read_bytes()) for path in argv[1:]}
    _print_table(results)
    write_record(_OUTPUT.value, LIBRARIES, passed_over=results)


def _measure(video):
    """Returns {kind of damage: (copies that give other frames, copies)}."""
    sound = _read(video)
    if sound is None:
        raise ValueError("a video is refused before it is damaged. Name sound ones.")
    return {
        kind: (sum(_read(copy) not in (None, sound) for copy in copies), len(copies))
        for kind, copies in (
            ("zeros", _with_block(video, bytes(_BLOCK.value))),
            ("changed", _with_block(video, np.random.default_rng(0).bytes(_CHANGED.value))),
            ("cut", [video[:at] for at in _places(video, _CUTS.value, 0)]),
        )
    }


def _read(video):
    """Returns a hash of the frames as they are and of how often each is shown; None if refused."""
    from i3d_tf.video.decode import iter_frames
    from i3d_tf.video.errors import VideoError

    digest = hashlib.sha256()
    try:
        for frame, count in iter_frames(video, 25):
            digest.update(bytes(frame) + count.to_bytes(4, "big"))
    except VideoError:
        return None
    return digest.hexdigest()


def _with_block(video, block):
    places = _places(video, _BLOCKS.value, len(block))
    return [video[:at] + block + video[at + len(block) :] for at in places]


def _places(video, number, size):
    """Returns places spread evenly over a file, but for its first and its last."""
    room = len(video) - size
    return [room * index // (number + 1) for index in range(1, number + 1)]


def _print_table(results):
    from rich.console import Console
    from rich.table import Table

    table = Table("video", title="Damaged copies that give other frames")
    table.add_column(f"{_BLOCK.value} bytes set to zero", justify="right")
    table.add_column(f"{_CHANGED.value} bytes changed", justify="right")
    table.add_column("cut", justify="right")
    for path, result in results.items():
        cells = ("{} of {}".format(*result[kind]) for kind in ("zeros", "changed", "cut"))
        table.add_row(Path(path).name, *cells)
    Console(width=None if sys.stdout.isatty() else 100).print(table)


if __name__ == "__main__":
    app.run(main)
