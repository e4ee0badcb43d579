"""Shards: the parts of a job that many machines share without talking to each other."""

import hashlib
import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

MAX_SHARDS = 1_000_000
# Kubernetes tells a pod its index, and not how many there are: the job's manifest has to.
COMPLETIONS = "JOB_COMPLETIONS"
_SYNTAX = re.compile(r"(?:env|([0-9]{1,7})(?=/))(?:/([0-9]{1,7}))?")


@dataclass(frozen=True)
class Shard:
    """One of the equal parts of a job.

    Attributes:
        index: Its number, from 0.
        count: How many there are.
    """

    index: int
    count: int

    def holds(self, name: str) -> bool:
        """Returns whether a video belongs to this shard, see `shard_index`."""
        return shard_index(name, self.count) == self.index

    def __str__(self) -> str:
        """Returns text such as "0/4"."""
        return f"{self.index}/{self.count}"


def shard_index(name: str, count: int) -> int:
    """Returns the number of the shard that a video belongs to, the same on every machine.

    The name is the video's path relative to the folder, the list or the `data_dir` that names it,
    with its ending and forward slashes; of a video that is named alone, it is the file's name.
    Neither the order nor the number of videos matters, nor where their folder is. The rule:
    accented letters are composed (Unicode's NFC), the UTF-8 bytes of the name are hashed with
    SHA-256, and the first 8 bytes of the hash, as a big-endian number, are taken modulo `count`.

    Args:
        name: The relative path.
        count: Number of shards.
    """
    content = unicodedata.normalize("NFC", name).encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big") % count


def parse_shard(text: str | None, environment: Mapping[str, str] | None = None) -> Shard | None:
    """Returns the shard that a flag names; None for None, which is the whole job.

    Args:
        text: "i/n", shard i of 0..n-1; "env", what the scheduler says that started this process;
            or "env/n", its index alone, of n shards.
        environment: Variables; None means those of this process.

    Raises:
        ValueError: It is something else, or the variables of the scheduler are missing or
            contradict each other.
    """
    if text is None:
        return None
    match = _SYNTAX.fullmatch(text)
    if match is None:
        raise ValueError(f"`shard` must be i/n, such as 0/4, env, or env/n; received {text!r}.")
    count = None if match[2] is None else int(match[2])
    if count is not None and not 1 <= count <= MAX_SHARDS:
        raise ValueError(f"`shard` must be of 1 to {MAX_SHARDS:,} shards; received {text!r}.")
    if match[1] is None or count is None:
        return _environment_shard(os.environ if environment is None else environment, count)
    if (index := int(match[1])) >= count:
        raise ValueError(
            f"`shard` must be one of 0/{count} to {count - 1}/{count}, as shards are numbered from "
            f"0; received {text!r}."
        )
    return Shard(index, count)


class _Variables:
    """The integers in a scheduler's variables.

    Attributes:
        read: Name to value of those that were looked at, for messages.
    """

    def __init__(self, environment, count):
        self._environment, self.given_count = environment, count
        self.read: dict[str, str] = {}

    def has(self, name):
        """Returns whether a variable is set, and not to nothing."""
        return bool(self._environment.get(name, "").strip())

    def integer(self, name, default=None):
        """Returns the value of a variable; the default where it is not set."""
        if not self.has(name) and default is not None:
            return default
        text = self._environment.get(name, "").strip()
        self.read[name] = text
        if not re.fullmatch("[0-9]{1,9}", text):
            raise self.fault(f"{name} is not a number" if text else f"{name} is not set")
        return int(text)

    def count(self, name):
        """Returns the number of shards: the one that was given, else a variable's value."""
        if self.given_count is not None:
            return self.given_count
        count = self.integer(name)
        if not 1 <= count <= MAX_SHARDS:
            raise self.fault(f"{name} must be 1 to {MAX_SHARDS:,}")
        return count

    def shard(self, index, count):
        """Returns a shard, if the index fits the count."""
        if not 0 <= index < count:
            raise self.fault(f"index {index} is not one of {count} shards, 0 to {count - 1}")
        return Shard(index, count)

    def fault(self, reason):
        """Returns the error that names the variables."""
        found = ", ".join(f"{name}={value}" for name, value in self.read.items() if value)
        return ValueError(
            f"--shard=env: {reason}{f' ({found})' if found else ''}. Set it, or give --shard=i/n "
            "or --shard=env/n, with n the number of shards."
        )


def _slurm_array(variables):
    """Returns the shard of a task of an array job, times the tasks of a step within it."""
    task = variables.integer("SLURM_ARRAY_TASK_ID")
    first = variables.integer("SLURM_ARRAY_TASK_MIN", 0)
    step = max(1, variables.integer("SLURM_ARRAY_TASK_STEP", 1))
    if (task - first) % step:
        raise variables.fault("the task is not one of its array")
    index = (task - first) // step
    ranks = variables.integer("SLURM_STEP_NUM_TASKS", 1)
    if ranks > 1:
        index = index * ranks + variables.integer("SLURM_PROCID")
    count = variables.count("SLURM_ARRAY_TASK_COUNT")
    return variables.shard(index, count * (ranks if variables.given_count is None else 1))


def _slurm_step(variables):
    rank, count = variables.integer("SLURM_PROCID"), variables.count("SLURM_NTASKS")
    # A batch script is rank 0 of all tasks, and the only one unless `srun` starts the others.
    if count > 1 and variables.has("SLURM_JOB_ID") and not variables.has("SLURM_STEP_NUM_TASKS"):
        raise variables.fault("this process was not started by srun, so that it is the only one")
    return variables.shard(rank, count)


def _kubernetes(variables):
    index = variables.integer("JOB_COMPLETION_INDEX")
    return variables.shard(index, variables.count(COMPLETIONS))


def _aws_batch(variables):
    index = variables.integer("AWS_BATCH_JOB_ARRAY_INDEX")
    return variables.shard(index, variables.count("AWS_BATCH_JOB_ARRAY_SIZE"))


# The variable by which a scheduler is known, and the function that reads its shard.
_SCHEDULERS: dict[str, Callable[[_Variables], Shard]] = {
    "SLURM_ARRAY_TASK_ID": _slurm_array,
    "SLURM_PROCID": _slurm_step,
    "JOB_COMPLETION_INDEX": _kubernetes,
    "AWS_BATCH_JOB_ARRAY_INDEX": _aws_batch,
}


def _environment_shard(environment, count) -> Shard:
    found = list(_scheduler_shards(environment, count))
    if not found:
        raise ValueError(
            f"--shard=env: none of {', '.join(_SCHEDULERS)} is set, by which SLURM, Kubernetes and "
            "AWS Batch number their tasks. Start the job there, or give --shard=i/n."
        )
    if len({shard for _, shard in found}) > 1:
        says = " and ".join(f"{name} says {shard}" for name, shard in found)
        raise ValueError(f"--shard=env: {says}. Unset all but one, or give --shard=i/n.")
    return found[0][1]


def _scheduler_shards(environment, count) -> Iterator[tuple[str, Shard]]:
    """Yields (variable, shard) of each scheduler that has started this process."""
    for name, read in _SCHEDULERS.items():
        variables = _Variables(environment, count)
        of_array = name == "SLURM_PROCID" and variables.has("SLURM_ARRAY_TASK_ID")
        if variables.has(name) and not of_array:
            yield name, read(variables)
