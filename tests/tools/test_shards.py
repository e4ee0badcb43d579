"""Shards of jobs on one output folder: together, they leave the files of one run."""

import json
import random
import subprocess
import time

import pytest

from i3d_tf.system.files import STAGING_PREFIX

JOBS = {
    "compute_flow": ("--engine=dis", "--short_side=24", "--processes=1"),
    "check_videos": ("--processes=1",),
}
OUTPUT = {"compute_flow": "--flow_dir={}", "check_videos": "--quarantine={}/list.jsonl"}


@pytest.fixture(scope="module")
def videos(write_grey_video, tmp_path_factory):
    """A folder of eight videos in two folders, and two that are none."""
    folder = tmp_path_factory.mktemp("videos")
    content = write_grey_video(folder / "0.mp4", range(0, 90, 10), (24, 32)).read_bytes()
    for number in range(1, 8):
        path = folder / ("run", "größe")[number % 2] / f"{number}.mp4"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    (folder / "run" / "empty.mp4").touch()
    (folder / "text.avi").write_text("not a video")
    return folder


def contents(folder):
    """Path to content of all files below, hidden ones too, but for journals."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".journal"
    }


@pytest.mark.parametrize("tool", JOBS)
def test_shards_of_a_job_leave_the_files_of_one_run(run_tool, videos, tmp_path, tool):
    def run(folder, *flags):
        given = (f"--data_dir={videos}", OUTPUT[tool].format(folder), *JOBS[tool], *flags)
        return run_tool(tool, *given)

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert run(whole)[0] == 1  # two fail
    status, out, _ = run(parts, "--status")
    assert (status, out[-1].partition(": ")[2]) == (1, "0 of 10 done, 10 missing, 0 failed")
    for index in (2, 0, 1):
        assert len(contents(parts)) < len(contents(whole)) or tool == "check_videos"
        run(parts, f"--shard={index}/3")
    assert contents(parts) == contents(whole)
    status, out, _ = run(parts, "--status")
    assert status == 1
    assert out[-1].partition(": ")[2] == "8 of 10 done, 0 missing, 2 failed"
    assert len(out) == 3
    assert f"failed: {videos}/run/empty.mp4: it is empty (0 bytes)" in out
    status, out, _ = run(parts, "--status", "--json")
    (record,) = map(json.loads, out)
    assert (status, record["done"], record["missing"]) == (1, 8, [])
    assert {failure["path"] for failure in record["failed"]} == {
        f"{videos}/run/empty.mp4",
        f"{videos}/text.avi",
    }
    status, _, err = run(parts, "--json")
    assert (status, err) == (1, ["error: --json needs --status, which it prints as a record."])


@pytest.mark.parametrize("tool", JOBS)
def test_list_names_the_videos_of_a_job(run_tool, videos, tmp_path, tool):
    (tmp_path / "list").write_text(f"run/2.mp4\n{videos}/0.mp4\nrun/missing.mp4\n")
    given = (f"--data_dir={videos}", OUTPUT[tool].format(tmp_path / "out"), *JOBS[tool])
    run_tool(tool, *given, f"--list={tmp_path / 'list'}")
    status, out, _ = run_tool(tool, *given, f"--list={tmp_path / 'list'}", "--status")
    assert (status, out[-1].partition(": ")[2]) == (1, "2 of 3 done, 0 missing, 1 failed")
    (tmp_path / "list").write_text("run/2.mp4\n")
    status, out, _ = run_tool(tool, *given, f"--list={tmp_path / 'list'}", "--status")
    assert (status, out[-1].partition(": ")[2]) == (0, "1 of 1 done, 0 missing, 0 failed")


@pytest.fixture(scope="module")
def many_videos(write_grey_video, tmp_path_factory):
    """A folder of 24 videos in three folders, and an empty one."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(24):
        path = folder / f"class {number % 3}" / f"{number}.mp4"
        path.parent.mkdir(exist_ok=True)
        write_grey_video(path, range(number, 200 + number, 8), (32, 48))
    (folder / "class 0" / "empty.mp4").touch()
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tool", "count"), [("compute_flow", 4), ("check_videos", 4), ("extract_features", 2)]
)
def test_shards_killed_and_started_again_leave_the_files_of_one_run(
    run_tool, tool_command, many_videos, small_dir, tmp_path, tool, count
):
    network = ("--rgb_checkpoint=small_rgb", f"--checkpoint_dir={small_dir}", "--window=9")

    def arguments(folder, *flags):
        if tool == "extract_features":
            return (tool, *network, f"--output_dir={folder}", *flags, many_videos)
        return (tool, f"--data_dir={many_videos}", OUTPUT[tool].format(folder), *JOBS[tool], *flags)

    def start(index):
        return subprocess.Popen(**tool_command(*arguments(parts, f"--shard={index}/{count}")))

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run_tool(*arguments(whole))
    # Half of the shards are worked on twice at the same time.
    shards = [*range(count), *range(count // 2)]
    jobs = [start(index) for index in shards]
    while not (parts.exists() and any(parts.rglob("*"))):
        time.sleep(0.002)
        assert any(job.poll() is None for job in jobs)
    generator = random.Random(tool)
    for job in jobs[1:count]:  # the first goes on
        time.sleep(generator.uniform(0, 0.1))
        job.kill()
        for path, content in contents(parts).items():
            if not path.startswith(STAGING_PREFIX) and f"/{STAGING_PREFIX}" not in path:
                assert tool == "check_videos" or content == contents(whole)[path]
    jobs += [start(index) for index in shards[1:count]]
    for job in jobs:
        job.communicate(timeout=120)
    run_tool(*arguments(parts))  # the next job removes what a killed one left a moment ago
    assert contents(parts) == contents(whole)
    status, out, _ = run_tool(*arguments(parts, "--status"))
    assert (status, out[-1].partition(": ")[2]) == (1, "24 of 25 done, 0 missing, 1 failed")


@pytest.mark.slow
def test_predictions_of_shards_are_files_of_a_job(run_tool, small_dir, videos, tmp_path):
    given = ("--rgb_checkpoint=small_rgb", f"--checkpoint_dir={small_dir}", videos)
    out = tmp_path / "out"
    for index in range(2):
        run_tool("predict", *given, f"--output_dir={out}", f"--shard={index}/2")
    status, lines, _ = run_tool("predict", f"--output_dir={out}", "--status", "--json", videos)
    record = json.loads(lines[0])
    assert (status, record["done"], len(record["failed"])) == (1, 8, 2)
    status, lines, err = run_tool("predict", *given, f"--output_dir={out}")
    assert (status, lines) == (1, [f"{out}: 0 classified, 8 already there, 2 failed"])
    assert len(err) == 2
    for flags in (["--status"], [f"--output_dir={out}", "--output_video=x"]):
        status, lines, err = run_tool("predict", *flags, *given)
        assert (status, lines, len(err)) == (1, [], 1)


def test_shard_from_a_scheduler_that_is_not_there_is_one_line(run_tool, monkeypatch, tmp_path):
    for name in ("SLURM_ARRAY_TASK_ID", "SLURM_PROCID", "AWS_BATCH_JOB_ARRAY_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "1")
    given = {
        "check_videos": [f"--data_dir={tmp_path}"],
        "compute_flow": [f"--flow_dir={tmp_path}/out", "a.mp4"],
        "extract_features": [f"--output_dir={tmp_path}/out", "a.mp4"],
        "predict": ["a.mp4"],
    }
    for tool, arguments in given.items():
        status, out, err = run_tool(tool, "--shard=env", *arguments)
        assert (status, out, len(err)) == (1, [], 1)
        assert err[0].startswith("error: --shard=env: JOB_COMPLETIONS is not set (JOB_COMPLETION_I")
