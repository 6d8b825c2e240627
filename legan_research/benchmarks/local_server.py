"""The local server in a separate process on the loopback interface."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator

_START_S, _STOP_S = 60.0, 30.0


@contextlib.contextmanager
def running(folder: str) -> Iterator[str]:
    """Runs the local server.

    Args:
        folder: Folder with the models in ``models`` and the files of ``server_files.write``.

    Yields:
        The address of the server, HOST:PORT.

    Raises:
        RuntimeError: The server did not start.
    """
    command = [sys.executable, "-m", "legan_tf.serving.local_server", "--port=-1"]
    command += [f"--model_config_file={os.path.join(folder, 'models.config')}"]
    command += [f"--volume={os.path.join(folder, 'models')}:/models"]
    log = os.path.join(folder, "server.log")
    with open(log, "w", encoding="utf-8") as stderr:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=stderr)
    try:
        yield _listening(process, log)
    finally:
        process.terminate()
        wait_or_kill(process)


def wait_or_kill(process: subprocess.Popen) -> None:
    """Waits for the end of a process, and kills it after half a minute."""
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _listening(process: subprocess.Popen, log: str) -> str:
    """Waits until the server prints its address."""
    until = time.monotonic() + _START_S
    while time.monotonic() < until and process.poll() is None:
        with open(log, encoding="utf-8") as file:
            found = re.search(r"Listening on (\S+) \(gRPC\)", file.read())
        if found:
            return found[1]
        time.sleep(0.1)
    with open(log, encoding="utf-8") as file:
        raise RuntimeError(f"the local server did not start: {file.read()[-2000:]}")
