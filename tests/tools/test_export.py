import json

import pytest


@pytest.mark.slow
def test_predict_classifies_with_an_export(run_tool, small_export, moving_video):
    arguments = (f"--saved_model={small_export}", "--json", "--top=2", moving_video(30))
    status, out, err = run_tool("predict", *arguments)
    assert (status, err) == (0, [])
    (prediction,) = map(json.loads, out)
    assert (prediction["stream"], prediction["frames"]) == ("rgb", 30)
    assert len(prediction["top"]) == 2


def test_export_prints_one_line_for_bad_arguments(run_tool, small_export, small_dir, tmp_path):
    for arguments, reason in (
        ((), "error: --checkpoint and --output_dir must be given; see --help."),
        (
            ("--checkpoint=small_rgb", f"--output_dir={small_export}"),
            f"error: {small_export}: exists already; name another folder or remove it.",
        ),
        (
            ("--checkpoint=none", f"--output_dir={tmp_path}/new", f"--checkpoint_dir={small_dir}"),
            f"error: No weights named 'none' in {small_dir}",
        ),
    ):
        status, out, err = run_tool("export", *arguments)
        assert (status, out, len(err)) == (1, [], 1)
        assert err[0].startswith(reason)
    assert list(tmp_path.iterdir()) == []


def test_predict_refuses_flags_without_effect_beside_an_export(run_tool, small_export):
    arguments = (
        f"--saved_model={small_export}",
        "--stream=flow",
        "--flow_engine=numba",
        "video.mp4",
    )
    status, out, err = run_tool("predict", *arguments)
    assert (status, out) == (1, [])
    assert err == ["error: --saved_model cannot be combined with --stream and --flow_engine."]
