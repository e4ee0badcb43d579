import asyncio
import json

import pytest

from i3d_tf.web.guard import Guard
from i3d_tf.web.uploads import MEGABYTE, Limits

HERE = "127.0.0.1:7860"


@pytest.fixture
def visit(tmp_path):
    """Function: a request -> (status, headers, body read by the page or None, reason or None)."""

    def visit(
        path, method="GET", body=b"", host=HERE, listening="127.0.0.1", receive=None, **headers
    ):
        sent, passed = [], []

        async def page(scope, receive, send):
            passed.append((await receive())["body"])
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})

        async def whole():
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message):
            sent.append(message)

        pairs = {"host": host, "content_length": str(len(body)), **headers}
        raw = [
            (k.replace("_", "-").encode(), v.encode()) for k, v in pairs.items() if v is not None
        ]
        scope = {"type": "http", "method": method, "path": path, "headers": raw}
        guard = Guard(page, Limits(max_megabytes=5), tmp_path, listening)
        asyncio.run(guard(scope, receive or whole, send))
        reason = json.loads(sent[1]["body"]).get("error")
        return sent[0]["status"], dict(sent[0]["headers"]), (passed or [None])[0], reason

    return visit


def test_page_may_load_nothing_from_elsewhere(visit):
    status, headers, *_ = visit("/")
    assert status == 200
    policy = headers[b"content-security-policy"].decode()
    assert policy.startswith("default-src 'self'")
    assert "http" not in policy
    assert "*" not in policy


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=http://127.0.0.1:22/",  # would be fetched by the server
        "/gradio_api/file=https://example.org/",
        "/gradio_api/proxy=http://127.0.0.1:22/",
        "/gradio_api/file=/../../etc/passwd",
        "/static/../config/../../etc/passwd",
        "/gradio_api/run/predict",
        "/login",
        "/monitoring",
    ],
)
def test_paths_that_the_page_does_not_need_are_refused(visit, path):
    assert visit(path)[0] == 404


def test_other_hosts_and_pages_are_refused(visit):
    assert visit("/", host="attacker.example:7860")[0] == 421
    assert visit("/", host=None)[0] == 421
    assert visit("/", host="localhost:7860")[0] == 200
    assert visit("/api/predict", "POST", b"x", origin="http://attacker.example")[0] == 403
    assert visit("/api/predict", "POST", b"x", origin=f"http://{HERE}")[0] == 200
    assert visit("/", host="server.example", listening="0.0.0.0")[0] == 200


@pytest.mark.parametrize("path", ["/api/predict", "/gradio_api/upload"])
def test_large_upload_is_refused_before_its_body_is_read(visit, path):
    status, _, body, reason = visit(path, "POST", content_length=str(200 * MEGABYTE))
    assert (status, body) == (413, None)
    assert "200.0 MB; at most 5 are taken" in reason


def test_upload_without_size_is_refused(visit):
    assert visit("/api/predict", "POST", content_length=None)[0] == 411
    assert visit("/api/predict", "POST", transfer_encoding="chunked")[0] == 411


def test_stopped_job_is_answered(visit):
    async def stopped():
        raise asyncio.CancelledError

    assert visit("/api/predict", "POST", b"x", receive=stopped)[0::3] == (
        503,
        "the server was stopped.",
    )


def test_uploads_are_refused_while_the_folder_is_full(visit, tmp_path):
    with open(tmp_path / "old.mp4", "wb") as file:
        file.truncate(48 * MEGABYTE)
    assert visit("/api/predict", "POST", content_length=str(MEGABYTE))[0] == 200
    assert visit("/api/predict", "POST", content_length=str(3 * MEGABYTE))[0] == 507


def test_data_of_a_job_may_name_uploaded_files_only(visit, tmp_path):
    def status(path):
        body = json.dumps({"data": [{"path": path, "url": f"http://{HERE}/x"}, None, "a"]}).encode()
        status, _, passed, _ = visit("/gradio_api/queue/join", "POST", body)
        assert passed in (body, None)
        return status

    assert status(str(tmp_path / "1/clip.mp4")) == 200
    for path in ("/etc/passwd", "https://example.org/a.mp4", f"{tmp_path}/../a.mp4", 7):
        assert status(path) == 403
    assert visit("/gradio_api/queue/join", "POST", b"{")[0] == 400
