"""Training in two processes equals training in one, also when one of them is killed."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from fixtures.replicas import OPTIONS, PROGRAM, TESTS, check_equal

from i3d_tf.training.process_group import Cluster, expand_counts, expand_hosts, read_cluster
from i3d_tf.training.workdir import Workdir

SECONDS = 500
END_SECONDS = 100  # until a process notices that another one is gone


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("node7", ["node7"]),
        ("gpu[01-03,7],login", ["gpu01", "gpu02", "gpu03", "gpu7", "login"]),
        ("a[9-10]", ["a9", "a10"]),
        ("rack[1-2]n[1,3]", ["rack1n1", "rack1n3", "rack2n1", "rack2n3"]),
    ],
)
def test_expand_hosts_lists_every_name_in_order(text, hosts):
    assert expand_hosts(text) == hosts


def test_expand_counts_repeats_numbers():
    assert expand_counts("4(x2),3") == [4, 4, 3]


def slurm(**changes):
    return {
        "SLURM_PROCID": "2",
        "SLURM_STEP_NUM_TASKS": "3",
        "SLURM_STEP_NODELIST": "gpu[9-10]",
        "SLURM_STEP_TASKS_PER_NODE": "2,1",
        "SLURM_JOB_ID": "1234567",
        **changes,
    }


def test_processes_of_srun_have_ports_of_their_own():
    cluster = read_cluster(slurm())
    assert cluster == Cluster(("gpu9:24567", "gpu9:24568", "gpu10:24567"), 2, "SLURM")
    assert cluster.machine == (0, 1)
    assert read_cluster(slurm(SLURM_PROCID="1")).machine == (1, 2)


def tf_config(kind="worker", index=1, **jobs):
    jobs = jobs or {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
    return {"TF_CONFIG": json.dumps({"cluster": jobs, "task": {"type": kind, "index": index}})}


def test_chief_of_tf_config_is_the_first_process():
    addresses = ("a:1", "b:1", "c:1")
    assert read_cluster(tf_config()) == Cluster(addresses, 2, "TF_CONFIG")
    assert read_cluster(tf_config("chief", 0)) == Cluster(addresses, 0, "TF_CONFIG")
    assert read_cluster(tf_config(worker=["b:1", "c:1"])).index == 1


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"TF_CONFIG": ""},
        {"TF_CONFIG": "{}"},
        tf_config(index=0, worker=["a:1"]),
        {"SLURM_PROCID": "0", "SLURM_NTASKS": "8", "SLURM_JOB_ID": "1"},  # in a script of sbatch
        slurm(SLURM_STEP_NUM_TASKS="1", SLURM_PROCID="0"),
    ],
)
def test_process_alone_has_no_cluster(environment):
    assert read_cluster(environment) is None


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"TF_CONFIG": "{"}, r"TF_CONFIG: .*It has to be like"),
        ({"TF_CONFIG": "[]"}, r"TF_CONFIG: .*It has to be like"),
        (tf_config(index=2), r"TF_CONFIG: the task is worker 2 of chief, worker\. It has to be"),
        (tf_config("ps", 0, ps=["a:1"]), r"TF_CONFIG: the task is ps 0 of ps"),
        (tf_config(worker=["a", "b:1"]), r"TF_CONFIG: an address is not host:port"),
        (slurm(SLURM_STEP_TASKS_PER_NODE="1(x2)"), r"1\(x2\) and .* are of 2 processes, not of 3"),
    ],
)
def test_read_cluster_refuses_what_is_contradictory(environment, message):
    with pytest.raises(ValueError, match=message):
        read_cluster(environment)


def test_read_cluster_names_the_missing_variable():
    environment = slurm()
    del environment["SLURM_STEP_NODELIST"]
    with pytest.raises(ValueError, match=r"SLURM_STEP_NODELIST is not set, but .*with srun"):
        read_cluster(environment)


def free_ports(number):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


ONE_LINE = """
from i3d_tf.system.console import one_line_errors
train = file.train
def train_in_one_line(*arguments):
    with one_line_errors():
        return train(*arguments)
file.train = train_in_one_line
"""


def start_two(recipe, further="", second=None, **options):
    """Starts two processes of a job, the second with maybe other options."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    options = {**OPTIONS, "sync_batch_norm": True, "cluster": "auto", **options}
    of_both = repr(options), repr({**options, **(second or {})})
    before, after = ["1", repr(dataclasses.asdict(recipe))], [ONE_LINE + further, str(TESTS)]
    return [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *before, of_both[index], *after],
            env={**os.environ, **tf_config(index=index, worker=addresses)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]


def ends(processes, seconds=SECONDS):
    """Waits for processes: (exit status, stdout, stderr) of each."""
    try:
        outputs = [process.communicate(timeout=seconds) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [
        (process.returncode, *output) for process, output in zip(processes, outputs, strict=True)
    ]


def kill_one(victim, processes, workdir):
    """Kills a process after the next saved state, and checks how the other one ends."""
    deadline = time.monotonic() + SECONDS
    try:
        while not list(workdir.glob("step_*.keras")):
            assert time.monotonic() < deadline
            assert all(process.poll() is None for process in processes)
            time.sleep(0.05)
    finally:
        processes[victim].kill()
    killed = time.monotonic()
    status, _, error = ends([processes[1 - victim]])[0]
    assert time.monotonic() - killed < END_SECONDS
    assert status == 1, error
    assert error.strip().splitlines()[-1].startswith("error: another process of this job has")
    processes[victim].communicate()


@pytest.mark.slow
def test_two_processes_equal_one_also_after_one_is_killed(
    replica_recipe, replica_dir, one_device, tmp_path
):
    recipe = dataclasses.replace(replica_recipe, evaluate_every=10)
    options = {"data_dir": replica_dir, "workdir": str(tmp_path / "run")}
    kill_one(1, start_two(recipe, **options), tmp_path / "run")
    first, second = ends(start_two(recipe, **options))
    assert (first[0], second[0]) == (0, 0), (first[2], second[2])
    assert "going on from step" in first[1]
    assert second[1] == ""
    check_equal(tmp_path / "run", one_device)
    assert [row["step"] for row in Workdir(tmp_path / "run").history()] == [10, 20, 30, 40, 50]


@pytest.mark.slow
def test_killed_chief_ends_the_job(replica_recipe, replica_dir, tmp_path):
    recipe = dataclasses.replace(replica_recipe, evaluate_every=2)
    processes = start_two(recipe, data_dir=replica_dir, workdir=str(tmp_path))
    kill_one(0, processes, tmp_path)


@pytest.mark.slow
def test_processes_stop_after_the_same_step(replica_recipe, replica_dir, tmp_path):
    signal_at_3 = """
import os, signal
from i3d_tf.training.callbacks import Scalars
end = Scalars.on_train_batch_end
def send(self, batch, logs=None):
    end(self, batch, logs)
    if batch == 3 and '"index": 1' in os.environ["TF_CONFIG"]:
        signal.raise_signal(signal.SIGTERM)
Scalars.on_train_batch_end = send
"""
    options = {"data_dir": replica_dir, "workdir": str(tmp_path)}
    both = ends(start_two(replica_recipe, signal_at_3, **options))
    assert [each[0] for each in both] == [128 + signal.SIGTERM] * 2
    assert "Saved step 5 in" in both[0][2]
    assert Workdir(tmp_path).latest()[0] == 5


@pytest.mark.slow
def test_processes_with_other_flags_end_with_a_line_each(replica_recipe, replica_dir, tmp_path):
    options = {"data_dir": replica_dir, "workdir": str(tmp_path), "second": {"seed": 1}}
    first, second = ends(start_two(replica_recipe, **options))
    assert (first[0], second[0]) == (1, 1)
    assert "error: process 1 of 2 has other flags or videos than the first. Start" in second[2]
    assert "error: another process of this job has ended" in first[2]


@pytest.mark.slow
def test_process_ends_where_the_others_do_not_start(replica_recipe, replica_dir, tmp_path):
    soon = "from i3d_tf.training import process_group; process_group.START_SECONDS = 5"
    first, second = start_two(
        replica_recipe, soon, data_dir=replica_dir, workdir=str(tmp_path / "run")
    )
    second.kill()
    second.communicate()
    ((status, _, error),) = ends([first])
    assert status == 1
    assert "error: the 2 processes of this job have not all started within 5 seconds." in error
    assert not (tmp_path / "run").exists()
