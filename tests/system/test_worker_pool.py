import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from i3d_tf.system.worker_pool import (
    TaskProcess,
    map_unordered,
    processor_count,
    run_in_process,
)

# `eval` is a function of one task that every process knows.
DEATH = "__import__('os')._exit(3)"


def results(tasks, processes):
    return dict(map_unordered(eval, tasks, processes, died="died"))


@pytest.mark.parametrize("processes", [1, 2])
def test_map_unordered_does_every_task_once(processes):
    tasks = [f"{number} * {number}" for number in range(9)]
    done = list(map_unordered(eval, tasks, processes))
    assert sorted(done) == sorted((task, number**2) for number, task in enumerate(tasks))


def test_map_unordered_without_tasks_is_empty():
    assert list(map_unordered(eval, [], 2)) == []


def test_map_unordered_continues_after_a_task_that_kills_its_process():
    tasks = ["1", DEATH, "2", "3", f"{DEATH}  # again", "4", "5"]
    deaths = {DEATH: "died", f"{DEATH}  # again": "died"}
    assert results(tasks, 2) == {**{number: int(number) for number in "12345"}, **deaths}


def test_map_unordered_retries_a_killed_task(tmp_path):
    once = f"open({str(tmp_path / 'flag')!r}, 'x') and {DEATH}"
    tasks = [f"__import__('os').path.exists({str(tmp_path / 'flag')!r}) or {once}"]
    assert results(tasks, 1) == {tasks[0]: True}


def test_map_unordered_raises_errors_of_tasks_and_ends_workers():
    with pytest.raises(ZeroDivisionError):
        list(map_unordered(eval, ["1", "1 / 0"], 1))
    assert multiprocessing.active_children() == []
    with pytest.raises(EOFError):  # which a dead process would look like
        list(map_unordered(eval, ["(_ for _ in ()).throw(EOFError)"], 1))


def test_map_unordered_raises_if_workers_cannot_start(tmp_path):
    script = tmp_path / "job.py"
    script.write_text(
        "from i3d_tf.system.worker_pool import map_unordered\n"
        "print(list(map_unordered(eval, ['1', '2'], 1)))\n"  # which every worker would do again
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "OSError: worker processes end as soon as they start" in done.stderr


def test_task_process_is_one_until_a_task_ends_it():
    process, own = TaskProcess(eval, "died"), "__import__('os').getpid()"
    first = process(own)
    assert first != os.getpid()
    with pytest.raises(ZeroDivisionError):
        process("1 / 0")
    assert process(own) == first
    assert process(DEATH) == "died"
    assert process(own) != first
    process.close()
    assert multiprocessing.active_children() == []
    with pytest.raises(InterruptedError):
        process(own)


def test_workers_end_with_their_parent(tmp_path):
    script = tmp_path / "job.py"
    script.write_text(
        "from i3d_tf.system.worker_pool import map_unordered\n"
        "if __name__ == '__main__':\n"
        "    tasks = ['__import__(\"os\").getpid()', '__import__(\"time\").sleep(600)']\n"
        "    for _, result in map_unordered(eval, tasks, 1):\n"
        "        print(result, flush=True)\n"
    )
    job = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    worker = int(job.stdout.readline())
    assert _is_running(worker)
    job.send_signal(signal.SIGKILL)
    job.wait()
    for _ in range(100):  # until the system has ended it
        if not _is_running(worker):
            return
        time.sleep(0.1)
    pytest.fail("the worker outlived its parent by 10 s")


def test_worker_ignores_ctrl_c_during_its_start(tmp_path, monkeypatch):
    # A worker that sends itself what a terminal sends to all, as soon as its interpreter runs.
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "if '--multiprocessing-fork' in sys.orig_argv:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    script = tmp_path / "job.py"
    script.write_text(
        "from i3d_tf.system.worker_pool import map_unordered\n"
        "if __name__ == '__main__':\n"
        "    print(list(map_unordered(eval, ['1 + 1'], 1)))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[('1 + 1', 2)]\n", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_waits_until_a_worker_has_started(monkeypatch, number):
    start, started = multiprocessing.process.BaseProcess.start, []

    def interrupted(process):
        # To a thread that does not block it, as a library's may not.
        os.kill(os.getpid(), number)
        time.sleep(0.05)
        start(process)
        started.append(process)

    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", interrupted)
    handler = signal.signal(number, signal.default_int_handler)
    threading.Thread(target=time.sleep, args=(0.5,), daemon=True).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            results(["1"], 1)
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, handler)
    assert len(started) == 1
    assert multiprocessing.active_children() == []


def _is_running(process_id):
    try:
        with open(f"/proc/{process_id}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_run_in_process_returns_and_raises_as_the_function_does():
    assert run_in_process(eval, "{'pid': __import__('os').getpid()}")["pid"] != os.getpid()
    with pytest.raises(ZeroDivisionError):
        run_in_process(divmod, 1, 0)


def test_run_in_process_may_use_the_pool():
    expression = "list(map_unordered(eval, ['1 + 1'], 1))"
    variables = {"map_unordered": map_unordered}
    assert run_in_process(eval, expression, variables) == [("1 + 1", 2)]


def test_run_in_process_raises_if_the_process_dies():
    with pytest.raises(OSError, match=r"^eval: its process was killed 2 times"):
        run_in_process(eval, DEATH)


def test_run_in_process_gives_time_to_save_on_ctrl_c(tmp_path):
    script = tmp_path / "job.py"
    script.write_text(
        "import pathlib, signal, time\n"
        "from i3d_tf.system.worker_pool import run_in_process\n"
        "def work(path):\n"
        "    signal.signal(signal.SIGTERM, signal.default_int_handler)\n"
        "    signal.signal(signal.SIGINT, lambda *_: __import__('os')._exit(3))\n"
        "    try:\n"
        "        print('at work', flush=True)\n"
        "        time.sleep(60)\n"
        "    finally:\n"
        "        time.sleep(0.2)\n"
        "        path.touch()\n"
        "if __name__ == '__main__':\n"
        f"    run_in_process(work, pathlib.Path({str(tmp_path / 'saved')!r}), grace=30)\n"
    )
    job = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert job.stdout.readline() == "at work\n"
    os.killpg(job.pid, signal.SIGINT)  # as a terminal does
    assert job.wait(timeout=60) != 0
    assert (tmp_path / "saved").exists()


def test_processor_count_is_at_most_that_of_the_machine():
    assert 1 <= processor_count() <= (os.cpu_count() or 1)
