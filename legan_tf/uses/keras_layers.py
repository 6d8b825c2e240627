"""Parts for the models and pipelines of other projects: a layer, a loss and a metric of Keras."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import Any, Union

import keras
import tensorflow as tf

from legan_tf.data.pipeline import to_float
from legan_tf.errors import UserError
from legan_tf.losses.quality import naturalness_loss
from legan_tf.models.layers import PACKAGE
from legan_tf.serving.labels import KEEP
from legan_tf.serving.loading import Editor, Scorer, load

ATTRIBUTES = ("expression", "lighting")
_SQUARES = "RandomEdit takes squares (keras.layers.CenterCrop makes them)"

Source = Union[str, "os.PathLike[str]"]
"""What ``load`` takes."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class RandomEdit(keras.layers.Layer):
    """Edits some pictures of a batch to random targets, as augmentation.

    Called on [B, H, W, 3] or [H, W, 3], squares, uint8 or float in [-1, 1]; returns the same shape
    and type. What is edited has gone through eight bits and the editor's own size; the other
    pictures are returned as they are, and so are all with ``training=False``. Without that
    argument, as in ``tf.data``, pictures are edited. The editor does not learn, and there is no
    gradient through what is edited.
    """

    def __init__(
        self,
        editor: Editor | Source,
        share: float = 0.5,
        attributes: Sequence[str] | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        """Checks what is asked of the editor.

        Args:
            editor: What ``legan_tf.load`` returned, or what it takes.
            share: Probability that a picture is edited, 0 to 1.
            attributes: What is changed, of ``expression`` and ``lighting``, each to a class drawn
                uniformly; default is all that the editor knows. Name the one that your labels do
                not depend on.
            seed: Of the draws; the same one gives the same edits in the same order of calls.
                Default is one from Keras' own (``keras.utils.set_random_seed``).
            **options: Of ``keras.layers.Layer``.

        Raises:
            UserError: It is no editor, or cannot change these attributes alone.
        """
        super().__init__(autocast=False, **options)
        self.editor = _loaded(editor, Editor, "an editor")
        self.share = share
        known = {"expression": self.editor.expressions, "lighting": self.editor.lightings}
        self._classes = {name: len(names) for name, names in known.items()}
        able = tuple(name for name in ATTRIBUTES if known[name])
        self.attributes = able if attributes is None else tuple(attributes)
        self.seed = random.randint(1, 2**31 - 1) if seed is None else seed
        if not 0 <= share <= 1:
            raise UserError(f"share={share}: must be 0 to 1.")
        if not self.attributes or set(self.attributes) - set(able):
            raise UserError(
                f"attributes={self.attributes}: {self.editor.path} can change {' and '.join(able)}."
            )
        left = [name for name in able if name not in self.attributes]
        if left and not self.editor.keeps_unnamed:
            raise UserError(
                f"attributes={self.attributes}: {self.editor.path} cannot leave the {left[0]} as "
                "it is; a model trained with --keep_share above 0 can."
            )
        # XLA compiles neither the choice of rows nor TensorFlow's resizing.
        self.supports_jit = False
        # tf.data works on the processor, wherever the model that follows does.
        with tf.device("CPU:0"):
            self._random = tf.random.Generator.from_seed(self.seed)

    def __call__(self, images: Any, *arguments: Any, **options: Any) -> tf.Tensor:
        """Edits some of the pictures; see the class.

        Raises:
            UserError: Pictures are of unknown rank, or no squares.
        """
        # Here, as Keras asks for the shape first.
        if tf.is_tensor(images) and images.shape.rank is None:
            raise UserError(
                "RandomEdit takes pictures [B, H, W, 3] or [H, W, 3], not of unknown rank; give "
                "pictures a shape, by set_shape."
            )
        return super().__call__(images, *arguments, **options)

    def call(self, images: tf.Tensor, training: bool | None = True) -> tf.Tensor:
        """Edits some of the pictures; see the class."""
        if not training:
            return images
        if images.shape.rank == 3:
            return self._edited(images[tf.newaxis])[0]
        return self._edited(images)

    def _edited(self, images: tf.Tensor) -> tf.Tensor:
        height, width = images.shape[1:3]
        if None not in (height, width) and height != width:
            raise UserError(f"{_SQUARES}, not {height} x {width}.")
        sides = tf.shape(images)[1:3]
        square = tf.debugging.Assert(sides[0] == sides[1], [f"{_SQUARES}, not", sides])
        with tf.control_dependencies([square]):
            rows = tf.shape(images)[0]
        chosen = self._random.uniform([rows]) < self.share
        ids = {
            name: self._random.uniform([rows], 0, self._classes[name], tf.int32)
            if name in self.attributes
            else tf.fill([rows], KEEP)
            for name in ATTRIBUTES
        }
        places = tf.where(chosen)

        def with_edits() -> tf.Tensor:
            some = {name: tf.boolean_mask(value, chosen) for name, value in ids.items()}
            edited = self.editor.edit(tf.boolean_mask(images, chosen), **some)
            return tf.tensor_scatter_nd_update(images, places, _in_form_of(images, edited))

        made = tf.cond(tf.reduce_any(chosen), with_edits, lambda: tf.identity(images))
        return tf.ensure_shape(made, images.shape)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__``; the editor's path stands for it."""
        return {
            **super().get_config(),
            "editor": self.editor.path,
            "share": self.share,
            "attributes": list(self.attributes),
            "seed": self.seed,
        }


@keras.saving.register_keras_serializable(package=PACKAGE)
class NaturalnessLoss(keras.losses.Loss):
    """Pulls pictures to a wanted rating by Q: |target - Q(picture)| (LEGAN, L_qual).

    ``loss(pictures)`` is the mean over float pictures [B, H, W, 3] in [-1, 1] of any size, whose
    middle squares Q rates, and has their gradient; Q does not learn. What a generator makes beyond
    the range counts as the bound and has no gradient. Where Keras calls it, given by
    ``compile(loss=…)``, the truth is not looked at.
    """

    def __init__(
        self,
        scorer: Scorer | Source,
        target: float = 8.0,
        name: str = "naturalness_loss",
        **options: Any,
    ) -> None:
        """Checks that there is a gradient.

        Args:
            scorer: What ``legan_tf.load`` returned for Q, or what it takes.
            target: The wanted rating, 1 to 10.
            name: Name of the loss.
            **options: Of ``keras.losses.Loss``.

        Raises:
            UserError: It is not Q, or an export.
        """
        super().__init__(name=name, **options)
        self.scorer = _loaded(scorer, Scorer, "Q")
        self.target = target
        if not self.scorer.differentiable:
            raise UserError(
                f"{self.scorer.path}: is an export, whose ratings have no gradient; give the run "
                "folder or the .keras file that it was made of."
            )

    def __call__(self, y_true: Any, y_pred: Any = None, sample_weight: Any = None) -> tf.Tensor:
        """Returns the loss of the last of ``y_true`` and ``y_pred`` that is given.

        Raises:
            UserError: Pictures are not float.
        """
        images = tf.convert_to_tensor(y_true if y_pred is None else y_pred)
        # Keras 3 would make floats of 0 to 255 of them.
        if not images.dtype.is_floating:
            raise UserError(
                f"NaturalnessLoss takes float pictures in [-1, 1], not {images.dtype.name}."
            )
        return super().__call__(images if y_pred is None else y_true, images, sample_weight)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each picture, float32 [B]."""
        return naturalness_loss(self.scorer.rate(y_pred, clip=True), self.target)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__``; the scorer's path stands for it."""
        return {**super().get_config(), "scorer": self.scorer.path, "target": self.target}


@keras.saving.register_keras_serializable(package=PACKAGE)
class NaturalnessMetric(keras.metrics.Mean):
    """Mean rating of pictures by Q, or the share of them that Q rates at least so much.

    ``update_state(pictures)`` takes pictures [B, H, W, 3] of any size, uint8 or float in [-1, 1];
    others are refused, though floats beyond the range not where XLA compiles the model. Where Keras
    calls it, given by ``compile(metrics=…)``, the truth is not looked at.
    """

    def __init__(
        self,
        scorer: Scorer | Source,
        threshold: float | None = None,
        name: str = "naturalness",
        **options: Any,
    ) -> None:
        """Makes the sums.

        Args:
            scorer: What ``legan_tf.load`` returned for Q, or what it takes.
            threshold: If given, the metric is the share rated so much or more; 5 is what counts as
                natural.
            name: Name of the metric.
            **options: Of ``keras.metrics.Mean``.

        Raises:
            UserError: It is not Q.
        """
        super().__init__(name=name, **options)
        self.scorer = _loaded(scorer, Scorer, "Q")
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any = None, sample_weight: Any = None) -> Any:
        """Adds the last of ``y_true`` and ``y_pred`` that is given."""
        rating = self.scorer.rate(y_true if y_pred is None else y_pred)
        if self.threshold is not None:
            rating = tf.cast(rating >= self.threshold, tf.float32)
        return super().update_state(rating, sample_weight=sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__``; the scorer's path stands for it."""
        return {**super().get_config(), "scorer": self.scorer.path, "threshold": self.threshold}


def _loaded(model: Any, wanted: type, what: str) -> Any:
    """Returns a model that ``load`` returned, or that it finds."""
    if isinstance(model, (str, os.PathLike)):
        model = load(model)
    if not isinstance(model, wanted):
        found = getattr(model, "path", type(model).__name__)
        raise UserError(f"{found}: is not {what}; give what legan_tf.load returns for one.")
    return model


def _in_form_of(images: tf.Tensor, edited: tf.Tensor) -> tf.Tensor:
    """Returns uint8 pictures in the size and the type of other pictures."""
    if images.shape[1:3] != edited.shape[1:3]:
        size = tf.shape(images)[1:3]
        values = tf.image.resize(edited, size, tf.image.ResizeMethod.BICUBIC, antialias=True)
        edited = tf.cast(tf.clip_by_value(tf.round(values), 0.0, 255.0), tf.uint8)
    return edited if images.dtype == tf.uint8 else tf.cast(to_float(edited), images.dtype)
