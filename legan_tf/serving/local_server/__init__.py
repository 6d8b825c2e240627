"""A server of SavedModels with TensorFlow Serving's protocol and configuration files.

For development and tests, where the real server cannot be installed; not for production.
"""

from __future__ import annotations

from typing import Any

from legan_tf.serving.local_server.options import Options

__all__ = ["LocalServer", "Options"]


def __getattr__(name: str) -> Any:
    # Late, so that a mistake on the command line is reported without waiting for TensorFlow.
    if name != "LocalServer":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from legan_tf.optional import require

    for package in ("grpc", "grpc_health", "tensorflow_serving"):
        require(package, "the local server")
    from legan_tf.serving.local_server.server import LocalServer

    return LocalServer
