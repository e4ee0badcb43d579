"""Jobs from and to S3 by tensorflow-io's plugin of tf.io.gfile, without fsspec.

`make test-oldest` runs them: the plugin loads beside TensorFlow 2.16 alone.
"""

import importlib.util
import os
import subprocess
import urllib.request

import pytest

from i3d_tf.system import remote
from i3d_tf.system.remote import RemoteFileError, file_info, files_below, is_folder, read_bytes
from i3d_tf.system.remote_stores import RemoteAccessError

pytestmark = pytest.mark.slow
REASON = "needs moto's server and tensorflow-io: see requirements-oldest.txt"
moto_server = pytest.importorskip("moto.server", reason=REASON)
boto3 = pytest.importorskip("boto3", reason=REASON)
if importlib.util.find_spec("tensorflow_io") is None:
    pytest.skip(REASON, allow_module_level=True)
if importlib.util.find_spec("s3fs") is not None:
    pytest.skip("s3fs is there, which goes first", allow_module_level=True)

VIDEOS, OUT = "s3://videos/dataset", "s3://results/job"
FLOW = ("compute_flow", "--engine=dis", "--short_side=24", "--processes=1")


@pytest.fixture(scope="module")
def server():
    """A server; its address is in the environment, from which the plugin takes it once."""
    server = moto_server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        patch.setattr(remote, "PAUSE", 0)
        yield settings["AWS_ENDPOINT_URL"]
    server.stop()


@pytest.fixture(scope="module")
def videos(write_grey_video, tmp_path_factory):
    """A folder of four videos in two folders, and an empty file."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(4):
        path = folder / ("run", "größe 100%20")[number % 2] / f"{number}.mp4"
        path.parent.mkdir(exist_ok=True)
        write_grey_video(path, range(number, 90 + number, 6), (24, 32))
    (folder / "run" / "empty.mp4").touch()
    return folder


@pytest.fixture
def s3(server, videos, monkeypatch):
    """Client of the server, which has the videos, and no outputs."""
    post(f"{server}/moto-api/reset")
    monkeypatch.setattr(remote, "_reached", set())
    client = boto3.client("s3", endpoint_url=server)
    for bucket in ("videos", "results"):
        client.create_bucket(Bucket=bucket)
    for path in videos.rglob("*.mp4"):
        client.upload_file(str(path), "videos", f"dataset/{path.relative_to(videos).as_posix()}")
    return client


@pytest.fixture
def refused(s3, server):
    """The server refuses every key, as one that is wrong."""
    post(f"{server}/moto-api/reset-auth", b"0")
    yield
    post(f"{server}/moto-api/reset-auth", b"inf")


def post(url, content=b""):
    request = urllib.request.Request(url, content, {"Content-Type": "text/plain"})
    urllib.request.urlopen(request).close()


def remote_files(client, prefix="job/"):
    found = {}
    for each in client.list_objects_v2(Bucket="results", Prefix=prefix).get("Contents", ()):
        name = each["Key"].removeprefix(prefix)
        if not name.startswith(".failed/"):
            found[name] = client.get_object(Bucket="results", Key=each["Key"])["Body"].read()
    return found


def local_files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*.zip")
        if ".failed" not in path.parts
    }


def test_addresses_are_found_and_read(s3):
    assert file_info(f"{VIDEOS}/run/empty.mp4")[0] == 0
    assert file_info(f"{VIDEOS}/run") is None
    assert file_info(f"{VIDEOS}/none") is None
    assert is_folder(VIDEOS)
    assert is_folder("s3://videos")
    assert not is_folder("s3://videos/none")
    assert not is_folder("s3://none/none")
    assert files_below("s3://results") == []
    assert len(files_below("s3://videos")) == 5
    s3.put_object(Bucket="videos", Key="list.txt", Body=b"one\ntwo\n")
    assert read_bytes("s3://videos/list.txt", 9) == b"one\ntwo\n"
    with pytest.raises(RemoteFileError, match=r"s3://videos/none: there is no such file"):
        read_bytes("s3://videos/none", 9)


def test_flow_from_and_to_s3_has_the_bytes_of_flow_on_this_machine(run_tool, s3, videos, tmp_path):
    run_tool(*FLOW, f"--data_dir={videos}", f"--flow_dir={tmp_path}")
    whole = local_files(tmp_path)
    assert len(whole) == 4
    given = (*FLOW, f"--data_dir={VIDEOS}", f"--flow_dir={OUT}")
    status, out, err = run_tool(*given)
    assert (status, out) == (1, [f"{OUT}: 4 computed (DIS by dis), 0 already there, 1 failed"])
    assert err == [f"error: {VIDEOS}/run/empty.mp4: it is empty (0 bytes)"]
    assert remote_files(s3) == whole
    s3.delete_object(Bucket="results", Key="job/run/2.flow.zip")
    status, out, _ = run_tool(*given)
    assert (status, out) == (1, [f"{OUT}: 1 computed (DIS by dis), 3 already there, 1 failed"])
    assert remote_files(s3) == whole


def test_command_ends_with_its_own_status(tool_command, s3):
    # The plugin's own destructors would abort the process, with status 134.
    command = tool_command(*FLOW, f"--list={VIDEOS}/list", f"--flow_dir={OUT}")
    s3.put_object(Bucket="videos", Key="dataset/list", Body=b"run/0.mp4\n")
    done = subprocess.run(**command, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{OUT}: 1 computed (DIS by dis), 0 already there, 0 failed\n"


@pytest.mark.parametrize("address", [VIDEOS, "s3://videos"])
def test_refusal_is_no_missing_folder(run_tool, refused, address, tmp_path):
    status, out, err = run_tool(*FLOW, f"--data_dir={address}", f"--flow_dir={tmp_path}/out")
    assert (status, out, len(err)) == (1, [], 1)
    assert err[0].startswith(f"error: {address}")
    assert "access denied" in err[0]
    assert "Check the credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_P" in err[0]
    assert not os.path.exists(tmp_path / "out")


def test_refusal_of_the_output_ends_the_job(run_tool, refused, videos):
    status, out, err = run_tool(*FLOW, f"--data_dir={videos}", f"--flow_dir={OUT}")
    assert (status, out, len(err)) == (1, [], 1)
    assert "access denied" in err[0]
    with pytest.raises(RemoteAccessError, match="access denied"):
        file_info(f"{OUT}/none")
