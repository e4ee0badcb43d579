"""Videos named by files, folders, patterns and lists, and the files that are made of them."""

import glob
import os
import posixpath
from pathlib import Path
from typing import NamedTuple

from i3d_tf.system.storage import join, walk

# fmt: off
VIDEO_SUFFIXES = (
    ".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg",
    ".mts", ".ogv", ".ts", ".webm", ".wmv",
)
# fmt: on


def is_video_name(name) -> bool:
    """Whether a file's name ends as a video's does, in either case."""
    return posixpath.splitext(name)[1].lower() in VIDEO_SUFFIXES


def videos_below(folder) -> list[str]:
    """Paths of all videos below a folder, sorted folder by folder, hidden ones left out."""
    return [
        join(place, name)
        for place, _, names in walk(folder)
        for name in names
        if is_video_name(name)
    ]


LIST_SUFFIX = ".txt"


def find_videos(arguments) -> list[str]:
    """Expands files, folders and glob patterns into a list of videos.

    A folder means every video below it, by the ending of its name, hidden files left out. A name
    that exists is taken as it is, so that brackets and stars in real names do no harm. A name that
    does not exist stays in the list: opening it says what is wrong.

    Args:
        arguments: Paths, folders, patterns, or addresses with `://`.

    Returns:
        Paths in the order given, those of a folder or pattern sorted, none twice.

    Raises:
        ValueError: A folder or a pattern has no video, or there are no arguments.
    """
    if not arguments:
        raise ValueError("no video was named; give files, folders or glob patterns.")
    videos = []
    for argument in map(str, arguments):
        if "://" in argument:
            videos.append(argument)
            continue
        # Unlike pathlib's, os.path's answer is also No for names that the system refuses.
        if os.path.isdir(argument):
            videos += _videos_below(Path(argument))
        elif glob.has_magic(argument) and not os.path.exists(argument):
            videos += _videos_like(argument)
        else:
            videos.append(argument)
    by_place = {}
    for video in videos:
        by_place.setdefault(_place(video), video)
    return list(by_place.values())


def is_list(argument) -> bool:
    """Whether an argument is a text file that lists videos."""
    return argument.lower().endswith(LIST_SUFFIX) and os.path.isfile(argument)


def listed_names(path) -> list[str]:
    """What a list names, a video a line; empty lines are left out.

    File names need not be text: what cannot be decoded is carried along.
    """
    lines = Path(path).read_text("utf-8-sig", errors="surrogateescape").splitlines()
    return [name for line in lines if (name := line.strip())]


def _place(video):
    """The same for two spellings of one video."""
    return video if "://" in video else os.path.abspath(video)


def _videos_below(folder):
    found = sorted(
        str(path)
        for path in folder.rglob("*")
        if is_video_name(path.name)
        and not path.is_dir()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not found:
        endings = " ".join(VIDEO_SUFFIXES)
        raise ValueError(f"{folder}: no videos in this folder (files ending in {endings}).")
    return found


def _videos_like(pattern):
    found = sorted(path for path in glob.glob(pattern, recursive=True) if not os.path.isdir(path))
    if not found:
        raise ValueError(f"{pattern}: no file matches this pattern.")
    return found


class VideoTarget(NamedTuple):
    """A video and the file that is made of it.

    Attributes:
        video: Path of the video.
        path: Where the file goes.
        root: The folder, of those named, that the video was found below; or None.
    """

    video: str
    path: Path
    root: str | None


def find_targets(arguments, output_dir, suffix) -> list[VideoTarget]:
    """Finds videos, and places for their files.

    What lies below a folder that is named lies in the same way below `output_dir`; so does what a
    list names by a path below the list's own folder. The files of all others lie in `output_dir`.

    Args:
        arguments: Files, folders, patterns, or lists: .txt files with a video a line, relative to
            the list.
        output_dir: Where the files go.
        suffix: What their names end with, in place of the video's ending.

    Returns:
        VideoTargets in the order given, no video twice.

    Raises:
        ValueError: There are no videos, or two would share a file.
    """
    if not arguments:
        find_videos(arguments)  # which says what to give
    targets, owners = {}, {}
    for video, root in _rooted(arguments):
        place = video if "://" in video else os.path.abspath(video)
        if place in targets:
            continue
        name = os.path.relpath(video, root) if root is not None else os.path.basename(video)
        path = Path(output_dir, os.path.splitext(name)[0] + suffix)
        if path in owners:
            raise ValueError(
                f"{owners[path]} and {video} would both become {path}; name the folder that they "
                "have in common, or rename one."
            )
        targets[place], owners[path] = VideoTarget(video, path, root), video
    return list(targets.values())


def _rooted(arguments):
    """(video, the folder it was found below, or None)."""
    for argument in map(str, arguments):
        if is_list(argument):
            yield from _listed(argument)
        else:
            root = argument if os.path.isdir(argument) else None
            yield from ((video, root) for video in find_videos([argument]))


def _listed(path):
    folder = os.path.dirname(path)
    for name in listed_names(path):
        leads_out = os.path.isabs(name) or "://" in name or os.path.normpath(name)[:2] == ".."
        yield (
            (name if os.path.isabs(name) or "://" in name else os.path.join(folder, name)),
            (None if leads_out else folder or "."),
        )
