"""RGB I3D trained on rendered clips in several precisions: whether it learns, and what is skipped.

KERAS_BACKEND=jax python benchmarks/gpu_train.py --clips=clips.npz --output=train.json
KERAS_BACKEND=torch python benchmarks/gpu_train.py --clips=clips.npz --precisions=float16
KERAS_BACKEND=torch python benchmarks/gpu_train.py --clips=tiny.npz --number=12 --size=32 \
    --width_multiplier=0.1 --steps=4 --batch_size=4                        # also on a CPU

Needs JAX or PyTorch, and no TensorFlow; OpenCV where the file of clips is not there yet. The clips
are always the same, of the embedded dataset, their 16 frames spread over a whole action; so are
the weights at the start and the order of the batches. The loss is cross-entropy, the optimizer SGD
with momentum and a cosine schedule with warmup; batch norm forgets faster than in the recipes, so
that predictions can be made after few steps.

"float16" is Keras's mixed policy with `keras.optimizers.LossScaleOptimizer`, which leaves out a
step whose gradients are infinite and halves its scale; "float16_unscaled" is without. "bfloat16" is
mixed too, "float32" as it runs by default: on a GPU with TF32.
"""

import os
import time

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

from itertools import pairwise
from pathlib import Path

import keras
import numpy as np
from absl import app, flags
from gpu_backends import make_backend
from record import write_record

from i3d_tf.models.inception import inception_i3d
from i3d_tf.specs.stick_actions import STICK_LABELS
from i3d_tf.specs.validation import check_choice
from i3d_tf.system.console import one_line_errors, refuse_arguments

POLICIES = {
    "float32": "float32",
    "bfloat16": "mixed_bfloat16",
    "float16": "mixed_float16",
    "float16_unscaled": "mixed_float16",
}
NORM_MOMENTUM = 0.9
FRAMES = 16

_CLIPS = flags.DEFINE_string("clips", None, "NPZ of clips; rendered where it is not there.")
_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the numbers.")
_PRECISIONS = flags.DEFINE_list("precisions", list(POLICIES), "Precisions of training.")
_NUMBER = flags.DEFINE_integer("number", 64, "Clips.", lower_bound=1)
_SIZE = flags.DEFINE_integer("size", 112, "Height and width of a clip.", lower_bound=32)
_WIDTH = flags.DEFINE_float("width_multiplier", 1.0, "Scales the number of filters everywhere.")
_STEPS = flags.DEFINE_integer("steps", 300, "Training steps.", lower_bound=1)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 16, "Clips of a step.", lower_bound=1)
_RATE = flags.DEFINE_float("learning_rate", 0.05, "Largest learning rate.")
_SCALE = flags.DEFINE_float("initial_scale", 2.0**15, "First scale of the loss.")
_GROWTH = flags.DEFINE_integer(
    "growth_steps", 2000, "Steps without an infinite gradient after which the scale is doubled."
)
flags.mark_flag_as_required("clips")


def main(argv):
    """Trains in each precision, prints a line for each, writes the file."""
    with one_line_errors():
        refuse_arguments(argv)
        for name in _PRECISIONS.value:
            check_choice("precisions", name, POLICIES)
        backend = make_backend()
        clips, labels = _load_clips(Path(_CLIPS.value))
        runs = []
        for precision in _PRECISIONS.value:
            runs.append(_train(precision, clips, labels))
            write_record(
                _OUTPUT.value,
                ("numpy", "keras", *backend.libraries),
                backend=keras.backend.backend(),
                device=backend.device_name,
                clips=list(clips.shape),
                width_multiplier=_WIDTH.value,
                batch_size=_BATCH_SIZE.value,
                initial_scale=_SCALE.value,
                growth_steps=_GROWTH.value,
                runs=runs,
            )


def _load_clips(path):
    """Returns (float32 clips in [-1, 1], int32 labels), which are rendered if need be."""
    if not path.exists():
        _render_clips(path)
    with np.load(path, allow_pickle=False) as file:
        clips, labels = file["clips"], file["labels"]
    return clips.astype(np.float32) / 127.5 - 1, labels.astype(np.int32)


def _render_clips(path):
    """Renders clips, whose actions take turns, and keeps frames that are spread over each."""
    import cv2

    from i3d_tf.synthetic.clip import clip_seed, render_clip

    clips, labels, side = [], [], max(_SIZE.value, 64)
    for number in range(_NUMBER.value):
        index, label = divmod(number, len(STICK_LABELS))
        action = STICK_LABELS[label]
        frames = render_clip(action, clip_seed(0, "train", action, index), side)
        chosen = np.linspace(0, len(frames) - 1, FRAMES).round().astype(int)
        size = (_SIZE.value, _SIZE.value)
        clips.append([cv2.resize(frames[i], size, interpolation=cv2.INTER_AREA) for i in chosen])
        labels.append(label)
    np.savez_compressed(path, clips=np.array(clips, np.uint8), labels=np.array(labels))


def _train(precision, clips, labels):
    """Returns the numbers of one training."""
    model, optimizer = _compiled_network(precision, clips.shape[1:])
    scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    losses, scales = [], []
    start = time.perf_counter()
    for indices in _batches(len(clips)):
        model.reset_metrics()
        logs = model.train_on_batch(clips[indices], labels[indices], return_dict=True)
        losses.append(float(logs["loss"]))
        if scaled:
            scales.append(float(keras.ops.convert_to_numpy(optimizer.dynamic_scale)))
    seconds = time.perf_counter() - start
    halved = (new < old for old, new in pairwise([_SCALE.value, *scales]))
    run = {
        "precision": precision,
        "losses": losses,
        "scales": scales,
        "skipped": [step for step, is_halved in enumerate(halved) if is_halved],
        "updates": int(keras.ops.convert_to_numpy(optimizer.iterations)),
        "nan_losses": int(np.isnan(losses).sum()),
        "bad_variables": _bad_variables(model),
        "accuracy": _accuracy(model, clips, labels),
        "seconds": seconds,
    }
    print(
        f"{precision}: loss {np.mean(losses[:10]):.2f} -> {np.mean(losses[-10:]):.4f}, accuracy "
        f"{run['accuracy']:.1%}, {len(run['skipped'])} steps left out, scale "
        f"{scales[-1] if scales else 1:g}, {run['nan_losses']} NaN, "
        f"{len(run['bad_variables'])} variables not finite, {seconds:.0f} s",
        flush=True,
    )
    return run


def _compiled_network(precision, shape):
    """Returns (network, its optimizer)."""
    keras.config.set_dtype_policy(POLICIES[precision])
    keras.utils.set_random_seed(0)
    model = inception_i3d(
        input_shape=shape, classes=len(STICK_LABELS), width_multiplier=_WIDTH.value
    )
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = NORM_MOMENTUM
    warmup = max(1, _STEPS.value // 10)
    rate = keras.optimizers.schedules.CosineDecay(
        _RATE.value / 10,
        max(1, _STEPS.value - warmup),
        warmup_target=_RATE.value,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.SGD(rate, momentum=0.9)
    if precision == "float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, _SCALE.value, _GROWTH.value)
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        auto_scale_loss=False,
    )
    return model, optimizer


def _batches(number):
    """Yields the indices of the clips of each step, in the same order every time."""
    generator, waiting = np.random.default_rng(0), np.empty(0, int)
    for _ in range(_STEPS.value):
        while len(waiting) < _BATCH_SIZE.value:
            waiting = np.concatenate([waiting, generator.permutation(number)])
        yield waiting[: _BATCH_SIZE.value]
        waiting = waiting[_BATCH_SIZE.value :]


def _accuracy(model, clips, labels):
    """Returns the share of the clips that are classified correctly, as at test time."""
    size = _BATCH_SIZE.value
    found = [
        model.predict_on_batch(clips[start : start + size]).argmax(-1)
        for start in range(0, len(clips), size)
    ]
    return float((np.concatenate(found) == labels).mean())


def _bad_variables(model):
    """Returns the names of the variables that are not finite."""
    values = {v.path: keras.ops.convert_to_numpy(v) for v in model.weights}
    return [path for path, value in values.items() if not np.isfinite(value).all()]


if __name__ == "__main__":
    app.run(main)
