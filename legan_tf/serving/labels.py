"""Labels of a served network: kind, size, names of its classes. Free of TensorFlow, for clients."""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Sequence
from typing import Any, Union

import numpy as np

from legan_tf.errors import UserError

EDITOR = "editor"
SCORER = "scorer"
DEPTH = "depth"
_KINDS = (EDITOR, SCORER, DEPTH)
_LARGEST = 4096
"""Largest image size in pixels that clients accept from a server."""
KEEP = -1
"""Attribute id that means: leave this attribute as it is."""

Attribute = Union[str, int, None]
"""A class by name or id; None leaves the attribute as it is."""


@dataclasses.dataclass(frozen=True)
class Labels:
    """Labels of a network.

    Attributes:
        kind: ``EDITOR`` (image and attributes to image), ``SCORER`` (image to rating) or ``DEPTH``
            (image to map).
        architecture: Name of the model class.
        image_size: Height and width the network works at, in pixels.
        expressions: Names of the expression classes, in the order of their ids.
        lightings: Names of the lighting classes, in the order of their ids.
        keeps_unnamed: Whether an attribute may be left unnamed, which keeps it as it is.
        geometry: Kind of its maps, ``depth`` or ``normal``; nothing if it makes none.
        target: Kind of device that its graphs are made for: ``any``, ``cpu`` or ``gpu``; nothing
            in exports of before.
        face_lines: Heights of eyes and mouth in the pictures that it was trained on, as shares of
            their height; empty if unknown.
    """

    kind: str
    architecture: str
    image_size: int
    expressions: tuple[str, ...] = ()
    lightings: tuple[str, ...] = ()
    keeps_unnamed: bool = False
    geometry: str = ""
    target: str = ""
    face_lines: tuple[float, ...] = ()

    def ids(
        self, attribute: str, targets: Attribute | Sequence[Attribute], count: int
    ) -> np.ndarray:
        """Returns the ids of targets, int32 [count], ``KEEP`` for those left as they are.

        Args:
            attribute: ``expression`` or ``lighting``.
            targets: By name or id; one for all pictures or one each. None leaves it as it is.
            count: Number of pictures.

        Raises:
            UserError: A target is unknown, or left out where the network cannot leave it as it is.
        """
        wanted: Any = targets
        if wanted is None or isinstance(wanted, str) or np.ndim(wanted) == 0:
            wanted = [wanted] * count
        if len(wanted) != count:
            raise UserError(
                f"{attribute} holds {len(wanted)} targets for {count} pictures: give one for all "
                "or one for each."
            )
        return np.array([self._id(attribute, target) for target in wanted], np.int32)

    def _id(self, attribute: str, target: Attribute) -> int:
        known = {"expression": self.expressions, "lighting": self.lightings}[attribute]
        if target is None:
            if known and not self.keeps_unnamed:
                raise UserError(
                    f"This model cannot leave the {attribute} as it is: name one of "
                    f"{', '.join(known)}."
                )
            return KEEP
        if not known:
            raise UserError(f"This model does not edit the {attribute}; leave {target!r} out.")
        if isinstance(target, str):
            if target in known:
                return known.index(target)
            close = difflib.get_close_matches(target, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise UserError(
                f"{target!r} is no {attribute} of this model; it knows {', '.join(known)}.{hint}"
            )
        if not isinstance(target, (int, np.integer)) or isinstance(target, bool):
            raise UserError(
                f"{attribute} must be a name, an id or None, not {type(target).__name__}."
            )
        if not 0 <= target < len(known):
            raise UserError(
                f"{target} is no {attribute} id of this model; it knows 0 to {len(known) - 1} "
                f"({', '.join(known)})."
            )
        return int(target)

    def to_json(self) -> str:
        """Returns the labels as JSON, the content of an export's ``labels.json``."""
        return json.dumps(dataclasses.asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Labels:
        """Reads the output of ``to_json``, of this release or a later one with more fields.

        Raises:
            ValueError: The text is something else, or names an unknown kind.
        """
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError("it holds no JSON object")
        known = {}
        for field in dataclasses.fields(cls):
            if field.name in values:
                known[field.name] = _checked(field.name, values[field.name])
            elif field.default is dataclasses.MISSING:
                raise ValueError(f"it lacks {field.name!r}")
        return cls(**known)


def _checked(name: str, value: Any) -> Any:
    """Returns the value of a field from its value in JSON, or raises ``ValueError``."""
    if name in ("expressions", "lightings"):
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return tuple(value)
        raise ValueError(f"{name!r} is no list of names")
    if name == "face_lines":
        numbers = isinstance(value, list) and all(type(one) in (int, float) for one in value)
        if numbers and len(value) in (0, 2):
            return tuple(map(float, value))
        raise ValueError(f"{name!r} is no list of two numbers")
    if name == "image_size":
        # True is an int to Python.
        fits = type(value) is int and 0 < value <= _LARGEST
    elif name == "keeps_unnamed":
        fits = isinstance(value, bool)
    elif name == "kind" and isinstance(value, str) and value not in _KINDS:
        raise ValueError(f"it names the unknown kind {value!r}")
    else:
        fits = isinstance(value, str)
    if not fits:
        raise ValueError(f"{name!r} cannot be {value!r}")
    return value
