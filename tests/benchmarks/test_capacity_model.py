"""The model of how long a job takes, benchmarks/capacity_model.py."""

import importlib.util
import re
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def model(repository_root):
    path = repository_root / "benchmarks" / "capacity_model.py"
    spec = importlib.util.spec_from_file_location("capacity_model", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def job(model):
    """10 s of start; a clip takes 1 + 6 + 1 s, and 3 and 5 bytes; two processes."""
    return model.Job(10.0, 1.0, 6.0, 1.0, processes=2, bytes_read=3, bytes_written=5)


def test_time_is_start_and_clips_over_processes_and_machines(job):
    assert job.seconds(0) == 10
    assert job.seconds(100) == 10 + 100 * 8 / 2
    assert job.seconds(100, machines=4) == 10 + 100 * 8 / (2 * 4)


def test_storage_rate_is_the_bytes_of_clips_over_their_time(job):
    assert job.storage_rate() == (3 + 5) * 2 / 8
    assert job.storage_rate(machines=4) == 4 * (3 + 5) * 2 / 8


def test_limit_is_the_largest_term(job):
    assert job.limit() == ("computing", 6 / 8)
    assert job._replace(decode=12.0, write=2.0).limit() == ("decoding", 12 / 20)


def test_mean_job_keeps_the_number_of_processes(model, job):
    later = job._replace(start=20.0, compute=8.0)
    assert model.mean_job([job, later]) == job._replace(start=15.0, compute=7.0)
    assert isinstance(model.mean_job([job, later]).processes, int)


@pytest.mark.slow
def test_check_predicts_two_jobs_that_it_runs(repository_root):
    command = ["benchmarks/capacity.py", "--check", "--clips=3", "--sample=1", "--frames=16"]
    done = subprocess.run(
        [sys.executable, *command, "--short_side=64", "--width_multiplier=0.1"],
        cwd=repository_root,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert not done.stderr
    ratios = re.findall(r"\| (features|flow) \| [\d.]+ \| [\d.]+ \| ([\d.]+) \|", done.stdout)
    assert [name for name, _ in ratios] == ["features", "flow"]
    is_good = all(abs(float(ratio) - 1) <= 0.25 for _, ratio in ratios)
    # How near they are depends on the machine's other work; the status says what is printed.
    assert done.returncode == (0 if is_good else 1)
