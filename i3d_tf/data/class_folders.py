"""A folder for each class: `<data_dir>/<class>/*.mp4`, or `<data_dir>/<split>/<class>/*.mp4`.

In the place of a video there may be a folder of numbered pictures. Without folders for the splits,
`split_videos` chooses test videos of every class.
"""

import hashlib
import posixpath
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from i3d_tf.data.class_names import ClassNames
from i3d_tf.data.example import VideoDataset, VideoExample
from i3d_tf.data.match_videos import NOT_SELECTED, AnnotatedVideo, Candidate, collect
from i3d_tf.data.quarantine import Quarantine
from i3d_tf.specs.datasets import SPLIT_SPELLINGS, Dataset
from i3d_tf.system.storage import is_folder, join, walk
from i3d_tf.system.tables import SkippedRow
from i3d_tf.video.frame_folder import has_pictures
from i3d_tf.video.names import OtherFiles, is_video_file, is_video_name

TEST_SHARE = 0.2


def read_class_folders(
    dataset: Dataset,
    data_dir: str,
    split: str | None,
    classes: Sequence[str] | None,
    quarantine: Quarantine,
) -> VideoDataset:
    """Reads videos that lie in a folder for each class, at any depth.

    Without `classes`, the classes are the folders, sorted by name; where there are splits, those of
    all splits together, so that a class has the same label in each. Files that are not videos by
    their ending are counted as skipped, hidden ones are ignored.

    Args:
        dataset: The dataset.
        data_dir: Folder of the class folders, or of the splits' folders.
        split: Name of a folder in data_dir, or None.
        classes: Names of the classes in label order, or None. Other folders are left out.
        quarantine: Videos that are known to be unreadable.

    Raises:
        FileNotFoundError: The split has no folder.
        ValueError: There are no videos.
    """
    base = find_split_folder(data_dir, split) if split else ""
    if base is None:
        raise FileNotFoundError(
            f"class_folders: {data_dir} has no folder {split!r}. Give another `split`, or none if "
            "the class folders lie in it directly. To train on them, use the recipe finetune."
        )
    folders = {unicodedata.normalize("NFC", name): name for name in _folders(data_dir, base)}
    if classes is None:
        bases = _all_splits(data_dir) | {base} if split else {base}
        names = {name for place in bases for name in _folders(data_dir, place)}
        classes = sorted({unicodedata.normalize("NFC", name) for name in names})
    if not classes:
        raise ValueError(
            f"{join(data_dir, base)}: there are no class folders in it. Make a folder for each "
            "class, with its videos in it."
        )
    class_names = ClassNames(classes)
    others = [name for name in sorted(folders) if class_names.find(name) is None]
    notes = [f"folders that are not classes: {', '.join(others)}"] if others else []
    other_files = OtherFiles()
    rows = _rows(data_dir, base, folders, class_names, other_files)
    all_notes = chain(notes, _other_files_notes(other_files))
    return collect(dataset, split, data_dir, class_names, rows, quarantine, all_notes)


def _other_files_notes(other_files):
    """Yields the note on files that are no videos; they are counted when the rows are read."""
    if sentence := other_files.sentence():
        yield sentence


def _rows(data_dir, base, folders, classes, other_files):
    for class_folder, stored in sorted(folders.items()):
        label = classes.find(class_folder)
        top = join(data_dir, join(base, stored))
        for place, _, names in walk(top):
            folder = place[len(data_dir) :].lstrip("/\\") if data_dir else place
            if label is not None and place != top and _is_frame_folder(place, names):
                name = posixpath.basename(folder)
                holder = (posixpath.dirname(folder),)
                yield AnnotatedVideo(folder, None, folder, label, holder, (Candidate(name),))
                continue
            for name in names:
                shown = join(folder, name)
                if label is None:
                    yield NOT_SELECTED
                elif not is_video_file(place, name):
                    other_files.add(name)
                    yield SkippedRow(shown, None, _reason(name))
                else:
                    yield AnnotatedVideo(shown, None, shown, label, (folder,), (Candidate(name),))


def _reason(name):
    if is_video_name(name):
        return "it is sound or a single picture"
    return "its ending is not a video's"


def _is_frame_folder(place, names):
    return has_pictures(names) and not any(is_video_file(place, name) for name in names)


def find_split_folder(data_dir: str, split: str) -> str | None:
    """Returns the name of a split's folder in data_dir, or None where there is none."""
    for name in SPLIT_SPELLINGS.get(split, (split,)):
        if is_folder(join(data_dir, name)):
            return name
    return None


def _all_splits(data_dir):
    known = {name for names in SPLIT_SPELLINGS.values() for name in names}
    return known & set(_folders(data_dir, ""))


def _folders(data_dir, base):
    _, folders, _ = next(walk(join(data_dir, base)), ("", [], []))
    return [name.rstrip("/") for name in folders]


def find_split_folders(data_dir: str) -> tuple[str, str] | None:
    """Returns the splits to train and to test on that have folders; None where there are none.

    "val" goes before "test", which is then left for the end; see `is_split_folder`.

    Raises:
        ValueError: There is nothing to test on, only a folder for training.
    """
    train = find_split_folder(data_dir, "train")
    if train is None or not is_split_folder(data_dir, "train"):
        return None
    for split in ("val", "test"):
        if is_split_folder(data_dir, split):
            return "train", split
    if _folders(data_dir, "") == [train]:
        raise ValueError(
            f"{data_dir}: has a folder {train!r} and none to test on. Add a folder 'test', or give "
            f"--data_dir={join(data_dir, train)} to split its videos."
        )
    return None


def is_split_folder(data_dir: str, split: str) -> bool:
    """Returns whether a split has a folder, with class folders and no videos of its own.

    A folder with videos of its own may be a class that is called "train".
    """
    name = find_split_folder(data_dir, split)
    if name is None:
        return False
    place = join(data_dir, name)
    _, folders, files = next(walk(place), ("", [], []))
    return bool(folders) and not any(is_video_file(place, file) for file in files)


def split_videos(
    videos: Mapping[str, str],
    seed: int,
    known: Mapping[str, Collection[str]] | None = None,
    share: float = TEST_SHARE,
) -> dict[str, tuple[str, ...]]:
    """Chooses the test videos of every class.

    A class has `share` of its videos for testing, but at least one, and none where it has only one.
    The choice follows from the seed and the names. Videos that were split before stay where they
    were; new ones are for training, unless their class had no test video.

    Args:
        videos: Name of a video to its class.
        seed: Seed of the choice.
        known: The result of an earlier call, or None.
        share: Share of a class's videos.

    Returns:
        "train" and "test" to names, sorted.
    """
    train, test = (set((known or {}).get(split, ())) for split in ("train", "test"))
    by_class = defaultdict(list)
    for name, class_name in videos.items():
        by_class[class_name].append(name)
    for names in by_class.values():
        if test.isdisjoint(names) and len(names) > 1:
            new = sorted(set(names) - train, key=lambda name: _draw(seed, name))
            test.update(new[: max(1, round(share * len(names)))])
        train.update(set(names) - test)
    return {"train": tuple(sorted(train)), "test": tuple(sorted(test))}


def _draw(seed, name):
    """Returns a number that looks random, and is the same on every machine."""
    return hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogatepass")).digest()


def select_videos(
    dataset: VideoDataset, split: str, names: Collection[str], notes: Sequence[str] = ()
) -> VideoDataset:
    """Returns the videos of a split that `split_videos` made, and run.json lists.

    Args:
        dataset: All videos of the class folders.
        split: Name of the split, for the report.
        names: Its videos, see `video_name`.
        notes: What a user should know of the split, a sentence each.

    Raises:
        ValueError: There is none of them.
    """
    report = dataset.report
    found = {video_name(example, report.data_dir): example for example in dataset.examples}
    wanted = set(names)
    examples = tuple(example for name, example in found.items() if name in wanted)
    if not examples:
        raise ValueError(
            f"{report.data_dir}: has none of the {len(wanted)} videos that run.json lists for "
            f"{split}, such as {min(wanted)}. Give the folder that they are in."
        )
    known = {*found, *(path_below(path, report.data_dir) for path, _ in report.quarantined)}
    missing = tuple(sorted(wanted - known))
    report = replace(
        report,
        split=split,
        rows=report.rows + len(missing),
        found=len(examples),
        missing=missing,
        left_out=report.left_out + len(found) - len(examples),
        notes=(*report.notes, *notes),
    )
    return replace(dataset, examples=examples, report=report)


def video_name(example: VideoExample, data_dir: str) -> str:
    """Returns the path of a video below the folder of its dataset, the same on every machine."""
    return path_below(example.path, data_dir)


def path_below(path: str, data_dir: str) -> str:
    """Returns a path below a folder, with forward slashes, in composed letters."""
    below = path[len(data_dir) :].lstrip("/\\").replace("\\", "/")
    return unicodedata.normalize("NFC", below)
