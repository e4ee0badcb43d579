import pytest


def test_make_stick_actions_prints_the_number_of_clips(run_tool, tmp_path):
    status, out, err = run_tool(
        "make_stick_actions",
        f"--data_dir={tmp_path}",
        "--train_clips=0",
        "--test_clips=1",
        "--size=64",
        "--processes=1",
    )
    assert (status, err) == (0, [])
    assert out == [f"{tmp_path}: 12 clips rendered, 0 already there"]
    assert len(list(tmp_path.rglob("*.mp4"))) == 12


@pytest.mark.parametrize(("kind", "file"), [("intervals", "intervals.csv"), ("scenes", "test.csv")])
def test_make_stick_actions_makes_the_kind_that_is_asked_for(run_tool, tmp_path, kind, file):
    none = ("--train_clips=0", "--test_clips=0")
    done = run_tool("make_stick_actions", f"--data_dir={tmp_path}", f"--kind={kind}", *none)
    assert done == (0, [f"{tmp_path}: 0 videos rendered, 0 already there"], [])
    assert (tmp_path / file).is_file()


def test_make_stick_actions_prints_one_line_for_bad_input(run_tool, tmp_path):
    status, out, err = run_tool("make_stick_actions", f"--data_dir={tmp_path / 'new'}", "--size=8")
    assert (status, out) == (1, [])
    assert err == ["error: `size` must be an integer within 64..1024; received 8."]
