"""Conditions: what an editor is told about the face that it is to make, each kind a class.

LEGAN is told an expression and a lighting, each one class of several. StarGAN on CelebA is told
binary attributes. A kind says how its labels are kept, how the target of a training sample is
drawn, how labels are coded for the generator, and how a request is read; the discriminator's loss
of each kind is in ``losses.conditions``. TensorFlow is imported where tensors are made: clients
read requests without it.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Union

import numpy as np

from legan_tf.errors import UserError

if TYPE_CHECKING:
    import tensorflow as tf

UNKNOWN = -1
"""Label that is not known: such a sample takes part in no loss that needs it. As a target: leave
the condition as it is."""
Target = Union[str, int, None, Mapping[str, Any], np.ndarray]
"""A requested value: of a class its name or id; of binary attributes ``Smiling=1,Young=0``, a
mapping, or an array of 0, 1 and -1; None leaves the condition as it is."""

_KINDS: dict[str, type[Condition]] = {}


@dataclasses.dataclass(frozen=True)
class Condition:
    """A condition of one kind; labels are int32 [B, *label_shape].

    Attributes:
        kind: Name of the kind, in files.
        name: Its name: of columns, batches, inputs of networks and of signatures, and flags.
        names: Names of its classes or attributes, in the order of the code.
    """

    kind: ClassVar[str] = ""
    name: str
    names: tuple[str, ...]

    def __init_subclass__(cls, **options: Any) -> None:
        """Makes the kind known to ``from_dict``."""
        super().__init_subclass__(**options)
        _KINDS[cls.kind] = cls

    @property
    def size(self) -> int:
        """Length of the code."""
        return len(self.names)

    @property
    def label_shape(self) -> tuple[int, ...]:
        """Shape of one label."""
        raise NotImplementedError

    def unknown(self, count: int) -> np.ndarray:
        """Returns labels of ``count`` samples of which nothing is known."""
        return np.full((count, *self.label_shape), UNKNOWN, np.int32)

    def head_size(self, fake_class: bool) -> int:
        """Returns the outputs of a discriminator's head, with or without a class "generated"."""
        raise NotImplementedError

    def draw(
        self, source: tf.Tensor, labels: tf.Tensor, key: tf.Tensor, keep_share: float
    ) -> tf.Tensor:
        """Draws the target of a training sample.

        Args:
            source: The sample's own label.
            labels: The labels of all samples, [n, *label_shape].
            key: Two int64, the seed of the draw.
            keep_share: Probability of ``UNKNOWN``, to leave the condition as it is; if it is
                positive, what is not known of the source is always left.
        """
        raise NotImplementedError

    def code(self, labels: tf.Tensor) -> tf.Tensor:
        """Returns labels as the generator takes them, float32 [B, size]."""
        raise NotImplementedError

    def ids(
        self, targets: Target | Sequence[Target], count: int, keeps_unnamed: bool
    ) -> np.ndarray:
        """Reads requested values.

        Args:
            targets: One for all pictures, or one each.
            count: Number of pictures.
            keeps_unnamed: Whether the network can leave a condition as it is.

        Returns:
            Labels, int32 [count, *label_shape], ``UNKNOWN`` where left as it is.

        Raises:
            UserError: A value is unknown, or left out where the network cannot do without.
        """
        wanted: Any = [targets] * count if self._is_one(targets) else targets
        if len(wanted) != count:
            raise UserError(
                f"{self.name} holds {len(wanted)} targets for {count} pictures: give one for all "
                "or one for each."
            )
        read = [self._label(target, keeps_unnamed) for target in wanted]
        return np.array(read, np.int32).reshape(count, *self.label_shape)

    def _is_one(self, targets: Any) -> bool:
        """Whether a request is one value rather than one for each picture."""
        raise NotImplementedError

    def _label(self, target: Any, keeps_unnamed: bool) -> Any:
        """Returns the label of one requested value."""
        raise NotImplementedError

    def _place(self, name: str, what: str) -> int:
        """Returns the place of a class or attribute."""
        if name in self.names:
            return self.names.index(name)
        close = difflib.get_close_matches(name, self.names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise UserError(
            f"{name!r} is no {what} of this model; it knows {', '.join(self.names)}.{hint}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns the condition as plain values, for files."""
        return {"kind": self.kind, "name": self.name, "names": list(self.names)}


def from_dict(values: Mapping[str, Any]) -> Condition:
    """Returns the condition that ``Condition.to_dict`` described.

    Raises:
        ValueError: The values describe none.
    """
    name, names = values.get("name"), values.get("names")
    if not isinstance(name, str) or not isinstance(names, (list, tuple)):
        raise ValueError(f"{dict(values)!r} is no condition")
    if values.get("kind") not in _KINDS or not all(isinstance(one, str) for one in names):
        raise ValueError(f"{name!r} is a condition of the unknown kind {values.get('kind')!r}")
    return _KINDS[values["kind"]](name, tuple(names))


def known(source: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Returns whether edits can be undone, bool [B]: what is changed is known of the source."""
    import tensorflow as tf

    each = (source >= 0) | (target < 0)
    return tf.reduce_all(tf.reshape(each, [tf.shape(each)[0], -1]), axis=1)


def wanted(source: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Returns the labels that edits should have: the target, and the source's where it is left."""
    import tensorflow as tf

    return tf.where(target < 0, source, target)


@dataclasses.dataclass(frozen=True)
class ClassCondition(Condition):
    """One class of several; a label is its id, the code one-hot, zeros where unknown or left."""

    kind: ClassVar[str] = "class"

    @property
    def label_shape(self) -> tuple[int, ...]:
        """A label is a number."""
        return ()

    def head_size(self, fake_class: bool) -> int:
        """A logit for each class."""
        return self.size + int(fake_class)

    def draw(
        self, source: tf.Tensor, labels: tf.Tensor, key: tf.Tensor, keep_share: float
    ) -> tf.Tensor:
        """Draws a class uniformly."""
        import tensorflow as tf

        draws = tf.random.stateless_uniform([2], key)
        target = tf.minimum(tf.cast(draws[0] * self.size, tf.int32), self.size - 1)
        if not keep_share:
            return target
        # Where the source is not known, a change could not be undone by the cycle.
        keep = (draws[1] < keep_share) | (source < 0)
        return tf.where(keep, UNKNOWN, target)

    def code(self, labels: tf.Tensor) -> tf.Tensor:
        """Returns one-hot rows."""
        import tensorflow as tf

        return tf.one_hot(labels, self.size)

    def _is_one(self, targets: Any) -> bool:
        return targets is None or isinstance(targets, str) or np.ndim(targets) == 0

    def _label(self, target: Any, keeps_unnamed: bool) -> int:
        if target is None:
            if self.names and not keeps_unnamed:
                raise UserError(
                    f"This model cannot leave the {self.name} as it is: name one of "
                    f"{', '.join(self.names)}."
                )
            return UNKNOWN
        if not self.names:
            raise UserError(f"This model does not edit the {self.name}; leave {target!r} out.")
        if isinstance(target, str):
            return self._place(target, self.name)
        if not isinstance(target, (int, np.integer)) or isinstance(target, bool):
            raise UserError(
                f"{self.name} must be a name, an id or None, not {type(target).__name__}."
            )
        if not 0 <= target < self.size:
            raise UserError(
                f"{target} is no {self.name} id of this model; it knows 0 to {self.size - 1} "
                f"({', '.join(self.names)})."
            )
        return int(target)


@dataclasses.dataclass(frozen=True)
class BinaryCondition(Condition):
    """Attributes that are there or not (StarGAN on CelebA); a label is 0 or 1 for each.

    The code holds the same numbers, and one half where a label is unknown or left (ours).
    """

    kind: ClassVar[str] = "binary"

    @property
    def label_shape(self) -> tuple[int, ...]:
        """A label is a number for each attribute."""
        return (self.size,)

    def head_size(self, fake_class: bool) -> int:
        """A logit for each attribute; there is no class "generated" among them."""
        return self.size

    def draw(
        self, source: tf.Tensor, labels: tf.Tensor, key: tf.Tensor, keep_share: float
    ) -> tf.Tensor:
        """Draws the label of another sample, as StarGAN's code shuffles those of a batch."""
        import tensorflow as tf

        draws = tf.random.stateless_uniform([1 + self.size], key)
        count = tf.shape(labels)[0]
        other = tf.minimum(tf.cast(draws[0] * tf.cast(count, tf.float32), tf.int32), count - 1)
        target = labels[other]
        if not keep_share:
            return target
        return tf.where((draws[1:] < keep_share) | (source < 0), UNKNOWN, target)

    def code(self, labels: tf.Tensor) -> tf.Tensor:
        """Returns 0, 1 and one half."""
        import tensorflow as tf

        return tf.where(labels < 0, 0.5, tf.cast(labels, tf.float32))

    def _is_one(self, targets: Any) -> bool:
        if targets is None or isinstance(targets, (str, Mapping)):
            return True
        return not isinstance(targets[0], (str, Mapping, type(None))) and np.ndim(targets) == 1

    def _label(self, target: Any, keeps_unnamed: bool) -> np.ndarray:
        if target is None or isinstance(target, (str, Mapping)):
            label = self._of_names({} if target is None else target)
        else:
            label = np.asarray(target)
            if label.shape != self.label_shape or not np.isin(label, (UNKNOWN, 0, 1)).all():
                raise UserError(
                    f"{self.name} must be {self.size} numbers, 1 for an attribute that is there, "
                    f"0 for one that is not, -1 to leave it ({', '.join(self.names)})."
                )
        left = [name for name, value in zip(self.names, label) if value == UNKNOWN]
        if left and not keeps_unnamed:
            raise UserError(
                f"This model cannot leave {', '.join(left)} as it is: give each of {self.name} as "
                "NAME=1 or NAME=0."
            )
        return label

    def _of_names(self, target: str | Mapping[str, Any]) -> np.ndarray:
        label = self.unknown(1)[0]
        given: Iterable[tuple[str, Any]]
        if isinstance(target, str):
            parts = [part.strip() for part in target.split(",") if part.strip()]
            given = [
                (name, value if equals else "1")
                for name, equals, value in (part.partition("=") for part in parts)
            ]
        else:
            given = target.items()
        for name, value in given:
            if str(value) not in ("0", "1", "False", "True"):
                raise UserError(f"{self.name}: {name}={value}: give 1 (there) or 0 (not there).")
            label[self._place(name, "attribute")] = int(str(value) in ("1", "True"))
        return label


def of_classes(**names: Sequence[str]) -> tuple[Condition, ...]:
    """Returns class conditions by name, without those that have no classes."""
    return tuple(ClassCondition(name, tuple(found)) for name, found in names.items() if found)
