"""Which file is made of which video: a folder's structure is kept, and no two share one."""

import os
from pathlib import Path
from typing import NamedTuple

from i3d_tf.runs.inputs import find_videos, is_list, listed_names


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
