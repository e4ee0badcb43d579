"""Options of reading videos, for a process and those that it starts; and threads of a decoder."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from i3d_tf.specs.validation import check_choice

VARIABLE = "I3D_TF_VIDEO_OPTIONS"  # the options that are not the usual ones, as JSON
REFUSE, CONCEAL = "refuse", "conceal"
DAMAGED = (REFUSE, CONCEAL)
# Threads that decode one video; 0 is FFmpeg's choice, one per processor.
_DECODER_THREADS: ContextVar[int] = ContextVar("decoder threads", default=0)


@dataclass(frozen=True)
class VideoOptions:
    """Options of reading videos.

    Attributes:
        damaged: "refuse" makes a damaged video an error; "conceal" shows what can be decoded, and
            in the place of lost frames the nearest in time; both are counted, see
            `i3d_tf.video.decode.concealed_frames`.
        deinterlace: Whether interlaced frames are deinterlaced, each to one frame.
        pixel_aspect: Whether pixels that are not square are stretched to squares.
    """

    damaged: str = REFUSE
    deinterlace: bool = False
    pixel_aspect: bool = False

    def unusual(self) -> dict[str, Any]:
        """Returns the options that are not the usual ones."""
        usual = asdict(VideoOptions())
        return {name: value for name, value in asdict(self).items() if value != usual[name]}


def video_options() -> VideoOptions:
    """Returns the options of this process.

    Raises:
        ValueError: The environment variable is not what `set_video_options` writes.
    """
    return _parse(os.environ.get(VARIABLE) or "{}")


def set_video_options(
    damaged: str | None = None, deinterlace: bool | None = None, pixel_aspect: bool | None = None
) -> None:
    """Sets options for this process and those that it starts; None leaves one as it is.

    Args:
        damaged: See `VideoOptions`.
        deinterlace: See `VideoOptions`.
        pixel_aspect: See `VideoOptions`.

    Raises:
        ValueError: A value is not allowed.
    """
    given = {"damaged": damaged, "deinterlace": deinterlace, "pixel_aspect": pixel_aspect}
    given = {name: value for name, value in given.items() if value is not None}
    options = _checked({**asdict(video_options()), **given})
    os.environ[VARIABLE] = json.dumps(options.unusual())


@contextlib.contextmanager
def other_options(**given: Any) -> Iterator[None]:
    """Sets options while the block runs; see `set_video_options`."""
    before = os.environ.get(VARIABLE)
    set_video_options(**given)
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


@lru_cache
def _parse(text):
    try:
        values = json.loads(text)
        if not isinstance(values, dict) or set(values) - set(asdict(VideoOptions())):
            raise ValueError
        return _checked(values)
    except ValueError:
        raise ValueError(
            f'{VARIABLE} must be JSON such as {{"damaged": "conceal", "deinterlace": true}}; it is '
            f"{text!r}."
        ) from None


def _checked(values: Mapping[str, Any]) -> VideoOptions:
    options = VideoOptions(**values)
    check_choice("damaged", options.damaged, DAMAGED)
    for name in ("deinterlace", "pixel_aspect"):
        if not isinstance(getattr(options, name), bool):
            raise ValueError(f"`{name}` must be true or false; received {values[name]!r}.")
    return options


@contextlib.contextmanager
def decoder_threads(count: int) -> Iterator[None]:
    """Limits the threads that decode a video while the block runs, in this thread.

    Each of them decodes a frame of its own, ahead of the one that is asked for, and in vain where
    reading starts or ends. So it is better to decode several videos at once with one thread each.

    Args:
        count: Threads of a video; 0 is FFmpeg's choice, one per processor.
    """
    token = _DECODER_THREADS.set(count)
    try:
        yield
    finally:
        _DECODER_THREADS.reset(token)


def num_decoder_threads() -> int:
    """Returns how many threads may decode a video, see `decoder_threads`."""
    return _DECODER_THREADS.get()
