"""Feature extraction from videos by the networks of one or two streams."""

import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain, tee
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from i3d_tf.data.feature_file import MAX_BYTES, VideoFeatures
from i3d_tf.features.frame_crops import FrameCropper
from i3d_tf.features.network_check import check_network
from i3d_tf.features.options import (
    FILLS,
    LAST,
    FeatureOptions,
    receptive_field,
    timestamps,
)
from i3d_tf.features.windows import (
    Window,
    average_steps,
    compute_in_batches,
    extended,
    sliding_windows,
)
from i3d_tf.flow.engines import choose_engine
from i3d_tf.flow.quantize import VIDEO_FEATURES
from i3d_tf.inference.streaming import Streamer, head_pool, is_i3d, step_logits
from i3d_tf.inference.video_source import VideoSource, flow_origin
from i3d_tf.models.fold_batch_norm import fuse_for_inference
from i3d_tf.specs.feature_profiles import NATIVE, profile_metadata
from i3d_tf.specs.inception_v1 import HEAD, HEAD_POOL, MIN_FRAMES
from i3d_tf.specs.protocol import frame_indices
from i3d_tf.specs.streams import FLOW_BOUND, streams_of
from i3d_tf.specs.version import __version__
from i3d_tf.video.decode import concealed_frames
from i3d_tf.video.errors import VideoError
from i3d_tf.video.frame_folder import video_metadata
from i3d_tf.video.transforms_tf import preprocess_input
from i3d_tf.zoo import open_checkpoints

PathLike = os.PathLike | str
# Result for one video: its features, or the error that prevented them.
Extraction = VideoFeatures | VideoError | MemoryError

RANGES = {
    "rgb": "[-1, 1]: value / 127.5 - 1",
    "flow": "[-1, 1]: pixels per frame, truncated to +-20, / 20",
}


class StreamExtractor:
    """Network of one stream, from frames to feature rows.

    Args:
        model: A network with folded batch norm; without a window, I3D.
        stream: "rgb" or "flow".
        options: FeatureOptions; without a window `rows_of_video` can be used, with one
            `rows_of_windows`.
        rgb_step: An RGB network gets one of so many frames of a window.

    Attributes:
        num_channels: Channels of a row.
    """

    def __init__(self, model: keras.Model, stream: str, options: FeatureOptions, rgb_step: int = 1):
        self._model, self._stream = model, stream
        self._options, self._config = options, options.config
        config = options.config
        self.num_channels: int = model.get_layer(config.endpoint).output.shape[-1]
        if config.window is None:
            is_pooled = config.pools_pairs or config.pool != "none"
            endpoint = LAST if config.pools_pairs else config.endpoint
            self._streamer = Streamer(model, endpoint, is_pooled)
        else:
            self._forward = _window_function(model, stream, options)
            self._seen = list(frame_indices(stream, config.window, rgb_step))

    def rows_of_video(
        self, frames: Iterable[np.ndarray], num_frames: int
    ) -> Generator[np.ndarray, None, None]:
        """Yields the rows of a whole video, float32.

        Args:
            frames: (H, W, C) each: uint8 RGB, or flow in pixels per frame.
            num_frames: Number of frames, at least 9.

        Raises:
            VideoError: The video cannot be read.
            MemoryError: The memory is too small for the network.
        """
        with _memory_errors(), closing(self._streamer.run(frames, num_frames)) as chunks:
            steps: Iterator[np.ndarray] = chunks
            if self._config.endpoint == HEAD:
                steps = step_logits(self._model, chunks)
            elif self._config.pools_pairs:
                steps = head_pool(chunks)
            yield from average_steps(chain.from_iterable(steps), self._config.row_steps)

    def rows_of_windows(self, windows: Sequence[Window]) -> np.ndarray:
        """Returns the row of each window, float32 (N, ...).

        Args:
            windows: N windows of frames (T, H, W, C): uint8 RGB, or flow in pixels per frame.

        Raises:
            MemoryError: The memory is too small for so many windows.
        """
        with _memory_errors():
            seen = self._seen
            sees_all = len(seen) == self._config.window
            clips = np.stack([w.frames if sees_all else w.frames[seen] for w in windows])
            num_valid = np.array([sum(k < w.num_valid for k in seen) for w in windows])
            is_whole = (num_valid == clips.shape[1]).all()
            return self._forward(clips, None if is_whole else num_valid).numpy()


def _window_function(model, stream, options):
    """Returns a function from clips, (N, T, H, W, C) as decoded, to rows, float32 (N, ...).

    Its second argument is the number of frames of each clip that are not replaced by zeros, (N,);
    None replaces none. Values are converted where the network is, so that a GPU gets bytes.
    """
    config = options.config
    output = model.get_layer(config.endpoint).output
    network = keras.Model(model.input, output)
    axes = {"space": (2, 3), "none": ()}.get(config.pool, (1, 2, 3))
    pools_pairs = config.pool == "head" and config.endpoint == LAST
    axes = tuple(axis for axis in axes if axis < len(output.shape) - 1)  # some have time alone
    exceeds_1 = stream == "flow" and options.flow_rounding == VIDEO_FEATURES
    value_range = options.frames.value_range

    @tf.function(reduce_retracing=True, autograph=False)
    def forward(clips, num_valid):
        inputs = clips / FLOW_BOUND if exceeds_1 else preprocess_input(clips, stream)
        if value_range != 1:
            inputs *= value_range
        if num_valid is not None:
            is_valid = tf.sequence_mask(num_valid, tf.shape(clips)[1], tf.float32)
            inputs *= is_valid[:, :, tf.newaxis, tf.newaxis, tf.newaxis]
        outputs = tf.cast(network(inputs, training=False), tf.float32)
        if pools_pairs:
            outputs = tf.reduce_mean(outputs, (2, 3), keepdims=True)
            outputs = (outputs[:, :-1] + outputs[:, 1:]) / 2
        return tf.reduce_mean(outputs, axes) if axes else outputs

    return forward


class _OpenVideo:
    """A video whose rows are being computed.

    Attributes:
        path: Path of the video.
        source: VideoSource; None if the video could not be opened.
        metadata: See `FeatureExtractor.metadata`.
        rows: Stream to its rows so far; of several crops each window's, one after the other,
            and of a whole video one crop's after those of the other.
        error: The error that prevents its features, or None.
    """

    def __init__(self, path: PathLike, streams: Iterable[str]):
        self.path = path
        self.source: VideoSource | None = None
        self.metadata: dict[str, Any] = {}
        self.rows: dict[str, list[np.ndarray]] = {stream: [] for stream in streams}
        self.error: VideoError | MemoryError | None = None
        self._num_bytes = 0

    @contextmanager
    def keep_error(self) -> Iterator[None]:
        """Keeps an error of the video, so that the other videos go on."""
        try:
            yield
        except (VideoError, MemoryError) as error:
            self.error = error

    def add_row(self, stream, row):
        """Adds a row of one stream; raises VideoError if the rows become too large."""
        self.rows[stream].append(row)
        self._num_bytes += row.nbytes
        if self._num_bytes > MAX_BYTES:
            raise VideoError(
                self.path,
                f"its features would take more than {MAX_BYTES / 2**30:g} GiB; pool them, or "
                "take a later endpoint or a larger stride",
            )


class FeatureExtractor:
    """Networks of one or two streams, from videos to features.

    Args:
        options: FeatureOptions.

    Attributes:
        options: FeatureOptions.
        streams: Stream to StreamExtractor.
        protocol: Protocol that the networks share.

    Raises:
        FileNotFoundError: Weights do not exist.
        ValueError: The weights are of another stream, or have no such endpoint, or the streams do
            not share a protocol.
    """

    def __init__(self, options: FeatureOptions):
        self.options = options
        references = {"rgb": options.rgb_checkpoint, "flow": options.flow_checkpoint}
        checkpoints = open_checkpoints(
            {stream: references[stream] for stream in streams_of(options.stream)},
            options.checkpoint_dir,
            same_classes=False,
            protocol_fields=("frame_rate", "short_side", "crop_size"),
            any_head=True,
        )
        self.protocol = checkpoints.protocol
        self._cropper = FrameCropper(options.frames, self.protocol, options.flow_rounding)
        self.streams: dict[str, StreamExtractor] = {}
        self._weights = {}
        self._rgb_step, self._are_i3d = 1, True
        for stream, checkpoint in checkpoints.by_stream.items():
            rgb_step = checkpoint.protocol.rgb_step if stream == "rgb" else 1
            check_network(checkpoint, options.config, self.protocol)
            model = fuse_for_inference(checkpoint.model, options.precision)
            self.streams[stream] = StreamExtractor(model, stream, options, rgb_step)
            self._weights[stream] = {"name": checkpoint.name, "sha256": checkpoint.sha256}
            self._rgb_step = max(self._rgb_step, rgb_step)
            self._are_i3d = self._are_i3d and is_i3d(model)
        self._has_flow = "flow" in self.streams
        self._flow_engine = choose_engine(options.flow_engine) if self._has_flow else "auto"

    def metadata(self, video: PathLike, flow_file: PathLike | None = None) -> dict[str, Any]:
        """Returns the metadata of a video's features, as far as known before it is read.

        Args:
            video: See `extract`.
            flow_file: See `extract`.

        Raises:
            VideoError: The flow file cannot be read.
        """
        options, config = self.options, self.options.config
        preprocessing = options.frames.metadata(self.protocol)
        preprocessing["range"] = {stream: self._range(stream) for stream in self.streams}
        if self._has_flow:
            preprocessing["flow"] = flow_origin(self._flow_engine, flow_file, options.flow_rounding)
        metadata = {
            "stream": options.stream,
            **config.metadata(),
            "receptive_field": self._receptive_field(),
            "frame_rate": preprocessing["frame_rate"],
            "weights": self._weights,
            "precision": options.precision,
            "preprocessing": preprocessing,
            "source": video_metadata(video),
        }
        if metadata["frame_rate"] == NATIVE:  # the number is known when the video is open
            del metadata["frame_rate"]
        if self._rgb_step > 1:
            metadata["rgb_step"] = self._rgb_step
        return metadata

    def _receptive_field(self):
        """Returns the frames that a time step depends on; all of a window where I3D's do not."""
        config = self.options.config
        if not self._are_i3d:
            return config.window
        is_head = config.window is None and config.pools_pairs
        return receptive_field(HEAD_POOL if is_head else config.endpoint)

    def _range(self, stream):
        value_range = self.options.frames.value_range
        if value_range == 1:
            return RANGES[stream]
        return f"[-{value_range:g}, {value_range:g}]: {value_range:g} times {RANGES[stream]}"

    def extract(self, video: PathLike, flow_file: PathLike | None = None) -> VideoFeatures:
        """Returns the features of one video.

        Args:
            video: Path.
            flow_file: Path of its flow file; None computes flow where a network needs it.

        Raises:
            VideoError: The video or its flow cannot be read, or is too short.
            MemoryError: The memory is too small.
        """
        (result,) = self.extract_videos([(video, flow_file)])
        if not isinstance(result, VideoFeatures):
            raise result
        return result

    def extract_videos(
        self, videos: Iterable[tuple[PathLike, PathLike | None]]
    ) -> Generator[Extraction, None, None]:
        """Yields the result of each video, in order.

        Args:
            videos: (video, flow file) each, see `extract`.
        """
        opened = (self._open(*video) for video in videos)
        if self.options.config.window is None:
            computed = (self._compute_whole(video) for video in opened)
        else:
            computed = compute_in_batches(
                opened, self._windows, self._compute_windows, self.options.batch_size
            )
        with closing(computed):
            for video in computed:
                yield self._assemble(video)

    def _open(self, path, flow_file):
        video = _OpenVideo(path, self.streams)
        with video.keep_error():
            video.metadata = self.metadata(path, flow_file)
            video.source = VideoSource(
                path,
                self.protocol,
                self._flow_engine,
                flow_file,
                self.options.flow_rounding,
                None if self.options.frames.are_own else self._cropper,
            )
        return video

    def _compute_whole(self, video):
        """Returns an open video with the rows of networks that see it whole."""
        if video.error is None:
            with video.keep_error():
                num_frames, short = video.source.num_frames, self.options.config.short
                self._check_length(video, num_frames)
                if num_frames < MIN_FRAMES and short not in FILLS:
                    return video
                for stream, network in self.streams.items():
                    for crop in range(self.options.frames.crops):
                        frames = (crops[crop] for crops in self._crops(video, stream))
                        if num_frames < MIN_FRAMES:
                            frames = extended(frames, MIN_FRAMES, short)
                        rows = network.rows_of_video(frames, max(num_frames, MIN_FRAMES))
                        with closing(rows):
                            for row in rows:
                                video.add_row(stream, row)
        return video

    def _crops(self, video, stream):
        """Yields the crops of each frame of a stream, (crops, S, S, C)."""
        for frame in video.source.whole_frames(stream):
            yield self._cropper.crops(frame, stream)

    def _windows(self, video):
        """Yields (stream, Window) of an open video, crop by crop, until it has an error."""
        if video.error is not None:
            return
        config = self.options.config
        with video.keep_error():
            by_stream = [sliding_windows(crops, config) for crops in self._crops_of_streams(video)]
            for windows in zip(*by_stream, strict=True):
                if video.error is not None:  # of its rows
                    return
                for stream, window in zip(self.streams, windows, strict=True):
                    for crop in range(self.options.frames.crops):
                        yield stream, Window(window.frames[:, crop], window.num_valid)
            self._check_length(video, video.source.num_frames)

    def _crops_of_streams(self, video):
        """Returns an iterator of the crops of each stream's frames; they are read side by side."""
        if len(self.streams) == 1:
            return [self._crops(video, *self.streams)]
        rgb, flow = tee(video.source.whole_frame_pairs())
        return [
            (self._cropper.crops(frame, "rgb") for frame, _ in rgb),
            (self._cropper.crops(frame, "flow") for _, frame in flow),
        ]

    def _check_length(self, video, num_frames):
        """Refuses a video that is too short, unless the options say what to do."""
        needed = self.options.config.min_frames
        if num_frames < needed and self.options.config.short == "skip":
            found = f"{num_frames} frames at {video.source.frame_rate:.4g} per second"
            raise VideoError(
                str(video.path),
                f"it has {found}; at least {needed} are needed, or --short=loop or --short=repeat",
            )

    def _compute_windows(self, stream, batch):
        """Adds the rows of (video, window) pairs to their videos."""
        try:
            rows = self.streams[stream].rows_of_windows([window for _, window in batch])
        except MemoryError as error:
            for video, _ in batch:
                video.error = error
            return
        for (video, _), row in zip(batch, rows, strict=True):
            with video.keep_error():
                video.add_row(stream, row)

    def _assemble(self, video):
        """Returns the Extraction of a video whose rows are complete."""
        if video.error is None:
            with video.keep_error():
                return self._features(video)
        return video.error

    def _features(self, video):
        parts = [self._stacked(stream, rows) for stream, rows in video.rows.items()]
        features = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
        if not np.isfinite(features).all():
            raise VideoError(
                video.path, "the network's output is not finite: its weights are damaged"
            )
        num_frames = video.source.num_frames
        edges = np.cumsum([0, *(part.shape[-1] for part in parts)]).tolist()
        metadata = video.metadata | {
            "channels": {stream: edges[k : k + 2] for k, stream in enumerate(self.streams)},
            "frames": num_frames,
            "project_version": __version__,
        }
        metadata["frame_rate"] = video.source.frame_rate
        if self.options.profile is not None:
            metadata["profile"] = profile_metadata(*self.options.profile)
        if concealed := concealed_frames(video.path):
            metadata["concealed_frames"] = concealed
        times = timestamps(self.options.config, num_frames) / video.source.frame_rate
        return VideoFeatures(features, times, metadata)

    def _stacked(self, stream, rows):
        """Returns the rows of a stream, (N, ..., C), or (N, crops, ..., C) of several crops."""
        crops, config = self.options.frames.crops, self.options.config
        num_channels = self.streams[stream].num_channels
        stacked = np.stack(rows) if rows else np.zeros((0, num_channels), np.float32)
        if config.keep_axes and config.pool != "none":
            stacked = stacked[..., np.newaxis, np.newaxis, :]
        if crops == 1:
            return stacked
        if config.window is None:
            by_crop = stacked.reshape(crops, -1, *stacked.shape[1:])
            return np.ascontiguousarray(by_crop.swapaxes(0, 1))
        return stacked.reshape(-1, crops, *stacked.shape[1:])


@contextmanager
def _memory_errors():
    """Turns TensorFlow's error of too little memory into a MemoryError."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise MemoryError("there is not enough memory for the network") from error
