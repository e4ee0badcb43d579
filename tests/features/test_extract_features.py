import shutil
from dataclasses import replace
from functools import partial

import pytest

import i3d_tf
from i3d_tf.data.feature_file import write_features
from i3d_tf.features import extract_features as extract_module
from i3d_tf.features import extractor as extractor_module
from i3d_tf.features.extract_features import extract_feature_files, feature_status
from i3d_tf.features.file_layout import FileLayout
from i3d_tf.features.frame_options import FrameOptions, FrameSize
from i3d_tf.features.options import FeatureOptions, feature_config
from i3d_tf.flow.compute_files import compute_flow_files
from i3d_tf.system import jobs
from i3d_tf.system.jobs import source_metadata

ENDPOINT = "Conv3d_1a_7x7"  # a quick one: 4 features each 2 frames
ALL = ["run", "run/a.npy", "run/a.npy.json", "run/b c.npy", "run/b c.npy.json"]


@pytest.fixture
def videos(tmp_path, moving_video):
    """A folder with two good videos: run/a.mp4 and run/b c.mp4."""
    folder = tmp_path / "videos" / "run"
    folder.mkdir(parents=True)
    for name, frames in (("a.mp4", 20), ("b c.mp4", 12)):
        (folder / name).write_bytes(moving_video(frames).read_bytes())
    return folder.parent


@pytest.fixture
def output_dir(tmp_path):
    return tmp_path / "features"


@pytest.fixture(scope="module")
def options(small_dir, networks_read_once):
    """Function: (stream, config) -> FeatureOptions, whose networks are read and traced once."""
    built, extractor = {}, extractor_module.FeatureExtractor

    def build(options):
        if options not in built:
            built[options] = extractor(options)
        return built[options]

    def make(stream="rgb", config=None):
        config = config or feature_config(ENDPOINT)
        names = {"rgb_checkpoint": "small_rgb", "flow_checkpoint": "small_flow"}
        return FeatureOptions(
            config, stream, checkpoint_dir=str(small_dir), flow_engine="dis", **names
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extractor_module, "FeatureExtractor", build)
        yield make


@pytest.fixture
def rgb(options):
    return options("rgb")


def files_below(folder):
    """Paths below a folder, without the hidden records of failures."""
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    return [path for path in found if not path.startswith(".")]


@pytest.mark.parametrize("window", [None, 9])
def test_every_video_below_a_folder_gets_a_file(videos, output_dir, options, window):
    config = feature_config(ENDPOINT, window=window)
    report = extract_feature_files([videos], output_dir, options("rgb", config))
    assert (report.extracted, report.kept, report.failed) == (2, 0, ())
    assert files_below(output_dir) == ALL
    found = i3d_tf.read_features(output_dir / "run/a.npy")
    assert found.features.shape == (2 if window else 10, 4)
    assert found.metadata["source"] == source_metadata(videos / "run/a.mp4")
    assert report.line() == f"{output_dir}: 2 extracted, 0 already there, 0 failed"


@pytest.mark.parametrize("file_format", ["npz", "h5"])
def test_other_formats(videos, output_dir, rgb, file_format):
    extract_feature_files([videos / "run"], output_dir, rgb, file_format)
    assert files_below(output_dir) == [f"a.{file_format}", f"b c.{file_format}"]
    assert i3d_tf.read_features(output_dir / f"a.{file_format}").features.shape == (10, 4)
    assert extract_feature_files([videos / "run"], output_dir, rgb, file_format).kept == 2


def test_existing_files_are_kept(videos, output_dir, rgb):
    extract_feature_files([videos], output_dir, rgb)
    before = (output_dir / "run/a.npy").stat()
    (output_dir / "run/b c.npy").unlink()
    report = extract_feature_files([videos], output_dir, rgb)
    assert (report.extracted, report.kept) == (1, 1)
    after = (output_dir / "run/a.npy").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert files_below(output_dir) == ALL


def test_videos_that_differ_in_their_endings_have_files_of_their_own(
    videos, output_dir, rgb, moving_video
):
    extract_feature_files([videos], output_dir, rgb)
    other = videos / "run/a.avi"  # which comes first by name, but later
    other.write_bytes(moving_video(12).read_bytes())
    report = extract_feature_files([videos], output_dir, rgb)
    assert (report.extracted, report.kept, report.failed) == (1, 2, ())
    for name, source in (("a.npy", "a.mp4"), ("a.avi.npy", "a.avi")):
        found = i3d_tf.read_features(output_dir / "run" / name).metadata["source"]["name"]
        assert found == source
    assert extract_feature_files([other], output_dir / "run", rgb).kept == 1
    assert feature_status([videos], output_dir).is_done


def test_files_made_otherwise_are_replaced_only_when_asked(videos, output_dir, options):
    rgb = options("rgb")
    extract_feature_files([videos], output_dir, rgb)
    before = (output_dir / "run/a.npy").read_bytes()
    other = options("rgb", feature_config(ENDPOINT, stride=4))
    with pytest.raises(ValueError, match=r"a\.npy: it exists .*: stride 2, not 4\. Name anot"):
        extract_feature_files([videos], output_dir, other)
    assert (output_dir / "run/a.npy").read_bytes() == before
    assert extract_feature_files([videos], output_dir, other, overwrite=True).extracted == 2
    assert extract_feature_files([videos], output_dir, other, overwrite=True).kept == 2
    assert len(i3d_tf.read_features(output_dir / "run/a.npy").features) == 5


def test_damaged_files_and_changed_videos_are_noticed(videos, output_dir, rgb):
    extract_feature_files([videos], output_dir, rgb)
    target = output_dir / "run/a.npy"
    whole = target.read_bytes()
    target.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match="not a whole feature file"):
        extract_feature_files([videos], output_dir, rgb)
    assert extract_feature_files([videos], output_dir, rgb, overwrite=True).extracted == 1
    assert target.read_bytes() == whole
    with open(videos / "run/a.mp4", "ab") as file:
        file.write(bytes(8))
    with pytest.raises(ValueError, match=r"source: bytes \d+, not \d+"):
        extract_feature_files([videos], output_dir, rgb)


def test_bad_videos_are_reported_and_the_others_finished(
    videos, output_dir, rgb, capsys, moving_video, write_bad_videos
):
    reasons = write_bad_videos(videos)
    (videos / "eight.mp4").write_bytes(moving_video(8).read_bytes())
    reasons["eight.mp4"] = "it has 8 frames at 25 per second; at least 9 are needed"
    report = extract_feature_files([videos], output_dir, rgb)
    assert report.extracted == 2
    failed = dict(report.failed)
    assert len(failed) == len(reasons)
    for name, reason in reasons.items():
        assert failed[str(videos / name)].startswith(reason)
    lines = capsys.readouterr().err.splitlines()
    assert f"error: {videos / 'empty.mp4'}: it is empty (0 bytes)" in lines
    assert len(lines) == len(reasons)
    assert files_below(output_dir) == ALL


def test_videos_with_long_names_fail_alone(videos, output_dir, rgb, moving_video):
    fits, too_long = "a" * 246, "é" * 124  # .npy.json is longer than .mp4
    for name in (fits, too_long):
        shutil.copy(moving_video(20), videos / f"{name}.mp4")
    report = extract_feature_files([videos], output_dir, rgb)
    assert report.failed == (
        (
            str(videos / f"{too_long}.mp4"),
            "its output cannot be written: its name has 257 bytes, which is too long",
        ),
    )
    assert (output_dir / f"{fits}.npy.json").is_file()
    assert len(list(output_dir.rglob("*.npy"))) == report.extracted == 3


def compare_processes(videos, tmp_path, options):
    """Asserts that one and two processes write the same bytes and report the same failure."""
    (videos / "empty.mp4").touch()
    for processes in (1, 2):
        output_dir = tmp_path / str(processes)
        report = extract_feature_files([videos], output_dir, options, processes=processes)
        assert report.failed == ((str(videos / "empty.mp4"), "it is empty (0 bytes)"),)
        assert files_below(output_dir) == ALL
    for name in ALL[1:]:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_workers_give_the_same_bytes_and_failures(videos, tmp_path, rgb, monkeypatch):
    """The workers' functions, in this process."""
    used = []

    def map_in_order(function, tasks, processes, died):
        used.append(processes)
        return ((task, function(task)) for task in tasks)

    monkeypatch.setattr(jobs, "map_unordered", map_in_order)
    monkeypatch.setattr(extract_module, "use_one_opencv_thread", lambda: None)
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_FORCE_GPU_ALLOW_GROWTH"):
        monkeypatch.setenv(name, "")  # so that what is set is undone
    compare_processes(videos, tmp_path, rgb)
    assert used == [2]


@pytest.mark.slow
def test_processes_give_the_same_bytes_and_failures(videos, tmp_path, rgb):
    compare_processes(videos, tmp_path, rgb)


@pytest.mark.parametrize("file_format", ["npy", "npz"])
def test_sets_of_files_are_kept_or_made_whole(videos, output_dir, options, file_format):
    config = feature_config(ENDPOINT, window=9)
    frames = FrameOptions(size=FrameSize(56, 40), crops=5)
    made = replace(options("rgb", config), frames=frames)
    layout = FileLayout(file_format, ("rgb",), 5, "files")
    job = partial(extract_feature_files, [videos], output_dir, made, layout=layout)
    assert job().extracted == 2
    before = {path: path.read_bytes() for path in output_dir.rglob("*.*")}
    assert len(before) == (12 if file_format == "npy" else 10)
    assert job().kept == 2
    broken = output_dir / f"run/a__3.{file_format}"
    broken.unlink()
    with pytest.raises(
        ValueError, match=rf"a__0\.{file_format}: .* a__3\.{file_format} is missing"
    ):
        job()
    (output_dir / f"run/a__0.{file_format}").unlink()  # as a job that is killed leaves it
    assert job().extracted == 1
    assert {path: path.read_bytes() for path in output_dir.rglob("*.*")} == before
    with pytest.raises(ValueError, match="layout: crop_layout files, not mean"):
        extract_feature_files(
            [videos], output_dir, made, layout=replace(layout, crop_layout="mean", suffix="__0")
        )


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"tail": "repeat"}, "tail None, not repeat"),
        ({"short": "loop"}, "short None, not loop"),
        ({"pool": "space"}, "pool space_time, not space"),
    ],
)
def test_files_made_with_other_windows_are_noticed(videos, output_dir, options, change, difference):
    plain = options("rgb", feature_config(ENDPOINT, window=9))
    other = options("rgb", feature_config(ENDPOINT, window=9, **change))
    extract_feature_files([videos], output_dir, plain)
    with pytest.raises(ValueError, match=difference):
        extract_feature_files([videos], output_dir, other)
    extract_feature_files([videos], output_dir, other, overwrite=True)
    with pytest.raises(ValueError, match="made with other settings"):
        extract_feature_files([videos], output_dir, plain)


def test_flow_files_are_used(videos, output_dir, tmp_path, options):
    flow_dir, joint = tmp_path / "flow", options("joint")
    compute_flow_files([], flow_dir, videos, "dis", short_side=40)
    gone = flow_dir / "run/b c.flow.zip"
    gone.unlink()
    report = extract_feature_files([videos], output_dir, joint, flow_dir=flow_dir)
    ((video, reason),) = report.failed
    assert video.endswith("b c.mp4")
    assert reason == f"{gone}: no such file or directory"
    found = i3d_tf.read_features(output_dir / "run/a.npy")
    assert found.metadata["preprocessing"]["flow"]["stored"] == "8 bits, rounding nearest"
    assert found.features.shape == (10, 8)
    assert found.metadata["preprocessing"]["flow"]["source"]["name"] == "a.flow.zip"
    with pytest.raises(ValueError, match=r"preprocessing: flow: stored 8 bits, .*, not None"):
        extract_feature_files([videos], output_dir, joint)
    rgb = extract_feature_files([videos], tmp_path / "rgb", options("rgb"), flow_dir=flow_dir)
    assert rgb.extracted == 2


def test_flow_file_of_another_video_is_refused(videos, output_dir, tmp_path, options):
    videos = shutil.copytree(videos, tmp_path / "own")
    compute_flow_files([], tmp_path / "flow", videos, "dis", short_side=40)
    replaced = videos / "run/a.mp4"
    replaced.write_bytes(replaced.read_bytes() + b"\0")
    report = extract_feature_files(
        [videos], output_dir, options("flow"), flow_dir=tmp_path / "flow"
    )
    assert report.extracted == 1
    ((video, reason),) = report.failed
    assert video == str(replaced)
    assert f"a.flow.zip: it is the flow of another video than {replaced} (bytes " in reason


def test_flow_file_that_was_changed_is_noticed(videos, output_dir, tmp_path, options):
    flow_dir, flow = tmp_path / "flow", options("flow")
    for number, short_side in enumerate((40, 40, 48)):
        compute_flow_files([], flow_dir, videos, "dis", short_side=short_side, overwrite=True)
        if short_side == 40:
            report = extract_feature_files([videos], output_dir, flow, flow_dir=flow_dir)
            assert (report.extracted, report.kept) == [(2, 0), (0, 2)][number]
    with pytest.raises(ValueError, match=r"preprocessing: flow: source: bytes [0-9]+, not "):
        extract_feature_files([videos], output_dir, flow, flow_dir=flow_dir)


def test_feature_file_that_does_not_say_its_flow_file_is_kept(
    videos, output_dir, tmp_path, options
):
    flow_dir, flow = tmp_path / "flow", options("flow")
    compute_flow_files([], flow_dir, videos, "dis", short_side=40)
    extract_feature_files([videos], output_dir, flow, flow_dir=flow_dir)
    found = i3d_tf.read_features(output_dir / "run/a.npy")
    del found.metadata["preprocessing"]["flow"]["source"]  # as earlier versions
    write_features(output_dir / "run/a.npy", found)
    report = extract_feature_files([videos], output_dir, flow, flow_dir=flow_dir)
    assert (report.extracted, report.kept) == (0, 2)


def test_flow_file_that_is_gone_is_a_failure_although_features_are_there(
    videos, output_dir, tmp_path, options
):
    flow_dir, joint = tmp_path / "flow", options("joint")
    compute_flow_files([], flow_dir, videos, "dis", short_side=40)
    extract_feature_files([videos], output_dir, joint, flow_dir=flow_dir)
    (flow_dir / "run/a.flow.zip").unlink()
    report = extract_feature_files([videos], output_dir, joint, flow_dir=flow_dir)
    assert (report.extracted, report.kept, len(report.failed)) == (0, 1, 1)
    assert files_below(output_dir) == ALL


def test_too_little_memory_costs_one_video(videos, output_dir, rgb, monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(extractor_module, "average_steps", fail)
    report = extract_feature_files([videos / "run/a.mp4"], output_dir, rgb)
    assert report.failed == ((str(videos / "run/a.mp4"), "there is not enough memory for it"),)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file_format": "mat"}, r"`file_format` must be one of .*; received 'mat'"),
        ({"processes": 0}, r"`processes` must be an integer within 1\.\.1024; received 0"),
        ({"videos": []}, "no video was named"),
    ],
)
def test_wrong_arguments_are_named_before_anything_is_made(
    videos, output_dir, rgb, change, message
):
    arguments = {"videos": [videos], "output_dir": output_dir, "options": rgb, **change}
    with pytest.raises(ValueError, match=message):
        extract_feature_files(**arguments)
    assert not output_dir.exists()


def test_full_disk_ends_the_job_and_keeps_finished_files(videos, output_dir, rgb):
    resource = pytest.importorskip("resource", reason="limits are set with POSIX's setrlimit")
    extract_feature_files([videos], output_dir, rgb)
    (output_dir / "run/b c.npy").unlink()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OSError, match=r"b c\.npy: it cannot be written: file too large"):
            extract_feature_files([videos], output_dir, rgb)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files_below(output_dir) == [name for name in ALL if name != "run/b c.npy"]
