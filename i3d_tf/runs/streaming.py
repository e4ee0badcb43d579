"""I3D over clips of any length in bounded memory: chunk by chunk, with the answers of the whole.

A chunk is fed with a halo of frames before and after it, as far as the network sees, and what the
halo gives is dropped. With SAME padding and strides, where the windows of a convolution lie depends
on the length of its input; so every chunk with its halo begins at a multiple of all strides
together, and its length leaves the same remainder as the whole clip's. Then each window of each
layer sees the frames that it sees in the whole, and the zeros of the borders stand where they do.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from i3d_tf.layers.head import Logits
from i3d_tf.runs.overlap import working_ahead
from i3d_tf.specs.geometry import Span, receptive_fields
from i3d_tf.specs.inception_v1 import HEAD, I3D, MIN_FRAMES
from i3d_tf.specs.streams import FLOW_BOUND

CHUNK_FRAMES = 96  # by default; with the halo of the last endpoint, 2.5 times as many are computed
LAST = I3D[-1].name  # the endpoint that the head stands on


class Chunk(NamedTuple):
    """A part of a clip.

    Attributes:
        begin: First frame that is fed.
        end: One after the last.
        first: First time step of the endpoint that is kept, counted in the whole clip.
        last: One after the last.
    """

    begin: int
    end: int
    first: int
    last: int


def plan_chunks(num_frames: int, span: Span, chunk_frames: int = CHUNK_FRAMES) -> list[Chunk]:
    """Divides a clip.

    Args:
        num_frames: Of the clip.
        span: What the endpoint sees, see `i3d_tf.specs.geometry.receptive_fields`.
        chunk_frames: Frames of a chunk without its halo; it is rounded up to whole time steps.

    Returns:
        Chunks whose time steps follow each other.

    Raises:
        ValueError: A number is not positive.
    """
    if num_frames < 1 or chunk_frames < 1:
        raise ValueError(
            "`num_frames` and `chunk_frames` must be at least 1; received "
            f"{num_frames} and {chunk_frames}."
        )
    field, jump = span.field[0], span.jump[0]
    # Half of the field, and one step: SAME padding may stand one more frame on one of both sides.
    halo = _up(field // 2, jump) + jump
    steps, in_chunk = -(-num_frames // jump), -(-chunk_frames // jump)
    chunks = []
    for first in range(0, steps, in_chunk):
        last = min(first + in_chunk, steps)
        begin = max(0, first * jump - halo)
        end = last * jump + halo + num_frames % jump
        chunks.append(Chunk(begin, min(end, num_frames), first, last))
    return chunks


def _up(number, multiple):
    return -(-number // multiple) * multiple


class Streamer:
    """An endpoint of a network, ready for clips of any length.

    Args:
        model: I3D, of any width, fused or not; its time axis is not fixed.
        endpoint: Name of one of its endpoints.
        pooled: Whether the mean over all positions of a time step is taken, as the head does.
    """

    def __init__(self, model, endpoint=LAST, pooled=True):
        names = [row.name for row in I3D]
        if endpoint not in names:
            raise ValueError(f"`endpoint` must be one of {tuple(names)}; received {endpoint!r}.")
        if len(model.input_shape) != 5 or model.input_shape[1] is not None:
            raise ValueError(
                "`model` must take clips of any length, (N, None, H, W, C); its input shape is "
                f"{model.input_shape}."
            )
        self.span = receptive_fields(I3D)[endpoint]
        output = model.get_layer(endpoint).output
        network = keras.Model(model.input, output)
        is_flow = model.input_shape[-1] == 2

        @tf.function(reduce_retracing=True, autograph=False)
        def answer(frames):
            clip = tf.cast(frames, tf.float32)
            if is_flow:
                clip = tf.clip_by_value(clip, -FLOW_BOUND, FLOW_BOUND) / FLOW_BOUND
            else:
                clip = clip / 127.5 - 1.0
            steps = network(clip[tf.newaxis], training=False)[0]
            steps = tf.cast(steps, tf.float32)
            return tf.reduce_mean(steps, (1, 2)) if pooled else steps

        self._answer = answer

    def run(
        self, frames: Iterable, num_frames: int, chunk_frames: int = CHUNK_FRAMES
    ) -> Iterator[np.ndarray]:
        """Yields the endpoint's time steps, some at a time, as float32 (steps, ...).

        Args:
            frames: One array a frame, as the network's stream has them: uint8 (H, W, 3), or flow in
                pixels per frame, float (H, W, 2). They are taken ahead, in a thread.
            num_frames: How many they are.
            chunk_frames: Frames of a chunk without its halo.

        Raises:
            ValueError: There are fewer frames than were promised, or than the network needs.
        """
        if num_frames < MIN_FRAMES:
            raise ValueError(f"`frames` must be at least {MIN_FRAMES}; there are {num_frames}.")
        chunks = plan_chunks(num_frames, self.span, chunk_frames)
        with working_ahead(_windows(iter(frames), chunks), 1) as windows:
            for chunk, window in zip(chunks, windows, strict=True):
                steps = self._answer(window).numpy()
                begin = chunk.begin // self.span.jump[0]
                yield steps[chunk.first - begin : chunk.last - begin]


def _windows(frames, chunks):
    """The frames that each chunk is fed with, uint8 or float32 (T, H, W, C)."""
    kept, start = [], 0
    for chunk in chunks:
        kept = kept[chunk.begin - start :]
        start = chunk.begin
        kept += islice(frames, chunk.end - start - len(kept))
        if len(kept) < chunk.end - start:
            raise ValueError(
                f"the video has {start + len(kept)} frames; {chunks[-1].end} were counted before."
            )
        yield np.stack(kept)


def step_logits(model, pooled) -> np.ndarray:
    """The head's answer at every step: float32 (T' - 1, classes), whose mean are the logits.

    Args:
        model: The network, with its head.
        pooled: float32 (T', C), what a `Streamer` gives for the last endpoint.
    """
    head = model.get_layer(HEAD)
    if not isinstance(head, Logits):
        raise ValueError(f"`model` must have the head of I3D; {HEAD!r} is {type(head).__name__}.")
    kernel, bias = (np.asarray(v, np.float32) for v in head.conv.conv_3d.weights)
    pairs = (pooled[:-1] + pooled[1:]) / 2
    return pairs @ kernel.reshape(kernel.shape[-2:]) + bias
