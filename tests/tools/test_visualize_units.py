import pytest


def test_visualize_units_prints_one_line_for_bad_input(run_tool, small_dir, tmp_path):
    options = [f"--output_dir={tmp_path / 'out'}", f"--checkpoint_dir={small_dir}"]
    for flags, said in (
        (["--checkpoint=small"], f"error: No weights named 'small' in {small_dir}, "),
        (["--checkpoint=small_rgb", "--time_weights=1,x"], "error: --time_weights must be numbers"),
    ):
        status, out, err = run_tool("visualize_units", *options, *flags)
        assert (status, out, len(err)) == (1, [], 1)
        assert err[0].startswith(said)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_visualize_units_prints_the_paths(run_tool, small_dir, tmp_path):
    status, out, err = run_tool(
        "visualize_units",
        "--checkpoint=small_rgb",
        f"--checkpoint_dir={small_dir}",
        f"--output_dir={tmp_path}",
        *("--endpoint=Logits", "--channels=two", "--steps=2", "--frames=9", "--size=32"),
    )
    assert (status, err) == (0, [])
    names = ("Logits_0001.mp4", "units.png", "units.json")
    assert out == [str(tmp_path / name) for name in names]
