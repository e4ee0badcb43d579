"""Videos named by files, folders, patterns and lists."""

import glob
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from i3d_tf.system.console import print_lines
from i3d_tf.system.remote import as_path, is_remote
from i3d_tf.system.shards import Shard
from i3d_tf.system.storage import find_path, is_folder, join, read_lines, walk
from i3d_tf.system.tables import SkippedRow, Table
from i3d_tf.video.frame_folder import PICTURE_SUFFIXES, has_pictures, is_frame_folder
from i3d_tf.video.names import (
    OtherFiles,
    assign_outputs,
    is_video_file,
    is_video_name,
    output_path,
    relative_name,
)

LIST_SUFFIXES = (".txt", ".csv", ".tsv")
PATH = ("path",)  # the column of a list that is read
KINETICS = ("youtube_id", "time_start", "time_end")  # those of Kinetics's lists, instead
RECURSIVE = "**"  # of a pattern: any number of folders


def videos_below(
    folder: str, unreadable: list[OSError] | None = None, others: OtherFiles | None = None
) -> list[str]:
    """Returns the paths of all videos below a folder, folder by folder, without hidden ones.

    Args:
        folder: A folder, also at an address. Links are followed, see
            `i3d_tf.system.storage.walk`.
        unreadable: See `i3d_tf.system.storage.walk`.
        others: Counts the files that are no videos.

    Raises:
        OSError: A folder cannot be read, and there is no list for that.
    """
    videos = []
    for place, _, names in walk(folder, unreadable):
        for name in names:
            if is_video_file(place, name):
                videos.append(join(place, name))
            elif others is not None:
                others.add(name)
    return videos


def find_videos(
    arguments: Sequence[str | os.PathLike],
    quiet: bool = False,
    list_file: str | os.PathLike | None = None,
    list_root: str | os.PathLike | None = None,
    shard: Shard | None = None,
) -> list[str]:
    """Expands files, folders and glob patterns into a list of videos.

    A folder means every video below it, by the ending of its name, hidden files left out; a line on
    stderr says how many other files it has. Where
    there is none, it means the folders of numbered pictures, itself or below it, each of which is a
    video, see `i3d_tf.video.frame_folder`. A name that exists is taken as it is, so that brackets
    and stars in real names do no harm. A name that does not exist, or a folder that cannot be read,
    stays in the list: opening it says what is wrong.

    Args:
        arguments: Paths, folders, patterns, or addresses with `://`.
        quiet: Whether nothing is printed.
        list_file: A text file with a video a line, a path relative to it or an address, and what
            else training reads, such as a label; or None.
        list_root: Folder that its paths are relative to instead.
        shard: The part of the videos that is returned; None means all.

    Returns:
        Paths in the order given, those of a folder or pattern sorted, none twice.

    Raises:
        ValueError: A folder or a pattern has no video, or there are no arguments.
    """
    arguments = _with_list(arguments, list_file)
    _check_not_empty(arguments)
    found = _without_repeats(_expand_all(arguments, list_root=list_root, quiet=quiet))
    return [video for video, root in found if _is_in_shard(video, root, shard)]


def _is_in_shard(video, root, shard):
    return shard is None or shard.holds(relative_name(video, root))


class _ListFile(NamedTuple):
    """A list of videos, whatever the ending of its name."""

    path: str


def _with_list(arguments, list_file):
    return [*arguments, *([] if list_file is None else [_ListFile(os.fspath(list_file))])]


def as_stored(path: str) -> str:
    """Returns a path with its accents as they are on the disk; as it is where there is no file."""
    return path if path.isascii() or "://" in path else find_path(path) or path


class VideoTarget(NamedTuple):
    """A video and the file that is made of it.

    Attributes:
        video: Path of the video.
        path: Path of the file, or its address.
        root: The folder whose structure the file's place repeats, or None.
        paths: Paths of all files that are made of the video; the first is `path`.
    """

    video: str
    path: Path | str
    root: str | None
    paths: tuple[Path | str, ...]

    @property
    def name(self) -> str:
        """The video's name that is the same on every machine, see `relative_name`."""
        return relative_name(self.video, self.root)


def find_targets(
    arguments: Sequence[str | os.PathLike],
    output_dir: str | os.PathLike,
    names: str | Callable[[str], Sequence[str]],
    data_dir: str | os.PathLike | None = None,
    flat: bool = False,
    list_file: str | os.PathLike | None = None,
    shard: Shard | None = None,
    source_of: Callable[[Path], str | None] | None = None,
) -> list[VideoTarget]:
    """Finds videos, and a place for the file that is made of each.

    With `data_dir`, all videos lie below it, and their files in the same way below `output_dir`.
    Else this holds for a folder that is named and the videos below it, and for a list's own folder
    and the paths in the list; the files of all other videos lie in `output_dir` itself.

    Args:
        arguments: Files, folders, patterns, or lists: .txt, .csv and .tsv files with a video a
            line, relative to `data_dir` or else to the list; what else a line has, such as a label,
            is passed over. None at all means every video below `data_dir`.
        output_dir: Folder of the files, or an address.
        names: End of their names, in place of the video's; or a function of a video's path below
            `output_dir`, without ending, to the paths of its files there.
        data_dir: Folder of all videos, or its address; or None.
        flat: Whether, without `data_dir`, all files lie in `output_dir` itself.
        list_file: One more list, whatever the ending of its name; or None.
        shard: The part of the videos that is returned; None means all. The places of their files
            are those that they have among all videos.
        source_of: See `assign_outputs`.

    Returns:
        Targets in the order given, no video twice.

    Raises:
        ValueError: There are no videos, one is not below `data_dir`, or two would share a file.
    """
    arguments = _with_list(arguments, list_file)
    if not arguments and data_dir is not None:
        arguments = [data_dir]
        if is_remote(data_dir) and not is_folder(os.fspath(data_dir)):
            raise ValueError(f"`data_dir` {data_dir}: there is no such folder. Name another.")
    _check_not_empty(arguments)
    roots = dict(_without_repeats(_expand_all(arguments, with_lists=True, list_root=data_dir)))
    _check_not_empty(roots)  # a list may be empty
    remedy = "Name the folder that they have in common, or rename one."
    if flat or data_dir is not None:
        remedy = "Give the folder that they have in common as `data_dir`, or rename one."
        roots = dict.fromkeys(roots, None if data_dir is None else os.fspath(data_dir))
    names_of = names if callable(names) else lambda stem: [stem + names]

    @cache
    def files_of(video, keeps_ending):
        stem = output_path(video, "", "", roots[video], keeps_ending)
        place = os.fspath(output_dir)
        return [as_path(join(place, name)) for name in names_of(str(stem))]

    paths = assign_outputs(
        roots, lambda video, keeps_ending: files_of(video, keeps_ending)[0], remedy, source_of
    )
    targets, owners = [], {path: video for video, path in paths.items()}
    for video, path in paths.items():
        others = files_of(video, path != files_of(video, False)[0])[1:]
        for other in others:
            if (owner := owners.setdefault(other, video)) != video:
                raise ValueError(f"{owner} and {video} would both become {other}. Rename one.")
        if _is_in_shard(video, roots[video], shard):
            stored = as_path(as_stored(str(path)))
            targets.append(VideoTarget(video, stored, roots[video], (stored, *others)))
    return targets


def _check_not_empty(arguments):
    if not arguments:
        raise ValueError("no video was named; give files, folders or glob patterns.")


def _without_repeats(found):
    """Returns (video, root) pairs, the first of each video, however its path is written."""
    first = {}
    for video, root in found:
        place = video if "://" in video else os.path.abspath(video)
        first.setdefault(place, (video, root))
    return first.values()


def _expand_all(
    arguments, with_lists=False, list_root=None, quiet=False
) -> Iterator[tuple[str, str | None]]:
    """Yields (video, the named folder or the list's folder that it lies below, or None)."""
    for each in arguments:
        if isinstance(each, _ListFile):
            yield from _expand_list(each.path, list_root)
            continue
        argument = as_stored(str(each))
        # Unlike pathlib's, os.path's functions also return False for names the system refuses.
        if is_remote(argument):
            yield from _expand_address(argument, with_lists, list_root, quiet)
        elif os.path.isdir(argument):
            for video in _expand_folder(argument, quiet):
                yield video, None if video == str(Path(argument)) else argument
        elif with_lists and argument.lower().endswith(LIST_SUFFIXES) and os.path.isfile(argument):
            yield from _expand_list(argument, list_root)
        elif glob.has_magic(argument) and not os.path.exists(argument):
            yield from ((video, None) for video in _expand_pattern(argument))
        else:
            yield argument, None


def _expand_address(address, with_lists, list_root, quiet):
    """Expands an address; one that ends as a video's does is not asked for."""
    if is_video_name(address):
        yield address, None
    elif with_lists and address.lower().endswith(LIST_SUFFIXES):
        yield from _expand_list(address, list_root)
    elif is_folder(address):
        for video in _expand_folder(address.rstrip("/"), quiet):
            yield video, address.rstrip("/")
    else:
        yield address, None


def _expand_folder(folder, quiet):
    unreadable: list[OSError] = []
    others = OtherFiles()
    videos = videos_below(folder, unreadable, others)
    # A folder that cannot be read stands for its videos: opening it says what is wrong.
    videos += [error.filename for error in unreadable]
    if not videos:
        videos, without_pictures = _frame_folders(folder)
        if not videos:
            has = f"It has {others}" if str(others) else "There are no files in it"
            raise ValueError(
                f"{folder}: no videos in this folder (files such as .mp4 .avi .mkv), and "
                f"no folders of numbered pictures ({' '.join(PICTURE_SUFFIXES)}). {has}."
            )
        others = without_pictures
    # As paths, so that "." and doubled slashes are left out of names.
    found = sorted(str(as_path(path)) for path in videos)
    if (sentence := others.sentence()) and not quiet:
        print_lines(f"{folder}: {sentence}", file=sys.stderr)
    return found


def _frame_folders(folder):
    """Returns the folders of numbered pictures below a folder, and the files in other folders."""
    found, others = [], OtherFiles()
    for place, _, names in walk(folder, []):
        if has_pictures(names):
            found.append(place)
        else:
            for name in names:
                others.add(name)
    return found, others


def _expand_pattern(pattern):
    found = sorted(set(_matches(pattern)))
    paths = [path for path in found if not os.path.isdir(path) or is_frame_folder(path)]
    if not paths:
        raise ValueError(f"{pattern}: no file matches this pattern.")
    return paths


def _matches(pattern):
    """Yields the paths that match a pattern; `**` follows links as `walk` does."""
    parts = pattern.split("/")
    if RECURSIVE not in parts:
        yield from glob.iglob(pattern)
        return
    at = parts.index(RECURSIVE)
    above, below = "/".join(parts[:at]), "/".join(parts[at + 1 :])
    tops = glob.iglob(f"{above}/") if above else ["/" if at else ""]
    for top in tops:
        for place, _, _ in walk(top or os.curdir, []):
            folder = os.path.relpath(place) if not top else place.rstrip("/") or "/"
            prefix = "" if folder == os.curdir else glob.escape(folder)
            if below:
                yield from _matches(join(prefix, below))
            else:
                yield from glob.iglob(join(prefix, "*"))


def _expand_list(path, list_root):
    folder = os.path.dirname(path)
    for name in _listed_paths(path, os.fspath(list_root or folder)):
        if "://" in name or os.path.isabs(name):
            yield as_stored(name), None
        else:
            leads_out = os.pardir in Path(os.path.normpath(name)).parts
            place = as_stored(os.path.join(list_root or folder, name))
            yield place, None if leads_out else folder or "."


def _listed_paths(path, folder):
    """Returns the paths in a list: its lines, or the column `path` where it has others, too.

    Of Kinetics's lists they are the names of the cut videos, `<id>_<start>_<end>.mp4`.
    """
    # File names need not be text: what cannot be decoded is carried along.
    lines = [line.strip() for line in read_lines(path, "surrogateescape") if line.strip()]
    is_plain = not lines or ("://" not in folder and os.path.exists(join(folder, lines[0])))
    if not is_plain and (kinetics := Table(path, KINETICS, errors="surrogateescape")).has_heading:
        return [_kinetics_name(path, line, row) for line, row in kinetics.rows()]
    table = None if is_plain else Table(path, PATH, PATH, is_video_name, "surrogateescape")
    if table is None or not table.has_columns:
        return lines
    paths = []
    for line, row in table.rows():
        if isinstance(row, SkippedRow):
            raise ValueError(f"{path}: line {line}: {row.reason}.")
        if row["path"]:
            paths.append(row["path"])
    return paths


def _kinetics_name(path, line, row):
    """Returns the name of a cut video."""
    if isinstance(row, SkippedRow):
        raise ValueError(f"{path}: line {line}: {row.reason}.")
    youtube_id, *times = (row[column] for column in KINETICS)
    try:
        start, end = (int(float(time)) for time in times)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{path}: line {line}: the times {times[0]!r:.40} and {times[1]!r:.40} are not numbers."
        ) from None
    return f"{youtube_id}_{start:06d}_{end:06d}.mp4"
