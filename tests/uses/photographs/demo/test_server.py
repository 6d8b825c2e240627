"""The server of the demo page: what it answers, and to whom."""

from __future__ import annotations

import http.client
import io
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from legan_tf.errors import UserError
from legan_tf.uses.photographs.demo import server as demo
from legan_tf.uses.photographs.photograph_editor import PhotographEditor

ROOT = pathlib.Path(__file__).parents[4]
PAGE = pathlib.Path(demo.__file__).parent / "page"


def ask(server, method, path, body=None, **headers):
    """Returns status, headers and content of an answer; a header of None is not sent."""
    connection = http.client.HTTPConnection(*server.server_address, timeout=120)
    try:
        connection.putrequest(method, path, skip_host="Host" in headers)
        if body is not None:
            headers.setdefault("Content-Length", str(len(body)))
        for name, value in headers.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def send(server, content, **headers):
    kind = {"Content-Type": "application/octet-stream", "X-Name": "me.png", **headers}
    status, _, answer = ask(server, "POST", "/photograph", content, **kind)
    return status, json.loads(answer) if status == 200 else answer.decode()


def edit(server, path, **target):
    body = json.dumps(target).encode()
    return ask(server, "POST", path, body, **{"Content-Type": "application/json"})


@pytest.fixture(scope="module")
def face_file(faces) -> bytes:
    content = io.BytesIO()
    Image.fromarray(faces[0]).save(content, "PNG")
    return content.getvalue()


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def test_a_photograph_is_edited_and_saved_at_its_own_size(server, face_file, faces):
    status, opened = send(server, face_file)
    assert status == 200 and opened["faces"] == 1 and opened["notes"] == []
    photograph = opened["photograph"]
    expected = PhotographEditor(faces[0]).edit("smile", strength=1.3).image
    status, headers, content = edit(
        server, "/preview", photograph=photograph, expression="smile", strength=1.3
    )
    assert status == 200 and headers["Content-Type"] == "image/jpeg"
    assert np.abs(pixels(content) - expected).mean() < 1.5
    status, headers, content = edit(
        server, "/file", photograph=photograph, expression="smile", strength=1.3
    )
    assert status == 200 and headers["Content-Type"] == "image/png"
    np.testing.assert_array_equal(pixels(content), expected)
    assert b"compositeSynthetic" in Image.open(io.BytesIO(content)).info["xmp"]
    assert headers["Cache-Control"] == "no-store"


def test_a_large_photograph_has_a_small_preview(server, faces):
    large = Image.fromarray(faces[1]).resize((1500, 1500), Image.Resampling.BICUBIC)
    content = io.BytesIO()
    large.save(content, "JPEG", quality=80)
    status, opened = send(server, content.getvalue(), **{"X-Name": "large.jpg"})
    assert status == 200
    _, _, preview = edit(server, "/preview", photograph=opened["photograph"])
    assert pixels(preview).shape == (1024, 1024, 3)
    _, headers, whole = edit(server, "/file", photograph=opened["photograph"], expression="smile")
    assert pixels(whole).shape == (1500, 1500, 3) and headers["Content-Type"] == "image/jpeg"


def test_the_page_needs_nothing_from_elsewhere(server):
    for path, file in (("/", "index.html"), ("/demo.js", "demo.js"), ("/demo.css", "demo.css")):
        status, headers, content = ask(server, "GET", path)
        assert (status, content) == (200, (PAGE / file).read_bytes())
        assert b"http://" not in content and b"https://" not in content
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
    status, _, content = ask(server, "GET", "/targets")
    targets = json.loads(content)
    assert "smile" in targets["expressions"] and "left" in targets["lights"]


def test_nothing_else_is_served(server):
    for path in (
        "/index.html", "/../server.py", "/page/index.html", "/demo.js/..", "//etc/passwd",
        "/%2e%2e/server.py", "/file", "/" + "a" * 3000,
    ):  # fmt: skip
        status, _, content = ask(server, "GET", path)
        assert (status, content) == (404, b"There is nothing here.\n"), path


def test_it_is_for_the_browser_of_this_computer_alone(server, face_file):
    port = server.server_address[1]
    assert server.server_address[0] == "127.0.0.1"
    for host in ("attacker.example", f"attacker.example:{port}", "127.0.0.1", None):
        assert ask(server, "GET", "/", Host=host)[0] == 403, host
    assert ask(server, "GET", "/", Host=f"localhost:{port}")[0] == 200
    for origin in ("http://attacker.example", "null", f"http://127.0.0.1:{port + 1}"):
        status, told = send(server, face_file, Origin=origin)
        assert (status, told) == (403, "This is not for pages of other sites.\n"), origin
    assert send(server, face_file, Origin=f"http://127.0.0.1:{port}")[0] == 200


def test_what_cannot_be_edited_is_told_in_a_sentence(server, face_file):
    wall = io.BytesIO()
    Image.new("RGB", (80, 60), (90, 100, 110)).save(wall, "PNG")
    for content, headers, status, sentence in (
        (b"no picture", {}, 422, "me.png: is damaged or of no known picture format"),
        (b"", {}, 422, "me.png: is empty"),
        (wall.getvalue(), {}, 422, "me.png: no face was found"),
        (face_file, {"X-Face": "9"}, 422, "me.png: has 1 face; there is no --face=9"),
        (face_file, {"X-Name": "../../etc/<me>.png"}, 200, ""),
        (b"x", {"Content-Type": "text/plain"}, 415, "It must be sent as application/octet-stream"),
        (b"x", {"Content-Length": str(demo.MAX_PHOTOGRAPH_BYTES + 1)}, 413, "Too Large"),
    ):
        found, told = send(server, content, **headers)
        assert found == status, told
        assert status == 200 or sentence in told


def test_wrong_edits_are_told(server, face_file):
    photograph = send(server, face_file)[1]["photograph"]
    for target, status, sentence in (
        ({"expression": "smlie"}, 422, "'smlie' is no expression that is known"),
        ({"lighting": "lfet"}, 422, "is no light that is known"),
        ({"strength": 5}, 422, "strength 5 is not within 0 to 2"),
        ({"expression": ["smile"]}, 400, "Targets are names"),
        ({"strength": True}, 400, "strength is a number"),
        ({"strength": 10**400}, 400, "strength is a number"),
        ({"strength": float("nan")}, 400, "strength is a number"),
        ({"lighting": "\ud800"}, 422, "is no light that is known"),
        ({"photograph": "another"}, 410, "no longer kept"),
        ({"photograph": [1]}, 410, "no longer kept"),
    ):
        found, _, told = edit(server, "/preview", **{"photograph": photograph, **target})
        assert found == status and sentence in told.decode(), target
    for body in (b"[]", b"{", b"[" * 4000):
        status, _, _ = ask(server, "POST", "/preview", body, **{"Content-Type": "application/json"})
        assert status == 400
    assert edit(server, "/elsewhere")[0] == 404


def test_photographs_are_forgotten_for_newer_ones(server, face_file):
    first = send(server, face_file)[1]["photograph"]
    for _ in range(3):
        newest = send(server, face_file)[1]["photograph"]
    assert edit(server, "/preview", photograph=first)[0] == 410
    assert edit(server, "/preview", photograph=newest)[0] == 200


def test_a_port_in_use_is_told():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"--port={port}: cannot be opened"):
            demo.DemoServer(port, "tflite", "")


def test_the_command_serves_until_it_is_interrupted(tmp_path):
    program = [sys.executable, str(ROOT / "scripts" / "demo.py"), "--port=0"]
    running = subprocess.Popen(
        program,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        # Where the tests run in the background, Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        line = running.stdout.readline()
        assert line.startswith("http://127.0.0.1:") and "nothing is stored" in line
        host, port = line.split("/")[2].split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=20)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
    finally:
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=30)
    assert running.returncode == 130 and errors.strip() == "Interrupted."
    assert os.listdir(tmp_path) == []
