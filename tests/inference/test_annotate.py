import numpy as np
import pytest

from i3d_tf.inference import annotate as annotate_file
from i3d_tf.inference.annotate import (
    annotated_paths,
    flow_pictures,
    timeline_paths,
    write_annotated,
    write_timeline,
)
from i3d_tf.inference.prediction import VideoPrediction, WindowPrediction
from i3d_tf.metrics.ranking import Prediction
from i3d_tf.video.decode import read_clip
from i3d_tf.video.encode import write_video
from i3d_tf.video.transforms import resize_short_side
from i3d_tf.viz.flow_wheel import wheel_legend

RUN, JUMP = Prediction("run", 0, 0.5, 1.0), Prediction("jump", 1, 0.75, 2.0)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Ten frames of 256 x 320: a smooth texture that moves right by 4 pixels a frame."""
    noise = np.random.default_rng(0).integers(0, 256, (16, 24)).astype(np.uint8)
    texture = np.kron(noise, np.ones((16, 16), np.uint8))
    views = np.stack([texture[:, 48 - 4 * step : 368 - 4 * step] for step in range(10)])
    path = tmp_path_factory.mktemp("pictures") / "moving.mp4"
    write_video(path, np.repeat(views[..., np.newaxis], 3, axis=-1))
    return path


@pytest.fixture(scope="module")
def pictures(video):
    """The flow of the video, painted."""
    return np.stack(list(flow_pictures(video, "dis")))


def test_flow_pictures_paint_motion_to_the_right_red(pictures):
    assert (pictures.shape, pictures.dtype) == ((10, 256, 320, 3), np.uint8)
    middle = np.median(pictures[:, 40:200, 60:260], axis=(0, 1, 2))
    # 4 pixels a frame are what most pixels have, so the scale is a little above them.
    assert middle[0] == 255
    assert middle[1:].max() < 100


def test_flow_pictures_have_the_legend_in_the_corner(video, monkeypatch):
    monkeypatch.setattr(annotate_file, "flow_scale", lambda flow: 6.0)
    picture = next(flow_pictures(video, "dis"))
    np.testing.assert_array_equal(picture[-64:, -64:], wheel_legend(64, 6.0, "DIS"))


def test_flow_pictures_beside_have_the_frames_on_the_left(video, pictures):
    both = np.stack(list(flow_pictures(video, "dis", beside=True)))
    np.testing.assert_array_equal(both[:, :, 320:], pictures)
    np.testing.assert_array_equal(both[:, :, :320], resize_short_side(read_clip(video)))


def test_flow_pictures_show_all_of_a_long_video(video, monkeypatch):
    monkeypatch.setattr(annotate_file, "TEST_FRAMES", 3)
    assert len(list(flow_pictures(video, "dis"))) == 10


def test_write_annotated_of_flow_shows_the_flow_and_the_classes(video, pictures, tmp_path):
    prediction = VideoPrediction(str(video), "flow", 10, 0.4, [RUN], flow_engine="dis")
    write_annotated(prediction, tmp_path / "copy.mp4")
    copy = read_clip(tmp_path / "copy.mp4").astype(int)
    assert copy.shape == pictures.shape
    # The codec halves the resolution of colours; on average little of that is seen.
    assert np.abs(copy[:, 60:] - pictures[:, 60:]).mean() < 6
    assert np.abs(copy[:, :20] - pictures[:, :20]).mean() > 20  # the classes


def test_write_annotated_of_two_streams_shows_frames_beside_flow(video, tmp_path, monkeypatch):
    calls = []

    def flow_pictures(video, engine, beside):
        calls.append((video, engine, beside))
        return np.zeros((2, 48, 128, 3), np.uint8)

    monkeypatch.setattr(annotate_file, "flow_pictures", flow_pictures)
    prediction = VideoPrediction(str(video), "joint", 10, 0.4, [RUN], flow_engine="opencv")
    write_annotated(prediction, tmp_path / "copy.mp4")
    assert calls == [(str(video), "opencv", True)]
    assert read_clip(tmp_path / "copy.mp4").shape == (2, 48, 128, 3)


def test_write_annotated_of_rgb_shows_the_frames_and_the_classes(write_grey_video, tmp_path):
    video = write_grey_video(tmp_path / "ramp.mp4", range(0, 200, 10))
    write_annotated(VideoPrediction(str(video), "rgb", 20, 0.8, [RUN]), tmp_path / "new/copy.mp4")
    original, copy = read_clip(video).astype(int), read_clip(tmp_path / "new/copy.mp4").astype(int)
    assert copy.shape == original.shape == (20, 48, 64, 3)
    assert np.abs(copy[:, 32:] - original[:, 32:]).max() <= 6  # twice through the codec
    # A bar half as wide as the picture, whose colour is not grey, behind the letters.
    red, blue = copy[10, 6, :, 0], copy[10, 6, :, 2]
    assert (blue - red)[2:28].min() > 60
    assert np.abs(blue - red)[38:].max() < 40
    assert copy[10, 4:18].max() > 200  # letters


def test_write_timeline_draws_the_classes_of_every_window(tmp_path):
    windows = [WindowPrediction(0, 1, [RUN]), WindowPrediction(1, 1.5, [JUMP, RUN])]
    prediction = VideoPrediction("x/ü.mp4", "rgb", 40, 1.5, [RUN], timeline=windows)
    write_timeline(prediction, tmp_path / "new/picture.svg")
    svg = (tmp_path / "new/picture.svg").read_text("utf-8")
    assert svg.startswith("<svg")
    assert "ü.mp4: from 0.0 s run; from 1.0 s jump" in svg


@pytest.mark.parametrize(
    ("output_video", "videos", "expected"),
    [
        ("new.mp4", 1, "new.mp4"),
        ("new.MP4", 1, "new.MP4"),
        ("new", 1, "new/a0_predicted.mp4"),
        ("new.folder", 2, "new.folder/a0_predicted.mp4"),
        ("folder.mp4", 1, "folder.mp4/a0_predicted.mp4"),
    ],
)
def test_annotated_paths_are_one_file_or_in_a_folder(tmp_path, output_video, videos, expected):
    (tmp_path / "folder.mp4").mkdir()
    names = [f"x/a{k}.avi" for k in range(videos)]
    paths = annotated_paths(names, tmp_path / output_video)
    assert list(paths) == names
    assert paths["x/a0.avi"] == tmp_path / expected


@pytest.mark.parametrize(
    ("output_video", "videos", "message"),
    [
        ("there.mp4", ["a.avi"], r"there\.mp4: exists already and was not written by this command"),
        ("dangling.mp4", ["a.avi"], "exists already"),
        ("folder", ["x/a.avi"], "a_predicted.mp4: exists already"),
        ("there.txt", ["a.avi"], "not a folder"),
        ("new.avi", ["a.avi"], r"copies are \.mp4 files"),
        ("new.mp4", ["a.avi", "b.avi"], r"one file for 2 videos\. Name a folder"),
        ("new", ["x/b.avi", "y/b.mp4"], r"x/b\.avi and y/b\.mp4 would both become .*Rename one"),
    ],
)
def test_annotated_paths_never_replace_a_file(tmp_path, output_video, videos, message):
    (tmp_path / "there.mp4").touch()
    (tmp_path / "there.txt").touch()
    (tmp_path / "dangling.mp4").symlink_to(tmp_path / "nothing")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/a_predicted.mp4").touch()
    with pytest.raises((ValueError, FileExistsError), match=message):
        annotated_paths(videos, tmp_path / output_video)


def test_videos_that_differ_in_their_endings_have_files_of_their_own(video, tmp_path):
    one, other = tmp_path / "a&.avi", tmp_path / "a&.mp4"
    for path in (one, other):
        path.write_bytes(video.read_bytes())
    both = [str(one), str(other)]
    assert [path.name for path in timeline_paths(both, tmp_path).values()] == [
        "a&_timeline.svg",
        "a&.mp4_timeline.svg",
    ]
    assert annotated_paths(both, tmp_path)[both[1]].name == "a&.mp4_predicted.mp4"
    windows = [WindowPrediction(0, 1, [RUN])]
    prediction = VideoPrediction(both[1], "rgb", 40, 1.5, [RUN], timeline=windows)
    write_timeline(prediction, tmp_path / "a&_timeline.svg")
    write_annotated(prediction, tmp_path / "a&_predicted.mp4")
    for paths in (timeline_paths(both, tmp_path), annotated_paths(both, tmp_path)):
        assert paths[both[1]].name.startswith("a&_")
        assert paths[both[0]].name.startswith("a&.avi_")


def test_annotated_paths_accept_copies_of_an_earlier_run_only(video, tmp_path):
    copy = tmp_path / "moving_predicted.mp4"
    write_annotated(VideoPrediction(str(video), "rgb", 10, 0.4, [RUN]), copy)
    assert annotated_paths([str(video)], tmp_path) == {str(video): copy}
    assert annotated_paths([str(video)], copy) == {str(video): copy}
    with pytest.raises(FileExistsError, match=r"predicted\.mp4: this command reads it"):
        annotated_paths([str(copy)], copy)
    copy.write_bytes(video.read_bytes())  # another video of the same name
    with pytest.raises(FileExistsError, match=r"predicted\.mp4: exists already and was not"):
        annotated_paths([str(video)], tmp_path)


def test_write_annotated_keeps_a_copy_of_the_same_video_and_classes(video, tmp_path):
    copy = tmp_path / "copy.mp4"
    prediction = VideoPrediction(str(video), "rgb", 10, 0.4, [RUN])
    write_annotated(prediction, copy)
    content, time = copy.read_bytes(), copy.stat().st_mtime_ns
    write_annotated(prediction, copy)
    assert copy.stat().st_mtime_ns == time
    other = VideoPrediction(str(video), "rgb", 10, 0.4, [JUMP])
    message = r"copy\.mp4: it exists and shows something else: classes .*run  50.0%.*, not .*jump"
    with pytest.raises(FileExistsError, match=message):
        write_annotated(other, copy)
    assert copy.read_bytes() == content
    copy.unlink()
    write_annotated(prediction, copy)
    assert copy.read_bytes() == content


def test_timeline_paths_replace_timelines_only(tmp_path):
    path = tmp_path / "a_timeline.svg"
    assert timeline_paths(["x/a.mp4"], tmp_path) == {"x/a.mp4": path}
    windows = [WindowPrediction(0, 1, [RUN])]
    write_timeline(VideoPrediction("x/a.mp4", "rgb", 40, 1.5, [RUN], timeline=windows), path)
    assert timeline_paths(["x/a.mp4"], tmp_path) == {"x/a.mp4": path}
    for content in ("", "<svg><title>mine</title></svg>"):
        path.write_text(content)
        with pytest.raises(FileExistsError, match=r"svg: exists already and was not written by"):
            timeline_paths(["x/a.mp4"], tmp_path)
    with pytest.raises(ValueError, match=r"x/b\.mp4 and y/b\.mp4 would both become"):
        timeline_paths(["x/b.mp4", "y/b.mp4"], tmp_path)
