"""The files of listed videos.

A path in a list is untrusted text: it must not lead out of the dataset's folder.
"""

import posixpath
import unicodedata
from collections.abc import Iterator

from i3d_tf.system.storage import file_names, folder_names, join
from i3d_tf.video.frame_folder import is_frame_folder
from i3d_tf.video.names import bare_stem, is_video_file, is_video_name, video_stem


class VideoFiles:
    """The videos below a folder, found by their listed names; every folder is read once.

    A video that was converted keeps its name and changes its ending, so `a.avi` is also found as
    `a.mp4`, `a.AVI` or `a.avi.mkv`, and else as a folder `a` of numbered pictures. Accented letters
    are compared as letters, however they are stored, in names of folders, too.

    Args:
        data_dir: The folder.

    Attributes:
        other_endings: Number of videos that were found under another ending than listed.
    """

    def __init__(self, data_dir: str):
        self.other_endings = 0
        self._data_dir = data_dir
        self._listings: dict[str, dict[str, list[str]]] = {}
        self._bare_listings: dict[str, dict[str, list[str]]] = {}
        self._existing: dict[tuple[str, ...], list[str]] = {}
        self._folders: dict[str, dict[str, list[str]]] = {}

    def find(self, folders: tuple[str, ...], name: str) -> str | None:
        """Returns the path of a video below data_dir, or None.

        Args:
            folders: Folders below data_dir in which it may lie, best first; "" for itself.
            name: File name, with or without its ending.
        """
        if folders not in self._existing:
            stored = (each for folder in folders for each in self._stored_folders(folder))
            self._existing[folders] = [
                folder
                for folder in dict.fromkeys(stored)
                if self._listing(folder) or self._folders_listing(folder)
            ]
        existing, wanted = self._existing[folders], unicodedata.normalize("NFC", name)
        for listing, stem in ((self._listing, video_stem), (self._bare_listing, bare_stem)):
            for folder in existing:
                if names := listing(folder).get(stem(wanted)):
                    chosen = _best(names, name)
                    self.other_endings += is_video_name(name) and not _same(chosen, name)
                    return join(folder, chosen)
        for folder in existing:
            for found in self._folders_listing(folder).get(video_stem(wanted), ()):
                if is_frame_folder(join(join(self._data_dir, folder), found)):
                    return join(folder, found)
        return None

    def _stored_folders(self, folder) -> Iterator[str]:
        """Yields a folder as listed, then those that differ by the form of accents alone."""
        yield folder
        if folder.isascii():
            return
        parent, name = posixpath.split(folder)
        for above in dict.fromkeys(self._stored_folders(parent)):
            wanted = unicodedata.normalize("NFC", name)
            for stored in self._folders_listing(above).get(wanted, ()):
                yield join(above, stored)

    def _folders_listing(self, folder):
        """Returns the names of a folder's folders: as they are compared, to the stored ones."""
        if folder not in self._folders:
            names = folder_names(join(self._data_dir, folder)) or ()
            listing: dict[str, list[str]] = {}
            for name in names:
                listing.setdefault(unicodedata.normalize("NFC", name), []).append(name)
            self._folders[folder] = listing
        return self._folders[folder]

    def _listing(self, folder):
        """Returns name without ending to the names of its files."""
        if folder not in self._listings:
            place = join(self._data_dir, folder)
            listing: dict[str, list[str]] = {}
            for name in file_names(place) or ():
                if is_video_file(place, name):
                    stem = video_stem(unicodedata.normalize("NFC", name))
                    listing.setdefault(stem, []).append(name)
            self._listings[folder] = listing
        return self._listings[folder]

    def _bare_listing(self, folder):
        """Returns the same, for names without all their endings."""
        if folder not in self._bare_listings:
            listing: dict[str, list[str]] = {}
            for stem, names in self._listing(folder).items():
                listing.setdefault(bare_stem(stem), []).extend(names)
            self._bare_listings[folder] = listing
        return self._bare_listings[folder]


def safe_path(text: str) -> str:
    """Returns a path below the dataset's folder, from untrusted text.

    Args:
        text: A relative path with forward or backward slashes.

    Returns:
        The path with forward slashes and without `.` and `..`.

    Raises:
        ValueError: It is absolute, leads out of the folder, or is no path.
    """
    path = posixpath.normpath(text.replace("\\", "/"))
    drive = len(path) > 1 and path[1] == ":"
    if path.startswith(("/", "../")) or path == ".." or drive or "://" in text:
        raise ValueError(f"{text!r} leads out of `data_dir`; give a path below it")
    if path == "." or any(unicodedata.category(letter) == "Cc" for letter in text):
        raise ValueError(f"{text!r} is not the name of a file")
    return path


def safe_name(text: str) -> str:
    """Returns the name of a folder or a file, from untrusted text; see `safe_path`."""
    path = safe_path(text)
    if "/" in path:
        raise ValueError(f"{text!r} must be a name without slashes")
    return path


def _same(found, name):
    return posixpath.splitext(found)[1].lower() == posixpath.splitext(name)[1].lower()


def _best(names, wanted):
    """Returns the name itself, else the same ending in another case, else the first."""
    composed = unicodedata.normalize("NFC", wanted)

    def rank(name):
        is_same = unicodedata.normalize("NFC", name) == composed
        return name != wanted, not is_same, not _same(name, wanted)

    return min(names, key=rank)
