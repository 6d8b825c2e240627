"""Runs the local server: ``python -m legan_tf.serving.local_server --model_base_path=...``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

from absl import logging

from legan_tf.command_line import cli, options
from legan_tf.serving import local_server

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def main(argv: Sequence[str]) -> None:
    """Serves until a signal asks it to stop, and ends the process."""
    logging.set_verbosity(logging.INFO)
    logging.info("This server is for development and tests, not for production.")
    server = local_server.LocalServer(options.from_flags(local_server.Options))

    def stop(*_: object) -> None:
        for number in _STOP_SIGNALS:
            # A second signal ends it at once.
            signal.signal(number, signal.SIG_DFL)
        server.request_stop()

    for number in _STOP_SIGNALS:
        signal.signal(number, stop)
    with server:
        logging.info("Listening on %s.", server.listening)
        server.wait()
    logging.flush()
    sys.stdout.flush()
    # Without waiting, as exiting does, for threads whose model still runs.
    os._exit(0)


if __name__ == "__main__":
    options.define_flags(local_server.Options)
    cli.run(main)
