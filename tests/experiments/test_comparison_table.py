import pytest

from i3d_tf.experiments.compare_architectures import Row
from i3d_tf.experiments.comparison_table import comparison_table, write_comparison
from i3d_tf.experiments.contenders import CONTENDERS


@pytest.fixture
def rows():
    """Every network right in half of the clips with the first seed, in three quarters after."""
    names = {("rgb",): ["rgb"], ("joint",): ["joint"], ("rgb", "flow"): ["rgb", "flow", "joint"]}
    return [
        Row(c, start, {name: [0.5, 0.75] for name in names[c.streams]})
        for c in CONTENDERS
        for start in c.starts
    ]


def test_the_table_has_a_line_for_each_start_and_says_what_is_not_there(rows):
    lines = comparison_table(rows)
    assert lines[0].endswith("percent; mean of 2 seeds, least to most:")
    ours = lines[4 : lines.index("", 4)]
    assert len(ours) == 9
    spread = "62.5 (50.0 to 75.0)"
    assert ours[0].startswith("| (a) ConvNet+LSTM | 0.56M | 0.25 | from scratch |")
    assert ours[0].endswith(f"| {spread} | - | - |")
    assert ours[-1] == (
        f"| (e) Two-Stream I3D | 1.57M | 0.69 | from 2D weights | {spread} | {spread} | {spread} |"
    )
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 2


def test_the_published_numbers_are_said_to_be_of_other_data(rows):
    lines = comparison_table(rows)
    at = next(k for k, line in enumerate(lines) if line.startswith("Other data: "))
    published = lines[at + 4 :]
    assert published[-1] == "| Two-Stream I3D | 25M | from ImageNet | 71.1 | 63.4 | 74.2 |"
    assert "| 3D-ConvNet | 79M | from scratch | 56.1 | - | - |" in published
    assert len(published) == 9


def test_one_seed_has_no_spread(rows):
    (line,) = comparison_table([Row(rows[0].contender, "scratch", {"rgb": [0.5]})])[4:5]
    assert line.endswith("| 50.0 | - | - |")


def test_both_files_are_written(rows, tmp_path):
    lines = write_comparison(rows, tmp_path)
    assert (tmp_path / "table.md").read_text("utf-8").splitlines() == lines
    assert (tmp_path / "comparison.svg").read_text("utf-8").count("<circle") == 2 + 2 * 9
