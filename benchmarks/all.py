"""Every benchmark, one after the other, as one table, one file and one picture: `make bench`.

python benchmarks/all.py --output_dir=build/bench
python benchmarks/all.py --numbers=docs/bench.json --output_dir=docs

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
from i3d_tf.viz.bars import Bar, BarGroup, bars_svg

_OUTPUT_DIR = flags.DEFINE_string("output_dir", "build/bench", "Output folder.")
_NUMBERS = flags.DEFINE_string(
    "numbers", None, "bench.json of an earlier run: its pictures are drawn, nothing is measured."
)

BENCHMARKS = ("inference", "cost", "train_step", "decoder", "pipeline", "flow", "end_to_end")
TITLE = "Speed, as ratios to a reference measured in the same run"
COST_TITLE = "Cost of a frame of the RGB network"
PRODUCT = "Networks, to a matrix product of as many operations"
ENGINES = {
    "numba": ("numba", 20),
    "graph": ("graph", 3.5),
    "graph fixed": ("graph, fixed schedule", 8),
}
STAGES = {
    "decode": "decoding",
    "crop": "resizing and cropping",
    "rgb network": "RGB network",
    "flow": "optical flow",
    "flow network": "flow network",
}


def main(argv):
    """Runs them, prints the table, writes the files."""
    with one_line_errors():
        refuse_arguments(argv)
        folder = Path(_OUTPUT_DIR.value)
        folder.mkdir(parents=True, exist_ok=True)
        if _NUMBERS.value is None:
            found = {name: _run(name, folder / f"{name}.json") for name in BENCHMARKS}
        else:
            found = json.loads(Path(_NUMBERS.value).read_text("utf-8"))
        groups = ratios(found)
        _print_table(groups, found["end_to_end"].get("peak_memory_mib"))
        texts = {
            "bench.json": json.dumps(found, indent=1),
            "bench.svg": bars_svg(groups, TITLE, goals_sentence(groups)),
            "cost.svg": bars_svg(costs(found["cost"]), COST_TITLE, cost_sentence(found["cost"])),
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


def ratios(found: dict) -> list[BarGroup]:
    """Returns the ratios, those of one unit together."""
    product = [
        Bar(f"logits, {r['precision']}", r["share"], 0.95)
        for r in found["inference"]["results"]
        if r["variant"] == "fused"
    ]
    product += [
        Bar(f"training step, {r['precision']}", r["gflops"] / r["product_gflops"])
        for r in found["train_step"]["results"]
    ]
    product += [
        Bar(f"logits, {row_name(r)}", r["share"])
        for r in found["cost"]["results"]
        if r in found["cost"]["results"][-1:] or r["frames"] == 1000
    ]
    decoder = found["decoder"]
    videos = [
        Bar(f"decoder, to OpenCV's, {way}", decoder[way]["ratio"], goal)
        for way, goal in (("clip", 1.0), ("frames", None))
        if way in decoder
    ]
    videos.append(Bar("pipeline, to the decoder", found["pipeline"]["ratio"], 0.85))
    flow = []
    for engine, (name, goal) in ENGINES.items():
        of_engine = [r["ratio"] for r in found["flow"]["results"] if r["engine"] == engine]
        flow.append(Bar(name, statistics.median(of_engine), goal))
    stages = dict(found["end_to_end"]["stages"])
    whole = stages.pop("all")
    shown = found["end_to_end"]["shown_seconds"] / whole
    return [
        BarGroup(PRODUCT, "of the product", tuple(product)),
        BarGroup("Reading videos", "of the reference", tuple(videos)),
        BarGroup("TV-L1 flow, to OpenCV's on two threads", "times as fast", tuple(flow)),
        BarGroup(
            "From an mp4 to the top 5 of both streams, to the clip's own length",
            "times real time",
            (Bar("all stages", shown),),
        ),
        BarGroup(
            "The stages of that, to the whole",
            "of the time",
            tuple(Bar(STAGES.get(name, name), s / whole) for name, s in stages.items()),
        ),
    ]


def goals_sentence(groups: list[BarGroup]) -> str:
    """Returns which goals are met."""
    bars = [bar for group in groups for bar in group.bars if bar.goal is not None]
    missed = [
        f"{bar.name} ({bar.value:.3g} of {bar.goal:g})" for bar in bars if bar.value < bar.goal
    ]
    if not missed:
        return f"All {len(bars)} goals are met."
    return f"{len(bars) - len(missed)} of {len(bars)} goals are met; missed: {', '.join(missed)}."


def costs(found: dict) -> list[BarGroup]:
    """Returns the milliseconds of a frame, by the length and by the number of clips."""

    def group(title, rows):
        bars = tuple(Bar(row_name(row), 1000 * row["frame_seconds"]) for row in rows)
        return BarGroup(title, "ms a frame", bars)

    by_length = [row for row in found["results"] if row["clips"] is None]
    by_batch = [row for row in found["results"] if row["clips"] is not None]
    groups = (group("One clip, by its length", by_length), group("Several clips", by_batch))
    return [each for each in groups if each.bars]


def cost_sentence(found: dict) -> str:
    """Returns how the cost of a frame grows with the length, and falls with more clips at once."""
    by_length = [row for row in found["results"] if row["clips"] is None]
    by_batch = [row for row in found["results"] if row["clips"] is not None]
    first, last = by_length[0], by_length[-1]
    words = [
        f"A frame of a clip of {last['frames']:,} frames costs "
        f"{last['frame_seconds'] / first['frame_seconds']:.2g} times as much as one of "
        f"{first['frames']:,}."
    ]
    if len(by_batch) > 1:
        one, several = by_batch[0], by_batch[-1]
        words.append(
            f"With {several['clips']} clips at once it costs "
            f"{several['frame_seconds'] / one['frame_seconds']:.2g} of what it costs with "
            f"{one['clips']}."
        )
    return " ".join(words)


def _print_table(groups, peak_memory):
    from rich.console import Console
    from rich.table import Table

    caption = None
    if peak_memory is not None:
        caption = f"mp4 to the top 5 of both streams: at most {peak_memory:.0f} MiB of memory"
    table = Table("ratio", title=TITLE, caption=caption)
    table.add_column("measured", justify="right")
    table.add_column("at least", justify="right")
    for group in groups:
        table.add_section()
        table.add_row(f"[bold]{group.title}[/]")
        for bar in group.bars:
            goal = "" if bar.goal is None else f"{bar.goal:g}"
            table.add_row(bar.name, f"{bar.value:.3g} {group.unit}", goal)
    Console(width=None if sys.stdout.isatty() else 100).print(table)


if __name__ == "__main__":
    app.run(main)
