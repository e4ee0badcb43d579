"""Networks as an ONNX file, compared with ONNX Runtime before it is kept."""

import importlib
import json

import numpy as np
import tensorflow as tf

from i3d_tf.export.saved_model import answer_of, clip_specs, shapes_of
from i3d_tf.inference.dataset_logits import last_step_logits
from i3d_tf.specs.inception_v1 import MIN_FRAMES
from i3d_tf.specs.streams import JOINT

PACKAGES = ("tf2onnx", "onnx", "onnxruntime")
OPSET = 17
# Both compute in float32, in another order: 6e-7 was measured. A batch norm's epsilon that is off,
# a small mistake, moves logits by 1e-2.
TOLERANCE = 1e-4  # of the norm of the logits
_CHECKED_FRAMES = 16  # enough for every layer to see neighbours in time
_ODD_SIZE = 51  # pixels; no stride of a network divides it


def check_packages():
    """Raises ValueError unless what ONNX needs, an extra of this package, is installed."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(
            f"the format 'onnx' needs {', '.join(missing)}: pip install 'i3d_tf[export]'."
        )


def write_onnx(path, networks, record, shown) -> float:
    """Writes networks as one ONNX model from float clips to logits, and compares it with them.

    Its inputs are `clip`, or `rgb` and `flow`, float32 (N, T, H, W, C); T, H and W are any where
    the networks leave them open. Classes and record are its metadata: `labels`, `protocol` and
    `record`, all JSON.

    Args:
        path: The file to write.
        networks: As of `i3d_tf.export.saved_model.ServingModule`.
        record: What goes with it, a dictionary with "class_names" and "protocol".
        shown: (T, H) of the clips that the networks are made for.

    Returns:
        The largest error found, as a part of the norm of the logits.

    Raises:
        ValueError: The file does not answer like the networks; nothing is written.
    """
    import onnx
    import tf2onnx

    def logits(*clips):
        shown = [clips] if JOINT in networks else [[clip] for clip in clips]
        answers = [answer_of(n, seen) for n, seen in zip(networks.values(), shown, strict=True)]
        return {"logits": tf.add_n([last_step_logits(answer) for answer in answers])}

    shapes = shapes_of(networks)
    specs = clip_specs(shapes)
    function = tf.function(logits, input_signature=specs, autograph=False)
    model, _ = tf2onnx.convert.from_function(function, input_signature=specs, opset=OPSET)
    _name_axes(model)
    parts = {"labels": record["class_names"], "protocol": record["protocol"], "record": record}
    texts = {name: json.dumps(part, ensure_ascii=False) for name, part in parts.items()}
    onnx.helper.set_model_props(model, texts)
    error = largest_error(model.SerializeToString(), function, _clip_shapes(shapes, shown))
    if not error <= TOLERANCE:  # so worded, NaN fails too
        raise ValueError(
            f"{path.name} does not answer like the network: its logits are off by {error:.1e} of "
            f"their norm, more than {TOLERANCE:g}. Nothing was written."
        )
    onnx.save(model, str(path))
    return error


def largest_error(serialized, function, shapes) -> float:
    """The largest difference to the networks, as a part of the norm of their logits.

    Args:
        serialized: The ONNX model, bytes.
        function: What it must equal: clips, positional, to {"logits"}.
        shapes: Shapes to compare at, each a list with the shape of every input.
    """
    import onnxruntime

    names = [spec.name for spec in function.input_signature]
    session = onnxruntime.InferenceSession(serialized, providers=["CPUExecutionProvider"])
    generator = np.random.default_rng(0)
    errors = []
    for clip_shapes in shapes:
        clips = [generator.uniform(-1, 1, shape).astype(np.float32) for shape in clip_shapes]
        (answer,) = session.run(["logits"], dict(zip(names, clips, strict=True)))
        expected = function(*map(tf.constant, clips))["logits"].numpy()
        errors.append(np.linalg.norm(answer - expected) / np.linalg.norm(expected))
    return float(np.max(errors))


def _clip_shapes(shapes, shown):
    """One clip as it is shown, but shorter, and two of sizes that nothing divides."""
    frames, size = shown
    sizes = (
        (1, min(frames, _CHECKED_FRAMES), size, size),
        (2, MIN_FRAMES + 4, _ODD_SIZE, size + 3),
    )
    return [
        [
            tuple(own or other for own, other in zip(shape, (*tried, None), strict=True))
            for shape in shapes.values()
        ]
        for tried in sizes
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
