import os
import signal
import subprocess
import sys
import time
import unicodedata
import zipfile

import numpy as np
import pytest

from i3d_tf.flow import compute_files as module
from i3d_tf.flow.compute import compute_flow
from i3d_tf.flow.compute_files import DIED, compute_flow_files
from i3d_tf.flow.flow_file import open_flow_file
from i3d_tf.flow.flow_folder import find_flow
from i3d_tf.flow.quantize import quantize
from i3d_tf.system.files import staging_dir
from i3d_tf.system.job_status import FAILURES
from i3d_tf.system.jobs import run_each
from i3d_tf.system.worker_pool import processor_count
from i3d_tf.video.decode import read_clip
from i3d_tf.video.encode import write_video
from i3d_tf.video.transforms import resize_short_side

SIDE = 32
QUICKLY = {"engine": "dis", "short_side": SIDE, "processes": 1}


@pytest.fixture(scope="module")
def moving(tmp_path_factory):
    """The bytes of a video: 12 frames of 48 x 64, a texture that moves right by a pixel a frame."""
    texture = np.random.default_rng(0).integers(0, 256, (12, 20)).astype(np.uint8)
    texture = np.kron(texture, np.ones((4, 4), np.uint8))
    views = np.stack([texture[:, 16 - step : 80 - step] for step in range(12)])
    path = tmp_path_factory.mktemp("moving") / "moving.mp4"
    write_video(path, np.repeat(views[..., np.newaxis], 3, axis=-1))
    return path.read_bytes()


@pytest.fixture
def data_dir(tmp_path, moving):
    """A folder: run/a.mp4, run/b c.mp4, walk/größe.MP4, of which none is bad."""
    folder = tmp_path / "videos"
    for name in ("run/a.mp4", "run/b c.mp4", "walk/größe.MP4"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(moving)
    return folder


@pytest.fixture
def flow_dir(tmp_path):
    return tmp_path / "flow"


def files_below(folder):
    """Paths below a folder, without the failures that the job keeps there."""
    paths = [path.relative_to(folder) for path in folder.rglob("*")]
    return sorted(path.as_posix() for path in paths if path.parts[0] != FAILURES)


MIRRORED = ["run", "run/a.flow.zip", "run/b c.flow.zip", "walk", "walk/größe.flow.zip"]


@pytest.mark.parametrize("processes", [1, 2])
def test_job_computes_every_video_below_folder(data_dir, flow_dir, processes):
    report = compute_flow_files([], flow_dir, data_dir, "dis", short_side=SIDE, processes=processes)
    assert (report.computed, report.kept, report.failed) == (3, 0, ())
    assert files_below(flow_dir) == MIRRORED
    flows = open_flow_file(flow_dir / "run/a.flow.zip")
    frames = resize_short_side(read_clip(data_dir / "run/a.mp4"), SIDE)
    np.testing.assert_array_equal(flows.codes(), quantize(compute_flow(frames, "dis")))
    assert (flows.metadata["algorithm"], flows.metadata["engine"]) == ("DIS", "dis")
    assert flows.metadata["source"]["name"] == "a.mp4"
    assert report.line() == f"{flow_dir}: 3 computed (DIS by dis), 0 already there, 0 failed"


def test_job_passes_settings_on(data_dir, flow_dir):
    report = compute_flow_files(
        [data_dir / "run/a.mp4"],
        flow_dir,
        engine="opencv",
        preset="fast",
        frame_rate=12.5,
        short_side=SIDE,
    )
    assert report.settings.engine == "opencv"
    flows = open_flow_file(flow_dir / "a.flow.zip")
    assert (flows.frames, flows.height) == (6, SIDE)
    assert flows.metadata["algorithm"] == "TV-L1"
    assert flows.metadata["parameters"]["warps"] == 2
    assert (flows.metadata["frame_rate"], flows.metadata["short_side"]) == (12.5, SIDE)


def test_job_keeps_files_that_are_there(data_dir, flow_dir):
    compute_flow_files([data_dir / "run/a.mp4"], flow_dir, data_dir, **QUICKLY)
    before = (flow_dir / "run/a.flow.zip").stat()
    report = compute_flow_files([], flow_dir, data_dir, **QUICKLY)
    assert (report.computed, report.kept) == (2, 1)
    after = (flow_dir / "run/a.flow.zip").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert compute_flow_files([], flow_dir, data_dir, **QUICKLY).kept == 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"engine": "opencv", "preset": "fast"}, "algorithm DIS, not TV-L1"),
        ({"preset": "fast"}, "parameters: preset medium, not fast"),
        ({"frame_rate": 12.5}, "frame_rate 25.0, not 12.5"),
        ({"short_side": 40}, "short_side 32, not 40"),
    ],
)
def test_job_replaces_files_made_otherwise_only_when_asked(data_dir, flow_dir, change, reason):
    compute_flow_files([], flow_dir, data_dir, **QUICKLY)
    before = (flow_dir / "run/a.flow.zip").read_bytes()
    settings = {**QUICKLY, **change}
    with pytest.raises(ValueError, match=rf"a\.flow\.zip: it exists .* {reason}\. Give anot"):
        compute_flow_files([], flow_dir, data_dir, **settings)
    assert (flow_dir / "run/a.flow.zip").read_bytes() == before
    report = compute_flow_files([], flow_dir, data_dir, **settings, overwrite=True)
    assert (report.computed, report.kept) == (3, 0)
    assert (flow_dir / "run/a.flow.zip").read_bytes() != before
    assert compute_flow_files([], flow_dir, data_dir, **settings, overwrite=True).kept == 3


def test_job_makes_flow_of_replaced_video_anew(data_dir, flow_dir, moving, capsys):
    compute_flow_files([], flow_dir, data_dir, **QUICKLY)
    video, target = data_dir / "run/a.mp4", flow_dir / "run/a.flow.zip"
    changes = {
        f"bytes {len(moving)}, not {len(moving) + 8}": moving + b"\0" * 8,
        "its first or last bytes are others": moving[:-1] + b"\1",
    }
    for difference, content in changes.items():
        video.write_bytes(content)
        report = compute_flow_files([], flow_dir, data_dir, **QUICKLY)
        assert (report.computed, report.kept) == (1, 2)
        assert capsys.readouterr().out == (
            f"{target}: it is the flow of another video than {video} ({difference}); "
            "it is made anew.\n"
        )
        assert open_flow_file(target).metadata["source"]["bytes"] == len(content)
        assert compute_flow_files([], flow_dir, data_dir, **QUICKLY).kept == 3
        video.write_bytes(moving)
        compute_flow_files([], flow_dir, data_dir, **QUICKLY)
        capsys.readouterr()


def test_videos_that_differ_in_their_endings_have_flow_files_of_their_own(
    data_dir, flow_dir, moving
):
    one, other = data_dir / "run/a.mp4", data_dir / "run/a.avi"
    compute_flow_files([one], flow_dir, data_dir, **QUICKLY)
    other.write_bytes(moving + b"\0" * 8)
    before = (flow_dir / "run/a.flow.zip").read_bytes()
    assert compute_flow_files([other], flow_dir, data_dir, **QUICKLY).computed == 1
    report = compute_flow_files([], flow_dir, data_dir, **QUICKLY)
    assert (report.computed, report.kept) == (2, 2)
    assert (flow_dir / "run/a.flow.zip").read_bytes() == before
    for video, name in ((one, "a.flow.zip"), (other, "a.avi.flow.zip")):
        assert find_flow(video, flow_dir, data_dir) == flow_dir / "run" / name
        assert open_flow_file(flow_dir / "run" / name).metadata["source"]["name"] == video.name


def test_flow_of_a_video_that_is_gone_is_replaced(data_dir, flow_dir, moving):
    one, other = data_dir / "run/a.mp4", data_dir / "run/a.avi"
    compute_flow_files([one], flow_dir, data_dir, **QUICKLY)
    other.write_bytes(moving + b"\0" * 8)
    one.unlink()
    assert compute_flow_files([other], flow_dir, data_dir, **QUICKLY).computed == 1
    assert files_below(flow_dir) == ["run", "run/a.flow.zip"]


def test_job_keeps_flow_of_video_whose_accents_are_stored_otherwise(data_dir, flow_dir):
    compute_flow_files([], flow_dir, data_dir, **QUICKLY)
    other = data_dir / "walk" / unicodedata.normalize("NFD", "größe.MP4")
    (data_dir / "walk/größe.MP4").rename(other)
    assert compute_flow_files([], flow_dir, data_dir, **QUICKLY).kept == 3


def test_job_keeps_flow_of_renamed_video(data_dir, flow_dir, capsys):
    compute_flow_files([data_dir / "run/a.mp4"], flow_dir, data_dir, **QUICKLY)
    (data_dir / "run/a.mp4").rename(data_dir / "run/a.m4v")
    assert compute_flow_files([data_dir / "run/a.m4v"], flow_dir, data_dir, **QUICKLY).kept == 1
    assert capsys.readouterr().out == ""


def test_job_notices_damaged_flow_file(data_dir, flow_dir):
    compute_flow_files([], flow_dir, data_dir, **QUICKLY)
    target = flow_dir / "run/a.flow.zip"
    whole = target.read_bytes()
    target.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match="not a whole ZIP archive"):
        compute_flow_files([], flow_dir, data_dir, **QUICKLY)
    assert compute_flow_files([], flow_dir, data_dir, **QUICKLY, overwrite=True).computed == 1
    assert target.read_bytes() == whole


@pytest.mark.parametrize("processes", [1, 2])
def test_job_reports_bad_videos_and_finishes_the_others(data_dir, flow_dir, processes, capsys):
    (data_dir / "bad.mp4").write_bytes(b"")
    (data_dir / "run" / "text.avi").write_text("not a video")
    report = compute_flow_files([], flow_dir, data_dir, "dis", short_side=SIDE, processes=processes)
    assert report.computed == 3
    failed = dict(report.failed)
    assert failed[str(data_dir / "bad.mp4")] == "it is empty (0 bytes)"
    assert "not a video that FFmpeg can read" in failed[str(data_dir / "run" / "text.avi")]
    lines = capsys.readouterr().err.splitlines()
    assert f"error: {data_dir / 'bad.mp4'}: it is empty (0 bytes)" in lines
    assert len(lines) == 2
    assert files_below(flow_dir) == MIRRORED
    again = compute_flow_files([], flow_dir, data_dir, **QUICKLY)
    assert (again.computed, again.kept, len(again.failed)) == (0, 3, 2)


@pytest.mark.parametrize("processes", [1, 2])
def test_job_does_what_fits_of_videos_with_long_names(data_dir, flow_dir, moving, processes):
    letters = ["a" * 246, "é" * 123, "a" * 251, "体" * 83]  # .mp4 becomes .flow.zip
    for letter in letters:
        (data_dir / f"{letter}.mp4").write_bytes(moving)
    report = compute_flow_files(
        [], flow_dir, data_dir, engine="dis", short_side=SIDE, processes=processes
    )
    reason = "its output cannot be written: its name has {} bytes, which is too long"
    assert dict(report.failed) == {
        str(data_dir / f"{letters[2]}.mp4"): reason.format(260),
        str(data_dir / f"{letters[3]}.mp4"): reason.format(258),
    }
    assert {*files_below(flow_dir)} >= {f"{letter}.flow.zip" for letter in letters[:2]}
    assert report.computed == 5


def test_job_reports_too_little_memory(data_dir, flow_dir, monkeypatch):
    def write(video, *_, **__):
        raise MemoryError

    monkeypatch.setattr(module, "write_video_flow", write)
    report = compute_flow_files([data_dir / "run/a.mp4"], flow_dir, **QUICKLY)
    assert report.failed == ((str(data_dir / "run/a.mp4"), "there is not enough memory for it"),)


def test_job_reports_video_that_ends_its_process(data_dir, flow_dir, repository_root, monkeypatch):
    monkeypatch.syspath_prepend(repository_root)  # where the processes find this file
    monkeypatch.setattr(module, "_compute_on_one_core", _die)
    report = compute_flow_files([], flow_dir, data_dir, "dis", short_side=SIDE, processes=2)
    assert {reason for _, reason in report.failed} == {DIED}
    assert files_below(flow_dir) == ["run", "walk"]


def _die(task, staging):
    (staging / "half").write_text("half")
    os._exit(1)


def test_job_without_data_dir_puts_files_together(data_dir, flow_dir):
    report = compute_flow_files([data_dir / "run", data_dir / "walk"], flow_dir, **QUICKLY)
    assert report.computed == 3
    assert files_below(flow_dir) == ["a.flow.zip", "b c.flow.zip", "größe.flow.zip"]


def test_job_reads_lists(data_dir, flow_dir, tmp_path):
    (data_dir / "list.txt").write_text("\ufeffrun/a.mp4\r\n\r\n walk/größe.MP4 \n", "utf-8")
    report = compute_flow_files([data_dir / "list.txt"], flow_dir, data_dir, **QUICKLY)
    assert (report.computed, report.failed) == (2, ())
    assert files_below(flow_dir) == ["run", "run/a.flow.zip", "walk", "walk/größe.flow.zip"]
    flat = tmp_path / "flat"
    assert compute_flow_files([data_dir / "list.txt"], flat, **QUICKLY).computed == 2
    assert files_below(flat) == ["a.flow.zip", "größe.flow.zip"]


def test_job_refuses_videos_that_share_a_file(data_dir, flow_dir):
    (data_dir / "walk" / "a.avi").write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"run/a\.mp4 and .*walk/a\.avi would both become .*a\.flo"
    ):
        compute_flow_files([data_dir], flow_dir, **QUICKLY)
    assert not flow_dir.exists()


def test_job_removes_half_written_files_of_killed_jobs(data_dir, flow_dir):
    flow_dir.mkdir()
    (flow_dir / ".unfinished-0a1b2c3d").mkdir()
    (flow_dir / ".unfinished-0a1b2c3d" / "lock").touch()
    (flow_dir / ".unfinished-0a1b2c3d" / "half").write_bytes(b"half")
    with staging_dir(flow_dir) as of_a_running_job:
        (flow_dir / ".unfinished-1a2b3c4d").mkdir()
        compute_flow_files([data_dir / "run/a.mp4"], flow_dir, **QUICKLY)
        names = [of_a_running_job.name, f"{of_a_running_job.name}/lock", "a.flow.zip"]
        assert files_below(flow_dir) == names


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"short_side": 15}, "`short_side` must be an integer >= 16; received 15"),
        ({"short_side": 32.0}, "`short_side` must be an integer >= 16; received 32.0"),
        ({"frame_rate": 0}, "`frame_rate` must be a number > 0; received 0"),
        ({"engine": "tvl1"}, r"`engine` must be one of .*'dis'\); received 'tvl1'"),
        ({"preset": "slow"}, r"one of \('default', 'fast'\); received 'slow'"),
        ({"processes": 0}, r"`processes` must be an integer within 1\.\.1024; received 0"),
        ({"videos": [], "data_dir": None}, "no video was named"),
        ({"videos": ["elsewhere/a.mp4"]}, "`video` must be below `data_dir`"),
    ],
)
def test_job_names_wrong_arguments_before_anything_is_made(data_dir, flow_dir, change, message):
    arguments = {"videos": [], "flow_dir": flow_dir, "data_dir": data_dir, **QUICKLY, **change}
    with pytest.raises(ValueError, match=message):
        compute_flow_files(**arguments)
    assert not flow_dir.exists()


def test_job_chooses_processes_by_engine(data_dir, flow_dir, monkeypatch):
    asked = []

    def record(work, processes=1, died=""):
        asked.append(processes)
        return lambda tasks, staging: ()

    monkeypatch.setattr(module, "run_each", record)
    for engine in ("opencv", "dis"):
        compute_flow_files([], flow_dir, data_dir, engine)
    assert asked == [1, processor_count()]


def test_job_of_several_processes_keeps_opencv_to_one_thread(data_dir, flow_dir, monkeypatch):
    limited = []
    monkeypatch.setattr(module, "run_each", lambda work, *_: run_each(work))  # in this process
    monkeypatch.setattr(module, "use_one_opencv_thread", lambda: limited.append(1))
    compute_flow_files([data_dir / "run"], flow_dir, **{**QUICKLY, "processes": 2})
    assert len(limited) == 2
    compute_flow_files([data_dir / "walk"], flow_dir, **QUICKLY)
    assert len(limited) == 2


@pytest.fixture
def heard_ctrl_c():
    """Children hear Ctrl-C also where the tests run in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("processes", [1, 2])
def test_job_stopped_by_ctrl_c_leaves_no_half_file(
    repository_root, data_dir, flow_dir, processes, heard_ctrl_c
):
    command = [
        sys.executable,
        repository_root / "tools" / "compute_flow.py",
        f"--data_dir={data_dir}",
        f"--flow_dir={flow_dir}",
        "--engine=opencv",  # slow enough to be interrupted at this size
        "--short_side=256",
        f"--processes={processes}",
    ]
    job = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        # Besides the half-written files there is a lock.
        while len(list(flow_dir.glob(".unfinished-*/*"))) < processes + 1:
            assert job.poll() is None, job.stderr.read()
            time.sleep(0.01)
        os.killpg(job.pid, signal.SIGINT)  # as a terminal does, to all processes
        output, errors = job.communicate(timeout=60)
    finally:
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)
    assert (job.returncode, output, errors) == (130, "", "Stopped; what was finished is kept.\n")
    assert {path for path in files_below(flow_dir) if path not in MIRRORED} == set()
    assert all(open_flow_file(path).frames == 12 for path in flow_dir.rglob("*.flow.zip"))


def test_tool_computes_and_resumes(repository_root, data_dir, flow_dir):
    (data_dir / "bad.mp4").write_bytes(b"")
    command = [
        sys.executable,
        repository_root / "tools" / "compute_flow.py",
        f"--data_dir={data_dir}",
        f"--flow_dir={flow_dir}",
        "--engine=dis",
        "--short_side=32",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == f"{flow_dir}: 3 computed (DIS by dis), 0 already there, 1 failed\n"
    assert done.stderr == f"error: {data_dir / 'bad.mp4'}: it is empty (0 bytes)\n"
    (data_dir / "bad.mp4").unlink()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 computed (DIS by dis), 3 already there, 0 failed" in done.stdout


def test_import_does_not_import_tensorflow(repository_root):
    code = "import sys, i3d_tf.flow.compute_files; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_job_never_replaces_another_archive(data_dir, flow_dir):
    compute_flow_files([], flow_dir, data_dir, **QUICKLY)
    (target, *_) = sorted(flow_dir.rglob("*.flow.zip"))
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("photos.txt", "mine")
    with pytest.raises(
        FileExistsError, match=r"\.flow\.zip: exists already and was not written by"
    ):
        compute_flow_files([], flow_dir, data_dir, **QUICKLY, overwrite=True)
