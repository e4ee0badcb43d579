import numpy as np
import pytest

from i3d_tf.inference import annotate as module
from i3d_tf.inference.annotate import flow_pictures, write_annotated
from i3d_tf.inference.prediction import Answer
from i3d_tf.metrics.ranking import Prediction
from i3d_tf.video.decode import read_clip
from i3d_tf.video.encode import write_video
from i3d_tf.video.transforms import resize_short_side
from i3d_tf.viz.flow_wheel import wheel_legend


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Ten frames of 256 x 320: a smooth texture that moves right by 4 pixels a frame."""
    noise = np.random.default_rng(0).integers(0, 256, (16, 24)).astype(np.uint8)
    texture = np.kron(noise, np.ones((16, 16), np.uint8))
    views = np.stack([texture[:, 48 - 4 * step : 368 - 4 * step] for step in range(10)])
    path = tmp_path_factory.mktemp("pictures") / "moving.mp4"
    write_video(path, np.repeat(views[..., np.newaxis], 3, axis=-1))
    return path


def test_motion_to_the_right_is_red(video):
    pictures = list(flow_pictures(video, "dis"))
    assert len(pictures) == 10
    assert all((p.shape, p.dtype) == ((256, 320, 3), np.uint8) for p in pictures)
    middle = np.median(np.stack(pictures)[:, 40:200, 60:260], axis=(0, 1, 2))
    # 4 pixels a frame are what most pixels have, so the scale is a little above them.
    assert middle[0] == 255
    assert middle[1:].max() < 100


def test_the_key_is_in_the_corner(video, monkeypatch):
    monkeypatch.setattr(module, "flow_scale", lambda flow: 6.0)
    picture = next(flow_pictures(video, "dis"))
    np.testing.assert_array_equal(picture[-64:, -64:], wheel_legend(64, 6.0, "DIS"))


def test_frames_beside_their_flow(video):
    alone, both = list(flow_pictures(video, "dis")), list(flow_pictures(video, "dis", beside=True))
    assert [p.shape for p in both] == [(256, 640, 3)] * 10
    np.testing.assert_array_equal(np.stack(both)[:, :, 320:], np.stack(alone))
    frames = resize_short_side(read_clip(video))
    np.testing.assert_array_equal(np.stack(both)[:, :, :320], frames)


def test_all_of_a_long_video_is_shown(video, monkeypatch):
    monkeypatch.setattr(module, "TEST_FRAMES", 3)
    assert len(list(flow_pictures(video, "dis"))) == 10


@pytest.mark.parametrize(("stream", "width"), [("flow", 320), ("joint", 640)])
def test_a_copy_of_an_answered_video_shows_the_flow(video, tmp_path, stream, width):
    answer = Answer(str(video), stream, 10, 0.4, [Prediction("run", 0, 0.5, 1.0)], engine="dis")
    write_annotated(answer, tmp_path / "copy.mp4")
    copy = read_clip(tmp_path / "copy.mp4").astype(int)
    assert copy.shape == (10, 256, width, 3)
    pictures = np.stack(list(flow_pictures(video, "dis", beside=stream == "joint"))).astype(int)
    # The codec halves the resolution of colours; on average little of that is seen.
    assert np.abs(copy[:, 60:] - pictures[:, 60:]).mean() < 6
    assert np.abs(copy[:, :20] - pictures[:, :20]).mean() > 20  # the classes
