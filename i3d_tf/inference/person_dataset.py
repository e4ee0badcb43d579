"""Videos with persons in boxes: an annotation or a detector's file, and the videos it names."""

import dataclasses
import os
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from i3d_tf.data.ava import DECIMALS, Frame, PersonFile, read_label_map, read_persons
from i3d_tf.data.class_names import ClassNames
from i3d_tf.data.clips import count_frames
from i3d_tf.data.example import NO_LABEL, KeyFrame, Person, VideoDataset, VideoExample
from i3d_tf.data.match_videos import AnnotatedVideo, Candidate, Row, collect
from i3d_tf.data.quarantine import Quarantine
from i3d_tf.data.video_files import safe_path
from i3d_tf.specs.datasets import PERSON_BOXES, Dataset
from i3d_tf.specs.validation import check_number
from i3d_tf.system.console import progress_bar
from i3d_tf.system.files import sha256
from i3d_tf.system.storage import file_names, is_folder, join
from i3d_tf.system.tables import SkippedRow
from i3d_tf.video.errors import VideoError
from i3d_tf.video.names import video_stem

DATASET = Dataset(PERSON_BOXES, form=PERSON_BOXES, video_folders=("", "videos"))
# Kinetics' clips.
CUT_STEM = re.compile(r"(?P<video>.+)_(?P<start>\d{6})_(?P<end>\d{6})")


def read_person_dataset(
    data_dir: str,
    boxes: os.PathLike | str,
    actions: Mapping[int, str],
    frame_rate: float,
    class_names: Sequence[str] | None = None,
    quarantine: os.PathLike | str | None = None,
    time_offset: float = 0.0,
    split: str | None = None,
    min_score: float | None = None,
) -> VideoDataset:
    """Reads a file of persons and finds its videos: an example for each key frame.

    A video lies below data_dir, under its name in the file and any ending; it starts at
    `time_offset` of the file's seconds. Clips that are named as Kinetics' are, by a video, its
    first and its last second (`ID_000010_000020.mp4`), start at the first. Rows of one person, with
    the same box, are joined.

    Args:
        data_dir: Folder of the videos.
        boxes: The file, see `i3d_tf.data.ava.read_persons`.
        actions: Number to name of the actions; rows of others are skipped.
        frame_rate: Frames per second of the clips that are made of the videos.
        class_names: Names of the classes in label order; None takes those of `actions`. Actions of
            other names are left out.
        quarantine: List of unreadable videos to leave out, or None.
        time_offset: Seconds.
        split: Name of the split, for the report.
        min_score: Lowest score of a detected person, in the eighth column; None takes all.

    Returns:
        VideoDataset whose examples have one key frame each, maybe with nobody, by video and time.
        Its report counts videos, and names rows and key frames that cannot be used.

    Raises:
        ValueError: The file has another form, or no video was found.
        OSError: A file or a folder is missing or cannot be read.
    """
    check_number("time_offset", time_offset)
    if not is_folder(data_dir):
        raise FileNotFoundError(f"`data_dir` {data_dir}: there is no such folder.")
    names = ClassNames(actions.values() if class_names is None else class_names)
    content = read_persons(boxes, actions)
    source = posixpath.basename(os.fspath(boxes))
    labels = {number: names.find(name) for number, name in actions.items()}
    by_frame = group_persons(content, labels, min_score)
    key_frames: dict[str, list[KeyFrame]] = defaultdict(list)
    for frame, persons in sorted(by_frame.items()):
        video, timestamp = frame
        time = round(timestamp - time_offset, DECIMALS)  # without noise, as records keep it
        key_frames[video].append(KeyFrame(video, timestamp, time, persons))
    rows: list[Row] = [*content.skipped, *_videos(source, key_frames, data_dir)]
    notes = []
    if min_score is not None:
        low = sum(row.last is None or row.last < min_score for row in content.rows)
        notes = [f"{low} of {len(content.rows)} rows have no score of at least {min_score:g}"]
    videos = collect(DATASET, split, data_dir, names, rows, Quarantine(quarantine), notes)
    return _with_readable_key_frames(videos, source, frame_rate)


def group_persons(
    content: PersonFile, labels: Mapping[int, int | None], min_score: float | None = None
) -> dict[Frame, tuple[Person, ...]]:
    """Returns the persons of each frame; the rows of one box are one person.

    Args:
        content: The file.
        labels: Number of an action to its label, or None for one that is left out.
        min_score: Lowest score of a person; None takes all.
    """
    found: dict[Frame, dict[tuple, tuple[set[int], float | None]]] = {
        frame: {} for frame in content.frames
    }
    for row in content.rows:
        if min_score is not None and (row.last is None or row.last < min_score):
            continue
        person_labels, _ = found[row.frame].setdefault(row.box, (set(), row.last))
        label = None if row.action is None else labels.get(row.action)
        if label is not None:
            person_labels.add(label)
    return {
        frame: tuple(
            Person(box, tuple(sorted(person_labels)), number)
            for box, (person_labels, number) in persons.items()
        )
        for frame, persons in found.items()
    }


class PersonBoxes:
    """A file of persons in boxes, by video, for videos that are given.

    Args:
        path: The file, see `i3d_tf.data.ava.read_persons`; its actions have no meaning.
        min_score: Lowest score of a person, in the eighth column; None takes all.
        time_offset: Seconds of the file at which the videos start. Clips that are named as
            Kinetics' are start at the second in their name.

    Attributes:
        has_numbers: Whether the last column tells persons apart: it holds whole numbers only.

    Raises:
        ValueError: The file has another form, rows that are not valid, or no person.
        OSError: It cannot be read.
    """

    def __init__(
        self,
        path: os.PathLike | str,
        min_score: float | None = None,
        time_offset: float = 0.0,
    ):
        self._path, self._offset = os.fspath(path), check_number("time_offset", time_offset)
        content = read_persons(path)
        if content.skipped:
            raise ValueError(
                f"{self._path}: {len(content.skipped)} rows are not valid, the first is "
                f"{content.skipped[0]}. Correct or remove them."
            )
        numbers = [row.last for row in content.rows if row.last is not None]
        self.has_numbers = min_score is None and all(value == int(value) for value in numbers)
        self._by_video: dict[str, list[tuple[float, tuple[Person, ...]]]] = defaultdict(list)
        for frame, persons in sorted(group_persons(content, {}, min_score).items()):
            if persons:
                self._by_video[frame.video].append((frame.timestamp, persons))
        if not self._by_video:
            least = "" if min_score is None else f" with a score of at least {min_score:g}"
            raise ValueError(f"{self._path}: there is no person in it{least}.")
        self.settings = {
            "boxes": {"name": posixpath.basename(self._path), "sha256": sha256(self._path)},
            "min_score": min_score,
            "time_offset": time_offset,
        }

    def examples(self, video: os.PathLike | str, frame_rate: float) -> tuple[VideoExample, ...]:
        """Returns an example for each key frame of a video, by time.

        Args:
            video: Path; its name without the ending is the video's in the file.
            frame_rate: Frames per second of the clips.

        Raises:
            VideoError: The file has no person of it, or a key frame is outside of it.
        """
        path = os.fspath(video)
        name = video_stem(posixpath.basename(path.replace(os.sep, "/").rstrip("/")))
        start, found = self._offset, self._by_video.get(name, [])
        match = CUT_STEM.fullmatch(name)
        if match and not found:
            start, end = float(match["start"]), float(match["end"])
            of_video = self._by_video.get(match["video"], [])
            found = [frame for frame in of_video if start <= frame[0] <= end]
        if not found:
            known = min(self._by_video)
            raise VideoError(
                path, f"{self._path} has no person of {name!r}; it has some of {known!r}"
            )
        whole = VideoExample(path, NO_LABEL, "")
        seconds = count_frames(whole, frame_rate) / frame_rate
        frames = [KeyFrame(name, stamp, stamp - start, persons) for stamp, persons in found]
        outside = [frame for frame in frames if not 0 <= frame.time <= seconds]
        if outside:
            raise VideoError(
                path,
                f"{len(outside)} of its {len(frames)} key frames are outside of it: "
                f"{_outside(path, outside[0], seconds)}; check --time_offset",
            )
        return tuple(dataclasses.replace(whole, key_frames=(frame,)) for frame in frames)


def _videos(source, key_frames: Mapping[str, list[KeyFrame]], data_dir) -> Iterator[AnnotatedVideo]:
    """Yields the files that may hold the key frames of each video."""
    cuts = _cuts(data_dir)
    for video, frames in key_frames.items():
        try:
            folder, name = posixpath.split(safe_path(video))
        except ValueError as error:
            raise ValueError(f"{source}: video {video[:80]!r}: {error}.") from error
        places = tuple(posixpath.join(place, folder) for place in DATASET.video_folders)
        rest = frames
        for cut, start, end in cuts.get(video, ()):
            within = tuple(
                frame._replace(time=frame.timestamp - start)
                for frame in rest
                if start <= frame.timestamp <= end
            )
            rest = [frame for frame in rest if not start <= frame.timestamp <= end]
            if within:
                yield _annotated(source, cut, places, cut, within)
        if rest:
            yield _annotated(source, video, places, name, tuple(rest))


def _annotated(source, shown, places, name, key_frames):
    candidates = (Candidate(name),)
    return AnnotatedVideo(source, None, shown, NO_LABEL, places, candidates, key_frames=key_frames)


def _cuts(data_dir) -> dict[str, list[tuple[str, int, int]]]:
    """Returns the clips of each video that are named as Kinetics' are: (name, start, end)."""
    cuts: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
    for folder in DATASET.video_folders:
        for name in sorted(file_names(join(data_dir, folder)) or ()):
            if match := CUT_STEM.fullmatch(video_stem(name)):
                cuts[match["video"]].append((name, int(match["start"]), int(match["end"])))
    return cuts


def _with_readable_key_frames(dataset, source, frame_rate):
    """Returns a dataset with an example for each key frame, without those outside of videos."""
    examples: list[VideoExample] = []
    outside: list[SkippedRow] = []
    unreadable: list[tuple[str, str]] = []
    num_videos = 0
    with progress_bar() as bar:
        task = bar.add_task("looking at the videos", total=len(dataset.examples))
        for video in dataset.examples:
            bar.advance(task)
            try:
                seconds = count_frames(video, frame_rate) / frame_rate
            except VideoError as error:
                unreadable.append((video.path, error.reason))
                continue
            num_videos += 1
            for frame in video.key_frames:
                if 0 <= frame.time <= seconds:
                    examples.append(dataclasses.replace(video, key_frames=(frame,)))
                else:
                    outside.append(SkippedRow(source, None, _outside(video.path, frame, seconds)))
    report = dataclasses.replace(
        dataset.report,
        rows=dataset.report.rows + len(outside),
        found=num_videos,
        quarantined=(*dataset.report.quarantined, *unreadable),
        skipped=(*dataset.report.skipped, *outside),
        notes=(*dataset.report.notes, *_notes(examples)),
    )
    if not examples:
        faults = (*(f"{path}: {reason}" for path, reason in unreadable), *map(str, outside))
        raise ValueError(f"{source}: no key frame can be read; the first fault is {faults[0]}.")
    return dataclasses.replace(dataset, examples=tuple(examples), report=report)


def read_person_videos(
    data_dir: str,
    boxes: os.PathLike | str,
    label_map: os.PathLike | str,
    frame_rate: float,
    quarantine: os.PathLike | str | None = None,
    time_offset: float = 0.0,
) -> tuple[VideoDataset, tuple[int, ...]]:
    """Reads a file of persons as `read_person_dataset` does: an example for each video.

    Args:
        data_dir: See `read_person_dataset`.
        boxes: See there.
        label_map: File of the actions, see `i3d_tf.data.ava.read_label_map`.
        frame_rate: See there.
        quarantine: See there.
        time_offset: See there.

    Returns:
        VideoDataset whose examples have all key frames of a video each, and the number of each of
        its classes in the label map.
    """
    actions = read_label_map(label_map)
    dataset = read_person_dataset(
        data_dir, boxes, actions, frame_rate, quarantine=quarantine, time_offset=time_offset
    )
    key_frames: dict[str, list[KeyFrame]] = defaultdict(list)
    videos = {example.path: example for example in dataset.examples}
    for example in dataset.examples:
        key_frames[example.path] += example.key_frames
    examples = tuple(
        dataclasses.replace(example, key_frames=tuple(key_frames[path]))
        for path, example in videos.items()
    )
    report = dataclasses.replace(
        dataset.report,
        rows=dataset.report.rows - dataset.report.found + len(examples),
        found=len(examples),
    )
    return dataclasses.replace(dataset, examples=examples, report=report), tuple(actions)


def _outside(path, frame, seconds):
    return (
        f"{frame.video} at {frame.timestamp:g} s is at {frame.time:g} s of {path}, which has "
        f"{seconds:.2f} s"
    )


def _notes(examples: Iterable[VideoExample]):
    counts = [len(frame.persons) for example in examples for frame in example.key_frames]
    empty = counts.count(0)
    yield f"{len(counts)} key frames with {sum(counts)} persons"
    if empty:
        yield f"{empty} key frames have nobody"


def without_empty_frames(dataset: VideoDataset) -> VideoDataset:
    """Returns a dataset without key frames that have nobody, of which nothing can be learned.

    Raises:
        ValueError: No key frame is left.
    """
    examples = tuple(each for each in dataset.examples if each.key_frames[0].persons)
    if not examples:
        raise ValueError(f"{dataset.report.data_dir}: there is nobody in any of the key frames.")
    report = dataset.report
    if len(examples) < len(dataset.examples):
        note = "key frames with nobody are left out: nothing can be learned of them"
        report = dataclasses.replace(report, notes=(*report.notes, note))
    return dataclasses.replace(dataset, examples=examples, report=report)
