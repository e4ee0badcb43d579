import os
import unicodedata

import pytest

from i3d_tf.system import storage
from i3d_tf.system.storage import (
    file_names,
    file_state,
    find_path,
    is_file,
    is_folder,
    join,
    read_lines,
    walk,
)


def test_join_adds_one_slash():
    assert join("a", "b/c") == "a/b/c"
    assert join("a/", "b") == "a/b"
    assert join("", "b") == "b"
    assert join("a", "") == "a"
    assert join("/", "b") == "/b"
    assert join("gs://bucket", "b") == "gs://bucket/b"


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_folders_are_read_locally_and_through_gfile(make_tree, scheme):
    folder = f"{scheme}{make_tree(['b.txt', 'a.txt', 'below/c.txt', '.hidden/d.txt'])}"
    assert is_folder(folder)
    assert not is_folder(f"{folder}/a.txt")
    assert is_file(f"{folder}/a.txt")
    assert not is_file(folder)
    assert not is_file(f"{folder}/nothing")
    assert {"a.txt", "b.txt"} <= set(file_names(folder))
    assert file_names(f"{folder}/nothing") is None
    levels = [(place.rstrip("/"), folders, files) for place, folders, files in walk(folder)]
    assert levels == [
        (folder, ["below"], ["a.txt", "b.txt"]),
        (f"{folder}/below", [], ["c.txt"]),
    ]


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_text_and_state_are_read_locally_and_through_gfile(make_tree, scheme):
    folder = make_tree(texts={"a.txt": "one\r\ntwo\n"})
    os.utime(folder / "a.txt", ns=(0, 5_000_000_000))
    assert file_state(f"{scheme}{folder}/a.txt") == (9, 5_000_000_000)
    assert read_lines(f"{scheme}{folder}/a.txt") == ["one", "two", ""]
    with pytest.raises(OSError, match="nothing"):
        file_state(f"{scheme}{folder}/nothing")


def test_read_lines_splits_only_at_line_ends(make_tree):
    text = "\ufeffa\x0b\x85\u2028b\r\nc\rd\n"
    folder = make_tree(texts={"a.txt": text})
    assert read_lines(str(folder / "a.txt")) == ["a\x0b\x85\u2028b", "c", "d", ""]


def test_read_lines_names_the_line_of_another_encoding(make_tree):
    folder = make_tree(texts={"a.txt": b"one\ntwo\nthr\xe9e\n"})
    with pytest.raises(ValueError, match=r"a.txt: line 3 is not UTF-8 text; save the file as"):
        read_lines(str(folder / "a.txt"))


def test_read_lines_refuses_large_texts(make_tree, monkeypatch):
    monkeypatch.setattr(storage, "MAX_TEXT", 4)
    folder = make_tree(texts={"four.txt": "1234", "five.txt": "12345"})
    assert read_lines(str(folder / "four.txt")) == ["1234"]
    with pytest.raises(ValueError, match=r"five.txt: it has more than 4 bytes, too many"):
        read_lines(str(folder / "five.txt"))


def test_walk_ends_at_a_link_to_its_own_folder(make_tree):
    folder = make_tree(["a.txt"])
    (folder / "again").symlink_to(folder)
    assert list(walk(str(folder))) == [(str(folder), ["again"], ["a.txt"])]


def test_walk_follows_links_to_folders(make_tree):
    folder = make_tree(["v/run/a.txt", "e/b.txt", "e/deep/c.txt"])
    (folder / "v/run/more").symlink_to("../../e")
    top = f"{folder}/v"
    assert list(walk(top)) == [
        (top, ["run"], []),
        (f"{top}/run", ["more"], ["a.txt"]),
        (f"{top}/run/more", ["deep"], ["b.txt"]),
        (f"{top}/run/more/deep", [], ["c.txt"]),
    ]


def test_walk_enters_each_folder_once_by_its_own_path(make_tree):
    folder = make_tree(["v/z/a.txt", "e/b.txt"])
    (folder / "v/a").symlink_to("z")  # sorted before it
    (folder / "v/one").symlink_to("../e")
    (folder / "v/two").symlink_to("../e")
    assert [place.removeprefix(f"{folder}/") for place, _, _ in walk(f"{folder}/v")] == [
        "v",
        "v/z",
        "v/one",
    ]


def test_walk_enters_no_link_to_a_folder_above_it(make_tree):
    folder = make_tree(["all/v/a.txt", "all/other/b.txt", "e/c.txt"])
    (folder / "all/v/up").symlink_to("..")
    (folder / "all/v/out").symlink_to("../../e")
    (folder / "e/back").symlink_to("../all")
    (folder / "e/self").symlink_to("self")
    (folder / "to").symlink_to("all/v")
    assert [place for place, _, _ in walk(f"{folder}/all/v")] == [
        f"{folder}/all/v",
        f"{folder}/all/v/out",
    ]
    assert [place for place, _, _ in walk(f"{folder}/to")] == [
        f"{folder}/to",
        f"{folder}/to/out",
    ]


def test_find_path_compares_accents_as_letters_in_folders_and_names(make_tree):
    stored, listed = (unicodedata.normalize(form, "Übung/größe.mp4") for form in ("NFD", "NFC"))
    folder = make_tree([stored, unicodedata.normalize("NFC", "Übung/other.mp4")])
    assert find_path(f"{folder}/{stored}") == f"{folder}/{stored}"
    assert find_path(f"{folder}/{listed}") == f"{folder}/{stored}"  # though there are both folders
    assert find_path(f"{folder}/Übung/nothing.mp4") is None
    assert find_path(f"{folder}/nothing") is None
    assert find_path("ü\0.mp4") is None


def test_walk_raises_on_an_unreadable_folder(make_tree, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    folder = make_tree(["a.txt"])
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError):
        list(walk(str(folder)))
    unreadable = []
    assert list(walk(str(folder), unreadable)) == []
    assert [error.filename for error in unreadable] == [str(folder)]
    with pytest.raises(PermissionError):
        file_names(str(folder))
