"""Batches of records made by the workers of tf.data service, in processes of this machine."""

import contextlib
import dataclasses
import itertools
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from i3d_tf.data.pipeline import Failures
from i3d_tf.distributed.data_servers import run_dispatcher, run_worker
from i3d_tf.records.pipeline import FailedRecords, RecordConfig, record_batches
from i3d_tf.records.record_set import read_records
from i3d_tf.records.service import check_service, distribute_to, split_address
from i3d_tf.specs.protocol import Protocol

TOOLS = Path(__file__).parents[2] / "tools"
TIME_LIMIT = 120  # seconds, after which a server counts as hung


@pytest.fixture(scope="module")
def config(texture_records):
    records = read_records(str(texture_records))
    protocol = Protocol(frames=8, short_side=36, crop_size=32)
    examples, places = records.dataset.examples, records.places
    return RecordConfig(examples, ("rgb",), protocol, 2, 3, places=places)


@pytest.fixture(scope="module")
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def batches(config, steps, service=None):
    """(the batches of some steps, failures)."""
    failures, failed = Failures(), FailedRecords(config)
    distribute = None if service is None else distribute_to(service)
    made = record_batches(config, 0, steps, failures, failed, None, distribute)
    assert len(made) == steps
    return made, failed


def clips_of(made):
    """The bytes of every clip with its label and weight."""
    return [
        (clip.tobytes(), int(label), float(weight))
        for clips, labels, weights in made
        for clip, label, weight in zip(clips.numpy(), labels, weights, strict=True)
    ]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("grpc://10.0.0.1:5050", ("10.0.0.1", 5050)),
        ("grpc://data.example.org:1", ("data.example.org", 1)),
        ("grpc://[::1]:65535", ("::1", 65535)),
    ],
)
def test_split_address(address, expected):
    assert split_address("data_service", address) == expected


@pytest.mark.parametrize(
    "address",
    [
        *("", "grpc://", "localhost:5050", "http://localhost:5050", "grpc://localhost"),
        *("grpc://localhost:", "grpc://:5050", "grpc://localhost:0", "grpc://localhost:65536"),
        *("grpc://localhost:5050/x", "grpc://localhost:٣", "grpc://a/b:5050"),
    ],
)
def test_other_addresses_are_refused(address):
    with pytest.raises(ValueError, match=r"`data_service` must be grpc://HOST:PORT; received"):
        split_address("data_service", address)


def test_service_that_does_not_answer_is_named_with_what_to_start(free_port):
    with pytest.raises(ValueError, match=r"nobody answers .*Start i3d data_dispatcher there"):
        check_service(f"grpc://127.0.0.1:{free_port}")


def test_worker_needs_a_dispatcher_that_answers(free_port):
    with pytest.raises(ValueError, match=f"127.0.0.1:{free_port}: nobody answers"):
        run_worker(f"grpc://127.0.0.1:{free_port}")


def test_port_that_is_taken_is_named():
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=rf"port {port}: .*in use. Give another --port"):
            run_dispatcher(port)


@contextlib.contextmanager
def server(tool, log, *arguments):
    """A server in a process of its own: (process, its first line)."""
    command = [sys.executable, TOOLS / f"{tool}.py", *arguments]
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as one:
        try:
            deadline = time.monotonic() + TIME_LIMIT
            while "\n" not in log.read_text():
                assert one.poll() is None, log.read_text()
                assert time.monotonic() < deadline, f"{tool} does not start"
                time.sleep(0.05)
            yield one, log.read_text()
        finally:
            one.kill()


@pytest.fixture
def service(tmp_path):
    """The address of a dispatcher."""
    with server("data_dispatcher", tmp_path / "dispatcher.log", "--port=0") as (_, line):
        assert line.startswith("dispatcher at grpc://")
        yield f"grpc://127.0.0.1:{line.partition(', ')[0].rpartition(':')[2]}"


@pytest.mark.slow
@pytest.mark.parametrize("share", [(0, 1), (1, 2)])
def test_batches_of_one_worker_are_those_of_this_process(config, service, tmp_path, share):
    config = dataclasses.replace(config, share=share)
    expected = clips_of(batches(config, 6)[0])
    assert len(expected) == 12 // share[1]
    with server("data_worker", tmp_path / "log", f"--dispatcher={service}") as (_, line):
        assert line.startswith("worker at grpc://127.0.0.1:")
        made, failed = batches(config, 6, service)
        assert clips_of(made) == expected
        assert failed.reasons() == {}


@pytest.mark.slow
def test_training_goes_on_when_one_of_two_workers_is_killed(config, service, tmp_path):
    steps = 200  # more clips than workers and trainer hold at any time
    wanted = set(clips_of(batches(config, steps)[0]))
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(server("data_worker", tmp_path / name, f"--dispatcher={service}"))
            for name in "ab"
        ]
        made, failed = batches(config, steps, service)
        left = iter(made)
        found = clips_of(itertools.islice(left, 20))
        workers[0][0].send_signal(signal.SIGKILL)
        found += clips_of(left)
    assert len(found) == 2 * steps
    assert set(found) <= wanted
    assert failed.reasons() == {}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_servers_end_at_stop_signals(tmp_path, number):
    with server("data_dispatcher", tmp_path / "log", "--port=0") as (dispatcher, _):
        dispatcher.send_signal(number)
        assert dispatcher.wait(TIME_LIMIT) == 128 + number
    assert (tmp_path / "log").read_text().endswith("Stopped; what was finished is kept.\n")


@pytest.mark.slow
def test_unreadable_record_is_reported_by_the_trainer(config, service, tmp_path):
    """A worker gives black clips with weight 0 for it, and the trainer reads it once more."""
    shard = Path(config.shards[0])
    content = shard.read_bytes()
    first = next(e for e in config.examples if config.places[e.path].shard == str(shard))
    offset = config.places[first.path].record.offset
    try:
        shard.write_bytes(content[: offset + 40] + b"\0" * 40 + content[offset + 80 :])
        with server("data_worker", tmp_path / "log", f"--dispatcher={service}"):
            made, failed = batches(config, 6, service)
            weights = np.concatenate([weights for _, _, weights in made])
        assert sorted(weights.tolist()) == [0.0] * 3 + [1.0] * 9
        assert list(failed.reasons()) == [first.path]
    finally:
        shard.write_bytes(content)
