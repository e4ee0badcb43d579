"""Endings of the names of videos, and files in folders of videos that are none."""

import posixpath
from collections import Counter
from collections.abc import Collection

from i3d_tf.system.files import open_regular
from i3d_tf.system.storage import join

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
_WEBP_ANIMATION = 0x02  # of the flags of an extended WebP, in byte 20
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


def _is_animation(start):
    is_extended = start[:4] == b"RIFF" and start[8:16] == b"WEBPVP8X" and len(start) > 20
    return is_extended and bool(start[20] & _WEBP_ANIMATION)


_CHECKS = {".ogg": _is_ogg_video, ".webp": _is_animation}


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
