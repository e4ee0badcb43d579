import json
import signal
import subprocess

import cv2
import numpy as np
import pytest

from i3d_tf.metrics.frechet import FeatureStatistics

SMALL = ("--checkpoint=tiny_rgb", "--frames=9", "--size=32")


@pytest.fixture
def folder(write_grey_video, tmp_path):
    """A folder with three videos, one with blanks and accents in its name."""
    folder = tmp_path / "vidéos [raw]"
    folder.mkdir()
    for number, name in enumerate(("a.mp4", "b.mp4", "ünï côdé.mp4")):
        write_grey_video(folder / name, range(30 * number, 30 * number + 100, 10))
    return folder


@pytest.mark.slow
def test_fvd_of_a_folder_with_bad_videos_and_arrays(
    run_tool, tiny_dir, folder, write_bad_videos, tmp_path
):
    reasons = write_bad_videos(folder)
    np.save(tmp_path / "clips.npy", np.zeros((4, 9, 40, 50, 3), np.uint8))
    status, out, err = run_tool(
        "fvd",
        *(*SMALL, f"--checkpoint_dir={tiny_dir}", "--json", "--batch_size=2"),
        *(f"--real={folder}", f"--generated={tmp_path / 'clips.npy'}"),
        f"--generated={folder / 'a.mp4'}",
        f"--save_statistics={tmp_path / 'real.npz'}",
    )
    assert status == 1
    assert len(err) == len(reasons)
    assert all(line.startswith(f"error: {folder}/") for line in err)
    (record,) = map(json.loads, out)
    assert (record["real"], record["generated"], record["features"]) == (3, 5, 5)
    assert record["fvd"] > 0
    assert {failure["path"] for failure in record["failures"]} == {
        str(folder / name) for name in reasons
    }
    assert "below 6 the covariance is singular" in record["warning"]
    saved = FeatureStatistics.load(tmp_path / "real.npz")
    assert (saved.count, saved.metadata["frames"]) == (3, 9)


def test_fvd_of_a_set_with_itself_is_zero(run_tool, tiny_dir, folder):
    status, out, err = run_tool(
        "fvd",
        *(*SMALL, f"--checkpoint_dir={tiny_dir}", f"--real={folder}", f"--generated={folder}"),
    )
    assert status == 0
    assert out[0] == "FVD 0.0000"
    assert out[1].startswith("  3 real videos, 3 generated; 9 frames, 32 x 32, bilinear, in float")
    assert out[3] == "  protocol original, but frames 9, size 32"
    assert len(err) == 1
    assert err[0].startswith("warning: 3 samples of 5 features")


def test_fvd_of_arrays_of_floats_and_frame_folders(run_tool, tiny_dir, tmp_path):
    clips = np.random.default_rng(0).integers(0, 256, (3, 9, 40, 50, 1), np.uint8)
    floats = np.moveaxis(clips, -1, 1) / np.float32(127.5) - 1
    np.save(tmp_path / "a.npy", floats)
    for number, clip in enumerate(clips):
        (tmp_path / f"frames/{number}").mkdir(parents=True)
        for index, frame in enumerate(clip):
            cv2.imwrite(str(tmp_path / f"frames/{number}/{index:04}.png"), frame)
    arguments = (f"--checkpoint_dir={tiny_dir}", "--checkpoint=tiny_rgb", "--size=32")
    sets = (f"--real={tmp_path / 'a.npy'}", f"--generated={tmp_path / 'frames'}")
    layout = ("--axes=NCTHW", "--value_range=-1..1")
    status, out, err = run_tool("fvd", *arguments, *sets, *layout)
    assert (status, len(err)) == (0, 1)
    assert out[0] == "FVD 0.0000"
    assert out[1].startswith("  3 real videos, 3 generated; 9 frames,")
    assert out[3] == "  protocol original, but size 32"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--real=x.mp4", "--generated=y.mp4"), "rgb_scratch: not in "),
        (("video.mp4",), "unexpected arguments ['video.mp4']"),
        (("--self_check", "--real=x.mp4"), "--self_check cannot be combined with --real"),
    ],
)
def test_fvd_prints_one_line_for_bad_flags(run_tool, tmp_path, arguments, message):
    status, out, err = run_tool("fvd", f"--checkpoint_dir={tmp_path}", *arguments)
    assert (status, out, len(err)) == (1, [], 1)
    assert err[0].startswith("error: ")
    assert message in err[0]


@pytest.mark.slow
def test_ctrl_c_ends_fvd_with_one_line(tool_command, tiny_dir, folder, tmp_path):
    # Jobs that a shell starts in the background ignore the signal, and so would their children.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    # The statistics of the real videos say that the signal may come; the others take for ever.
    many = [f"--generated={folder / 'link'}{number}.mp4" for number in range(2000)]
    for number in range(2000):
        (folder / f"link{number}.mp4").symlink_to(folder / "a.mp4")
    bad = tmp_path / "bad.mp4"
    bad.touch()
    command = tool_command(
        "fvd",
        *(*SMALL, f"--checkpoint_dir={tiny_dir}", f"--save_statistics={tmp_path / 'real.npz'}"),
        *(f"--real={folder / 'a.mp4'}", f"--real={folder / 'b.mp4'}", f"--real={bad}"),
        *many,
    )
    with subprocess.Popen(**command) as process:
        signal.signal(signal.SIGINT, before)
        first = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert first == f"error: {bad}: it is empty (0 bytes)\n"
    assert (out, err) == ("", "Stopped; what was finished is kept.\n")
    assert process.returncode == 130
    assert list(tmp_path.glob(".*")) == []
