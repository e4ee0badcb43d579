"""Folders of flow as others store it: `flow_x_00001.jpg` and `flow_y_00001.jpg`, and so on.

The pictures are grey, each pixel a code of `i3d_tf.flow.quantize`, as dense_flow and TSN write them
with a bound of 20 pixels. They do not say how they were computed, nor at which frame rate: that is
the one of `i3d_tf.video.frame_folder`.
"""

import os
import re
from pathlib import Path

import numpy as np

from i3d_tf.flow.flow_file import SUFFIX, StoredFlow, flow_path, open_flow_file
from i3d_tf.system.jobs import SOURCE, source_difference
from i3d_tf.video.errors import VideoError, reason_of
from i3d_tf.video.find import as_stored
from i3d_tf.video.frame_folder import folder_rate, read_picture, video_metadata
from i3d_tf.video.limits import MAX_FRAMES
from i3d_tf.video.names import output_path

UNKNOWN = "unknown"  # algorithm and engine
_NAME = re.compile(r"flow_([xy])_?([0-9]{1,18})\.(jpg|jpeg|png)", re.IGNORECASE)


class FlowFolder(StoredFlow):
    """The flow of a video in a folder of pictures.

    The last flow counts twice, as in a flow file: T frames have T - 1 pictures.
    """

    def __init__(self, path: str | os.PathLike, rounding: str | None = None):
        """Lists the pictures, and reads the first one.

        Args:
            path: The folder.
            rounding: How the codes were rounded; None means to the nearest.

        Raises:
            VideoError: The folder cannot be read, or a picture is missing.
        """
        self.path, self.rounding = os.fspath(path), rounding or "nearest"
        self._pictures = _list_pictures(self.path)
        self.frames = len(self._pictures) + 1
        self.height, self.width = self._read(0).shape[:2]
        self.metadata = {
            "algorithm": UNKNOWN,
            "engine": UNKNOWN,
            "parameters": {},
            "frame_rate": float(folder_rate()),
            "short_side": min(self.height, self.width),
            "rounding": self.rounding,
        }

    def _read_codes(self, start, stop, is_backward):
        codes = np.empty((stop - start, self.height, self.width, 2), np.uint8)
        for target, index in zip(codes, range(start, stop), strict=True):
            target[...] = self._read(min(index, self.frames - 2))
        return codes

    def _read(self, index):
        """Returns the codes of one pair of pictures, uint8 (H, W, 2)."""
        pair = [read_picture(self.path, path, is_grey=True) for path in self._pictures[index]]
        sizes = {picture.shape for picture in pair}
        if index:
            sizes.add((self.height, self.width))
        if len(sizes) > 1:
            name = self._pictures[index][0].name
            raise VideoError(self.path, f"{name} has another size than the others")
        return np.stack(pair, axis=-1)


def is_flow_folder(path: str | os.PathLike) -> bool:
    """Returns whether a path is a folder on this machine that has pictures of flow."""
    try:
        return os.path.isdir(path) and any(map(_NAME.fullmatch, os.listdir(path)))
    except OSError:
        return False


def find_flow(
    video: str | os.PathLike,
    flow_dir: str | os.PathLike,
    data_dir: str | os.PathLike | None = None,
) -> Path:
    """Returns where the flow of a video is: its flow file, else a folder of that name.

    A flow file whose name has the video's ending comes first: of videos that differ only in their
    endings, one has such a name.

    Args:
        video: Path of the video.
        flow_dir: Folder of flow files and folders.
        data_dir: See `flow_path`.

    Returns:
        The path of the flow file where there is neither.

    Raises:
        ValueError: The video is not below `data_dir`.
    """
    with_ending = output_path(video, flow_dir, SUFFIX, data_dir, keeps_ending=True)
    with_ending = Path(as_stored(str(with_ending)))
    if with_ending.exists():
        return with_ending
    path = Path(as_stored(str(flow_path(video, flow_dir, data_dir))))
    folder = path.with_name(path.name.removesuffix(SUFFIX))
    return folder if not path.exists() and is_flow_folder(folder) else path


def open_flow(path: str | os.PathLike, rounding: str | None = None) -> StoredFlow:
    """Opens a flow file or a folder of pictures of flow.

    Args:
        path: The file or folder.
        rounding: See `open_flow_file`; of a folder, how its codes were rounded.

    Raises:
        VideoError: It cannot be read, or see `open_flow_file`.
    """
    return FlowFolder(path, rounding) if os.path.isdir(path) else open_flow_file(path, rounding)


def check_source(flow: StoredFlow, video: str | os.PathLike) -> None:
    """Checks that a flow file was made of a video; folders do not say of which they were made.

    Args:
        flow: The stored flow.
        video: Path of the video.

    Raises:
        VideoError: It was made of another video, by its name or content.
    """
    if SOURCE not in flow.metadata:
        return
    if difference := source_difference(flow.metadata[SOURCE], video_metadata(video)):
        raise VideoError(
            flow.path,
            f"it is the flow of another video than {video} ({difference}); compute it anew "
            "(compute_flow), or name another folder for the flow",
        )


def _list_pictures(folder):
    """Returns (x, y) paths of the pictures, in order; every number between must be there."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise VideoError(folder, reason_of(error)) from error
    found: dict[str, dict[int, str]] = {"x": {}, "y": {}}
    for name in names:
        if match := _NAME.fullmatch(name):
            axis, number = match[1].lower(), int(match[2])
            if number in found[axis]:
                raise VideoError(folder, f"{found[axis][number]} and {name} have the same number")
            found[axis][number] = name
    numbers = found["x"].keys() | found["y"].keys()
    if not numbers:
        raise VideoError(folder, "it is a folder without flow_x_*.jpg and flow_y_*.jpg")
    if len(numbers) > MAX_FRAMES:
        raise VideoError(folder, f"it has more than {MAX_FRAMES} frames")
    first, last = min(numbers), max(numbers)
    for axis, by_number in found.items():
        missing = next((n for n in range(first, last + 1) if n not in by_number), None)
        if missing is not None:
            raise VideoError(folder, f"its picture number {missing} of flow_{axis} is missing")
    order = range(first, last + 1)
    return [(Path(folder, found["x"][n]), Path(folder, found["y"][n])) for n in order]
