"""Labels of a served network: its kind, size and conditions. Free of TensorFlow, for clients."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from legan_tf.data.conditions import ClassCondition, Condition, from_dict
from legan_tf.errors import UserError

EDITOR = "editor"
SCORER = "scorer"
DEPTH = "depth"
_KINDS = (EDITOR, SCORER, DEPTH)
_LARGEST = 4096
"""Largest image size in pixels that clients accept from a server."""


@dataclasses.dataclass(frozen=True)
class Labels:
    """Labels of a network.

    Attributes:
        kind: ``EDITOR`` (image and conditions to image), ``SCORER`` (image to rating) or ``DEPTH``
            (image to map).
        architecture: Name of the model class.
        image_size: Height and width the network works at, in pixels.
        conditions: The conditions that its signatures take. An export of version 0.1 takes an
            expression and a lighting; of the one that it does not edit there are no names.
        keeps_unnamed: Whether a condition may be left unnamed, which keeps it as it is.
        geometry: Kind of its maps, ``depth`` or ``normal``; nothing if it makes none.
        target: Kind of device that its graphs are made for: ``any``, ``cpu`` or ``gpu``; nothing
            in exports of before.
        face_lines: Heights of eyes and mouth in the pictures that it was trained on, as shares of
            their height; empty if unknown.
    """

    kind: str
    architecture: str
    image_size: int
    conditions: tuple[Condition, ...] = ()
    keeps_unnamed: bool = False
    geometry: str = ""
    target: str = ""
    face_lines: tuple[float, ...] = ()

    def condition(self, name: str) -> Condition:
        """Returns the condition of a name, or the one that the name asks for.

        Raises:
            UserError: There is none.
        """
        for condition in self.conditions:
            if name in (condition.name, condition.asked_by.name):
                return condition
        names = [(one.name, one.asked_by.name) for one in self.conditions]
        known = ", ".join(dict.fromkeys(itertools.chain.from_iterable(names)))
        raise UserError(f"This model does not edit the {name}; leave it out. It edits: {known}.")

    def names(self, condition: str) -> tuple[str, ...]:
        """Returns the names of a condition's classes or attributes; none without it."""
        known = [*self.conditions, *(one.asked_by for one in self.conditions)]
        return next((one.names for one in known if one.name == condition), ())

    @property
    def expressions(self) -> tuple[str, ...]:
        """Names of the expressions in the order of their ids."""
        return self.names("expression")

    @property
    def lightings(self) -> tuple[str, ...]:
        """Names of the lightings in the order of their ids."""
        return self.names("lighting")

    def all_ids(self, targets: Mapping[str, Any], count: int) -> dict[str, np.ndarray]:
        """Returns the labels of every condition, as signatures take them.

        Args:
            targets: By condition, one for all pictures or one each; see ``Condition.requested``.
                One that is not named, or None, is left as it is.
            count: Number of pictures.

        Raises:
            UserError: A condition or a target is unknown, or left out where the network cannot
                leave it as it is.
        """
        asked = {name: target for name, target in targets.items() if target is not None}
        for name in asked:
            self.condition(name)
        return {
            one.name: one.requested(asked, count, self.keeps_unnamed) for one in self.conditions
        }

    def to_json(self) -> str:
        """Returns the labels as JSON, the content of an export's ``labels.json``."""
        conditions = [condition.to_dict() for condition in self.conditions]
        return json.dumps({**dataclasses.asdict(self), "conditions": conditions}, indent=2)

    @classmethod
    def from_json(cls, text: str) -> Labels:
        """Reads the output of ``to_json``, of version 0.1 to a later release with more fields.

        Raises:
            ValueError: The text is something else, or names an unknown kind.
        """
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError("it holds no JSON object")
        if "conditions" not in values and values.get("kind") == EDITOR:
            values["conditions"] = [
                {"kind": ClassCondition.kind, "name": name, "names": values.get(f"{name}s", [])}
                for name in ("expression", "lighting")
            ]
        known = {}
        for field in dataclasses.fields(cls):
            if field.name in values:
                known[field.name] = _checked(field.name, values[field.name])
            elif field.default is dataclasses.MISSING:
                raise ValueError(f"it lacks {field.name!r}")
        return cls(**known)


def _checked(name: str, value: Any) -> Any:
    """Returns the value of a field from its value in JSON, or raises ``ValueError``."""
    if name == "conditions":
        if isinstance(value, list) and all(isinstance(one, dict) for one in value):
            return tuple(map(from_dict, value))
        raise ValueError(f"{name!r} is no list of conditions")
    if name == "face_lines":
        numbers = isinstance(value, list) and all(type(one) in (int, float) for one in value)
        if numbers and len(value) in (0, 2):
            return tuple(map(float, value))
        raise ValueError(f"{name!r} is no list of two numbers")
    # True is an int to Python.
    fits = type(value) is {"image_size": int, "keeps_unnamed": bool}.get(name, str)
    if not fits or (name == "image_size" and not 0 < value <= _LARGEST):
        raise ValueError(f"{name!r} cannot be {value!r}")
    if name == "kind" and value not in _KINDS:
        raise ValueError(f"it names the unknown kind {value!r}")
    return value
