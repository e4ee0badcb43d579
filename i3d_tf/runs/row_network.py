"""The network of one stream as a maker of feature rows: of one video, or of several together."""

from collections.abc import Iterator
from contextlib import closing
from itertools import chain

import keras
import numpy as np
import tensorflow as tf

from i3d_tf.runs.feature_rows import LAST, batched, means_of, windows_of
from i3d_tf.runs.overlap import working_ahead
from i3d_tf.runs.streaming import Streamer, head_pool, step_logits
from i3d_tf.runs.video_streams import VideoStreams
from i3d_tf.specs.inception_v1 import HEAD, HEAD_POOL
from i3d_tf.video.media import VideoError
from i3d_tf.video.transform import preprocess_input


class RowNetwork:
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

    def rows(self, shown: VideoStreams) -> Iterator[np.ndarray]:
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
        with working_ahead(batched(windows, self._batch_size), 1) as batches:
            for batch in batches:
                yield from self._rows(batch)

    def rows_of_several(self, videos) -> list:
        """The rows of some videos, whose windows share batches.

        Args:
            videos: List of VideoStreams.

        Returns:
            List of rows of each, or the VideoError that says why it cannot be read.
        """
        found, errors = [[] for _ in videos], {}
        windows = self._numbered_windows(videos, errors)
        with working_ahead(batched(windows, self._batch_size), 1) as batches:
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
