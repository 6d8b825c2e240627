"""Conditions: what an editor is told about the face that it is to make, each kind a class.

LEGAN is told an expression and a lighting, each one class of several. StarGAN on CelebA is told
binary attributes, called attributes below, GANimation action units, numbers in a range. A kind
says how its labels are kept, how the target of a training sample is drawn, how labels are coded for
the generator, and how a request is read; the discriminator's loss of each kind is in
``losses.classification``. TensorFlow is imported where tensors are made: clients read requests
without it.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Union

import numpy as np

from legan_tf.data.action_units import INTENSITY
from legan_tf.data.class_vectors import EXEMPLAR, ClassVectors
from legan_tf.errors import UserError

if TYPE_CHECKING:
    import tensorflow as tf

ATTRIBUTES = "attributes"
"""Name of the condition "binary attributes" (``Smiling``, ``Young``), whose names they are."""
ATTRIBUTE_COLUMN = "attribute:"
"""What the columns of a manifest that hold binary attributes begin with."""
UNKNOWN = -1
"""Label that is not known: such a sample takes part in no loss that needs it. As a target: leave
the condition as it is."""
Target = Union[str, int, None, Mapping[str, Any], np.ndarray]
"""A requested value: of a class its name or id; of binary attributes ``Smiling=1,Young=0``, a
mapping, or an array of 0, 1 and -1; of action units ``AU12=3,AU25=2`` or a mapping, of 0 to 5, or
an array of 0 to 1; None leaves the condition as it is."""

_KINDS: dict[str, type[Condition]] = {}


@dataclasses.dataclass(frozen=True)
class Condition:
    """A condition of one kind; labels are [B, *label_shape] of ``dtype``, here called int32.

    Attributes:
        kind: Name of the kind, in files.
        dtype: Type of labels: int32, of which ``UNKNOWN`` is not known, or float32, with NaN.
        exclusive: Whether a sample has exactly one of ``names``, so that a softmax reads it.
        name: Its name: of columns, batches, inputs of networks and of signatures, and flags.
        names: Names of its classes or binary attributes, in the order of the code.
    """

    kind: ClassVar[str] = ""
    exclusive: ClassVar[bool] = False
    dtype: ClassVar[type[np.number]] = np.int32
    name: str
    names: tuple[str, ...]

    def __init_subclass__(cls, **options: Any) -> None:
        """Makes the kind known to ``from_dict``."""
        super().__init_subclass__(**options)
        if cls.kind:
            _KINDS[cls.kind] = cls

    @property
    def size(self) -> int:
        """Length of the code."""
        return len(self.names)

    @property
    def asked_by(self) -> Condition:
        """The condition by whose names requests are made: this one, or classes it knows."""
        return self

    @property
    def label_shape(self) -> tuple[int, ...]:
        """Shape of one label."""
        raise NotImplementedError

    @property
    def values(self) -> int:
        """Number of values of each entry of a label, which are 0 to one less, and ``UNKNOWN``."""
        raise NotImplementedError

    def variations(self, label: np.ndarray) -> np.ndarray:
        """Returns a target for each of ``names``, int32 [size, *label_shape].

        Args:
            label: That of the picture, which the target keeps as far as its name does not say
                otherwise.
        """
        raise NotImplementedError

    def unknown(self, count: int) -> np.ndarray:
        """Returns labels of ``count`` samples of which nothing is known."""
        return np.full((count, *self.label_shape), UNKNOWN, np.int32)

    def labels(self, values: Sequence[Any]) -> np.ndarray:
        """Returns the labels of n samples, int32 [n, *label_shape].

        Args:
            values: Of each the name of its class, or a mapping of attributes to 0 and 1; what is
                no name of the condition's, or not there, is unknown.
        """
        raise NotImplementedError

    def has(self, labels: np.ndarray, place: int) -> np.ndarray:
        """Returns which samples are of a class or have an attribute, bool [n].

        Args:
            labels: As ``labels`` returns them.
            place: Place of the class or attribute; ``UNKNOWN`` for samples without known label.
        """
        raise NotImplementedError

    def columns(self) -> dict[str, tuple[str, ...]]:
        """Returns the columns of a manifest that hold its labels, each with its cells by label.

        They are in the order of the numbers of a label.
        """
        raise NotImplementedError

    def value_texts(self, value: Any) -> tuple[str, ...]:
        """Returns a value of ``labels`` as requests, one for each number of a label.

        They are empty where it is unknown.
        """
        raise NotImplementedError

    def edited_value(self, value: Any, label: np.ndarray) -> Any:
        """Returns what a value of ``labels`` is after an edit to a label."""
        raise NotImplementedError

    def only(self, attributes: Sequence[str]) -> Condition:
        """Returns the condition with some of its attributes, in this order, if it is binary.

        Raises:
            KeyError: One of them is none of the condition's.
        """
        return self

    def head_size(self, fake_class: bool) -> int:
        """Returns the outputs of a discriminator's head.

        Args:
            fake_class: Whether there is a class "generated", the last, if the names exclude each
                other.
        """
        return self.size + int(fake_class and self.exclusive)

    def drawn_from(self, labels: np.ndarray) -> np.ndarray:
        """Returns those of the labels of all samples that may be the target of another one."""
        return labels

    def draw(
        self, source: tf.Tensor, labels: tf.Tensor, key: tf.Tensor, keep_share: float
    ) -> tf.Tensor:
        """Draws the target of a training sample.

        Args:
            source: The sample's own label.
            labels: What ``drawn_from`` returns, [n, *label_shape].
            key: Two int64, the seed of the draw.
            keep_share: Probability of ``UNKNOWN``, to leave the condition as it is; if it is
                positive, what is not known of the source is always left.
        """
        raise NotImplementedError

    def code(self, labels: tf.Tensor) -> tf.Tensor:
        """Returns labels as the generator takes them, float32 [B, size]."""
        raise NotImplementedError

    def evaluation_targets(
        self, source: np.ndarray, places: np.ndarray, turns: np.ndarray
    ) -> np.ndarray:
        """Returns the labels that edits are judged by: each asks for one class or attribute.

        Args:
            source: Labels of the pictures, int32 [n, *label_shape].
            places: Which of ``names`` may be asked for, int [k], k at least 1.
            turns: Which of these each picture is asked for, int [n] of 0 to k - 1.
        """
        raise NotImplementedError

    def label_text(self, label: np.ndarray, source: np.ndarray | None = None) -> str:
        """Returns a label as a request, such as ``smile`` or ``Smiling=1,Young=0``.

        Args:
            label: One label; what is unknown is left out.
            source: If given, the label of the picture to edit: attributes that it has are left out.
        """
        raise NotImplementedError

    def read(self, logits: np.ndarray) -> np.ndarray:
        """Returns the labels that a classifier reads, of its logits, float [n, size].

        Where a logit of an attribute is NaN the label is ``UNKNOWN``.
        """
        raise NotImplementedError

    def translated(self, labels: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Returns labels of a condition with these names as labels of this one, int32.

        What this one has no name for, or is not known, is ``UNKNOWN``.
        """
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
        return np.array(read, self.dtype).reshape(count, *self.label_shape)

    def requested(self, targets: Mapping[str, Any], count: int, keeps_unnamed: bool) -> np.ndarray:
        """Reads what a request says of this condition: its own values, or those of ``asked_by``.

        Args:
            targets: Requested values by condition; what is None, or not there, is left.
            count: Number of pictures.
            keeps_unnamed: See ``ids``.

        Raises:
            UserError: See ``ids``.
        """
        return self.ids(targets.get(self.name), count, keeps_unnamed)

    def told(self, labels: tf.Tensor) -> tf.Tensor:
        """Returns labels of ``asked_by`` as labels of this condition."""
        return labels

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

    @classmethod
    def from_values(cls, name: str, names: tuple[str, ...], values: Mapping[str, Any]) -> Condition:
        """Returns the condition of a name and names, with what else ``to_dict`` has of its kind."""
        return cls(name, names)


def _is_listed(value: Any) -> bool:
    """Whether a request is a list or an array, whose entries may be of several forms."""
    if isinstance(value, (str, bytes, Mapping)):
        return False
    return hasattr(value, "__getitem__") and getattr(value, "ndim", 1) > 0


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
    return _KINDS[values["kind"]].from_values(name, tuple(names), values)


def only(
    conditions: Iterable[Condition], names: Iterable[str], attributes: Sequence[str] = ()
) -> tuple[Condition, ...]:
    """Returns some of several conditions, in this order.

    Args:
        conditions: All of them.
        names: Names of those to return.
        attributes: Of the binary one, the attributes to keep, in this order; none for all.

    Raises:
        KeyError: There is no such condition or attribute.
    """
    own = {one.name: one for one in conditions}
    return tuple(own[name].only(attributes) if attributes else own[name] for name in names)


def known(source: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Returns whether edits can be undone, bool [B]: what is changed is known of the source."""
    import tensorflow as tf

    each = ~_unknown(source) | _unknown(target)
    return tf.reduce_all(tf.reshape(each, [tf.shape(each)[0], -1]), axis=1)


def wanted(source: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Returns the labels that edits should have: the target, and the source's where it is left."""
    import tensorflow as tf

    return tf.where(_unknown(target), source, target)


def _unknown(labels: tf.Tensor) -> tf.Tensor:
    """Where labels are not known, or targets leave them: below 0 of int32, NaN of float32."""
    import tensorflow as tf

    labels = tf.convert_to_tensor(labels)
    return tf.math.is_nan(labels) if labels.dtype.is_floating else labels < 0


@dataclasses.dataclass(frozen=True)
class ClassCondition(Condition):
    """One class of several; a label is its id, the code one-hot, zeros where unknown or left."""

    kind: ClassVar[str] = "class"
    exclusive: ClassVar[bool] = True

    @property
    def label_shape(self) -> tuple[int, ...]:
        """A label is a number."""
        return ()

    @property
    def values(self) -> int:
        """Ids of the classes."""
        return self.size

    def variations(self, label: np.ndarray) -> np.ndarray:
        """Returns every class, whatever that of the picture is."""
        return np.arange(self.size, dtype=np.int32)

    def labels(self, values: Sequence[Any]) -> np.ndarray:
        """Values are names of classes."""
        ids = {name: place for place, name in enumerate(self.names)}
        return np.array([ids.get(value, UNKNOWN) for value in values], np.int32)

    def has(self, labels: np.ndarray, place: int) -> np.ndarray:
        """The class is that of the place."""
        return labels == place

    def value_texts(self, value: Any) -> tuple[str, ...]:
        """The name of the class, also of one that the condition does not know."""
        return (value,)

    def edited_value(self, value: Any, label: np.ndarray) -> Any:
        """The name of the class."""
        return self.names[label] if label >= 0 else value

    def columns(self) -> dict[str, tuple[str, ...]]:
        """One column, of its name."""
        return {self.name: self.names}

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

    def evaluation_targets(
        self, source: np.ndarray, places: np.ndarray, turns: np.ndarray
    ) -> np.ndarray:
        """Asks for a class, whatever that of the picture is."""
        return places[turns].astype(np.int32)

    def label_text(self, label: np.ndarray, source: np.ndarray | None = None) -> str:
        """Returns the name of the class, empty if it is unknown."""
        return self.names[label] if label >= 0 else ""

    def read(self, logits: np.ndarray) -> np.ndarray:
        """Reads the class of the largest logit."""
        return np.argmax(logits, axis=1).astype(np.int32)

    def translated(self, labels: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Translates classes by their names."""
        own = [self.names.index(name) if name in self.names else UNKNOWN for name in names]
        return np.array([*own, UNKNOWN], np.int32)[labels]  # The last is that of -1.

    def _is_one(self, targets: Any) -> bool:
        return not _is_listed(targets)

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
class VectorCondition(Condition):
    """A condition whose label is a number for each name."""

    example: ClassVar[str] = ""
    """A value in a request, for messages."""
    numbers: ClassVar[str] = "numbers"
    """What a request in numbers holds, for messages."""

    @property
    def label_shape(self) -> tuple[int, ...]:
        """A label is a number for each name."""
        return (self.size,)

    def translated(self, labels: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Translates numbers by their names."""
        found = self.unknown(len(labels))
        for place, name in enumerate(self.names):
            if name in names:
                found[:, place] = labels[:, names.index(name)]
        return found

    def _another(self, labels: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
        """Returns the label of another sample, by a draw from 0 to 1."""
        import tensorflow as tf

        count = tf.shape(labels)[0]
        return labels[tf.minimum(tf.cast(draw * tf.cast(count, tf.float32), tf.int32), count - 1)]

    def _is_one(self, targets: Any) -> bool:
        if targets is None or isinstance(targets, (str, Mapping)):
            return True
        if not _is_listed(targets):
            raise UserError(
                f"{self.name} must be text such as {self.names[0]}={self.example}, a dictionary, "
                f"or {self.size} {self.numbers}, not {type(targets).__name__}."
            )
        if not len(targets):
            return False
        first = targets[0]
        return not isinstance(first, (str, Mapping, type(None))) and not _is_listed(first)


@dataclasses.dataclass(frozen=True)
class BinaryCondition(VectorCondition):
    """Attributes that are there or not (StarGAN on CelebA); a label is 0 or 1 for each.

    The code holds the same numbers, and one half where a label is unknown or left (ours).
    """

    kind: ClassVar[str] = "binary"
    example: ClassVar[str] = "1"

    @property
    def values(self) -> int:
        """0 and 1."""
        return 2

    def variations(self, label: np.ndarray) -> np.ndarray:
        """Returns every attribute turned, or there if it is unknown; the others are kept."""
        turned = np.where(label == 1, 0, 1)
        return np.where(np.eye(self.size, dtype=bool), turned, label).astype(np.int32)

    def labels(self, values: Sequence[Any]) -> np.ndarray:
        """Values are mappings of attributes to 0 and 1."""
        found = [[value.get(name, UNKNOWN) for name in self.names] for value in values]
        return np.array(found, np.int32).reshape(len(values), *self.label_shape)

    def has(self, labels: np.ndarray, place: int) -> np.ndarray:
        """The attribute of the place is there."""
        if place == UNKNOWN:
            return np.all(labels == UNKNOWN, axis=1)
        return labels[:, place] == 1

    def value_texts(self, value: Any) -> tuple[str, ...]:
        """Each attribute by itself, such as ``Smiling=1``."""
        return tuple(f"{name}={value[name]}" if name in value else "" for name in self.names)

    def edited_value(self, value: Any, label: np.ndarray) -> Any:
        """The attributes that are known."""
        asked = {name: int(one) for name, one in zip(self.names, label) if one != UNKNOWN}
        return {**value, **asked}

    def columns(self) -> dict[str, tuple[str, ...]]:
        """A column for each attribute."""
        return {f"{ATTRIBUTE_COLUMN}{name}": ("0", "1") for name in self.names}

    def only(self, attributes: Sequence[str]) -> BinaryCondition:
        """Keeps these attributes."""
        unknown = set(attributes) - set(self.names)
        if unknown:
            raise KeyError(*unknown)
        return BinaryCondition(self.name, tuple(attributes))

    def draw(
        self, source: tf.Tensor, labels: tf.Tensor, key: tf.Tensor, keep_share: float
    ) -> tf.Tensor:
        """Draws the label of another sample, as StarGAN's code shuffles those of a batch."""
        import tensorflow as tf

        draws = tf.random.stateless_uniform([1 + self.size], key)
        target = self._another(labels, draws[0])
        if not keep_share:
            return target
        return tf.where((draws[1:] < keep_share) | (source < 0), UNKNOWN, target)

    def code(self, labels: tf.Tensor) -> tf.Tensor:
        """Returns 0, 1 and one half."""
        import tensorflow as tf

        return tf.where(labels < 0, 0.5, tf.cast(labels, tf.float32))

    def evaluation_targets(
        self, source: np.ndarray, places: np.ndarray, turns: np.ndarray
    ) -> np.ndarray:
        """Asks for the opposite of one attribute, the next that is known; nothing without one."""
        wanted = source.copy()
        for label, turn in zip(wanted, turns):
            known = [place for place in np.roll(places, -turn) if label[place] != UNKNOWN]
            for place in known[:1]:
                label[place] = 1 - label[place]
        return wanted

    def label_text(self, label: np.ndarray, source: np.ndarray | None = None) -> str:
        """Returns the attributes, such as ``Smiling=1``."""
        told = label != UNKNOWN if source is None else (label != UNKNOWN) & (label != source)
        return ",".join(f"{self.names[place]}={label[place]}" for place in np.flatnonzero(told))

    def read(self, logits: np.ndarray) -> np.ndarray:
        """Reads an attribute as there where its logit is above 0."""
        return np.where(np.isnan(logits), UNKNOWN, logits > 0).astype(np.int32)

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
            number = {"0": 0, "1": 1, "False": 0, "True": 1, "0.0": 0, "1.0": 1}.get(str(value))
            if number is None:
                raise UserError(f"{self.name}: {name}={value}: give 1 (there) or 0 (not there).")
            label[self._place(str(name), "attribute")] = number
        return label


@dataclasses.dataclass(frozen=True)
class RangeCondition(VectorCondition):
    """Numbers from 0 to 1, such as action units (GANimation); NaN is unknown.

    Labels are float32 [B, N], and so are the codes, in which an unknown number is 0. Requests in
    words have FACS intensities, 0 to 5. What a request does not name is 0: the face relaxes there.

    Attributes:
        source: What measured the numbers, for a reader; numbers of different sources differ.
        classes: The vectors that stand for classes, if requests may name these.
    """

    kind: ClassVar[str] = "range"
    example: ClassVar[str] = "2"
    numbers: ClassVar[str] = "numbers from 0 to 1"
    dtype: ClassVar[type[np.number]] = np.float32
    noise: ClassVar[float] = 0.1
    """Most that is added to a training target or taken from it (GANimation)."""
    there: ClassVar[float] = 0.2
    """From here on a number counts as shown, an intensity of 1."""
    source: str = ""
    classes: ClassVectors | None = None

    @property
    def asked_by(self) -> Condition:
        """The classes whose vectors are known; without any, this condition."""
        if self.classes is None:
            return self
        return ClassCondition(self.classes.condition, self.classes.names)

    @property
    def values(self) -> int:
        """The ends of the range, 0 and 1; there are all numbers between them."""
        return 2

    def variations(self, label: np.ndarray) -> np.ndarray:
        """Returns each number at 1, the others as they are."""
        return np.where(np.eye(self.size, dtype=bool), 1.0, np.nan_to_num(label)).astype(np.float32)

    def unknown(self, count: int) -> np.ndarray:
        """Returns NaN."""
        return np.full((count, self.size), np.nan, np.float32)

    def labels(self, values: Sequence[Any]) -> np.ndarray:
        """Values are vectors in the order of ``names``; an empty one is unknown."""
        found = self.unknown(len(values))
        for row, value in zip(found, values):
            if len(value):
                row[:] = value
        return found

    def has(self, labels: np.ndarray, place: int) -> np.ndarray:
        """The number of the place is ``there`` or more."""
        if place == UNKNOWN:
            return np.isnan(labels).all(axis=1)
        return labels[:, place] >= self.there

    def columns(self) -> dict[str, tuple[str, ...]]:
        """None, since its cells are not labels of classes."""
        return {}

    def value_texts(self, value: Any) -> tuple[str, ...]:
        """Each number by itself, such as ``AU12=3``."""
        vector = self.labels([value])[0]
        return tuple(
            "" if np.isnan(number) else f"{name}={number * INTENSITY:g}"
            for name, number in zip(self.names, vector)
        )

    def edited_value(self, value: Any, label: np.ndarray) -> Any:
        """The label, and the value where it is unknown."""
        return np.where(np.isnan(label), self.labels([value])[0], label)

    def drawn_from(self, labels: np.ndarray) -> np.ndarray:
        """Those of which every number is known."""
        return labels[~np.isnan(labels).any(axis=1)]

    def draw(
        self, source: tf.Tensor, labels: tf.Tensor, key: tf.Tensor, keep_share: float
    ) -> tf.Tensor:
        """Draws the label of another sample, and adds noise, beyond the range too (GANimation)."""
        import tensorflow as tf

        draws = tf.random.stateless_uniform([1 + self.size], key)
        return self._another(labels, draws[0]) + self.noise * (2.0 * draws[1:] - 1.0)

    def code(self, labels: tf.Tensor) -> tf.Tensor:
        """Returns the numbers, 0 where they are unknown."""
        import tensorflow as tf

        return tf.where(tf.math.is_nan(labels), 0.0, labels)

    def told(self, labels: tf.Tensor) -> tf.Tensor:
        """Returns the first example of each class; NaN where none is named."""
        import tensorflow as tf

        if self.classes is None:
            return labels
        rows = [self.vector_of(place) for place in range(len(self.classes.names))]
        known = (labels >= 0) & (labels < len(rows))
        return tf.gather(np.stack([*rows, self.unknown(1)[0]]), tf.where(known, labels, len(rows)))

    def vector_of(self, place: int, policy: str = EXEMPLAR, number: int = 0) -> np.ndarray:
        """Returns the numbers that stand for a class, float32 [N]; see ``ClassVectors.vector``.

        Raises:
            UserError: The policy does not have the class.
        """
        assert self.classes is not None  # Else nobody knows a place.
        return self.classes.vector(place, policy, number, self.names)

    def evaluation_targets(
        self, source: np.ndarray, places: np.ndarray, turns: np.ndarray
    ) -> np.ndarray:
        """Asks for one number at 1, the others kept."""
        wanted = np.nan_to_num(source)
        wanted[np.arange(len(wanted)), places[turns]] = 1.0
        return wanted

    def label_text(self, label: np.ndarray, source: np.ndarray | None = None) -> str:
        """Returns the numbers above 0 as intensities, such as ``AU12=3,AU25=1.5``."""
        shown = label > 0 if source is None else (label > 0) & (label != source)
        places = np.flatnonzero(shown)
        if not len(places):
            return "" if np.isnan(label).all() else f"{self.names[0]}=0"
        return ",".join(f"{self.names[p]}={float(label[p]) * INTENSITY:.3g}" for p in places)

    def read(self, logits: np.ndarray) -> np.ndarray:
        """Reads the numbers themselves, cut off at the ends of the range."""
        return np.clip(logits, 0.0, 1.0).astype(np.float32)

    def requested(self, targets: Mapping[str, Any], count: int, keeps_unnamed: bool) -> np.ndarray:
        """Reads numbers, and for pictures without any the classes of ``asked_by``."""
        given, by_class = targets.get(self.name), self.asked_by
        if by_class is self or targets.get(by_class.name) is None:
            return self.ids(given, count, keeps_unnamed)
        found = self.ids(given, count, True)
        open_rows = np.isnan(found).all(axis=1)
        # Where there are numbers, a class may be left out.
        places = by_class.ids(targets[by_class.name], count, not open_rows.all())
        for row in np.flatnonzero(open_rows & (places != UNKNOWN)):
            found[row] = self.vector_of(int(places[row]))
        return self.ids(found, count, keeps_unnamed)

    def _label(self, target: Any, keeps_unnamed: bool) -> np.ndarray:
        if target is None:
            label = self.unknown(1)[0]
        elif isinstance(target, (str, Mapping)):
            label = self._of_names(target)
        else:
            label = np.asarray(target, np.float32)
            if label.shape != self.label_shape or not np.all((label >= 0) & (label <= 1)):
                left = label.shape == self.label_shape and np.isnan(label).all()
                if not left:
                    raise UserError(
                        f"{self.name} must be {self.size} numbers from 0 to 1 "
                        f"({', '.join(self.names)})."
                    )
        if np.isnan(label).any() and not keeps_unnamed:
            classes = f", or its {self.classes.condition}" if self.classes else ""
            raise UserError(
                f"This model has to be told {self.name}: give them as {self.names[0]}=2{classes}; "
                "what is not named is 0."
            )
        return label

    def _of_names(self, target: str | Mapping[str, Any]) -> np.ndarray:
        label = np.zeros(self.size, np.float32)
        given: Iterable[tuple[str, Any]]
        if isinstance(target, str):
            parts = [part.strip() for part in target.split(",") if part.strip()]
            given = [(name.strip(), value) for name, _, value in (p.partition("=") for p in parts)]
        else:
            given = target.items()
        for name, value in given:
            try:
                number = float(value)
            except (TypeError, ValueError):
                number = np.nan
            if not 0 <= number <= INTENSITY:
                raise UserError(
                    f"{self.name}: {name}={value}: give an intensity from 0 to {INTENSITY:g}, as "
                    f"in {self.names[0]}=2."
                )
            label[self._place(_with_zero(str(name)), "action unit")] = number / INTENSITY
        return label

    def to_dict(self) -> dict[str, Any]:
        """Adds the source, and the classes."""
        known = {"classes": self.classes.to_dict()} if self.classes else {}
        return {**super().to_dict(), "source": self.source, **known}

    @classmethod
    def from_values(cls, name: str, names: tuple[str, ...], values: Mapping[str, Any]) -> Condition:
        """Adds the source, and the classes."""
        known = values.get("classes")
        classes = ClassVectors.from_dict(known) if known else None
        return cls(name, names, str(values.get("source", "")), classes)


def _with_zero(name: str) -> str:
    """Returns ``AU06`` for ``AU6`` and ``au6``, as the condition's names are written."""
    number = name.upper().removeprefix("AU")
    return f"AU{int(number):02}" if number.isdecimal() else name


def of_classes(**names: Sequence[str]) -> tuple[Condition, ...]:
    """Returns class conditions by name, without those that have no classes."""
    return tuple(ClassCondition(name, tuple(found)) for name, found in names.items() if found)
