"""The three Keras backends that `gpu.py` measures, with one interface."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np


@dataclass
class Turn:
    """One thing to measure.

    Attributes:
        run: Starts the work once and returns its output, which the device may still be computing.
        compile: Compiles it; returns the bytes of device memory that it needs, if they are known.
        bytes: Peak of the device memory, None where it is not known.
    """

    run: Callable[[], Any]
    compile: Callable[[], int | None] = lambda: None
    bytes: int | None = None


class JaxBackend:
    """JAX: every program is compiled by XLA, one after the other, before it is measured."""

    libraries = ("jax", "jaxlib")

    def __init__(self):
        import jax

        self.jax = jax
        self.device = jax.devices()[0]
        self.has_gpu = self.device.platform == "gpu"
        self.device_name = self.device.device_kind

    @contextlib.contextmanager
    def tf32(self, allowed: bool) -> Iterator[None]:
        """Allows or forbids TF32 in float32 convolutions and products, while they are traced."""
        with self.jax.default_matmul_precision("default" if allowed else "highest"):
            yield

    def put(self, array: np.ndarray) -> Any:
        """Copies an array to the device."""
        return self.jax.device_put(array, self.device)

    def wait(self, outputs: Any) -> None:
        """Waits until the device has computed the outputs."""
        self.jax.block_until_ready(outputs)

    def product(self, size: int, dtype: str) -> Turn:
        """Returns the turn of the product of two square matrices."""
        matrix = self.put(_matrix(size)).astype(dtype)
        return self._turn(lambda a: a @ a, matrix)

    def forward(self, model: keras.Model, clips: Any) -> Turn:
        """Returns the turn of a forward pass, as `model.predict` compiles it."""
        weights = [[v.value for v in model.trainable_variables]]
        weights.append([v.value for v in model.non_trainable_variables])
        return self._turn(
            lambda weights, x: model.stateless_call(*weights, x, training=False)[0], weights, clips
        )

    def training_step(self, model: keras.Model, clips: Any, labels: Any) -> Turn:
        """Returns the turn of a training step of a compiled model, as `model.fit` compiles it."""
        jax = self.jax
        model.optimizer.build(model.trainable_variables)
        model.compute_metrics  # noqa: B018  # metrics exist from here on
        lists = (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
        state = [jax.tree.map(lambda v: v.value.copy(), list(variables)) for variables in lists]
        data = (clips, labels)
        step = jax.jit(model.train_step, donate_argnums=0)
        lowered = step.lower(tuple(state), data)
        holder = {"state": tuple(state)}
        turn = Turn(lambda: None)

        def compile_step():
            holder["step"] = lowered.compile()
            return _memory_of(holder["step"])

        def run():
            logs, holder["state"] = holder["step"](holder["state"], data)
            return logs

        turn.compile, turn.run = compile_step, run
        return turn

    def gradients(self, model: keras.Model, clips: Any, labels: Any) -> Turn:
        """Returns the turn of the gradients of all kernels, with batch norm as at test time."""
        trainable = [v.value for v in model.trainable_variables]
        others = [v.value for v in model.non_trainable_variables]
        kernels = [i for i, v in enumerate(model.trainable_variables) if is_kernel(v)]

        def loss(trainable, others, x, y):
            logits, _ = model.stateless_call(trainable, others, x, training=False)
            return model.loss(y, logits)

        def gradients(*arguments):
            found = self.jax.grad(loss)(*arguments)
            return [found[index] for index in kernels]

        return self._turn(gradients, trainable, others, clips, labels)

    def compile_all(self, turns: Sequence[Turn]) -> float:
        """Compiles the turns and returns the seconds that it took."""
        start = time.perf_counter()
        for turn in turns:
            turn.bytes = turn.compile()
        return time.perf_counter() - start

    def start_peak(self) -> None:
        """Does nothing: XLA says what a program needs when it compiles it."""

    def peak(self) -> int | None:
        """Returns None; see `start_peak`."""
        return None

    def _turn(self, function, *arguments):
        lowered = self.jax.jit(function).lower(*arguments)
        compiled = []

        def compile_function():
            compiled.append(lowered.compile())
            return _memory_of(compiled[0])

        return Turn(lambda: compiled[0](*arguments), compile_function)


class TorchBackend:
    """PyTorch: layers run one after the other, from Python."""

    libraries = ("torch",)

    def __init__(self):
        import torch

        self.torch = torch
        self.has_gpu = torch.cuda.is_available()
        self.device_name = torch.cuda.get_device_name() if self.has_gpu else "cpu"
        self.device = "cuda" if self.has_gpu else "cpu"
        self._tf32 = True

    @contextlib.contextmanager
    def tf32(self, allowed: bool) -> Iterator[None]:
        """Allows or forbids TF32 in the turns that are made within."""
        self._tf32 = allowed
        yield

    def put(self, array: np.ndarray) -> Any:
        """Copies an array to the device."""
        return self.torch.from_numpy(array).to(self.device)

    def wait(self, outputs: Any) -> None:
        """Waits until the device has computed everything."""
        if self.has_gpu:
            self.torch.cuda.synchronize()

    def product(self, size: int, dtype: str) -> Turn:
        """Returns the turn of the product of two square matrices."""
        matrix = self.put(_matrix(size)).to(getattr(self.torch, dtype))
        return self._turn(lambda: matrix @ matrix)

    def forward(self, model: keras.Model, clips: Any) -> Turn:
        """Returns the turn of a forward pass, as `model.predict` runs it."""

        def run():
            with self.torch.no_grad():
                return model(clips, training=False)

        return self._turn(run)

    def training_step(self, model: keras.Model, clips: Any, labels: Any) -> Turn:
        """Returns the turn of a training step of a compiled model, as `model.fit` runs it."""
        model.optimizer.build(model.trainable_variables)
        return self._turn(lambda: model.train_step((clips, labels)))

    def gradients(self, model: keras.Model, clips: Any, labels: Any) -> Turn:
        """Returns the turn of the gradients of all kernels, with batch norm as at test time."""
        kernels = [v.value for v in model.trainable_variables if is_kernel(v)]

        def run():
            loss = model.loss(labels, model(clips, training=False))
            return self.torch.autograd.grad(loss, kernels)

        return self._turn(run)

    def compile_all(self, turns: Sequence[Turn]) -> float:
        """Runs each turn once, so that cuDNN has chosen its algorithms; returns the seconds."""
        start = time.perf_counter()
        for turn in turns:
            self.wait(turn.run())
        return time.perf_counter() - start

    def start_peak(self) -> None:
        """Starts to watch the device memory."""
        if self.has_gpu:
            self.torch.cuda.empty_cache()
            self.torch.cuda.reset_peak_memory_stats()

    def peak(self) -> int | None:
        """Returns the peak of the device memory since `start_peak`, None on a CPU."""
        return self.torch.cuda.max_memory_allocated() if self.has_gpu else None

    def _turn(self, run):
        tf32 = self._tf32

        def run_with_tf32():
            self.torch.backends.cudnn.allow_tf32 = tf32
            self.torch.backends.cuda.matmul.allow_tf32 = tf32
            return run()

        return Turn(run_with_tf32)


class TensorFlowBackend:
    """TensorFlow: graphs whose operations run one after the other, as `fit` and `predict` do."""

    libraries = ("tensorflow",)

    def __init__(self):
        import tensorflow as tf

        self.tf = tf
        gpus = tf.config.list_physical_devices("GPU")
        self.has_gpu = bool(gpus)
        details = tf.config.experimental.get_device_details(gpus[0]) if gpus else {}
        self.device_name = details.get("device_name", "cpu")
        self._tf32 = True

    @contextlib.contextmanager
    def tf32(self, allowed: bool) -> Iterator[None]:
        """Allows or forbids TF32 in the turns that are made within."""
        self._tf32 = allowed
        yield

    def put(self, array: np.ndarray) -> Any:
        """Copies an array to the device."""
        return self.tf.identity(array)

    def wait(self, outputs: Any) -> None:
        """Waits until the device has computed everything."""
        self.tf.test.experimental.sync_devices()

    def product(self, size: int, dtype: str) -> Turn:
        """Returns the turn of the product of two square matrices."""
        matrix = self.tf.cast(self.put(_matrix(size)), dtype)
        return self._turn(lambda a: a @ a, matrix)

    def forward(self, model: keras.Model, clips: Any) -> Turn:
        """Returns the turn of a forward pass, as `model.predict` runs it."""
        return self._turn(lambda x: model(x, training=False), clips)

    def training_step(self, model: keras.Model, clips: Any, labels: Any) -> Turn:
        """Returns the turn of a training step of a compiled model, as `model.fit` runs it."""
        model.optimizer.build(model.trainable_variables)
        model.compute_metrics  # noqa: B018  # metrics exist from here on
        return self._turn(lambda x, y: model.train_step((x, y)), clips, labels)

    def gradients(self, model: keras.Model, clips: Any, labels: Any) -> Turn:
        """Returns the turn of the gradients of all kernels, with batch norm as at test time."""
        kernels = [v.value for v in model.trainable_variables if is_kernel(v)]

        def gradients(x, y):
            with self.tf.GradientTape() as tape:
                loss = model.loss(y, model(x, training=False))
            return tape.gradient(loss, kernels)

        return self._turn(gradients, clips, labels)

    def compile_all(self, turns: Sequence[Turn]) -> float:
        """Runs each turn once, so that it is traced; returns the seconds."""
        start = time.perf_counter()
        for turn in turns:
            self.wait(turn.run())
        return time.perf_counter() - start

    def start_peak(self) -> None:
        """Starts to watch the device memory."""
        if self.has_gpu:
            self.tf.config.experimental.reset_memory_stats("GPU:0")

    def peak(self) -> int | None:
        """Returns the peak of the device memory since `start_peak`, None on a CPU."""
        if not self.has_gpu:
            return None
        return self.tf.config.experimental.get_memory_info("GPU:0")["peak"]

    def _turn(self, function, *arguments):
        traced, tf32 = self.tf.function(function, autograph=False), self._tf32

        def run():
            self.tf.config.experimental.enable_tensor_float_32_execution(tf32)
            return traced(*arguments)

        return Turn(run)


BACKENDS = {"jax": JaxBackend, "tensorflow": TensorFlowBackend, "torch": TorchBackend}


def make_backend() -> JaxBackend | TensorFlowBackend | TorchBackend:
    """Returns the backend that Keras runs on."""
    return BACKENDS[keras.backend.backend()]()


def is_kernel(variable: keras.Variable) -> bool:
    """Returns whether a variable is the kernel of a convolution."""
    return variable.path.endswith("kernel")


def distance(found: Any, expected: Any) -> float:
    """Returns the norm of the difference over the norm of the expected values; NaN stays NaN."""
    found, expected = (np.asarray(to_numpy(a), np.float64) for a in (found, expected))
    difference = float(np.linalg.norm(found - expected))
    return difference / float(np.linalg.norm(expected)) if difference else 0.0


def worst_distance(found: Sequence[Any], expected: Sequence[Any]) -> float:
    """Returns the largest distance of all arrays; NaN if one is NaN."""
    return float(np.max([distance(a, b) for a, b in zip(found, expected, strict=True)]))


def to_numpy(array: Any) -> np.ndarray:
    """Copies an array from the device, as float32."""
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(array, "float32")))


def _matrix(size):
    return np.random.default_rng(0).uniform(-1, 1, (size, size)).astype(np.float32)


def _memory_of(compiled):
    """Returns the bytes that an XLA program needs: arguments, outputs and temporary ones."""
    sizes = compiled.memory_analysis()
    if sizes is None:
        return None
    kept = sizes.output_size_in_bytes - sizes.alias_size_in_bytes
    return sizes.argument_size_in_bytes + sizes.temp_size_in_bytes + kept
