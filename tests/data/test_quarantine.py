import os
import unicodedata
from dataclasses import replace

import pytest

from i3d_tf.data.quarantine import Quarantine, VideoCheck, check_line, read_checks
from i3d_tf.system.storage import file_state


def check(path, start=None, end=None, reason="it is empty (0 bytes)"):
    return VideoCheck(str(path), start, end, *file_state(str(path)), reason)


def write(path, *checks):
    path.write_text("".join(check_line(each, path.parent) + "\n" for each in checks))
    return path


def test_check_lines_are_read_again(make_tree):
    folder = make_tree(["videos/größe 1.mp4", "videos/2.mp4"])
    checks = [
        check(folder / "videos/größe 1.mp4"),
        check(folder / "videos/2.mp4", 1.5, 3, reason=None),
    ]
    assert read_checks(write(folder / "list.jsonl", *checks)) == checks


def test_name_that_is_no_text_is_read_again(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.mp4")
    open(path, "w").close()
    assert read_checks(write(tmp_path / "list.jsonl", check(path)))[0].path == path


@pytest.mark.parametrize("name", ["a\0b.mp4", "\ud800.mp4"])
def test_names_that_no_file_can_have_are_outdated(tmp_path, name):
    record = VideoCheck(str(tmp_path / name), None, None, 5, 6, "it is empty (0 bytes)")
    assert Quarantine(write(tmp_path / "list.jsonl", record)).outdated == 1


def test_quarantine_moves_with_its_dataset(make_tree):
    folder = make_tree(["here/videos/1.mp4"])
    write(folder / "here/list.jsonl", check(folder / "here/videos/1.mp4"))
    (folder / "here").rename(folder / "there")
    quarantine = Quarantine(folder / "there/list.jsonl")
    assert quarantine.reason(str(folder / "there/videos/1.mp4")) == "it is empty (0 bytes)"


def test_quarantine_compares_accents_as_letters(make_tree):
    stored, listed = (unicodedata.normalize(form, "Übung/é.mp4") for form in ("NFD", "NFC"))
    folder = make_tree([stored])
    (record,) = [check(folder / stored)]
    quarantine = Quarantine(write(folder / "l.jsonl", replace(record, path=str(folder / listed))))
    assert quarantine.reason(str(folder / stored)) == "it is empty (0 bytes)"
    assert quarantine.outdated == 0


def test_quarantine_finds_any_spelling_of_a_path(make_tree, monkeypatch):
    folder = make_tree(["videos/1.mp4"])
    quarantine = Quarantine(write(folder / "list.jsonl", check(folder / "videos/1.mp4")))
    monkeypatch.chdir(folder)
    for spelling in ("videos/1.mp4", "./videos/../videos/1.mp4", f"{folder}//videos/1.mp4"):
        assert quarantine.reason(spelling) is not None


def test_bad_cut_leaves_others_and_bad_video_none(make_tree):
    folder = make_tree(["1.mp4", "2.mp4"])
    listed = write(
        folder / "list.jsonl", check(folder / "1.mp4", 5.0, 9.0), check(folder / "2.mp4")
    )
    quarantine = Quarantine(listed)
    assert quarantine.reason(f"{folder}/1.mp4", 5.0, 9.0)
    assert quarantine.reason(f"{folder}/1.mp4", 5.0, 8.0) is None
    assert quarantine.reason(f"{folder}/1.mp4") is None
    assert quarantine.reason(f"{folder}/2.mp4", 5.0, 9.0)


def test_changed_or_removed_video_is_outdated(make_tree):
    folder = make_tree(["1.mp4", "2.mp4", "3.mp4"])
    listed = write(folder / "list.jsonl", *(check(folder / f"{n}.mp4") for n in (1, 2, 3)))
    (folder / "1.mp4").write_text("repaired")
    (folder / "2.mp4").unlink()
    quarantine = Quarantine(listed)
    assert quarantine.reason(f"{folder}/1.mp4") is None
    assert quarantine.reason(f"{folder}/3.mp4")
    assert quarantine.outdated == 2


def test_good_check_is_not_quarantined(make_tree):
    folder = make_tree(["1.mp4"])
    quarantine = Quarantine(write(folder / "list.jsonl", check(folder / "1.mp4", reason=None)))
    assert quarantine.reason(f"{folder}/1.mp4") is None
    assert quarantine.outdated == 0
    assert Quarantine().reason("1.mp4") is None


@pytest.mark.parametrize(
    "line",
    [
        "not JSON",
        "[]",
        "{}",
        "[" * 100_000,
        '{"path": 1, "start": null, "end": null, "size": 0, "mtime_ns": 0, "reason": "x"}',
        '{"path": "a", "start": "0", "end": null, "size": 0, "mtime_ns": 0, "reason": "x"}',
    ],
)
def test_read_checks_names_damaged_line(make_tree, line):
    folder = make_tree(["1.mp4"])
    listed = write(folder / "list.jsonl", check(folder / "1.mp4"))
    with open(listed, "a") as file:
        file.write(line)
    with pytest.raises(ValueError, match=r"list.jsonl: line 2 is not a record of check_videos"):
        Quarantine(listed)
    assert len(read_checks(listed, torn_end=True)) == 1
    with open(listed, "a") as file:
        file.write("\n")
    with pytest.raises(ValueError, match="line 2"):  # a whole line was not torn
        read_checks(listed, torn_end=True)


def test_missing_quarantine(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"list\.jsonl"):
        Quarantine(tmp_path / "list.jsonl")
