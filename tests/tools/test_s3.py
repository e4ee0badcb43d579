"""Jobs from and to S3: a server on this machine, connections that are cut, wrong credentials.

They need what `pip install 'i3d_tf[remote]' 'moto[server]'` brings.
"""

import contextlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from i3d_tf.system import remote
from i3d_tf.system.files import STAGING_PREFIX

pytestmark = pytest.mark.slow
REASON = "needs fsspec, s3fs and moto's server: pip install 'i3d_tf[remote]' 'moto[server]'"
s3fs = pytest.importorskip("s3fs", reason=REASON)
moto_server = pytest.importorskip("moto.server", reason=REASON)

VIDEOS, OUT = "s3://videos/dataset", "s3://results/job"
FLOW = ("compute_flow", "--engine=dis", "--short_side=24", "--processes=1")


class Proxy:
    """A server that passes connections on, and cuts answers to requests that have a text in them.

    Attributes:
        text: Bytes of a request whose answers are cut; None cuts none.
        times: How many more are cut.
        cut: How many were.
    """

    def __init__(self, port):
        self._target, self.text, self.times, self.cut = ("127.0.0.1", port), None, 0, 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            client, _ = self._server.accept()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with contextlib.suppress(OSError), client, socket.create_connection(self._target) as server:
            request = threading.Event()
            threading.Thread(
                target=self._pass_on, args=(client, server, request), daemon=True
            ).start()
            while content := server.recv(2**16):
                if request.is_set():
                    request.clear()
                    self.cut += 1
                    client.sendall(content[: len(content) * 3 // 4])
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(content)

    def _pass_on(self, client, server, request):
        with contextlib.suppress(OSError):
            while content := client.recv(2**16):
                if self.text is not None and self.text in content and self.times > 0:
                    self.times -= 1
                    request.set()
                server.sendall(content)
            server.shutdown(socket.SHUT_WR)


def post(url, content):
    request = urllib.request.Request(url, content, {"Content-Type": "text/plain"})
    urllib.request.urlopen(request).close()


@pytest.fixture
def start_tool(tool_command):
    """Function: (tool, arguments) -> its process, which finds the same libraries."""
    names = ("apache_beam", "s3fs")
    specs = filter(None, map(importlib.util.find_spec, names))
    libraries = os.pathsep.join(str(Path(spec.origin).parent.parent) for spec in specs)

    def start(*arguments):
        command = tool_command(*arguments)
        command["env"]["PYTHONPATH"] += os.pathsep + libraries
        return subprocess.Popen(**command)

    return start


@pytest.fixture(scope="module")
def server():
    server = moto_server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def videos(write_grey_video, tmp_path_factory):
    """A folder of eight videos in two folders, and an empty file."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(8):
        path = folder / ("run", "größe")[number % 2] / f"{number}.mp4"
        path.parent.mkdir(exist_ok=True)
        write_grey_video(path, range(number, 90 + number, 6), (24, 32))
    (folder / "run" / "empty.mp4").touch()
    return folder


@pytest.fixture
def s3(server, videos, monkeypatch, tmp_path):
    """The server's files, with the videos; through a proxy that is its attribute `proxy`."""
    host, port = server.get_host_and_port()
    proxy = Proxy(port)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.port}",
        "AWS_MAX_ATTEMPTS": "1",
        "TMPDIR": str(tmp_path / "temporary"),
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(remote, "PAUSE", 0)
    s3fs.S3FileSystem.clear_instance_cache()
    post(f"http://{host}:{port}/moto-api/reset", b"")
    system = s3fs.S3FileSystem(endpoint_url=f"http://{host}:{port}", skip_instance_cache=True)
    for bucket in ("videos", "results"):
        system.mkdir(bucket)
    for path in videos.rglob("*.mp4"):
        system.put_file(str(path), f"videos/dataset/{path.relative_to(videos).as_posix()}")
    system.proxy = proxy
    system.url = f"http://{host}:{port}"
    yield system
    # TensorFlow leaves files of its own.
    assert not [name for name in os.listdir(tmp_path / "temporary") if STAGING_PREFIX in name]
    monkeypatch.setattr(tempfile, "tempdir", None)


def local_files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".failed" not in path.parts
    }


def remote_files(system, address=OUT):
    system.invalidate_cache()
    start = address.partition("://")[2] + "/"
    found = {path.removeprefix(start): system.cat_file(path) for path in system.find(start)}
    return {name: content for name, content in found.items() if not name.startswith(".failed/")}


@pytest.fixture(scope="module")
def whole(run_tool, videos, tmp_path_factory):
    """The flow files of an undisturbed run on this machine."""
    folder = tmp_path_factory.mktemp("whole")
    run_tool(*FLOW, f"--data_dir={videos}", f"--flow_dir={folder}")
    found = local_files(folder)
    assert len(found) == 8
    return found


def test_flow_from_and_to_s3_has_the_bytes_of_flow_on_this_machine(run_tool, s3, whole):
    given = (*FLOW, f"--data_dir={VIDEOS}", f"--flow_dir={OUT}")
    status, out, err = run_tool(*given)
    assert (status, out) == (1, [f"{OUT}: 8 computed (DIS by dis), 0 already there, 1 failed"])
    assert err == [f"error: {VIDEOS}/run/empty.mp4: it is empty (0 bytes)"]
    assert remote_files(s3) == whole
    status, out, err = run_tool(*given)
    assert (status, out) == (1, [f"{OUT}: 0 computed (DIS by dis), 8 already there, 1 failed"])
    s3.rm_file("results/job/run/2.flow.zip")
    status, out, _ = run_tool(*given, "--status")
    assert (status, out) == (
        1,
        [
            f"failed: {VIDEOS}/run/empty.mp4: it is empty (0 bytes)",
            f"{OUT}: 7 of 9 done, 1 missing, 1 failed",
        ],
    )
    run_tool(*given, "--shard=0/2")
    run_tool(*given, "--shard=1/2")
    assert remote_files(s3) == whole


@pytest.mark.parametrize("processes", [1, 2])
def test_features_and_predictions_from_and_to_s3(
    run_tool, s3, small_dir, videos, tmp_path, processes
):
    network = ("--rgb_checkpoint=small_rgb", f"--checkpoint_dir={small_dir}")
    features = ("extract_features", *network, "--window=9", f"--processes={processes}")
    for tool in (features, ("predict", *network, "--top=2")):
        here, there = tmp_path / tool[0], f"{OUT}/{tool[0]}"
        run_tool(*tool, f"--output_dir={here}", videos)
        status, out, _ = run_tool(*tool, f"--output_dir={there}", VIDEOS)
        assert (status, out[-1].partition(", ")[2]) == (1, "0 already there, 1 failed")
        assert remote_files(s3, there) == local_files(here)
        status, out, _ = run_tool(*tool, f"--output_dir={there}", VIDEOS)
        assert (status, out[-1].partition(", ")[2]) == (1, "8 already there, 1 failed")
    status, out, err = run_tool("predict", *network, "--json", f"{VIDEOS}/run/2.mp4")
    assert (status, err, json.loads(out[0])["path"]) == (0, [], f"{VIDEOS}/run/2.mp4")


def test_check_videos_of_s3(run_tool, s3, tmp_path):
    given = ("check_videos", f"--data_dir={VIDEOS}", f"--quarantine={tmp_path}/list.jsonl")
    status, out, _ = run_tool(*given, "--processes=2")
    assert (status, out[0]) == (1, f"unreadable: {VIDEOS}/run/empty.mp4: it is empty (0 bytes)")
    status, out, _ = run_tool(*given)
    assert out[-1].startswith("0 decoded, 9 known from before, 1 unreadable")


def test_list_of_addresses(run_tool, s3, whole, tmp_path):
    s3.pipe_file("videos/dataset/list", b"run/2.mp4\nrun/none.mp4\n")
    (tmp_path / "list").write_text(f"{VIDEOS}/run/4.mp4\n")
    for place in (f"{VIDEOS}/list", tmp_path / "list"):
        run_tool(*FLOW, f"--list={place}", f"--flow_dir={tmp_path}/out")
    assert local_files(tmp_path / "out") == {
        "2.flow.zip": whole["run/2.flow.zip"],
        "4.flow.zip": whole["run/4.flow.zip"],
    }


def test_cut_connection_is_tried_again(run_tool, s3, whole):
    # The same connection is cut by s3fs's own attempts and by those of the job.
    for text, times in ((b"GET /videos/dataset/run/2.mp4", 7), (b"PUT /results/job/run/4", 2)):
        s3.proxy.text, s3.proxy.times = text, times
        if s3.exists("results/job"):
            s3.rm("results/job", recursive=True)
        run_tool(*FLOW, f"--data_dir={VIDEOS}", f"--flow_dir={OUT}")
        assert s3.proxy.times == 0
    assert remote_files(s3) == whole
    assert s3.proxy.cut == 9


def test_connection_that_stays_cut_fails_its_video_alone(run_tool, s3, whole):
    s3.proxy.text, s3.proxy.times = b"GET /videos/dataset/run/2.mp4", 10**6
    given = (*FLOW, f"--data_dir={VIDEOS}", f"--flow_dir={OUT}")
    status, out, err = run_tool(*given)
    assert (status, out) == (1, [f"{OUT}: 7 computed (DIS by dis), 0 already there, 2 failed"])
    assert err[0].startswith(f"error: {VIDEOS}/run/2.mp4: the connection failed 4 times: ")
    assert len(err) == 2
    s3.proxy.text = None
    status, out, _ = run_tool(*given, "--status")
    assert out[-1] == f"{OUT}: 7 of 9 done, 0 missing, 2 failed"
    run_tool(*given)
    assert remote_files(s3) == whole


@pytest.mark.parametrize("what", ["folder", "list", "output", "none"])
def test_wrong_credentials_end_the_job_with_one_line(
    run_tool, s3, videos, tmp_path, monkeypatch, what
):
    (tmp_path / "list").write_text("".join(f"{VIDEOS}/run/{n}.mp4\n" for n in (0, 2, 4, 6)))
    given = {
        "folder": (f"--data_dir={VIDEOS}", f"--flow_dir={tmp_path}/out"),
        "list": (f"--list={tmp_path}/list", f"--flow_dir={tmp_path}/out"),
        "output": (f"--data_dir={videos}", f"--flow_dir={OUT}"),
        "none": (f"--data_dir={VIDEOS}", f"--flow_dir={tmp_path}/out"),
    }[what]
    if what == "none":
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    else:
        post(f"{s3.url}/moto-api/reset-auth", b"0")
    try:
        status, out, err = run_tool(*FLOW, *given)
    finally:
        post(f"{s3.url}/moto-api/reset-auth", b"inf")
    assert (status, out, len(err)) == (1, [], 1)
    assert err[0].startswith("error: s3://")
    assert "access denied" in err[0]
    assert "Check the credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_P" in err[0]


def test_ctrl_c_removes_the_copy(start_tool, s3):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    content = s3.cat_file("videos/dataset/run/2.mp4")
    for number in range(80):
        s3.pipe_file(f"videos/many/{number}.mp4", content)
    with start_tool(*FLOW, "--data_dir=s3://videos/many", f"--flow_dir={OUT}") as job:
        signal.signal(signal.SIGINT, before)
        while job.poll() is None and not s3.find("results/job", refresh=True):
            time.sleep(0.02)
        job.send_signal(signal.SIGINT)
        out, err = job.communicate(timeout=60)
    assert (out, err, job.returncode) == ("", "Stopped; what was finished is kept.\n", 130)


def test_shards_on_one_prefix_killed_and_started_again(start_tool, run_tool, s3, whole):
    def start(index):
        given = (*FLOW, f"--data_dir={VIDEOS}", f"--flow_dir={OUT}", f"--shard={index}/3")
        return start_tool(*given)

    jobs = [start(index) for index in (0, 1, 2, 0)]
    while not s3.find("results/job", refresh=True) and any(job.poll() is None for job in jobs):
        time.sleep(0.02)
    for job in jobs[:2]:
        job.kill()
    jobs += [start(0), start(1)]
    for job in jobs:
        job.communicate(timeout=120)
    assert remote_files(s3) == whole
    # What the killed ones have left on this machine is removed by the next job.
    run_tool(*FLOW, f"--data_dir={VIDEOS}", f"--flow_dir={OUT}")


def test_job_by_beam_from_and_to_s3(start_tool, s3, whole):
    pytest.importorskip("apache_beam", reason="needs Apache Beam: pip install 'i3d_tf[beam]'")
    given = ("beam", *FLOW[:-1], f"--data_dir={VIDEOS}", "--direct_num_workers=2")
    for bucket, count in (("none", 0), ("results", 8)):
        with start_tool(*given, f"--flow_dir=s3://{bucket}/job") as job:
            out, err = job.communicate(timeout=300)
        assert job.returncode == 1
        assert (
            out == "" if bucket == "none" else out.startswith(f"{OUT}: {count} computed (DIS by ")
        )
        assert err.count("\n") == 1
        if bucket == "none":
            assert err.startswith("error: s3://none/job: nothing can be written there: ")
    assert err == f"error: {VIDEOS}/run/empty.mp4: it is empty (0 bytes)\n"
    assert remote_files(s3) == whole
