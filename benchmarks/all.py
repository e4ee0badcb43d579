"""Every benchmark, one after the other, as one table, one file and one picture: `make bench`.

python benchmarks/all.py --output_dir=build/bench

Each runs in a process of its own and relates its measurements to a reference in the same run:
ratios can be compared between machines, seconds cannot.
"""

import json
import statistics
import subprocess
import sys
from pathlib import Path

from absl import app, flags
from cost import row_name

from i3d_tf.system.console import one_line_errors, refuse_arguments
from i3d_tf.system.files import atomic_write

_OUTPUT_DIR = flags.DEFINE_string("output_dir", "build/bench", "Output folder.")

BENCHMARKS = ("inference", "cost", "train_step", "decoder", "pipeline", "flow", "end_to_end")
TITLE = "Ratios to a reference measured in the same run; the line marks the goal"
COST_TITLE = "Milliseconds per frame of the RGB network"


def main(argv):
    """Runs them, prints the table, writes the files."""
    with one_line_errors():
        refuse_arguments(argv)
        folder = Path(_OUTPUT_DIR.value)
        folder.mkdir(parents=True, exist_ok=True)
        found = {name: _run(name, folder / f"{name}.json") for name in BENCHMARKS}
        rows = _ratios(found)
        _print_table(rows, found["end_to_end"]["peak_memory_mib"])
        from i3d_tf.viz.bars import bars_svg

        texts = {
            "bench.json": json.dumps(found, indent=1),
            "bench.svg": bars_svg(rows, TITLE),
            "cost.svg": bars_svg(_costs(found["cost"]), COST_TITLE),
        }
        for name, text in texts.items():
            with atomic_write(folder / name) as temporary:
                temporary.write_text(text + "\n", "utf-8")


def _run(name, output):
    """Runs one benchmark, which prints its table, and returns its numbers."""
    script = Path(__file__).with_name(f"{name}.py")
    command = [sys.executable, str(script), f"--output={output}"]
    done = subprocess.run(command, check=False)
    if done.returncode:
        raise ValueError(f"{script.name} ended with status {done.returncode}; see above.")
    return json.loads(output.read_text("utf-8"))


def _ratios(found):
    """Returns rows (name, ratio, goal or None)."""
    rows = [
        (f"network, {r['variant']}, {r['precision']} / product", r["share"], 0.95)
        for r in found["inference"]["results"]
        if r["variant"] == "fused"
    ]
    rows += [
        (f"training step, {r['precision']} / product", r["gflops"] / r["product_gflops"], None)
        for r in found["train_step"]["results"]
    ]
    rows += [
        (f"{row_name(r)} / product", r["share"], None)
        for r in found["cost"]["results"]
        if r in found["cost"]["results"][-1:] or r["frames"] == 1000
    ]
    for way, target in (("clip", 1.0), ("frames", None)):
        rows.append((f"decoder / OpenCV's, {way}", found["decoder"][way]["ratio"], target))
    rows.append(("pipeline / decoder", found["pipeline"]["ratio"], 0.85))
    goals = {"numba": 20, "graph": 3.5, "graph fixed": 8}
    for engine, goal in goals.items():
        ratios = [r["ratio"] for r in found["flow"]["results"] if r["engine"] == engine]
        rows.append((f"flow, {engine} / OpenCV", statistics.median(ratios), goal))
    stages = dict(found["end_to_end"]["stages"])
    whole = stages.pop("all")
    rows.append(("clip / mp4 to top 5 of both", found["end_to_end"]["shown_seconds"] / whole, None))
    rows += [(f"{name} / mp4 to top 5", seconds / whole, None) for name, seconds in stages.items()]
    return rows


def _costs(found):
    """Returns rows (length or batch, milliseconds per frame, None)."""
    return [(row_name(row), 1000 * row["frame_seconds"], None) for row in found["results"]]


def _print_table(rows, peak_memory):
    from rich.console import Console
    from rich.table import Table

    caption = f"mp4 to the top 5 of both streams: at most {peak_memory:.0f} MiB of memory"
    table = Table("ratio", title=TITLE, caption=caption)
    table.add_column("measured", justify="right")
    table.add_column("at least", justify="right")
    for name, value, goal in rows:
        table.add_row(name, f"{value:.2f}", "" if goal is None else f"{goal:g}")
    Console(width=None if sys.stdout.isatty() else 100).print(table)


if __name__ == "__main__":
    app.run(main)
