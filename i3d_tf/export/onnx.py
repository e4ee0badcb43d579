"""Networks as an ONNX file, compared with ONNX Runtime before it is kept."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from i3d_tf.export.saved_model import call_network, clip_shapes, clip_specs
from i3d_tf.inference.dataset_logits import pool_step_logits
from i3d_tf.specs.inception_v1 import MIN_FRAMES
from i3d_tf.specs.streams import streams_of

OPSET = 17
# Both compute in float32, in another order: 6e-7 was measured. A batch norm's epsilon that is off,
# a small mistake, moves logits by 1e-2.
TOLERANCE = 1e-4  # of the norm of the logits
_CHECKED_FRAMES = 16  # enough for every layer to see neighbors in time
_ODD_SIZE = 51  # pixels; no stride of a network divides it


def write_onnx(
    path: str | os.PathLike,
    networks: Mapping[str, keras.Model],
    metadata: Mapping,
    clip_size: tuple[int, int],
) -> float:
    """Writes networks as one ONNX model from float clips to logits, and compares it with them.

    Its inputs are `clip`, or `rgb` and `flow`, float32 (N, T, H, W, C); T, H and W are any where
    the networks leave them open. Its metadata are `labels`, `protocol` and `record`, all JSON.

    Args:
        path: The file to write.
        networks: See `i3d_tf.export.saved_model.ServingModule`.
        metadata: The metadata of the export, with "class_names" and "protocol".
        clip_size: (T, H) of the protocol's clips.

    Returns:
        The largest error found, as a part of the norm of the logits.

    Raises:
        ValueError: The logits of the file are not the networks'; nothing is written.
    """
    import onnx
    import tf2onnx

    shapes = clip_shapes(networks)
    specs = clip_specs(shapes)

    def sum_logits(*clips):
        by_stream = dict(zip(shapes, clips, strict=True))
        outputs = [
            pool_step_logits(
                network, call_network(network, [by_stream[stream] for stream in streams_of(name)])
            )
            for name, network in networks.items()
        ]
        return {"logits": tf.add_n(outputs)}

    function = tf.function(sum_logits, input_signature=specs, autograph=False)
    model, _ = tf2onnx.convert.from_function(function, input_signature=specs, opset=OPSET)
    _name_axes(model)
    parts = {
        "labels": metadata["class_names"],
        "protocol": metadata["protocol"],
        "record": metadata,
    }
    texts = {name: json.dumps(part, ensure_ascii=False) for name, part in parts.items()}
    onnx.helper.set_model_props(model, texts)
    error = largest_error(model.SerializeToString(), function, _tested_shapes(shapes, clip_size))
    if not error <= TOLERANCE:  # so that NaN fails too
        raise ValueError(
            f"{Path(path).name} does not compute what the network does: its logits are off by "
            f"{error:.1e} of their norm, more than {TOLERANCE:g}. Nothing was written."
        )
    onnx.save(model, str(path))
    return error


def largest_error(
    serialized: bytes, function: Any, shapes: Sequence[Sequence[tuple[int, ...]]]
) -> float:
    """Returns the largest difference to the networks, as a part of the norm of their logits.

    Args:
        serialized: The ONNX model.
        function: The networks as a tf.function of clips, positional, to {"logits"}.
        shapes: Shapes to compare at, each a list with the shape of every input.
    """
    import onnxruntime

    names = [spec.name for spec in function.input_signature]
    session = onnxruntime.InferenceSession(serialized, providers=["CPUExecutionProvider"])
    generator = np.random.default_rng(0)
    errors = []
    for of_inputs in shapes:
        clips = [generator.uniform(-1, 1, shape).astype(np.float32) for shape in of_inputs]
        (logits,) = session.run(["logits"], dict(zip(names, clips, strict=True)))
        expected = function(*map(tf.constant, clips))["logits"].numpy()
        errors.append(np.linalg.norm(logits - expected) / np.linalg.norm(expected))
    return float(np.max(errors))


def _tested_shapes(shapes, clip_size):
    """Returns shapes of one clip of the protocol's size, but shorter, and of two of odd sizes."""
    frames, size = clip_size
    sizes = (
        (1, min(frames, _CHECKED_FRAMES), size, size),
        (2, MIN_FRAMES + 4, _ODD_SIZE, size + 3),
    )
    return [
        [
            tuple(own or other for own, other in zip(shape, (*tested, None), strict=True))
            for shape in shapes.values()
        ]
        for tested in sizes
    ]


def _name_axes(model):
    """Gives the open axes names, the same for all inputs; tf2onnx numbers them."""
    for value in model.graph.input:
        dims = value.type.tensor_type.shape.dim
        for dim, name in zip(dims, ("N", "T", "H", "W", "C"), strict=True):
            if dim.dim_param:
                dim.dim_param = name
    for value in model.graph.output:
        value.type.tensor_type.shape.dim[0].dim_param = "N"
