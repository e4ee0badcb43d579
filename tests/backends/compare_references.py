"""The networks around I3D on any Keras backend against the outputs of their own programs.

    KERAS_BACKEND=jax python tests/backends/compare_references.py ../shared/golden/more FOLDER

Weights are made from the references' recipe, go through the reader of public files, and are kept in
FOLDER, which another backend may use. The output and every endpoint are compared, also with batch
norm folded; float32 is without TF32. Names of references after FOLDER compare these alone, and
`convert` after them makes the weights only.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from compare_backends import without_tf32
from fixtures.reference_networks import (
    REFERENCES,
    TOLERANCE,
    clip_of,
    distances,
    load_golden,
    load_recipe,
)

from i3d_tf.models.fold_batch_norm import fuse_for_inference
from i3d_tf.weights.named_tensors import NamedTensors
from i3d_tf.zoo import load
from i3d_tf.zoo.convert_network import convert_network


class InMemory:
    """An array as the reader of a public file gives it."""

    dtype = "float32"

    def __init__(self, values):
        self.values = values
        self.shape = values.shape

    def read(self):
        return self.values


def convert(name, golden, recipe, folder):
    """Makes a reference's weights, unless they are there."""
    folder = folder / name  # with a manifest of its own: several processes may convert
    if (folder / f"{name}.weights.h5").exists():
        return
    arrays = {key: InMemory(values) for key, values in recipe.weights(golden).items()}
    file = NamedTensors(arrays, "a recipe", (), True)
    convert_network(name, file, name, folder, REFERENCES[name].geometry)


def compare(name, golden, recipe, folder):
    """Prints the largest distance of two networks, and returns it."""
    model = load(name, folder / name)
    reference, worst = REFERENCES[name], 0.0
    clip = clip_of(reference, recipe)
    for form, network in (("original", model), ("folded", fuse_for_inference(model))):
        found = distances(network, clip, golden, reference.layer_of, recipe.sample)
        endpoint = max(found, key=lambda key: np.nan_to_num(found[key], nan=np.inf))
        print(
            f"{name}, {form}: output {found['output']:.1e}, worst of {len(found)} "
            f"{found[endpoint]:.1e} ({endpoint})",
            flush=True,
        )
        worst = max(worst, np.nan_to_num(found[endpoint], nan=np.inf))
    return worst


def main(source, target, *names):
    """Converts and compares; exits with an error where a network differs."""
    source, target = Path(source), Path(target)
    only_convert = "convert" in names
    names = [name for name in names if name != "convert"] or list(REFERENCES)
    recipe, worst = load_recipe(source), 0.0
    without_tf32()
    for name in names:
        golden = load_golden(source, name)
        convert(name, golden, recipe, target)
        if not only_convert:
            worst = max(worst, compare(name, golden, recipe, target))
    if not worst <= TOLERANCE:
        sys.exit(f"a network differs from its reference by more than {TOLERANCE}")


if __name__ == "__main__":
    main(*sys.argv[1:])
