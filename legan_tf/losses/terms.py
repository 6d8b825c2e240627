"""Registry of loss terms that no paper has: each brings its flag to the systems that it is for.

The papers' losses stand in the trainers (``training.gan``, ``training.systems``). A function in a
module of this package under ``loss_term`` is a further one, of weight 0 unless its flag is given.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import tensorflow as tf

from legan_tf.command_line.options import NOT_NEGATIVE, Options, option

Loss = Callable[[Mapping[str, tf.Tensor]], tf.Tensor]
"""Maps tensors by name to one value a sample, float32 [B]."""

EDITOR = "editor"
"""Terms of a generator that edits faces. Tensors: ``original``, ``edited``, ``reconstructed`` (the
edit undone), float32 [B,S,S,3] in [-1, 1]; ``undoable``, bool [B], whether what was changed is
known of the source, without which ``reconstructed`` cannot be compared with it; and what else the
generator returns of the edit, such as ``expression_mask``."""
DEPTH = "depth"
"""Terms of a depth network. Tensors: ``map``, ``true_map``, float32 [B,S,S,3] in [-1, 1]."""


@dataclasses.dataclass(frozen=True)
class LossTerm:
    """A further term of a training's loss.

    Attributes:
        name: Its name in the training log; its flag is ``--NAME_weight``.
        group: ``EDITOR`` or ``DEPTH``.
        help: Text of the flag.
        function: The loss.
    """

    name: str
    group: str
    help: str
    function: Loss

    @property
    def weight(self) -> str:
        """Name of the option that weighs it."""
        return f"{self.name}_weight"


_TERMS: dict[str, LossTerm] = {}


def loss_term(name: str, group: str, help: str) -> Callable[[Loss], Loss]:
    """Registers the decorated pure function as a loss term; the arguments are ``LossTerm``'s.

    Raises:
        ValueError: There is a term of that name already.
    """

    def register(function: Loss) -> Loss:
        if name in _TERMS:
            raise ValueError(f"there is a loss term {name!r} already")
        _TERMS[name] = LossTerm(name, group, help, function)
        return function

    return register


def active_terms(group: str, options: Options) -> list[LossTerm]:
    """Returns the terms of a group whose weight is not 0."""
    known = (term for term in _TERMS.values() if term.group == group)
    return [term for term in known if getattr(options, term.weight, 0.0)]


def term_options(group: str) -> type[Options]:
    """Returns a group of options with the weight of every registered term of ``group``."""
    weights = [
        (term.weight, float, option(0.0, term.help, limit=NOT_NEGATIVE))
        for term in _TERMS.values()
        if term.group == group
    ]
    return dataclasses.make_dataclass(
        f"{group.capitalize()}Terms", weights, bases=(Options,), frozen=True
    )
