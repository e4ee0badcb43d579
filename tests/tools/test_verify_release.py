def test_verify_release_names_missing_files(run_tool, tmp_path):
    status, out, err = run_tool(
        "verify_release", f"--checkpoint_dir={tmp_path}", f"--sample_dir={tmp_path}"
    )
    assert (status, out) == (1, [])
    assert err == [
        f"error: {tmp_path}/v_CricketShot_g04_c01_rgb.npy: no such file. Add --download, or copy "
        "data/v_CricketShot_g04_c01_rgb.npy of the upstream repository there."
    ]


def test_verify_release_refuses_an_empty_list_of_streams(run_tool, tmp_path):
    status, out, err = run_tool("verify_release", "--streams=", f"--sample_dir={tmp_path}")
    assert (status, out) == (1, [])
    assert err == ["error: `streams` must be some of ('rgb', 'flow', 'joint'); received []."]
