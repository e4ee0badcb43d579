"""The files of listed videos.

A path in a list is untrusted text: it must not lead out of the dataset's folder.
"""

import posixpath
import unicodedata

from i3d_tf.system.storage import file_names, folder_names, join
from i3d_tf.video.find import is_video_name
from i3d_tf.video.frame_folder import is_frame_folder


class VideoFiles:
    """The videos below a folder, found by their listed names; every folder is read once.

    A video that was converted keeps its name and changes its ending, so `a.avi` is also found as
    `a.mp4` or `a.AVI`, and else as a folder `a` of numbered pictures. Accented letters are compared
    as letters, however they are stored.

    Args:
        data_dir: The folder.

    Attributes:
        other_endings: Number of videos that were found under another ending than listed.
    """

    def __init__(self, data_dir: str):
        self.other_endings = 0
        self._data_dir = data_dir
        self._listings: dict[str, dict[str, list[str]]] = {}
        self._existing: dict[tuple[str, ...], list[str]] = {}
        self._frame_folders: dict[str, dict[str, str]] = {}

    def find(self, folders: tuple[str, ...], name: str) -> str | None:
        """Returns the path of a video below data_dir, or None.

        Args:
            folders: Folders below data_dir in which it may lie, best first; "" for itself.
            name: File name, with or without its ending.
        """
        if folders not in self._existing:
            self._existing[folders] = [
                folder
                for folder in folders
                if self._listing(folder) or self._folders_listing(folder)
            ]
        name = unicodedata.normalize("NFC", name)
        for folder in self._existing[folders]:
            names = self._listing(folder).get(_stem(name))
            if names:
                chosen = _best(names, name)
                self.other_endings += is_video_name(name) and not _same(chosen, name)
                return join(folder, chosen)
        for folder in self._existing[folders]:
            found = self._folders_listing(folder).get(_stem(name))
            if found and is_frame_folder(join(join(self._data_dir, folder), found)):
                return join(folder, found)
        return None

    def _folders_listing(self, folder):
        """Returns the names of a folder's folders, as they are compared, to their names."""
        if folder not in self._frame_folders:
            names = folder_names(join(self._data_dir, folder)) or ()
            self._frame_folders[folder] = {unicodedata.normalize("NFC", n): n for n in names}
        return self._frame_folders[folder]

    def _listing(self, folder):
        """Returns name without ending to the names of its files."""
        if folder not in self._listings:
            listing = {}
            for name in file_names(join(self._data_dir, folder)) or ():
                if is_video_name(name):
                    listing.setdefault(_stem(unicodedata.normalize("NFC", name)), []).append(name)
            self._listings[folder] = listing
        return self._listings[folder]


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


def _stem(name):
    return posixpath.splitext(name)[0] if is_video_name(name) else name


def _same(found, name):
    return posixpath.splitext(found)[1].lower() == posixpath.splitext(name)[1].lower()


def _best(names, wanted):
    """Returns the name itself, else the same ending in another case, else the first."""
    return min(names, key=lambda name: (name != wanted, not _same(name, wanted)))
