"""Networks of one stream or of both as TensorFlow functions: what a SavedModel holds."""

import keras
import tensorflow as tf

from i3d_tf.flow.tvl1_tensorflow import flow_function
from i3d_tf.inference.dataset_logits import last_step_logits
from i3d_tf.inference.test_clip import MAX_ASPECT
from i3d_tf.specs.inception_v1 import HEAD, MIN_FRAMES
from i3d_tf.specs.protocol import frame_indices
from i3d_tf.specs.streams import JOINT, STREAMS, streams_of
from i3d_tf.video import transforms_tf


class ServingModule(tf.Module):
    """Everything from frames to class names, without any code of this package at run time.

    A clip is float32 (N, T, H, W, C) in [-1, 1]. Each function takes one argument for each stream,
    `clip` where there is one, else `rgb` and `flow`, and returns a dictionary of tensors.

    Args:
        networks: Stream to functional model, from clips to logits; or "joint" to one of both.
        class_names: In the order of the logits.
        protocol: `Protocol`, of both.

    Raises:
        ValueError: A network takes clips of a fixed size, and the protocol shows others.
    """

    def __init__(self, networks, class_names, protocol):
        super().__init__(name="i3d_tf")
        shapes = shapes_of(networks)
        self._streams = tuple(shapes)
        for stream, shape in shapes.items():
            _check_shown(shape[1:-1], stream, protocol)
        self._protocol = protocol
        self._flow = None
        if "flow" in shapes:
            self._flow = flow_function(None, None, short_side=protocol.short_side)
        # Variables alone: of a Keras model, its classes would be saved too.
        self.weights = [v.value for n in networks.values() for v in n.variables]
        self._class_names = tf.constant(class_names)
        self._networks = [_applied(network) for network in networks.values()]
        self._seen = [streams_of(part) for part in networks]
        specs = clip_specs(shapes)
        self.logits = tf.function(self._logits, input_signature=specs, autograph=False)
        self.features = None
        if all("pooled" in network.structured_outputs for network in self._networks):
            self.features = tf.function(self._features, input_signature=specs, autograph=False)
        frames = tf.TensorSpec([None, None, None, 3], tf.uint8, name="frames")
        self.classify = tf.function(self._classify, input_signature=[frames], autograph=False)
        self.labels = tf.function(
            lambda: {"labels": self._class_names}, input_signature=[], autograph=False
        )
        self.add_record("")

    def signatures(self):
        """Name to function, as a SavedModel has them."""
        signatures = {
            "serving_default": self.logits,
            "classify": self.classify,
            "features": self.features,
            "labels": self.labels,
            "record": self.record,
        }
        return {name: function for name, function in signatures.items() if function is not None}

    def add_record(self, text):
        """Lets the signature `record` return a text that goes with the model."""
        text = tf.constant(text)
        self.record = tf.function(lambda: {"record": text}, input_signature=[], autograph=False)

    def _answers(self, clips):
        shown = dict(zip(self._streams, clips, strict=True))
        return [
            network(*(shown[stream] for stream in seen))
            for network, seen in zip(self._networks, self._seen, strict=True)
        ]

    def _logits(self, *clips):
        return {"logits": tf.add_n([answer["logits"] for answer in self._answers(clips)])}

    def _features(self, *clips):
        answers = self._answers(clips)
        return {
            name: tf.concat([answer[name] for answer in answers], axis=-1)
            for name in ("pooled", "steps")
            if all(name in answer for answer in answers)
        }

    def _classify(self, frames):
        logits = tf.reduce_mean(self.logits(*self._clips(frames))["logits"], axis=0)
        best = tf.math.top_k(logits, tf.size(logits))  # equal logits keep their order
        return {
            "labels": tf.gather(self._class_names, best.indices),
            "probabilities": tf.nn.softmax(best.values),
            "logits": best.values,
            "indices": best.indices,
        }

    def _clips(self, frames):
        """What each network sees of a video: float32 (windows, T, crop size, crop size, C)."""
        protocol = self._protocol
        with tf.control_dependencies(_checks(frames)):
            number = tf.shape(frames)[0]
        if protocol.windows == 1:
            number = tf.minimum(number, protocol.frames)
            # One frame more than is shown, so that the last flow is a real one.
            frames = frames[: protocol.frames + 1]
        frames = transforms_tf.resize_short_side(frames, protocol.short_side)
        order = transforms_tf.uniform_windows(number, protocol.frames, protocol.windows)
        for stream in self._streams:
            shown = frames[:number] if stream == "rgb" else self._flow_of(frames, number)
            shown = transforms_tf.centre_crop(shown, protocol.crop_size)
            shown = transforms_tf.preprocess_input(shown, stream)
            seen = frame_indices(stream, protocol.frames, protocol.rgb_step)
            yield tf.gather(shown, tf.gather(order, list(seen), axis=1))

    def _flow_of(self, frames, number):
        """Flow from each of the first frames to the next; the last repeats where there is none."""
        grey = transforms_tf.to_grey(frames)
        flow = self._flow(grey[:-1], grey[1:])
        return tf.gather(flow, tf.minimum(tf.range(number), tf.shape(flow)[0] - 1))


def shapes_of(networks) -> dict:
    """Stream to the shape of the clips that the networks take of it.

    Args:
        networks: As of `ServingModule`.
    """
    inputs = {stream: network.input for stream, network in networks.items()}
    inputs = inputs.get(JOINT, inputs)
    return {stream: tuple(inputs[stream].shape) for stream in STREAMS if stream in inputs}


def clip_specs(shapes) -> list[tf.TensorSpec]:
    """What functions of clips take: `clip`, or `rgb` and `flow`."""
    names = shapes if len(shapes) > 1 else ("clip",)
    return [
        tf.TensorSpec(shape, tf.float32, name=name)
        for name, shape in zip(names, shapes.values(), strict=True)
    ]


def signature_shapes(served) -> dict:
    """Signature to its inputs and outputs, each to dtype and shape, None being any length."""

    def spell(spec):
        return f"{spec.dtype.name} {tuple(spec.shape)}"

    shapes = {}
    for name, function in served.signatures().items():
        made = function.get_concrete_function()
        inputs, outputs = function.input_signature, made.structured_outputs
        shapes[name] = {
            "inputs": {spec.name: spell(spec) for spec in inputs},
            "outputs": {key: spell(spec) for key, spec in sorted(outputs.items())},
        }
    return shapes


def answer_of(model, clips):
    """What a model answers to its clips, (N, ...) each, in the order of `STREAMS`."""
    (given,) = clips if len(clips) == 1 else (dict(zip(STREAMS, clips, strict=True)),)
    return model(given, training=False)


def _applied(model):
    """The model as one function from clips to `logits` and, where it has a head, its input."""
    outputs = {"logits": model.output}
    if any(layer.name == HEAD for layer in model.layers):
        outputs["steps"] = model.get_layer(HEAD).input
    tapped = keras.Model(model.input, outputs)

    def apply(*clips):
        answer = answer_of(tapped, clips)
        answer["logits"] = last_step_logits(answer["logits"])
        if "steps" not in answer:
            return answer
        steps = tf.cast(answer.pop("steps"), tf.float32)
        rank = len(steps.shape)
        if rank > 2:  # (N, T', ..., C)
            answer["steps"] = tf.reduce_mean(steps, axis=list(range(2, rank - 1)))
            steps = tf.reduce_mean(answer["steps"], axis=1)
        return {**answer, "pooled": steps}

    specs = clip_specs(shapes_of({JOINT if isinstance(model.input, dict) else "rgb": model}))
    function = tf.function(apply, input_signature=specs, autograph=False)
    return function.get_concrete_function()


def _check_shown(takes, stream, protocol):
    """Compares (T, H, W) of a network, None for any, with what its protocol shows."""
    frames = len(frame_indices(stream, protocol.frames, protocol.rgb_step))
    shown = (frames, protocol.crop_size, protocol.crop_size)
    if any(own not in (None, other) for own, other in zip(takes, shown, strict=True)):
        raise ValueError(
            f"The {stream} network takes clips of (T, H, W) = {takes}; its protocol shows {shown}."
        )


def _checks(frames):
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
