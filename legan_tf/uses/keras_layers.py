"""Keras layer, loss and metric built on a trained editor or Q, for use in other projects."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import Any, Union

import keras
import tensorflow as tf

from legan_tf.errors import UserError
from legan_tf.graph_ops.pixels import to_float
from legan_tf.graph_ops.resizing import resize
from legan_tf.losses.quality import quality_naturalness_loss
from legan_tf.models.layers import PACKAGE
from legan_tf.serving.loading import Editor, Scorer, load

_SQUARES = "RandomEdit takes squares (keras.layers.CenterCrop makes them)"

Source = Union[str, "os.PathLike[str]"]
"""A path that ``load`` accepts."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class RandomEdit(keras.layers.Layer):
    """Augmentation layer that edits random images of a batch to random targets.

    Input: square images [B, H, W, 3] or [H, W, 3], uint8 or float in [-1, 1]. Output: the same
    shape and type. Edited images are quantised to eight bits and resized from the editor's size;
    the others are unchanged, and so are all with ``training=False``. Without that argument, as in
    ``tf.data``, images are edited. The editor is not trained, and edits have no gradient.
    """

    def __init__(
        self,
        editor: Editor | Source,
        share: float = 0.5,
        conditions: Sequence[str] | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        """Initialises the layer.

        Args:
            editor: An editor from ``legan_tf.load``, or its path.
            share: Probability that an image is edited, 0 to 1.
            conditions: Those to change, such as ``expression`` and ``lighting``, each to a class
                drawn uniformly, or each of its binary attributes to 0 or 1; default is all of the
                editor. Choose one that your labels do not depend on.
            seed: Seed of the draws: the same seed gives the same edits in the same order of calls.
                Default is drawn after ``keras.utils.set_random_seed``.
            **options: Arguments of ``keras.layers.Layer``.

        Raises:
            UserError: The model is no editor, or cannot change these conditions alone.
        """
        super().__init__(autocast=False, **options)
        self.editor = _loaded(editor, Editor, "an editor")
        self.share = share
        able = tuple(condition.name for condition in self.editor.conditions)
        self.conditions = able if conditions is None else tuple(conditions)
        self.seed = random.randint(1, 2**31 - 1) if seed is None else seed
        if not 0 <= share <= 1:
            raise UserError(f"share={share}: must be 0 to 1.")
        if not self.conditions or set(self.conditions) - set(able):
            raise UserError(
                f"conditions={self.conditions}: {self.editor.path} can change {' and '.join(able)}."
            )
        left = [name for name in able if name not in self.conditions]
        if left and not self.editor.keeps_unnamed:
            raise UserError(
                f"conditions={self.conditions}: {self.editor.path} cannot leave the {left[0]} as "
                "it is; a model trained with --keep_share above 0 can."
            )
        # XLA cannot compile the selection of rows.
        self.supports_jit = False
        # tf.data runs on the CPU, also if the model runs on a GPU.
        with tf.device("CPU:0"):
            self._random = tf.random.Generator.from_seed(self.seed)

    def __call__(self, images: Any, *arguments: Any, **options: Any) -> tf.Tensor:
        """Edits random images.

        Raises:
            UserError: The images have an unknown rank, or are not square.
        """
        # Checked before ``call``, since Keras needs the shape first.
        if tf.is_tensor(images) and images.shape.rank is None:
            raise UserError(
                "RandomEdit takes pictures [B, H, W, 3] or [H, W, 3], not of unknown rank; give "
                "pictures a shape, by set_shape."
            )
        return super().__call__(images, *arguments, **options)

    def call(self, images: tf.Tensor, training: bool | None = True) -> tf.Tensor:
        """Edits random images unless ``training`` is False."""
        if not training:
            return images
        if images.shape.rank == 3:
            return self._edit(images[tf.newaxis])[0]
        return self._edit(images)

    def _edit(self, images: tf.Tensor) -> tf.Tensor:
        height, width = images.shape[1:3]
        if None not in (height, width) and height != width:
            raise UserError(f"{_SQUARES}, not {height} x {width}.")
        sides = tf.shape(images)[1:3]
        square = tf.debugging.Assert(sides[0] == sides[1], [f"{_SQUARES}, not", sides])
        with tf.control_dependencies([square]):
            rows = tf.shape(images)[0]
        chosen = self._random.uniform([rows]) < self.share
        drawn = {
            one.name: self._random.uniform([rows, *one.label_shape], 0, one.values, tf.int32)
            for one in self.editor.conditions
            if one.name in self.conditions
        }
        places = tf.where(chosen)

        def with_edits() -> tf.Tensor:
            some = {name: tf.boolean_mask(value, chosen) for name, value in drawn.items()}
            edited = self.editor.edit(tf.boolean_mask(images, chosen), **some)
            return tf.tensor_scatter_nd_update(images, places, _like(images, edited))

        made = tf.cond(tf.reduce_any(chosen), with_edits, lambda: tf.identity(images))
        return tf.ensure_shape(made, images.shape)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__``, with the path of the editor."""
        return {
            **super().get_config(),
            "editor": self.editor.path,
            "share": self.share,
            "conditions": list(self.conditions),
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> RandomEdit:
        """Returns the layer of a configuration; files of before say ``attributes``."""
        config = dict(config)
        if "attributes" in config:
            config["conditions"] = config.pop("attributes")
        return cls(**config)


@keras.saving.register_keras_serializable(package=PACKAGE)
class NaturalnessLoss(keras.losses.Loss):
    """Naturalness loss |target - Q(image)| (LEGAN, L_qual).

    ``loss(images)`` is the mean over float images [B, H, W, 3] in [-1, 1] of any size, of which Q
    rates the central square. It is differentiable with respect to the images; Q is not trained.
    Values outside the range are clipped and have no gradient. In ``compile(loss=…)`` the targets
    ``y_true`` are ignored.
    """

    def __init__(
        self,
        scorer: Scorer | Source,
        target: float = 8.0,
        name: str = "naturalness_loss",
        **options: Any,
    ) -> None:
        """Initialises the loss.

        Args:
            scorer: Q from ``legan_tf.load``, or its path.
            target: Target rating, 1 to 10.
            name: Name of the loss.
            **options: Arguments of ``keras.losses.Loss``.

        Raises:
            UserError: The model is not Q, or is an export, which has no gradient.
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
        """Returns the loss of ``y_pred``, or of ``y_true`` if it is the only argument.

        Raises:
            UserError: The images are not float.
        """
        images = tf.convert_to_tensor(y_true if y_pred is None else y_pred)
        # Keras 3 would convert uint8 to floats of 0 to 255.
        if not images.dtype.is_floating:
            raise UserError(
                f"NaturalnessLoss takes float pictures in [-1, 1], not {images.dtype.name}."
            )
        return super().__call__(images if y_pred is None else y_true, images, sample_weight)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each image, float32 [B]."""
        return quality_naturalness_loss(self.scorer.rate(y_pred, clip=True), self.target)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__``, with the path of the scorer."""
        return {**super().get_config(), "scorer": self.scorer.path, "target": self.target}


@keras.saving.register_keras_serializable(package=PACKAGE)
class NaturalnessMetric(keras.metrics.Mean):
    """Mean rating of images by Q, or the share of images rated ``threshold`` or more.

    ``update_state(images)`` takes images [B, H, W, 3] of any size, uint8 or float in [-1, 1], and
    refuses others (XLA omits the check of the range). In ``compile(metrics=…)`` the targets
    ``y_true`` are ignored.
    """

    def __init__(
        self,
        scorer: Scorer | Source,
        threshold: float | None = None,
        name: str = "naturalness",
        **options: Any,
    ) -> None:
        """Initialises the metric.

        Args:
            scorer: Q from ``legan_tf.load``, or its path.
            threshold: If given, the metric is the share of ratings of at least this value; 5 and
                more count as natural.
            name: Name of the metric.
            **options: Arguments of ``keras.metrics.Mean``.

        Raises:
            UserError: The model is not Q.
        """
        super().__init__(name=name, **options)
        self.scorer = _loaded(scorer, Scorer, "Q")
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any = None, sample_weight: Any = None) -> Any:
        """Adds the ratings of ``y_pred``, or of ``y_true`` if it is the only argument."""
        rating = self.scorer.rate(y_true if y_pred is None else y_pred)
        if self.threshold is not None:
            rating = tf.cast(rating >= self.threshold, tf.float32)
        return super().update_state(rating, sample_weight=sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__``, with the path of the scorer."""
        return {**super().get_config(), "scorer": self.scorer.path, "threshold": self.threshold}


def _loaded(model: Any, wanted: type, what: str) -> Any:
    """Returns a model of a type, loaded if a path is given."""
    if isinstance(model, (str, os.PathLike)):
        model = load(model)
    if not isinstance(model, wanted):
        found = getattr(model, "path", type(model).__name__)
        raise UserError(f"{found}: is not {what}; give what legan_tf.load returns for one.")
    return model


def _like(images: tf.Tensor, edited: tf.Tensor) -> tf.Tensor:
    """Returns uint8 images in the size and type of other images."""
    if images.shape[1:3] != edited.shape[1:3]:
        size = tf.shape(images)[1:3]
        values = resize(edited, tf.unstack(size), "bicubic")
        edited = tf.cast(tf.clip_by_value(tf.round(values), 0.0, 255.0), tf.uint8)
    return edited if images.dtype == tf.uint8 else tf.cast(to_float(edited), images.dtype)
