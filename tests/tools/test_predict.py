import json
import signal
import subprocess

import pytest

SMALL = ("--rgb_checkpoint=small_rgb", "--flow_checkpoint=small_flow")


@pytest.fixture
def folder(write_grey_video, tmp_path):
    """A folder with two videos, one with blanks and accents in its name."""
    folder = tmp_path / "vidéos [raw]"
    folder.mkdir()
    for name in ("good.mp4", "ünï côdé.mp4"):
        write_grey_video(folder / name, range(0, 200, 10))
    return folder


def test_predict_prints_json_lines_of_good_and_bad_videos(
    run_tool, small_dir, folder, write_bad_videos
):
    reasons = write_bad_videos(folder)
    status, out, err = run_tool(
        "predict", *SMALL, f"--checkpoint_dir={small_dir}", "--json", "--top=2", folder
    )
    assert (status, err) == (1, [])
    records = {record["path"]: record for record in map(json.loads, out)}
    assert list(records) == sorted(str(path) for path in folder.iterdir())
    for name, reason in reasons.items():
        record = records.pop(str(folder / name))
        assert set(record) == {"path", "stream", "error"}
        assert record["error"].startswith(reason)
    assert len(records) == 2
    for record in records.values():
        assert (record["stream"], record["frames"], record["seconds"]) == ("rgb", 20, 0.8)
        assert len(record["top"]) == 2
        assert set(record["top"][0]) == {"class", "index", "probability", "logit"}


def test_predict_prints_a_table_of_both_streams(run_tool, small_dir, write_grey_video, tmp_path):
    video = write_grey_video(tmp_path / "good.mp4", range(0, 90, 10))
    status, out, err = run_tool(
        "predict",
        *SMALL,
        f"--checkpoint_dir={small_dir}",
        "--stream=joint",
        "--flow_engine=opencv",
        video,
    )
    assert (status, err) == (0, [])
    assert out[0] == f"{video}  (joint, 9 frames, 0.36 s)"
    assert sorted(line.split()[0] for line in out[2:7]) == sorted(
        ["one", "two", "three", "four", "five"]
    )
    assert sum(float(line.split()[1]) for line in out[2:7]) == pytest.approx(1, abs=5e-4)


def test_flags_of_the_protocol_reach_the_predictor(
    run_tool, write_grey_video, tmp_path, monkeypatch
):
    def refuse(*_, protocol, **__):
        raise ValueError(f"received {protocol}")

    monkeypatch.setattr("i3d_tf.inference.predictor.Predictor", refuse)
    video = write_grey_video(tmp_path / "good.mp4", range(0, 90, 10))
    flags = ("--segments=25", "--crops=10", "--crop_set=corners")
    assert run_tool("predict", *flags, video)[2] == [
        "error: received {'segments': 25, 'crops': 10, 'crop_set': 'corners'}"
    ]
    assert run_tool("predict", video)[2] == ["error: received {}"]
    assert run_tool("predict", "--window=64", "--crops=3", video)[2] == [
        "error: --window cannot be combined with --crops."
    ]


def test_predict_prints_one_line_for_missing_weights(run_tool, tmp_path):
    status, out, err = run_tool("predict", f"--checkpoint_dir={tmp_path}", "video.mp4")
    assert (status, out, len(err)) == (1, [], 1)
    assert err[0].startswith("error: rgb_imagenet: not in ")
    assert "I3D_TF_OFFLINE forbids downloads" in err[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143)],
)
def test_signal_ends_predict_with_one_line(tool_command, small_dir, folder, number, status):
    # Jobs that a shell starts in the background ignore the signal, and so would their children.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    # More videos than can be classified before the signal comes, at the first prediction.
    videos = []
    for index in range(200):
        videos.append(folder / f"{index}.mp4")
        videos[-1].symlink_to(folder / "good.mp4")
    command = tool_command("predict", *SMALL, f"--checkpoint_dir={small_dir}", "--json", *videos)
    with subprocess.Popen(**command) as process:
        signal.signal(signal.SIGINT, before)
        first = json.loads(process.stdout.readline())
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert first["path"] == str(videos[0])
    assert len(out.splitlines()) < len(videos) - 1
    assert all(json.loads(line)["top"] for line in out.splitlines())
    assert err == "Stopped; what was finished is kept.\n"
    assert process.returncode == status


def test_missing_videos_are_reported_before_networks_are_opened(run_tool):
    status, out, err = run_tool("predict", "--rgb_checkpoint=rgb_imagenet")
    assert (status, out) == (1, [])
    assert err == ["error: no video was named; give files, folders or glob patterns."]


@pytest.mark.slow
def test_checkpoint_is_of_any_stream(run_tool, small_dir, folder):
    arguments = (
        f"--checkpoint_dir={small_dir}",
        "--json",
        "--flow_engine=dis",
        folder / "good.mp4",
    )
    for stream in ("rgb", "flow"):
        status, out, err = run_tool("predict", f"--checkpoint=small_{stream}", *arguments)
        assert (status, err) == (0, [])
        assert json.loads(out[0])["stream"] == stream
    status, out, err = run_tool(
        "predict", "--checkpoint=a", "--rgb_checkpoint=b", "--stream=rgb", "c"
    )
    message = "error: --checkpoint cannot be combined with --stream and --rgb_checkpoint."
    assert (status, out, err) == (1, [], [message])


@pytest.mark.slow
def test_explain_writes_maps_of_the_named_class(run_tool, small_dir, folder, tmp_path):
    places = (f"--checkpoint_dir={small_dir}", f"--explain_output={tmp_path / 'out'}")
    status, out, err = run_tool(
        "predict", *SMALL, *places, "--explain=gradcam", "--explain_class=two", folder / "good.mp4"
    )
    assert (status, err) == (0, [])
    assert len(out) > 2
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [f"good_gradcam.{ending}" for ending in ("json", "mp4", "png")]
    record = json.loads((tmp_path / "out/good_gradcam.json").read_text())
    assert record["class"] == {"class": "two", "index": 1}


def test_explain_flags_that_do_not_fit_are_one_line(run_tool):
    for flags, message in (
        (["--explain_class=two"], "--explain_class cannot be given without --explain."),
        (["--explain=gradcam", "--window=9"], "--explain cannot be combined with --window."),
        (
            ["--explain=gradcam", "--output_dir=x"],
            "--explain cannot be combined with --output_dir.",
        ),
    ):
        assert run_tool("predict", *flags, "video.mp4") == (1, [], [f"error: {message}"])
