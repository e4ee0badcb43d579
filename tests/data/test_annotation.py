import pytest

from i3d_tf.data.annotation import (
    check_cut,
    find_annotation,
    parse_seconds,
    table_rows,
    text_rows,
)
from i3d_tf.specs.datasets import DATASETS
from i3d_tf.system.tables import SkippedRow

UCF101 = DATASETS["ucf101"]


def test_find_annotation_looks_in_folders_of_the_dataset(make_tree):
    folder = str(make_tree(["ucfTrainTestlist/a.txt", "elsewhere/a.txt", "elsewhere/b.txt"]))
    assert find_annotation(UCF101, folder, None, ["a.txt"]) == f"{folder}/ucfTrainTestlist/a.txt"
    elsewhere = f"{folder}/elsewhere"
    assert find_annotation(UCF101, folder, elsewhere, ["c.txt", "b.txt"]) == f"{elsewhere}/b.txt"
    assert find_annotation(UCF101, folder, f"{elsewhere}/a.txt", ["b.txt"]) == f"{elsewhere}/a.txt"


def test_find_annotation_names_the_searched_files_and_folders(make_tree):
    folder = str(make_tree())
    with pytest.raises(FileNotFoundError) as caught:
        find_annotation(UCF101, folder, None, ["a.txt", "b.txt"])
    assert str(caught.value).startswith(f"ucf101: there is no a.txt or b.txt in {folder} or ")
    with pytest.raises(FileNotFoundError, match=r"`annotation` .*nothing: there is no such file"):
        find_annotation(UCF101, folder, f"{folder}/nothing", ["a.txt"])


def test_text_rows_are_lines_with_numbers(make_tree):
    folder = make_tree(texts={"a.txt": "\ufeff one \r\n\r\ntwo\r\n\r\n"})
    assert list(text_rows(f"{folder}/a.txt")) == [(1, "one"), (3, "two")]


def read(folder, required=("path", "label"), optional=("start",)):
    return list(table_rows(f"{folder}/a.csv", required, optional))


@pytest.mark.parametrize(
    "text",
    [
        "path,label\na b.mp4,x\n",
        "\ufeffpath,label\r\na b.mp4,x\r\n\r\n\r\n",
        'Label , Path\n"x",a b.mp4',
        '"label","frames","path"\n"x","7","a b.mp4"\n,,\n',
        "path;label\na b.mp4;x\n",
        "path\tlabel\na b.mp4\tx\n",
        "Path frames label\na b.mp4 200 x\n",
        "label path\nx a b.mp4\n",
    ],
)
def test_table_rows_of_any_spreadsheet(make_tree, text):
    ((line, row),) = read(make_tree(texts={"a.csv": text}))
    assert line == 2
    assert row == {"path": "a b.mp4", "label": "x", "start": ""}


def test_table_rows_with_commas_and_quotes(make_tree):
    folder = make_tree(texts={"a.csv": 'path,label\n"a, ""b"".mp4",x\n'})
    assert read(folder)[0][1]["path"] == 'a, "b".mp4'


def test_table_rows_skip_lines_with_too_many_or_too_few_cells(make_tree):
    folder = make_tree(texts={"a.csv": "path,label\na\na,x\na,x,1\n"})
    assert read(folder) == [
        (2, SkippedRow("a.csv", 2, "it has 1 cells, the heading 2")),
        (3, {"path": "a", "label": "x", "start": ""}),
        (4, SkippedRow("a.csv", 4, "it has 3 cells, the heading 2")),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"a.csv: the file is empty. It must start with path,label\."),
        ("a.mp4,x\n", r"a.csv: line 1: no column 'path'; the heading must have path,label and is"),
        ("path\na.mp4\n", r"a.csv: line 1: no column 'label'"),
        ("path,label,path\n", r"a.csv: line 1: more than one column 'path'"),
        ('path,label\na,x\n"b,x\nc,x\n', r"a.csv: line 3 is not CSV"),
        ("path,label\n" + "a" * 200_000 + ",x\n", r"a.csv: line 2 is not CSV: field larger than"),
        (b"\xff\xfep\x00a\x00t\x00h\x00", r"a.csv: line 1 is not UTF-8 text"),
    ],
)
def test_table_rows_refuse_other_files(make_tree, text, message):
    folder = make_tree(texts={"a.csv": text})
    with pytest.raises(ValueError, match=message):
        read(folder)


def test_parse_seconds():
    assert parse_seconds("", "start") is None
    assert parse_seconds("84", "start") == 84.0
    assert parse_seconds("0.04", "start") == 0.04
    for text in ("-1", "nan", "inf", "1:24", "ten"):
        with pytest.raises(ValueError, match=r"column start: .* is not a number of seconds >= 0"):
            parse_seconds(text, "start")


def test_check_cut_refuses_end_before_start():
    check_cut(None, None)
    check_cut(3.0, None)
    check_cut(None, 3.0)
    with pytest.raises(ValueError, match=r"must end after it starts; it is 3 to 3 s"):
        check_cut(3.0, 3.0)
    with pytest.raises(ValueError, match=r"it is 0 to 0 s"):
        check_cut(None, 0.0)
