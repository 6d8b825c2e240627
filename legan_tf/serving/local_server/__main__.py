"""Runs the local server: ``python -m legan_tf.serving.local_server --model_base_path=...``."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from absl import logging

from legan_tf.command_line import cli, options
from legan_tf.serving import local_server


def main(argv: Sequence[str]) -> None:
    """Serves until a signal ends the process."""
    logging.set_verbosity(logging.INFO)
    logging.info("This server is for development and tests, not for production.")
    # At once: it has nothing to put in order, and Python would wait for threads that run a model.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with local_server.LocalServer(options.from_flags(local_server.Options)) as server:
        places = [f"{server.address} (gRPC)"] if server.address else []
        places += [f"http://{server.rest_address} (REST)"] if server.rest_address else []
        logging.info("Listening on %s.", ", ".join(places))
        signal.pause()


if __name__ == "__main__":
    options.define_flags(local_server.Options)
    cli.run(main)
