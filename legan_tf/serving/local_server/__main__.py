"""Runs the local server: ``python -m legan_tf.serving.local_server --model_base_path=...``."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from absl import logging

from legan_tf import cli
from legan_tf.serving import local_server
from legan_tf.serving.local_server import options


def main(argv: Sequence[str]) -> int:
    """Serves until it is told to stop.

    Returns:
        The exit status.
    """
    logging.set_verbosity(logging.INFO)
    logging.info("This server is for development and tests, not for production.")
    ignored = options.without_effect()
    if ignored:
        logging.info("Without effect here: %s.", ", ".join(f"--{name}" for name in ignored))
    server = local_server.LocalServer(options.from_flags())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.request_stop())
    with server:
        logging.info("Listening on %s.", server.listening)
        server.wait()
    return 0


if __name__ == "__main__":
    options.define_flags()
    cli.run(main)
