"""The looks at a network's input: frames too small, values not in the range of its training.

Uint8 frames, or frames in [0, 1], give other classes without any error. The first layer of a
network looks at its input where it is called eagerly; a graph has no values, and gets no operation.
"""

import sys
import warnings
from typing import Any

import keras
from keras import KerasTensor, ops

from i3d_tf.specs.baselines import C3D
from i3d_tf.specs.inception_v1 import I3D, INCEPTION_V1, MIN_SIZE
from i3d_tf.specs.streams import CHANNELS

FIRST_LAYERS = {rows[0].name for rows in (I3D, INCEPTION_V1, C3D)}
_SLACK = 1e-3  # of values that were rounded or interpolated


def input_range_problem(inputs: Any) -> str | None:
    """Returns what is wrong with the values of a network's input; None where nothing is.

    Args:
        inputs: (N, *positions, C), concrete or symbolic; a symbolic tensor has no values.
    """
    if not _has_values(inputs) or 0 in inputs.shape:
        return None
    extremes = ops.min(inputs), ops.max(inputs)
    if not all(map(_has_values, extremes)):  # of a constant, while a function is traced
        return None
    low, high = map(float, extremes)
    if _are_differences(inputs.shape[-1]):
        low, high = low / 2, high / 2
    is_rgb = inputs.shape[-1] == CHANNELS["rgb"]
    function = "preprocess_input(frames)" if is_rgb else "preprocess_input(flow, stream='flow')"
    if low < -1 - _SLACK or high > 1 + _SLACK:
        return (
            f"The network's input has values from {low:.4g} to {high:.4g}; they must be within "
            f"[-1, 1]. Give it i3d_tf.{function}."
        )
    # A clip of one gray level says nothing. Flow, unlike brightness, may be 0 where it is least.
    if low < high <= 1 and (low >= 0 if is_rgb else low > 0):
        return (
            f"All values of the network's input are within [0, 1] ({low:.4g} to {high:.4g}), as if "
            f"it had not been scaled to [-1, 1]. Give it i3d_tf.{function}, or 2 * input - 1."
        )
    return None


def check_input_size(layer: keras.Layer, inputs: Any) -> None:
    """Checks the size of the frames that a network's first layer is given, where it is known.

    Args:
        layer: A layer; only those named in `FIRST_LAYERS` are looked at.
        inputs: Its input, (N, T, H, W, C) or (N, H, W, C), concrete or symbolic.

    Raises:
        ValueError: They have fewer than `MIN_SIZE` rows or columns.
    """
    if layer.name not in FIRST_LAYERS:
        return
    height, width = inputs.shape[-3:-1]
    if any(side is not None and 0 < side < MIN_SIZE for side in (height, width)):
        raise ValueError(
            f"The network's input must have at least {MIN_SIZE} x {MIN_SIZE} pixels; received "
            f"{height} x {width}. Resize the frames first."
        )


def warn_of_input_range(layer: keras.Layer, inputs: Any) -> None:
    """Warns once if the input of a network's first layer has values outside of its range.

    Args:
        layer: A layer; only those named in `FIRST_LAYERS` are looked at.
        inputs: Its input.
    """
    if layer.name not in FIRST_LAYERS or getattr(layer, "_has_warned_of_range", False):
        return
    if (problem := input_range_problem(inputs)) is not None:
        layer._has_warned_of_range = True
        warnings.warn(problem, stacklevel=2)


def _are_differences(channels):
    """Returns whether inputs are RGB differences: stacked flow has an even number of channels."""
    return channels > CHANNELS["rgb"] and channels % 2 == 1


def _has_values(inputs):
    """Returns whether a tensor is concrete, on every backend."""
    if isinstance(inputs, KerasTensor):
        return False
    backend = keras.backend.backend()
    library = sys.modules.get(backend)  # which Keras has imported, and this package does not need
    if backend == "jax":
        return not isinstance(inputs, library.core.Tracer)
    if backend == "torch":
        # A CUDA graph that is recorded cannot wait for values.
        is_recording = inputs.is_cuda and library.cuda.is_current_stream_capturing()
        return not (inputs.is_meta or is_recording or library.compiler.is_compiling())
    # Of TensorFlow's tensors, only concrete ones; a function that is traced may capture one.
    return library.executing_eagerly() and hasattr(inputs, "numpy")
