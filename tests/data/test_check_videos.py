import json
import os
import signal
import subprocess
import time

import pytest

from i3d_tf.data import check_videos as module
from i3d_tf.data.check_journal import Journal
from i3d_tf.data.check_videos import DIED, CheckReport, check_videos, decode_check
from i3d_tf.data.readers import read_dataset
from i3d_tf.system.jobs import run_each

EMPTY = "it is empty (0 bytes)"


@pytest.fixture
def videos(tmp_path, write_grey_video):
    """A folder: two good videos, one cut short, one empty, one that is text."""
    for folder in ("run", "walk"):
        (tmp_path / folder).mkdir()
    good = write_grey_video(tmp_path / "run" / "good 1.mp4", range(0, 250, 10))
    whole = good.read_bytes()
    (tmp_path / "run" / "größe.MP4").write_bytes(whole)
    (tmp_path / "run" / "short.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "walk" / "empty.mp4").write_bytes(b"")
    (tmp_path / "walk" / "text.avi").write_text("not a video")
    return tmp_path


def names(report, folder):
    return [os.path.relpath(path, folder) for path, _ in report.bad]


def records(path):
    return [json.loads(line) for line in path.read_text("ascii").splitlines()]


BAD = ["run/short.mp4", "walk/empty.mp4", "walk/text.avi"]


def test_check_videos_decodes_every_video_below_a_folder(videos):
    report = check_videos(videos, processes=2)
    assert (report.decoded, report.known, report.faults) == (5, 0, 3)
    assert names(report, videos) == BAD
    assert report.bad[1][1] == EMPTY
    assert report.quarantine == videos / "quarantine.jsonl"
    written = records(report.quarantine)
    assert [record["path"] for record in written] == BAD
    assert written[1]["reason"] == EMPTY
    assert written[1]["size"] == 0
    assert written[1]["mtime_ns"] == (videos / "walk/empty.mp4").stat().st_mtime_ns


def test_readers_leave_out_bad_videos(videos):
    report = check_videos(videos, processes=1)
    dataset = read_dataset("class_folders", videos, quarantine=report.quarantine)
    assert [os.path.basename(example.path) for example in dataset.examples] == [
        "good 1.mp4",
        "größe.MP4",
    ]
    assert [os.path.relpath(path, videos) for path, _ in dataset.report.quarantined] == BAD


def test_second_check_decodes_only_changed_files(videos):
    check_videos(videos, processes=1)
    again = check_videos(videos, processes=1)
    assert (again.decoded, again.known) == (0, 5)
    assert names(again, videos) == BAD
    (videos / "walk/empty.mp4").write_bytes((videos / "run/good 1.mp4").read_bytes())
    (videos / "run/short.mp4").unlink()
    (videos / "run/new.mp4").write_bytes(b"")
    repaired = check_videos(videos, processes=1)
    assert (repaired.decoded, repaired.known) == (2, 3)
    assert names(repaired, videos) == ["run/new.mp4", "walk/text.avi"]
    assert [record["path"] for record in records(repaired.quarantine)] == names(repaired, videos)


def test_one_list_keeps_several_checks(videos):
    listed = videos / "lists" / "bad.jsonl"
    check_videos(videos / "run", quarantine=listed, processes=1)
    report = check_videos(videos / "walk", quarantine=listed, processes=1)
    assert names(report, videos) == ["walk/empty.mp4", "walk/text.avi"]
    assert [record["path"] for record in records(listed)] == [f"../{name}" for name in BAD]
    dataset = read_dataset("class_folders", videos, quarantine=listed)
    assert len(dataset.report.quarantined) == 3


def test_check_videos_decodes_cuts_of_a_dataset(videos):
    """The good video lasts a second; a cut that begins later is as bad as a damaged file."""
    text = (
        "path,label,start,end\n"
        "run/good 1.mp4,run,0,0.5\n"
        "run/good 1.mp4,walk,0.5,5\n"
        "run/good 1.mp4,walk,2,5\n"
        "run/missing.mp4,run,,\n"
    )
    (videos / "splits").mkdir()
    (videos / "splits/train.csv").write_text(text)
    report = check_videos(videos, "csv", ["train"], processes=1)
    assert report.decoded == 3
    assert [reason for _, reason in report.bad] == ["it has no frame from 2 s on and before 5 s"]
    assert report.faults == 2  # the missing one too
    dataset = read_dataset("csv", videos, "train", quarantine=report.quarantine)
    assert [(each.start, each.end) for each in dataset.examples] == [(0, 0.5), (0.5, 5)]
    assert len(dataset.report.missing) == len(dataset.report.quarantined) == 1


def test_check_videos_reads_all_splits(videos):
    (videos / "splits").mkdir()
    for split in ("train", "test"):
        (videos / f"splits/{split}.csv").write_text("path,label\nrun/good 1.mp4,sit_down\n")
    report = check_videos(videos, "stick_actions", processes=1)
    assert [each.split for each in report.datasets] == ["train", "test"]
    assert report.decoded == 1  # no video is decoded twice


def test_video_that_ends_the_process_is_bad(videos, monkeypatch):
    def all_die(function, tasks, processes, died):
        return ((task, died) for task in tasks)

    monkeypatch.setattr(module, "map_unordered", all_die)
    report = check_videos(videos / "walk")
    assert [reason for _, reason in report.bad] == [DIED, DIED]


def test_decode_check_returns_any_error_as_reason(videos, monkeypatch):
    def fail(error):
        def verify(*arguments):
            raise error

        return verify

    with Journal(videos / "list") as journal:
        todo, _ = journal.missing_from([(str(videos / "run/good 1.mp4"), None, None)])
    monkeypatch.setattr("i3d_tf.video.decode.verify_video", fail(MemoryError()))
    assert decode_check(todo[0]) == "decoding it takes more memory than there is"
    monkeypatch.setattr("i3d_tf.video.decode.verify_video", fail(RuntimeError("odd")))
    assert decode_check(todo[0]) == "decoding it fails: RuntimeError: odd"


class Runner:
    """A runner of jobs that does some tasks, of which it does not tell, and is killed then."""

    threads, records_dir, done = 1, None, 0

    def __init__(self, stop_after=None):
        self.stop_after = stop_after

    def run_each(self, work, output_dir, died):
        def run(tasks, staging):
            done = []
            for outcome in run_each(work)(tasks, staging):
                if self.done == self.stop_after:
                    raise KeyboardInterrupt
                self.done += 1
                done.append(outcome)
            yield from done

        return run


def test_check_by_a_runner_goes_on_from_its_records(videos):
    with pytest.raises(KeyboardInterrupt):
        check_videos(videos, runner=Runner(stop_after=2))
    folder = videos / ".quarantine.jsonl.records"
    assert len([name for name in os.listdir(folder) if name.endswith(".json")]) >= 2
    runner = Runner()
    report = check_videos(videos, runner=runner)
    assert runner.done <= 3
    assert names(report, videos) == BAD
    assert [record["path"] for record in records(report.quarantine)] == BAD
    assert not folder.exists()
    assert check_videos(videos, processes=1).known == 5


def test_torn_line_of_journal_is_done_again(videos):
    check_videos(videos, processes=1)
    journal = videos / "quarantine.jsonl.journal"
    journal.write_bytes(journal.read_bytes()[:-9])
    report = check_videos(videos, processes=1)
    assert (report.decoded, report.known) == (1, 4)
    assert len(records(journal)) == 5
    assert names(report, videos) == BAD


def test_vanished_file_is_bad_and_not_in_the_list(videos, monkeypatch):
    gone = str(videos / "run/gone.mp4")
    monkeypatch.setattr(module, "videos_below", lambda *_: [gone])
    report = check_videos(videos, processes=1)
    assert report.bad == ((gone, "no such file or directory"),)
    assert records(report.quarantine) == []


def test_report_lines_show_every_bad_video(tmp_path):
    report = CheckReport(tmp_path / "list", 2, 1, (("a\x1b.mp4", "empty"),))
    assert report.lines() == [
        r"unreadable: a\x1b.mp4: empty",
        f"2 decoded, 1 known from before, 1 unreadable; the list is {tmp_path}/list",
    ]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"processes": 0},
            ValueError,
            r"`processes` must be an integer within 1..1024; received 0",
        ),
        (
            {"splits": ["train"]},
            ValueError,
            r"`splits`, `annotation` and `classes` need a `dataset",
        ),
        ({"dataset": "ucf"}, ValueError, r"`dataset` must be one of"),
        ({"dataset": "ucf101", "splits": ["train"]}, ValueError, r"`split` of ucf101 must be one"),
        ({"data_dir": "no/where"}, FileNotFoundError, r"`data_dir` no/where: there is no such fol"),
        (
            {"quarantine": "gs://a/b"},
            ValueError,
            r"`quarantine` must be on this machine; received gs://a/b",
        ),
        ({"quarantine": "/dev/null/list"}, OSError, r"/dev/null/list.journal cannot be written"),
    ],
)
def test_check_videos_refuses_bad_arguments(videos, arguments, error, message):
    before = sorted(videos.rglob("*"))
    with pytest.raises(error, match=message):
        check_videos(**{"data_dir": videos, **arguments})
    assert sorted(videos.rglob("*")) == before


def test_check_videos_refuses_folder_without_videos(tmp_path):
    with pytest.raises(ValueError, match=r"there are no videos below this folder"):
        check_videos(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ValueError, match=r"below this folder, only 1 other file \(\.txt 1\)\."):
        check_videos(tmp_path)


def test_report_counts_files_that_are_no_videos_without_its_own(videos):
    for _ in range(2):
        report = check_videos(videos, processes=1)
        assert report.other_files is None
    (videos / "walk" / "notes.txt").touch()
    report = check_videos(videos, processes=1)
    assert report.lines()[-2] == "1 other file (.txt 1) is no video"


def test_tool_shows_bad_videos_and_fails(videos, run_tool):
    status, out, err = run_tool("check_videos", f"--data_dir={videos}", "--processes=1")
    assert (status, err) == (1, [])
    assert out[1:] == [
        f"unreadable: {videos}/walk/empty.mp4: {EMPTY}",
        f"unreadable: {videos}/walk/text.avi: it is not a video that FFmpeg can read (invalid data "
        "found when processing input)",
        f"5 decoded, 0 known from before, 3 unreadable; the list is {videos}/quarantine.jsonl",
    ]
    for name in BAD:
        (videos / name).unlink()
    status, out, _ = run_tool("check_videos", f"--data_dir={videos}", "--dataset=class_folders")
    assert (status, out[0]) == (0, "class_folders: 2 rows, 2 classes; 2 found")


def test_tool_names_a_missing_folder_in_one_line(tmp_path, run_tool):
    status, _, err = run_tool("check_videos", f"--data_dir={tmp_path / 'nothing'}")
    assert status == 1
    assert err == [f"error: `data_dir` {tmp_path}/nothing: there is no such folder."]


def test_killed_check_goes_on(tmp_path, tool_command, write_grey_video):
    content = write_grey_video(tmp_path / "0.mp4", range(50)).read_bytes()
    for number in range(1, 60):
        (tmp_path / f"{number}.mp4").write_bytes(content)
    journal = tmp_path / "quarantine.jsonl.journal"
    command = tool_command("check_videos", f"--data_dir={tmp_path}", "--processes=1")
    job = subprocess.Popen(**command)
    while job.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") > 2):
        time.sleep(0.01)
    job.send_signal(signal.SIGKILL)
    job.communicate()
    done_before = journal.read_bytes().count(b"\n")
    report = check_videos(tmp_path, processes=1)
    assert report.known == done_before >= 3
    assert report.known + report.decoded == 60
    assert report.bad == ()
    assert report.quarantine.read_bytes() == b""


@pytest.mark.parametrize("name", ["list.csv", "list.csv.journal"])
def test_list_replaces_lists_only(videos, tmp_path, name):
    (tmp_path / name).write_text("video,label\n")
    with pytest.raises(FileExistsError, match=f"{name}: exists already and was not written by"):
        check_videos(videos, quarantine=tmp_path / "list.csv")
    assert (tmp_path / name).read_text() == "video,label\n"


def test_folder_that_cannot_be_read_is_bad(videos, close_folder):
    known = check_videos(videos)
    (videos / "closed").mkdir()
    close_folder(videos / "closed")
    report = check_videos(videos)
    assert set(report.bad) - set(known.bad) == {(str(videos / "closed"), "permission denied")}
    assert (report.decoded, report.known) == (0, known.decoded)


def test_folder_that_itself_cannot_be_read(tmp_path, close_folder):
    close_folder(tmp_path)
    report = check_videos(tmp_path)
    assert report.bad == ((str(tmp_path), "permission denied"),)
