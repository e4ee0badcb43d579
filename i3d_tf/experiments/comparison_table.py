"""The comparison of the architectures as a table and a picture, the published one beside it."""

from pathlib import Path

from i3d_tf.experiments.contenders import IMAGES, INITIALIZATIONS, SCRATCH
from i3d_tf.specs.architectures import ARCHITECTURES
from i3d_tf.specs.streams import JOINT
from i3d_tf.system.files import atomic_write
from i3d_tf.viz.scatter import Point, scatter_svg

TABLE, PLOT = "table.md", "comparison.svg"
COLUMNS = {"rgb": "RGB", "flow": "Flow", JOINT: "RGB + Flow"}
START_WORDS = {SCRATCH: "from scratch", IMAGES: "from 2D weights"}
PUBLISHED_ON = "kinetics400"
PUBLISHED_START = {SCRATCH: "from scratch", IMAGES: "from ImageNet"}
NOTHING = "-"
PLOT_TITLE = "The embedded dataset, all streams an architecture has"
PANELS = ("parameters, millions", "multiply-adds of a test video, billions")


def write_comparison(rows, output_dir) -> list[str]:
    """Writes `table.md` and `comparison.svg`.

    Args:
        rows: What `compare_architectures` returns.
        output_dir: Where they go.

    Returns:
        The lines of the table.
    """
    lines = comparison_table(rows)
    for name, text in ((TABLE, "\n".join(lines) + "\n"), (PLOT, comparison_plot(rows) + "\n")):
        with atomic_write(Path(output_dir) / name) as temporary:
            temporary.write_text(text, "utf-8")
    return lines


def comparison_table(rows) -> list[str]:
    """Two tables in Markdown: the embedded dataset's, and the paper's for Kinetics."""
    seeds = len(next(iter(rows[0].accuracy.values())))
    of_seeds = f"mean of {seeds} seeds, least to most" if seeds > 1 else "one seed"
    lines = [
        f"Top-1 on the embedded dataset's test clips, percent; {of_seeds}:",
        "",
        *_head("Architecture", "Parameters", "GMAC / video", "Start", *COLUMNS.values()),
    ]
    for row in rows:
        contender = row.contender
        cells = [_spelt(row.accuracy.get(column)) for column in COLUMNS]
        lines.append(
            _line(
                f"({contender.letter}) {contender.architecture.title}",
                f"{contender.parameters / 1e6:.2f}M",
                f"{contender.multiply_adds / 1e9:.2f}",
                START_WORDS[row.start],
                *cells,
            )
        )
    return [*lines, "", *_published()]


def comparison_plot(rows) -> str:
    """Accuracy with all streams against parameters and against multiply-adds, as SVG."""
    points = [
        Point(
            f"({row.contender.letter})",
            START_WORDS[row.start],
            (row.contender.parameters / 1e6, row.contender.multiply_adds / 1e9),
            tuple(_with_all_streams(row)),
        )
        for row in rows
    ]
    return scatter_svg(points, PANELS, PLOT_TITLE)


def _with_all_streams(row):
    return next(row.accuracy[column] for column in (JOINT, "rgb") if column in row.accuracy)


def _published():
    lines = [
        "Other data: what arXiv:1705.07750 (tables 1 to 3) publishes for Kinetics-400, percent:",
        "",
        *_head("Architecture", "Parameters", "Start", *COLUMNS.values()),
    ]
    for architecture in ARCHITECTURES.values():
        for start in INITIALIZATIONS:
            for accuracy in architecture.published:
                if (accuracy.dataset, accuracy.from_images) == (PUBLISHED_ON, start == IMAGES):
                    values = (getattr(accuracy, column) for column in COLUMNS)
                    lines.append(
                        _line(
                            architecture.title,
                            f"{architecture.published_parameters}M",
                            PUBLISHED_START[start],
                            *(NOTHING if v is None else f"{v:.1f}" for v in values),
                        )
                    )
    return lines


def _spelt(accuracies):
    """Mean and spread in percent."""
    if not accuracies:
        return NOTHING
    mean = 100 * sum(accuracies) / len(accuracies)
    if len(accuracies) == 1:
        return f"{mean:.1f}"
    return f"{mean:.1f} ({100 * min(accuracies):.1f} to {100 * max(accuracies):.1f})"


def _head(*names):
    numbers = {"Parameters", "GMAC / video", *COLUMNS.values()}
    return [_line(*names), _line(*("---:" if name in numbers else "---" for name in names))]


def _line(*cells):
    return f"| {' | '.join(cells)} |"
