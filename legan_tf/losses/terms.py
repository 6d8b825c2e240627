"""Registry of weighted loss terms: each brings the flag of its weight to the systems it is for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from legan_tf.command_line.options import NOT_NEGATIVE, Options, option

Loss = Callable[..., tf.Tensor]

EDITOR = "editor"
"""Terms of a generator that edits attributes. Inputs, where B images of S × S are edited:
``original``, ``edited``, ``reconstructed`` (the edit undone), float32 [B,S,S,3] in [-1, 1];
``original_embedding``, ``edited_embedding``, ``reconstructed_embedding`` of the identity network,
float32 [B,D]; ``original_rating``, ``edited_rating``, ``reconstructed_rating`` of Q, float32 [B];
``expression_mask``, ``lighting_mask`` of generators that have them, float32 [B,S,S,M]; and every
option of the objective by its name."""

DEPTH = "depth"
"""Terms of a depth network on images whose true maps are known. Inputs: ``map``, ``true_map``,
float32 [B,S,S,3] in [-1, 1]; ``map_features``, ``true_map_features``, what ``models.vgg19_taps``
returns of them; and every option of the objective by its name."""


@dataclasses.dataclass(frozen=True)
class LossTerm:
    """A weighted term of a training objective.

    Attributes:
        name: Its name in the training log.
        group: ``EDITOR`` or ``DEPTH``.
        weight: Name of the option, and so of the flag, that weighs it.
        default: Default weight.
        help: Text of the flag.
        source: Paper and section or equation.
        inputs: Names of its arguments' values, in their order; see the group.
        function: The loss, which returns float32 [B].
        over_cycle: Whether it applies only to edits that can be undone, whose source labels are
            known.
    """

    name: str
    group: str
    weight: str
    default: float
    help: str
    source: str
    inputs: tuple[str, ...]
    function: Loss
    over_cycle: bool = False


_TERMS: dict[str, LossTerm] = {}


def loss_term(
    name: str,
    group: str,
    inputs: Sequence[str],
    help: str,
    source: str,
    default: float = 0.0,
    weight: str = "",
    over_cycle: bool = False,
) -> Callable[[Loss], Loss]:
    """Registers the decorated pure function as a loss term.

    Args:
        name: Its name in the training log.
        group: ``EDITOR`` or ``DEPTH``.
        inputs: Names of its arguments' values; see the group.
        help: Text of the flag.
        source: Paper and section or equation; ``ours`` for a term of no paper.
        default: Default weight; 0 leaves the term out unless its flag is given.
        weight: Name of the flag; default is the name with ``_weight``. Terms may share one.
        over_cycle: See ``LossTerm``.

    Raises:
        ValueError: There is a term of that name already.
    """

    def register(function: Loss) -> Loss:
        if name in _TERMS:
            raise ValueError(f"there is a loss term {name!r} already")
        flag = weight or f"{name}_weight"
        _TERMS[name] = LossTerm(
            name, group, flag, default, help, source, tuple(inputs), function, over_cycle
        )
        return function

    return register


def terms(group: str) -> list[LossTerm]:
    """Returns the registered terms of a group, those of the largest default weights first."""
    found = [term for term in _TERMS.values() if term.group == group]
    return sorted(found, key=lambda term: -term.default)


def active_terms(group: str, options: Options) -> list[LossTerm]:
    """Returns the terms of a group whose weight is not 0."""
    return [term for term in terms(group) if getattr(options, term.weight)]


def weight_options(group: str) -> type[Options]:
    """Returns a dataclass with the weight of every term of a group, each an option."""
    weights: dict[str, Any] = {}
    for term in terms(group):
        declared = option(term.default, term.help, limit=NOT_NEGATIVE)
        weights.setdefault(term.weight, (term.weight, float, declared))
    return dataclasses.make_dataclass(
        f"{group.capitalize()}Weights", list(weights.values()), bases=(Options,), frozen=True
    )


class LazyInputs(dict):
    """The inputs of loss terms, each computed when the first term asks for it."""

    def __init__(self, options: Options, makers: Mapping[str, Callable[[], tf.Tensor]]) -> None:
        """Takes the options of the system, and by input name the function that computes it."""
        super().__init__()
        self._options = options
        self._makers = makers

    def __missing__(self, name: str) -> tf.Tensor:
        """Computes an input, or returns the option of that name."""
        maker = self._makers.get(name)
        self[name] = maker() if maker else getattr(self._options, name)
        return self[name]

    def of(self, term: LossTerm) -> list[tf.Tensor]:
        """Returns the arguments of a term."""
        return [self[name] for name in term.inputs]


def table() -> str:
    """Returns the registered terms as a Markdown table."""
    rows = [
        f"| `{term.name}` | {term.group} | `--{term.weight}` | {term.default:g} | {term.source} |"
        for term in _TERMS.values()
    ]
    return "\n".join(["| Term | Of | Flag | Default | Source |", "|---|---|---|---|---|", *rows])
