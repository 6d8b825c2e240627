"""Editing the light and the expression of faces, guided by how natural people find the result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from legan_tf.serving.loading import load

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    # On first use only: `import legan_tf` (the command line, a client) stays free of TensorFlow.
    if name == "load":
        from legan_tf.serving.loading import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
