"""Metadata of a video from its header and its first frame; and all that is seen in it."""

import itertools
import os
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import av
import numpy as np
from av.stream import Disposition

from i3d_tf.system.jobs import source_metadata
from i3d_tf.video.container import PathOrBytes, open_container, source_name
from i3d_tf.video.decode import concealed_frames, count_frames
from i3d_tf.video.decoded_frames import decode_from
from i3d_tf.video.errors import VideoError
from i3d_tf.video.frame_folder import folder_rate, iter_pictures, picture_paths
from i3d_tf.video.hdr import is_hdr
from i3d_tf.video.options import CONCEAL, REFUSE, other_options, video_options
from i3d_tf.video.rgb_frames import RGBConverter, has_transparency
from i3d_tf.video.timeline import DECODING_TIMES, shown_ticks

# Formats whose header has the duration of each stream. In others it is that of the longest one.
KNOWN_BY_HEADER = ("mov,mp4,m4a,3gp,3g2,mj2", "avi")
FIRST_PACKETS = 64  # more than a decoder puts into another order
_OF_BOTH = {1: "BT.709", 2: "unspecified", 4: "BT.470M", 5: "BT.601 (625)", 6: "BT.601 (525)"}
# Of ITU-T H.273's numbers; ranges are FFmpeg's.
COLOUR_NAMES = {
    "matrix": {**_OF_BOTH, 0: "RGB", 7: "SMPTE 240M", 8: "YCgCo", 9: "BT.2020", 14: "ICtCp"},
    "range": {0: "unspecified", 1: "limited", 2: "full"},
    "transfer": {**_OF_BOTH, 8: "linear", 13: "sRGB", 14: "BT.2020", 16: "PQ", 18: "HLG"},
    "primaries": {**_OF_BOTH, 7: "SMPTE 240M", 9: "BT.2020", 11: "DCI-P3", 12: "Display P3"},
}
FAR = 10**6  # seconds, behind the end of any video
# Animations, and program streams, whose times are rounded to those of their packets.
UNEVEN_FORMATS = ("gif", "apng", "mpeg")
MIN_REGULAR = 0.9  # of the intervals, for a rate that is called constant


@dataclass(frozen=True)
class VideoInfo:
    """Metadata of a video, as its file states it.

    Attributes:
        duration: Seconds, or None where the file does not state it.
        frame_rate: Average frames per second, or None where the file does not state it.
        num_frames: Number of frames that the file states, or None.
        height: Pixels, as shown (after rotation).
        width: Pixels, as shown (after rotation).
    """

    duration: float | None
    frame_rate: float | None
    num_frames: int | None
    height: int
    width: int


def probe(source: PathOrBytes) -> VideoInfo:
    """Reads the header and the first frame of a video.

    Args:
        source: Path or bytes, see `i3d_tf.read_clip`.

    Raises:
        VideoError: The video cannot be read.
    """
    if not isinstance(source, bytes) and os.path.isdir(source):
        return _probe_folder(source)
    with open_container(source) as container:
        first, _ = decode_from(container, Fraction(0))
        aspect = container.pixel_aspect if video_options().pixel_aspect else None
        converter = RGBConverter(first.av_frame, container.margins, aspect)
        container.rewind()
        duration, rate, num_frames = _measure(container)
        return VideoInfo(
            duration=duration,
            frame_rate=float(rate) if rate else None,
            num_frames=num_frames,
            height=converter.height,
            width=converter.width,
        )


def describe_video(source: PathOrBytes, read: bool = True) -> dict[str, Any]:
    """Describes what is seen in a video, and what damage there is.

    Args:
        source: See `i3d_tf.read_clip`.
        read: Whether to read the whole video, which alone counts its frames and finds its damage.

    Returns:
        Plain values by name, as JSON has them; of a file that cannot be read, `error` besides its
        name and size.
    """
    description: dict[str, Any] = {"file": source_name(source), "bytes": _size_of(source)}
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always")
        try:
            if not isinstance(source, bytes) and os.path.isdir(source):
                description |= {"format": "folder of pictures", **asdict(_probe_folder(source))}
            else:
                description |= _describe_file(source)
            if read:
                description |= _read_whole(source)
        except VideoError as error:
            description["error"] = error.reason
    if remarks:
        texts = dict.fromkeys(str(remark.message) for remark in remarks)
        description["remarks"] = [text.removeprefix(f"{source_name(source)}: ") for text in texts]
    return description


def _size_of(source):
    return len(source) if isinstance(source, bytes) else source_metadata(source)["bytes"]


def _describe_file(source):
    with open_container(source) as container:
        streams = [_describe_stream(stream) for stream in container.av_container.streams]
        chosen, why = container.stream.index, container.reason
        form = container.av_container.format.name
        first, _ = decode_from(container, Fraction(0))
        frame = first.av_frame
        turned = RGBConverter(frame, container.margins).turned
        of_chosen = next(stream for stream in streams if stream["index"] == chosen)
        if not all(of_chosen["size"]):  # FFmpeg does not know that of an animated WebP
            of_chosen["size"] = [frame.width, frame.height]
        margins = container.margins
        aspect = container.pixel_aspect
    return {
        "format": form,
        **asdict(probe(source)),
        "streams": streams,
        "chosen_stream": chosen,
        "chosen_because": why,
        "pixel_format": frame.format.name,
        "stored_size": [frame.width, frame.height],
        "cropped": margins._asdict() if any(margins) else None,
        "turned": turned,
        "pixel_aspect": f"{aspect.numerator}:{aspect.denominator}",
        "interlaced": bool(frame.interlaced_frame),
        "transparent": has_transparency(frame.format.name),
        "colour": {
            "matrix": int(frame.colorspace),
            "range": int(frame.color_range),
            "transfer": int(frame.color_trc),
            "primaries": int(frame.color_primaries),
            "hdr": is_hdr(frame),
        },
    }


def _describe_stream(stream):
    values = {
        "index": stream.index,
        "type": stream.type,
        "codec": stream.codec_context and stream.codec_context.name,
        "flags": [flag.name for flag in Disposition if flag & stream.disposition],
    }
    if stream.type == "video" and stream.codec_context:
        rate = stream.average_rate
        values |= {
            "size": [stream.codec_context.width, stream.codec_context.height],
            "frames": stream.frames or None,
            "frame_rate": float(rate) if rate else None,
        }
    return values


def _read_whole(source):
    """Returns the frames that there are, the damage that there is, and gaps in the times."""
    found = {"missing_by_time": _missing_by_time(source)}
    try:
        with other_options(damaged=REFUSE):
            return {"frames_read": count_frames(source, None), "damage": None, **found}
    except VideoError as error:
        damage = {"reason": error.reason}
    with other_options(damaged=CONCEAL), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is said in the damage
        try:
            damage["frames"] = count_frames(source, None)
            damage["concealed_frames"] = concealed_frames(source_name(source))
        except VideoError:
            pass
    return {"frames_read": None, "damage": damage, **found}


def _missing_by_time(source):
    """Returns how many frames would fill the gaps of a constant rate; None where there is none."""
    if not isinstance(source, bytes) and os.path.isdir(source):
        return None
    with open_container(source) as container:
        if container.is_raw or container.animation is not None:
            return None
        name, stamps = container.av_container.format.name, _read_stamps(container)
    times = [stamp.dts if name in DECODING_TIMES else stamp.pts for stamp in stamps]
    if name in UNEVEN_FORMATS or None in times or len(times) < 2 or _is_set_back(stamps):
        return None
    steps = np.diff(np.sort(np.array(times)))
    usual = np.mean(steps[np.abs(steps - np.median(steps)) <= 1])
    is_regular = np.abs(steps - usual) <= min(1, usual / 4)  # as rounded to ticks
    if is_regular.mean() < MIN_REGULAR:
        return None
    return int(np.sum(np.round(steps[~is_regular] / usual) - 1))


def description_lines(description: Mapping[str, Any]) -> list[str]:
    """Returns a description as text.

    Args:
        description: See `describe_video`.
    """
    size = description["bytes"]
    lines = [description["file"], f"  size        {size:,} bytes" if size is not None else ""]
    if "error" in description:
        lines.append(f"  error       {description['error']}")
    if "format" in description:
        lines += _picture_lines(description)
    for stream in description.get("streams", ()):
        words = [f"{stream['index']}: {stream['type']}", stream["codec"] or "unknown codec"]
        if "size" in stream:
            words.append("{} x {}".format(*stream["size"]))
            if stream["frames"]:
                words.append(f"{stream['frames']} frames by the header")
        words += [name.replace("_", " ") for name in stream["flags"]]
        if stream["index"] == description["chosen_stream"]:
            words.append(f"read: {description['chosen_because']}")
        lines.append(f"  stream      {', '.join(words)}")
    if "damage" in description:
        lines.append(f"  damage      {_damage_text(description)}")
    if description.get("missing_by_time"):
        gaps = "would fill the gaps of a constant rate: the rate varies, or frames were lost"
        lines.append(f"  gaps        {description['missing_by_time']} frames {gaps}")
    lines += [f"  remark      {remark}" for remark in description.get("remarks", ())]
    return [line for line in lines if line]


def _picture_lines(description):
    duration, rate = description["duration"], description["frame_rate"]
    counted = description.get("frames_read") or description["num_frames"]
    of_time = [
        "unknown" if duration is None else f"{duration:.6g} s",
        "unknown rate" if rate is None else f"{rate:.6g} frames per second",
        f"{counted or 'unknown number of'} frames",
    ]
    lines = [
        f"  format      {description['format']}",
        f"  duration    {', '.join(of_time)}",
        f"  shown       {description['width']} x {description['height']}",
    ]
    if "stored_size" not in description:
        return lines
    width, height = description["stored_size"]
    stored = [f"{width} x {height}", description["pixel_format"]]
    stored += [f"pixels of {description['pixel_aspect']}"]
    stored += ["interlaced"] if description["interlaced"] else []
    stored += ["may be transparent"] if description["transparent"] else []
    colour = description["colour"]
    lines.append(f"  stored      {', '.join(stored)}")
    if description["turned"] != "no":
        lines.append(f"  turned      {description['turned']}")
    if description["cropped"]:
        sides = (f"{side} {pixels}" for side, pixels in description["cropped"].items())
        lines.append(f"  cropped     {', '.join(sides)}")
    coded = ", ".join(
        f"{name} {names.get(colour[name], colour[name])}" for name, names in COLOUR_NAMES.items()
    )
    lines.append(f"  colour      {coded}{', HDR: shown as SDR' if colour['hdr'] else ''}")
    return lines


def _damage_text(description):
    damage = description["damage"]
    if damage is None:
        return f"none in {description['frames_read']} frames"
    text = damage["reason"]
    if "frames" in damage:
        text += (
            f"; with --damaged=conceal {damage['frames']} frames, of which "
            f"{damage['concealed_frames']} are concealed or lost"
        )
    return text


def _probe_folder(folder):
    num_frames, rate = len(picture_paths(folder)), folder_rate()
    height, width = next(iter_pictures(folder)).shape[:2]
    return VideoInfo(float(num_frames / rate), float(rate), num_frames, height, width)


def read_comment(source: PathOrBytes) -> str | None:
    """Reads the comment in the metadata of a video; None if it has none.

    Args:
        source: Path or bytes, see `i3d_tf.read_clip`.

    Raises:
        VideoError: The video cannot be read.
    """
    if not isinstance(source, bytes) and os.path.isdir(source):
        return None
    with open_container(source) as container:
        return container.av_container.metadata.get("comment")


def _measure(container):
    """Returns seconds, frames per second and frames; None for what the file does not say."""
    animation, num_frames = container.animation, container.stream.frames or None
    if animation is not None:
        duration, num_frames = float(animation.duration), animation.num_frames
    elif container.av_container.format.name == "gif":
        ticks = [shown_ticks(stamp.duration) for stamp in _read_stamps(container)]
        duration, num_frames = float(sum(ticks) * container.stream.time_base), len(ticks) or None
    else:
        return _duration(container), container.frame_rate, num_frames
    return duration, num_frames / duration if num_frames else None, num_frames


def _duration(container):
    """Returns the seconds of the video stream, not of its sound; None where only decoding tells."""
    stream, name = container.stream, container.av_container.format.name
    if stream.duration is None or name not in KNOWN_BY_HEADER:
        return _scanned_duration(container)
    stated, entries = stream.duration, stream.index_entries
    if name == "avi" and len(entries) > 1:  # its header may promise more
        first, last = entries[0].timestamp, entries[-1].timestamp
        stated = min(stated, round((last - first) * len(entries) / (len(entries) - 1)))
    return float(stated * stream.time_base)


def _scanned_duration(container):
    """Returns the time from the first to the last packet of the video stream, undecoded."""
    if container.is_raw:
        return None
    if not container.av_container.format.name.startswith("matroska"):
        parts = [_read_stamps(container)]
    else:  # it can go to its last packets
        parts = [_read_stamps(container, FIRST_PACKETS)]
        if not container.seek(Fraction(FAR)):
            container.rewind()
        parts.append(_read_stamps(container))
    stamps = [stamp for part in parts for stamp in part]
    shown = "dts" if container.av_container.format.name in DECODING_TIMES else "pts"
    times = [getattr(stamp, shown) for stamp in stamps]
    if not times or None in times or any(map(_is_set_back, parts)):
        return None
    last = max(times)
    interval = stamps[times.index(last)].duration
    interval = interval or container.frame_interval / container.stream.time_base
    return float((last - min(times) + interval) * container.stream.time_base)


class _Stamp(NamedTuple):
    """The times of a packet, as its file says them."""

    pts: int | None
    dts: int | None
    duration: int | None


def _read_stamps(container, count=None):
    """Reads the times of packets of the video stream, from where the container stands."""
    stamps = []
    try:
        packets = container.av_container.demux(container.stream)
        for packet in itertools.islice((packet for packet in packets if packet.size), count):
            stamps.append(_Stamp(packet.pts, packet.dts, packet.duration))
    except (av.error.FFmpegError, IndexError):  # damaged: that is for the decoder to say
        pass
    return stamps


def _is_set_back(stamps):
    known = [stamp.dts for stamp in stamps if stamp.dts is not None]
    return any(after < before for before, after in itertools.pairwise(known))
