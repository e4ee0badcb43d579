"""Training in several processes, on one machine or more: who they are, and what they share.

Keras's `fit` does not work under TensorFlow's MultiWorkerMirroredStrategy. So every process has a
network of its own, with plain variables that start as the chief's, and makes its part of every
batch. The strategy adds up the gradients; then each process makes the same update. The chief, the
first process, alone writes and evaluates; the others wait for it.
"""

import contextlib
import hashlib
import json
import os
import re
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from i3d_tf.training.replicas import all_reduce, compute_gradients

FIRST_PORT, PORTS = 20_000, 10_000  # of the processes of a SLURM job, by its number
JOBS = ("chief", "worker")
START_SECONDS = 600  # that all processes have to start
STOPS = (signal.SIGINT, signal.SIGTERM)
LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError)
ENDED = (
    "another process of this job has ended, or cannot be reached. What was saved is kept: start "
    "all processes again, and the run goes on."
)


@dataclass(frozen=True)
class Cluster:
    """The processes of a job.

    Attributes:
        addresses: host:port of each; the first is the chief.
        index: Number of this process.
        source: What says so.
    """

    addresses: tuple[str, ...]
    index: int
    source: str

    @property
    def machine(self) -> tuple[int, int]:
        """Number of this process among those of its machine, and their number."""
        hosts = [address.rpartition(":")[0] for address in self.addresses]
        host = hosts[self.index]
        return hosts[: self.index].count(host), hosts.count(host)


def read_cluster(environment: Mapping[str, str]) -> Cluster | None:
    """Reads which processes a job has: from TF_CONFIG, or from the variables of SLURM's `srun`.

    Args:
        environment: Environment variables.

    Returns:
        The processes, or None for a process alone.

    Raises:
        ValueError: The variables are damaged or contradictory.
    """
    if environment.get("TF_CONFIG"):
        cluster = _read_tf_config(environment["TF_CONFIG"])
    elif int(environment.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        cluster = _read_slurm(environment)
    else:
        return None
    return cluster if len(cluster.addresses) > 1 else None


def _read_tf_config(text):
    advice = (
        'It has to be like {"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": '
        '"worker", "index": 0}}.'
    )
    try:
        config = json.loads(text)
        jobs, task = config.get("cluster", {}), config.get("task", {})
        addresses = [address for job in JOBS for address in jobs.get(job, ())]
        kind, index = task.get("type"), int(task.get("index", 0))
        if not jobs:
            return Cluster(("localhost",), 0, "TF_CONFIG")
        first = 0 if kind == JOBS[0] else len(jobs.get(JOBS[0], ()))
        if set(jobs) - set(JOBS) or kind not in JOBS or not 0 <= index < len(jobs.get(kind, ())):
            raise ValueError(f"the task is {kind} {index} of {', '.join(jobs)}")
        if not all(re.fullmatch(r".+:\d+", str(address)) for address in addresses):
            raise ValueError("an address is not host:port")
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"TF_CONFIG: {error}. {advice}") from error
    return Cluster(tuple(addresses), first + index, "TF_CONFIG")


def _read_slurm(environment):
    names = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_NODELIST")
    names += ("SLURM_STEP_TASKS_PER_NODE", "SLURM_JOB_ID")
    if missing := [name for name in names if name not in environment]:
        raise ValueError(f"{missing[0]} is not set, but {names[1]} is. Start the job with srun.")
    index, number, nodes, tasks, job = map(environment.get, names)
    first_port = FIRST_PORT + int(job) % PORTS
    addresses = tuple(
        f"{host}:{first_port + place}"
        for host, count in zip(expand_hosts(nodes), expand_counts(tasks), strict=False)
        for place in range(count)
    )
    if len(addresses) != int(number) or not 0 <= int(index) < len(addresses):
        raise ValueError(
            f"{names[3]} {tasks} and {names[2]} {nodes} are of {len(addresses)} processes, not of "
            f"{number} with this one as number {index}. Start the job with srun."
        )
    return Cluster(addresses, int(index), "SLURM")


def expand_hosts(text: str) -> list[str]:
    """Returns the names in a list of hosts such as "gpu[01-03,7],login"."""
    hosts = []
    for part in re.findall(r"(?:[^,\[]|\[[^\]]*\])+", text):
        names = [""]
        for piece, ranges in re.findall(r"([^\[]*)(?:\[([^\]]*)\])?", part):
            ends = [_expand_range(each) for each in ranges.split(",")] if ranges else [[""]]
            names = [name + piece + end for name in names for each in ends for end in each]
        hosts += names
    return hosts


def _expand_range(text):
    first, _, last = text.partition("-")
    return [str(n).zfill(len(first)) for n in range(int(first), int(last or first) + 1)]


def expand_counts(text: str) -> list[int]:
    """Returns the numbers in a list of tasks per node such as "4(x2),3"."""
    counts = re.findall(r"(\d+)(?:\(x(\d+)\))?", text)
    return [int(count) for count, times in counts for _ in range(int(times or 1))]


class ProcessGroup:
    """The processes that train together, as one of them sees it.

    Args:
        cluster: The processes.

    Attributes:
        index: Number of this process.
        count: Number of processes.
        is_chief: Whether this is the first one.
    """

    def __init__(self, cluster: Cluster):
        self.index, self.count = cluster.index, len(cluster.addresses)
        self.is_chief = not self.index
        _choose_gpu(*cluster.machine)
        addresses = tf.train.ClusterSpec({"worker": list(cluster.addresses)})
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            addresses, task_type="worker", task_id=self.index, rpc_layer="grpc"
        )
        with self.errors(), _stoppable():
            self._strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver)
        self._asks_to_stop, self._stops = tf.Variable(0.0), tf.Variable(0.0)

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Raises a ConnectionError in the place of TensorFlow's, when another process ended."""
        try:
            yield
        except tf.errors.OpError as error:
            if isinstance(error, LOST) or "Collective ops is aborted" in error.message:
                raise ConnectionError(ENDED) from error
            raise

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Prints nothing to stdout but what the chief prints; errors are on stderr."""
        if self.is_chief:
            yield
            return
        with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
            yield

    def from_chief(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Returns the chief's values, in all processes; also waits for all to come here.

        Args:
            values: Arrays, of the same shapes and types in all processes.
        """
        values = [np.asarray(value) for value in values]
        # As one vector, in which float32 and the integers of a state are exact.
        own = np.concatenate([value.ravel().astype(np.float64) for value in values])
        own = tf.constant(own if self.is_chief else np.zeros_like(own))
        add = tf.function(lambda: self._strategy.run(partial(all_reduce, "SUM"), args=(own,)))
        with self.errors(), _stoppable():
            parts = np.split(add().numpy(), np.cumsum([value.size for value in values])[:-1])
        pairs = zip(parts, values, strict=True)
        return [part.reshape(value.shape).astype(value.dtype) for part, value in pairs]

    def wait(self):
        """Waits for all processes to come here."""
        self.from_chief([np.zeros(1)])

    def check_same(self, *values: Any):
        """Checks that the processes were started alike; also waits for all to come here.

        Args:
            *values: What must be the same, as its text.

        Raises:
            ValueError: This process has other values than the chief.
        """
        digest = np.frombuffer(hashlib.sha256(repr(values).encode()).digest(), np.uint8)
        if not np.array_equal(digest, self.from_chief([digest])[0]):
            raise ValueError(
                f"process {self.index} of {self.count} has other flags or videos than the first. "
                "Start all with the same command, and with folders that hold the same."
            )

    def copy_from_chief(self, variables: Sequence[keras.Variable]):
        """Sets variables to the chief's values."""
        values = self.from_chief([variable.numpy() for variable in variables])
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)

    def share_steps(self, model: keras.Model):
        """Makes the training step of a compiled model one for all processes.

        Args:
            model: The network, with plain variables. XLA does not compile the step any more.
        """
        layers = [
            layer
            for layer in model._flatten_layers(include_self=False)
            if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
        ]
        statistics = [v for each in layers for v in (each.moving_mean, each.moving_variance)]

        def compute(data):
            gradients, logs = compute_gradients(model, data)
            if statistics:
                means = all_reduce("MEAN", [variable.value.read_value() for variable in statistics])
                for variable, mean in zip(statistics, means, strict=True):
                    variable.assign(mean)
            self._stops.assign(all_reduce("SUM", self._asks_to_stop.read_value()))
            return gradients, all_reduce("MEAN", logs)

        def train_step(data):
            gradients, logs = self._strategy.run(compute, args=(data,))
            model.optimizer.apply(gradients, model.trainable_variables)
            return logs

        model.train_step = train_step
        model.jit_compile = False

    def ask_to_stop(self, is_stopping: bool):
        """Tells the others at the next step whether this process is to stop after it."""
        self._asks_to_stop.assign(float(is_stopping))

    @property
    def is_stopping(self) -> bool:
        """True if a process asked to stop at the last step; all then stop after the same."""
        return bool(self._stops.numpy())


@contextlib.contextmanager
def _stoppable():
    """Lets Ctrl-C and SIGTERM end the process at once: Python does not see them while it waits."""
    handlers = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {number: signal.signal(number, signal.SIG_DFL) for number in STOPS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _meet(cluster):
    """Waits until all processes have started: TensorFlow waits without end, deaf to signals.

    All connect to the chief's address, at which TensorFlow is not yet.
    """
    deadline = time.monotonic() + START_SECONDS
    host, _, port = cluster.addresses[0].rpartition(":")
    others = len(cluster.addresses) - 1
    met: dict[bytes, socket.socket] = {}
    try:
        if not cluster.index:
            with socket.create_server(("", int(port)), backlog=others) as server:
                while len(met) < others:
                    server.settimeout(max(deadline - time.monotonic(), 0.01))
                    connection, _ = server.accept()
                    connection.settimeout(10)
                    with contextlib.suppress(OSError):  # of something else that looks for ports
                        name = connection.recv(8)
                        if len(name) == 8 and name.isdigit():
                            met[name] = connection
            try:
                for connection in met.values():
                    connection.sendall(b"1")
                    connection.recv(1)  # that it has closed its side
            except OSError as error:
                raise ConnectionError(ENDED) from error
            return
        while time.monotonic() < deadline:
            with (
                contextlib.suppress(OSError),  # it is not there yet
                socket.create_connection((host, int(port)), timeout=10) as connection,
            ):
                connection.sendall(b"%08d" % cluster.index)
                connection.settimeout(max(deadline - time.monotonic(), 0.01))
                if connection.recv(1):
                    return
            time.sleep(0.2)
        raise TimeoutError
    except TimeoutError as error:
        raise ConnectionError(
            f"the {others + 1} processes of this job have not all started within {START_SECONDS} "
            "seconds. Look at what the others say, and whether their addresses can be reached."
        ) from error
    finally:
        for connection in met.values():
            connection.close()


def _choose_gpu(place, number):
    """Shows TensorFlow one GPU: that of this process among those of its machine."""
    gpus = tf.config.list_physical_devices("GPU")
    if len(gpus) < 2:
        return
    if len(gpus) < number:
        raise ValueError(
            f"{number} processes of this machine see {len(gpus)} GPUs. Start one process for each."
        )
    if len(gpus) > number and not place:
        print(
            f"WARNING: {len(gpus) - number} of {len(gpus)} GPUs of this machine are not used. "
            "Start a process for each.",
            file=sys.stderr,
        )
    tf.config.set_visible_devices(gpus[place], "GPU")


def join_group(environment: Mapping[str, str] = os.environ) -> ProcessGroup | None:
    """Returns the processes that this one trains with, or None where it is alone.

    To be called before anything else of TensorFlow.

    Raises:
        ValueError: See `read_cluster`; or two processes have one address.
        ConnectionError: The other processes cannot be reached.
    """
    cluster = read_cluster(environment)
    if cluster is None:
        return None
    address, times = Counter(cluster.addresses).most_common(1)[0]
    if times > 1:
        raise ValueError(
            f"{cluster.source}: {times} processes have the address {address}. Give each a port of "
            "its own."
        )
    count = len(cluster.addresses)
    if not cluster.index:
        print(f"{cluster.source}: {count} processes train together; waiting for all", flush=True)
    _meet(cluster)
    group = ProcessGroup(cluster)
    group.wait()
    return group
