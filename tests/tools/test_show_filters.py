from i3d_tf.experiments.show_filters import ANIMATION, SHEET


def test_show_filters_prints_the_paths(run_tool, tiny_dir, tmp_path):
    status, out, err = run_tool(
        "show_filters",
        f"--output_dir={tmp_path}",
        f"--checkpoint_dir={tiny_dir}",
        "tiny_rgb",
        "tiny_flow",
    )
    assert (status, err) == (0, [])
    assert out == [str(tmp_path / SHEET), str(tmp_path / ANIMATION)]


def test_show_filters_prints_one_line_for_bad_input(run_tool, tiny_dir, tmp_path):
    options = [f"--output_dir={tmp_path / 'out'}", f"--checkpoint_dir={tiny_dir}"]
    for names, said in (
        ([], "error: no network is named. Name at least one."),
        (["tiny"], f"error: No weights named 'tiny' in {tiny_dir}, "),
    ):
        status, out, err = run_tool("show_filters", *options, *names)
        assert (status, out, len(err)) == (1, [], 1)
        assert err[0].startswith(said)
    assert not (tmp_path / "out").exists()
