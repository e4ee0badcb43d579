"""Names of videos, of the other files beside them, and of the files that are made of them."""

import contextlib
import os
import posixpath
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TypeVar

from i3d_tf.system.files import open_regular
from i3d_tf.system.remote import as_path, file_name, is_remote
from i3d_tf.system.storage import join, relative
from i3d_tf.video.animated_webp import is_animated_webp

Place = TypeVar("Place", Path, Path | str)

# All that FFmpeg reads and that people have; whether it is a video is seen when it is opened.
# fmt: off
VIDEO_SUFFIXES = (
    ".264", ".265", ".266", ".360", ".3g2", ".3gp", ".3gp2", ".3gpp", ".amv", ".apng", ".asf",
    ".avc", ".avi", ".cine", ".dav", ".divx", ".dv", ".dvr-ms", ".evo", ".f4v", ".flc", ".fli",
    ".flv", ".gif", ".gxf", ".h261", ".h263", ".h264", ".h265", ".h266", ".hevc", ".insv", ".ismv",
    ".ivf", ".m1v", ".m2p", ".m2t", ".m2ts", ".m2v", ".m4v", ".mj2", ".mjpeg", ".mjpg", ".mk3d",
    ".mkv", ".mov", ".mp4", ".mp4v", ".mpe", ".mpeg", ".mpg", ".mpv", ".mqv", ".mts", ".mxf",
    ".nsv", ".nut", ".nuv", ".obu", ".ogg", ".ogm", ".ogv", ".ogx", ".qt", ".rm", ".rmvb", ".tod",
    ".tp", ".trp", ".ts", ".vc1", ".viv", ".vob", ".vro", ".vvc", ".webm", ".webp", ".wmv", ".wtv",
    ".xvid", ".y4m",
)
# fmt: on
PEEK_BYTES = 4096
# The first page of an Ogg stream of Theora, VP8, Dirac, or of what OGM holds.
_OGG_VIDEO = (b"\x80theora", b"OVP80", b"BBCD\0", b"\x01video\0\0\0")
MAX_SHOWN = 6  # endings of other files in a message
MAX_ENDING = 12  # letters; what is longer is a part of a name


def is_video_name(name: str) -> bool:
    """Returns whether a file's name ends as a video's does, in either case."""
    return posixpath.splitext(name)[1].lower() in VIDEO_SUFFIXES


def is_video_file(folder: str, name: str) -> bool:
    """Returns whether a file is a video by its ending.

    Most files that end in .ogg are sound, and most .webp are single pictures, such as the covers
    that downloaders put beside videos: these are opened.

    Args:
        folder: The file's folder.
        name: Its name.
    """
    if not is_video_name(name):
        return False
    check = _CHECKS.get(posixpath.splitext(name)[1].lower())
    return check is None or check(_start(join(folder, name)))


def _start(path):
    if "://" in path:
        return b""
    try:
        with open_regular(path) as file:
            return file.read(PEEK_BYTES)
    except OSError:
        return b""


def _is_ogg_video(start):
    return any(mark in start for mark in _OGG_VIDEO)


_CHECKS = {".ogg": _is_ogg_video, ".webp": is_animated_webp}


def video_stem(name: str) -> str:
    """Returns a name without a video's ending, where it has one."""
    return posixpath.splitext(name)[0] if is_video_name(name) else name


def bare_stem(name: str) -> str:
    """Returns a name without all endings of videos: downloaders write `id.mp4.mkv`, too."""
    while (stem := video_stem(name)) != name:
        name = stem
    return name


class OtherFiles:
    """Counts of files that are no videos, by their endings.

    Args:
        ignored: Names of files that are not counted.
    """

    def __init__(self, ignored: Collection[str] = ()):
        self._ignored = ignored
        self._counts: Counter[str] = Counter()

    def add(self, name: str) -> None:
        """Counts a file."""
        if name not in self._ignored:
            self._counts[posixpath.splitext(name)[1].lower()] += 1

    def __str__(self) -> str:
        """Returns text such as "12 other files (.txt 8, .json 4)"; "" where there are none."""
        total = self._counts.total()
        if not total:
            return ""
        kinds: Counter[str] = Counter()
        for ending, count in self._counts.items():
            is_ending = 1 < len(ending) <= MAX_ENDING and ending[1:].isalnum()
            kinds[ending if is_ending else "no ending"] += count
        order = sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0]))
        shown = [f"{kind} {count}" for kind, count in order[:MAX_SHOWN]]
        if rest := sum(count for _, count in order[MAX_SHOWN:]):
            shown.append(f"others {rest}")
        return f"{total} other file{'s' * (total > 1)} ({', '.join(shown)})"

    def sentence(self) -> str | None:
        """Returns text such as "12 other files (.txt 8) are no videos"; None where there are none.

        The text has no period.
        """
        if not self._counts:
            return None
        return f"{self} {'are no videos' if self._counts.total() > 1 else 'is no video'}"


def relative_name(video: str, root: str | None) -> str:
    """Returns the name of a video that is the same on every machine, with forward slashes.

    Args:
        video: Its path or address.
        root: The folder that it lies below, by whose name or list it was found; None means that
            the video was named alone, and has its name without folders.
    """
    return file_name(video) if root is None else relative(video, root)


def output_path(
    video: str | os.PathLike,
    output_dir: str | os.PathLike,
    suffix: str,
    data_dir: str | os.PathLike | None = None,
    keeps_ending: bool = False,
) -> Path | str:
    """Returns the path of the file that is made of a video, or its address.

    Args:
        video: Path of the video.
        output_dir: Folder of such files.
        suffix: End of their names, in place of the video's.
        data_dir: A folder whose structure below it is kept below `output_dir`; None puts all files
            into `output_dir` itself.
        keeps_ending: Whether the video's ending stays, before `suffix`.

    Raises:
        ValueError: The video is not below `data_dir`.
    """
    name = file_name(video) if data_dir is None else relative(video, data_dir)
    if is_remote(name) or os.path.isabs(name) or os.pardir in Path(name).parts:
        raise ValueError(f"`video` must be below `data_dir`, {data_dir}; received {video}.")
    has_ending = not keeps_ending and (is_remote(video) or not os.path.isdir(video))
    stem = os.path.splitext(name)[0] if has_ending else name
    return as_path(join(os.fspath(output_dir), stem + suffix))


def assign_outputs(
    videos: Iterable[str],
    path_of: Callable[[str, bool], Place],
    remedy: str,
    source_of: Callable[[Path], str | None] | None = None,
) -> dict[str, Place]:
    """Returns the output of each video; two videos never share one.

    Of videos in one folder that differ only in their endings, one gets the output without an
    ending: the one that the output was made of, where it is there; else the first by name. The
    others keep their endings. So a job that goes on, or has other shards, finds the same outputs.

    Args:
        videos: Paths of the videos.
        path_of: Function of a video, and of whether its ending stays, to the path of its output.
        remedy: A sentence that says what to do where two would share one.
        source_of: Function of the path of an output that is there to the name of the file that it
            was made of, or None; None where outputs do not say.

    Raises:
        ValueError: Two would share one.
    """
    groups: dict[Place, list[str]] = {}
    videos = list(videos)
    for video in videos:
        groups.setdefault(path_of(video, False), []).append(video)
    siblings, owners = _Siblings(), dict[Place, str]()
    for path, group in groups.items():
        _check_one_folder(path, group, remedy)
        first = _first_of(path, group, siblings, source_of)
        for video in group:
            own = path if video == first else path_of(video, True)
            if (owner := owners.setdefault(own, video)) != video:
                raise ValueError(f"{owner} and {video} would both become {own}. Rename one.")
    paths = {video: path for path, video in owners.items()}
    return {video: paths[video] for video in videos}


def _check_one_folder(path, group, remedy):
    for video in group[1:]:
        if os.path.dirname(video) != os.path.dirname(group[0]):
            raise ValueError(f"{group[0]} and {video} would both become {path}. {remedy}")


def _first_of(path, group, siblings, source_of):
    """Returns the video of a group that gets the output without an ending; None for another's."""
    made_of = None
    has_others = os.path.lexists(path) and (len(group) > 1 or siblings.of(group[0]))
    if source_of is not None and has_others:
        with contextlib.suppress(OSError):  # what is wrong with it is said when it is used
            made_of = source_of(path)
    if made_of is not None:
        for video in group:
            if _composed(os.path.basename(video)) == _composed(made_of):
                return video
        if _composed(made_of) in siblings.of(group[0]):
            return None
    return min(group)


class _Siblings:
    """The videos beside others, from which they differ only in their endings."""

    def __init__(self):
        self._folders = {}

    def of(self, video: str) -> set[str]:
        """Returns the names of the others, accents composed."""
        folder, name = os.path.split(video)
        if "://" in folder:
            return set()
        if folder not in self._folders:
            by_stem: dict[str, set[str]] = {}
            with contextlib.suppress(OSError):
                for other in os.listdir(folder or os.curdir):
                    if is_video_name(other):
                        stem = _composed(os.path.splitext(other)[0])
                        by_stem.setdefault(stem, set()).add(_composed(other))
            self._folders[folder] = by_stem
        others = self._folders[folder].get(_composed(os.path.splitext(name)[0]), set())
        return others - {_composed(name)}


def _composed(name):
    return unicodedata.normalize("NFC", name)
