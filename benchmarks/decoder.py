"""Frames per second of the decoder over those of OpenCV's, from the same files.

python benchmarks/decoder.py
python benchmarks/decoder.py --height=720
python benchmarks/decoder.py --output=decoder.json clip.mp4 another.avi

Both decode whole videos, one after the other, with their default number of threads, in two ways:

    clip    to what training and prediction start from: an array of RGB frames of short side 256
    frames  to 8-bit frames as large as they are (OpenCV's are BGR), each of which is dropped

Ours also resamples to 25 frames per second and looks for damage. They take turns; prints medians
over the rounds. The difference is the mean distance of their frames, in levels of 255, where both
show equally many.
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
_HEIGHT = flags.DEFINE_integer(
    "height", SHORT_SIDE, "Pixels of a side of the videos that are rendered.", lower_bound=64
)
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
        frames = render_clip(action, 0, _HEIGHT.value)
        write_video(folder / f"{action}.mp4", (f for _ in range(REPEATS) for f in frames))
    return sorted(map(str, folder.iterdir()))


def _our_clip(path):
    from i3d_tf.video.decode import read_clip

    return len(read_clip(path, change=_resize))


def _opencv_clip(path):
    import cv2
    import numpy as np

    frames = [cv2.cvtColor(_resize(frame), cv2.COLOR_BGR2RGB) for frame in _opencv(path)]
    return len(np.stack(frames))


def _our_frames(path):
    from i3d_tf.specs.streams import FRAME_RATE
    from i3d_tf.video.decode import iter_frames

    return sum(count for _, count in iter_frames(path, FRAME_RATE))


def _opencv_frames(path):
    return sum(1 for _ in _opencv(path))


def _resize(frame):
    from i3d_tf.video.transforms import resize_short_side

    return resize_short_side(frame[None])[0]


def _opencv(path):
    """Yields OpenCV's frames, BGR."""
    import cv2

    video = cv2.VideoCapture(path)
    is_read, frame = video.read()
    if not is_read:
        raise ValueError(f"{path}: OpenCV cannot read it. Name another video.")
    while is_read:
        yield frame
        is_read, frame = video.read()


WAYS = {"clip": (_our_clip, _opencv_clip), "frames": (_our_frames, _opencv_frames)}


def _measure(paths):
    """Measures frames per second and their ratio; the first turns are not counted."""
    results = {"videos": len(paths), "difference": _difference(paths)}
    for way, readers in WAYS.items():
        speeds = [], []
        for turn in range(_ROUNDS.value + 1):
            for read, found in zip(readers, speeds, strict=True):
                start = time.perf_counter()
                frames = sum(map(read, paths))
                if turn:
                    found.append(frames / (time.perf_counter() - start))
        ratios = [ours / theirs for ours, theirs in zip(*speeds, strict=True)]
        results[way] = {
            "decoder": statistics.median(speeds[0]),
            "opencv": statistics.median(speeds[1]),
            "ratio": statistics.median(ratios),
            "ratios": ratios,
        }
    return results


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

    table = Table("frames/s", title=f"{results['videos']} videos")
    for column in ("decoder", "OpenCV", "ratio"):
        table.add_column(column, justify="right")
    for way in WAYS:
        found = results[way]
        table.add_row(
            way, f"{found['decoder']:.0f}", f"{found['opencv']:.0f}", f"{found['ratio']:.2f}"
        )
    if results["difference"] is not None:
        table.caption = f"difference {results['difference']:.3f} levels"
    Console(width=None if sys.stdout.isatty() else 100).print(table)


if __name__ == "__main__":
    app.run(main)
