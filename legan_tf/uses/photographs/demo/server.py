"""HTTP server of the page: edits photographs for the browser of the same computer.

It listens on the loopback alone, holds a few photographs in memory while they are edited, and
stores and logs nothing.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import json
import pathlib
import re
import secrets
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from PIL import Image

from legan_tf.errors import UserError
from legan_tf.head.expressions import PRESETS
from legan_tf.serving import http_server
from legan_tf.uses.photographs import photograph_file
from legan_tf.uses.photographs.edit_files import NAMED_LIGHTS, suffix_of
from legan_tf.uses.photographs.photograph_editor import LARGEST, PhotographEditor, Target, opener
from legan_tf.uses.photographs.photograph_file import Photograph

HOST = "127.0.0.1"
MAX_PHOTOGRAPH_BYTES = 64 << 20
MAX_REQUEST_BYTES = 4 << 10
_KEPT = 3
"""Photographs in memory; the one that was used longest ago is forgotten for a new one."""
_PREVIEW = 1024
_PREVIEW_SUFFIX = ".jpg"
_MOST_STRENGTH = 1e9
_BODY_S = 30.0
_WAIT_S = 60.0
"""How long a request waits for the one that is worked on."""

_PAGE = pathlib.Path(__file__).parent / "page"
_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/demo.css": ("demo.css", "text/css; charset=utf-8"),
    "/demo.js": ("demo.js", "text/javascript; charset=utf-8"),
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "TIFF": "image/tiff", "WEBP": "image/webp"}


class _Session:
    """A photograph that is edited: a preview of a size that a screen shows, and the whole of it."""

    def __init__(self, photograph: Photograph, face: str, finder: str, head: str) -> None:
        """Finds the faces and fits the head to them in the preview.

        Args:
            photograph: The photograph.
            face: Which faces to edit; see ``PhotographEditor``, as are the others.
            finder: Name of the finder.
            head: The head to fit.

        Raises:
            UserError: There is no face that can be edited.
        """
        self._photograph = photograph
        self._open = functools.partial(PhotographEditor, face=face, finder=finder, head=head)
        self._whole: PhotographEditor | None = None
        height, width = photograph.image.shape[:2]
        scale = min(1.0, _PREVIEW / max(height, width))
        small = photograph
        if scale < 1:
            size = max(1, round(width * scale)), max(1, round(height * scale))
            reduced = Image.fromarray(photograph.image).resize(size, Image.Resampling.LANCZOS)
            small = photograph_file.read(np.asarray(reduced), photograph.name)
        self._preview = self._open(small)
        self.found = self._preview.found
        self.notes = dict.fromkeys((*photograph.notes, *self._preview.notes))

    def preview(self, target: Target) -> bytes:
        """Returns the preview of an edit, as JPEG."""
        return self._preview.edit_to(target).encode(_PREVIEW_SUFFIX)

    def file(self, target: Target) -> tuple[bytes, str]:
        """Returns the edit of the whole photograph, and its suffix: the photograph's own format."""
        if self._whole is None:
            self._whole = self._open(self._photograph)
        suffix = suffix_of(self._photograph.name)
        return self._whole.edit_to(target).encode(suffix), suffix


class DemoServer(http_server.Server):
    """Serves the page and edits what it sends."""

    def __init__(self, port: int, finder: str, head: str) -> None:
        """Loads finder and head, and binds the port on the loopback.

        Args:
            port: Port to listen at; 0 for any.
            finder: Name of the finder of faces.
            head: The head to fit.

        Raises:
            UserError: One of them cannot be used.
        """
        opener(finder=finder, head=head)  # What is wrong with them is told now.
        self._finding = {"finder": finder, "head": head}
        self._sessions: collections.OrderedDict[str, _Session] = collections.OrderedDict()
        self._working = threading.Lock()
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise UserError(
                f"--port={port}: cannot be opened ({error}); is another server there?"
            ) from error

    @property
    def address(self) -> str:
        """The address of the page."""
        return f"http://{HOST}:{self.server_address[1]}/"

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Lets one request at a time use memory and processor; refuses too many."""
        if not self._working.acquire(timeout=_WAIT_S):
            raise http_server.Refused(503, "The computer is busy with other photographs.")
        try:
            yield
        finally:
            self._working.release()

    def open(self, content: bytes, name: str, face: str) -> tuple[str, _Session]:
        """Reads a photograph and keeps it; returns what to call it by."""
        session = _Session(photograph_file.read(content, name), face, **self._finding)
        token = secrets.token_urlsafe(16)
        self._sessions[token] = session
        while len(self._sessions) > _KEPT:
            self._sessions.popitem(last=False)
        return token, session

    def session(self, token: Any) -> _Session:
        """Returns a photograph that is kept."""
        if not isinstance(token, str) or token not in self._sessions:
            raise http_server.Refused(410, "This photograph is no longer kept; choose it again.")
        self._sessions.move_to_end(token)
        return self._sessions[token]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores broken connections; prints other errors, which are bugs."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(http_server.Handler):
    server: DemoServer
    server_version = "legan-tf"
    error_message_format = "%(explain)s\n"
    error_content_type = "text/plain; charset=utf-8"

    def do_GET(self) -> None:
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # The body is not read.
        try:
            self._check_origin()
            if self.path == "/targets":
                self._send_json({"expressions": list(PRESETS), "lights": list(NAMED_LIGHTS)})
                return
            if self.path not in _FILES:
                raise http_server.Refused(404, "There is nothing here.")
            name, kind = _FILES[self.path]
            self._send(200, (_PAGE / name).read_bytes(), kind)
        except http_server.Refused as refused:
            self._refuse(refused)

    def do_POST(self) -> None:
        try:
            self._check_origin()
            if self.path == "/photograph":
                self._open()
            elif self.path in ("/preview", "/file"):
                self._edit()
            else:
                raise http_server.Refused(404, "There is nothing here.")
        except http_server.Refused as refused:
            self._refuse(refused)
        except UserError as error:
            self._refuse(http_server.Refused(422, str(error)))

    def _open(self) -> None:
        with self.server.working():
            content = self._body("application/octet-stream", MAX_PHOTOGRAPH_BYTES)
            name = re.sub(r"[^\w. -]", "", self.headers.get("X-Name", ""))[-100:] or "photograph"
            token, session = self.server.open(content, name, self.headers.get("X-Face", LARGEST))
        self._send_json({"photograph": token, "faces": session.found, "notes": list(session.notes)})

    def _edit(self) -> None:
        try:
            asked = json.loads(self._body("application/json", MAX_REQUEST_BYTES))
        except (ValueError, RecursionError) as error:
            raise http_server.Refused(400, "The request is not JSON.") from error
        target = _target(asked)
        with self.server.working():
            session = self.server.session(asked.get("photograph"))
            if self.path == "/preview":
                content, suffix = session.preview(target), _PREVIEW_SUFFIX
            else:
                content, suffix = session.file(target)
        self._send(200, content, _TYPES[photograph_file.FORMATS[suffix.lower()]])

    def _check_origin(self) -> None:
        """Refuses what is asked by pages of other sites, or under a name that leads here.

        Raises:
            http_server.Refused: It is such a request.
        """
        port = self.server.server_address[1]
        hosts = [f"{host}:{port}" for host in (HOST, "localhost")]
        origin = self.headers.get("Origin")
        if self.headers.get("Host") not in hosts:
            raise http_server.Refused(403, "This page is for the browser of this computer.")
        if origin is not None and origin not in [f"http://{host}" for host in hosts]:
            raise http_server.Refused(403, "This is not for pages of other sites.")

    def _body(self, kind: str, most: int) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,12}", length):
            raise http_server.Refused(411, "The request must state its length.")
        if int(length) > most:
            raise http_server.Refused(413, f"It has more than {most / 2**20:.3g} MiB.")
        # Pages of other sites cannot send these types without permission, which is not given.
        if self.headers.get_content_type() != kind:
            raise http_server.Refused(415, f"It must be sent as {kind}.")
        try:
            return b"".join(self.body(int(length), _BODY_S))
        except TimeoutError as error:
            raise http_server.Refused(408, "The request did not come in time.") from error
        except ConnectionError as error:
            raise http_server.Refused(400, "The request broke off.") from error

    def _refuse(self, refused: http_server.Refused) -> None:
        # The unread rest of a body would be taken for the next request.
        self.close_connection = True
        content = f"{refused}\n".encode(errors="replace")
        self._send(refused.status, content, "text/plain; charset=utf-8")

    def _send_json(self, values: Any) -> None:
        self._send(200, json.dumps(values).encode(), "application/json")

    def _send(self, status: int, content: bytes, kind: str) -> None:
        self.send(status, {"Content-Type": kind, **_HEADERS}, content)

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing."""


def _target(asked: Any) -> Target:
    """Returns the target that a request asks for.

    Raises:
        http_server.Refused: It is no such request.
        UserError: A target is unknown.
    """
    if not isinstance(asked, Mapping):
        raise http_server.Refused(400, "The request must be an object.")
    expression, lighting, strength = (
        asked.get(key, default)
        for key, default in (("expression", None), ("lighting", None), ("strength", 1.0))
    )
    texts = (expression, lighting)
    numeric = isinstance(strength, (int, float)) and not isinstance(strength, bool)
    # Python's JSON has NaN, and whole numbers that no float holds.
    numeric = numeric and abs(strength) < _MOST_STRENGTH
    if any(text is not None and not isinstance(text, str) for text in texts) or not numeric:
        raise http_server.Refused(400, "Targets are names, strength is a number.")
    return Target(expression, lighting, strength)


def serve(port: int, finder: str, head: str) -> None:
    """Serves the page until interrupted; see ``DemoServer``."""
    with DemoServer(port, finder, head) as server:
        print(f"{server.address} until Ctrl-C; nothing is stored.", flush=True)
        server.serve_forever()
