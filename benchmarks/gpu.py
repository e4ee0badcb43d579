"""Forward passes and training steps of RGB I3D on a GPU, over a large matrix product there.

KERAS_BACKEND=jax python benchmarks/gpu.py
KERAS_BACKEND=torch python benchmarks/gpu.py --parts=inference --output=gpu.json
KERAS_BACKEND=torch python benchmarks/gpu.py --parts=networks --precisions=bfloat16
KERAS_BACKEND=jax python benchmarks/gpu.py --parts=flow,input clip.mp4 another.avi
KERAS_BACKEND=torch python benchmarks/gpu.py --size=32 --width_multiplier=0.1   # also on a CPU

Needs TensorFlow, JAX or PyTorch. The product has the precision of its row and takes turns
with the network; both run `--steps` times in a turn. Prints medians over the rounds; a share is the
network's operations per second over the product's. A training step counts as three forward passes.
"float32" is without TF32, "tf32" is float32 as it runs by default on such a GPU: with inputs of
convolutions rounded to 11 bits. "bfloat16" and "float16" are Keras's mixed policies.

Memory is the device's, at most: of PyTorch what its allocator held, of JAX what XLA plans for the
program. The distance is from "float32", over its norm: of logits in inference; in training the
largest of all kernels' gradients, for one batch with batch norm as at test time. The weights and
the clips are random and always the same.

"networks" are those of docs/networks.md, folded for inference, each by turns with I3D; the ratio is
of the times for a clip.

"flow" is TV-L1 of the given videos, or of rendered ones, by turns with the numba engine on all
processors; needs TensorFlow or JAX. "input" is how many clips of them threads make for training,
and how many threads the steps need that were measured before in the same call.

Most of JAX's time goes to tracing, on one core. Several processes with the same `--lock` trace side
by side, and compile and measure one after the other.
"""

import contextlib
import fcntl
import os
import statistics
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import keras
import numpy as np
from absl import app, flags
from gpu_backends import distance, make_backend, to_numpy, worst_distance
from product import network_operations, product_operations
from record import write_record
from zoo_networks import I3D, zoo_networks

from i3d_tf.models.fold_batch_norm import PRECISIONS as FUSED_PRECISIONS
from i3d_tf.models.fold_batch_norm import fuse_for_inference
from i3d_tf.models.inception import inception_i3d
from i3d_tf.models.multiply_adds import count_multiply_adds
from i3d_tf.specs.validation import check_choice
from i3d_tf.system.console import one_line_errors, refuse_arguments
from i3d_tf.system.worker_pool import processor_count
from i3d_tf.zoo import build

POLICIES = {
    "float32": "float32",
    "tf32": "float32",
    "bfloat16": "mixed_bfloat16",
    "float16": "mixed_float16",
}
DTYPES = {"float32": "float32", "tf32": "float32", "bfloat16": "bfloat16", "float16": "float16"}
PARTS = ("inference", "training", "networks", "flow", "input")
VIDEO_PARTS = {"flow", "input"}
VARIANTS = ("original", "fused")
CLASSES = 400
TEXT_COLUMNS = ("clip", "engine", "schedule")
# Defaults on a GPU, and on a CPU.
DEFAULTS = {
    "frames": (64, 9),
    "batch_sizes": ([1, 8, 16], [1]),
    "training_batch_sizes": ([4, 8, 16], [2]),
    "matrix": (8192, 512),
    "steps": (10, 1),
    "pairs": (64, 4),
    "flow_batches": ([16, 64], [1]),
    "clips": (8, 2),
}

_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the numbers.")
_PARTS = flags.DEFINE_list("parts", ["inference", "training"], f"Parts to measure: {PARTS}.")
_PRECISIONS = flags.DEFINE_list("precisions", list(POLICIES), "Precisions of inference.")
_TRAINING_PRECISIONS = flags.DEFINE_list(
    "training_precisions", ["float32", "tf32", "bfloat16"], "Precisions of training."
)
_NETWORKS = flags.DEFINE_list("networks", None, "Networks of that part; default: all.")
_DISTANCES = flags.DEFINE_bool(
    "distances", True, "Whether distances from float32 are measured, by programs of their own."
)
_LOCK = flags.DEFINE_string("lock", None, "File that processes on one GPU lock to measure alone.")
_VARIANTS = flags.DEFINE_list("variants", list(VARIANTS), "Networks of inference.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds of measurement.", lower_bound=1)
_SIZE = flags.DEFINE_integer("size", 224, "Height and width of a clip.", lower_bound=32)
_WIDTH = flags.DEFINE_float("width_multiplier", 1.0, "Scales the number of filters everywhere.")
_FRAMES = flags.DEFINE_integer("frames", None, "Frames of a clip; 64 on a GPU.", lower_bound=9)
_BATCH_SIZES = flags.DEFINE_list("batch_sizes", None, "Clips of a forward pass.")
_TRAINING_BATCH_SIZES = flags.DEFINE_list("training_batch_sizes", None, "Clips of a step.")
_MATRIX = flags.DEFINE_integer("matrix", None, "Rows and columns of the product.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", None, "Repetitions in a turn.", lower_bound=1)
_PAIRS = flags.DEFINE_integer("pairs", None, "Pairs of frames of a turn of flow.", lower_bound=1)
_FLOW_BATCHES = flags.DEFINE_list("flow_batches", None, "Pairs of frames that are solved at once.")
_CLIPS = flags.DEFINE_integer("clips", None, "Clips of a turn of a thread.", lower_bound=1)


def main(argv):
    """Measures, prints the tables, writes the file."""
    with one_line_errors():
        if not VIDEO_PARTS.intersection(_PARTS.value):
            refuse_arguments(argv)
        for flag, choices in (
            (_PARTS, PARTS),
            (_VARIANTS, VARIANTS),
            (_PRECISIONS, POLICIES),
            (_TRAINING_PRECISIONS, POLICIES),
        ):
            for name in flag.value:
                check_choice(flag.name, name, choices)
        with tempfile.TemporaryDirectory() as folder:
            videos = argv[1:]
            if not videos and VIDEO_PARTS.intersection(_PARTS.value):
                from gpu_video import rendered_videos

                videos = rendered_videos(Path(folder))
            benchmark = _Benchmark(make_backend(), videos)
            print(benchmark.title())
            for part in _PARTS.value:
                getattr(benchmark, part)()


class _Benchmark:
    """The measurements on one backend."""

    def __init__(self, backend, videos):
        self.backend, self.videos = backend, videos
        if not backend.has_gpu and not flags.FLAGS["size"].present:
            raise ValueError(
                f"{keras.backend.backend()} finds no GPU here. Try this benchmark with --size=32, "
                "or measure the CPU with benchmarks/inference.py."
            )
        self.settings = {}
        for name, (on_gpu, on_cpu) in DEFAULTS.items():
            value = flags.FLAGS[name].value
            if value is None:
                value = on_gpu if backend.has_gpu else on_cpu
            self.settings[name] = list(map(int, value)) if isinstance(value, list) else value
        self.products = {}  # precision -> turn
        self.compiled = set()  # identities of turns
        self.results = {}  # part -> rows

    def title(self):
        """Returns the first line of the output."""
        versions = " ".join(map(_version, ("keras", *self.backend.libraries)))
        where = self.backend.device_name if self.backend.has_gpu else "a CPU: there is no GPU"
        size = _SIZE.value
        return f"{versions} on {where}; clips of {self.settings['frames']} x {size} x {size}"

    def inference(self):
        """Measures forward passes; for every batch size a table, and the file anew."""
        names = [
            (precision, variant)
            for precision in _PRECISIONS.value
            for variant in _VARIANTS.value
            if variant == "original" or DTYPES[precision] in FUSED_PRECISIONS
        ]
        reference_name = ("float32", "original")
        extra = [reference_name] if _DISTANCES.value else []
        networks = {name: self._network(*name) for name in [*extra, *names]}
        for batch_size in self.settings["batch_sizes"]:
            clips, _ = self._batch(batch_size)
            turns = {}
            for name, network in networks.items():
                with self.backend.tf32(name[0] != "float32"):
                    turns[name] = self.backend.forward(network, clips)
            outputs, found = self._measure(turns, names)
            reference = to_numpy(outputs[reference_name]) if _DISTANCES.value else None
            operations = batch_size * self._operations()
            rows = []
            for name in names:
                row = {"precision": name[0], "variant": name[1], "batch_size": batch_size}
                away = None if reference is None else distance(outputs[name], reference)
                rows.append({**row, **self._row(found, name, operations, batch_size, away)})
            self._report("inference", "Forward pass of RGB I3D", rows)

    def training(self):
        """Measures training steps; for every batch size a table, and the file anew."""
        precisions = _TRAINING_PRECISIONS.value
        away = self._gradient_distances(precisions) if _DISTANCES.value else {}
        networks = {precision: self._network(precision) for precision in precisions}
        for batch_size in self.settings["training_batch_sizes"]:
            batch = self._batch(batch_size)
            turns = {}
            for precision in precisions:
                with self.backend.tf32(precision != "float32"):
                    turns[precision,] = self.backend.training_step(networks[precision], *batch)
            _, found = self._measure(turns, list(turns))
            operations = 3 * batch_size * self._operations()
            rows = []
            for name in turns:
                row = {"precision": name[0], "variant": "step", "batch_size": batch_size}
                values = self._row(found, name, operations, batch_size, away.get(name[0]))
                rows.append({**row, **values})
            self._report("training", "Training step of RGB I3D", rows)

    def networks(self):
        """Measures forward passes of the zoo's networks; for each a table, and the file anew."""
        for precision in _PRECISIONS.value:
            if DTYPES[precision] not in FUSED_PRECISIONS:
                raise ValueError(f"Networks are not folded to {precision}. Leave it out.")
            for batch_size in self.settings["batch_sizes"]:
                reference = None
                for network in zoo_networks():
                    chosen = _NETWORKS.value is None or network.title in _NETWORKS.value
                    if chosen or network.name == I3D:
                        reference = self._measure_network(network, precision, batch_size, reference)

    def flow(self):
        """Measures optical flow: a table for all videos."""
        from gpu_video import measure_flow  # needs libraries of video, as no other part does

        settings = self.settings
        with _alone():
            rows = measure_flow(
                self.videos, settings["pairs"], settings["flow_batches"], _ROUNDS.value
            )
        self._keep("flow", rows)
        columns = {
            "clip": "{clip}",
            "size": "{size[1]} x {size[0]}",
            "engine": "{engine}",
            "schedule": "{schedule}",
            "batch": "{batch}",
            "pairs/s": "{pairs_per_second:.1f}",
            "x numba": "{ratio:.2f}",
            "error, px": "{mean_error:.4f}",
        }
        _print_columns("TV-L1", columns, rows)

    def input(self):
        """Measures how many clips threads make, and how many threads the training steps need."""
        from gpu_video import measure_input

        processors = processor_count()
        threads = sorted({1, max(1, processors // 2), processors})
        frames, clips = self.settings["frames"], self.settings["clips"]
        rows = measure_input(self.videos, frames, threads, clips, _ROUNDS.value)
        self._keep("input", rows)
        columns = {
            "threads": "{threads}",
            "clips/s": "{clips_per_second:.1f}",
            "processor ms / clip": "{processor_ms:.0f}",
        }
        _print_columns(f"Training clips of {frames} x 224 x 224", columns, rows)
        for step in self.results.get("training", []):
            needed = step["clips_per_second"] * rows[-1]["processor_ms"] / 1e3
            print(
                f"{step['precision']}, batch {step['batch_size']}: {step['clips_per_second']:.0f} "
                f"clips/s in training need {needed:.1f} processors"
            )

    def _measure_network(self, network, precision, batch_size, reference):
        """Measures a network by turns with I3D, whose turn is returned."""
        shape = network.shape
        if flags.FLAGS["size"].present:
            shape = (*shape[:-3], _SIZE.value, _SIZE.value, shape[-1])
        keras.config.set_dtype_policy("float32")
        keras.utils.set_random_seed(0)
        model = build(
            network.name, input_shape=shape, width_multiplier=_WIDTH.value, **network.arguments
        )
        clips, _ = self._batch(batch_size, shape)
        name, exact_name, i3d_name = ((precision, title) for title in (network.title, "exact", I3D))
        turns = {}
        with self.backend.tf32(precision != "float32"):
            folded = fuse_for_inference(model, DTYPES[precision])
            turns[name] = self.backend.forward(folded, clips)
        if _DISTANCES.value:
            with self.backend.tf32(False):
                turns[exact_name] = self.backend.forward(model, clips)
        if reference is not None:
            turns[i3d_name] = reference
        outputs, found = self._measure(turns, list(dict.fromkeys([name, i3d_name])))
        away = distance(outputs[name], outputs[exact_name]) if _DISTANCES.value else None
        operations = 2 * batch_size * count_multiply_adds(model)
        row = {"precision": precision, "variant": network.title, "batch_size": batch_size}
        row |= self._row(found, name, operations, batch_size, away)
        times = zip(found[name][1], found[i3d_name][1], strict=True)
        row["ratio"] = statistics.median(ours / theirs for ours, theirs in times)
        self._report("networks", f"Forward pass, {row['ratio']:.2f} of I3D's time", [row])
        return turns[i3d_name]

    def _report(self, part, title, rows):
        """Prints a table and writes the file with it."""
        _print_table(title, rows)
        self._keep(part, rows)

    def _keep(self, part, rows):
        """Writes the file with the rows, so that what was measured is kept."""
        self.results.setdefault(part, []).extend(rows)
        write_record(
            _OUTPUT.value,
            ("numpy", "keras", *self.backend.libraries),
            backend=keras.backend.backend(),
            device=self.backend.device_name,
            size=_SIZE.value,
            width_multiplier=_WIDTH.value,
            rounds=_ROUNDS.value,
            **self.settings,
            **self.results,
        )

    def _gradient_distances(self, precisions):
        batch = self._batch(1)
        turns = {}
        for precision in dict.fromkeys(["float32", *precisions]):
            with self.backend.tf32(precision != "float32"):
                turns[precision] = self.backend.gradients(self._network(precision), *batch)
        with _alone():
            self.backend.compile_all(list(turns.values()))
            found = {name: list(map(to_numpy, turn.run())) for name, turn in turns.items()}
        return {name: worst_distance(found[name], found["float32"]) for name in precisions}

    def _measure(self, turns, names):
        """Takes turns.

        Args:
            turns: Name, which starts with the precision, to turn.
            names: The turns to measure; of the others there is the output only.

        Returns:
            ({name: output}, {name: (turn, its seconds, those of the product)}).
        """
        with _alone():
            products = {name: self._product(name[0]) for name in names}
            new = [turn for turn in turns.values() if id(turn) not in self.compiled]
            seconds = self.backend.compile_all(new)
            self.compiled |= set(map(id, new))
            print(f"{len(new)} programs are ready after {seconds:.0f} s", file=sys.stderr)
            outputs = {}
            for name, turn in turns.items():
                self.backend.start_peak()
                outputs[name] = turn.run()
                self.backend.wait(outputs[name])
                turn.bytes = self.backend.peak() or turn.bytes
            found = {name: (turns[name], [], []) for name in names}
            for _ in range(_ROUNDS.value):
                for name in names:
                    found[name][1].append(self._seconds(turns[name]))
                    found[name][2].append(self._seconds(products[name]))
        return outputs, found

    def _seconds(self, turn):
        """Returns the seconds of one run, the mean of a turn's."""
        start = time.perf_counter()
        for _ in range(self.settings["steps"]):
            outputs = turn.run()
        self.backend.wait(outputs)
        return (time.perf_counter() - start) / self.settings["steps"]

    def _product(self, precision):
        """Returns the turn of the matrix product of a precision, compiled."""
        if precision not in self.products:
            with self.backend.tf32(precision != "float32"):
                turn = self.backend.product(self.settings["matrix"], DTYPES[precision])
            self.backend.compile_all([turn])
            self.products[precision] = turn
        return self.products[precision]

    def _row(self, found, name, operations, batch_size, away):
        """Returns the numbers of a row."""
        turn, seconds, product_seconds = found[name]
        work = product_operations(self.settings["matrix"])
        ratios = [theirs / ours for ours, theirs in zip(seconds, product_seconds, strict=True)]
        return {
            "clips_per_second": batch_size / statistics.median(seconds),
            "tflops": operations / statistics.median(seconds) / 1e12,
            "product_tflops": work / statistics.median(product_seconds) / 1e12,
            "share": operations / work * statistics.median(ratios),
            "memory_bytes": turn.bytes,
            "distance": away,
            "seconds": seconds,
            "product_seconds": product_seconds,
        }

    def _operations(self):
        """Returns the operations of the forward pass of one clip."""
        frames = self.settings["frames"]
        return network_operations(frames, _SIZE.value, CLASSES, _WIDTH.value)

    def _batch(self, batch_size, shape=None):
        """Returns (clips, labels) of noise, on the device; a clip's shape is I3D's or a given."""
        generator = np.random.default_rng(0)
        shape = shape or (self.settings["frames"], _SIZE.value, _SIZE.value, 3)
        clips = generator.uniform(-1, 1, (batch_size, *shape)).astype(np.float32)
        labels = generator.integers(CLASSES, size=batch_size).astype(np.int32)
        return self.backend.put(clips), self.backend.put(labels)

    def _network(self, precision, variant="original"):
        """Returns a network ready to be trained, or a fused one."""
        keras.config.set_dtype_policy(POLICIES[precision])
        keras.utils.set_random_seed(0)
        size = _SIZE.value
        model = inception_i3d(
            input_shape=(self.settings["frames"], size, size, 3),
            classes=CLASSES,
            width_multiplier=_WIDTH.value,
        )
        model.compile(
            optimizer=keras.optimizers.SGD(0.01, momentum=0.9),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        return fuse_for_inference(model, DTYPES[precision]) if variant == "fused" else model


@contextlib.contextmanager
def _alone():
    """Waits until no other process with the same `--lock` is within such a block."""
    if _LOCK.value is None:
        yield
        return
    with open(_LOCK.value, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _version(name):
    return f"{name} {version(name)}"


def _print_columns(title, columns, rows):
    """Prints a table of columns, heading to format."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title)
    for heading in columns:
        table.add_column(heading, justify="left" if heading in TEXT_COLUMNS else "right")
    for row in rows:
        table.add_row(*(text.format(**row) for text in columns.values()))
    Console(width=None if sys.stdout.isatty() else 100).print(table)


def _print_table(title, rows):
    from rich.console import Console
    from rich.table import Table

    table = Table("precision", "", title=title)
    for heading in ("batch", "clips/s", "TFLOP/s", "product", "share", "GiB", "distance"):
        table.add_column(heading, justify="right")
    for row in rows:
        memory = row["memory_bytes"]
        table.add_row(
            row["precision"],
            row["variant"],
            str(row["batch_size"]),
            f"{row['clips_per_second']:.1f}",
            f"{row['tflops']:.2f}",
            f"{row['product_tflops']:.2f}",
            f"{row['share']:.0%}",
            "" if memory is None else f"{memory / 2**30:.1f}",
            "" if row["distance"] is None else f"{row['distance']:.1e}",
        )
    Console(width=None if sys.stdout.isatty() else 100).print(table)


if __name__ == "__main__":
    app.run(main)
