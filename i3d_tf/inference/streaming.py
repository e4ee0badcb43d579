"""I3D over clips of any length in bounded memory: chunk by chunk, with the outputs of the whole.

The network is cut in front of every layer that sees neighboring time steps: a convolution, a pool
or an Inception block. Each part keeps the last steps of its input, the halo, as many as its one
kernel reaches: one before a kernel of three. As soon as new steps are there it computes what they
complete, and hands it on.

A convolution takes the halo for the zeros that it would pad time with (`i3d_tf.layers.halo`), and
computes nothing twice. Pools and Inception blocks pad by themselves, a block behind its first
convolutions, and their outputs at the edges of a chunk are dropped: those of one step on each side
of about 32. With SAME padding and strides, the positions of a layer's windows depend on the length
of its input; so every chunk with its halo starts at a multiple of the part's stride, and its length
leaves the same remainder as the whole clip's. Then each window of each layer sees the same steps as
in the whole, and the same zeros at the borders.

On a CPU, kernels of three steps compute two outputs at a time, with two thirds of the multiply-adds
(`i3d_tf.layers.convolution.convolve_pairs`).
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import nullcontext
from itertools import islice, pairwise
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from i3d_tf.layers.convolution import in_pairs
from i3d_tf.layers.halo import halo_given
from i3d_tf.layers.head import HeadPool, HeadWindow, Logits
from i3d_tf.layers.inception import FusedInceptionBlock, InceptionBlock
from i3d_tf.layers.padded_conv import same_padding
from i3d_tf.specs.geometry import Shape, Span, output_length, receptive_fields
from i3d_tf.specs.inception_v1 import ENDPOINTS, HEAD, HEAD_POOL_KERNEL, I3D, MIN_FRAMES, Conv, Row
from i3d_tf.specs.streams import CHANNELS
from i3d_tf.specs.validation import check_choice, check_integer
from i3d_tf.system.prefetch import prefetch
from i3d_tf.video.transforms_tf import preprocess_input

CHUNK_STEPS = 32  # by default; the kernels are slower with fewer, and more need more memory
STREAMED_ENDPOINTS = ENDPOINTS[:-1]  # all but the head
FIRST_KERNEL = (7, 7, 7)  # of I3D; its variants have others
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
        if not is_i3d(model):
            raise ValueError(
                f"`model` must be I3D; {model.name!r} has other layers, and takes whole clips."
            )
        stream = "flow" if model.input_shape[-1] == CHANNELS["flow"] else "rgb"
        self._preprocess = _steps_function(
            lambda frames: preprocess_input(frames, stream),
            model.input_shape[2:],
            tf.float32 if stream == "flow" else tf.uint8,
        )
        parts = split_before_time(I3D[: STREAMED_ENDPOINTS.index(endpoint) + 1])
        self._parts: list[_Part] = []
        tensor = model.input
        for rows in parts:
            output = model.get_layer(rows[-1].name).output
            network = keras.Model(tensor, output)
            self._parts.append(_Part(network, rows, pooled and rows is parts[-1]))
            tensor = output

    def run(
        self, frames: Iterable[np.ndarray], num_frames: int, chunk_steps: int = CHUNK_STEPS
    ) -> Generator[np.ndarray, None, None]:
        """Computes the endpoint's time steps.

        Args:
            frames: One array a frame, as the network's stream has them: uint8 (H, W, 3), or flow in
                pixels per frame, float (H, W, 2). They are read ahead, in a thread.
            num_frames: Number of frames.
            chunk_steps: Time steps that an Inception block computes at a time, or somewhat fewer;
                the layers before, with more positions in a step, compute half as many.

        Yields:
            float32 (steps, ...), some steps at a time.

        Raises:
            ValueError: There are fewer than `num_frames` frames, or than the network needs.
        """
        check_integer("chunk_steps", chunk_steps, 1)
        _check_length(num_frames)
        length = self._parts[0].input_steps(num_frames, chunk_steps)
        stacks = _stack_frames(iter(frames), num_frames, length)
        with prefetch(stacks, 1) as stacks:
            yield from self._run(map(self._preprocess, stacks), num_frames, chunk_steps)

    def run_clip(
        self, clip: np.ndarray, chunk_steps: int = CHUNK_STEPS
    ) -> Generator[np.ndarray, None, None]:
        """Computes the endpoint's time steps of a clip in memory, see `run`.

        Args:
            clip: (T, H, W, C), in [-1, 1].
            chunk_steps: See `run`.
        """
        check_integer("chunk_steps", chunk_steps, 1)
        _check_length(len(clip))
        length = self._parts[0].input_steps(len(clip), chunk_steps)
        stacks = (clip[start : start + length] for start in range(0, len(clip), length))
        yield from self._run(map(tf.convert_to_tensor, stacks), len(clip), chunk_steps)

    def _run(self, outputs, num_steps, chunk_steps):
        for part in self._parts:
            outputs = part.run(outputs, num_steps, chunk_steps)
            num_steps = output_length(num_steps, part.span.jump[0])
        for output in outputs:
            yield tf.cast(output, tf.float32).numpy()


def is_i3d(model: keras.Model) -> bool:
    """Returns whether a network has I3D's endpoints and computes them as I3D, unlike S3D-G."""
    layers = {layer.name: layer for layer in model.layers}
    if not layers.keys() >= set(STREAMED_ENDPOINTS):
        return False
    first, last = layers[I3D[0].name], layers[LAST_ENDPOINT]
    has_blocks = isinstance(last, InceptionBlock | FusedInceptionBlock)
    return has_blocks and tuple(first.kernel_size) == FIRST_KERNEL


class _Part:
    """A part of the network, in which only the first layer sees neighboring time steps.

    Args:
        network: The part, from its input to its output.
        rows: Its layers.
        pooled: Whether its output is averaged over all positions.

    Attributes:
        span: Receptive field of an output step.
    """

    def __init__(self, network: keras.Model, rows: Sequence[Row], pooled: bool):
        self.span = receptive_fields(rows)[rows[-1].name]
        self._is_convolution = isinstance(rows[0], Conv)

        def forward(steps):
            with in_pairs(), halo_given() if self._is_convolution else nullcontext():
                outputs = network(steps[tf.newaxis], training=False)[0]
            return tf.reduce_mean(tf.cast(outputs, tf.float32), (1, 2)) if pooled else outputs

        self._forward = _steps_function(forward, network.input_shape[2:], network.input.dtype)

    def input_steps(self, num_steps: int, chunk_steps: int) -> int:
        """Returns how many steps of its input the part waits for.

        Args:
            num_steps: See `run`.
            chunk_steps: See `Streamer.run`.
        """
        if not self._is_convolution:
            return chunk_steps
        jump = self.span.jump[0]
        return max(1, min(chunk_steps, output_length(num_steps, jump)) // 2) * jump

    def run(
        self, inputs: Iterable[tf.Tensor], num_steps: int, chunk_steps: int
    ) -> Iterator[tf.Tensor]:
        """Yields the part's outputs for a whole clip, some steps at a time.

        No variable holds a chunk while the parts that follow compute: memory counts.

        Args:
            inputs: The part's input, some steps at a time, (T, ...) each.
            num_steps: Steps of all of them.
            chunk_steps: See `Streamer.run`.
        """
        wanted = self.input_steps(num_steps, chunk_steps)
        kept: list[tf.Tensor] = []
        start = computed = available = output_start = 0  # `kept` starts at step `start`
        for steps in inputs:
            kept.append(steps)
            available += len(steps)
            del steps
            # Of the first chunk the part before gives fewer steps: the last ones lack a halo.
            if available < num_steps and 4 * (available - computed) < 3 * wanted:
                continue
            chunk = next_chunk(num_steps, self.span, output_start, available)
            if chunk.output_end == output_start:
                continue
            computed, output_start = available, chunk.output_end
            kept = [tf.concat(kept, 0)]
            halo_start = next_chunk(num_steps, self.span, output_start, available).start
            halo_start = min(halo_start, available)
            halo = tf.range(halo_start, available)
            # A copy of the halo: a slice would keep the memory of the whole chunk.
            kept.append(tf.gather(kept[0], halo - start))
            steps_of_chunk = slice(chunk.start - start, chunk.end - start)
            start = halo_start
            yield self._outputs(kept.pop(0)[steps_of_chunk], chunk, num_steps)

    def _outputs(self, steps, chunk, num_steps):
        """Returns the outputs of a chunk, without those at its edges."""
        field, jump = self.span.field[0], self.span.jump[0]
        if not self._is_convolution:
            first = chunk.start // jump
            return self._forward(steps)[chunk.output_start - first : chunk.output_end - first]
        before, _ = same_padding(num_steps, field, jump)
        start = chunk.output_start * jump - before  # the outputs depend on the steps from here
        end = (chunk.output_end - 1) * jump - before + field
        steps = steps[max(start, 0) - chunk.start : min(end, num_steps) - chunk.start]
        zeros = max(-start, 0), max(end - num_steps, 0)
        if any(zeros):
            steps = tf.pad(steps, [zeros, *[(0, 0)] * (len(steps.shape) - 1)])
        return self._forward(steps)


def split_before_time(rows: Sequence[Row]) -> list[tuple[Row, ...]]:
    """Cuts the rows of a network in front of each that does not treat every time step by itself."""
    spans = [receptive_fields([row])[row.name] for row in rows]
    starts = [n for n, span in enumerate(spans) if (span.field[0], span.jump[0]) != (1, 1)]
    bounds = [0, *(n for n in starts if n), len(rows)]
    return [tuple(rows[a:b]) for a, b in pairwise(bounds)]


def _steps_function(function, shape, dtype):
    """Returns a function of steps, (T, ...) of a shape and dtype, traced once for all T."""
    spec = tf.TensorSpec((None, *shape), dtype)
    concrete = tf.function(
        function, input_signature=[spec], autograph=False
    ).get_concrete_function()
    return lambda steps: concrete(tf.cast(steps, dtype))


def _check_length(num_frames):
    if num_frames < MIN_FRAMES:
        raise ValueError(f"`frames` must be at least {MIN_FRAMES}; there are {num_frames}.")


def _stack_frames(frames, num_frames, length):
    """Yields the frames in stacks of some length, (T, ...)."""
    for start in range(0, num_frames, length):
        stack = list(islice(frames, min(length, num_frames - start)))
        if len(stack) < min(length, num_frames - start):
            raise ValueError(
                f"the video has {start + len(stack)} frames; {num_frames} were counted before."
            )
        yield np.stack(stack)


def pools_as_i3d(pool: keras.layers.Layer | None, shape: Shape) -> bool:
    """Returns whether a head's pool averages all positions of each two neighboring time steps.

    Args:
        pool: The layer; None gives False.
        shape: Of its input, (N, T, H, W, C).
    """
    if isinstance(pool, HeadWindow) and len(shape) == 5:
        sizes = zip(shape[2:4], HEAD_POOL_KERNEL[1:], strict=True)
        return all(length is not None and length <= size for length, size in sizes)
    return isinstance(pool, HeadPool | HeadWindow)


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


def chunked_forward(model: Any) -> Callable[[np.ndarray], tf.Tensor] | None:
    """Returns a network as a function of one clip that goes through it in chunks.

    It takes the memory of a chunk, and gives the logits of the whole clip.

    Args:
        model: A network.

    Returns:
        Function of a clip, (1, T, H, W, C) in [-1, 1], to its logits, float32 (1, classes); or None
        if the network is not I3D for clips of any length, with logits as its output.
    """
    if not isinstance(model, keras.Model) or not isinstance(model.layers[-1], Logits):
        return None
    try:
        streamer = Streamer(model)
    except ValueError:
        return None

    def forward(clips):
        (clip,) = clips
        steps = list(step_logits(model, streamer.run_clip(clip)))
        return tf.reduce_mean(np.concatenate(steps), 0, keepdims=True)

    return forward
