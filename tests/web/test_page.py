"""The page as visitors have it: by its JSON interface, and in a browser.

They need what `pip install 'i3d_tf[web]'` brings; those with a browser also Chromium.
"""

import concurrent.futures
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from fixtures.browser import CHROMIUM, Browser
from fixtures.pages import programs_of

from i3d_tf.specs.stick_actions import DEMO
from i3d_tf.synthetic.clip import clip_seed, render_clip
from i3d_tf.video.encode import write_video

pytestmark = pytest.mark.slow
pytest.importorskip("gradio", reason="needs gradio: pip install 'i3d_tf[web]'")

MEGABYTES = 2  # the largest file that this server takes
BIG = 200 * 2**20  # bytes
ACTIONS = ("open_door", "climb_up", "sit_down")
LONG = ("put_on_hat", "climb_up", "push_crate")
DONE = "#{0}-result .i3d-result, #{0}-result .i3d-error"


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Action -> a rendered clip of it; "long" -> three actions; "text", "big" -> other files."""
    folder = tmp_path_factory.mktemp("clips")
    frames = {name: render_clip(name, clip_seed(0, DEMO, name, 0)) for name in ACTIONS}
    parts = [render_clip(name, clip_seed(9, DEMO, name, 0)) for name in LONG]
    frames["long"] = np.concatenate(parts)
    paths = {name: folder / f"{name}.mp4" for name in (*frames, "text", "big")}
    for name, pictures in frames.items():
        write_video(paths[name], pictures)
    paths["text"].write_text("not a video\n")
    with open(paths["big"], "wb") as file:
        file.truncate(BIG)
    return paths


@pytest.fixture(scope="module")
def server(repository_root, tmp_path_factory):
    """(address, folder of its temporary files, its process) of a running server."""
    temporary = tmp_path_factory.mktemp("temporary")
    path = os.pathsep.join(filter(None, [str(repository_root), os.environ.get("PYTHONPATH")]))
    flags = ["--port=0", f"--max_megabytes={MEGABYTES}", "--flow_engine=dis"]
    process = subprocess.Popen(
        [sys.executable, "tools/web.py", *flags],
        cwd=repository_root,
        env={**os.environ, "PYTHONPATH": path, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines = []
    for line in process.stdout:
        lines.append(line)
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            break
    else:
        pytest.fail(f"it ended: {lines}")
    yield found[0], temporary, process
    process.send_signal(signal.SIGTERM)
    try:
        assert process.wait(60) == 143
        assert list(temporary.iterdir()) == []
        assert process.stdout.read() == "Stopped; what was finished is kept.\n"
    finally:
        process.kill()


@pytest.fixture(scope="module")
def address(server):
    return server[0]


def request(url, body=None, **headers):
    """Returns the status and the JSON of an answer."""
    asked = urllib.request.Request(url, body, headers)
    try:
        with urllib.request.urlopen(asked, timeout=300) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def predict(address, path, job="predict", **parameters):
    query = urllib.parse.urlencode({"name": path.name, **parameters})
    return request(f"{address}/api/{job}?{query}", path.read_bytes())


def test_json_interface_names_the_networks(address):
    _, found = request(f"{address}/api/networks")
    assert [row["name"] for row in found["networks"]] == [
        "stick_actions_rgb+stick_actions_flow",
        "stick_actions_rgb",
        "stick_actions_flow",
    ]


def test_json_interface_recognizes_a_clip_and_a_long_video(address, clips):
    status, found = predict(address, clips["open_door"], top=2)
    assert status == 200
    assert (found["path"], found["stream"], len(found["top"])) == ("open_door.mp4", "joint", 2)
    assert found["top"][0]["class"] == "open_door"
    assert "timeline" not in found
    status, found = predict(address, clips["long"], network="stick_actions_rgb")
    assert found["timeline"][0]["end"] == pytest.approx(16 / (25 / 3))
    assert len(found["timeline"]) == 4


def test_json_interface_plays_a_clip_backwards(address, clips):
    _, found = predict(address, clips["climb_up"], "backwards")
    best = [found[way]["top"][0]["class"] for way in ("forwards", "backwards")]
    assert best == ["climb_up", "climb_down"]
    assert found["reversal"] == "climb_down"


def test_commands_of_the_page_in_docs(
    address, clips, repository_root, tmp_path, monkeypatch, capsys
):
    page = repository_root / "docs" / "web.md"
    shutil.copy(clips["sit_down"], tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    (program,) = programs_of(page)
    exec(program.replace("http://127.0.0.1:7860", address), {})
    assert capsys.readouterr().out == "sit_down\n"
    (command,) = re.findall("^    curl .*", page.read_text("utf-8"), re.MULTILINE)
    options = shlex.split(command.replace("http://127.0.0.1:7860", address))
    if shutil.which("curl"):
        answer = subprocess.run(
            [*options, "--silent"], capture_output=True, check=True, timeout=300
        )
        assert len(json.loads(answer.stdout)["top"]) == 3


def test_json_interface_refuses_in_one_line_and_goes_on(address, clips, server):
    status, found = predict(address, clips["text"])
    assert status == 422
    assert found["error"].startswith("text.mp4: it is not a video")
    status, found = request(f"{address}/api/predict?name=empty.mp4", b"")
    assert (status, found["error"]) == (422, "empty.mp4: it is empty.")
    assert predict(address, clips["text"], network="/etc/passwd")[0] == 400
    assert predict(address, clips["text"], top="many")[0] == 400
    assert predict(address, clips["text"], folder="/etc")[0] == 400
    assert predict(address, clips["sit_down"], network="stick_actions_rgb")[0] == 200
    left = [path for path in (server[1]).rglob("*.mp4") if "examples" not in path.parts]
    assert left == []


def test_large_upload_is_answered_before_it_is_sent(address):
    host, port = urllib.parse.urlsplit(address).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        lines = ["POST /api/predict HTTP/1.1", f"Host: {host}:{port}", f"Content-Length: {BIG}"]
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        # No byte of the file is sent.
        answer = b"".join(iter(lambda: connection.recv(4096), b"")).decode()
    assert answer.startswith("HTTP/1.1 413 ")
    assert "200.0 MB; at most 2 are taken" in answer


def test_predictions_of_visitors_at_once_are_their_own(address, clips):
    names = ACTIONS * 3
    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        found = list(pool.map(lambda name: predict(address, clips[name]), names))
    taken = [
        (name, answer) for name, (status, answer) in zip(names, found, strict=True) if status == 200
    ]
    assert {status for status, _ in found} <= {200, 503}  # no more wait than eight
    assert len(taken) >= 8
    for name, answer in taken:
        assert answer["path"] == f"{name}.mp4"
        assert answer["top"][0]["class"] == name


def test_server_reads_no_other_file_and_asks_no_other_server(address):
    for path in ("/etc/passwd", "http://127.0.0.1:1/", f"{Path(__file__)}"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{address}/gradio_api/file={path}", timeout=60)
        assert caught.value.code in (403, 404)
    assert request(f"{address}/api/networks", Origin="http://attacker.example")[0] == 403


# --- in a browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def visitor(browser, address):
    """Function: nothing -> the page, in a browser window of its own."""

    def open_page():
        page = browser.page(f"{address}/")
        page.wait("!!document.querySelector('#recognize-button')")
        return page

    return open_page


def give(page, path):
    page.upload("input[type=file]", path)
    page.wait(f"document.body.innerText.includes({json.dumps(path.name)})")


def open_tab(page, title):
    page.run(
        "[...document.querySelectorAll('button[role=tab]')]"
        f".find(tab => tab.innerText.trim() == '{title}').click()"
    )


def result(page, tab="recognize"):
    page.wait(f"!!document.querySelector('{DONE.format(tab)}')")
    return page.text(f"#{tab}-result")


def test_browser_shows_the_prediction_and_the_time_line(visitor, browser, clips, address):
    page = visitor()
    give(page, clips["long"])
    page.click("#recognize-button")
    text = result(page)
    assert text.startswith("long.mp4")
    assert "Probability of each class" in text
    drawn = "document.querySelector('#recognize-result svg title').textContent"
    assert re.match(r"long\.mp4: from 0\.0 s put_on_hat; from \d", page.run(drawn))
    page.wait("document.querySelector('#recognize-result video').readyState >= 2")
    assert browser.requests != []
    outside = [
        url for url in browser.requests if not url.startswith((f"{address}/", "data:", "blob:"))
    ]
    assert outside == []


def test_browser_shows_one_line_for_a_text_file_and_goes_on(visitor, clips):
    page = visitor()
    give(page, clips["text"])
    page.click("#recognize-button")
    assert result(page).startswith("text.mp4: it is not a video that FFmpeg can read")
    other = visitor()
    give(other, clips["sit_down"])
    other.click("#recognize-button")
    assert "sit_down.mp4" in result(other)


def test_browser_refuses_a_file_of_200_megabytes(visitor, clips):
    page = visitor()
    page.upload("input[type=file]", clips["big"])
    page.wait("document.body.innerText.includes('exceed')", 60)
    assert re.search(r'maximum allowed size of 2\.?0? Mb: "big\.mp4"', page.text())


def test_two_visitors_at_once_get_their_own_predictions(visitor, clips):
    pages = {name: visitor() for name in ("open_door", "climb_up")}
    for name, page in pages.items():
        give(page, clips[name])
    for page in pages.values():
        page.click("#recognize-button")
    for name, page in pages.items():
        lines = result(page).splitlines()
        assert lines[0] == f"{name}.mp4"
        best = page.text("#recognize-result .i3d-bars tr th")
        assert best == name


def test_browser_compares_sets_and_names_the_file_that_is_no_video(visitor, clips):
    page = visitor()
    open_tab(page, "Compare two sets")
    videos = [clips[name] for name in ACTIONS]
    page.upload("#first-set input[type=file]", *videos, clips["text"])
    page.upload("#second-set input[type=file]", *videos)
    page.wait("document.querySelectorAll('#first-set .file').length == 4")
    page.wait("document.querySelectorAll('#second-set .file').length == 3")
    page.click("#compare-button")
    lines = result(page, "compare").splitlines()
    assert float(lines[0].removeprefix("FVD ")) == pytest.approx(0, abs=1e-3)
    assert "3 videos in the first set, 3 in the second" in lines
    assert lines[-1].startswith("text.mp4: it is not a video")


@pytest.mark.parametrize(
    ("title", "tab", "expected"),
    [
        ("Compare two sets", "compare", r"^FVD \d"),
        ("Play backwards", "backwards", "open_door becomes its reversal, close_door"),
    ],
)
def test_other_tabs_take_rendered_examples(visitor, title, tab, expected):
    page = visitor()
    open_tab(page, title)
    page.click(f"#{tab}-button")
    assert re.search(expected, result(page, tab))
