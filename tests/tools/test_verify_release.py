def test_without_the_files_it_says_what_is_missing(run_tool, tmp_path):
    status, out, err = run_tool(
        "verify_release", f"--checkpoint_dir={tmp_path}", f"--sample_dir={tmp_path}"
    )
    assert (status, out) == (1, [])
    assert err == [
        f"error: {tmp_path}/v_CricketShot_g04_c01_rgb.npy: no such file. Add --download, or copy "
        "data/v_CricketShot_g04_c01_rgb.npy of the upstream repository there."
    ]


def test_no_stream_at_all_is_an_error(run_tool, tmp_path):
    status, out, err = run_tool("verify_release", "--streams=", f"--sample_dir={tmp_path}")
    assert (status, out) == (1, [])
    assert err == ["error: `streams` must be some of ('rgb', 'flow', 'joint'); received []."]
