"""Networks of one stream or of both as TensorFlow functions: the content of a SavedModel."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from i3d_tf.flow.tvl1_tensorflow import flow_function
from i3d_tf.inference.dataset_logits import pool_step_logits
from i3d_tf.inference.test_clip import MAX_ASPECT
from i3d_tf.specs.inception_v1 import HEAD, MIN_FRAMES
from i3d_tf.specs.protocol import Protocol, flow_fields, frame_indices
from i3d_tf.specs.streams import FORWARD, JOINT, STREAMS, streams_of
from i3d_tf.video import transforms_tf

Outputs = dict[str, tf.Tensor]


class ServingModule(tf.Module):
    """Everything from frames to class names, without any code of this package at run time.

    A clip is float32 (N, T, H, W, C) in [-1, 1]. `logits` and `features` take one clip for each
    stream, `clip` where there is one, else `rgb` and `flow`. All functions return a dictionary of
    tensors.

    Args:
        networks: Stream to functional model, from clips to logits; or "joint" to one of both.
        class_names: In the order of the logits.
        protocol: Number and size of the windows, for all networks.

    Attributes:
        logits: Function of clips to `logits`, the sum over the networks.
        features: Function of clips to `pooled` and `steps`, the input of the head, or None where a
            network has no head.
        classify: Function of the frames of a video to `labels`, `probabilities`, `logits` and
            `indices`, best first.
        classify_encoded: The same of frames as JPEG or PNG files, text (T,), which a REST
            request can hold.
        labels: Function to `labels`, the class names.
        record: Function to `record`, the metadata.

    Raises:
        ValueError: A network takes clips of a fixed size, and the protocol's have another.
    """

    def __init__(
        self, networks: Mapping[str, keras.Model], class_names: Sequence[str], protocol: Protocol
    ):
        super().__init__(name="i3d_tf")
        shapes = clip_shapes(networks)
        for stream, shape in shapes.items():
            _check_clip_size(shape[1:-1], stream, protocol)
        # Variables alone: of a Keras model, its classes would be saved too.
        self.weights = [v.value for n in networks.values() for v in n.variables]
        self._class_names = tf.constant(class_names)
        self._clips = _ClipMaker(tuple(shapes), protocol)
        self._networks = [_network_function(network) for network in networks.values()]
        self._streams_of_networks = [streams_of(name) for name in networks]
        self._streams = tuple(shapes)
        specs = clip_specs(shapes)
        self.logits = tf.function(self._logits, input_signature=specs, autograph=False)
        self.features = None
        if all("pooled" in network.structured_outputs for network in self._networks):
            self.features = tf.function(self._features, input_signature=specs, autograph=False)
        frames = tf.TensorSpec([None, None, None, 3], tf.uint8, name="frames")
        self.classify = tf.function(self._classify, input_signature=[frames], autograph=False)
        encoded = tf.TensorSpec([None], tf.string, name="frames")
        self.classify_encoded = tf.function(
            lambda frames: self.classify(decoded_images(frames)),
            input_signature=[encoded],
            autograph=False,
        )
        self.labels = tf.function(
            lambda: {"labels": self._class_names}, input_signature=[], autograph=False
        )
        self.add_metadata("")

    def signatures(self) -> dict[str, Any]:
        """Returns the tf.functions by the names that they have in a SavedModel."""
        signatures = {
            "serving_default": self.logits,
            "classify": self.classify,
            "classify_encoded": self.classify_encoded,
            "features": self.features,
            "labels": self.labels,
            "record": self.record,
        }
        return {name: function for name, function in signatures.items() if function is not None}

    def add_metadata(self, text: str) -> None:
        """Sets the text that the signature `record` returns."""
        text = tf.constant(text)
        self.record = tf.function(lambda: {"record": text}, input_signature=[], autograph=False)

    def _logits(self, *clips):
        return {"logits": tf.add_n([outputs["logits"] for outputs in self._outputs(clips)])}

    def _features(self, *clips):
        outputs = self._outputs(clips)
        return {
            name: tf.concat([output[name] for output in outputs], axis=-1)
            for name in ("pooled", "steps")
            if all(name in output for output in outputs)
        }

    def _outputs(self, clips) -> list[Outputs]:
        """Returns the outputs of each network."""
        by_stream = dict(zip(self._streams, clips, strict=True))
        return [
            network(*(by_stream[stream] for stream in streams))
            for network, streams in zip(self._networks, self._streams_of_networks, strict=True)
        ]

    def _classify(self, frames):
        logits = tf.reduce_mean(self.logits(*self._clips.clips(frames))["logits"], axis=0)
        best = tf.math.top_k(logits, tf.size(logits))  # equal logits keep their order
        return {
            "labels": tf.gather(self._class_names, best.indices),
            "probabilities": tf.nn.softmax(best.values),
            "logits": best.values,
            "indices": best.indices,
        }


class _ClipMaker:
    """The test clips of a video as TensorFlow operations.

    Args:
        streams: Streams in use.
        protocol: Number and size of the windows.
    """

    def __init__(self, streams: tuple[str, ...], protocol: Protocol):
        if protocol.crops > 1:
            raise ValueError(
                f"`protocol` must have one crop for a SavedModel; received {protocol.crops}."
            )
        self._streams, self._protocol = streams, protocol
        self._flow = None
        if "flow" in streams:
            self._flow = flow_function(None, None, short_side=protocol.short_side)

    def clips(self, frames: tf.Tensor) -> Iterator[tf.Tensor]:
        """Yields the clips of each stream: float32 (windows, T, crop size, crop size, C)."""
        protocol, segments = self._protocol, self._protocol.segments
        with tf.control_dependencies(_checks(frames)):
            frames = tf.identity(frames)  # nothing that uses them comes before the checks
        number = tf.shape(frames)[0]
        if protocol.is_start:
            number = tf.minimum(number, protocol.frames)
            # One frame more than the network sees, so that the last flow is a real one.
            frames = frames[: protocol.frames + 1]
        frames = transforms_tf.resize_short_side(frames, protocol.short_side)
        if segments > 1:
            order = transforms_tf.uniform_snippets(number, protocol.frames, segments)
        else:
            order = transforms_tf.uniform_windows(number, protocol.frames, protocol.windows)
        for stream in self._streams:
            values = frames[:number] if stream == "rgb" else self._flow_of(frames, number)
            values = transforms_tf.center_crop(values, protocol.crop_size)
            values = transforms_tf.preprocess_input(values, stream)
            if stream == "rgb":
                seen = frame_indices(stream, protocol.frames, protocol.rgb_step, segments)
                indices = tf.gather(order, list(seen), axis=1)
            else:
                fields = flow_fields(protocol.frames, protocol.flow_direction, segments)
                indices = tf.gather(order, [field.frame for field in fields], axis=1)
                indices += number * np.array([field.is_backward for field in fields], np.int32)
            yield tf.gather(values, indices)

    def _flow_of(self, frames, number):
        """Returns flow from each of the first frames to the next; the last repeats at the end.

        Behind it, where the protocol has both directions, is that to the frame before; the second
        one's is the first one's, too.
        """
        grey = transforms_tf.to_grey(frames)
        flow = self._flow(grey[:-1], grey[1:])
        forward = tf.gather(flow, tf.minimum(tf.range(number), tf.shape(flow)[0] - 1))
        if self._protocol.flow_direction == FORWARD:
            return forward
        flow = self._flow(grey[1:number], grey[: number - 1])
        backward = tf.gather(flow, tf.maximum(tf.range(number) - 1, 0))
        return tf.concat([forward, backward], axis=0)


def decoded_images(encoded: tf.Tensor) -> tf.Tensor:
    """Returns images of one size, uint8 (T, H, W, 3), RGB.

    Args:
        encoded: Texts (T,), each a JPEG or PNG file.
    """

    def decode(image):
        return tf.io.decode_image(image, channels=3, expand_animations=False)

    image = tf.TensorSpec([None, None, 3], tf.uint8)
    return tf.map_fn(decode, encoded, fn_output_signature=image)


def clip_shapes(networks: Mapping[str, keras.Model]) -> dict[str, tuple[int | None, ...]]:
    """Returns the shapes of the networks' clips by stream.

    Args:
        networks: See `ServingModule`.
    """
    inputs = {stream: network.input for stream, network in networks.items()}
    inputs = inputs.get(JOINT, inputs)
    return {stream: tuple(inputs[stream].shape) for stream in STREAMS if stream in inputs}


def clip_specs(shapes: Mapping[str, tuple[int | None, ...]]) -> list[tf.TensorSpec]:
    """Returns the arguments of functions of clips: `clip`, or `rgb` and `flow`.

    Args:
        shapes: See `clip_shapes`.
    """
    if len(shapes) == 1:
        return [_clip_spec(*shapes.values())]
    return [_clip_spec(shape, stream) for stream, shape in shapes.items()]


def _clip_spec(shape, name="clip"):
    return tf.TensorSpec(shape, tf.float32, name=name)


def signature_shapes(module: ServingModule) -> dict:
    """Returns dtype and shape of each signature's inputs and outputs; None is any length."""

    def label(spec):
        return f"{spec.dtype.name} {tuple(spec.shape)}"

    shapes = {}
    for name, function in module.signatures().items():
        inputs = function.input_signature
        outputs = function.get_concrete_function().structured_outputs
        shapes[name] = {
            "inputs": {spec.name: label(spec) for spec in inputs},
            "outputs": {key: label(spec) for key, spec in sorted(outputs.items())},
        }
    return shapes


def call_network(model: keras.Model, clips: Iterable[tf.Tensor]):
    """Returns the outputs of a model for its clips.

    Args:
        model: A network of one stream, or of both.
        clips: (N, T, H, W, C) each, in the order of `STREAMS`.
    """
    if isinstance(model.input, dict):
        return model(dict(zip(STREAMS, clips, strict=True)), training=False)
    (clip,) = clips
    return model(clip, training=False)


def _network_function(model):
    """Returns a model as one function of its clips to `logits`, `pooled` and `steps`.

    The last two are the input of the head, where there is one; `steps` only where it has time.
    """
    outputs = {"logits": model.output}
    if any(layer.name == HEAD for layer in model.layers):
        outputs["steps"] = model.get_layer(HEAD).input
    network = keras.Model(model.input, outputs)

    def forward(*clips):
        outputs = call_network(network, clips)
        outputs["logits"] = pool_step_logits(model, outputs["logits"])
        if "steps" not in outputs:
            return outputs
        steps = tf.cast(outputs.pop("steps"), tf.float32)
        rank = len(steps.shape)
        if rank > 2:  # (N, T', ..., C)
            outputs["steps"] = tf.reduce_mean(steps, axis=list(range(2, rank - 1)))
            steps = tf.reduce_mean(outputs["steps"], axis=1)
        return {**outputs, "pooled": steps}

    if isinstance(model.input, dict):
        specs = clip_specs(clip_shapes({JOINT: model}))
    else:
        specs = [_clip_spec(model.input.shape)]
    function = tf.function(forward, input_signature=specs, autograph=False)
    return function.get_concrete_function()


def _check_clip_size(size, stream, protocol):
    """Compares (T, H, W) of a network's clips, None for any, with the protocol's."""
    frames = len(frame_indices(stream, protocol.frames, protocol.rgb_step, protocol.segments))
    wanted = (frames, protocol.crop_size, protocol.crop_size)
    if any(own not in (None, other) for own, other in zip(size, wanted, strict=True)):
        raise ValueError(
            f"The {stream} network takes clips of (T, H, W) = {size}; its protocol has {wanted}."
        )


def _checks(frames):
    """Returns operations that refuse frames from which no clips can be made."""
    number, height, width = (tf.shape(frames)[axis] for axis in range(3))
    short, long = tf.minimum(height, width), tf.maximum(height, width)
    return [
        tf.debugging.assert_greater_equal(
            number,
            MIN_FRAMES,
            f"`frames` must be uint8 (T, H, W, 3) of at least {MIN_FRAMES} frames.",
        ),
        tf.debugging.assert_positive(short, "`frames` must have pixels."),
        tf.debugging.assert_less_equal(
            long,
            MAX_ASPECT * short,
            f"`frames` must not have a side over {MAX_ASPECT} times as long as the other.",
        ),
    ]
