import pytest

from i3d_tf.experiments.comparison_entries import ENTRIES, ComparisonRow, Entry, select_entries
from i3d_tf.experiments.comparison_table import comparison_table, write_comparison


@pytest.fixture
def rows():
    """Every network has half of the clips correct with the first seed, three quarters after."""
    names = {("rgb",): ["rgb"], ("joint",): ["joint"], ("rgb", "flow"): ["rgb", "flow", "joint"]}
    return [
        ComparisonRow(entry, initialization, {name: [0.5, 0.75] for name in names[entry.streams]})
        for entry in ENTRIES
        for initialization in entry.initializations
    ]


def test_comparison_table_has_a_line_for_each_initialization(rows):
    lines = comparison_table(rows)
    assert lines[0].endswith("percent; mean of 2 seeds (minimum to maximum):")
    ours = lines[4 : lines.index("", 4)]
    assert len(ours) == 9
    spread = "62.5 (50.0 to 75.0)"
    assert ours[0].startswith("| (a) ConvNet+LSTM | 0.56M | 0.25 | from scratch |")
    assert ours[0].endswith(f"| {spread} | - | - |")
    assert ours[-1] == (
        f"| (e) Two-Stream I3D | 1.57M | 0.69 | from 2D weights | {spread} | {spread} | {spread} |"
    )
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 2


def test_comparison_table_has_the_published_numbers(rows):
    lines = comparison_table(rows)
    at = next(k for k, line in enumerate(lines) if line.startswith("For comparison: "))
    published = lines[at + 4 :]
    assert published[-1] == "| Two-Stream I3D | 25M | from ImageNet | 71.1 | 63.4 | 74.2 |"
    assert "| 3D-ConvNet | 79M | from scratch | 56.1 | - | - |" in published
    assert len(published) == 9


def test_comparison_table_of_one_seed_has_no_spread(rows):
    (line,) = comparison_table([ComparisonRow(rows[0].entry, "scratch", {"rgb": [0.5]})])[4:5]
    assert line.endswith("| 50.0 | - | - |")


def test_write_comparison_writes_table_and_plot(rows, tmp_path):
    lines = write_comparison(rows, tmp_path)
    assert (tmp_path / "table.md").read_text("utf-8").splitlines() == lines
    assert (tmp_path / "comparison.svg").read_text("utf-8").count("<circle") == 2 + 2 * 9


def test_table_of_other_networks_has_what_was_published_of_them(tmp_path, monkeypatch):
    monkeypatch.setattr(Entry, "parameters", 2_000_000)
    monkeypatch.setattr(Entry, "multiply_adds", 3_000_000_000)
    rows = [ComparisonRow(e, "scratch", {"rgb": [0.5]}) for e in select_entries("c3d,s3d_g,i2d")]
    lines = write_comparison(rows, tmp_path, "c3d,s3d_g,i2d")
    assert lines[4:7] == [
        "| (b) 3D-ConvNet | 2.00M | 3.00 | from scratch | 50.0 | - | - |",
        "| (2) S3D-G | 2.00M | 3.00 | from scratch | 50.0 | - | - |",
        "| (3) I2D | 2.00M | 3.00 | from scratch | 50.0 | - | - |",
    ]
    assert lines[-1] == "| S3D-G | Kinetics-400 | 74.7; with flow 77.2 | arXiv:1712.04851 |"
    assert (tmp_path / "table_c3d_s3d_g_i2d.md").read_text("utf-8").splitlines() == lines
    assert (tmp_path / "comparison_c3d_s3d_g_i2d.svg").is_file()
