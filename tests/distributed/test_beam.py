"""Jobs by Apache Beam in two processes of this machine: the files of the jobs without it.

They need what `pip install 'i3d_tf[beam]'` brings.
"""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from i3d_tf.system.console import one_line_errors
from i3d_tf.system.errors import UserError
from i3d_tf.system.files import STAGING_PREFIX, atomic_write
from i3d_tf.system.jobs import Task, run_job

pytestmark = pytest.mark.slow
apache_beam = pytest.importorskip(
    "apache_beam", reason="needs Apache Beam: pip install 'i3d_tf[beam]'"
)

TWO = "--direct_num_workers=2"
TIME_LIMIT = 300  # seconds, after which a job counts as hung
FLOW = ("compute_flow", "--engine=dis", "--short_side=24")
STOPPED = "Stopped; what was finished is kept.\n"


@pytest.fixture
def start_beam(tool_command, repository_root):
    """Function: arguments -> a process of tools/beam.py, in a group of its own."""
    started = []

    def start(*arguments):
        command = tool_command("beam", *arguments)
        libraries = Path(apache_beam.__file__).parent.parent
        command["env"]["PYTHONPATH"] = os.pathsep.join(map(str, (repository_root, libraries)))
        started.append(subprocess.Popen(**command, start_new_session=True))
        return started[-1]

    yield start
    for job in started:
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)
            job.wait()


@pytest.fixture
def run_beam(start_beam):
    """Function: arguments -> (exit status, lines of stdout, lines of stderr)."""

    def run(*arguments):
        job = start_beam(*arguments)
        out, err = job.communicate(timeout=TIME_LIMIT)
        return job.returncode, out.splitlines(), err.splitlines()

    return run


@pytest.fixture(scope="module")
def videos(write_grey_video, write_bad_videos, tmp_path_factory):
    """A folder of six videos with odd names, and of some that cannot be read."""
    folder = tmp_path_factory.mktemp("videos")
    for number, name in enumerate(("a", "b c", "größe", "-dash", "100%", "x")):
        path = folder / ("run", "walk")[number % 2] / f"{name}.mp4"
        path.parent.mkdir(exist_ok=True)
        write_grey_video(path, range(5 * number, 90 + 5 * number, 6), (24, 32))
    (folder / "bad").mkdir()
    write_bad_videos(folder / "bad")
    return folder


def files_below(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("tool", "place"),
    [("extract_features", "output_dir"), ("predict", "output_dir"), ("compute_flow", "flow_dir")],
)
def test_files_are_those_of_the_job_without_beam(
    run_tool, run_beam, videos, small_dir, tmp_path, tool, place
):
    network = ("--rgb_checkpoint=small_rgb", f"--checkpoint_dir={small_dir}")
    given = {
        "extract_features": (*network, "--window=9", videos),
        "predict": (*network, "--top=2", videos),
        "compute_flow": (*FLOW[1:], f"--data_dir={videos}"),
    }[tool]
    status, out, err = run_tool(tool, f"--{place}={tmp_path}/here", *given)
    # The names of jobs are also written with dashes, and options with a space before their value.
    found = run_beam(tool.replace("_", "-"), f"--{place}={tmp_path}/beam", *given, *TWO.split("="))
    assert (found[0], found[2]) == (status, err)
    assert len(err) >= 4
    assert found[1] == [line.replace("/here", "/beam") for line in out]
    assert files_below(tmp_path / "beam") == files_below(tmp_path / "here")
    assert [name for name in os.listdir(tmp_path / "beam") if STAGING_PREFIX in name] == []
    # The job without Beam sees the same state.
    for folder in ("here", "beam"):
        status, out, _ = run_tool(tool, f"--{place}={tmp_path}/{folder}", *given, "--status")
        assert (status, len(out)) == (1, len(err) + 1)
        assert out[-1].endswith(f" done, 0 missing, {len(err)} failed")


def test_records_are_those_without_beam(run_tool, run_beam, videos, tmp_path):
    given = ("--shards=3", "--short_side=24", "--format=png", f"--data_dir={videos}")
    status, out, _ = run_tool("make_records", f"--output_dir={tmp_path}/here", *given)
    found = run_beam("make_records", f"--output_dir={tmp_path}/beam", *given, TWO)
    assert found[:2] == (status, [line.replace("/here", "/beam") for line in out])
    assert (status, sum("left out:" in line for line in out)) == (1, 4)
    assert all(line.startswith("error: ") for line in found[2])  # of workers, in any order
    assert files_below(tmp_path / "beam") == files_below(tmp_path / "here")


def test_check_of_videos_is_that_without_beam(run_tool, run_beam, videos, tmp_path):
    here, there = tmp_path / "here" / "list.jsonl", tmp_path / "beam" / "list.jsonl"
    status, out, _ = run_tool("check_videos", f"--data_dir={videos}", f"--quarantine={here}")
    given = ("check_videos", f"--data_dir={videos}", f"--quarantine={there}")
    found = run_beam(*given, TWO)
    assert found == (status, [line.replace(str(here), str(there)) for line in out], [])
    assert there.read_bytes() == here.read_bytes()
    assert sorted(os.listdir(there.parent)) == ["list.jsonl", "list.jsonl.journal"]
    assert run_tool(*given)[1][-1].startswith("0 decoded, ")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_stopped_job_goes_on(start_beam, run_beam, run_tool, videos, tmp_path, number):
    (tmp_path / "many").mkdir()
    content = (videos / "run" / "a.mp4").read_bytes()
    for index in range(60):
        (tmp_path / "many" / f"{index}.mp4").write_bytes(content)
    flow_dir = tmp_path / "flow"
    given = (*FLOW, f"--data_dir={tmp_path}/many", "--short_side=128", f"--flow_dir={flow_dir}")
    job = start_beam(*given, TWO)
    while not list(flow_dir.glob("*.flow.zip")):
        assert job.poll() is None, job.stderr.read()
        time.sleep(0.02)
    job.send_signal(number)  # to the job alone; its workers end by themselves
    out, err = job.communicate(timeout=60)  # which waits for all that hold its output
    made = files_below(flow_dir)
    assert 0 < len([name for name in made if name.endswith(".zip")]) < 60
    if number != signal.SIGKILL:
        assert (out, err, job.returncode) == ("", STOPPED, 128 + number)
        assert set(made) == {path.name for path in flow_dir.glob("*.flow.zip")}
        return
    status, out, err = run_beam(*given, TWO)
    assert (status, err) == (0, [])
    assert not out[0].startswith(f"{flow_dir}: 60 computed")
    run_tool(*given[:-1], f"--flow_dir={tmp_path}/whole")
    assert files_below(flow_dir) == files_below(tmp_path / "whole")


def test_place_that_cannot_be_written_is_one_line_at_once(run_tool, videos, tmp_path):
    (tmp_path / "file").touch()
    for place, reason in (
        (tmp_path / "file" / "flow", "this folder cannot be made: not a directory."),
        ("/proc/flow", "this folder cannot be made: no such file or directory."),
    ):
        status, out, err = run_tool("beam", *FLOW, f"--flow_dir={place}", videos, TWO)
        assert (status, out, err) == (1, [], [f"error: {place}: {reason}"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "the first argument must be a job: check_videos, compute_flow, "),
        (("demo",), "demo: there is no such job. The jobs are check_videos, "),
        (("compute_flow", "OUT", "--processes=2"), "--processes is of a job without Beam"),
        (("compute_flow", "OUT", "--runner=None"), "--runner=None: Unexpected pipeline runner"),
        (("compute_flow", "OUT", "--runner"), "--runner needs a value. Give --runner=VALUE."),
        (
            ("compute_flow", "OUT", "--direct_num_workers=x"),
            "argument --direct_num_workers: invalid int value: 'x'.",
        ),
        (
            ("compute_flow", "OUT", "--runner=DataflowRunner", "VIDEO"),
            "FOLDER/flow/a.flow.zip: --runner=DataflowRunner works on machines that do not have "
            "this file.",
        ),
        (
            ("compute_flow", "RELATIVE", "--runner=FlinkRunner", "VIDEO"),
            "PLACE/a.flow.zip: other machines have no such file. Name absolute paths of a disk",
        ),
        (("predict", "VIDEO"), "a job by Beam needs --output_dir, the folder of its predictions."),
    ],
)
def test_wrong_option_is_one_line(run_tool, videos, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    shutil.copy(videos / "run" / "a.mp4", tmp_path / "z.mp4")
    places = {
        "OUT": f"--flow_dir={tmp_path}/flow",
        "RELATIVE": "--flow_dir=flow",
        "VIDEO": tmp_path / "z.mp4",
    }
    message = message.replace("FOLDER", str(tmp_path)).replace("PLACE/a", "flow/z")
    status, out, err = run_tool("beam", *(places.get(each, each) for each in arguments))
    assert (status, out, len(err)) == (1, [], 1)
    assert err[0].startswith(f"error: {message}".replace("flow/a", "flow/z"))


def test_flags_are_the_jobs_or_of_beam():
    from i3d_tf.distributed.beam_flags import split_flags

    given = ["-v", "--list=x", "--nolist", "--runner", "R", "--streaming", "b", "--project=p"]
    ours, beams = split_flags([*given, "--unknown=1", "--", "--region=r"], ["list"])
    assert ours == ["-v", "--list=x", "--nolist", "b", "--unknown=1", "--", "--region=r"]
    assert beams == ["--runner=R", "--streaming", "--project=p"]


def work(task, staging):
    """Does what the name of the source says."""
    if task.source == "crash":
        os._exit(7)
    if task.source == "bad":
        raise UserError("it is bad")
    if task.source == "parent":
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(9)
    if task.source == "full":
        raise OSError(28, "No space left on device", str(task.target))
    with atomic_write(task.target, folder=staging) as unfinished:
        unfinished.write_text(task.source)


@pytest.fixture
def run_here(repository_root, tmp_path, monkeypatch):
    """Function: names of sources -> what `run_job` returns with a runner by Beam."""
    from i3d_tf.distributed.beam_runner import BeamRunner

    paths = [repository_root, Path(apache_beam.__file__).parent.parent]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, paths)))  # where workers find this

    def run(*sources):
        tasks = [Task(source, tmp_path / "out" / source) for source in sources]
        each = BeamRunner([TWO]).run_each(work, tmp_path / "out", "it ends its process")
        return run_job(tasks, each, tmp_path / "out", "working")

    return run


def test_video_that_ends_its_process_fails_alone(run_here, tmp_path):
    failed = run_here("one", "crash", "two", "bad", "three", "four")
    assert set(failed) == {("crash", "it ends its process"), ("bad", "it is bad")}
    done = {path.name for path in (tmp_path / "out").iterdir()} - {".failed"}
    assert done == {"one", "two", "three", "four"}
    assert len(os.listdir(tmp_path / "out" / ".failed")) == 2


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("full", "no space left on device."),
        (
            "parent",
            "a worker process ended, perhaps for want of memory. Run the same command again to go "
            "on.",
        ),
    ],
)
def test_what_is_no_fault_of_a_video_ends_the_job(run_here, tmp_path, capfd, source, message):
    with pytest.raises(SystemExit), one_line_errors():
        run_here("one", source)
    _, err = capfd.readouterr()
    assert err.splitlines()[-1].endswith(message)
    left = [name for name in os.listdir(tmp_path / "out") if STAGING_PREFIX in name]
    assert len(left) == (source == "parent")  # killed, it leaves what the next job removes
