"""Editing the light and the expression of faces, guided by how natural people find the result."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from legan_tf.serving.loading import load
    from legan_tf.uses.keras_layers import NaturalnessLoss, NaturalnessMetric, RandomEdit
    from legan_tf.uses.photographs.photograph_editor import PhotographEditor, edit_photograph

__all__ = [
    "NaturalnessLoss",
    "NaturalnessMetric",
    "PhotographEditor",
    "RandomEdit",
    "edit_photograph",
    "load",
]

_MODULES = {
    "NaturalnessLoss": "legan_tf.uses.keras_layers",
    "NaturalnessMetric": "legan_tf.uses.keras_layers",
    "PhotographEditor": "legan_tf.uses.photographs.photograph_editor",
    "RandomEdit": "legan_tf.uses.keras_layers",
    "edit_photograph": "legan_tf.uses.photographs.photograph_editor",
    "load": "legan_tf.serving.loading",
}


def __getattr__(name: str) -> Any:
    # On first use only: `import legan_tf` (the command line, a client) stays free of TensorFlow.
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
