"""The engines of optical flow: where they are, which algorithm they compute, which to take."""

import glob
import importlib
import sys
import warnings
from functools import cache

from i3d_tf.flow.dis_opencv import DISParameters
from i3d_tf.flow.tvl1 import DEFAULT, FAST

# Engine -> the module that holds its `flow_between(previous, following, parameters)`, imported when
# it is first used.
ENGINES = {
    "numba": "i3d_tf.flow.tvl1_numba",
    "graph": "i3d_tf.flow.tvl1_tensorflow",
    "opencv": "i3d_tf.flow.tvl1_opencv",
    "dis": "i3d_tf.flow.dis_opencv",
}
ALGORITHMS = {"numba": "TV-L1", "graph": "TV-L1", "opencv": "TV-L1", "dis": "DIS"}
PRESETS = {
    "TV-L1": {"default": DEFAULT, "fast": FAST},
    "DIS": {"default": DISParameters(), "fast": DISParameters("fast")},
}

# One of them is there wherever a driver for NVIDIA, AMD or (under Windows) any GPU is.
GPU_DEVICES = ("/dev/nvidia[0-9]*", "/dev/kfd", "/dev/dxg")


def choose_engine(engine="auto"):
    """The engine that a name means on this machine.

    Args:
        engine: A name in `ENGINES`, or "auto", which is always TV-L1: the graph where TensorFlow
            sees a GPU, else numba, else OpenCV with a warning.

    Returns:
        A name in `ENGINES`.
    """
    if engine == "auto":
        return _automatic()
    if engine not in ENGINES:
        raise ValueError(f"`engine` must be one of {('auto', *ENGINES)}; received {engine!r}.")
    return engine


def load_engine(engine):
    """Imports an engine.

    Args:
        engine: As for `choose_engine`.

    Returns:
        Its function (previous, following, parameters) -> float32 (N, H, W, 2).
    """
    return importlib.import_module(ENGINES[choose_engine(engine)]).flow_between


def engine_parameters(engine, parameters=None):
    """The parameters that an engine computes with.

    Args:
        engine: As for `choose_engine`.
        parameters: TVL1Parameters, or DISParameters for "dis"; or the name of a preset in
            `PRESETS`; None means "default".

    Returns:
        TVL1Parameters or DISParameters.
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
def _automatic():
    if _sees_gpu():
        return "graph"
    try:
        importlib.import_module(ENGINES["numba"])
    except ImportError as error:
        warnings.warn(
            f"optical flow by OpenCV, which takes over 20 times as long: numba cannot be imported "
            f"({error}); install it (pip install numba).",
            stacklevel=4,
        )
        return "opencv"
    return "numba"


def _sees_gpu():
    """Whether TensorFlow sees a GPU; it is not imported to ask where there can be none."""
    if "tensorflow" not in sys.modules and not any(map(glob.glob, GPU_DEVICES)):
        return False
    try:
        import tensorflow as tf
    except ImportError:
        return False
    return bool(tf.config.list_physical_devices("GPU"))
