"""Flags of how videos are read: the same in every tool that reads them."""

import json

import pytest

from i3d_tf.video.options import VARIABLE, video_options


@pytest.fixture(autouse=True)
def usual_options(monkeypatch):
    monkeypatch.setenv(VARIABLE, "")


@pytest.fixture
def broken(numbered_frames, make_video, with_damaged_packet, tmp_path):
    """A video of 60 frames, a key frame every 20, whose frames 30 to 39 are damaged."""
    video = make_video(numbered_frames(60), options={"g": "20", "bf": "0"})
    path = tmp_path / "broken.mp4"
    path.write_bytes(with_damaged_packet(video, 30))
    return path


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*it is damaged")
def test_predict_counts_what_it_conceals(broken, small_dir, run_tool):
    arguments = ("--json", "--rgb_checkpoint=small_rgb", f"--checkpoint_dir={small_dir}", broken)
    status, out, _ = run_tool("predict", *arguments)
    assert (status, "damaged" in json.loads(out[0])["error"]) == (1, True)
    status, out, _ = run_tool("predict", "--damaged=conceal", *arguments)
    assert status == 0
    assert json.loads(out[0])["concealed_frames"] == 10
    assert json.loads(out[0])["frames"] == 60


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*it is damaged")
def test_features_tell_what_was_concealed(broken, small_dir, run_tool, tmp_path):
    arguments = (
        "--rgb_weights=small_rgb",
        f"--checkpoint_dir={small_dir}",
        f"--output_dir={tmp_path / 'features'}",
        broken,
    )
    assert run_tool("extract_features", *arguments)[0] == 1
    assert run_tool("extract_features", "--damaged=conceal", *arguments)[0] == 0
    (path,) = (tmp_path / "features").glob("*.json")
    metadata = json.loads(path.read_text())
    assert metadata["concealed_frames"] == 10
    assert metadata["source"]["damaged"] == "conceal"


@pytest.mark.parametrize(
    "tool",
    ["predict", "extract_features", "compute_flow", "fvd", "train", "evaluate", "make_records"],
)
def test_tools_know_the_flags(tool, run_tool):
    for flag in ("--damaged=hide", "--deinterlace=hide", "--pixel_aspect=hide"):
        status, _, err = run_tool(tool, flag)
        name = flag[2:].partition("=")[0]
        assert (status, f"flag --{name}=hide" in " ".join(err)) == (1, True)


def test_options_come_from_flags(run_tool):
    flags = ("--damaged=conceal", "--deinterlace", "--pixel_aspect")
    assert run_tool("predict", *flags, "no such video.mp4")[0] == 1
    options = {"damaged": "conceal", "deinterlace": True, "pixel_aspect": True}
    assert video_options().unusual() == options
