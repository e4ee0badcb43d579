import os

import pytest

from i3d_tf.data.check_journal import Journal, journal_paths
from i3d_tf.data.quarantine import VideoCheck, read_checks
from i3d_tf.system.shards import Shard
from i3d_tf.system.storage import file_state

CUTS = ("a.mp4", "b.mp4", "c.mp4")


@pytest.fixture
def check(tmp_path):
    """Function: (name, reason) -> the check of a file of that name."""
    for name in CUTS:
        (tmp_path / name).write_text(name)

    def make(name, reason=None):
        path = str(tmp_path / name)
        return VideoCheck(path, None, None, *file_state(path), reason)

    return make


def listed(path):
    return [(os.path.basename(each.path), each.reason) for each in read_checks(path)]


def test_processes_have_journals_of_their_own_and_read_all(tmp_path, check):
    path = tmp_path / "list"
    with (
        Journal(path, Shard(0, 2)) as first,
        Journal(path, Shard(0, 2)) as second,
        Journal(path, Shard(1, 2)) as other,
        Journal(path) as unsharded,
    ):
        first.add(check("a.mp4", "bad"))
        second.add(check("b.mp4"))
        other.add(check("c.mp4", "worse"))
        assert [each.name for each in journal_paths(path)] == [
            "list.0-of-2.1.journal",
            "list.0-of-2.journal",
            "list.1-of-2.journal",
            "list.journal",
        ]
        unsharded.write_list()
        second.write_list()
    assert listed(path) == [("a.mp4", "bad"), ("c.mp4", "worse")]
    cuts = [check(name).cut for name in CUTS]
    assert Journal(path).missing_from(cuts) == ([], [])
    # The names are free again.
    with Journal(path, Shard(0, 2)):
        assert len(journal_paths(path)) == 4


def test_list_has_what_another_process_adds_while_it_is_written(tmp_path, check, monkeypatch):
    path, added = tmp_path / "list", []
    is_current = VideoCheck.is_current
    with Journal(path, Shard(0, 2)) as first, Journal(path, Shard(1, 2)) as other:

        def add_once(each):
            if not added:
                added.append(each)
                other.add(check("b.mp4", "late"))
            return is_current(each)

        monkeypatch.setattr(VideoCheck, "is_current", add_once)
        first.add(check("a.mp4", "bad"))
        first.write_list()
    assert listed(path) == [("a.mp4", "bad"), ("b.mp4", "late")]


def test_video_that_was_decoded_by_one_process_is_not_bad(tmp_path, check):
    path = tmp_path / "list"
    with Journal(path, Shard(0, 2)) as first, Journal(path, Shard(1, 2)) as other:
        first.add(check("a.mp4", "there is not enough memory"))
        other.add(check("a.mp4"))
        first.write_list()
    assert listed(path) == []


def test_journal_of_a_killed_process_loses_its_torn_line(tmp_path, check):
    path = tmp_path / "list"
    with Journal(path) as journal:
        journal.add(check("a.mp4", "bad"))
        journal.add(check("b.mp4", "bad"))
    (torn,) = journal_paths(path)
    torn.write_bytes(torn.read_bytes()[:-5])
    with Journal(path) as journal:
        journal.add(check("c.mp4", "bad"))
        journal.write_list()
    assert listed(path) == [("a.mp4", "bad"), ("c.mp4", "bad")]
