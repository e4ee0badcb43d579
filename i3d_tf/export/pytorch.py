"""Weights of I3D as safetensors with the names of pytorch-i3d, which loads them as they are."""

import os
from collections.abc import Mapping

import keras
import numpy as np

from i3d_tf.specs.geometry import variable_shapes
from i3d_tf.specs.inception_v1 import FIRST_KERNEL, I3D
from i3d_tf.specs.ports import PYTORCH_I3D, counter_name, scale_name


def write_pytorch(path: os.PathLike | str, network: keras.Model, metadata: Mapping[str, str]):
    """Writes the state dict of pytorch-i3d's `InceptionI3d` with a network's weights.

    Its tensors load there with `strict=True`. Clips are (N, C, T, H, W) in [-1, 1] there; the
    outputs are logits for every step, whose mean over time is the output here.

    Args:
        path: The file to write.
        network: A plain I3D of one stream with its head.
        metadata: Texts to keep in the file.

    Raises:
        ValueError: The network is another one, or the file does not hold its weights.
    """
    from safetensors.numpy import load_file, save_file

    tensors = torch_tensors(network)
    save_file(tensors, path, {"format": "pt", **metadata})
    written = load_file(path)
    if {*written} != {*tensors} or not all(
        np.array_equal(written[name], values) for name, values in tensors.items()
    ):
        raise ValueError(f"{path}: the file does not hold the network's weights.")


def torch_tensors(network: keras.Model) -> dict[str, np.ndarray]:
    """Returns the entries of pytorch-i3d's state dict for a network.

    Raises:
        ValueError: The network is not a plain I3D of one stream with its head.
    """
    arrays = {variable.path: np.asarray(variable) for variable in network.weights}
    kernel = arrays.get(FIRST_KERNEL)
    expected = {}
    if kernel is not None and kernel.ndim == 5:
        expected = variable_shapes(I3D, kernel.shape[-2], network.output_shape[-1])
    if {path: values.shape for path, values in arrays.items()} != expected:
        raise ValueError(
            f"the format 'pytorch' is for I3D of full width with its head; {network.name!r} is "
            "another network. Export it as 'saved_model' or 'onnx'."
        )
    tensors = {}
    for path, values in arrays.items():
        name = PYTORCH_I3D.name(path)
        ordered = values.transpose(4, 3, 0, 1, 2) if values.ndim == 5 else values
        tensors[name] = np.ascontiguousarray(ordered, np.float32)
        if path.endswith("/beta"):
            tensors[scale_name(name)] = np.ones(values.shape, np.float32)
            tensors[counter_name(name)] = np.zeros((), np.int64)
    return tensors
