"""Boxes that move with crops and mirroring, padding, and the clips around key frames."""

import numpy as np
import pytest

from i3d_tf.data.example import NO_LABEL, KeyFrame, Person, VideoExample
from i3d_tf.data.pipeline import Failures, PipelineConfig
from i3d_tf.inference.person_clips import (
    BoxCounts,
    key_frame_clips,
    move_boxes,
    multi_hot,
    pad_boxes,
    person_batches,
    sample_view,
)
from i3d_tf.specs.protocol import Protocol
from i3d_tf.specs.recipe import PERSONS
from i3d_tf.video.transforms import CropPlace

TOP_LEFT, TOP_RIGHT = CropPlace(0.0, 0.0), CropPlace(0.0, 1.0)
# In a frame of 200 x 100 pixels: from (20, 10) to (60, 90).
BOX = (0.1, 0.1, 0.3, 0.9)


@pytest.mark.parametrize(
    ("place", "expected", "share"),
    [
        (None, BOX, 1.0),
        # The crop is from (0, 0) to (50, 50): the box in it from (20, 10) to (50, 50).
        (TOP_LEFT, (0.4, 0.2, 1.0, 1.0), 30 * 40 / (40 * 80)),
        (TOP_LEFT._replace(mirrored=True), (0.0, 0.2, 0.6, 1.0), 30 * 40 / (40 * 80)),
        # The crop is from (150, 0), right of the box.
        (TOP_RIGHT, (0.0, 0.2, 0.0, 1.0), 0.0),
    ],
)
def test_boxes_move_with_the_crop(place, expected, share):
    boxes, shares = move_boxes([BOX], 100, 200, 50, place)
    np.testing.assert_allclose(boxes, [expected], atol=1e-6)
    np.testing.assert_allclose(shares, [share], atol=1e-12)


def test_mirroring_twice_gives_the_box_back():
    place = CropPlace(0.0, 0.0, mirrored=True)
    once, _ = move_boxes([BOX], 64, 64, 64, place)
    twice, shares = move_boxes(once, 64, 64, 64, place)
    np.testing.assert_allclose(twice, [BOX], atol=1e-6)
    assert shares == 1


def test_padding_repeats_boxes_with_weights_of_0():
    boxes = np.array([[0, 0, 0.5, 1], [0.5, 0, 1, 1]], np.float32)
    padded, targets, weights = pad_boxes(boxes, np.eye(2, dtype=np.float32), 5)
    assert padded.tolist() == boxes[[0, 1, 0, 1, 0]].tolist()
    assert targets.tolist() == [[1, 0], [0, 1], [0, 0], [0, 0], [0, 0]]
    assert weights.tolist() == [1, 1, 0, 0, 0]


def test_padding_of_nobody_is_the_whole_frame():
    nobody = np.zeros((0, 4), np.float32), np.zeros((0, 3), np.float32)
    padded, _, weights = pad_boxes(*nobody, 2)
    assert padded.tolist() == [[0, 0, 1, 1]] * 2
    assert not weights.any()


@pytest.fixture(scope="module")
def video(write_grey_video, tmp_path_factory):
    """25 frames of 128 x 64, levels 0, 10, ..."""
    path = tmp_path_factory.mktemp("clips") / "a.mp4"
    return str(write_grey_video(path, range(0, 250, 10), size=(64, 128)))


def example_of(path, time, *persons):
    frame = KeyFrame("a", time, time, tuple(persons))
    return VideoExample(path, NO_LABEL, "", key_frames=(frame,))


def config_of(examples, frames=9, batch_size=1):
    return PipelineConfig(
        examples=examples,
        streams=("rgb",),
        protocol=Protocol(frames=frames, short_side=32, crop_size=32),
        batch_size=batch_size,
        seed=0,
        task=PERSONS,
        classes=3,
    )


LEFT, RIGHT = Person((0, 0, 0.4, 1), (0, 2)), Person((0.6, 0, 1, 1), (1,))


def test_classes_of_persons_are_multi_hot():
    found = multi_hot(example_of("a.mp4", 0, LEFT, RIGHT), 3)
    assert found.tolist() == [[1, 0, 1], [0, 1, 0]]


@pytest.mark.parametrize(
    ("time", "expected"),
    [(0.4, range(6, 15)), (0.0, [0, 0, 0, 0, 0, 1, 2, 3, 4]), (1.0, [*range(20, 25), *[24] * 4])],
)
def test_test_clip_is_the_whole_frame_around_the_key_frame(video, time, expected):
    config = config_of([example_of(video, 0.0), example_of(video, time, LEFT, RIGHT)])
    ((inputs, number),) = key_frame_clips(config, Failures(), workers=1)
    assert int(number) == 1  # nobody is in the first
    clip = np.array(inputs["clip"])
    assert clip.shape == (1, 9, 32, 64, 3)
    levels = (clip[0].mean((1, 2, 3)) + 1) * 127.5
    np.testing.assert_allclose(levels, [10 * index for index in expected], atol=4)
    np.testing.assert_allclose(inputs["boxes"], [[LEFT.box, RIGHT.box]], atol=1e-6)


def test_training_clips_have_the_boxes_of_their_crops(video):
    config = config_of([example_of(video, 0.4, LEFT, RIGHT)])
    counts = BoxCounts()
    batches = list(person_batches(config, 2, 0, 8, Failures(), counts, workers=1))
    shown = 0
    for step, (inputs, targets, weights) in enumerate(batches):
        assert inputs["clip"].shape == (1, 9, 32, 32, 3)
        view, *_ = sample_view(config, step, config.examples[0])
        boxes, shares = move_boxes([LEFT.box, RIGHT.box], 32, 64, 32, view.place)
        kept = shares >= 0.5
        shown += kept.sum()
        np.testing.assert_array_equal(weights[0], np.arange(2) < kept.sum())
        np.testing.assert_allclose(inputs["boxes"][0][: kept.sum()], boxes[kept], atol=1e-6)
        expected = multi_hot(config.examples[0], 3)[kept]
        np.testing.assert_array_equal(targets[0][: kept.sum()], expected)
    assert (counts.shown, counts.cut_off, counts.surplus) == (shown, 16 - shown, 0)
    assert 0 < shown < 16
    assert f"{shown} were shown; {16 - shown} were left out" in counts.lines()[0]


def test_views_without_anybody_are_drawn_again(video):
    example = example_of(video, 0.4, LEFT, RIGHT)
    config = config_of([example])
    is_first = []
    for position in range(40):
        view, _, shares = sample_view(config, position, example)
        assert shares.max() >= 0.5
        is_first.append(view.place == config.sample(position, example).place)
    assert 0.5 < np.mean(is_first) < 1
    wide = example_of(video, 0.4, Person((0, 0, 1, 1)))  # a crop has half of it at most
    _, _, shares = sample_view(config, 0, wide)
    assert shares == 0.5


def test_clips_of_unreadable_videos_and_surplus_boxes_do_not_count(video, tmp_path):
    (tmp_path / "bad.mp4").write_text("?")
    whole = Person((0.25, 0, 0.75, 1), (1,))
    crowd = example_of(video, 0.4, *[whole] * 3)
    failures, counts = Failures(), BoxCounts()
    bad = example_of(str(tmp_path / "bad.mp4"), 0.4, whole)
    config = config_of([bad, crowd], batch_size=2)
    ((_, _, weights),) = person_batches(config, 2, 0, 1, failures, counts, workers=1)
    assert sorted(np.array(weights).sum(axis=1)) == [0, 2]
    assert list(failures.reasons) == [bad.path]
    assert (counts.shown, counts.surplus) == (2, 1)
    assert counts.lines() == ["boxes: 1 were above the largest number of a clip"]
