"""One weights file, the same logits and gradients on every Keras backend.

Two steps, since the backends live in different environments:

    KERAS_BACKEND=tensorflow python tests/backends/compare_backends.py write FOLDER
    KERAS_BACKEND=jax        python tests/backends/compare_backends.py compare FOLDER
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from i3d_tf.models.fold_batch_norm import fuse_for_inference
from i3d_tf.models.inception import inception_i3d
from i3d_tf.specs.inception_v1 import ENDPOINTS

TOLERANCE = 1e-4  # of the norm: float32 sums in another order
# The released size; odd lengths, where SAME padding is asymmetric; the smallest clip.
STILL = (1, 16, 64, 64, 3)  # of one frame: windows of max-pools have many equal largest values
CLIP_SHAPES = ((1, 20, 224, 224, 3), (2, 17, 65, 47, 3), (1, 9, 32, 32, 3))


def without_tf32():
    """Makes float32 what it says on a GPU, where convolutions else round it to 11 bits."""
    library = sys.modules[keras.backend.backend()]
    if keras.backend.backend() == "tensorflow":
        library.config.experimental.enable_tensor_float_32_execution(False)
    elif keras.backend.backend() == "jax":
        library.config.update("jax_default_matmul_precision", "highest")
    else:
        library.backends.cudnn.allow_tf32 = False


def clips():
    generator = np.random.default_rng(0)
    return [generator.uniform(-1, 1, shape).astype("float32") for shape in CLIP_SHAPES]


def gradients_of_a_still_clip(model):
    """Returns the gradients of the sum of the logits by the kernels."""
    still = np.random.default_rng(2).uniform(-1, 1, STILL).astype("float32")
    still[:] = still[:, :1]
    kernels = [v for v in model.trainable_variables if v.path.endswith("kernel")]
    if keras.backend.backend() == "tensorflow":
        library = sys.modules["tensorflow"]
        with library.GradientTape() as tape:
            total = library.reduce_sum(model(still, training=False))
        found = tape.gradient(total, [v.value for v in kernels])
    elif keras.backend.backend() == "jax":
        chosen = {id(v): index for index, v in enumerate(kernels)}
        others = [v.value for v in model.non_trainable_variables]

        def logits_sum(values):
            trainable = [
                values[chosen[id(v)]] if id(v) in chosen else v.value
                for v in model.trainable_variables
            ]
            return model.stateless_call(trainable, others, still, training=False)[0].sum()

        found = sys.modules["jax"].grad(logits_sum)([v.value for v in kernels])
    else:
        model.zero_grad()
        model(still, training=False).sum().backward()
        found = [v.value.grad for v in kernels]
    return [keras.ops.convert_to_numpy(gradient) for gradient in found]


def randomise(model):
    """Assigns weights with a non-trivial batch norm that keep the scale of activations."""
    generator = np.random.default_rng(1)
    for variable in model.variables:
        if variable.path.endswith("kernel"):
            spread = (2 / np.prod(variable.shape[:-1])) ** 0.5
            variable.assign(generator.normal(0, spread, variable.shape))
        elif variable.path.endswith("moving_variance"):
            variable.assign(generator.uniform(0.5, 1.5, variable.shape))
        else:
            variable.assign(generator.normal(0, 0.1, variable.shape))


def write(folder):
    """Writes the weights and this backend's outputs with them."""
    folder.mkdir(parents=True, exist_ok=True)
    model = inception_i3d()
    randomise(model)
    model.save_weights(folder / "network.weights.h5")
    model.save(folder / "network.keras")
    np.savez(folder / "outputs.npz", **outputs_of(model))
    gradients = gradients_of_a_still_clip(model)
    np.savez(folder / "gradients.npz", **{f"{k}": array for k, array in enumerate(gradients)})
    print(f"{keras.backend.backend()}: wrote the outputs of {len(CLIP_SHAPES)} clips")


def outputs_of(model):
    """Returns names to arrays: the logits of every clip, and every endpoint of the odd one."""
    outputs = {f"logits{i}": keras.ops.convert_to_numpy(model(c)) for i, c in enumerate(clips())}
    endpoints = keras.Model(model.input, [model.get_layer(name).output for name in ENDPOINTS])
    for name, output in zip(ENDPOINTS, endpoints(clips()[1]), strict=True):
        outputs[name] = keras.ops.convert_to_numpy(output)
    return outputs


def compare(folder):
    """Exits with an error if this backend's outputs differ from the written ones."""
    model = inception_i3d()
    model.load_weights(folder / "network.weights.h5")
    whole = keras.models.load_model(folder / "network.keras")
    worst = 0.0
    expected = np.load(folder / "outputs.npz", allow_pickle=False)
    for network in (model, whole, fuse_for_inference(model)):
        outputs = outputs_of(network)
        for name in expected.files:
            worst = max(worst, _distance(outputs[name], expected[name]))
    expected = np.load(folder / "gradients.npz", allow_pickle=False)
    gradients = gradients_of_a_still_clip(model)
    worst_gradient = max(_distance(g, expected[f"{k}"]) for k, g in enumerate(gradients))
    check_that_predictions_leave_the_original(model)
    print(
        f"{keras.backend.backend()}: largest difference {worst:.1e} of the norm, of gradients by "
        f"kernels {worst_gradient:.1e}"
    )
    if not max(worst, worst_gradient) <= TOLERANCE:
        sys.exit(f"{keras.backend.backend()} differs from the reference by more than {TOLERANCE}")


def _distance(found, expected):
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def check_that_predictions_leave_the_original(model):
    """Exits with an error if a folded copy's `predict`, in which JAX deletes arrays, changes it."""
    smallest = clips()[-1]
    before = model.predict_on_batch(smallest)
    fuse_for_inference(model).predict_on_batch(smallest)
    if not np.array_equal(model.predict_on_batch(smallest), before):
        sys.exit(f"{keras.backend.backend()}: predictions of the folded network changed another's")


if __name__ == "__main__":
    without_tf32()
    {"write": write, "compare": compare}[sys.argv[1]](Path(sys.argv[2]))
