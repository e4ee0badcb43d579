"""Batches of videos whose every pixel says which frame of which video it is."""

import numpy as np
import pytest

from i3d_tf.data.clips import ClipFormat, count_frames
from i3d_tf.data.example import VideoExample
from i3d_tf.data.pipeline import (
    Failures,
    PipelineConfig,
    evaluation_clips,
    normalize,
    train_batches,
)
from i3d_tf.video.encode import write_video
from i3d_tf.video.transforms import preprocess_input

FRAMES = 40
STEP = 5  # grey levels from one frame to the next


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """Four videos of flat frames, each 5 grey levels brighter than the one before."""
    folder = tmp_path_factory.mktemp("vidéo clips")
    found = []
    for label in range(4):
        levels = (np.arange(FRAMES) * STEP + 10 * label)[:, None, None, None]
        frames = np.broadcast_to(levels, (FRAMES, 48, 64, 3)).astype(np.uint8)
        write_video(folder / f"{label}.mp4", frames)
        found.append(VideoExample(str(folder / f"{label}.mp4"), label, f"class {label}"))
    return tuple(found)


def phases(examples, **changes):
    arguments = {
        "examples": examples,
        "streams": ("rgb",),
        "frames": 8,
        "form": ClipFormat(short_side=36, crop_size=32),
        "batch_size": 3,
        "seed": 0,
    }
    return PipelineConfig(**arguments | changes)


def numbers(batch):
    """The frame numbers that the pixels of a batch spell, (N, T), and the labels."""
    clips, labels, _ = (np.array(part) for part in batch)
    levels = (clips[:, :, 16, 16, 0] + 1) * 127.5
    return np.rint((levels - 10 * labels[:, None]) / STEP).astype(int), labels


def test_clips_are_consecutive_frames_of_the_video_of_their_label(examples):
    batches = list(train_batches(phases(examples), 0, 4, Failures()))
    assert len(batches) == 4
    for batch in batches:
        assert batch[0].shape == (3, 8, 32, 32, 3)
        frames, _ = numbers(batch)
        assert (np.diff(frames, axis=1) == 1).all()
        assert frames.min() >= 0
        assert frames.max() < FRAMES
        assert float(batch[0].numpy().max()) <= 1.0


def test_every_epoch_shows_every_video_once(examples):
    labels = [
        label for b in train_batches(phases(examples), 0, 8, Failures()) for label in b[1].numpy()
    ]
    for epoch in range(6):
        assert sorted(labels[4 * epoch : 4 * epoch + 4]) == [0, 1, 2, 3]


def as_bytes(batches):
    return [tuple(np.array(part).tobytes() for part in batch) for batch in batches]


def test_batches_do_not_depend_on_the_number_of_workers_nor_on_where_one_begins(examples):
    whole = as_bytes(train_batches(phases(examples), 0, 6, Failures(), workers=1))
    assert as_bytes(train_batches(phases(examples), 0, 6, Failures(), workers=4)) == whole
    assert as_bytes(train_batches(phases(examples), 4, 6, Failures())) == whole[4:]
    assert as_bytes(train_batches(phases(examples, seed=1), 0, 6, Failures())) != whole


def test_only_the_window_is_decoded(examples, monkeypatch):
    from i3d_tf.data import clips

    asked = []

    def spy(path, rate, start, end, change):
        asked.append(round((end - start) * rate))
        return real(path, rate, start, end, change)

    real = clips.read_clip
    monkeypatch.setattr(clips, "read_clip", spy)
    list(train_batches(phases(examples), 0, 2, Failures()))
    assert asked == [8] * 6


def test_a_cut_is_respected(examples):
    cut = VideoExample(examples[1].path, 1, "class 1", start=0.4, end=0.8)
    assert count_frames(cut, 25.0) == 10
    batches = train_batches(phases((cut,)), 0, 5, Failures())
    frames = np.concatenate([numbers(batch)[0] for batch in batches])
    assert frames.min() >= 10
    assert frames.max() <= 19


def test_evaluation_shows_first_frames_in_order_and_the_last_batch_whole(examples):
    batches = list(evaluation_clips(phases(examples), 1, 1, Failures()))
    assert [batch[1].numpy().tolist() for batch in batches] == [[0, 1, 2], [3]]
    for batch in batches:
        assert numbers(batch)[0].tolist() == [list(range(8))] * len(batch[1])


def test_rgb_may_show_one_of_several_frames_of_the_window(examples):
    sparse = phases(examples, frames=20, rgb_step=5)
    for batch in evaluation_clips(sparse, 1, 1, Failures()):
        assert numbers(batch)[0].tolist() == [[2, 7, 12, 17]] * len(batch[1])
    (batch,) = train_batches(sparse, 0, 1, Failures())
    frames, _ = numbers(batch)
    assert (np.diff(frames, axis=1) == 5).all()
    assert frames.shape == (3, 4)


def test_sparse_frames_of_a_short_video_are_looped_with_it(examples):
    longer = phases(examples, frames=FRAMES + 20, rgb_step=10)
    batch = next(iter(evaluation_clips(longer, 1, 1, Failures())))
    assert numbers(batch)[0].tolist() == [[5, 15, 25, 35, 5, 15]] * 3


def test_frozen_time_shows_one_frame(examples):
    (batch, _) = evaluation_clips(phases(examples, freeze_time=True), 1, 1, Failures())
    assert numbers(batch)[0].tolist() == [[4] * 8] * 3


def test_a_video_that_cannot_be_read_counts_nothing_and_is_named(examples, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video")
    mixed = (*examples[:2], VideoExample(str(broken), 2, "class 2"))
    failures = Failures()
    (batch,) = train_batches(phases(mixed), 0, 1, failures)
    clips, labels, weights = (np.array(part) for part in batch)
    assert weights[labels == 2] == [0.0]
    assert (weights[labels != 2] == 1.0).all()
    assert (clips[labels == 2] == -1.0).all()
    assert list(failures.reasons) == [str(broken)]
    assert (numbers(batch)[0][labels != 2] >= 0).all()


def test_class_weights_weigh_the_clips(examples):
    weights = (1.0, 2.0, 3.0, 4.0)
    for _, labels, found in train_batches(
        phases(examples, class_weights=weights), 0, 2, Failures()
    ):
        assert found.numpy().tolist() == [weights[label] for label in labels.numpy()]


def test_paths_name_the_videos_of_a_step(examples):
    made = phases(examples)
    (_, labels, _) = next(iter(train_batches(made, 2, 3, Failures())))
    assert made.paths(2) == [examples[label].path for label in labels.numpy()]


def test_the_range_is_that_of_preprocess_input():
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    # Both round once or twice, at numbers of up to 1: float32's half unit there is 6e-8.
    np.testing.assert_allclose(normalize(levels, "rgb"), preprocess_input(levels), atol=1.2e-7)
    flow = np.linspace(-25, 25, 64, dtype=np.float32).reshape(1, 4, 8, 2)
    np.testing.assert_array_equal(normalize(flow, "flow"), preprocess_input(flow, "flow"))
