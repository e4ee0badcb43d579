import re
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.error import URLError

import pytest

from i3d_tf.specs.releases import UpstreamFile
from i3d_tf.system.files import git_blob_id
from i3d_tf.weights import download as download_module
from i3d_tf.weights.assign import WeightsError
from i3d_tf.weights.download import Digest, DownloadError, download, download_file

CONTENT = bytes(range(256)) * 40
BLOB = "c24b5240932db6bddd91a9aecd36e95ffb2e8f0e"  # git hash-object of CONTENT
FILE = UpstreamFile("data/model.bin", len(CONTENT), BLOB)
NAME, PART = "model.bin", "model.bin.part"


class Upstream:
    """Behaviour of a server, and the requests it got.

    Attributes:
        content: The file it sends.
        understands_ranges: Whether it sends the requested range only.
        breaks_after: Bytes after which it closes the connection; None sends all.
        breaks: How many times it does so.
        status: Its error status in place of the file, or None.
        requests: (path, Range header or None) of each request.
    """

    def __init__(self):
        self.content = CONTENT
        self.understands_ranges = True
        self.breaks_after = None
        self.breaks = 10**6
        self.status = None
        self.requests = []


class Handler(BaseHTTPRequestHandler):
    def __init__(self, upstream, *arguments):
        self.upstream = upstream
        super().__init__(*arguments)

    def do_GET(self):
        upstream = self.upstream
        wanted = self.headers.get("Range")
        upstream.requests.append((self.path, wanted))
        if upstream.status:
            self.send_error(upstream.status)
            return
        start = 0
        if wanted and upstream.understands_ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            if start >= len(upstream.content):
                self.send_error(416)
                return
        body = upstream.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if upstream.breaks_after is not None and upstream.breaks:
            upstream.breaks -= 1
            body = body[: upstream.breaks_after]
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Says nothing."""


@pytest.fixture
def upstream(monkeypatch):
    """An `Upstream` behind a server on this machine; `.url` is its address."""
    monkeypatch.setattr(download_module.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(download_module, "BLOCK_BYTES", 1000)
    upstream = Upstream()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, upstream))
    upstream.url = f"http://127.0.0.1:{server.server_port}/pinned"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield upstream
    server.shutdown()
    server.server_close()
    thread.join()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_download_fetches_and_verifies(upstream, tmp_path):
    path = download(FILE, tmp_path / "new/folder", upstream.url)
    assert path == tmp_path / "new/folder" / NAME
    assert path.read_bytes() == CONTENT
    assert names(path.parent) == [NAME]
    assert upstream.requests == [("/pinned/data/model.bin", None)]


def test_base_url_may_end_with_a_slash(upstream, tmp_path):
    download(FILE, tmp_path, upstream.url + "/")
    assert upstream.requests == [("/pinned/data/model.bin", None)]


def test_file_of_unknown_size_is_verified_by_its_blob_id(upstream, tmp_path):
    assert (
        download(UpstreamFile(FILE.path, None, BLOB), tmp_path, upstream.url).read_bytes()
        == CONTENT
    )


def test_existing_file_is_not_fetched_again(upstream, tmp_path):
    (tmp_path / NAME).write_bytes(CONTENT)
    download(FILE, tmp_path, upstream.url)
    assert upstream.requests == []


def test_other_file_of_the_same_name_is_replaced(upstream, tmp_path):
    (tmp_path / NAME).write_bytes(b"not this")
    assert download(FILE, tmp_path, upstream.url).read_bytes() == CONTENT


def test_progress_counts_bytes(upstream, tmp_path):
    calls = []
    download(FILE, tmp_path, upstream.url, lambda *call: calls.append(call))
    done = [count for count, _ in calls]
    assert done == [*range(1000, 10_001, 1000), 10_240]
    assert {total for _, total in calls} == {10_240}


def test_download_continues_after_a_broken_connection(upstream, tmp_path):
    upstream.breaks_after, upstream.breaks = 4000, 2
    calls = []
    path = download(FILE, tmp_path, upstream.url, lambda *call: calls.append(call))
    assert path.read_bytes() == CONTENT
    assert [wanted for _, wanted in upstream.requests] == [None, "bytes=4000-", "bytes=8000-"]
    assert calls[-1] == (10_240, 10_240)
    assert names(tmp_path) == [NAME]


def test_download_restarts_if_the_server_ignores_ranges(upstream, tmp_path):
    upstream.understands_ranges = False
    upstream.breaks_after, upstream.breaks = 4000, 1
    assert download(FILE, tmp_path, upstream.url).read_bytes() == CONTENT
    assert [wanted for _, wanted in upstream.requests] == [None, "bytes=4000-"]


def test_download_continues_an_earlier_run(upstream, tmp_path):
    (tmp_path / PART).write_bytes(CONTENT[:9000])
    assert download(FILE, tmp_path, upstream.url).read_bytes() == CONTENT
    assert upstream.requests == [("/pinned/data/model.bin", "bytes=9000-")]


@pytest.mark.parametrize("understands_ranges", [True, False])
def test_earlier_run_had_fetched_every_byte(upstream, tmp_path, understands_ranges):
    upstream.understands_ranges = understands_ranges
    (tmp_path / PART).write_bytes(CONTENT)
    assert download(FILE, tmp_path, upstream.url).read_bytes() == CONTENT
    assert names(tmp_path) == [NAME]


def test_connection_that_always_breaks_keeps_the_bytes(upstream, tmp_path):
    upstream.breaks_after = 100
    with pytest.raises(WeightsError, match=r"ended after 400 of 10,240 bytes\)\.$"):
        download(FILE, tmp_path, upstream.url)
    assert names(tmp_path) == [PART]
    assert (tmp_path / PART).read_bytes() == CONTENT[:400]
    upstream.breaks_after = None
    assert download(FILE, tmp_path, upstream.url).read_bytes() == CONTENT
    assert upstream.requests[-1][1] == "bytes=400-"


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_wrong_content_is_not_kept(upstream, tmp_path, size):
    upstream.content = CONTENT[:-1] + b"!"
    file = UpstreamFile(FILE.path, size, BLOB)
    with pytest.raises(WeightsError, match=f"not the published file .*published {BLOB}"):
        download(file, tmp_path, upstream.url)
    assert names(tmp_path) == []


def test_wrong_bytes_of_an_earlier_run_are_not_kept(upstream, tmp_path):
    (tmp_path / PART).write_bytes(b"wrong")
    with pytest.raises(WeightsError, match="not the published file"):
        download(FILE, tmp_path, upstream.url)
    assert names(tmp_path) == []


def test_file_that_is_too_short_is_not_kept(upstream, tmp_path):
    upstream.content = CONTENT[:-1]
    with pytest.raises(WeightsError, match="10,239 bytes; 10,240 were published"):
        download(FILE, tmp_path, upstream.url)
    assert names(tmp_path) == []


def test_file_that_is_too_long_is_not_fetched_to_its_end(upstream, tmp_path):
    upstream.content = CONTENT * 50
    with pytest.raises(WeightsError, match="11,000 bytes or more; 10,240 were published"):
        download(FILE, tmp_path, upstream.url)
    assert names(tmp_path) == []


@pytest.mark.parametrize(("status", "attempts"), [(404, 1), (403, 1), (503, 4)])
def test_error_status_is_reported(upstream, tmp_path, status, attempts):
    upstream.status = status
    (tmp_path / PART).write_bytes(CONTENT[:10])
    with pytest.raises(WeightsError, match=rf"data/model\.bin: the server replied {status} "):
        download(FILE, tmp_path, upstream.url)
    assert len(upstream.requests) == attempts
    assert names(tmp_path) == [PART]


def test_refused_connection_is_reported(upstream, tmp_path):
    with pytest.raises(WeightsError, match=r"cannot be fetched \(.*refused.*\)\.$"):
        download(FILE, tmp_path, "http://127.0.0.1:1")
    assert names(tmp_path) == []


def test_unreachable_server_is_tried_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(download_module.time, "sleep", lambda seconds: None)
    timeouts = []

    class Opener:
        def open(self, request, *, timeout):
            timeouts.append(timeout)
            raise URLError(OSError("no route to host"))

    digest = Digest("git blob id", git_blob_id, BLOB)
    with pytest.raises(DownloadError, match=r"^https://a/b: cannot be fetched \(no route to host"):
        download_file("https://a/b", tmp_path / NAME, None, digest, opener=Opener())
    assert len(timeouts) == 2
    assert max(timeouts) <= 5


def test_download_reads_a_folder(tmp_path):
    (tmp_path / "mirror of upstream/data").mkdir(parents=True)
    (tmp_path / "mirror of upstream/data" / NAME).write_bytes(CONTENT)
    address = (tmp_path / "mirror of upstream").as_uri()
    assert download(FILE, tmp_path / "out", address).read_bytes() == CONTENT


@pytest.mark.parametrize("address", ["ftp://127.0.0.1", "/tmp", "", "data:,abc"])
def test_other_schemes_are_refused(tmp_path, address):
    with pytest.raises(WeightsError, match="`base_url` must start with one of"):
        download(FILE, tmp_path, address)
    assert names(tmp_path) == []
