"""Which videos a command line means."""

import glob
from pathlib import Path

# fmt: off
VIDEO_SUFFIXES = (
    ".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg",
    ".mts", ".ogv", ".ts", ".webm", ".wmv",
)
# fmt: on


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
        if Path(argument).is_dir():
            videos += _videos_below(Path(argument))
        elif glob.has_magic(argument) and not Path(argument).exists():
            videos += _videos_like(argument)
        else:
            videos.append(argument)
    return list(dict.fromkeys(videos))


def _videos_below(folder):
    found = sorted(
        str(path)
        for path in folder.rglob("*")
        if path.suffix.lower() in VIDEO_SUFFIXES
        and not path.is_dir()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not found:
        endings = " ".join(VIDEO_SUFFIXES)
        raise ValueError(f"{folder}: no videos in this folder (files ending in {endings}).")
    return found


def _videos_like(pattern):
    found = sorted(path for path in glob.glob(pattern, recursive=True) if not Path(path).is_dir())
    if not found:
        raise ValueError(f"{pattern}: no file matches this pattern.")
    return found
