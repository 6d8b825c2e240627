"""Runs the local server: ``python -m legan_tf.serving.local_server --model_base_path=...``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

from absl import logging

from legan_tf import cli
from legan_tf.serving import local_server
from legan_tf.serving.local_server import options

_ENDING = (signal.SIGTERM, signal.SIGINT)


def main(argv: Sequence[str]) -> None:
    """Serves until it is told to stop, and ends the process."""
    logging.set_verbosity(logging.INFO)
    logging.info("This server is for development and tests, not for production.")
    ignored = options.without_effect()
    if ignored:
        logging.info("Without effect here: %s.", ", ".join(f"--{name}" for name in ignored))
    server = local_server.LocalServer(options.from_flags())

    def stop(*_: object) -> None:
        for number in _ENDING:
            # Who asks again does not want to wait.
            signal.signal(number, signal.SIG_DFL)
        server.request_stop()

    for number in _ENDING:
        signal.signal(number, stop)
    with server:
        logging.info("Listening on %s.", server.listening)
        server.wait()
    logging.flush()
    sys.stdout.flush()
    # Without waiting, as exiting does, for threads whose model still runs.
    os._exit(0)


if __name__ == "__main__":
    options.define_flags()
    cli.run(main)
