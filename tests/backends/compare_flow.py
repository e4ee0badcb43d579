"""TV-L1's graph by JAX gives the flow that it gives by TensorFlow.

Two steps, since the libraries live in different environments:

    python tests/backends/compare_flow.py write FOLDER      # TensorFlow
    python tests/backends/compare_flow.py compare FOLDER    # JAX
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from i3d_tf.flow.tvl1 import TVL1Parameters
from i3d_tf.flow.tvl1_graph import SCHEDULES

PARAMETERS = TVL1Parameters(scales=2, warps=2)
TOLERANCE = 1e-3  # pixels: sums in another order, and steps that stop on them


def pairs():
    """Three pairs of a smooth texture: moved right by 1, at rest, and moved down by 1."""
    down, along = np.mgrid[:40, :50].astype(np.float32)
    generator = np.random.default_rng(0)
    picture = np.full(down.shape, 127.5, np.float32)
    for _ in range(12):
        wave_down, wave_along, phase = generator.uniform(-0.6, 0.6, 3)
        picture += 20 * np.sin(wave_down * down + wave_along * along + 10 * phase)
    picture = np.clip(picture, 0, 255)
    still, right, below = picture[1:-1, 1:-1], picture[1:-1, :-2], picture[:-2, 1:-1]
    return np.stack([still] * 3), np.stack([right, still, below])


def flows(flow_function):
    """(name, flow) of every schedule, for one and for two pairs at once."""
    height, width = pairs()[0].shape[1:]
    for schedule in SCHEDULES:
        for batch in (1, 2):
            compute = flow_function(height, width, PARAMETERS, schedule, batch)
            yield f"{schedule}_{batch}", np.asarray(compute(*pairs()))


def write(folder):
    """Writes TensorFlow's flow."""
    from i3d_tf.flow.tvl1_tensorflow import flow_function

    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "flow.npz", **dict(flows(flow_function)))


def compare(folder):
    """Exits with an error if JAX's flow differs, or does not follow the texture."""
    from i3d_tf.flow.tvl1_jax import flow_between, flow_function

    expected, worst = np.load(folder / "flow.npz", allow_pickle=False), 0.0
    for name, found in flows(flow_function):
        worst = max(worst, float(np.abs(found - expected[name]).max()))
        middle = found[:, 10:-10, 10:-10].mean(axis=(1, 2))
        if not np.allclose(middle, [[1, 0], [0, 0], [0, 1]], atol=0.1):
            sys.exit(f"{name}: the texture moves by (1, 0), (0, 0) and (0, 1), not by {middle}")
    empty = flow_between(*(images[:0].astype(np.uint8) for images in pairs()), PARAMETERS)
    if empty.shape != (0, *pairs()[0].shape[1:], 2) or "tensorflow" in sys.modules:
        sys.exit(f"no pairs give {empty.shape}, or TensorFlow was imported")
    print(f"TV-L1 by JAX: largest difference {worst:.1e} pixels")
    if not worst <= TOLERANCE:
        sys.exit(f"JAX's flow differs from TensorFlow's by more than {TOLERANCE}")


if __name__ == "__main__":
    {"write": write, "compare": compare}[sys.argv[1]](Path(sys.argv[2]))
