"""The comparison of the architectures as a table and a plot, with the published table."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from i3d_tf.experiments.compare_architectures import file_name
from i3d_tf.experiments.comparison_entries import (
    FROM_2D_WEIGHTS,
    INITIALIZATIONS,
    PAPER,
    SCRATCH,
    ComparisonRow,
)
from i3d_tf.specs.architectures import ARCHITECTURES
from i3d_tf.specs.further_networks import FURTHER_NETWORKS
from i3d_tf.specs.published import PUBLISHED_ACCURACIES
from i3d_tf.specs.streams import JOINT
from i3d_tf.system.files import atomic_write, check_target
from i3d_tf.viz.scatter import Point, scatter_svg

TABLE, PLOT = "table", "comparison"  # names of the files, without their endings
COLUMNS = {"rgb": "RGB", "flow": "Flow", JOINT: "RGB + Flow"}
INITIALIZATION_NAMES = {SCRATCH: "from scratch", FROM_2D_WEIGHTS: "from 2D weights"}
PUBLISHED_ON = "kinetics400"
PUBLISHED_INITIALIZATION_NAMES = {SCRATCH: "from scratch", FROM_2D_WEIGHTS: "from ImageNet"}
MISSING = "-"
PLOT_TITLE = "The embedded dataset, all streams an architecture has"
PANELS = ("parameters, millions", "multiply-adds of a test video, billions")


def write_comparison(
    rows: Sequence[ComparisonRow], output_dir: Path | str, networks: str = PAPER
) -> list[str]:
    """Writes a table in Markdown and a picture into a folder.

    Args:
        rows: The results.
        output_dir: The folder.
        networks: See `select_entries`; the files of others than the paper's end in it.

    Returns:
        The lines of the table.
    """
    lines = comparison_table(rows)
    table, plot = "\n".join(lines) + "\n", comparison_plot(rows) + "\n"
    for name, ending, text, mark in (
        (TABLE, ".md", table, lines[0]),
        (PLOT, ".svg", plot, PLOT_TITLE),
    ):
        target = Path(output_dir) / file_name(name, networks, ending)
        check_target(target, partial(_contains, mark.encode()))
        with atomic_write(target) as temporary:
            temporary.write_text(text, "utf-8")
    return lines


def _contains(mark, path):
    return mark in path.read_bytes()


def comparison_table(rows: Sequence[ComparisonRow]) -> list[str]:
    """Returns two tables in Markdown: the embedded dataset's, and the paper's for Kinetics."""
    seeds = len(next(iter(rows[0].accuracy.values())))
    of_seeds = f"mean of {seeds} seeds (minimum to maximum)" if seeds > 1 else "one seed"
    lines = [
        f"Top-1 on the embedded dataset's test clips, percent; {of_seeds}:",
        "",
        *_head("Architecture", "Parameters", "GMAC / video", "Start", *COLUMNS.values()),
    ]
    for row in rows:
        entry = row.entry
        cells = [_percent(row.accuracy.get(column)) for column in COLUMNS]
        lines.append(
            _line(
                f"({entry.letter}) {entry.architecture.title}",
                f"{entry.parameters / 1e6:.2f}M",
                f"{entry.multiply_adds / 1e9:.2f}",
                INITIALIZATION_NAMES[row.initialization],
                *cells,
            )
        )
    if any(row.entry.name in FURTHER_NETWORKS for row in rows):
        return [*lines, "", *_published_of_others(rows)]
    return [*lines, "", *_published()]


def comparison_plot(rows: Sequence[ComparisonRow]) -> str:
    """Plots accuracy with all streams against parameters and against multiply-adds, as SVG."""
    points = [
        Point(
            f"({row.entry.letter})",
            INITIALIZATION_NAMES[row.initialization],
            (row.entry.parameters / 1e6, row.entry.multiply_adds / 1e9),
            tuple(_with_all_streams(row)),
        )
        for row in rows
    ]
    names = {f"({row.entry.letter})": row.entry.architecture.title for row in rows}
    return scatter_svg(points, PANELS, PLOT_TITLE, names)


def _with_all_streams(row):
    return next(row.accuracy[column] for column in (JOINT, "rgb") if column in row.accuracy)


def _published_of_others(rows):
    """Returns a table of what was published of networks that the paper does not compare."""
    lines = [
        "For comparison: published top-1, percent, each of its source's own training and test:",
        "",
        *_head("Network", "Dataset", "Published", "Source"),
    ]
    for name, network in FURTHER_NETWORKS.items():
        if name in PUBLISHED_ACCURACIES and any(row.entry.name == name for row in rows):
            lines.append(_line(network.title, *PUBLISHED_ACCURACIES[name]))
    return lines


def _published():
    lines = [
        "For comparison: top-1 on Kinetics-400 in arXiv:1705.07750 (tables 1 to 3), percent:",
        "",
        *_head("Architecture", "Parameters", "Start", *COLUMNS.values()),
    ]
    for architecture in ARCHITECTURES.values():
        for initialization in INITIALIZATIONS:
            from_images = initialization == FROM_2D_WEIGHTS
            for accuracy in architecture.published:
                if (accuracy.dataset, accuracy.from_images) == (PUBLISHED_ON, from_images):
                    values = (getattr(accuracy, column) for column in COLUMNS)
                    lines.append(
                        _line(
                            architecture.title,
                            f"{architecture.published_parameters}M",
                            PUBLISHED_INITIALIZATION_NAMES[initialization],
                            *(MISSING if v is None else f"{v:.1f}" for v in values),
                        )
                    )
    return lines


def _percent(accuracies):
    """Formats the mean of accuracies and their range."""
    if not accuracies:
        return MISSING
    mean = 100 * sum(accuracies) / len(accuracies)
    if len(accuracies) == 1:
        return f"{mean:.1f}"
    return f"{mean:.1f} ({100 * min(accuracies):.1f} to {100 * max(accuracies):.1f})"


def _head(*names):
    numbers = {"Parameters", "GMAC / video", *COLUMNS.values()}
    return [_line(*names), _line(*("---:" if name in numbers else "---" for name in names))]


def _line(*cells):
    return f"| {' | '.join(cells)} |"
