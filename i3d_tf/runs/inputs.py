"""Which videos a command line means."""

import glob
import os
from pathlib import Path

from i3d_tf.data.video_files import VIDEO_SUFFIXES, is_video_name

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
