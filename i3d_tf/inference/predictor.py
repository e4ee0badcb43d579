"""Classification of the clips that a network's protocol takes from a video."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, overload

import keras
import numpy as np

from i3d_tf.flow.compute import compute_fields, compute_flow
from i3d_tf.flow.engines import choose_engine
from i3d_tf.flow.quantize import check_rounding, through_codes
from i3d_tf.inference.dataset_logits import forward_function
from i3d_tf.inference.frame_arrays import check_frames
from i3d_tf.inference.prediction import (
    VIDEO_FAILURES,
    StageTimer,
    VideoPrediction,
    failed_prediction,
    rank_classes,
)
from i3d_tf.inference.streaming import chunked_forward
from i3d_tf.inference.test_clip import (
    FRAMES_TITLE,
    TestClips,
    TestWindow,
    frames_as_test_clip,
    frames_to_test_clips,
    read_test_clips,
)
from i3d_tf.models.fold_batch_norm import fuse_for_inference
from i3d_tf.specs.protocol import Protocol, flow_fields, frame_indices
from i3d_tf.specs.releases import DEFAULT_RELEASES
from i3d_tf.specs.streams import BOTH, CHANNELS, JOINT, streams_of
from i3d_tf.video.errors import VideoError
from i3d_tf.video.sampling import first_frames
from i3d_tf.video.transforms import crop_at, crop_places, preprocess_input
from i3d_tf.zoo import open_checkpoints


@dataclass(frozen=True)
class Networks:
    """The networks of a predictor, made ready for inference.

    Attributes:
        models: "rgb" and "flow", one of them, or "joint" for one network of both, to its model.
        class_names: In the order of the logits.
        protocol: How clips of a video are made for all of them.
        weights: Name of a model to `name`, its reference, and `sha256`, that of its file.
    """

    models: dict[str, keras.Model]
    class_names: tuple[str, ...]
    protocol: Protocol
    weights: dict[str, dict[str, str]] = field(default_factory=dict)


def open_networks(
    stream: str,
    checkpoints: Mapping[str, os.PathLike | str] | os.PathLike | str | None = None,
    checkpoint_dir: os.PathLike | str | None = None,
    precision: str = "float32",
    protocol: Mapping[str, Any] | None = None,
    head: str | None = None,
) -> Networks:
    """Opens the networks of a stream, see `Predictor`."""
    references = checkpoints_of(stream, checkpoints)
    opened = open_checkpoints(references, checkpoint_dir, protocol_overrides=protocol, head=head)
    models = {
        name: fuse_for_inference(checkpoint.model, precision)
        for name, checkpoint in opened.by_stream.items()
    }
    weights = {
        name: {"name": str(checkpoint.name), "sha256": checkpoint.sha256}
        for name, checkpoint in opened.by_stream.items()
    }
    return Networks(models, opened.class_names, opened.protocol, weights)


def checkpoints_of(
    stream: str, checkpoints: Mapping[str, os.PathLike | str] | os.PathLike | str | None
) -> dict[str, os.PathLike | str]:
    """Returns what each network of a stream is opened by, see `Predictor`.

    Raises:
        ValueError: `stream` is unknown, or a network is not named.
    """
    names = streams_of(stream)
    if checkpoints is None:
        checkpoints = DEFAULT_RELEASES
    elif isinstance(checkpoints, str | os.PathLike):
        checkpoints = {stream: checkpoints}
    if stream in checkpoints:
        names = (stream,)
    if missing := [name for name in names if name not in checkpoints]:
        raise ValueError(
            f"`checkpoints` must name a network for {' and '.join(missing)}; received "
            f"{checkpoints!r}."
        )
    return {name: checkpoints[name] for name in names}


class Predictor:
    """The networks of one or two streams, or one network of both, as a classifier of videos.

    The clips of a video are those of the networks' `Protocol`, which for the releases is the
    paper's: 25 frames per second, short side 256, the first 250 frames, shorter videos looped,
    center crop of 224. The logits of several windows and crops are averaged; those of two networks
    are added.

        predictor = i3d_tf.Predictor(checkpoints="rgb_scratch")
        predictor.predict("clip.mp4").top[0].label

    Args:
        stream: "rgb", "flow" or "joint".
        checkpoints: A release, another known name, the folder of a training run or a `.keras` file
            in one; for "joint" this is one network of both streams. Or stream to such, for two
            networks. None means rgb_imagenet and flow_imagenet.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.
        flow_engine: Optical flow engine, see `i3d_tf.compute_flow`.
        precision: "float32" or "bfloat16", see `i3d_tf.fuse_for_inference`.
        flow_rounding: Give the networks flow as if it had been stored in 8 bits: "deepmind" is what
            the releases were trained on, see `i3d_tf.flow.quantize`. None gives it as computed.
        protocol: Fields of `Protocol` that replace the networks' own, such as {"segments": 25,
            "crops": 10, "crop_set": "corners"}; None for none.
        head: Name of the classifier to use, of networks that were trained with several.

    Attributes:
        stream: As given.
        flow_engine: The engine in use, or None without flow.
        networks: The opened networks.
        settings: See `VideoPredictor`.

    Raises:
        FileNotFoundError: See `i3d_tf.zoo.open_checkpoints`.
        ValueError: An argument is not as above; or see `i3d_tf.zoo.open_checkpoints`.
    """

    def __init__(
        self,
        stream: str = "rgb",
        checkpoints: Mapping[str, os.PathLike | str] | os.PathLike | str | None = None,
        checkpoint_dir: os.PathLike | str | None = None,
        flow_engine: str = "auto",
        precision: str = "float32",
        flow_rounding: str | None = None,
        protocol: Mapping[str, Any] | None = None,
        head: str | None = None,
    ):
        self.stream = stream
        self._flow_rounding = check_rounding(flow_rounding)
        self.flow_engine = choose_engine(flow_engine) if "flow" in streams_of(stream) else None
        self.networks = open_networks(
            stream, checkpoints, checkpoint_dir, precision, protocol or None, head
        )
        self.settings = {
            "weights": self.networks.weights,
            "precision": precision,
            "flow_engine": self.flow_engine,
            "flow_rounding": self._flow_rounding,
        }
        if protocol:
            self.settings["protocol"] = dict(protocol)
        if head is not None:
            self.settings["head"] = head
        self._forward: dict[str, Callable] = {
            name: chunked_forward(model) or forward_function(model)
            for name, model in self.networks.models.items()
        }

    @overload
    def predict(self, video: str | os.PathLike, top: int = 5) -> VideoPrediction: ...

    @overload
    def predict(
        self, video: Any, top: int = 5, frame_rate: float | None = None
    ) -> VideoPrediction | list[VideoPrediction]: ...

    def predict(
        self, video: Any, top: int = 5, frame_rate: float | None = None
    ) -> VideoPrediction | list[VideoPrediction]:
        """Classifies a video, or each video of a batch.

        Args:
            video: The path of a video; or its frames, uint8 (T, H, W, 3) in RGB, at least 9; or a
                batch of frames, (N, T, H, W, 3); or a list of any of these.
            top: Classes to return.
            frame_rate: Frames per second of frames in an array, which are then treated like a video
                file of that rate: resampled to the protocol's rate, resized, cropped, cut or
                looped to the protocol's number. None takes the frames as they are: all of them,
                one after the other, as one clip. They are still resized and cropped to the size
                that the network is used to, unless they are squares of that size (224 for the
                releases).

        Returns:
            The prediction; for a batch or a list, a list of them. A file that cannot be read has
            the reason in `error`, as in `VideoPredictor`.

        Raises:
            ValueError: The frames are not as above, `frame_rate` is not a number > 0 or is given
                for a file, which has its own.
        """
        if isinstance(video, list | tuple):
            return [self._predict_one(part, top, frame_rate) for part in video]
        if not isinstance(video, str | os.PathLike) and np.ndim(video) == 5:
            frames = check_frames(video)
            return [self._predict_frames(clip, top, frame_rate) for clip in frames]
        return self._predict_one(video, top, frame_rate)

    def _predict_one(self, video, top, frame_rate) -> VideoPrediction:
        if not isinstance(video, str | os.PathLike):
            frames = check_frames(video)
            if frames.ndim == 5:
                raise ValueError(
                    "`video` must be one batch, or a list of paths or frames (T, H, W, 3); "
                    f"received a batch {frames.shape} in a list."
                )
            return self._predict_frames(frames, top, frame_rate)
        if frame_rate is not None:
            raise ValueError(
                "`frame_rate` must be None for the path of a video, which has its own; received "
                f"{frame_rate!r}."
            )
        try:
            protocol, timer = self.networks.protocol, StageTimer()
            with timer.stage("decode"):
                clips = read_test_clips(video, protocol)
            return self._predict(str(video), clips, protocol, top, timer)
        except VIDEO_FAILURES as error:
            return failed_prediction(video, self.stream, error)

    def _predict_frames(self, frames, top, frame_rate) -> VideoPrediction:
        protocol = self.networks.protocol
        try:
            if frame_rate is not None:
                clips = frames_to_test_clips(frames, frame_rate, protocol)
            else:
                self._check_length(len(frames))
                clips = frames_as_test_clip(frames, protocol)
                if protocol.segments == 1:
                    protocol = replace(protocol, frames=len(frames), windows=1)
            return self._predict(FRAMES_TITLE, clips, protocol, top, StageTimer())
        except VideoError as error:
            raise ValueError(f"`video` cannot be classified: {error.reason}.") from error

    def _check_length(self, num_frames):
        """Refuses a number of frames that a network of clips of one length does not take."""
        protocol = self.networks.protocol
        if protocol.segments > 1:  # of any number of frames
            return
        for model in self.networks.models.values():
            for tensor in model.inputs:
                stream = "rgb" if tensor.shape[-1] == CHANNELS["rgb"] else "flow"
                given = len(frame_indices(stream, num_frames, protocol.rgb_step))
                if tensor.shape[1] not in (None, given):
                    raise ValueError(
                        f"`video` must have so many frames that {model.name!r} gets "
                        f"{tensor.shape[1]} of them; it gets {given} of {num_frames}. Give "
                        "`frame_rate` to have them cut or looped."
                    )

    def _predict(self, title, clips, protocol, top, timer):
        logits = sum(self._logits(clips, protocol, timer))
        return VideoPrediction(
            title,
            self.stream,
            frames=clips.num_frames,
            seconds=clips.num_frames / protocol.frame_rate,
            top=rank_classes(title, logits, top, self.networks.class_names),
            timing=timer.seconds,
            flow_engine=self.flow_engine,
        )

    def _logits(
        self, clips: TestClips, protocol: Protocol, timer: StageTimer
    ) -> Iterator[np.ndarray]:
        """Yields each network's logits of each view, divided by the number of views."""
        num_views = clips.num_clips * protocol.crops
        for windows in clips.clips():
            for name, forward in self._forward.items():
                for inputs in self.network_inputs(name, windows, protocol, timer):
                    with timer.stage(f"{name} network"):
                        logits = forward(inputs).numpy()[0]
                    yield logits / num_views

    def network_inputs(
        self, name: str, windows: list[TestWindow], protocol: Protocol, timer: StageTimer
    ) -> Iterator[Any]:
        """Yields what a network is given of a clip, crop by crop.

        Args:
            name: Of the network, a key of `networks.models`.
            windows: The window of the clip, or its snippets.
            protocol: Frames and crops.
            timer: Of the stages.

        Yields:
            float32 (1, T, crop size, crop size, C) in [-1, 1]; for "joint" a dictionary of stream
            to such.
        """
        views = {
            stream: self._crops(stream, windows, protocol, timer) for stream in streams_of(name)
        }
        for crops in zip(*views.values(), strict=True):
            inputs = dict(zip(views, crops, strict=True))
            yield inputs if name == JOINT else inputs[name]

    def _crops(
        self, stream: str, windows: list[TestWindow], protocol: Protocol, timer: StageTimer
    ) -> Iterator[np.ndarray]:
        """Yields the inputs of one stream: float32 (1, T, crop size, crop size, C) in [-1, 1]."""
        snippets = [self._frames(stream, window, protocol, timer) for window in windows]
        for place in crop_places(protocol.crops, protocol.crop_set):
            with timer.stage("crop"):
                parts = []
                for frames, order in snippets:
                    cut = crop_at(frames, place, protocol.crop_size, stream)
                    parts.append(preprocess_input(cut, stream)[np.newaxis, order])
                clip = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
            yield clip

    def _frames(
        self, stream: str, window: TestWindow, protocol: Protocol, timer: StageTimer
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns frames of a window as a stream has them, and the indices of those it is given."""
        order = first_frames(len(window.frames), protocol.frames)
        if stream == "rgb":
            seen = frame_indices(stream, protocol.frames, protocol.rgb_step)
            return window.frames, order[list(seen)]
        fields = [
            field._replace(frame=order[field.frame])
            for field in flow_fields(protocol.frames, protocol.flow_direction)
        ]
        with timer.stage("flow"):
            engine = self.flow_engine or "auto"
            if protocol.flow_direction == BOTH:
                flow = compute_fields(window.frames, fields, engine, None, window.next_frame)
                order = np.arange(len(fields))
            else:
                flow = compute_flow(window.frames, engine, next_frame=window.next_frame)
            rounding = self._flow_rounding
            return flow if rounding is None else through_codes(flow, rounding), order
