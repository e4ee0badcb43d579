"""I3D over clips of any length in bounded memory: chunk by chunk, with the answers of the whole.

The network is cut behind its max-pools, and each part goes along the clip in chunks of its own:
what a part answered is not computed again for the halo of the next. A chunk is fed with a halo of
steps before and after it, as far as its part of the network sees, and what the halo gives is
dropped. With SAME padding and strides, where the windows of a convolution lie depends on the length
of its input; so every chunk with its halo begins at a multiple of the part's stride, and its length
leaves the same remainder as the whole clip's. Then each window of each layer sees the steps that it
sees in the whole, and the zeros of the borders stand where they do.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from math import prod
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from i3d_tf.layers.head import Logits
from i3d_tf.specs.geometry import Span, output_length, receptive_fields
from i3d_tf.specs.inception_v1 import HEAD, I3D, MIN_FRAMES, MaxPool
from i3d_tf.specs.streams import CHANNELS
from i3d_tf.system.prefetch import prefetch
from i3d_tf.video.transforms_tf import preprocess_input

CHUNK_STEPS = 32  # by default; with the halos, 1.3 times the multiply-adds of the clip at once
LAST = I3D[-1].name  # the endpoint that the head stands on


class Chunk(NamedTuple):
    """A stretch of the input of a part of the network.

    Attributes:
        begin: First step that is fed: of the first part, a frame.
        end: One after the last.
        first: First time step of the answer that is kept, counted in the whole clip.
        last: One after the last.
    """

    begin: int
    end: int
    first: int
    last: int


def plan_chunks(num_steps: int, span: Span, chunk_steps: int) -> list[Chunk]:
    """Divides a clip.

    Args:
        num_steps: Of the input: frames, or what the part before answered.
        span: What a step of the answer sees, see `i3d_tf.specs.geometry.receptive_fields`.
        chunk_steps: Of a chunk without its halo; they are rounded up to whole steps of the answer.

    Returns:
        Chunks whose answers follow each other.

    Raises:
        ValueError: A number is not positive.
    """
    if num_steps < 1 or chunk_steps < 1:
        raise ValueError(
            "`num_steps` and `chunk_steps` must be at least 1; received "
            f"{num_steps} and {chunk_steps}."
        )
    field, jump = span.field[0], span.jump[0]
    # Half of the field, and one step: SAME padding may stand one more step on one of both sides.
    halo = _up(field // 2, jump) + jump
    steps, in_chunk = output_length(num_steps, jump), output_length(chunk_steps, jump)
    chunks = []
    for first in range(0, steps, in_chunk):
        last = min(first + in_chunk, steps)
        begin = max(0, first * jump - halo)
        end = last * jump + halo + num_steps % jump
        chunks.append(Chunk(begin, min(end, num_steps), first, last))
    return chunks


def _up(number, multiple):
    return -(-number // multiple) * multiple


class Streamer:
    """An endpoint of a network, ready for clips of any length.

    Args:
        model: I3D, of any width, fused or not; its time axis is not fixed.
        endpoint: Name of one of its endpoints.
        pooled: Whether the mean over all positions of a time step is taken, as the head does.

    Attributes:
        jump: Frames from one time step to the next.
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
        if missing := set(names) - {layer.name for layer in model.layers}:
            raise ValueError(
                f"`model` must be I3D; {model.name!r} has no endpoint {min(missing)!r}."
            )
        parts = parts_of(I3D[: names.index(endpoint) + 1])
        self._parts, shown = [], model.input
        for rows in parts:
            answer = model.get_layer(rows[-1].name).output
            function = _as_function(
                keras.Model(shown, answer), rows is parts[0], pooled and rows is parts[-1]
            )
            self._parts.append((function, receptive_fields(rows)[rows[-1].name]))
            shown = answer
        self.jump = prod(span.jump[0] for _, span in self._parts)

    def run(
        self, frames: Iterable, num_frames: int, chunk_steps: int = CHUNK_STEPS
    ) -> Iterator[np.ndarray]:
        """Yields the endpoint's time steps, some at a time, as float32 (steps, ...).

        Args:
            frames: One array a frame, as the network's stream has them: uint8 (H, W, 3), or flow in
                pixels per frame, float (H, W, 2). They are taken ahead, in a thread.
            num_frames: How many they are.
            chunk_steps: Of a chunk of each part's input, without its halo.

        Raises:
            ValueError: There are fewer frames than were promised, or than the network needs.
        """
        if num_frames < MIN_FRAMES:
            raise ValueError(f"`frames` must be at least {MIN_FRAMES}; there are {num_frames}.")
        (function, span), *later = self._parts
        chunks = plan_chunks(num_frames, span, chunk_steps)
        with prefetch(_windows(iter(frames), chunks, np.stack), 1) as windows:
            answers = _answers(function, span, chunks, windows)
            length = num_frames
            for function, following in later:
                length = output_length(length, span.jump[0])
                span, chunks = following, plan_chunks(length, following, chunk_steps)
                steps = (step for answer in answers for step in answer)
                answers = _answers(function, span, chunks, _windows(steps, chunks, tf.stack))
            for answer in answers:
                yield tf.cast(answer, tf.float32).numpy()


def parts_of(rows) -> list[tuple]:
    """Cuts the rows of a network behind each max-pool."""
    ends = [n for n, row in enumerate(rows, 1) if isinstance(row, MaxPool) or n == len(rows)]
    return [tuple(rows[a:b]) for a, b in zip([0, *ends], ends, strict=False)]


def _as_function(network, of_frames, pooled):
    """A part of the network: steps (T, ...) to steps."""
    _, *shape = network.input_shape
    dtype = network.input.dtype
    if of_frames:
        dtype = tf.float32 if shape[-1] == CHANNELS["flow"] else tf.uint8

    def answer(steps):
        if of_frames:
            steps = preprocess_input(steps, "rgb" if dtype == tf.uint8 else "flow")
        steps = network(steps[tf.newaxis], training=False)[0]
        return tf.reduce_mean(tf.cast(steps, tf.float32), (1, 2)) if pooled else steps

    spec = tf.TensorSpec(shape, dtype)
    function = tf.function(answer, input_signature=[spec], autograph=False).get_concrete_function()
    return lambda steps: function(tf.cast(steps, dtype))


def _windows(steps, chunks, stack):
    """What each chunk is fed with: (T, ...)."""
    kept, start = [], 0
    for chunk in chunks:
        kept = kept[chunk.begin - start :]
        start = chunk.begin
        kept += islice(steps, chunk.end - start - len(kept))
        if len(kept) < chunk.end - start:
            raise ValueError(
                f"the video has {start + len(kept)} frames; {chunks[-1].end} were counted before."
            )
        yield stack(kept)


def _answers(function, span, chunks, windows):
    """What is kept of a part's answer to each chunk."""
    for chunk, window in zip(chunks, windows, strict=True):
        begin = chunk.begin // span.jump[0]
        yield function(window)[chunk.first - begin : chunk.last - begin]


def head_pool(chunks: Iterable) -> Iterator[np.ndarray]:
    """What the head pools over time: the mean of each two neighbouring steps, some at a time.

    Args:
        chunks: float32 (steps, C) each: what a `Streamer` yields for the last endpoint.
    """
    latest = None
    for chunk in chunks:
        steps = chunk if latest is None else np.concatenate([latest, chunk])
        latest = steps[-1:]
        if len(steps) > 1:
            yield (steps[:-1] + steps[1:]) / 2


def step_logits(model, chunks: Iterable) -> Iterator[np.ndarray]:
    """The head's answers at every step, some at a time; the mean of all of them are the logits.

    Args:
        model: The network, with its head.
        chunks: As for `head_pool`.

    Yields:
        float32 (steps, classes), one step less in all than `chunks` have.
    """
    head = model.get_layer(HEAD)
    if not isinstance(head, Logits):
        raise ValueError(f"`model` must have the head of I3D; {HEAD!r} is {type(head).__name__}.")
    kernel, bias = (np.asarray(v, np.float32) for v in head.conv.conv_3d.weights)
    for pooled in head_pool(chunks):
        yield pooled @ kernel.reshape(kernel.shape[-2:]) + bias
