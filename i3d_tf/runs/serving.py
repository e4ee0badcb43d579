"""A network of one stream, or one of each, as TensorFlow functions: what a SavedModel holds."""

import keras
import tensorflow as tf

from i3d_tf.specs.inception_v1 import HEAD, MIN_FRAMES
from i3d_tf.specs.streams import STREAMS
from i3d_tf.video import transform_graph
from i3d_tf.video.tvl1_graph import flow_function

# Resized to the short side, frames of any length would not fit into memory.
LARGEST_ASPECT = 16


class ServedModel(tf.Module):
    """Everything from frames to class names, without any code of this package at run time.

    A clip is float32 (N, T, H, W, C) in [-1, 1]. Each function takes one argument for each stream,
    `clip` where there is one, else `rgb` and `flow`, and returns a dictionary of tensors.

    Args:
        networks: Stream to functional model, from clips to logits.
        class_names: In the order of the logits.
        protocol: `Protocol`, of both.

    Raises:
        ValueError: A network takes clips of a fixed size, and the protocol shows others.
    """

    def __init__(self, networks, class_names, protocol):
        super().__init__(name="i3d_tf")
        self._streams = tuple(stream for stream in STREAMS if stream in networks)
        for stream in self._streams:
            _check_shown(networks[stream].input_shape[1:-1], stream, protocol)
        self._protocol = protocol
        self._flow = None
        if "flow" in networks:
            self._flow = flow_function(None, None, short_side=protocol.short_side)
        # Variables alone: of a Keras model, its classes would be saved too.
        self.weights = [v.value for n in networks.values() for v in n.variables]
        self._class_names = tf.constant(class_names)
        self._apply = {stream: _applied(networks[stream]) for stream in self._streams}
        specs = self.clip_specs(networks)
        self.logits = tf.function(self._logits, input_signature=specs, autograph=False)
        self.features = None
        if all("pooled" in apply.structured_outputs for apply in self._apply.values()):
            self.features = tf.function(self._features, input_signature=specs, autograph=False)
        frames = tf.TensorSpec([None, None, None, 3], tf.uint8, name="frames")
        self.classify = tf.function(self._classify, input_signature=[frames], autograph=False)
        self.labels = tf.function(
            lambda: {"labels": self._class_names}, input_signature=[], autograph=False
        )
        self.add_record("")

    def clip_specs(self, networks):
        """What `logits` and `features` take."""
        names = self._streams if len(self._streams) > 1 else ("clip",)
        return [
            tf.TensorSpec(networks[stream].input_shape, tf.float32, name=name)
            for stream, name in zip(self._streams, names, strict=True)
        ]

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
        return [self._apply[s](clip) for s, clip in zip(self._streams, clips, strict=True)]

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
        clips = [clip[tf.newaxis] for clip in self._clips(frames)]
        logits = self.logits(*clips)["logits"][0]
        best = tf.math.top_k(logits, tf.size(logits))  # equal logits keep their order
        return {
            "labels": tf.gather(self._class_names, best.indices),
            "probabilities": tf.nn.softmax(best.values),
            "logits": best.values,
            "indices": best.indices,
        }

    def _clips(self, frames):
        """What each network sees of a video: float32 (T, crop size, crop size, C) in [-1, 1]."""
        protocol = self._protocol
        with tf.control_dependencies(_checks(frames)):
            number = tf.minimum(tf.shape(frames)[0], protocol.frames)
        # One frame more than is shown, so that the last flow is a real one.
        frames = transform_graph.resize_short_side(
            frames[: protocol.frames + 1], protocol.short_side
        )
        order = transform_graph.first_frames(number, protocol.frames)
        for stream in self._streams:
            shown = frames[:number] if stream == "rgb" else self._flow_of(frames, number)
            shown = transform_graph.centre_crop(shown, protocol.crop_size)
            clip = tf.gather(transform_graph.preprocess_input(shown, stream), order)
            yield clip[protocol.rgb_step // 2 :: protocol.rgb_step] if stream == "rgb" else clip

    def _flow_of(self, frames, number):
        """Flow from each of the first frames to the next; the last repeats where there is none."""
        grey = transform_graph.to_grey(frames)
        flow = self._flow(grey[:-1], grey[1:])
        return tf.gather(flow, tf.minimum(tf.range(number), tf.shape(flow)[0] - 1))


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


def _applied(model):
    """The model as one function from clips to `logits` and, where it has a head, its input."""
    outputs = {"logits": model.output}
    if any(layer.name == HEAD for layer in model.layers):
        outputs["steps"] = model.get_layer(HEAD).input
    tapped = keras.Model(model.input, outputs)

    def apply(clip):
        answer = tapped(clip, training=False)
        if "steps" not in answer:
            return answer
        steps = tf.cast(answer.pop("steps"), tf.float32)
        rank = len(steps.shape)
        if rank > 2:  # (N, T', ..., C)
            answer["steps"] = tf.reduce_mean(steps, axis=list(range(2, rank - 1)))
            steps = tf.reduce_mean(answer["steps"], axis=1)
        return {**answer, "pooled": steps}

    spec = tf.TensorSpec(model.input_shape, tf.float32, name="clip")
    function = tf.function(apply, input_signature=[spec], autograph=False)
    return function.get_concrete_function()


def _check_shown(takes, stream, protocol):
    """Compares (T, H, W) of a network, None for any, with what its protocol shows."""
    step = protocol.rgb_step if stream == "rgb" else 1
    frames = len(range(step // 2, protocol.frames, step))
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
            LARGEST_ASPECT * short,
            f"`frames` must not have a side over {LARGEST_ASPECT} times as long as the other.",
        ),
    ]
