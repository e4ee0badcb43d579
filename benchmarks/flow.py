"""Speed and error of the optical flow engines, against OpenCV's TV-L1 in the same run.

python benchmarks/flow.py
python benchmarks/flow.py --output=flow.json clip.mp4 another.avi

The engines take turns on the same pairs of frames, so that other load on the machine affects all
alike. Prints medians over the rounds; compiling is not counted. Errors are distances to OpenCV's
flow, both clipped to +-20 pixels as in the networks' input.
"""

import statistics
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np
from absl import app, flags
from record import write_record

from i3d_tf.specs.streams import FLOW_BOUND, SHORT_SIDE
from i3d_tf.system.console import one_line_errors, quiet_tensorflow

_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the numbers.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Rounds of measurement.", lower_bound=1)
_PAIRS = flags.DEFINE_integer("pairs", 12, "Pairs of frames of each clip.", lower_bound=1)
_THREADS = flags.DEFINE_integer("threads", 2, "OpenCV's threads.", lower_bound=1)
_ENGINES = flags.DEFINE_list("engines", None, "Rows to measure besides opencv. Default: all.")

REFERENCE = "opencv"
ROWS = ("numba", "numba fast", "graph", "graph fixed", "dis")
RENDERED = ("sit_down", "climb_up", "open_door")  # actions of the embedded dataset
MAX_SECONDS = 10  # of a clip, from which the pairs are chosen
FAR_OFF = 0.5  # pixels
LIBRARIES = ("numpy", "numba", "tensorflow", "opencv-contrib-python-headless")


def main(argv):
    """Measures, prints the table, writes the file."""
    with one_line_errors():
        import cv2

        rows = _ENGINES.value or list(ROWS)
        if unknown := set(rows) - set(ROWS):
            raise ValueError(f"`engines` must be some of {ROWS}; received {sorted(unknown)}.")
        if any(row.startswith("graph") for row in rows):
            quiet_tensorflow()
        cv2.setNumThreads(_THREADS.value)
        clips = _videos(argv[1:]) if len(argv) > 1 else _rendered()
        functions = {row: _flow_function(row) for row in (REFERENCE, *rows)}
        results = [
            result
            for name, pairs in clips.items()
            for result in _measure(name, pairs, functions, _ROUNDS.value)
        ]
        _print_table(results)
        write_record(
            _OUTPUT.value,
            LIBRARIES,
            opencv_threads=_THREADS.value,
            rounds=_ROUNDS.value,
            results=results,
        )


def _videos(paths):
    """Reads pairs: clip name to (previous, following), uint8 grey (N, H, W), short side 256."""
    from i3d_tf.specs.streams import FRAME_RATE
    from i3d_tf.video.decode import read_frames

    maximum = round(MAX_SECONDS * FRAME_RATE)
    return {Path(path).name: _pairs(list(islice(read_frames(path), maximum))) for path in paths}


def _rendered():
    """Renders the same from the embedded dataset."""
    from i3d_tf.synthetic.clip import render_clip

    return {action: _pairs(render_clip(action, 0, SHORT_SIDE)) for action in RENDERED}


def _pairs(frames):
    """Returns pairs of neighboring frames, spread evenly over a clip."""
    from i3d_tf.flow.compute import to_grey

    # Resampling repeats frames, and no engine takes long to find that nothing moves.
    moving = [k for k in range(len(frames) - 1) if not np.array_equal(frames[k], frames[k + 1])]
    if not moving:
        raise ValueError("a clip has no motion. Name other videos.")
    wanted = min(_PAIRS.value, len(moving))
    starts = [moving[(2 * k + 1) * len(moving) // (2 * wanted)] for k in range(wanted)]
    return tuple(to_grey(np.stack([frames[k + step] for k in starts])) for step in range(2))


def _flow_function(row):
    """Returns a function (previous, following) -> flow."""
    from i3d_tf.flow.engines import engine_parameters, load_engine

    engine, _, variant = row.partition(" ")
    between = load_engine(engine)
    parameters = engine_parameters(engine, variant if variant == "fast" else None)
    further = {"schedule": variant} if variant == "fixed" else {}
    return lambda previous, following: between(previous, following, parameters, **further)


def _measure(name, pairs, functions, rounds):
    """Measures all engines in turns on one clip; yields a dictionary of plain values for each."""
    for function in functions.values():
        function(*(frames[:1] for frames in pairs))  # compiles
    seconds = {row: [] for row in functions}
    flows = {}
    for _ in range(rounds):
        for row, function in functions.items():
            start = time.perf_counter()
            flows[row] = function(*pairs)
            seconds[row].append(time.perf_counter() - start)
    count = len(pairs[0])
    for row in functions:
        ratios = [ours / mine for ours, mine in zip(seconds[REFERENCE], seconds[row], strict=True)]
        yield {
            "clip": name,
            "size": list(pairs[0].shape[1:]),
            "pairs": count,
            "engine": row,
            "frames_per_second": count / statistics.median(seconds[row]),
            "ratio": statistics.median(ratios),
            "seconds": seconds[row],
            **_errors(flows[row], flows[REFERENCE]),
        }


def _errors(flow, reference):
    """Returns end-point errors in pixels, of flow clipped as in the networks' input."""
    difference = np.clip(flow, -FLOW_BOUND, FLOW_BOUND) - np.clip(
        reference, -FLOW_BOUND, FLOW_BOUND
    )
    distance = np.hypot(difference[..., 0], difference[..., 1])
    return {
        "mean_error": float(distance.mean(dtype=np.float64)),
        "error_95": float(np.quantile(distance, 0.95)),
        "share_far_off": float((distance > FAR_OFF).mean()),
    }


def _print_table(results):
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "clip", "size", "engine", title=f"Optical flow, OpenCV with {_THREADS.value} threads"
    )
    for heading in ("frames/s", "x OpenCV", "error, px", "95 %", f"> {FAR_OFF} px"):
        table.add_column(heading, justify="right")
    for result in results:
        first, last = (result["engine"] == results[index]["engine"] for index in (0, -1))
        table.add_row(
            result["clip"] if first else "",
            "{1}x{0}".format(*result["size"]) if first else "",
            result["engine"],
            f"{result['frames_per_second']:.1f}",
            f"{result['ratio']:.1f}",
            f"{result['mean_error']:.4f}",
            f"{result['error_95']:.4f}",
            f"{result['share_far_off']:.3%}",
            end_section=last,
        )
    Console(width=None if sys.stdout.isatty() else 100).print(table)


if __name__ == "__main__":
    app.run(main)
