import pytest

from i3d_tf.system.tables import SkippedRow, Table

NAMES = ("path", "label")


def read(folder, names=NAMES):
    def is_path(cell):
        return cell.lower().endswith((".mp4", ".mkv"))

    return Table(f"{folder}/a.csv", names, names, is_path)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("v/0.mp4,0\nv/1.mp4,1\n", [("v/0.mp4", "0"), ("v/1.mp4", "1")]),
        ("v/0.mp4 0\nb c.MP4 1\n", [("v/0.mp4", "0"), ("b c.MP4", "1")]),
        ("\n-v.mp4\tlong jump\n", [("-v.mp4", "long jump")]),
        ("a b.mp4.mkv  walk\n", [("a b.mp4.mkv", "walk")]),
        ("frames/a 3\nframes/b 4\n", [("frames/a", "3"), ("frames/b", "4")]),
        ("path,label\nv/0.mp4,0\n", [("v/0.mp4", "0")]),
    ],
)
def test_table_without_a_heading_has_the_implied_columns(make_tree, text, rows):
    folder = make_tree(texts={"a.csv": text})
    table = read(folder)
    assert [(row["path"], row["label"]) for _, row in table.rows()] == rows
    assert table.has_heading is text.startswith("path")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "v/0.mp4 200 0\n",
            r"line 1: it is no heading, and has 3 cells.*'path frames label'",
        ),
        ("v/0.mp4,200,0\n", r"Add a first line that names them, such as 'path,frames,label'"),
        ("frames/a 1 200 0\n", r"such as 'path start frames label'"),
        ("video,class\nv/0.mp4,0\n", r"line 1: no column 'path'; the heading must have path,label"),
        ("some/thing label\n", r"line 1: no column 'path'"),
        ("v/0.mp4\n", r"line 1: no column 'path'"),
    ],
)
def test_table_without_a_heading_is_refused_where_columns_are_unclear(make_tree, text, message):
    folder = make_tree(texts={"a.csv": text})
    with pytest.raises(ValueError, match=message):
        list(read(folder).rows())


def test_table_skips_rows_of_other_widths_than_its_first_line(make_tree):
    folder = make_tree(texts={"a.csv": "v/0.mp4,0\nv/1.mp4,1,2\n"})
    table = read(folder)
    assert list(table.rows())[1] == (2, SkippedRow("a.csv", 2, "it has 3 cells, the first line 2"))


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("v/0.mp4 200 0\nv/a b.mp4 1 2\n", ["v/0.mp4", "v/a b.mp4"]),
        ("label,path\nwalk,0.mp4\n", ["0.mp4"]),
        ("path\n0.mp4\n", ["0.mp4"]),
        ("0.mp4\n1.mp4\n", None),
        ("a b.mp4\n", None),
        ("0.mp4,1.mp4\n", None),
        ("", None),
    ],
)
def test_table_of_one_column_passes_over_the_others(make_tree, text, paths):
    folder = make_tree(texts={"a.csv": text or "\n0.mp4"})
    table = read(folder, ("path",))
    assert table.has_columns is (paths is not None)
    if paths is not None:
        assert [row["path"] for _, row in table.rows()] == paths
