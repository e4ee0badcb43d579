"""I3D over clips of any length in bounded memory: chunk by chunk, with the outputs of the whole.

The network is cut behind its max-pools, and each part goes along the clip in chunks of its own: an
output of a part is not computed again for the halo of the next part. A chunk is read with a halo of
steps before and after it, as far as its part of the network sees, and the outputs of the halo are
dropped. With SAME padding and strides, the positions of a convolution's windows depend on the
length of its input; so every chunk with its halo starts at a multiple of the part's stride, and its
length leaves the same remainder as the whole clip's. Then each window of each layer sees the same
steps as in the whole, and the same zeros at the borders.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from i3d_tf.layers.head import Logits
from i3d_tf.specs.geometry import Span, output_length, receptive_fields
from i3d_tf.specs.inception_v1 import ENDPOINTS, HEAD, I3D, MIN_FRAMES, MaxPool, Row
from i3d_tf.specs.streams import CHANNELS
from i3d_tf.specs.validation import check_choice, check_integer
from i3d_tf.system.prefetch import prefetch
from i3d_tf.video.transforms_tf import preprocess_input

CHUNK_STEPS = 32  # by default; with the halos, 1.3 times the multiply-adds of the clip at once
STREAMED_ENDPOINTS = ENDPOINTS[:-1]  # all but the head
LAST_ENDPOINT = STREAMED_ENDPOINTS[-1]  # the head's input


class Chunk(NamedTuple):
    """A stretch of the input of a part of the network, and the outputs that it is read for.

    Attributes:
        start: First step of the input: of the first part, a frame.
        end: One after the last.
        output_start: First time step of the output that is kept, counted in the whole clip.
        output_end: One after the last.
    """

    start: int
    end: int
    output_start: int
    output_end: int


def plan_chunks(num_steps: int, span: Span, chunk_steps: int) -> list[Chunk]:
    """Divides a clip into chunks whose outputs follow each other.

    Args:
        num_steps: Steps of the input: frames, or outputs of the part before.
        span: Receptive field of an output step, see `i3d_tf.specs.geometry.receptive_fields`.
        chunk_steps: Steps of a chunk without its halo; rounded up to whole steps of the output.

    Raises:
        ValueError: A number is not positive.
    """
    check_integer("num_steps", num_steps, 1)
    check_integer("chunk_steps", chunk_steps, 1)
    field, jump = span.field[0], span.jump[0]
    # Half of the field, and one step: SAME padding may stand one more step on one of both sides.
    halo = (output_length(field // 2, jump) + 1) * jump
    steps, steps_per_chunk = output_length(num_steps, jump), output_length(chunk_steps, jump)
    chunks = []
    for output_start in range(0, steps, steps_per_chunk):
        output_end = min(output_start + steps_per_chunk, steps)
        start = max(0, output_start * jump - halo)
        end = output_end * jump + halo + num_steps % jump
        chunks.append(Chunk(start, min(end, num_steps), output_start, output_end))
    return chunks


class Streamer:
    """An endpoint of a network, for clips of any length.

    Args:
        model: I3D, of any width, folded or not; its time axis is not fixed.
        endpoint: Name of one of its endpoints.
        pooled: Whether the mean over all positions of a time step is taken, as the head does.

    Raises:
        ValueError: The model has another form, or has no such endpoint.
    """

    def __init__(self, model: keras.Model, endpoint: str = LAST_ENDPOINT, pooled: bool = True):
        check_choice("endpoint", endpoint, STREAMED_ENDPOINTS)
        if len(model.input_shape) != 5 or model.input_shape[1] is not None:
            raise ValueError(
                "`model` must take clips of any length, (N, None, H, W, C); its input shape is "
                f"{model.input_shape}."
            )
        if missing := set(STREAMED_ENDPOINTS) - {layer.name for layer in model.layers}:
            raise ValueError(
                f"`model` must be I3D; {model.name!r} has no endpoint {min(missing)!r}."
            )
        parts = split_after_max_pools(I3D[: STREAMED_ENDPOINTS.index(endpoint) + 1])
        self._parts: list[_Part] = []
        tensor = model.input
        for rows in parts:
            output = model.get_layer(rows[-1].name).output
            forward = _step_function(
                keras.Model(tensor, output), rows is parts[0], pooled and rows is parts[-1]
            )
            self._parts.append(_Part(forward, receptive_fields(rows)[rows[-1].name]))
            tensor = output

    def run(
        self, frames: Iterable[np.ndarray], num_frames: int, chunk_steps: int = CHUNK_STEPS
    ) -> Generator[np.ndarray, None, None]:
        """Computes the endpoint's time steps.

        Args:
            frames: One array a frame, as the network's stream has them: uint8 (H, W, 3), or flow in
                pixels per frame, float (H, W, 2). They are read ahead, in a thread.
            num_frames: Number of frames.
            chunk_steps: Steps of a chunk of each part's input, without its halo.

        Yields:
            float32 (steps, ...), some steps at a time.

        Raises:
            ValueError: There are fewer than `num_frames` frames, or than the network needs.
        """
        if num_frames < MIN_FRAMES:
            raise ValueError(f"`frames` must be at least {MIN_FRAMES}; there are {num_frames}.")
        first, *later = self._parts
        chunks = plan_chunks(num_frames, first.span, chunk_steps)
        with prefetch(_inputs(iter(frames), chunks, np.stack), 1) as inputs:
            outputs = _outputs(first, chunks, inputs)
            num_steps, jump = num_frames, first.span.jump[0]
            for part in later:
                num_steps, jump = output_length(num_steps, jump), part.span.jump[0]
                chunks = plan_chunks(num_steps, part.span, chunk_steps)
                steps = (step for output in outputs for step in output)
                outputs = _outputs(part, chunks, _inputs(steps, chunks, tf.stack))
            for output in outputs:
                yield tf.cast(output, tf.float32).numpy()


class _Part(NamedTuple):
    """A part of the network, between two max-pools.

    Attributes:
        forward: Function of its input to its output, (T, ...) to (T', ...).
        span: Receptive field of an output step.
    """

    forward: Callable
    span: Span


def split_after_max_pools(rows: Sequence[Row]) -> list[tuple[Row, ...]]:
    """Cuts the rows of a network behind each max-pool."""
    ends = [n for n, row in enumerate(rows, 1) if isinstance(row, MaxPool) or n == len(rows)]
    return [tuple(rows[a:b]) for a, b in zip([0, *ends], ends, strict=False)]


def _step_function(network, is_first, pooled):
    """Returns a part of the network as a function of steps, (T, ...) to (T', ...)."""
    _, *shape = network.input_shape
    dtype, stream = network.input.dtype, None
    if is_first:
        stream = "flow" if shape[-1] == CHANNELS["flow"] else "rgb"
        dtype = tf.float32 if stream == "flow" else tf.uint8

    def forward(steps):
        if is_first:
            steps = preprocess_input(steps, stream)
        outputs = network(steps[tf.newaxis], training=False)[0]
        return tf.reduce_mean(tf.cast(outputs, tf.float32), (1, 2)) if pooled else outputs

    spec = tf.TensorSpec(shape, dtype)
    function = tf.function(forward, input_signature=[spec], autograph=False)
    concrete = function.get_concrete_function()
    return lambda steps: concrete(tf.cast(steps, dtype))


def _inputs(steps, chunks, stack):
    """Yields the input of each chunk, (T, ...)."""
    kept, start = [], 0
    for chunk in chunks:
        kept = kept[chunk.start - start :]
        start = chunk.start
        kept += islice(steps, chunk.end - start - len(kept))
        if len(kept) < chunk.end - start:
            raise ValueError(
                f"the video has {start + len(kept)} frames; {chunks[-1].end} were counted before."
            )
        yield stack(kept)


def _outputs(part, chunks, inputs):
    """Yields the outputs of a part that are kept of each chunk."""
    for chunk, steps in zip(chunks, inputs, strict=True):
        start = chunk.start // part.span.jump[0]
        yield part.forward(steps)[chunk.output_start - start : chunk.output_end - start]


def head_pool(chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Computes the means of each two neighboring steps, which the head pools over time.

    Args:
        chunks: float32 (steps, C) each: outputs of a `Streamer` for the last endpoint.

    Yields:
        float32 (steps, C), some steps at a time; one step less in all than `chunks` have.
    """
    latest = None
    for chunk in chunks:
        steps = chunk if latest is None else np.concatenate([latest, chunk])
        latest = steps[-1:]
        if len(steps) > 1:
            yield (steps[:-1] + steps[1:]) / 2


def step_logits(model: keras.Model, chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Computes the head's logits at every step; their mean is the logits of the clip.

    Args:
        model: The network, with its head.
        chunks: See `head_pool`.

    Yields:
        float32 (steps, classes), some steps at a time; one step less in all than `chunks` have.

    Raises:
        ValueError: The network has another head.
    """
    head = model.get_layer(HEAD)
    if not isinstance(head, Logits):
        raise ValueError(f"`model` must have the head of I3D; {HEAD!r} is {type(head).__name__}.")
    kernel, bias = (np.asarray(v, np.float32) for v in head.conv.conv_3d.weights)
    for pooled in head_pool(chunks):
        yield pooled @ kernel.reshape(kernel.shape[-2:]) + bias
