"""The base of networks that are told, or read, the conditions of a face."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from legan_tf.data import conditions as kinds
from legan_tf.data.conditions import ClassCondition, Condition
from legan_tf.models.network import Network


class ConditionedNetwork(Network):
    """A network with conditions among the arguments of its ``__init__``.

    Attributes:
        conditions: What it is told or reads.
    """

    conditions: tuple[Condition, ...]

    def names(self, condition: str) -> tuple[str, ...]:
        """Returns the names of a condition's classes or attributes; none without it."""
        return next((one.names for one in self.conditions if one.name == condition), ())

    def config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__`` as plain values."""
        return {**super().config(), "conditions": [one.to_dict() for one in self.conditions]}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Network:
        """Makes the network that ``get_config`` described, built."""
        known = config.get("conditions")
        found = [kinds.from_dict(one) for one in known] if known is not None else _of_pair(config)
        rest = {name: value for name, value in config.items() if name not in _OF_THE_PAIR}
        return super().from_config({**rest, "conditions": found}, custom_objects)


_OF_THE_PAIR = ("expressions", "lightings", "num_expressions", "num_lightings", "conditions")


def _of_pair(config: Mapping[str, Any]) -> Sequence[Condition]:
    """The conditions of a network of version 0.1, whose files name or count two classes."""
    found = []
    for name in ("expression", "lighting"):
        names = config.get(f"{name}s") or map(str, range(config.get(f"num_{name}s", 0)))
        found.append(ClassCondition(name, tuple(names)))
    return [condition for condition in found if condition.names]
