"""HTTP server of the page: edits photographs for the browser of the same computer.

It listens on the loopback alone, holds a few photographs in memory while they are edited, and
stores and logs nothing.
"""

from __future__ import annotations

import collections
import functools
import json
import pathlib
import re
import secrets
from collections.abc import Mapping
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
_IN_MEMORY = 1 << 30
_KEPT = 3
"""Photographs in memory; the one that was used longest ago is forgotten for a new one."""
_PREVIEW = 1024
_PREVIEW_SUFFIX = ".jpg"
_MOST_STRENGTH = 1e9

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
    """Serves the page and edits what it sends, one request after the other."""

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
        # Waitress would write what is larger to temporary files.
        in_memory = {"inbuf_overflow": _IN_MEMORY, "outbuf_overflow": _IN_MEMORY}
        try:
            super().__init__(HOST, port, MAX_PHOTOGRAPH_BYTES, threads=1, **in_memory)
        except OSError as error:
            raise UserError(
                f"--port={port}: cannot be opened ({error}); is another server there?"
            ) from error

    @property
    def address(self) -> str:
        """The address of the page."""
        return f"http://{HOST}:{self.server_address[1]}/"

    def answer(self, environ: Mapping[str, Any]) -> http_server.Answer:
        """Answers with a file of the page, a photograph that was opened, or an edit of one."""
        self._check_origin(environ)
        asked = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        try:
            if asked == ("POST", "/photograph"):
                return self._open(environ)
            if asked in (("POST", "/preview"), ("POST", "/file")):
                return self._edit(environ)
        except UserError as error:
            raise http_server.Refused(422, str(error)) from error
        if asked == ("GET", "/targets"):
            return _as_json({"expressions": list(PRESETS), "lights": list(NAMED_LIGHTS)})
        if asked[1] not in _FILES:
            raise http_server.Refused(404, "There is nothing here.")
        name, kind = _FILES[asked[1]]
        return http_server.Answer((_PAGE / name).read_bytes(), kind, _HEADERS)

    def _open(self, environ: Mapping[str, Any]) -> http_server.Answer:
        """Reads a photograph and keeps it; answers with what to call it by."""
        http_server.check_type(environ, "application/octet-stream")
        name = re.sub(r"[^\w. -]", "", environ.get("HTTP_X_NAME", ""))[-100:] or "photograph"
        photograph = photograph_file.read(environ["wsgi.input"].read(), name)
        session = _Session(photograph, environ.get("HTTP_X_FACE", LARGEST), **self._finding)
        token = secrets.token_urlsafe(16)
        self._sessions[token] = session
        while len(self._sessions) > _KEPT:
            self._sessions.popitem(last=False)
        notes = list(session.notes)
        return _as_json({"photograph": token, "faces": session.found, "notes": notes})

    def _edit(self, environ: Mapping[str, Any]) -> http_server.Answer:
        asked = http_server.read_json(environ)
        target = _target(asked)
        token = asked.get("photograph")
        if not isinstance(token, str) or token not in self._sessions:
            raise http_server.Refused(410, "This photograph is no longer kept; choose it again.")
        self._sessions.move_to_end(token)
        if environ["PATH_INFO"] == "/preview":
            content, suffix = self._sessions[token].preview(target), _PREVIEW_SUFFIX
        else:
            content, suffix = self._sessions[token].file(target)
        kind = _TYPES[photograph_file.FORMATS[suffix.lower()]]
        return http_server.Answer(content, kind, _HEADERS)

    def _check_origin(self, environ: Mapping[str, Any]) -> None:
        """Refuses what is asked by pages of other sites, or under a name that leads here.

        Raises:
            http_server.Refused: It is such a request.
        """
        port = self.server_address[1]
        hosts = [f"{host}:{port}" for host in (HOST, "localhost")]
        origin = environ.get("HTTP_ORIGIN")
        if environ.get("HTTP_HOST") not in hosts:
            raise http_server.Refused(403, "This page is for the browser of this computer.")
        if origin is not None and origin not in [f"http://{host}" for host in hosts]:
            raise http_server.Refused(403, "This is not for pages of other sites.")


def _as_json(values: Any) -> http_server.Answer:
    return http_server.Answer(json.dumps(values).encode(), "application/json", _HEADERS)


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
