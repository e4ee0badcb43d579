"""Maps of the parts of a clip that speak for a class: Grad-CAM, saliency tubes, SmoothGrad."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from i3d_tf.explain.logit_gradient import gradient_function
from i3d_tf.inference.dataset_logits import pool_step_logits
from i3d_tf.inference.streaming import is_i3d
from i3d_tf.models.keras_graph import nodes_of
from i3d_tf.specs.geometry import cell_steps
from i3d_tf.specs.inception_v1 import HEAD_POOL, HEAD_POOL_KERNEL, I3D
from i3d_tf.specs.validation import check_integer, check_number

GRADCAM, TUBES, SMOOTHGRAD = METHODS = ("gradcam", "tubes", "smoothgrad")
# Where the cells of a map are taken to be in the clip.
FIELDS, PARTS, PIXELS = "receptive fields", "equal parts", "pixels"
SAMPLES, NOISE = 25, 0.15  # of SmoothGrad (arXiv:1706.03825: 50 or fewer, 0.1 to 0.2)
MAX_SAMPLES = 10_000
Gradient = Callable[[Any, int], np.ndarray]


@dataclass(frozen=True, eq=False)
class SaliencyMap:
    """A map of how much the parts of a clip speak for a class.

    Attributes:
        values: float32 (T', H', W'), at least 0; in any unit.
        centers: For each axis the middles of its cells, as indices of the clip's frames, rows and
            columns.
        centers_rule: "receptive fields", the middles of what the cells see; "equal parts", the
            middles of as many equal parts of the clip; or "pixels", where each pixel is a cell.
        endpoint: The layer whose outputs the cells are; None where they are pixels.
    """

    values: np.ndarray
    centers: tuple[np.ndarray, ...]
    centers_rule: str
    endpoint: str | None = None


class EndpointNetwork:
    """A network in two parts, before and after the outputs of a layer.

    Args:
        model: Clips, (N, T, H, W, C), to logits.
        endpoint: Name of a layer with outputs (N, T', H', W', C') through which all paths to the
            logits go; None for the last one.

    Attributes:
        model: The network.
        endpoint: Name of the layer.

    Raises:
        ValueError: The model has several inputs, or no such layer.
    """

    def __init__(self, model: keras.Model, endpoint: str | None = None):
        if len(model.inputs) != 1:
            raise ValueError(
                f"`model` must have one input; received {model.name!r} with {len(model.inputs)}. "
                "Name a network for each stream."
            )
        self.model = model
        names = endpoints_of(model)
        if not names:
            raise ValueError(
                f"{model.name!r} has no layer of outputs (N, T, H, W, C) before its logits. Use "
                f"{SMOOTHGRAD}, which needs none."
            )
        if endpoint is not None and endpoint not in names:
            raise ValueError(f"`endpoint` must be one of {names}; received {endpoint!r}.")
        self.endpoint = names[-1] if endpoint is None else endpoint
        self._before = keras.Model(model.inputs[0], model.get_layer(self.endpoint).output)
        self._gradient: Gradient | None = None

    @property
    def is_before_head(self) -> bool:
        """True where only I3D's head follows, whose gradient is known in closed form."""
        return is_i3d(self.model) and self.endpoint == I3D[-1].name and _has_released_head(self)

    def maps(self, clip: np.ndarray) -> np.ndarray:
        """Computes the outputs of the layer.

        Args:
            clip: float32 (T, H, W, C) in [-1, 1].

        Returns:
            float32 (T', H', W', C').
        """
        maps = self._before(clip[np.newaxis], training=False)[0]
        return tf.cast(maps, tf.float32).numpy()

    def logit_gradient(self, maps: np.ndarray, class_index: int) -> np.ndarray:
        """Computes the gradient of a logit by the outputs of the layer.

        Args:
            maps: See `maps`.
            class_index: Index of the logit.

        Returns:
            float32 (T', H', W', C').
        """
        if self._gradient is None:
            self._gradient = logit_gradient(self._rest(), self.model)
        inputs = tf.cast(maps[np.newaxis], self._before.outputs[0].dtype)
        return self._gradient(inputs, class_index)

    def _rest(self):
        """Returns the part of the network after the layer."""
        try:
            return keras.Model(self.model.get_layer(self.endpoint).output, self.model.outputs[0])
        except ValueError as error:
            raise ValueError(
                f"`endpoint` must be a layer through which all paths to the logits go; received "
                f"{self.endpoint!r}."
            ) from error


def endpoints_of(model: keras.Model) -> tuple[str, ...]:
    """Returns the layers of a network whose outputs have time, height and width, in their order.

    Those from the first average over all positions on have none.
    """
    names = []
    for node in nodes_of(model):
        layer = node.operation
        if node.is_input or not isinstance(layer, keras.Layer):
            continue
        if len(node.outputs) != 1 or len(node.outputs[0].shape) != 5:
            continue
        if node.outputs[0].shape[2:4] == (1, 1):
            break
        names.append(layer.name)
    return tuple(names)


def grad_cam(network: EndpointNetwork, clip: np.ndarray, class_index: int) -> SaliencyMap:
    """Computes Grad-CAM (arXiv:1610.02391) over time, height and width.

    It is the sum of the channels, weighted by the mean gradient of the logit by each, where that is
    above 0. At I3D's `Mixed_5c` the gradient is computed in closed form.

    Args:
        network: The network in two parts.
        clip: float32 (T, H, W, C) in [-1, 1].
        class_index: Index of the class among the logits.
    """
    maps = network.maps(clip)
    if network.is_before_head:
        gradient = head_gradient(head_kernel(network.model), maps.shape, class_index)
    else:
        gradient = network.logit_gradient(maps, class_index)
    return place_cells(network, weigh_channels(maps, gradient), clip.shape)


def weigh_channels(maps: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Returns the sum of channels weighted by their mean gradient, where it is above 0.

    Args:
        maps: (T, H, W, C).
        gradient: (T, H, W, C), of the logit by `maps`.

    Returns:
        float32 (T, H, W).
    """
    weights = gradient.astype(np.float64).mean(axis=(0, 1, 2))
    return np.maximum(maps @ weights, 0).astype(np.float32)


def head_gradient(kernel: np.ndarray, shape: Sequence[int], class_index: int) -> np.ndarray:
    """Returns the gradient of a logit by the outputs of `Mixed_5c`, the same for all clips.

    The head is linear: a mean over all positions of two neighboring time steps, a 1x1x1 convolution
    and a mean over the T' - 1 steps. Each position of a time step counts n / (2 (T' - 1) H' W'),
    where n is the number of pairs that the step is in: 1 for the first and the last, else 2.

    Args:
        kernel: (C, classes), of the convolution.
        shape: (T', H', W', C) of the outputs.
        class_index: Index of the logit.

    Returns:
        float32 (T', H', W', C).
    """
    steps, height, width, _ = shape
    pairs = np.full(steps, 2.0)
    pairs[[0, -1]] = 1
    share = pairs / (HEAD_POOL_KERNEL[0] * (steps - 1) * height * width)
    gradient = share[:, np.newaxis] * kernel[:, class_index].astype(np.float64)
    return np.broadcast_to(gradient[:, np.newaxis, np.newaxis], shape).astype(np.float32)


def head_kernel(model: keras.Model) -> np.ndarray:
    """Returns the kernel of a network's last layer, float32 (C, classes).

    Raises:
        ValueError: The last layer with weights is no 1x1x1 convolution and not fully connected.
    """
    layer = last_weighted_layer(model)
    for variable in layer.weights:
        if variable.name == "kernel" and np.prod(variable.shape[:-2], dtype=int) == 1:
            kernel = tf.cast(variable, tf.float32).numpy()
            return kernel.reshape(kernel.shape[-2:])
    raise ValueError(
        f"{model.name!r} has no class weights: its last layer, {layer.name!r}, is no 1x1x1 "
        f"convolution and not fully connected. Use {GRADCAM}."
    )


def last_weighted_layer(model: keras.Model) -> keras.Layer:
    """Returns the last layer of a network that has weights."""
    layers = [node.operation for node in nodes_of(model) if getattr(node.operation, "weights", ())]
    return layers[-1]


def saliency_tubes(network: EndpointNetwork, clip: np.ndarray, class_index: int) -> SaliencyMap:
    """Computes saliency tubes (arXiv:1902.01078): the channels of the last maps by class weights.

    Args:
        network: The network in two parts, cut where its last layer's inputs are averages of the
            maps.
        clip: float32 (T, H, W, C) in [-1, 1].
        class_index: Index of the class among the logits.

    Raises:
        ValueError: The network has no class weights, or of another number of channels.
    """
    kernel, maps = head_kernel(network.model), network.maps(clip)
    if maps.shape[-1] != len(kernel):
        raise ValueError(
            f"`endpoint` must have {len(kernel)} channels for {TUBES}, one for each class weight; "
            f"received {network.endpoint!r} with {maps.shape[-1]}. Use {GRADCAM} there."
        )
    weighted = np.maximum(maps @ kernel[:, class_index].astype(np.float64), 0)
    return place_cells(network, weighted.astype(np.float32), clip.shape)


def smooth_gradient(
    gradient: Gradient,
    clip: np.ndarray,
    class_index: int,
    samples: int = SAMPLES,
    noise: float = NOISE,
    seed: int = 0,
) -> np.ndarray:
    """Computes SmoothGrad (arXiv:1706.03825): the mean gradient of a logit over noisy clips.

    Args:
        gradient: See `logit_gradient`.
        clip: float32 (T, H, W, C) in [-1, 1].
        class_index: Index of the logit.
        samples: Number of noisy clips.
        noise: Standard deviation of the noise, as a fraction of the range of the clip's values.
        seed: Of the noise, an integer >= 0.

    Returns:
        float32 (T, H, W, C).
    """
    check_integer("samples", samples, 1, MAX_SAMPLES)
    check_number("noise", noise, 0)
    generator = np.random.default_rng(check_integer("seed", seed, 0))
    deviation = np.float32(noise * (clip.max() - clip.min()))
    total = np.zeros(clip.shape, np.float64)
    for _ in range(samples):
        noisy = clip + deviation * generator.standard_normal(clip.shape, np.float32)
        total += gradient(noisy[np.newaxis], class_index)
    return (total / samples).astype(np.float32)


def logit_gradient(part: keras.Model, model: keras.Model | None = None) -> Gradient:
    """Returns the gradient of a network's logits, traced once for all calls.

    Args:
        part: The network, or the rest of it after some layer.
        model: The network, if `part` is the rest.

    Returns:
        Function of inputs of `part`, (1, T, H, W, C), and a class index, to the gradient of that
        logit by them, float32 (T, H, W, C).
    """
    whole = part if model is None else model

    def logit(inputs, class_index):
        return tf.gather(pool_step_logits(whole, part(inputs, training=False)), class_index, axis=1)

    function = gradient_function(logit)

    def gradient(inputs: Any, class_index: int) -> np.ndarray:
        _, found = function(tf.convert_to_tensor(inputs), tf.constant(class_index))
        return tf.cast(found[0], tf.float32).numpy()

    return gradient


def gradient_map(gradient: np.ndarray) -> SaliencyMap:
    """Returns the map of a gradient by a clip, (T, H, W, C): the largest size over the channels."""
    centers = tuple(np.arange(length, dtype=np.float64) for length in gradient.shape[:3])
    return SaliencyMap(np.abs(gradient).max(axis=-1), centers, PIXELS)


def place_cells(
    network: EndpointNetwork, values: np.ndarray, clip_shape: Sequence[int]
) -> SaliencyMap:
    """Returns a map with the places of its cells in the clip.

    Args:
        network: The network whose layer the map is of.
        values: (T', H', W').
        clip_shape: (T, H, W, C).
    """
    size = clip_shape[:3]
    if is_i3d(network.model) and network.endpoint in {row.name for row in I3D}:
        steps = cell_steps(I3D, network.endpoint, size)
        centers = tuple(np.array(axis.centers) for axis in steps)
        return SaliencyMap(values, centers, FIELDS, network.endpoint)
    centers = tuple(
        (np.arange(cells) + 0.5) * length / cells - 0.5
        for cells, length in zip(values.shape, size, strict=True)
    )
    return SaliencyMap(values, centers, PARTS, network.endpoint)


def _has_released_head(network):
    return any(layer.name == HEAD_POOL for layer in network.model.layers)
