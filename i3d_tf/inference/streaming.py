"""I3D over clips of any length in bounded memory: chunk by chunk, with the outputs of the whole.

The network is cut in front of every layer that sees neighboring time steps: a convolution, a pool
or an Inception block. Each part keeps the last steps of its input, the halo, as many as its one
kernel reaches: one before a kernel of three. As soon as new steps are there it computes what they
complete, hands it on, and drops the outputs at the edges of the chunk, for which neighbors are
missing. A part computes one or two steps of a chunk of 32 twice, however deep the network is.

With SAME padding and strides, the positions of a convolution's windows depend on the length of its
input; so every chunk with its halo starts at a multiple of the part's stride, and its length leaves
the same remainder as the whole clip's. Then each window of each layer sees the same steps as in the
whole, and the same zeros at the borders.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import islice, pairwise
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from i3d_tf.layers.head import Logits
from i3d_tf.layers.padded_conv import same_padding
from i3d_tf.specs.geometry import Span, output_length, receptive_fields
from i3d_tf.specs.inception_v1 import ENDPOINTS, HEAD, I3D, MIN_FRAMES, Row
from i3d_tf.specs.streams import CHANNELS
from i3d_tf.specs.validation import check_choice, check_integer
from i3d_tf.system.prefetch import prefetch
from i3d_tf.video.transforms_tf import preprocess_input

CHUNK_STEPS = 32  # by default: more need more memory, fewer make the halo a larger share
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


def next_chunk(num_steps: int, span: Span, output_start: int, available: int) -> Chunk:
    """Returns the chunk that computes as many outputs as the steps so far allow.

    Args:
        num_steps: Steps of the whole clip at the input of a part: frames, or outputs of the part
            before.
        span: Receptive field of an output step, of a part with one layer that sees neighbors.
        output_start: First output that is not computed yet.
        available: Steps of the input so far.
    """
    field, jump = span.field[0], span.jump[0]
    before, _ = same_padding(num_steps, field, jump)
    start = max(0, output_start * jump - before) // jump * jump
    if available == num_steps:
        return Chunk(start, num_steps, output_start, output_length(num_steps, jump))
    end = available - (available - start - num_steps) % jump
    output_end = (end + before - field) // jump + 1  # whose window ends within the chunk
    return Chunk(start, end, output_start, max(output_start, output_end))


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
        parts = split_before_time(I3D[: STREAMED_ENDPOINTS.index(endpoint) + 1])
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
            chunk_steps: Time steps after the first layer that are computed at a time; deeper layers
                wait for about as many steps of their own.

        Yields:
            float32 (steps, ...), some steps at a time.

        Raises:
            ValueError: There are fewer than `num_frames` frames, or than the network needs.
        """
        if num_frames < MIN_FRAMES:
            raise ValueError(f"`frames` must be at least {MIN_FRAMES}; there are {num_frames}.")
        check_integer("chunk_steps", chunk_steps, 1)
        chunk_frames = chunk_steps * self._parts[0].span.jump[0]
        with prefetch(_stack_frames(iter(frames), num_frames, chunk_frames), 1) as steps:
            outputs, num_steps = map(tf.convert_to_tensor, steps), num_frames
            for part in self._parts:
                outputs = _outputs(part, outputs, num_steps, chunk_steps)
                num_steps = output_length(num_steps, part.span.jump[0])
            for output in outputs:
                yield tf.cast(output, tf.float32).numpy()


class _Part(NamedTuple):
    """A part of the network, with one layer that sees neighboring time steps.

    Attributes:
        forward: Function of its input to its output, (T, ...) to (T', ...).
        span: Receptive field of an output step.
    """

    forward: Callable
    span: Span


def split_before_time(rows: Sequence[Row]) -> list[tuple[Row, ...]]:
    """Cuts the rows of a network in front of each that does not treat every time step by itself."""
    spans = [receptive_fields([row])[row.name] for row in rows]
    starts = [n for n, span in enumerate(spans) if (span.field[0], span.jump[0]) != (1, 1)]
    bounds = [0, *(n for n in starts if n), len(rows)]
    return [tuple(rows[a:b]) for a, b in pairwise(bounds)]


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


def _stack_frames(frames, num_frames, length):
    """Yields the frames in stacks of some length, (T, ...)."""
    for start in range(0, num_frames, length):
        stack = list(islice(frames, min(length, num_frames - start)))
        if len(stack) < min(length, num_frames - start):
            raise ValueError(
                f"the video has {start + len(stack)} frames; {num_frames} were counted before."
            )
        yield np.stack(stack)


def _outputs(part, inputs, num_steps, chunk_steps):
    """Yields the outputs of a part, some steps at a time.

    No variable holds a chunk while the parts that follow compute: memory counts.

    Args:
        part: The part.
        inputs: Its input, tensors of some steps, (T, ...) each.
        num_steps: Steps of all of them.
        chunk_steps: Steps to wait for, or somewhat fewer, so that the kernels compute many at once.
    """
    jump = part.span.jump[0]
    kept, start = [], 0  # `kept` starts at this step
    computed = available = output_start = 0
    for steps in inputs:
        kept.append(steps)
        available += len(steps)
        del steps
        # Parts give fewer steps of the first chunk than of the others: they lack the halo after it.
        if available < num_steps and 4 * (available - computed) < 3 * chunk_steps:
            continue
        chunk = next_chunk(num_steps, part.span, output_start, available)
        if chunk.output_end == output_start:
            continue
        computed, output_start = available, chunk.output_end
        outputs = [tf.concat(kept, 0)]
        halo_start = next_chunk(num_steps, part.span, output_start, available).start
        halo = tf.range(min(halo_start, available), available)
        kept = [tf.gather(outputs[0], halo - start)]  # a copy: a slice would keep the whole chunk
        outputs.append(part.forward(outputs.pop()[chunk.start - start : chunk.end - start]))
        start = halo_start
        first = chunk.start // jump
        yield outputs.pop()[chunk.output_start - first : chunk.output_end - first]


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
