"""Using a trained network: load it, edit pictures, export it, serve it; and clients of a server."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from legan_tf.serving.client import *  # noqa: F403


def __getattr__(name: str) -> Any:
    # The classes of the client, on first use only: training and export need none of them.
    if name[:1].isupper():
        return getattr(importlib.import_module("legan_tf.serving.client"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
