import json

import pytest


@pytest.fixture(scope="module")
def exported(run_tool, tiny_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports") / "tiny"
    arguments = ("--checkpoint=tiny_rgb", f"--checkpoint_dir={tiny_dir}", f"--output_dir={folder}")
    status, out, err = run_tool("export", *arguments)
    assert (status, err) == (0, [])
    assert out == [f"{folder}: exported as saved_model, float32"]
    return folder


def test_predict_answers_with_an_export_as_with_its_weights(
    run_tool, exported, tiny_dir, write_grey_video, tmp_path
):
    video = write_grey_video(tmp_path / "ramp.mp4", range(0, 200, 10))
    tops = []
    for arguments in (
        (f"--saved_model={exported}",),
        ("--rgb_checkpoint=tiny_rgb", f"--checkpoint_dir={tiny_dir}"),
    ):
        status, out, err = run_tool("predict", *arguments, "--json", "--top=2", video)
        assert (status, err) == (0, [])
        tops.append(json.loads(out[0])["top"])
    ours, theirs = tops
    assert [p["class"] for p in ours] == [p["class"] for p in theirs]
    assert ours[0]["probability"] == pytest.approx(theirs[0]["probability"], abs=1e-5)


def test_what_cannot_be_exported_is_one_line(run_tool, exported, tiny_dir, tmp_path):
    for arguments, reason in (
        ((), "error: --checkpoint and --output_dir must be given; see --help."),
        (
            ("--checkpoint=tiny_rgb", f"--output_dir={exported}"),
            f"error: {exported}: exists already; name another folder or remove it.",
        ),
        (
            ("--checkpoint=none", f"--output_dir={tmp_path}/new", f"--checkpoint_dir={tiny_dir}"),
            f"error: No weights named 'none' in {tiny_dir}",
        ),
    ):
        status, out, err = run_tool("export", *arguments)
        assert (status, out, len(err)) == (1, [], 1)
        assert err[0].startswith(reason)
    assert list(tmp_path.iterdir()) == []


def test_predict_says_which_flags_an_export_makes_idle(run_tool, exported):
    arguments = (f"--saved_model={exported}", "--stream=flow", "--flow_engine=numba", "video.mp4")
    status, out, err = run_tool("predict", *arguments)
    assert (status, out) == (1, [])
    assert err == ["error: --saved_model cannot be combined with --stream and --flow_engine."]
