"""HTTP server of a study: serves the page and stores answers. Does not import TensorFlow."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import sys
import threading
from typing import Any

from legan_tf.errors import UserError
from legan_tf.serving import http_server
from legan_tf.uses.study.answers import PERSON, problem_with
from legan_tf.uses.study.config import MAX_RATERS
from legan_tf.uses.study.study_file import ANSWERS, PAGE, PICTURES, Study

MAX_REQUEST_BYTES = 64 << 10
"""The page sends up to 100 answers at a time, of about 100 bytes each."""
MAX_BYTES_PER_RATER = 8 << 20
_BODY_S = 10.0

_PICTURE = re.compile(rf"/{PICTURES}/(p[0-9a-f]+)\.png")
_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/index.html": ("index.html", "text/html; charset=utf-8"),
    "/study.js": ("study.js", "text/javascript; charset=utf-8"),
}
_PNG = "image/png"
_POLICY = "default-src 'self' 'unsafe-inline' data: blob:; frame-ancestors 'none'"


class StudyServer(http_server.Server):
    """Serves the page of one study and appends answers to ``answers/RATER.jsonl``.

    An answer is on disk before it is confirmed. A rater number is assigned by creating that file,
    so that no number is assigned twice, also after a restart.
    """

    def __init__(self, study: Study, host: str, port: int) -> None:
        """Binds the port.

        Raises:
            UserError: It cannot be bound, or the folder of answers cannot be made.
        """
        self.study = study
        self.folder = os.path.join(study.folder, ANSWERS)
        self._writing = threading.Lock()
        self._next_rater = 1
        try:
            os.makedirs(self.folder, exist_ok=True)
        except OSError as error:
            raise UserError(f"{self.folder}: cannot be made ({error.strerror}).") from error
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            if isinstance(error, socket.gaierror) or error.args[0] == errno.EADDRNOTAVAIL:
                raise UserError(
                    f"--host={host}: is no address of this computer; give one, or 0.0.0.0 for all."
                ) from error
            raise UserError(
                f"--host={host} --port={port}: cannot be opened ({error}); is another server there?"
            ) from error

    @property
    def address(self) -> str:
        """The address of the page; for 0.0.0.0, the address of this computer in its network."""
        host, port = self.server_address[:2]
        return f"http://{_own_address() if host == '0.0.0.0' else host}:{port}/"

    def next_rater(self) -> int:
        """Assigns the lowest rater number that is free since the server started.

        Raises:
            http_server.Refused: There is none left, or the file cannot be created.
        """
        # Without a lock: creating a file fails for all but one, and so one may begin too low.
        for rater in range(self._next_rater, MAX_RATERS + 1):
            path = self._file(rater)
            try:
                with open(path, "xb"):
                    self._next_rater = rater + 1
                    return rater
            except FileExistsError:
                continue
            except OSError as error:
                raise _not_stored(path, error) from error
        raise http_server.Refused(409, "All numbers are taken.")

    def store(self, content: Any) -> int:
        """Checks answers and appends them.

        Args:
            content: The request: ``study``, ``rater``, ``person`` and ``answers``.

        Returns:
            The number of answers.

        Raises:
            http_server.Refused: An answer is invalid; none is stored then.
        """
        if not isinstance(content, dict) or content.get("study") != self.study.id:
            raise http_server.Refused(400, "These are no answers to this study.")
        rater, person, answers = (content.get(key) for key in ("rater", "person", "answers"))
        if not isinstance(person, str) or not PERSON.fullmatch(person):
            raise http_server.Refused(400, "The person must be 12 digits and letters from a to f.")
        if not isinstance(answers, list) or not answers:
            raise http_server.Refused(400, "There must be a list of answers.")
        lines, owner = [], {"study": self.study.id, "rater": rater, "person": person}
        for record in answers:
            problem = problem_with(self.study, rater, record)
            if problem:
                raise http_server.Refused(400, problem)
            kept = {key: record[key] for key in ("trial", "answer", "ms", "at")}
            lines.append(json.dumps({**owner, **kept}).encode() + b"\n")
        self._append(self._file(rater), b"".join(lines))
        return len(lines)

    def _file(self, rater: int) -> str:
        return os.path.join(self.folder, f"{rater}.jsonl")

    def _append(self, path: str, lines: bytes) -> None:
        try:
            with self._writing, open(path, "a+b") as file:
                length = file.seek(0, os.SEEK_END)
                if length + len(lines) > MAX_BYTES_PER_RATER:
                    raise http_server.Refused(413, "This person has sent too many answers.")
                if length:
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":  # The server was killed while writing.
                        lines = b"\n" + lines
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _not_stored(path, error) from error

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores broken connections; prints other errors, which are bugs."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


def _not_stored(path: str, error: OSError) -> http_server.Refused:
    print(f"{path}: cannot be written ({error.strerror}).", file=sys.stderr)
    return http_server.Refused(507, "Nothing can be stored now.")


def _own_address() -> str:
    """The address of the network interface of the default route; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return probe.getsockname()[0]
        except OSError:
            return "127.0.0.1"


class _Handler(http_server.Handler):
    server: StudyServer
    server_version = "study"
    error_message_format = "%(explain)s\n"
    error_content_type = "text/plain; charset=utf-8"

    def do_GET(self) -> None:
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # The body is not read.
        path = self.path.partition("?")[0]
        picture = _PICTURE.fullmatch(path)
        if picture and picture[1] in self.server.study.pictures:
            name, kind = os.path.join(PICTURES, f"{picture[1]}.png"), _PNG
        elif path in _FILES:
            name, kind = _FILES[path]
        else:
            self._answer(404, "There is nothing here.\n")
            return
        try:
            with open(os.path.join(self.server.study.folder, PAGE, name), "rb") as file:
                content = file.read()
        except OSError:
            self._answer(404, "This file of the study is missing.\n")
            return
        self._answer(200, content, kind)

    def do_POST(self) -> None:
        path = self.path.partition("?")[0]
        try:
            if path == "/rater":
                self._json()
                answer = {"rater": self.server.next_rater()}
            elif path == "/answers":
                answer = {"stored": self.server.store(self._json())}
            else:
                raise http_server.Refused(404, "There is nothing here.")
        except http_server.Refused as refused:
            # The unread rest of the body would be taken for the next request.
            self.close_connection = True
            self._answer(refused.status, f"{refused}\n")
            return
        self._answer(200, json.dumps(answer), "application/json")

    def _json(self) -> Any:
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,9}", length):
            raise http_server.Refused(411, "The request must state its length.")
        if int(length) > MAX_REQUEST_BYTES:
            raise http_server.Refused(413, f"A request may have {MAX_REQUEST_BYTES} bytes at most.")
        # Pages of other sites cannot send this type without CORS permission, which is not given.
        if self.headers.get_content_type() != "application/json":
            raise http_server.Refused(415, "It must be sent as application/json.")
        try:
            return json.loads(b"".join(self.body(int(length), _BODY_S)))
        except TimeoutError as error:
            raise http_server.Refused(408, "The request did not come in time.") from error
        except ConnectionError as error:
            raise http_server.Refused(400, "The request broke off.") from error
        except (ValueError, RecursionError) as error:
            raise http_server.Refused(400, "The request is not JSON.") from error

    def _answer(self, status: int, content: str | bytes, kind: str = "text/plain") -> None:
        body = content.encode() if isinstance(content, str) else content
        # Prefetched images stay available while the server is down.
        cached = "max-age=86400" if kind == _PNG else "no-cache"
        headers = {"Content-Type": kind, "Content-Security-Policy": _POLICY}
        self.send(status, {**headers, "Cache-Control": cached}, body)

    def log_message(self, format: str, *args: Any) -> None:
        """Logs no requests: the addresses of raters are private."""


def serve(study: Study, host: str, port: int) -> None:
    """Serves a study until interrupted.

    Raises:
        UserError: The port cannot be bound.
    """
    with StudyServer(study, host, port) as server:
        print(f"{server.address} until Ctrl-C; answers go to {server.folder}.", flush=True)
        server.serve_forever()
