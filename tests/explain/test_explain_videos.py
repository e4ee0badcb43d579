import json

import cv2
import numpy as np
import pytest

from i3d_tf.explain.explain_videos import Explainer, ExplainOptions, clip_frames, find_class
from i3d_tf.inference import test_clip
from i3d_tf.specs.protocol import Protocol
from i3d_tf.video.decode import read_clip

CLASSES = ("arm wrestling", "tai chi", "5")


def test_find_class_by_name_or_index():
    assert find_class(CLASSES, "tai chi") == find_class(CLASSES, "1") == 1
    assert find_class(CLASSES, "5") == 2  # a name before an index
    with pytest.raises(ValueError, match=r"one of the network's 3, .*'arm wrestlin'\. Is one of"):
        find_class(CLASSES, "arm wrestlin")
    with pytest.raises(ValueError, match=r"received '7'\.$"):
        find_class(CLASSES, "7")


def test_clip_frames_are_indices_in_the_video():
    frames = np.zeros((8, 1, 1, 3), np.uint8)
    windows = test_clip.TestClips(frames, (0, 4), length=4, num_frames=8, video_starts=(0, 30))
    assert clip_frames("rgb", windows, 1, Protocol(frames=4)).tolist() == [30, 31, 32, 33]
    looped = Protocol(frames=6, rgb_step=2)
    assert clip_frames("flow", windows, 0, looped).tolist() == [0, 1, 2, 3, 0, 1]
    assert clip_frames("rgb", windows, 0, looped).tolist() == [1, 3, 1]
    snippets = test_clip.TestClips(frames, (0, 4), 4, 8, segments=2, video_starts=(3, 50))
    found = clip_frames("flow", snippets, 0, Protocol(frames=2, segments=2))
    assert found.tolist() == [3, 4, 50, 51]


def test_smoothgrad_has_no_endpoint():
    with pytest.raises(ValueError, match="`endpoint` must be None for smoothgrad"):
        ExplainOptions("smoothgrad", endpoint="Mixed_4f")
    with pytest.raises(ValueError, match="`method` must be one of"):
        ExplainOptions("lime")


@pytest.fixture(scope="module")
def predictor(small_dir):
    from i3d_tf.inference.predictor import Predictor

    checkpoints = {"rgb": "small_rgb", "flow": "small_flow"}
    return Predictor("joint", checkpoints, small_dir, flow_engine="dis", protocol={"frames": 20})


@pytest.mark.slow
@pytest.mark.parametrize("method", ["gradcam", "tubes", "smoothgrad"])
def test_explainer_writes_a_video_a_picture_and_numbers(predictor, moving_video, tmp_path, method):
    video = str(moving_video(20))
    options = ExplainOptions(method, tmp_path / "new", samples=2, with_checks=True)
    explainer = Explainer(predictor, options)
    path = explainer.paths([video])[video]
    assert path == tmp_path / "new" / f"20_{method}.mp4"
    prediction = predictor.predict(video)
    explainer.write(prediction, path)
    # Both streams' maps beside each other, on the frames as they are.
    assert read_clip(path).shape == (20, 48, 128, 3)
    sheet = cv2.imread(str(path.with_suffix(".png")))
    assert sheet.shape == (480, 6 * 213, 3)  # the frames, and a row a stream
    record = json.loads(path.with_suffix(".json").read_text())
    assert record["class"] == {
        "class": prediction.top[0].label,
        "index": prediction.top[0].index,
    }
    assert record["frames"] == {
        "frame_rate": 25.0, "first": 0, "last": 19, "start": 0.0, "end": 0.8
    }  # fmt: skip
    assert list(record["streams"]) == ["rgb", "flow"]
    for stream in record["streams"].values():
        assert stream["endpoint"] == (None if method == "smoothgrad" else "Mixed_5c")
        assert stream["map_shape"] == ([20, 32, 32] if method == "smoothgrad" else [3, 1, 1])
        assert len(stream["deletion"]["masked"]) == 4
        assert len(stream["random_head_rank_correlations"]) == 3
        assert 0 <= stream["mean_place"]["x"] < 64
    explainer.paths([video])  # files of its own are replaced
    path.with_suffix(".png").write_text("mine")
    with pytest.raises(FileExistsError, match=r"_\w+\.png: exists already"):
        explainer.paths([video])


@pytest.mark.slow
def test_of_several_clips_the_one_with_the_largest_logit_is_explained(small_dir, moving_video):
    from i3d_tf.inference.predictor import Predictor

    video = moving_video(60)
    predictor = Predictor("rgb", "small_rgb", small_dir, protocol={"frames": 16, "windows": 3})
    explainer = Explainer(predictor, ExplainOptions("gradcam", endpoint="Mixed_4f"))
    logits = []
    for start in (0, 22, 44):
        clip = read_clip(video)[start : start + 16]
        top = predictor.predict(clip, top=5, frame_rate=25.0).top
        logits.append({p.index: p.logit for p in top}[2])
    (explained,) = explainer.explain(video, 2)
    assert explained.heat.first == (0, 22, 44)[int(np.argmax(logits))]
    assert explained.heat.last == explained.heat.first + 15


@pytest.mark.slow
def test_explainer_refuses_bad_arguments_before_videos_are_read(predictor, tmp_path):
    for options, message in (
        (ExplainOptions("gradcam", endpoint="Mixed_6a"), "received 'Mixed_6a'"),
        (ExplainOptions("gradcam", class_name="six"), "received 'six'"),
    ):
        with pytest.raises(ValueError, match=message):
            Explainer(predictor, options)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="file: not a folder"):
        Explainer(predictor, ExplainOptions("tubes", tmp_path / "file")).paths(["a.mp4"])
