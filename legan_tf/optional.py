"""Requirements that cannot work everywhere, and how their absence is told."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType

from legan_tf.errors import UserError

_DISTRIBUTIONS = {
    "tensorflow_addons": "tensorflow-addons",
    "tensorflow_gan": "tensorflow-gan",
    "tensorflow_io": "tensorflow-io",
}


class UnavailableError(UserError):
    """Something was asked for that needs a package which does not work in this environment."""


def require(module: str, purpose: str) -> ModuleType:
    """Imports a package that works with TensorFlow 2.15 only.

    Args:
        module: Its import name: ``tensorflow_addons``, ``tensorflow_gan`` or ``tensorflow_io``.
        purpose: What it is needed for, as the subject of a sentence ("reading s3:// paths").

    Returns:
        The imported module.

    Raises:
        UnavailableError: The package is absent, or does not load with this TensorFlow.
    """
    try:
        with warnings.catch_warnings():
            # They announce their end of support on import; that is known and contained.
            warnings.simplefilter("ignore")
            return importlib.import_module(module)
    except Exception as error:  # Built for an older TensorFlow, they fail in many ways.
        raise unavailable(module, purpose) from error


def unavailable(module: str, purpose: str) -> UnavailableError:
    """Returns the error for a package that imports, but whose native code does not load.

    Args:
        module: Import name of the package.
        purpose: What it is needed for, as the subject of a sentence.
    """
    return UnavailableError(
        f"{purpose} needs {_DISTRIBUTIONS[module]}, which is not usable in this environment: it "
        "works with TensorFlow 2.15, which `pip install .` gives on Python before 3.12."
    )
