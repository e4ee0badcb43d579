"""A folder for each class: `<data_dir>/<class>/*.mp4`, or `<data_dir>/<split>/<class>/*.mp4`.

In the place of a video there may be a folder of numbered pictures.
"""

import posixpath
import unicodedata
from collections.abc import Sequence

from i3d_tf.data.class_names import ClassNames
from i3d_tf.data.dataset_report import SkippedRow
from i3d_tf.data.example import VideoDataset
from i3d_tf.data.match_videos import NOT_SELECTED, AnnotatedVideo, Candidate, collect
from i3d_tf.data.quarantine import Quarantine
from i3d_tf.specs.datasets import SPLIT_SPELLINGS, Dataset
from i3d_tf.system.storage import is_folder, join, walk
from i3d_tf.video.find import is_video_name
from i3d_tf.video.frame_folder import has_pictures


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
    base = _split_folder(data_dir, split) if split else ""
    folders = {unicodedata.normalize("NFC", name): name for name in _folders(data_dir, base)}
    if classes is None:
        bases = _all_splits(data_dir) | {base} if split else {base}
        names = {name for place in bases for name in _folders(data_dir, place)}
        classes = sorted({unicodedata.normalize("NFC", name) for name in names})
    if not classes:
        raise ValueError(f"{join(data_dir, base)}: there are no class folders in it.")
    class_names = ClassNames(classes)
    others = [name for name in sorted(folders) if class_names.find(name) is None]
    notes = [f"folders that are not classes: {', '.join(others)}"] if others else []
    rows = _rows(data_dir, base, folders, class_names)
    return collect(dataset, split, data_dir, class_names, rows, quarantine, notes)


def _rows(data_dir, base, folders, classes):
    for class_folder, stored in sorted(folders.items()):
        label = classes.find(class_folder)
        top = join(data_dir, join(base, stored))
        for place, _, names in walk(top):
            folder = place[len(data_dir) :].lstrip("/\\") if data_dir else place
            if label is not None and place != top and _is_frame_folder(names):
                name = posixpath.basename(folder)
                holder = (posixpath.dirname(folder),)
                yield AnnotatedVideo(folder, None, folder, label, holder, (Candidate(name),))
                continue
            for name in names:
                shown = join(folder, name)
                if label is None:
                    yield NOT_SELECTED
                elif not is_video_name(name):
                    yield SkippedRow(shown, None, "its ending is not a video's")
                else:
                    yield AnnotatedVideo(shown, None, shown, label, (folder,), (Candidate(name),))


def _is_frame_folder(names):
    return has_pictures(names) and not any(map(is_video_name, names))


def _split_folder(data_dir, split):
    for name in SPLIT_SPELLINGS.get(split, (split,)):
        if is_folder(join(data_dir, name)):
            return name
    raise FileNotFoundError(
        f"class_folders: {data_dir} has no folder {split!r}. Give another `split`, or none if the "
        "class folders lie in it directly."
    )


def _all_splits(data_dir):
    known = {name for names in SPLIT_SPELLINGS.values() for name in names}
    return known & set(_folders(data_dir, ""))


def _folders(data_dir, base):
    _, folders, _ = next(walk(join(data_dir, base)), ("", [], []))
    return [name.rstrip("/") for name in folders]
