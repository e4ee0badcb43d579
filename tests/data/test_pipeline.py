"""Batches of videos whose every pixel says which frame of which video it is."""

import multiprocessing
from dataclasses import replace

import numpy as np
import pytest

from i3d_tf.data.clips import DIED, clip_processes, count_frames
from i3d_tf.data.example import NO_LABEL, Interval, IntervalVideo, VideoExample
from i3d_tf.data.flow_store import FlowStore
from i3d_tf.data.pipeline import (
    Failures,
    PipelineConfig,
    evaluation_clips,
    train_batches,
)
from i3d_tf.specs.protocol import Protocol
from i3d_tf.video.encode import write_video

FRAMES = 40
STEP = 5  # grey levels from one frame to the next
DEFAULTS = {"streams": ("rgb",), "batch_size": 3, "seed": 0}


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


PROTOCOL = Protocol(frames=8, short_side=36, crop_size=32)


def config(examples, frames=8, rgb_step=1, **changes):
    protocol = replace(PROTOCOL, frames=frames, rgb_step=rgb_step)
    return PipelineConfig(**{"protocol": protocol, **DEFAULTS, "examples": examples, **changes})


def numbers(batch):
    """The frame numbers that the pixels of a batch spell, (N, T), and the labels."""
    clips, labels, _ = (np.array(part) for part in batch)
    levels = (clips[:, :, 16, 16, 0] + 1) * 127.5
    return np.rint((levels - 10 * labels[:, None]) / STEP).astype(int), labels


def test_train_batches_are_consecutive_frames_of_video_of_label(examples):
    batches = list(train_batches(config(examples), 0, 4, Failures()))
    assert len(batches) == 4
    for batch in batches:
        assert batch[0].shape == (3, 8, 32, 32, 3)
        frames, _ = numbers(batch)
        assert (np.diff(frames, axis=1) == 1).all()
        assert frames.min() >= 0
        assert frames.max() < FRAMES
        assert float(batch[0].numpy().max()) <= 1.0


def test_train_batches_show_every_video_once_an_epoch(examples):
    labels = [
        label for b in train_batches(config(examples), 0, 8, Failures()) for label in b[1].numpy()
    ]
    for epoch in range(6):
        assert sorted(labels[4 * epoch : 4 * epoch + 4]) == [0, 1, 2, 3]


def as_bytes(batches):
    return [tuple(np.array(part).tobytes() for part in batch) for batch in batches]


def test_train_batches_are_the_same_for_any_workers_and_first_step(examples):
    whole = as_bytes(train_batches(config(examples), 0, 6, Failures(), workers=1))
    assert as_bytes(train_batches(config(examples), 0, 6, Failures(), workers=4)) == whole
    assert as_bytes(train_batches(config(examples), 4, 6, Failures())) == whole[4:]
    assert as_bytes(train_batches(config(examples, seed=1), 0, 6, Failures())) != whole


def test_train_batches_of_several_iterations_are_the_same_each_time(examples):
    once = as_bytes(train_batches(config(examples), 2, 4, Failures()))
    twice = train_batches(config(examples), 2, 4, Failures(), iterations=2)
    assert as_bytes(twice) == once
    assert as_bytes(twice) == once


def test_train_batches_of_several_iterations_keep_the_error(examples):
    failures = Failures()
    batches = train_batches(config([None]), 0, 1, failures, iterations=2)
    with pytest.raises(AttributeError, match="'NoneType'"), failures.reraised():
        next(iter(batches))


def test_train_batches_decode_only_the_window(examples, monkeypatch):
    from i3d_tf.data import clips

    asked = []

    def spy(path, rate, start, end, change):
        asked.append(round((end - start) * rate))
        return real(path, rate, start, end, change)

    real = clips.read_clip
    monkeypatch.setattr(clips, "read_clip", spy)
    list(train_batches(config(examples), 0, 2, Failures()))
    assert asked == [8] * 6


def test_train_batches_stay_within_the_cut(examples):
    cut = VideoExample(examples[1].path, 1, "class 1", start=0.4, end=0.8)
    assert count_frames(cut, 25.0) == 10
    batches = train_batches(config((cut,)), 0, 5, Failures())
    frames = np.concatenate([numbers(batch)[0] for batch in batches])
    assert frames.min() >= 10
    assert frames.max() <= 19


def test_evaluation_clips_are_first_frames_in_order_with_incomplete_last_batch(examples):
    batches = list(evaluation_clips(config(examples), Failures()))
    assert [batch[1].numpy().tolist() for batch in batches] == [[0, 1, 2], [3]]
    for batch in batches:
        assert numbers(batch)[0].tolist() == [list(range(8))] * len(batch[1])


def test_rgb_step_shows_middle_frame_of_every_step(examples):
    sparse = config(examples, frames=20, rgb_step=5)
    for batch in evaluation_clips(sparse, Failures()):
        assert numbers(batch)[0].tolist() == [[2, 7, 12, 17]] * len(batch[1])
    (batch,) = train_batches(sparse, 0, 1, Failures())
    frames, _ = numbers(batch)
    assert (np.diff(frames, axis=1) == 5).all()
    assert frames.shape == (3, 4)


def test_rgb_step_of_short_video_is_looped(examples):
    longer = config(examples, frames=FRAMES + 20, rgb_step=10)
    batch = next(iter(evaluation_clips(longer, Failures())))
    assert numbers(batch)[0].tolist() == [[5, 15, 25, 35, 5, 15]] * 3


def test_freeze_time_repeats_middle_frame(examples):
    (batch, _) = evaluation_clips(config(examples, freeze_time=True), Failures())
    assert numbers(batch)[0].tolist() == [[4] * 8] * 3


def test_unreadable_video_has_weight_0_and_is_in_failures(examples, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video")
    mixed = (*examples[:2], VideoExample(str(broken), 2, "class 2"))
    failures = Failures()
    (batch,) = train_batches(config(mixed), 0, 1, failures)
    clips, labels, weights = (np.array(part) for part in batch)
    assert weights[labels == 2] == [0.0]
    assert (weights[labels != 2] == 1.0).all()
    assert (clips[labels == 2] == -1.0).all()
    assert list(failures.reasons) == [str(broken)]
    assert (numbers(batch)[0][labels != 2] >= 0).all()


@pytest.mark.slow
def test_processes_make_the_batches_of_threads(examples, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video")
    flow_store = FlowStore(tmp_path / "flow", PROTOCOL, engine="dis")
    flow_store.compute_missing([example.path for example in examples], processes=1)
    mixed = (*examples, VideoExample(str(broken), 2, "class 2"))
    two_streams = {"streams": ("rgb", "flow"), "flow_store": flow_store, "jitter": 0.3}
    found, reasons = {}, {}
    for processes in (None, 2):
        failures = Failures()
        with clip_processes(processes, flow_store) as pool:
            settings = config(mixed, **two_streams, clip_processes=pool)
            batches = [*train_batches(settings, 0, 8, failures, iterations=1)]
            batches += evaluation_clips(settings, failures)
        found[processes] = [
            [part.tobytes() for part in (*map(np.array, clips.values()), *map(np.array, rest))]
            for clips, *rest in batches
        ]
        reasons[processes] = failures.reasons
    assert len(found[2]) == 8 + 2
    assert found[2] == found[None]
    assert reasons[2] == reasons[None] == {str(broken): reasons[None][str(broken)]}
    assert multiprocessing.active_children() == []


def test_a_video_that_ends_its_process_every_time_has_weight_0(examples):
    class DyingProcesses:
        processes = 1

        def __call__(self, example, *_):
            return None if example.label == 1 else [np.zeros((8, 32, 32, 3), np.uint8)]

    failures = Failures()
    dying = config(examples, batch_size=4, clip_processes=DyingProcesses())
    ((_, labels, weights),) = train_batches(dying, 0, 1, failures)
    assert (weights.numpy() == (labels.numpy() != 1)).all()
    assert failures.reasons == {examples[1].path: DIED}


def test_class_weights_are_weights_of_clips(examples):
    weights = (1.0, 2.0, 3.0, 4.0)
    for _, labels, found in train_batches(
        config(examples, class_weights=weights), 0, 2, Failures()
    ):
        assert found.numpy().tolist() == [weights[label] for label in labels.numpy()]


def test_paths_are_videos_of_a_step(examples):
    made = config(examples)
    (_, labels, _) = next(iter(train_batches(made, 2, 3, Failures())))
    assert made.paths(2) == [examples[label].path for label in labels.numpy()]


def test_flow_needs_a_flow_store(examples):
    with pytest.raises(ValueError, match="`flow_store` must be given for flow; received None"):
        config(examples, streams=("rgb", "flow"))


def test_epochs_start_anew_from_a_position_in_an_order_of_their_own(examples):
    anew = config(examples, epoch_start=6)
    shown = [anew.read(position).label for position in range(6, 26)]
    for start in range(0, 20, 4):
        assert sorted(shown[start : start + 4]) == [0, 1, 2, 3]
    assert shown != [config(examples).read(position).label for position in range(20)]
    batches = train_batches(anew, 2, 4, Failures())
    assert [label for _, labels, _ in batches for label in labels.numpy()] == shown[:6]


def test_targets_are_the_actions_at_the_times_of_the_frames(examples):
    # At 25 frames a second, class 0 is in frames 0 to 10, class 2 in frames 20 to 39.
    actions = IntervalVideo("a", (Interval(0, 0.0, 0.4), Interval(2, 0.8, 9.0)))
    timed = [replace(example, label=NO_LABEL, actions=actions) for example in examples]
    settings = config(timed, task="frames", classes=3, frames=16)
    clips, targets, _ = next(iter(train_batches(settings, 0, 1, Failures())))
    frames = [settings.sample(position, timed[0]).indices for position in range(3)]
    assert targets.shape == (3, 16, 3)
    expected = np.stack([np.stack([f <= 10, f < 0, f >= 20], axis=-1) for f in frames])
    np.testing.assert_array_equal(targets, expected)
    assert not expected.all(axis=1).any()  # a class is in some frames of a clip only

    settings = replace(settings, task="multilabel")
    clips, targets, _ = next(iter(train_batches(settings, 0, 1, Failures())))
    np.testing.assert_array_equal(targets, expected.any(axis=1))
    assert clips.shape == (3, 16, 32, 32, 3)


def test_unreadable_clips_have_no_action_and_no_weight(examples, tmp_path):
    actions = IntervalVideo("a", (Interval(0, 0.0, 9.0),))
    broken = VideoExample(str(tmp_path / "none.mp4"), NO_LABEL, "", actions=actions)
    settings = config([broken], task="frames", classes=2, batch_size=1)
    _, targets, weights = next(iter(train_batches(settings, 0, 1, Failures())))
    assert (targets.shape, float(targets.numpy().sum()), weights.numpy()) == ((1, 8, 2), 0, [0])


def test_clip_of_one_of_two_datasets_counts_for_its_head_alone(examples, tmp_path):
    own = [replace(each, head="a") for each in examples[:2]]
    broken = VideoExample(str(tmp_path / "none.mp4"), 1, "", head="b")
    others = [replace(examples[3], label=0, head="b"), broken]
    two = config((*own, *others), batch_size=4, heads=("b", "a"))
    ((_, labels, weights),) = list(train_batches(two, 0, 1, Failures()))
    columns = [part[head].numpy() for part in (labels, weights) for head in "ab"]
    # Labels of a and b, then the weights; that of the unreadable clip is 0 for both.
    expected = [[-1, 0, 0, 1], [-1, 1, 0, 0], [0, -1, 1, 0], [1, -1, 1, 0]]
    assert sorted(np.stack(columns, axis=1).tolist()) == expected
    ((_, found, _),) = list(evaluation_clips(replace(two, examples=own), Failures()))
    assert found.numpy().tolist() == [0, 1]  # numbers of examples, whatever the heads


def test_crop_scales_are_of_training_alone(examples):
    half = config(examples, crop_scales=(0.5,))
    place = half.sample(0, examples[0]).place
    assert (place.height, place.width) == (0.5, 0.5)
    (batch,) = list(train_batches(half, 0, 1, Failures()))
    assert batch[0].shape == (3, 8, 32, 32, 3)
    (plain,) = list(evaluation_clips(config(examples, batch_size=4), Failures()))
    (scaled,) = list(evaluation_clips(replace(half, batch_size=4), Failures()))
    np.testing.assert_array_equal(plain[0], scaled[0])


def test_processes_share_the_clips_of_every_step(examples):
    whole, first, second = (
        list(train_batches(config(examples, batch_size=4, share=share), 1, 3, Failures()))
        for share in ((0, 1), (0, 2), (1, 2))
    )
    assert len(whole) == len(first) == len(second) == 2
    for batch, *parts in zip(whole, first, second, strict=True):
        for all_of_it, *of_parts in zip(batch, *parts, strict=True):
            assert [len(part) for part in of_parts] == [2, 2]
            np.testing.assert_array_equal(np.concatenate(of_parts), all_of_it)
