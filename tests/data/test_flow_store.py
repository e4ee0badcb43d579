import dataclasses
import os
import shutil

import numpy as np
import pytest

from i3d_tf.data import flow_store
from i3d_tf.data.flow_store import ComputedFlowStore, FlowStore
from i3d_tf.flow.flow_file import write_flow_file
from i3d_tf.flow.stream import write_video_flow
from i3d_tf.specs.protocol import Protocol
from i3d_tf.video.encode import write_video
from i3d_tf.video.errors import VideoError

PROTOCOL = Protocol(short_side=64, crop_size=64)
FRAMES = 6


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """A folder with `right/1.mp4`, a texture that moves 2 pixels a frame, and a broken video."""
    folder = tmp_path_factory.mktemp("videos")
    coarse = np.random.default_rng(0).integers(40, 215, (8, 16)).astype(np.uint8)
    texture = np.kron(coarse, np.ones((8, 8), np.uint8))  # 64 x 128
    (folder / "right").mkdir()
    frames = (np.roll(texture, 2 * time, axis=1)[:, 32:96, None] for time in range(FRAMES))
    write_video(folder / "right" / "1.mp4", (frame.repeat(3, 2) for frame in frames))
    (folder / "right" / "broken.mp4").write_bytes(b"not a video")
    return folder


@pytest.fixture
def store(videos, tmp_path):
    return FlowStore(tmp_path / "flow", PROTOCOL, videos, "dis")


def test_compute_missing_writes_files_of_write_video_flow_where_class_folders_say(
    store, videos, tmp_path, capsys
):
    video = str(videos / "right" / "1.mp4")
    store.compute_missing([video, video], processes=1)
    flow_dir = tmp_path / "flow"
    assert capsys.readouterr().out.splitlines() == [
        f"{flow_dir}: computing flow by dis for 1 videos, 0 already there",
        f"{flow_dir}: 1 computed, 0 failed",
    ]
    assert [path.relative_to(flow_dir).as_posix() for path in flow_dir.rglob("*.*")] == [
        "right/1.flow.zip"
    ]
    write_video_flow(video, tmp_path / "expected", "dis", None, 25.0, 64)
    assert store.path(video).read_bytes() == (tmp_path / "expected").read_bytes()
    flow = store.open(video).read()
    # 2 pixels a frame to the right, away from the edges; a method's error is no matter here.
    assert np.median(flow[:-1, 16:48, 16:48, 0]) == pytest.approx(2, abs=0.3)


def test_computed_flow_is_that_of_files(store, videos):
    video = str(videos / "right" / "1.mp4")
    store.compute_missing([video], processes=1)
    stored, computed = store.open(video), ComputedFlowStore(PROTOCOL, "dis").open(video)
    assert (computed.frames, computed.height, computed.width) == (FRAMES, 64, 64)
    for start, stop in ((0, FRAMES), (2, 4), (FRAMES - 1, FRAMES)):
        np.testing.assert_array_equal(computed.read(start, stop), stored.read(start, stop))
    with pytest.raises(VideoError, match="is not a video"):
        ComputedFlowStore(PROTOCOL, "dis").open(str(videos / "right" / "broken.mp4"))


def test_compute_missing_keeps_existing_files(store, videos, capsys):
    video = str(videos / "right" / "1.mp4")
    store.compute_missing([video], processes=1)
    before = store.path(video).stat()
    capsys.readouterr()
    store.compute_missing([video], processes=1)
    assert capsys.readouterr().out == ""
    after = store.path(video).stat()  # but for the time of the last access
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_unreadable_video_is_reported_and_remembered(store, videos, capsys):
    whole, broken = (str(videos / "right" / name) for name in ("1.mp4", "broken.mp4"))
    store.compute_missing([broken, whole], processes=1)
    assert list(store.failures) == [broken]
    output = capsys.readouterr()
    assert output.out.endswith(": 1 computed, 1 failed\n")
    assert f"error: {broken}: it is not a video" in output.err
    assert store.open(whole).frames == FRAMES
    with pytest.raises(VideoError, match="it is not a video that FFmpeg can read") as caught:
        store.open(broken)
    assert caught.value.path == broken


def test_open_computes_nothing(store, videos):
    with pytest.raises(VideoError, match=r"its flow file .*1\.flow\.zip is missing"):
        store.open(str(videos / "right" / "1.mp4"))


@pytest.mark.parametrize(
    ("changes", "engine", "message"),
    [
        ({"frame_rate": 12.5}, "dis", "at 25 frames per second and short side 64, not by DIS at 1"),
        ({"short_side": 72}, "dis", "not by DIS at 25 and 72; name another folder for the flow"),
        ({}, "opencv", "made by DIS at .*, not by TV-L1 at 25 and 64"),
    ],
)
def test_open_refuses_flow_made_otherwise(store, videos, tmp_path, changes, engine, message):
    video = str(videos / "right" / "1.mp4")
    store.compute_missing([video], processes=1)
    protocol = dataclasses.replace(PROTOCOL, **changes)
    with pytest.raises(VideoError, match=message):
        FlowStore(tmp_path / "flow", protocol, videos, engine).open(video)


@pytest.fixture
def own_videos(videos, tmp_path):
    """A copy of the folder of videos, to be changed."""
    return shutil.copytree(videos, tmp_path / "own")


def test_open_refuses_flow_of_a_replaced_video(own_videos, tmp_path):
    path = own_videos / "right" / "1.mp4"
    video, content = str(path), path.read_bytes()
    store = FlowStore(tmp_path / "flow", PROTOCOL, own_videos, "dis")
    store.compute_missing([video], processes=1)
    store.open(video)
    path.write_bytes(content + b"\0")
    message = (
        rf"1\.flow\.zip: it is the flow of another video than {video} \(bytes {len(content)}, not "
        rf"{len(content) + 1}\); compute it anew \(compute_flow\), or name another folder"
    )
    for _ in range(2):
        with pytest.raises(VideoError, match=message):
            store.open(video)
    path.write_bytes(content)
    store.open(video)
    path.write_bytes(content[:-1] + b"\1")
    os.utime(path, ns=(0, 0))  # clocks of file systems may be coarse
    with pytest.raises(VideoError, match="its first or last bytes are others"):
        store.open(video)
    with pytest.raises(VideoError, match="its first or last bytes are others"):
        FlowStore(tmp_path / "flow", PROTOCOL, own_videos, "dis").open(video)
    path.unlink()  # then flow is all there is
    store.open(video)


def test_open_judges_flow_of_former_versions_by_name_and_bytes(own_videos, tmp_path):
    path = own_videos / "right" / "1.mp4"
    store = FlowStore(tmp_path / "flow", PROTOCOL, own_videos, "dis")
    store.compute_missing([str(path)], processes=1)
    target = store.path(str(path))
    flow = store.open(str(path))
    source = {"name": "1.mp4", "bytes": path.stat().st_size}
    write_flow_file(target, flow.read(), {**flow.metadata, "source": source})
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    assert store.open(str(path)).frames == FRAMES
    path.rename(path.with_suffix(".avi"))
    with pytest.raises(
        VideoError, match=r"another video than .*1\.avi \(name 1\.mp4, not 1\.avi\)"
    ):
        store.open(str(path.with_suffix(".avi")))


def test_open_reads_a_video_once_to_tell_whose_flow_it_is(own_videos, tmp_path, monkeypatch):
    video = str(own_videos / "right" / "1.mp4")
    store = FlowStore(tmp_path / "flow", PROTOCOL, own_videos, "dis")
    store.compute_missing([video], processes=1)
    checks = []
    monkeypatch.setattr(flow_store, "check_source", lambda *arguments: checks.append(arguments))
    for _ in range(3):
        store.open(video)
    assert len(checks) == 1
    os.utime(video, ns=(0, 0))
    store.open(video)
    assert len(checks) == 2


def test_compute_missing_refuses_flow_of_replaced_videos(own_videos, tmp_path):
    one = own_videos / "right" / "1.mp4"
    for name in ("2.mp4", "3.mp4"):
        one.with_name(name).write_bytes(one.read_bytes())
    videos = [str(one.with_name(f"{k}.mp4")) for k in (1, 2, 3)]
    store = FlowStore(tmp_path / "flow", PROTOCOL, own_videos, "dis")
    store.compute_missing(videos[:2], processes=1)
    store.path(videos[1]).write_bytes(b"damaged")  # which `open` says
    store.compute_missing(videos[:2])
    one.write_bytes(one.read_bytes() + b"\0")
    with pytest.raises(
        ValueError, match=rf"1\.flow\.zip: .* another video than {one} .* the flow\.$"
    ):
        store.compute_missing(videos, processes=1)
    assert not store.path(videos[2]).exists()
    store.compute_missing(videos[2:], processes=1)
    one.with_name("3.mp4").write_bytes(b"another")
    with pytest.raises(ValueError, match=r"the flow\. It is so of 1 more of 3\.$"):
        store.compute_missing(videos)


def test_videos_that_differ_in_their_endings_have_flow_of_their_own(own_videos, tmp_path):
    one = own_videos / "right" / "1.mp4"
    other = one.with_suffix(".avi")
    other.write_bytes(one.read_bytes() + b"\0")
    store = FlowStore(tmp_path / "flow", PROTOCOL, own_videos, "dis")
    store.compute_missing([str(one)], processes=1)
    with pytest.raises(VideoError, match=r"another video than .*1\.avi \(name"):
        store.open(str(other))
    store.compute_missing([str(one), str(other)], processes=1)
    for video, name in ((one, "1.flow.zip"), (other, "1.avi.flow.zip")):
        assert store.path(video).name == name
        assert store.open(str(video)).metadata["source"]["name"] == video.name


def test_rounding_is_that_of_all_files(store, videos, tmp_path):
    video = str(videos / "right" / "1.mp4")
    rounded = FlowStore(tmp_path / "rounded", PROTOCOL, videos, "dis", rounding="deepmind")
    rounded.compute_missing([video], processes=1)
    flow = rounded.open(video)
    assert (flow.metadata["rounding"], flow.rounding) == ("deepmind", "deepmind")
    store.compute_missing([video], processes=1)
    strict = FlowStore(tmp_path / "flow", PROTOCOL, videos, "dis", rounding="deepmind")
    with pytest.raises(VideoError, match="rounded as 'nearest', and 'deepmind' is wanted"):
        strict.open(video)


def test_flow_store_needs_a_folder():
    with pytest.raises(ValueError, match="`flow_dir` must be given for flow; received None"):
        FlowStore(None, PROTOCOL)


def test_store_of_both_directions_refuses_forward_flow_before_anything_is_computed(
    store, videos, tmp_path
):
    video = str(videos / "right" / "1.mp4")
    store.compute_missing([video], processes=1)
    both = dataclasses.replace(PROTOCOL, flow_direction="both")
    needing = FlowStore(tmp_path / "flow", both, videos, "dis")
    command = (
        rf"compute_flow --direction=both --overwrite --data_dir={videos} "
        rf"--flow_dir={tmp_path}/flow --flow_engine=dis --short_side=64, or name another"
    )
    for call in (lambda: needing.compute_missing([video]), lambda: needing.open(video)):
        with pytest.raises((ValueError, VideoError), match=rf"forward flow alone, .*{command}"):
            call()


def test_store_of_both_directions_refuses_folders_of_pictures(videos, tmp_path):
    folder = tmp_path / "flow" / "right" / "1"
    folder.mkdir(parents=True)
    (folder / "flow_x_00001.jpg").write_bytes(b"not read")
    both = dataclasses.replace(PROTOCOL, flow_direction="both")
    store = FlowStore(tmp_path / "flow", both, videos, "dis")
    with pytest.raises(ValueError, match=r"right/1: it has forward flow alone"):
        store.compute_missing([str(videos / "right" / "1.mp4")])


def test_both_directions_of_a_store_serve_a_network_of_forward_flow(videos, tmp_path, capsys):
    video = str(videos / "right" / "1.mp4")
    both = dataclasses.replace(PROTOCOL, flow_direction="both")
    FlowStore(tmp_path / "flow", both, videos, "dis").compute_missing([video], processes=1)
    flow = FlowStore(tmp_path / "flow", PROTOCOL, videos, "dis").open(video)
    middle = np.s_[1:-1, 16:48, 16:48, 0]
    assert np.median(flow.read()[middle]) == pytest.approx(2, abs=0.3)
    assert np.median(flow.read(is_backward=True)[middle]) == pytest.approx(-2, abs=0.3)
