"""Files that show what units of a network want to see."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras
import numpy as np

from i3d_tf.explain.explain_videos import find_class
from i3d_tf.explain.preferred_clips import (
    ClipOptions,
    PreferredClips,
    find_preferred_clips,
    unit_activations,
)
from i3d_tf.inference.predictor import open_networks
from i3d_tf.specs.inception_v1 import HEAD
from i3d_tf.specs.streams import FLOW_BOUND, JOINT
from i3d_tf.specs.validation import check_integer
from i3d_tf.system.console import progress_bar
from i3d_tf.system.files import atomic_write, check_target, remove_abandoned
from i3d_tf.video.encode import write_video
from i3d_tf.video.probe import read_comment
from i3d_tf.viz.annotate import annotate_frame
from i3d_tf.viz.contact_sheet import contact_sheet, write_png
from i3d_tf.viz.flow_wheel import colour_flow, flow_scale
from i3d_tf.zoo.checkpoint import find_stream

FORMAT, VERSION = "i3d_tf preferred clips", 1
SHEET, RECORD = "units.png", "units.json"
MAX_FRAMES, MAX_SIZE = 24, 112  # of clips, if not said otherwise
REPEATS = 4  # of a clip in its video
VIDEO_SIZE = 224  # pixels, height of the clips in a video
SHEET_HEIGHT = 112


@dataclass(frozen=True)
class UnitOptions:
    """The units to show, and how.

    Attributes:
        checkpoint: A network of one stream, see `open_checkpoint`.
        output_dir: Folder of the files; it is made where it does not exist.
        endpoint: Name of a layer.
        channels: Units, by their indices; at the logits also by the names of classes.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.
        frames: Frames of a clip; None for those that the network was trained with, at most 24.
        size: Pixels, side of a frame; None for the network's, at most 112.
        search: See `ClipOptions`.
    """

    checkpoint: os.PathLike | str
    output_dir: os.PathLike | str
    endpoint: str
    channels: Sequence[str]
    checkpoint_dir: os.PathLike | str | None = None
    frames: int | None = None
    size: int | None = None
    search: ClipOptions = field(default_factory=ClipOptions)


def visualize_units(options: UnitOptions) -> list[Path]:
    """Finds the clips that units want to see, and writes a video a unit, a picture and numbers.

    A video has the clips of a unit from the smoothest in time to the fastest, beside each other;
    flow is painted in the colours of `i3d_tf.viz.flow_wheel`.

    Returns:
        The files: the videos, then the picture and the numbers.

    Raises:
        FileNotFoundError: The network does not exist.
        ValueError: The network has two streams, or no such endpoint or channel.
        FileExistsError: A file of another kind is there.
    """
    folder = Path(options.output_dir)
    if os.path.lexists(folder) and not folder.is_dir():
        raise ValueError(f"{folder}: not a folder. Name a folder for the pictures.")
    stream = find_stream(options.checkpoint, options.checkpoint_dir)
    if stream == JOINT:
        raise ValueError(f"{options.checkpoint}: it sees both streams. Name a network of one.")
    networks = open_networks(stream, options.checkpoint, options.checkpoint_dir)
    model, protocol = networks.models[stream], networks.protocol
    activations = unit_activations(model, options.endpoint)
    class_names = networks.class_names if options.endpoint == HEAD else ()
    units = find_units(model, options.endpoint, options.channels, class_names)
    shape = clip_shape(model, protocol.frames, protocol.crop_size, options)
    paths = _targets(folder, options, units)
    rows, captions, records = [], [], []
    with progress_bar() as bar:
        task = bar.add_task("steps", total=len(units) * options.search.steps)
        for (channel, name), path in zip(units.items(), paths, strict=False):
            found = find_preferred_clips(
                activations, channel, shape, options.search, lambda: bar.advance(task)
            )
            pictures = _pictures(found.clips, stream)
            labels = [f"{name}, time {weight:g}" for weight in options.search.time_weights]
            rows += list(pictures)
            captions += labels
            record = _unit_record(channel, name, found, options.search)
            records.append(record)
            _write_clips(path, pictures, labels, protocol.frame_rate, record)
    with atomic_write(paths[-2]) as temporary:
        write_png(temporary, contact_sheet(rows, captions, height=SHEET_HEIGHT))
    record = {
        "format": FORMAT,
        "version": VERSION,
        "weights": networks.weights[stream],
        "stream": stream,
        "endpoint": options.endpoint,
        "clip_shape": list(shape),
        "search": asdict(options.search),
        "units": records,
    }
    with atomic_write(paths[-1]) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    return paths


def find_units(
    model: keras.Model, endpoint: str, channels: Sequence[str], class_names: Sequence[str] = ()
) -> dict[int, str]:
    """Returns the indices of units, each with the text that names it in pictures.

    Args:
        model: The network.
        endpoint: Name of a layer.
        channels: Indices from 0, or names of classes.
        class_names: Names of the units, if they have some.

    Raises:
        ValueError: There is no such unit, or none is named.
    """
    if not channels:
        raise ValueError("`channels` must name at least one unit; received none.")
    if class_names:
        found = [find_class(class_names, channel) for channel in channels]
        return {index: class_names[index] for index in found}
    count = model.get_layer(endpoint).output.shape[-1]
    for channel in channels:
        if not (channel.isascii() and channel.isdecimal() and int(channel) < count):
            raise ValueError(
                f"`channels` must be indices of the {count} channels of {endpoint}, 0 to "
                f"{count - 1}; received {channel!r}."
            )
    return {int(channel): f"{endpoint} {int(channel)}" for channel in channels}


def clip_shape(
    model: keras.Model, frames: int, size: int, options: UnitOptions
) -> tuple[int, int, int, int]:
    """Returns the shape (T, H, W, C) of a network's clips.

    Args:
        model: The network.
        frames: Frames of its test clips.
        size: Pixels, side of its crops.
        options: Frames and size, where they are given.

    Raises:
        ValueError: A number is not allowed, or the network takes clips of one length or size only.
    """
    asked = (options.frames, options.size, options.size)
    usual = (min(frames, MAX_FRAMES), min(size, MAX_SIZE), min(size, MAX_SIZE))
    *fixed, channels = model.input_shape[1:]
    shape = []
    for name, wanted, default, only in zip(
        ("frames", "size", "size"), asked, usual, fixed, strict=True
    ):
        if wanted is not None:
            check_integer(name, wanted, 1)
            if only not in (None, wanted):
                raise ValueError(f"`{name}` must be {only} for {model.name!r}; received {wanted}.")
        shape.append(only or wanted or default)
    return shape[0], shape[1], shape[2], channels


def _targets(folder, options, units):
    """Returns the files to write, which replace only files of this kind."""
    folder.mkdir(parents=True, exist_ok=True)
    remove_abandoned(folder)
    paths = [folder / f"{options.endpoint}_{channel:04d}.mp4" for channel in units]
    for path in paths:
        check_target(path, _is_own_video)
    sheet, record = folder / SHEET, folder / RECORD
    check_target(sheet, lambda path: path.read_bytes().startswith(b"\x89PNG"))
    check_target(record, _is_own_record)
    return [*paths, sheet, record]


def _is_own_video(path):
    return _has_format(read_comment(path) or "")


def _is_own_record(path):
    return _has_format(path.read_text("utf-8", errors="replace"))


def _has_format(text):
    try:
        return json.loads(text).get("format") == FORMAT
    except (ValueError, AttributeError, RecursionError):
        return False


def _pictures(clips, stream):
    """Returns clips as uint8 (N, T, H, W, 3), RGB; flow of all of them on one scale."""
    if stream == "rgb":
        return np.rint((clips + 1) * 127.5).astype(np.uint8)
    flow = clips * np.float32(FLOW_BOUND)
    scale = flow_scale(flow)
    return np.stack([colour_flow(clip, scale) for clip in flow])


def _unit_record(channel, name, found: PreferredClips, search: ClipOptions):
    averages = found.moving_averages()
    return {
        "channel": channel,
        "name": name,
        "clips": [
            {
                "time_weight": weight,
                "activation_at_start": float(averages[0, index]),
                "activation": float(averages[-1, index]),
                "change_between_frames": float(found.time_changes()[index]),
            }
            for index, weight in enumerate(search.time_weights)
        ],
    }


def _write_clips(path, pictures, labels, frame_rate, record):
    enlarge = max(1, VIDEO_SIZE // pictures.shape[2])
    large = pictures.repeat(enlarge, axis=2).repeat(enlarge, axis=3)

    def frames():
        for _ in range(REPEATS):
            for parts in large.swapaxes(0, 1):
                yield np.hstack(
                    [
                        annotate_frame(part, [(label, 0.0)])
                        for part, label in zip(parts, labels, strict=True)
                    ]
                )

    write_video(path, frames(), frame_rate, json.dumps({"format": FORMAT, **record}))
