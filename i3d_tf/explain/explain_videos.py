"""Explanations of predictions: maps of what speaks for a class, on the frames of the video."""

import difflib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from i3d_tf.explain.checks import deletion_curve, random_head_correlations
from i3d_tf.explain.placement import CropGeometry, FrameHeat, clip_saliency
from i3d_tf.explain.saliency import (
    GRADCAM,
    METHODS,
    NOISE,
    SAMPLES,
    SMOOTHGRAD,
    TUBES,
    EndpointNetwork,
    SaliencyMap,
    grad_cam,
    gradient_map,
    logit_gradient,
    saliency_tubes,
    smooth_gradient,
)
from i3d_tf.inference.dataset_logits import forward_function
from i3d_tf.inference.prediction import StageTimer, VideoPrediction
from i3d_tf.inference.predictor import Predictor
from i3d_tf.inference.streaming import chunked_forward
from i3d_tf.inference.test_clip import TestClips, read_test_clips
from i3d_tf.specs.protocol import SPREAD, Protocol, frame_indices
from i3d_tf.specs.streams import JOINT
from i3d_tf.specs.validation import check_choice
from i3d_tf.system.files import atomic_write, check_target, remove_abandoned
from i3d_tf.video.decode import read_frames
from i3d_tf.video.encode import write_video
from i3d_tf.video.errors import VideoError
from i3d_tf.video.frame_folder import video_metadata
from i3d_tf.video.names import assign_outputs, output_path
from i3d_tf.video.probe import read_comment
from i3d_tf.video.sampling import first_frames
from i3d_tf.video.transforms import CENTER, crop_offsets
from i3d_tf.viz.annotate import annotate_frame
from i3d_tf.viz.contact_sheet import contact_sheet, write_png
from i3d_tf.viz.heat import overlay_heat

FORMAT, VERSION = "i3d_tf explanation", 1
TITLES = {GRADCAM: "Grad-CAM", TUBES: "saliency tubes", SMOOTHGRAD: "SmoothGrad"}
TUBE_THRESHOLD = 0.2  # of the largest value, as the authors of saliency tubes draw them
SHEET_COLUMNS = 6
PIXEL_BLOCK = (8, 32, 32)  # masked at once where a map has a value for each pixel


@dataclass(frozen=True)
class ExplainOptions:
    """The way in which predictions are explained.

    Attributes:
        method: One of `METHODS`.
        output_dir: Folder of the pictures and numbers; it is made where it does not exist.
        endpoint: Layer whose outputs are explained; None for the last one. Not for SmoothGrad.
        class_name: A class of the networks, by its name or index; None for the predicted class.
        samples: Noisy clips of SmoothGrad.
        noise: See `smooth_gradient`.
        with_checks: Whether the deletion curve is computed, and the correlation with maps by
            networks with a random head.

    Raises:
        ValueError: The method is unknown, or SmoothGrad is given an endpoint.
    """

    method: str
    output_dir: str | os.PathLike = "explained"
    endpoint: str | None = None
    class_name: str | None = None
    samples: int = SAMPLES
    noise: float = NOISE
    with_checks: bool = False

    def __post_init__(self):
        check_choice("method", self.method, METHODS)
        if self.method == SMOOTHGRAD and self.endpoint is not None:
            raise ValueError(
                f"`endpoint` must be None for {SMOOTHGRAD}, which explains pixels; received "
                f"{self.endpoint!r}."
            )


@dataclass(frozen=True, eq=False)
class StreamExplanation:
    """The map of one network.

    Attributes:
        stream: "rgb" or "flow".
        saliency: The map.
        heat: Its way back to the video's frames.
        checks: See `ExplainOptions.with_checks`; empty without.
    """

    stream: str
    saliency: SaliencyMap
    heat: FrameHeat
    checks: dict[str, Any]


class Explainer:
    """A writer of explanations of predictions.

    A clip is explained as the predictor saw it: the first frames of the video by the paper's
    protocol. Of several clips of a video it is the one with the largest logit of the class, and of
    several crops the center.

    Args:
        predictor: The predictor whose predictions are explained, of one network for each stream.
        options: See `ExplainOptions`.

    Attributes:
        name: What it writes, in words.

    Raises:
        ValueError: One network sees both streams, or a network has no such endpoint or class.
    """

    name = "explanation"

    def __init__(self, predictor: Predictor, options: ExplainOptions):
        models = predictor.networks.models
        if JOINT in models:
            raise ValueError(
                "--explain needs a network for each stream; received one for both. Name an RGB and "
                "a flow network."
            )
        self._predictor, self._options = predictor, options
        self._networks = {}
        self._gradients = {}
        if options.method == SMOOTHGRAD:
            self._gradients = {stream: logit_gradient(model) for stream, model in models.items()}
        else:
            self._networks = {
                stream: EndpointNetwork(model, options.endpoint) for stream, model in models.items()
            }
        self._class_index = None
        if options.class_name is not None:
            self._class_index = find_class(predictor.networks.class_names, options.class_name)

    def paths(self, videos: Sequence[str]) -> dict[str, Path]:
        """Returns the overlay of each video, an .mp4 file, beside which a .png and a .json go.

        Args:
            videos: Paths of the videos.

        Raises:
            ValueError: `output_dir` is not a folder, or two videos would share an overlay.
            FileExistsError: A file of another kind is there.
        """
        folder = Path(self._options.output_dir)
        if os.path.lexists(folder) and not folder.is_dir():
            raise ValueError(f"{folder}: not a folder. Name a folder for the explanations.")
        suffix = f"_{self._options.method}.mp4"

        def path_of(video, keeps_ending):
            return Path(output_path(video, folder, suffix, keeps_ending=keeps_ending))

        remedy = "Rename one, or run them one at a time."
        paths = assign_outputs(videos, path_of, remedy, _explained_video)
        for video, path in paths.items():
            check_target(path, lambda path: _metadata(path) is not None, [video])
            check_target(path.with_suffix(".png"), _is_png, [video])
            check_target(path.with_suffix(".json"), _is_json, [video])
        remove_abandoned(folder)
        return paths

    def write(self, prediction: VideoPrediction, path: Path) -> None:
        """Writes the overlay, a contact sheet and the numbers of a prediction.

        Args:
            prediction: The prediction.
            path: The overlay, see `paths`.

        Raises:
            VideoError: The video cannot be read, or the overlay cannot be written.
            OSError: A file cannot be written.
        """
        class_index = prediction.top[0].index if self._class_index is None else self._class_index
        explained = self.explain(prediction.path, class_index)
        protocol = self._predictor.networks.protocol
        record = self._record(prediction, class_index, explained)
        path.parent.mkdir(parents=True, exist_ok=True)
        label = self._predictor.networks.class_names[class_index]
        video = _Overlay(
            explained, f"{label}: {TITLES[self._options.method]}", self._options.method == TUBES
        )
        comment = {key: record[key] for key in ("format", "version", "source", "method", "class")}
        frames = video.frames(prediction.path, protocol.frame_rate)
        write_video(path, frames, protocol.frame_rate, json.dumps(comment))
        sheet_path, record_path = path.with_suffix(".png"), path.with_suffix(".json")
        with atomic_write(sheet_path) as temporary:
            write_png(temporary, video.sheet())
        with atomic_write(record_path) as temporary:
            temporary.write_text(json.dumps(record, indent=1) + "\n", "utf-8")

    def explain(self, video: str | os.PathLike, class_index: int) -> list[StreamExplanation]:
        """Computes the map of each stream.

        Args:
            video: Path of the video.
            class_index: Index of the class among the logits.

        Raises:
            VideoError: The video cannot be read.
        """
        networks = self._predictor.networks
        protocol = replace(networks.protocol, crops=1, crop_set=SPREAD)
        clips = read_test_clips(video, protocol)
        number = self._choose_clip(clips, protocol, class_index)
        height, width = clips.frames.shape[1:3]
        offsets = crop_offsets(height, width, protocol.crop_size, CENTER)
        crop = CropGeometry((height, width), *offsets, protocol.crop_size)
        windows = list(clips.clips())[number]
        explained = []
        for stream, model in networks.models.items():
            (inputs,) = self._predictor.network_inputs(stream, windows, protocol, StageTimer())
            saliency = self._saliency(stream, inputs[0], class_index)
            heat = FrameHeat(saliency, clip_frames(stream, clips, number, protocol), crop)
            checks = {}
            if self._options.with_checks:
                checks = self._checks(stream, model, inputs[0], class_index, saliency)
            explained.append(StreamExplanation(stream, saliency, heat, checks))
        return explained

    def _choose_clip(self, clips, protocol, class_index):
        """Returns the number of the clip with the largest logit of the class."""
        if clips.num_clips == 1:
            return 0
        forwards = {
            name: _forward(model) for name, model in self._predictor.networks.models.items()
        }
        logits = []
        for windows in clips.clips():
            views = (
                forward(inputs).numpy()[0, class_index]
                for name, forward in forwards.items()
                for inputs in self._predictor.network_inputs(name, windows, protocol, StageTimer())
            )
            logits.append(sum(views))
        return int(np.argmax(logits))

    def _saliency(self, stream, clip, class_index):
        options = self._options
        if options.method == SMOOTHGRAD:
            gradient = self._gradients[stream]
            settings = {"samples": options.samples, "noise": options.noise}
            return gradient_map(smooth_gradient(gradient, clip, class_index, **settings))
        method = grad_cam if options.method == GRADCAM else saliency_tubes
        return method(self._networks[stream], clip, class_index)

    def _checks(self, stream, model, clip, class_index, saliency):
        forward = _forward(model)

        def logit_of(clip):
            return float(forward(clip[np.newaxis]).numpy()[0, class_index])

        def values_of():
            if self._options.method == SMOOTHGRAD:  # without noise, which takes as long each time
                plain = self._gradients[stream](clip[np.newaxis], class_index)
                return gradient_map(plain).values
            return self._saliency(stream, clip, class_index).values

        block = PIXEL_BLOCK
        if saliency.endpoint is not None:
            sizes = zip(clip.shape, saliency.values.shape, strict=False)
            block = tuple(-(-length // cells) for length, cells in sizes)
        return {
            "deletion": deletion_curve(logit_of, clip, clip_saliency(saliency, clip.shape), block),
            "random_head_rank_correlations": random_head_correlations(model, values_of),
        }

    def _record(self, prediction, class_index, explained):
        networks, options = self._predictor.networks, self._options
        rate = networks.protocol.frame_rate
        first = min(one.heat.first for one in explained)
        last = max(one.heat.last for one in explained)
        settings = {}
        if options.method == SMOOTHGRAD:
            settings = {"samples": options.samples, "noise": options.noise}
        return {
            "format": FORMAT,
            "version": VERSION,
            "source": video_metadata(prediction.path),
            "method": options.method,
            **settings,
            "class": {"class": networks.class_names[class_index], "index": class_index},
            "predicted": prediction.to_json()["top"],
            "frames": {
                "frame_rate": rate,
                "first": first,
                "last": last,
                "start": first / rate,
                "end": (last + 1) / rate,
            },
            "streams": {
                one.stream: {
                    "weights": networks.weights.get(one.stream, {}),
                    "endpoint": one.saliency.endpoint,
                    "map_shape": list(one.saliency.values.shape),
                    "cells_at": one.saliency.centers_rule,
                    **_places(one, prediction.path, rate),
                    **one.checks,
                }
                for one in explained
            },
        }


def find_class(class_names: Sequence[str], text: str) -> int:
    """Returns the index of a class.

    Args:
        class_names: In the order of the logits.
        text: A name or an index.

    Raises:
        ValueError: There is no such class.
    """
    if text in class_names:
        return class_names.index(text)
    if text.isascii() and text.isdecimal() and int(text) < len(class_names):
        return int(text)
    close = difflib.get_close_matches(text, class_names)
    hint = f" Is one of these meant: {', '.join(close)}?" if close else ""
    raise ValueError(
        f"the class must be one of the network's {len(class_names)}, by its name or its index from "
        f"0; received {text!r}.{hint}"
    )


def clip_frames(stream: str, clips: TestClips, number: int, protocol: Protocol) -> np.ndarray:
    """Returns the index in the video of every frame that a network is given of a clip.

    Args:
        stream: "rgb" or "flow".
        clips: The clips of the video.
        number: Of the clip.
        protocol: How they were made.
    """
    seen = list(
        frame_indices(
            stream,
            protocol.frames,
            protocol.rgb_step,
            flow_direction=protocol.flow_direction,
        )
    )
    window = first_frames(clips.length, protocol.frames)[seen]
    first = number * clips.segments
    starts = clips.video_starts[first : first + clips.segments]
    return np.concatenate([start + window for start in starts])


class _Overlay:
    """The pictures of an explanation; frames for the contact sheet are kept as they go by."""

    def __init__(self, explained, caption, is_tubes):
        self._explained, self._caption = explained, caption
        self._threshold = TUBE_THRESHOLD if is_tubes else None
        self._first = min(one.heat.first for one in explained)
        self._last = max(one.heat.last for one in explained)
        chosen = np.linspace(self._first, self._last, SHEET_COLUMNS).round()
        self._chosen = chosen.astype(int).tolist()
        self._kept: dict[str, list[np.ndarray]] = {"video": []}

    def frames(self, video, frame_rate) -> Iterator[np.ndarray]:
        """Yields the explained frames, with the maps of all streams beside each other."""
        for index, frame in enumerate(read_frames(video, frame_rate, short_side=None)):
            if index > self._last:
                break
            if index < self._first:
                continue
            keeps = self._chosen.count(index)
            self._kept["video"] += [frame] * keeps
            pictures = []
            for one in self._explained:
                picture = self._paint(one.heat, index, frame)
                self._kept.setdefault(one.stream, []).extend([picture] * keeps)
                caption = f"{self._caption}, {one.stream}, {index / frame_rate:.1f} s"
                pictures.append(annotate_frame(picture, [(caption, 0.0)]))
            yield np.hstack(pictures)

    def _paint(self, heat, index, frame):
        height, width, _ = frame.shape
        seen = heat.crop.sees(height, width)
        return overlay_heat(frame, heat.heat(index, height, width), seen, self._threshold)

    def sheet(self) -> np.ndarray:
        """Returns frames of the video, and below each what the streams' maps show."""
        captions = ["video", *(f"{self._caption}, {one.stream}" for one in self._explained)]
        rows = [np.stack(frames) for frames in self._kept.values()]
        return contact_sheet(rows, captions, SHEET_COLUMNS)


def _forward(model: keras.Model):
    return chunked_forward(model) or forward_function(model)


def _places(one, video, frame_rate):
    """Returns where the heat is in the video: seconds, and pixels of its frames."""
    values, heat = one.saliency.values, one.heat
    frame = next(iter(read_frames(video, frame_rate, short_side=None)))
    height, width, _ = frame.shape
    rows, columns = heat.crop.positions(height, width)
    _, cell_row, cell_column = np.unravel_index(values.argmax(), values.shape)
    totals = [heat.total(index) for index in range(heat.first, heat.last + 1)]
    brightest = heat.first + int(np.argmax(totals))
    mean = values.mean(axis=0)
    centers = one.saliency.centers[1:]
    weighted = (
        (mean.sum(axis=1 - axis) * centers[axis]).sum() / (mean.sum() or 1.0) for axis in (0, 1)
    )
    row, column = weighted
    x, y = _place((column, row), (columns, rows))
    peak_x, peak_y = _place((centers[1][cell_column], centers[0][cell_row]), (columns, rows))
    return {
        "frame_size": {"height": height, "width": width},
        "seconds_of_most": brightest / frame_rate,
        "mean_place": {"x": x, "y": y},
        "largest_at": {"x": peak_x, "y": peak_y},
    }


def _place(point, axes):
    """Returns the pixels of the original frame at a point of the square."""
    return [
        round(float(np.interp(value, positions, np.arange(len(positions)))), 1)
        for value, positions in zip(point, axes, strict=True)
    ]


def _metadata(path):
    """Returns what an overlay says of itself, or None if the file is another."""
    try:
        metadata = json.loads(read_comment(path) or "")
    except (VideoError, ValueError, RecursionError):
        return None
    is_own = isinstance(metadata, dict) and metadata.get("format") == FORMAT
    return metadata if is_own else None


def _explained_video(path):
    """Returns the name of the video that an overlay was made of, or None."""
    source = (_metadata(path) or {}).get("source")
    return source.get("name") if isinstance(source, dict) else None


def _is_png(path):
    with open(path, "rb") as file:
        return file.read(4) == b"\x89PNG"


def _is_json(path):
    try:
        return json.loads(path.read_text("utf-8")).get("format") == FORMAT
    except (ValueError, AttributeError, RecursionError):
        return False
