"""HTTP server of a study: serves the page and stores answers. Does not import TensorFlow."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import sys
import threading
from collections.abc import Mapping
from typing import Any

from legan_tf.errors import UserError
from legan_tf.serving import http_server
from legan_tf.uses.study.answers import PERSON, problem_with
from legan_tf.uses.study.config import MAX_RATERS
from legan_tf.uses.study.study_file import ANSWERS, PAGE, PICTURES, Study

MAX_REQUEST_BYTES = 64 << 10
"""The page sends up to 100 answers at a time, of about 100 bytes each."""
MAX_BYTES_PER_RATER = 8 << 20

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
            super().__init__(host, port, MAX_REQUEST_BYTES)
        except OSError as error:
            if error.errno in (errno.EADDRNOTAVAIL, socket.EAI_NONAME):
                raise UserError(
                    f"--host={host}: is no address of this computer; give one, or 0.0.0.0 for all."
                ) from error
            raise UserError(
                f"--host={host} --port={port}: cannot be opened ({error}); is another server there?"
            ) from error

    @property
    def address(self) -> str:
        """The address of the page; for 0.0.0.0, the address of this computer in its network."""
        host, port = self.server_address
        return f"http://{_own_address() if host == '0.0.0.0' else host}:{port}/"

    def answer(self, environ: Mapping[str, Any]) -> http_server.Answer:
        """Answers with a file of the page, or what became of a request of its program."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if (method, path) == ("POST", "/rater"):
            http_server.read_json(environ)
            return _as_json({"rater": self.next_rater()})
        if (method, path) == ("POST", "/answers"):
            return _as_json({"stored": self.store(http_server.read_json(environ))})
        picture = _PICTURE.fullmatch(path)
        if picture and picture[1] in self.study.pictures:
            name, kind = os.path.join(PICTURES, f"{picture[1]}.png"), _PNG
        elif path in _FILES:
            name, kind = _FILES[path]
        else:
            raise http_server.Refused(404, "There is nothing here.")
        try:
            with open(os.path.join(self.study.folder, PAGE, name), "rb") as file:
                content = file.read()
        except OSError as error:
            raise http_server.Refused(404, "This file of the study is missing.") from error
        # Prefetched images stay available while the server is down.
        cached = "max-age=86400" if kind == _PNG else "no-cache"
        headers = {"Content-Security-Policy": _POLICY, "Cache-Control": cached}
        return http_server.Answer(content, kind, headers)

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
        rater: Any = content.get("rater")
        person, answers = content.get("person"), content.get("answers")
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


def _not_stored(path: str, error: OSError) -> http_server.Refused:
    print(f"{path}: cannot be written ({error.strerror}).", file=sys.stderr)
    return http_server.Refused(507, "Nothing can be stored now.")


def _as_json(values: Any) -> http_server.Answer:
    content = json.dumps(values).encode()
    return http_server.Answer(content, "application/json", {"Cache-Control": "no-cache"})


def _own_address() -> str:
    """The address of the network interface of the default route; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return probe.getsockname()[0]
        except OSError:
            return "127.0.0.1"


def serve(study: Study, host: str, port: int) -> None:
    """Serves a study until interrupted.

    Raises:
        UserError: The port cannot be bound.
    """
    with StudyServer(study, host, port) as server:
        print(f"{server.address} until Ctrl-C; answers go to {server.folder}.", flush=True)
        server.serve_forever()
