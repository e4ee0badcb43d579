"""Optical flow engines: their algorithms and parameters, and the best one on this machine."""

import glob
import sys
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from i3d_tf.flow.dis_opencv import DISParameters
from i3d_tf.flow.tvl1 import DEFAULT, FAST, TVL1Parameters
from i3d_tf.specs.streams import FLOW_ENGINES
from i3d_tf.specs.validation import check_choice

FlowParameters = TVL1Parameters | DISParameters
# previous and following frames, grey (N, H, W), parameters of the engine's algorithm -> flow,
# float32 (N, H, W, 2).
FlowFunction = Callable[[np.ndarray, np.ndarray, Any], np.ndarray]

ALGORITHMS = {"numba": "TV-L1", "graph": "TV-L1", "opencv": "TV-L1", "dis": "DIS"}
ENGINES = tuple(ALGORITHMS)
PRESETS: dict[str, dict[str, FlowParameters]] = {
    "TV-L1": {"default": DEFAULT, "fast": FAST},
    "DIS": {"default": DISParameters(), "fast": DISParameters("fast")},
}

# One of them is there wherever a driver for NVIDIA, AMD or (under Windows) any GPU is.
GPU_DEVICES = ("/dev/nvidia[0-9]*", "/dev/kfd", "/dev/dxg")


def choose_engine(engine: str = "auto") -> str:
    """Returns the engine that a name means on this machine.

    Args:
        engine: A name in `ENGINES`, or "auto", which is always TV-L1: the graph where TensorFlow
            sees a GPU, else numba, else OpenCV with a warning.

    Returns:
        A name in `ENGINES`.

    Raises:
        ValueError: There is no such engine.
    """
    check_choice("engine", engine, FLOW_ENGINES)
    return automatic_engine() if engine == "auto" else engine


def load_engine(engine: str) -> FlowFunction:
    """Imports an engine, with the libraries that it needs.

    Args:
        engine: See `choose_engine`.

    Returns:
        Its function (previous, following, parameters) -> float32 (N, H, W, 2).
    """
    flow_between: FlowFunction
    match choose_engine(engine):
        case "numba":
            from i3d_tf.flow.tvl1_numba import flow_between
        case "graph":
            from i3d_tf.flow.tvl1_tensorflow import flow_between
        case "opencv":
            from i3d_tf.flow.tvl1_opencv import flow_between
        case "dis":
            from i3d_tf.flow.dis_opencv import flow_between
    return flow_between


def engine_parameters(
    engine: str, parameters: FlowParameters | str | None = None
) -> FlowParameters:
    """Returns the parameters that an engine computes with.

    Args:
        engine: See `choose_engine`.
        parameters: TVL1Parameters, or DISParameters for "dis"; or the name of a preset in
            `PRESETS`; None means "default".

    Raises:
        ValueError: The parameters are not those of the engine's algorithm.
    """
    engine = choose_engine(engine)
    presets = PRESETS[ALGORITHMS[engine]]
    if parameters is None or isinstance(parameters, type(presets["default"])):
        return parameters or presets["default"]
    if isinstance(parameters, str) and parameters in presets:
        return presets[parameters]
    raise ValueError(
        f"`parameters` of engine {engine!r} must be {type(presets['default']).__name__} or one of "
        f"{tuple(presets)}; received {parameters!r}."
    )


@cache  # so that the warning comes once
def automatic_engine() -> str:
    """Returns the engine that "auto" means on this machine."""
    if sees_gpu():
        return "graph"
    try:
        load_engine("numba")
    except ImportError as error:
        warnings.warn(
            f"optical flow by OpenCV, which takes over 20 times as long: numba cannot be imported "
            f"({error}); install it (pip install numba).",
            stacklevel=4,
        )
        return "opencv"
    return "numba"


def sees_gpu() -> bool:
    """Returns whether TensorFlow sees a GPU; imports it only where a driver is."""
    if "tensorflow" not in sys.modules and not any(map(glob.glob, GPU_DEVICES)):
        return False
    try:
        import tensorflow as tf
    except ImportError:
        return False
    return bool(tf.config.list_physical_devices("GPU"))
