"""Networks as makers of features: a video's frames in, rows and their account out."""

import math
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import fields
from itertools import chain

import keras
import numpy as np
import tensorflow as tf

from i3d_tf.features.feature_file import MAX_BYTES, VideoFeatures
from i3d_tf.features.options import LAST, FeatureOptions, receptive_field, row_times
from i3d_tf.features.windows import batched, means_of, windows_of
from i3d_tf.flow.engines import choose_engine
from i3d_tf.inference.streaming import Streamer, head_pool, step_logits
from i3d_tf.inference.test_clip import check_number
from i3d_tf.inference.video_source import VideoSource, flow_origin
from i3d_tf.models.fold_batch_norm import fuse_for_inference
from i3d_tf.specs.inception_v1 import HEAD, HEAD_POOL, MIN_FRAMES
from i3d_tf.specs.streams import streams_of
from i3d_tf.specs.version import __version__
from i3d_tf.system.prefetch import prefetch
from i3d_tf.video.errors import VideoError
from i3d_tf.video.probe import probe
from i3d_tf.video.transforms import preprocess_input
from i3d_tf.zoo import open_checkpoints


class StreamExtractor:
    """The network of one stream, ready to turn a video's frames into rows.

    Args:
        model: I3D, fused.
        stream: "rgb" or "flow".
        options: FeatureOptions.
    """

    def __init__(self, model, stream, options):
        self._model, self._stream, self._batch_size = model, stream, options.batch_size
        self._rules = rules = options.rules
        if rules.window is None:
            of_head = rules.endpoint in (HEAD_POOL, HEAD)
            endpoint = LAST if of_head else rules.endpoint
            self._streamer = Streamer(model, endpoint, of_head or rules.pool != "none")
        else:
            self._answer = _window_function(model, rules)

    def rows(self, shown: VideoSource) -> Iterator[np.ndarray]:
        """The rows of a video, one after the other.

        Args:
            shown: The video.

        Raises:
            VideoError: It cannot be read.
        """
        frames = shown.frames(self._stream)
        if self._rules.window is None:
            yield from means_of(self._steps(frames, shown.num_frames), self._rules.row_steps)
            return
        windows = windows_of(frames, self._rules.window, self._rules.stride)
        with prefetch(batched(windows, self._batch_size), 1) as batches:
            for batch in batches:
                yield from self._rows(batch)

    def rows_of_several(self, videos) -> list:
        """The rows of some videos, whose windows share batches.

        Args:
            videos: List of VideoSource.

        Returns:
            List of rows of each, or the VideoError that says why it cannot be read.
        """
        found, errors = [[] for _ in videos], {}
        windows = self._numbered_windows(videos, errors)
        with prefetch(batched(windows, self._batch_size), 1) as batches:
            for batch in batches:
                rows = self._rows([window for _, window in batch])
                for (number, _), row in zip(batch, rows, strict=True):
                    found[number].append(row)
        return [errors.get(number, rows) for number, rows in enumerate(found)]

    def _numbered_windows(self, videos, errors):
        """(number of the video, window); why a video has no more of them goes into `errors`."""
        for number, shown in enumerate(videos):
            frames = shown.frames(self._stream)
            try:
                for window in windows_of(frames, self._rules.window, self._rules.stride):
                    yield number, window
            except VideoError as error:
                errors[number] = error

    def _rows(self, windows):
        return self._answer(preprocess_input(np.stack(windows), self._stream)).numpy()

    def _steps(self, frames, num_frames):
        with closing(self._streamer.run(frames, num_frames)) as chunks:
            if self._rules.endpoint == HEAD_POOL:
                steps = head_pool(chunks)
            elif self._rules.endpoint == HEAD:
                steps = step_logits(self._model, chunks)
            else:
                steps = chunks
            yield from chain.from_iterable(steps)


def _window_function(model, rules):
    """Clips, float32 (N, T, H, W, C) in [-1, 1] -> a row for each."""
    output = model.get_layer(rules.endpoint).output
    network = keras.Model(model.input, output)
    axes = {"space": (2, 3), "space_time": (1, 2, 3), "none": ()}[rules.pool]
    has_positions = len(output.shape) == 5

    @tf.function(reduce_retracing=True, autograph=False)
    def answer(clips):
        found = tf.cast(network(clips, training=False), tf.float32)
        return tf.reduce_mean(found, axes) if axes and has_positions else found

    return answer


BATCHES_TOGETHER = 4  # are filled by the windows of several videos, before these are finished
RANGES = {
    "rgb": "[-1, 1]: value / 127.5 - 1",
    "flow": "[-1, 1]: pixels per frame, truncated to +-20, / 20",
}


class FeatureExtractor:
    """The networks of one or two streams, ready to make features of videos.

    Args:
        options: FeatureOptions.

    Raises:
        FileNotFoundError: Weights are not there.
        ValueError: The weights are of another stream, or have no such endpoint, or the streams do
            not share a protocol.
    """

    def __init__(self, options: FeatureOptions):
        self.options, self.networks = options, {}
        streams = streams_of(options.stream)
        self._has_flow = "flow" in streams
        self.engine = choose_engine(options.engine) if self._has_flow else None
        references = {"rgb": options.rgb_weights, "flow": options.flow_weights}
        checkpoints = open_checkpoints(
            {stream: references[stream] for stream in streams},
            options.checkpoint_dir,
            same_classes=False,
            protocol_fields=("frame_rate", "short_side", "crop_size"),
        )
        self.protocol = checkpoints.protocol
        self._weights = {}
        for stream, checkpoint in checkpoints.by_stream.items():
            _check_network(checkpoint.model, checkpoint.name, options.rules, self.protocol)
            model = fuse_for_inference(checkpoint.model, options.precision)
            self.networks[stream] = StreamExtractor(model, stream, options)
            self._weights[stream] = {"name": checkpoint.name, "sha256": checkpoint.sha256}

    def account(self, source, flow_file=None) -> dict:
        """What is known of a video's features before they are computed, in plain values.

        Args:
            source: `{"name", "bytes"}` of the video.
            flow_file: As for `extract`.

        Raises:
            VideoError: The flow file cannot be read.
        """
        rules, protocol = self.options.rules, self.protocol
        preprocessing = {
            "frame_rate": float(protocol.frame_rate),
            "short_side": protocol.short_side,
            "resize": "bilinear, aspect kept",
            "crop": f"centre, {protocol.crop_size} x {protocol.crop_size}",
            "range": {stream: RANGES[stream] for stream in self.networks},
        }
        if self._has_flow:
            preprocessing["flow"] = flow_origin(self.engine, flow_file)
        return {
            "stream": self.options.stream,
            **{field.name: getattr(rules, field.name) for field in fields(rules)},
            "receptive_field": receptive_field(rules.endpoint),
            "frame_rate": float(protocol.frame_rate),
            "weights": self._weights,
            "precision": self.options.precision,
            "preprocessing": preprocessing,
            "source": source,
        }

    def extract(self, video, source, flow_file=None) -> VideoFeatures:
        """The features of one video, in the memory of some frames and of the features.

        Args:
            video: Path.
            source: `{"name", "bytes"}` of the video.
            flow_file: Path of its flow file, or None: flow is computed where it is needed.

        Raises:
            VideoError: The video or its flow cannot be read, or gives no features.
            MemoryError: There is too little memory for it.
        """
        try:
            return self._extract(video, source, flow_file)
        except tf.errors.ResourceExhaustedError as error:
            raise MemoryError("there is not enough memory for the network") from error

    def extract_several(self, jobs) -> Iterator[VideoFeatures | VideoError | MemoryError]:
        """The features of some videos, whose windows share batches.

        Args:
            jobs: List of (video, source, flow_file), as for `extract`, of a group of `groups`.

        Yields:
            The features of each, in order; or why it has none.
        """
        outcomes = None
        if len(jobs) > 1:
            # Too little memory for all together may be enough for each.
            with suppress(MemoryError, tf.errors.ResourceExhaustedError):
                outcomes = self._together(jobs)
        if outcomes is None:
            outcomes = (_or_reason(self.extract, *job) for job in jobs)
        yield from outcomes

    def groups(self, videos) -> Iterator[list]:
        """Divides videos into those that `extract_several` is given at once.

        Their windows fill some batches: few videos where they are long, so that little is lost when
        a job is killed. A video that is shown whole, or whose rows are large, stands alone.

        Args:
            videos: Paths.

        Yields:
            Lists of consecutive videos.
        """
        rules = self.options.rules
        can_share = rules.window is not None and rules.pool != "none"
        enough = BATCHES_TOGETHER * self.options.batch_size if can_share else 0
        group, windows = [], 0.0
        for video in videos:
            group.append(video)
            windows += self._expected_windows(video) if can_share else 1
            if windows >= enough:
                yield group
                group, windows = [], 0.0
        if group:
            yield group

    def _expected_windows(self, video):
        """About how many; what cannot be read has none, and what does not say has many."""
        try:
            seconds = probe(video).duration
        except (VideoError, MemoryError):
            return 0
        frames = math.inf if seconds is None else seconds * self.protocol.frame_rate
        return frames / self.options.rules.stride

    def _together(self, jobs):
        """What `extract_several` yields."""
        outcomes = [_or_reason(self._opened, *job) for job in jobs]
        parts = [[] for _ in jobs]
        for network in self.networks.values():
            readable = [k for k, found in enumerate(outcomes) if isinstance(found, tuple)]
            rows = network.rows_of_several([outcomes[k][1] for k in readable])
            for k, found in zip(readable, rows, strict=True):
                if isinstance(found, VideoError):
                    outcomes[k] = found
                parts[k].append(found)
        for k, (video, *_) in enumerate(jobs):
            if isinstance(outcomes[k], tuple):
                outcomes[k] = _or_reason(self._finished, video, *outcomes[k], parts[k])
        return outcomes

    def _finished(self, video, account, shown, rows):
        parts = [_gathered(of_stream, video) for of_stream in rows]
        return self._assembled(video, account, shown, parts)

    def _opened(self, video, source, flow_file):
        """(account, VideoSource)."""
        account = self.account(source, flow_file)
        return account, VideoSource(video, self.protocol, self.engine or "auto", flow_file)

    def _extract(self, video, source, flow_file):
        account, shown = self._opened(video, source, flow_file)
        if self.options.rules.window is None:
            check_number(video, shown.num_frames, self.protocol)
        parts = []
        for network in self.networks.values():  # their frames never wait for one another
            with closing(network.rows(shown)) as rows:
                parts.append(_gathered(rows, video))
        return self._assembled(video, account, shown, parts)

    def _assembled(self, video, account, shown, parts):
        """Features and their account, of the rows of each stream."""
        rules = self.options.rules
        check_number(video, shown.num_frames, self.protocol, rules.window or MIN_FRAMES)
        features = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
        if not np.isfinite(features).all():
            raise VideoError(video, "the network's output is not finite: its weights are damaged")
        channels = np.cumsum([0, *(part.shape[-1] for part in parts)]).tolist()
        found = {
            "channels": {stream: channels[at : at + 2] for at, stream in enumerate(self.networks)},
            "frames": shown.num_frames,
            "project_version": __version__,
        }
        times = row_times(rules, shown.num_frames) / self.protocol.frame_rate
        return VideoFeatures(features, times, account | found)


def _or_reason(function, *arguments):
    """What a function returns, or the error that says why a video gives nothing."""
    try:
        return function(*arguments)
    except (VideoError, MemoryError) as error:
        return error


def _gathered(rows, video):
    """Rows as an array (N, ...); an error where there are none, or too many for memory."""
    kept, size = [], 0
    for row in rows:
        kept.append(row)
        size += row.nbytes
        if size > MAX_BYTES:
            raise VideoError(
                video,
                f"its features would take more than {MAX_BYTES / 2**30:g} GiB; pool them, or "
                "take a later endpoint or a larger stride",
            )
    return np.stack(kept) if kept else np.zeros((0, 1), np.float32)


def _check_network(model, name, rules, protocol):
    """Refuses networks that are not I3D, or take clips of another size only."""
    if rules.endpoint not in {layer.name for layer in model.layers}:
        raise ValueError(f"{name}: has no endpoint {rules.endpoint}; networks of I3D have.")
    wanted = (rules.window, protocol.crop_size, protocol.crop_size)
    fixed = model.input_shape[1:4]
    if any(has not in (None, want) for has, want in zip(fixed, wanted, strict=True)):
        raise ValueError(f"{name}: only reads clips of {fixed} (T, H, W); asked for {wanted}.")
