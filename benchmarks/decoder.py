"""Frames per second of the decoder over those of OpenCV's, from the same files.

python benchmarks/decoder.py
python benchmarks/decoder.py --output=decoder.json clip.mp4 another.avi

Both decode whole videos to 8-bit RGB frames, one video after the other, with their default number
of threads. Ours also resamples to 25 frames per second and keeps the whole clip; OpenCV's drops
every frame at once. They take turns; prints medians over the rounds. The difference is the mean
distance of their frames, in levels of 255, where both show equally many.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from absl import app, flags
from record import write_record

from i3d_tf.specs.streams import SHORT_SIDE
from i3d_tf.system.console import one_line_errors

_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the numbers.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds of measurement.", lower_bound=1)

RENDERED = ("sit_down", "climb_up", "open_door")  # actions of the embedded dataset
REPEATS = 4  # of each action, in one video
LIBRARIES = ("numpy", "av", "opencv-contrib-python-headless")


def main(argv):
    """Measures, prints the table, writes the file."""
    with one_line_errors(), tempfile.TemporaryDirectory() as folder:
        results = _measure(argv[1:] or _rendered(Path(folder)))
        _print_table(results)
        write_record(_OUTPUT.value, LIBRARIES, **results)


def _rendered(folder):
    """Renders videos of the embedded dataset's actions, some seconds each."""
    from i3d_tf.synthetic.clip import render_clip
    from i3d_tf.video.encode import write_video

    for action in RENDERED:
        frames = render_clip(action, 0, SHORT_SIDE)
        write_video(folder / f"{action}.mp4", (f for _ in range(REPEATS) for f in frames))
    return sorted(map(str, folder.iterdir()))


def _ours(path):
    from i3d_tf.video.decode import read_clip

    return len(read_clip(path))


def _opencv(path):
    import cv2

    video = cv2.VideoCapture(path)
    frames = 0
    while video.read()[0]:
        frames += 1
    if not frames:
        raise ValueError(f"{path}: OpenCV cannot read it. Name another video.")
    return frames


def _measure(paths):
    """Measures frames per second and their ratio; the first turns are not counted."""
    speeds = {"decoder": [], "opencv": []}
    for turn in range(_ROUNDS.value + 1):
        for name, read in (("decoder", _ours), ("opencv", _opencv)):
            start = time.perf_counter()
            frames = sum(map(read, paths))
            speed = frames / (time.perf_counter() - start)
            if turn:
                speeds[name].append(speed)
    ratios = [ours / theirs for ours, theirs in zip(*speeds.values(), strict=True)]
    return {
        "videos": len(paths),
        "frames_per_second": {name: statistics.median(each) for name, each in speeds.items()},
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "difference": _difference(paths),
    }


def _difference(paths):
    """Returns the mean distance of pixels between both, or None where there are other frames."""
    import cv2
    import numpy as np

    from i3d_tf.video.decode import iter_frames

    total, pixels = 0.0, 0
    for path in paths:
        video = cv2.VideoCapture(path)
        for frame, _ in iter_frames(path):
            is_read, other = video.read()
            if not is_read or other.shape != frame.shape:
                return None
            total += float(np.abs(frame.astype(np.int16) - other[..., ::-1]).sum())
            pixels += frame.size
        if video.read()[0]:
            return None
    return total / pixels


def _print_table(results):
    from rich.console import Console
    from rich.table import Table

    table = Table("decoder", title=f"{results['videos']} videos to frames")
    table.add_column("frames/s", justify="right")
    for name, speed in results["frames_per_second"].items():
        table.add_row(name, f"{speed:.0f}")
    table.add_row("ratio", f"{results['ratio']:.2f}")
    if results["difference"] is not None:
        table.add_row("difference", f"{results['difference']:.3f} levels")
    Console(width=None if sys.stdout.isatty() else 100).print(table)


if __name__ == "__main__":
    app.run(main)
