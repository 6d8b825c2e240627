"""Using a trained network: load it, edit pictures, export it, serve it; and clients of a server."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from legan_tf.serving.client import AsyncClient, Client, Masks, Scores, VersionStatus
    from legan_tf.serving.client_calls import Tls
    from legan_tf.serving.client_errors import (
        AccessDenied,
        ClientError,
        DeadlineExceeded,
        InvalidRequest,
        MessageTooLarge,
        ModelNotFound,
        Overloaded,
        ServerError,
        ServerUnavailable,
        SignatureNotFound,
    )

__all__ = [
    "AccessDenied",
    "AsyncClient",
    "Client",
    "ClientError",
    "DeadlineExceeded",
    "InvalidRequest",
    "Masks",
    "MessageTooLarge",
    "ModelNotFound",
    "Overloaded",
    "Scores",
    "ServerError",
    "ServerUnavailable",
    "SignatureNotFound",
    "Tls",
    "VersionStatus",
]


def __getattr__(name: str) -> Any:
    # On first use only: what trains or exports needs no client.
    if name in __all__:
        for module in ("client_errors", "client_calls", "client"):
            found = importlib.import_module(f"legan_tf.serving.{module}")
            if hasattr(found, name):
                return getattr(found, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
