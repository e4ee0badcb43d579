"""A small model of how long a job takes on a dataset: the arithmetic of benchmarks/capacity.py.

time = start + clips x (decode + compute + write) / (processes x machines)
"""

from typing import NamedTuple

DAY = 86400  # seconds
MACHINES = (1, 16, 128)
TERMS = {"decode": "decoding", "compute": "computing", "write": "writing"}


class Job(NamedTuple):
    """Inputs of the model for one kind of job; seconds are those of one process while all work.

    Attributes:
        start: Seconds from the command to the first clip, and from the last one to its end.
        decode: Seconds of reading the frames of a clip.
        compute: Seconds of the network, or of optical flow, for a clip.
        write: Seconds of writing a clip's file.
        processes: Processes of a machine that work at once.
        bytes_read: Bytes of a clip's video or record.
        bytes_written: Bytes of a clip's file.
    """

    start: float
    decode: float
    compute: float
    write: float
    processes: int = 1
    bytes_read: float = 0
    bytes_written: float = 0

    @property
    def clip_seconds(self) -> float:
        """Seconds of a process for a clip."""
        return self.decode + self.compute + self.write

    def seconds(self, clips: int, machines: int = 1) -> float:
        """Predicts the time of a job.

        Args:
            clips: Clips of all machines together.
            machines: Machines that are like the measured one.
        """
        return self.start + clips * self.clip_seconds / (self.processes * machines)

    def storage_rate(self, machines: int = 1) -> float:
        """Returns the bytes per second that all machines read and write, while they work."""
        rate = self.processes * machines / self.clip_seconds  # clips per second
        return rate * (self.bytes_read + self.bytes_written)

    def limit(self) -> tuple[str, float]:
        """Returns the largest term of a clip's time, and its share of it."""
        term = max(TERMS, key=lambda name: getattr(self, name))
        return TERMS[term], getattr(self, term) / self.clip_seconds


def mean_job(jobs: list[Job]) -> Job:
    """Returns the mean of each input, over several measurements of the same job."""
    means = Job(*(sum(values) / len(jobs) for values in zip(*jobs, strict=True)))
    return means._replace(processes=jobs[0].processes)
