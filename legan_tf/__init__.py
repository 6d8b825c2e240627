"""Editing the light and the expression of faces, guided by how natural people find the result."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from legan_tf.serving.loading import load
    from legan_tf.uses.keras_layers import NaturalnessLoss, NaturalnessMetric, RandomEdit

__all__ = ["NaturalnessLoss", "NaturalnessMetric", "RandomEdit", "load"]

_MODULES = {
    "NaturalnessLoss": "legan_tf.uses.keras_layers",
    "NaturalnessMetric": "legan_tf.uses.keras_layers",
    "RandomEdit": "legan_tf.uses.keras_layers",
    "load": "legan_tf.serving.loading",
}


def __getattr__(name: str) -> Any:
    # On first use only: `import legan_tf` (the command line, a client) stays free of TensorFlow.
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
