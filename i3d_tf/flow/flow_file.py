"""Flow files: the flow of one video in 8 bits; any window of it can be read alone.

`<name>.flow.zip` is a ZIP archive whose entries are stored as they are:

```
000000.png   flow from frame 0 to frame 1: 8-bit grey, 2 H x W, the codes of x above those of y
000001.png   and so on, one a frame
backward_000000.png    where its metadata say so: flow from frame 0 to the one before; and so on
flow.json    its metadata: see `flow_metadata`
```

The codes are those of `i3d_tf.flow.quantize`. A flow file may come from anywhere: every fault of
one is a VideoError, raised before memory is allocated for it.
"""

import contextlib
import itertools
import json
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from i3d_tf.flow.metadata import FORMULAS, has_backward, metadata_fault
from i3d_tf.flow.quantize import dequantize, quantize
from i3d_tf.specs.streams import FLOW_BOUND
from i3d_tf.system.errors import short_reason
from i3d_tf.system.files import atomic_write, open_regular
from i3d_tf.system.jobs import SOURCE
from i3d_tf.video.errors import VideoError, reason_of
from i3d_tf.video.limits import MAX_BYTES, MAX_FRAMES, MAX_PIXELS
from i3d_tf.video.names import output_path

SUFFIX = ".flow.zip"
ZIP_HEADER = 30  # bytes of a ZIP archive before the name of its first file
FORWARD_NAME, BACKWARD_NAME = "{:06d}.png", "backward_{:06d}.png"  # by the frame's index
DESCRIPTION = "flow.json"
MAX_DESCRIPTION = 2**16  # bytes
# 21 kB and 1 ms a frame of 340 x 256; more effort makes it no smaller before it takes six times as
# long.
PNG_OPTIONS = (cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)
# A PNG starts with these bytes, its width and height, and: 8 bits, grey, deflate, not interlaced.
PNG_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
PNG_GREY = b"\x08\0\0\0\0"
# The same flow gives the same bytes: entries bear the earliest date that ZIP knows.
DATE = (1980, 1, 1, 0, 0, 0)
UNIX, READABLE = 3, 0o644 << 16  # system and permissions of the entries, for unzip


def flow_path(
    video: str | os.PathLike,
    flow_dir: str | os.PathLike,
    data_dir: str | os.PathLike | None = None,
) -> Path:
    """Returns the path of a video's flow file.

    Args:
        video: Path of the video.
        flow_dir: The folder of flow files.
        data_dir: A folder whose structure below it is kept below `flow_dir`; None puts all flow
            files into `flow_dir` itself.

    Raises:
        ValueError: The video is not below `data_dir`.
    """
    return Path(output_path(video, flow_dir, SUFFIX, data_dir))


def source_name(path: str | os.PathLike) -> str | None:
    """Returns the name of the video that a flow file was made of; None where it is not known."""
    try:
        return os.path.basename(open_flow_file(path).metadata[SOURCE]["name"])
    except (VideoError, KeyError, TypeError):
        return None


def write_flow_file(
    path: str | os.PathLike, flow: np.ndarray | Iterable[np.ndarray], metadata: dict[str, Any]
) -> dict[str, Any]:
    """Writes a flow file atomically.

    The file appears under its name only when it is complete; one that was there before stays until
    then. No more than one frame is kept in memory.

    Args:
        path: Where to write, in a folder that exists.
        flow: Float (T, H, W, 2), or an iterable of T frames (H, W, 2); x then y, pixels per frame,
            1 <= T <= 1,000,000. What exceeds 20 pixels is clipped, and counted. Where the metadata
            are of both directions, frames are (2, H, W, 2): forward flow, then backward flow.
        metadata: The result of `flow_metadata`.

    Returns:
        The metadata as written: now also `frames`, `height`, `width` and `clipped_share`, the share
        of values that were clipped.

    Raises:
        ValueError: The flow or the metadata are not as above.
        OSError: The file cannot be written.
    """
    path = os.fspath(path)
    if wrong := metadata_fault(metadata, complete=False):
        raise ValueError(f"`metadata` must be what `flow_metadata` returns; {wrong}.")
    try:
        with atomic_write(path) as temporary, zipfile.ZipFile(temporary, "x") as archive:
            if not has_backward(metadata):
                flow = (np.asarray(frame)[np.newaxis] for frame in flow)
            parts = (FORWARD_NAME, BACKWARD_NAME)[: 1 + has_backward(metadata)]
            metadata = metadata | _write_frames(archive, flow, metadata["rounding"], parts)
            text = json.dumps(metadata, indent=1, allow_nan=False)
            _write_entry(archive, DESCRIPTION, text.encode())
    except OSError as error:
        raise OSError(f"{path}: it cannot be written: {reason_of(error)}.") from error
    return metadata


def _write_frames(archive, flow, rounding, parts):
    """Writes the pictures; returns the metadata that are known when all are written.

    Args:
        archive: The ZIP archive.
        flow: Iterable of frames, float (directions, H, W, 2).
        rounding: See `quantize`.
        parts: Names of the pictures of each direction.
    """
    shape, frames, clipped = None, 0, 0
    for directions in flow:
        if len(directions) != len(parts):
            raise ValueError(
                f"`flow` must have frames (2, H, W, 2) of both directions; received shape "
                f"{np.shape(directions)}."
            )
        if frames == MAX_FRAMES:
            raise ValueError(f"`flow` must have at most {MAX_FRAMES} frames; received more.")
        for frame, part in zip(directions, parts, strict=True):
            shape = shape or _checked_shape(frame)
            if np.shape(frame) != shape:
                raise ValueError(
                    f"`flow` must be {shape} in every frame; received {np.shape(frame)}."
                )
            codes = quantize(frame, rounding)
            clipped += int(np.count_nonzero(np.abs(frame) > FLOW_BOUND))
            _, content = cv2.imencode(
                ".png", np.concatenate([codes[..., 0], codes[..., 1]]), PNG_OPTIONS
            )
            _write_entry(archive, part.format(frames), content.tobytes())
        frames += 1
    if not frames:
        raise ValueError("`flow` must have at least one frame; received none.")
    height, width, _ = shape
    share = clipped / (frames * height * width * 2 * len(parts))
    return {"frames": frames, "height": height, "width": width, "clipped_share": share}


def _checked_shape(frame):
    shape = np.shape(frame)
    if len(shape) != 3 or shape[2] != 2 or 0 in shape or shape[0] * shape[1] * 2 > MAX_PIXELS:
        raise ValueError(
            f"`flow` must have frames (H, W, 2) of 1 to {MAX_PIXELS // 2} pixels; received "
            f"shape {shape}."
        )
    return shape


def _write_entry(archive, name, content):
    entry = zipfile.ZipInfo(name, DATE)
    entry.create_system, entry.external_attr = UNIX, READABLE
    archive.writestr(entry, content)


def is_flow_file(path: str | os.PathLike) -> bool:
    """Returns whether a file starts as a flow file does, be it whole or damaged."""
    first = FORWARD_NAME.format(0).encode()
    try:
        with open_regular(path) as file:
            start = file.read(ZIP_HEADER + len(first))
    except OSError:
        return False
    return len(start) == ZIP_HEADER + len(first) and start.endswith(first)


def open_flow_file(path: str | os.PathLike, rounding: str | None = None) -> "FlowFile":
    """Reads and checks the metadata of a flow file, without decoding any flow.

    Args:
        path: The file.
        rounding: How its codes are to be unpacked, see `i3d_tf.flow.quantize`; None means as they
            were rounded.

    Raises:
        VideoError: It cannot be read, is damaged or cut short, is not a flow file, or its codes
            were rounded in another way.
    """
    path = os.fspath(path)
    with _open_archive(path) as archive:
        metadata = _read_description(path, archive)
        parts = (FORWARD_NAME, BACKWARD_NAME)[: 1 + has_backward(metadata)]
        names = [part.format(index) for part in parts for index in range(metadata["frames"])]
        if missing := next((name for name in names if name not in archive.NameToInfo), None):
            raise VideoError(path, f"{missing} is missing from it; it should have {len(names)}")
        if len(archive.infolist()) != len(names) + 1:
            raise VideoError(path, "it holds more than the flow that its metadata describes")
    return FlowFile(path, metadata, _unpacking(path, metadata["rounding"], rounding))


def _unpacking(path, stored, wanted):
    """Returns how to unpack codes; those that were truncated may be unpacked either way."""
    if wanted is None or wanted == stored:
        return stored
    if FORMULAS[stored] != FORMULAS[wanted]:
        raise VideoError(
            path,
            f"its codes were rounded as {stored!r}, and {wanted!r} is wanted; compute it anew with "
            "that rounding",
        )
    return wanted


class StoredFlow:
    """The flow of a video in 8-bit codes, of which any window can be read.

    Attributes:
        path: The file or folder.
        metadata: Its metadata, see `flow_metadata` and `write_flow_file`.
        rounding: How its codes are unpacked, see `open_flow_file`.
        has_backward: Whether it has backward flow beside forward flow.
        frames: T.
        height: H, pixels.
        width: W, pixels.
    """

    path: str
    metadata: dict[str, Any]
    rounding: str
    has_backward: bool = False
    frames: int
    height: int
    width: int

    def read(
        self, start: int = 0, stop: int | None = None, is_backward: bool = False
    ) -> np.ndarray:
        """Reads a window of the flow.

        Args:
            start: First frame, 0 <= start < stop.
            stop: Frame after the last one, <= frames; None means all there are.
            is_backward: Read the flow of each frame to the one before, and not to the next; that of
                the first frame is that of the second.

        Returns:
            float32 (stop - start, H, W, 2), x then y, pixels per frame, within [-20, 20].

        Raises:
            ValueError: The window is not within the video, or too large for memory.
            VideoError: The file cannot be read, is damaged within the window, or has no backward
                flow.
        """
        return dequantize(self.codes(start, stop, is_backward), self.rounding)

    def codes(
        self, start: int = 0, stop: int | None = None, is_backward: bool = False
    ) -> np.ndarray:
        """Reads a window of the 8-bit codes that are stored.

        Args:
            start: See `read`.
            stop: See `read`.
            is_backward: See `read`.

        Returns:
            uint8 (stop - start, H, W, 2), to be unpacked by `i3d_tf.flow.quantize.dequantize`.

        Raises:
            ValueError: See `read`.
            VideoError: See `read`.
        """
        if is_backward and not self.has_backward:
            raise VideoError(
                self.path,
                "it has no backward flow; compute both directions (compute_flow --direction=both)",
            )
        stop = self.frames if stop is None else stop
        if not 0 <= start < stop <= self.frames:
            raise ValueError(
                f"`start` and `stop` must be 0 <= start < stop <= {self.frames} for {self.path}; "
                f"received {start!r} and {stop!r}."
            )
        shape = (stop - start, self.height, self.width, 2)
        if 5 * np.prod(shape, dtype=object) > MAX_BYTES:  # as codes and as float32
            raise ValueError(
                f"`stop` - `start` must be smaller for frames of {self.height} x {self.width}, to "
                f"stay within {MAX_BYTES / 2**30:g} GiB; received {start!r} and {stop!r}."
            )
        return self._read_codes(start, stop, is_backward)

    def _read_codes(self, start: int, stop: int, is_backward: bool) -> np.ndarray:
        """Reads the codes of a window that is within the video and not too large."""
        raise NotImplementedError


class FlowFile(StoredFlow):
    """The flow of a video in a file, which is not kept open.

    So it can be shared among threads and processes.
    """

    def __init__(self, path: str, metadata: dict[str, Any], rounding: str | None = None):
        self.path = path
        self.metadata = metadata
        self.rounding = rounding or metadata["rounding"]
        self.has_backward = has_backward(metadata)
        self.frames = metadata["frames"]
        self.height = metadata["height"]
        self.width = metadata["width"]

    def _read_codes(self, start, stop, is_backward):
        shape = (stop - start, self.height, self.width, 2)
        name = BACKWARD_NAME if is_backward else FORWARD_NAME
        with _open_archive(self.path) as archive:
            pictures = (self._picture(archive, name.format(k)) for k in range(start, stop))
            first = next(pictures)
            codes = np.empty(shape, np.uint8)  # not before a picture has the size in the metadata
            for target, picture in zip(codes, itertools.chain([first], pictures), strict=True):
                target[..., 0] = picture[: self.height]
                target[..., 1] = picture[self.height :]
        return codes

    def _picture(self, archive, name):
        return self._decode(name, _read_entry(archive, name, self._max_bytes()))

    def _max_bytes(self):
        """Returns the bytes of a picture that does not compress at all, and some for the format."""
        pixels = 2 * self.height * self.width
        return pixels + pixels // 8 + 2 * self.height + MAX_DESCRIPTION

    def _decode(self, name, content):
        size = self.width.to_bytes(4, "big") + (2 * self.height).to_bytes(4, "big")
        if not content.startswith(PNG_START + size + PNG_GREY):
            raise VideoError(
                self.path,
                f"{name} must be a grey 8-bit PNG of {self.width} x {2 * self.height} pixels",
            )
        try:
            picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
        except cv2.error:
            picture = None
        if picture is None or picture.shape != (2 * self.height, self.width):
            raise VideoError(self.path, f"{name} is damaged")
        return picture


@contextlib.contextmanager
def _open_archive(path):
    """Opens a ZIP archive; its errors, also those of reading it, are VideoErrors."""
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            yield archive
    except zipfile.BadZipFile as error:
        raise VideoError(path, f"it is not a whole ZIP archive ({short_reason(error)})") from error
    except OSError as error:
        raise VideoError(path, reason_of(error)) from error
    except (EOFError, RuntimeError, ValueError, OverflowError) as error:
        raise VideoError(path, f"it is damaged ({short_reason(error)})") from error


def _read_entry(archive, name, max_bytes):
    entry = archive.NameToInfo.get(name)
    if entry is None:
        raise zipfile.BadZipFile(f"{name} is missing")
    # Stored, so that nothing grows when it is read; and the size is believed only up to a bound,
    # because memory is allocated for it.
    stored = entry.compress_type == zipfile.ZIP_STORED and entry.file_size == entry.compress_size
    if not stored or not 0 <= entry.file_size <= max_bytes:
        raise zipfile.BadZipFile(f"{name} is compressed or too large")
    return archive.read(entry)


def _read_description(path, archive):
    text = _read_entry(archive, DESCRIPTION, MAX_DESCRIPTION)
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise VideoError(path, f"its {DESCRIPTION} is not JSON") from error
    if wrong := metadata_fault(metadata):
        raise VideoError(path, f"it is not a flow file: {wrong}")
    return metadata
