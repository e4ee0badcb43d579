"""The records of a test set that networks are evaluated on, and the frames that a page shows."""

from collections.abc import Mapping, Sequence

import numpy as np

from i3d_tf.data.class_folders import select_videos, video_name
from i3d_tf.evaluation.report import FRAMES_SHOWN, MAX_SECONDS
from i3d_tf.evaluation.results import VideoPrediction
from i3d_tf.inference.test_set import recorded_videos
from i3d_tf.records.pipeline import read_record_frames
from i3d_tf.records.record_set import RecordSet, note_differences, read_records
from i3d_tf.specs.protocol import Protocol
from i3d_tf.specs.streams import FRAME_RATE
from i3d_tf.zoo.checkpoint import Checkpoint


def read_test_records(
    pattern: str,
    split: str,
    networks: Mapping[str, Checkpoint],
    class_names: Sequence[str],
    protocol: Protocol,
) -> RecordSet:
    """Reads the records of a test set, with the labels of the networks' classes.

    Args:
        pattern: See `i3d_tf.records.record_set.find_shards`.
        split: Where the networks' runs chose their splits, the one to take; "" takes all records,
            as do networks whose runs chose none.
        networks: Stream to network.
        class_names: Those of the networks, in the order of the logits.
        protocol: How clips are made; a note says where the frames were made otherwise.

    Raises:
        ValueError: See `read_records`; or no record is of the split, or the networks were tested
            on different videos.
        RecordError: See `read_records`.
    """
    recorded = recorded_videos(split, networks) if split else None
    records = read_records(pattern, class_names)
    records = note_differences(records, protocol.short_side, protocol.frame_rate, "network")
    if recorded is None:
        return records
    dataset = records.dataset
    if set(recorded).isdisjoint(video_name(each, pattern) for each in dataset.examples):
        raise ValueError(
            f"`records` {pattern}: none is one of the {len(recorded)} videos of the split "
            f"{split!r} of {' and '.join(network.name for network in networks.values())}, such as "
            f"{min(recorded)}. Name the records of its videos, or give --split= for all records."
        )
    return RecordSet(select_videos(dataset, split, recorded), records.places, records.settings)


def read_film_records(records: RecordSet, prediction: VideoPrediction) -> np.ndarray:
    """Reads a few frames of a record, as `i3d_tf.evaluation.report.read_film_frames` of a video.

    Raises:
        VideoError: The record cannot be read.
    """
    place = records.places[prediction.path]
    rate, frames = place.record.frame_rate or FRAME_RATE, place.record.frames
    seconds = min(MAX_SECONDS, frames / rate)
    times = np.linspace(0, 0.95 * seconds, FRAMES_SHOWN)
    numbers = np.minimum(np.rint(times * rate).astype(int), frames - 1)
    return read_record_frames(prediction.path, place, numbers.tolist())
