import pytest

import i3d_tf
from i3d_tf.features.extract import difference, extract_feature_files
from i3d_tf.features.options import FeatureOptions, feature_rules
from i3d_tf.flow.compute_files import compute_flow_files

ALL = ["run", "run/a.npy", "run/a.npy.json", "run/b c.npy", "run/b c.npy.json"]


@pytest.fixture
def videos(tmp_path, moving_video):
    """A folder: run/a.mp4, run/b c.mp4, of which none is bad."""
    folder = tmp_path / "videos" / "run"
    folder.mkdir(parents=True)
    for name, frames in (("a.mp4", 20), ("b c.mp4", 12)):
        (folder / name).write_bytes(moving_video(frames).read_bytes())
    return folder.parent


@pytest.fixture
def output_dir(tmp_path):
    return tmp_path / "features"


def options(small_dir, stream="rgb", rules=None, **more):
    rules = rules or feature_rules("Conv3d_2c_3x3")  # an early endpoint is a quick one
    names = {"rgb_weights": "small_rgb", "flow_weights": "small_flow", "engine": "dis"}
    return FeatureOptions(rules, stream, checkpoint_dir=str(small_dir), **names | more)


@pytest.fixture(scope="module")
def rgb(small_dir):
    """Options, whose networks are read and traced once."""
    from i3d_tf.features import extractor as feature_network

    built, extractor = {}, feature_network.FeatureExtractor

    def build(options):
        if options not in built:
            built[options] = extractor(options)
        return built[options]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feature_network, "FeatureExtractor", build)
        yield options(small_dir)


def files_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_every_video_below_a_folder(videos, output_dir, rgb):
    report = extract_feature_files([videos], output_dir, rgb)
    assert (report.extracted, report.kept, report.failed) == (2, 0, ())
    assert files_below(output_dir) == ALL
    found = i3d_tf.read_features(output_dir / "run/a.npy")
    assert found.features.shape == (10, 12)
    assert found.metadata["source"] == {
        "name": "a.mp4",
        "bytes": (videos / "run/a.mp4").stat().st_size,
    }
    assert report.line() == f"{output_dir}: 2 extracted, 0 already there, 0 failed"


@pytest.mark.parametrize("file_format", ["npz", "h5"])
def test_other_formats(videos, output_dir, rgb, file_format):
    extract_feature_files([videos / "run"], output_dir, rgb, file_format)
    assert files_below(output_dir) == [f"a.{file_format}", f"b c.{file_format}"]
    assert i3d_tf.read_features(output_dir / f"a.{file_format}").features.shape == (10, 12)
    assert extract_feature_files([videos / "run"], output_dir, rgb, file_format).kept == 2


def test_files_that_are_there_are_kept(videos, output_dir, rgb):
    extract_feature_files([videos], output_dir, rgb)
    before = (output_dir / "run/a.npy").stat()
    (output_dir / "run/b c.npy").unlink()
    report = extract_feature_files([videos], output_dir, rgb)
    assert (report.extracted, report.kept) == (1, 1)
    after = (output_dir / "run/a.npy").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert files_below(output_dir) == ALL


def test_files_made_otherwise_are_replaced_only_when_asked(videos, output_dir, rgb, small_dir):
    extract_feature_files([videos], output_dir, rgb)
    before = (output_dir / "run/a.npy").read_bytes()
    other = options(small_dir, rules=feature_rules("Conv3d_2c_3x3", stride=4))
    with pytest.raises(ValueError, match=r"a\.npy is there already.*stride 2, not 4\. Give anoth"):
        extract_feature_files([videos], output_dir, other)
    assert (output_dir / "run/a.npy").read_bytes() == before
    assert extract_feature_files([videos], output_dir, other, overwrite=True).extracted == 2
    assert extract_feature_files([videos], output_dir, other, overwrite=True).kept == 2
    assert len(i3d_tf.read_features(output_dir / "run/a.npy").features) == 5


def test_damaged_and_foreign_files_and_changed_videos_are_noticed(videos, output_dir, rgb):
    extract_feature_files([videos], output_dir, rgb)
    target = output_dir / "run/a.npy"
    whole = target.read_bytes()
    for content in (whole[:-1], whole[:-1] + b"\7", b""):
        target.write_bytes(content)
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


def test_several_processes_give_the_same_bytes_and_failures(videos, tmp_path, rgb):
    (videos / "empty.mp4").touch()
    for processes in (1, 2):
        output_dir = tmp_path / str(processes)
        report = extract_feature_files([videos], output_dir, rgb, processes=processes)
        assert report.failed == ((str(videos / "empty.mp4"), "it is empty (0 bytes)"),)
        assert files_below(output_dir) == ALL
    for name in ALL[1:]:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_a_video_of_very_large_frames(output_dir, rgb, tmp_path):
    import av

    path = tmp_path / "large.mkv"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 7680, 4320, "yuvj420p"
        picture = av.VideoFrame(7680, 4320, "yuvj420p")
        for plane in picture.planes:
            plane.update(bytes(plane.buffer_size))
        for index in range(9):
            picture.pts = index
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    assert extract_feature_files([path], output_dir, rgb).failed == ()
    assert i3d_tf.read_features(output_dir / "large.npy").features.shape == (5, 12)


def test_flow_files_are_used(videos, output_dir, tmp_path, small_dir):
    flow_dir = tmp_path / "flow"
    compute_flow_files([], flow_dir, videos, "opencv", "fast", short_side=40)
    (flow_dir / "run/b c.flow.zip").unlink()
    joint = options(small_dir, "joint")
    report = extract_feature_files([videos], output_dir, joint, flow_dir=flow_dir)
    ((video, reason),) = report.failed
    assert video.endswith("b c.mp4")
    assert reason == f"{flow_dir / 'run/b c.flow.zip'}: there is no such file"
    found = i3d_tf.read_features(output_dir / "run/a.npy")
    assert found.metadata["preprocessing"]["flow"]["engine"] == "opencv"
    assert found.features.shape == (10, 24)
    with pytest.raises(ValueError, match=r"preprocessing: flow: algorithm TV-L1, not DIS"):
        extract_feature_files([videos], output_dir, joint)


def test_too_little_memory_costs_one_video(videos, output_dir, rgb, monkeypatch):
    from i3d_tf.features.extractor import FeatureExtractor

    def extract(*_):
        raise MemoryError

    monkeypatch.setattr(FeatureExtractor(rgb), "extract", extract)
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


def test_a_folder_that_cannot_be_written(videos, output_dir, rgb):
    output_dir.touch()
    with pytest.raises(OSError, match="features: this folder cannot be made: file exists"):
        extract_feature_files([videos], output_dir, rgb)


def test_a_full_disk_ends_the_job_and_leaves_what_was_finished(videos, output_dir, rgb):
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


def test_the_first_difference_in_words():
    wanted = {"stride": 8, "weights": {"rgb": {"name": "a"}}}
    assert difference({**wanted, "frames": 9}, wanted) is None
    assert difference({**wanted, "stride": 4}, wanted) == "stride 4, not 8"
    other = {"stride": 8, "weights": {"rgb": {"name": "b"}}}
    assert difference(other, wanted) == "weights: rgb: name b, not a"
    assert difference({"stride": 8}, wanted) == "weights None, not {'rgb': {'name': 'a'}}"
