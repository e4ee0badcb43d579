import random
import signal
import subprocess
import time

import numpy as np
import pytest

import i3d_tf

STICK = ("--rgb_checkpoint=stick_actions_rgb", "--flow_checkpoint=stick_actions_flow")


@pytest.fixture
def videos(write_grey_video, tmp_path):
    """A folder with five videos, two of them below it, of 9 to 17 frames at 8 1/3 a second."""
    folder = tmp_path / "vidéos [raw]"
    (folder / "more").mkdir(parents=True)
    for number, name in enumerate(("a.mp4", "b.mp4", "ünï côdé.mp4", "more/a.mp4", "more/b.mp4")):
        write_grey_video(folder / name, range(0, 81 + 18 * number, 3))
    return folder


def contents(folder):
    return {
        p.relative_to(folder).as_posix(): p.is_file() and p.read_bytes() for p in folder.rglob("*")
    }


@pytest.mark.slow
def test_extract_features_resumes_after_a_kill_with_the_same_files(
    run_tool, tool_command, videos, tmp_path
):
    for name in ("c", "d", "e"):
        (videos / f"{name}.mp4").write_bytes((videos / "ünï côdé.mp4").read_bytes())
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    status, out, err = run_tool("extract_features", *STICK, f"--output_dir={whole}", videos)
    assert (status, out, err) == (0, [f"{whole}: 8 extracted, 0 already there, 0 failed"], [])
    assert len(contents(whole)) == 17  # and the folder "more"
    command = tool_command("extract_features", *STICK, f"--output_dir={broken}", videos)
    there = random.randint(1, 7)  # another moment each time: what follows must always hold
    with subprocess.Popen(**command) as job:
        while job.poll() is None and len(list(broken.rglob("*.npy"))) < there:
            time.sleep(0.002)
        time.sleep(random.uniform(0, 0.05))
        job.send_signal(signal.SIGKILL)
    status, out, err = run_tool("extract_features", *STICK, f"--output_dir={broken}", videos)
    assert (status, err) == (0, [])
    assert " already there, 0 failed" in out[0]
    assert " 0 already there" not in out[0]
    assert contents(broken) == contents(whole)


@pytest.mark.slow
def test_extract_features_of_flow_windows_skips_bad_videos(
    run_tool, videos, write_bad_videos, tmp_path
):
    reasons = write_bad_videos(videos)
    status, out, err = run_tool(
        "extract_features",
        *(*STICK, "--stream=flow", "--flow_engine=dis", "--window=9", "--stride=1", "--format=npz"),
        *("--batch_size=3", "--precision=bfloat16", f"--output_dir={tmp_path / 'out'}", videos),
    )
    assert status == 1
    assert out == [f"{tmp_path / 'out'}: 5 extracted, 0 already there, {len(reasons)} failed"]
    assert len(err) == len(reasons)
    assert all(line.startswith(f"error: {videos}/") for line in err)
    found = i3d_tf.read_features(tmp_path / "out" / "more" / "b.npz")
    assert found.features.shape == (9, 256)  # a quarter of 1024
    np.testing.assert_allclose(found.times[:2] * 25, [[0, 13.5, 27], [3, 16.5, 30]])
    assert found.metadata["precision"] == "bfloat16"


@pytest.mark.slow
def test_extract_features_prints_and_keeps_a_profile_and_what_overrides_it(
    run_tool, videos, tmp_path
):
    target = tmp_path / "out"
    flags = ("--profile=ucf_crime", "--crops=5", "--stride=8", f"--output_dir={target}")
    status, out, err = run_tool("extract_features", *STICK, *flags, videos / "a.mp4")
    assert (status, err) == (0, [])
    assert out[0].startswith("--profile=ucf_crime: --frame_rate=native --size=340x256 ")
    assert out[1:] == [
        "overridden: --crops=5 (profile: 10)",
        "overridden: --stride=8 (profile: 16)",
        f"{target}: 1 extracted, 0 already there, 0 failed",
    ]
    assert sorted(contents(target)) == ["a__0.npy", "a__0.npy.json"] + [
        f"a__{k}.npy" for k in range(1, 5)
    ]
    metadata = i3d_tf.read_features(target / "a__0.npy").metadata
    assert metadata["profile"]["name"] == "ucf_crime"
    assert metadata["profile"]["overridden"] == ["crops", "stride"]
    assert metadata["profile"]["flags"]["tail"] == metadata["tail"] == "repeat"
    status, out, _ = run_tool("extract_features", *flags, "--status", videos / "a.mp4")
    assert (status, out[-1]) == (0, f"{target}: 1 of 1 done, 0 missing, 0 failed")


def test_extract_features_counts_short_videos_and_names_the_flag(run_tool, videos, tmp_path):
    flags = ("--window=64", f"--output_dir={tmp_path / 'out'}")
    status, out, err = run_tool("extract_features", *STICK, *flags, videos / "a.mp4")
    assert status == 1
    assert out == [f"{tmp_path / 'out'}: 0 extracted, 0 already there, 1 failed"]
    assert err[0].endswith("at least 64 are needed, or --short=loop or --short=repeat")
    status, out, _ = run_tool("extract_features", *STICK, *flags, "--short=loop", videos / "a.mp4")
    assert (status, out) == (0, [f"{tmp_path / 'out'}: 1 extracted, 0 already there, 0 failed"])


def test_extract_features_prints_one_line_for_bad_flags(run_tool, tmp_path):
    target = tmp_path / "out"
    status, out, err = run_tool("extract_features", f"--output_dir={target}", "--stride=9", "x.mp4")
    assert (status, out, len(err)) == (1, [], 1)
    assert err[0].startswith("error: `stride` must be a multiple of 8, the stride of Mixed_5c")
    assert not target.exists()


@pytest.mark.slow
def test_ctrl_c_ends_extract_features_with_one_line(tool_command, videos, tmp_path):
    # Jobs that a shell starts in the background ignore the signal, and so would their children.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in range(2000):
        (videos / f"link{number}.mp4").symlink_to(videos / "a.mp4")
    output_dir = tmp_path / "out"
    command = tool_command("extract_features", *STICK, f"--output_dir={output_dir}", videos)
    with subprocess.Popen(**command) as job:
        signal.signal(signal.SIGINT, before)
        while job.poll() is None and not list(output_dir.glob("*.npy")):
            time.sleep(0.01)
        job.send_signal(signal.SIGINT)
        out, err = job.communicate(timeout=60)
    assert (out, err) == ("", "Stopped; what was finished is kept.\n")
    assert job.returncode == 130
    names = set(contents(output_dir))
    assert not any(name.startswith(".") for name in names)
    assert {f"{name}.json" for name in names if name.endswith(".npy")} <= names
