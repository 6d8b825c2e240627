"""LEGAN's tri-hourglass generator: one hourglass a condition for masks, one for the image."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from legan_tf.data.conditions import Condition
from legan_tf.models.generator import AttributeGenerator
from legan_tf.models.hourglass import hourglass
from legan_tf.models.layers import PACKAGE


@keras.saving.register_keras_serializable(package=PACKAGE)
class LeganGenerator(AttributeGenerator):
    """The tri-hourglass generator (LEGAN, section 3; supplement, Tables 2 to 4).

    The expression hourglass sees the image and the expression code, the lighting hourglass the
    image and the lighting code; each gives a transformation mask. The synthesis hourglass makes
    the image from the concatenated masks. The wiring and the 9 input channels of the expression
    hourglass are published; the tables of layers are inferred. Of other conditions, each has an
    hourglass and a mask.

    Besides ``image``, the output holds a mask for each condition, ``expression_mask`` and
    ``lighting_mask``, float32 [B,S,S,M], unbounded.
    """

    def __init__(
        self,
        conditions: Sequence[Condition],
        image_size: int = 128,
        width: int = 64,
        blocks: int = 6,
        mask_channels: int = 64,
        image_to_synthesis: bool = False,
        output: str = "direct",
        upsampling: str = "pixelshuffle",
        stem: bool = True,
        keeps_unnamed: bool = False,
        face_lines: Sequence[float] = (),
        name: str | None = "legan_generator",
    ) -> None:
        """Makes the hourglasses.

        Args:
            conditions: What it is told; in the paper an expression and a lighting.
            image_size: Height and width in pixels, a multiple of 4.
            width: Channels of each hourglass at full size.
            blocks: Residual blocks of each hourglass.
            mask_channels: Channels of each mask.
            image_to_synthesis: Whether the synthesis hourglass also sees the image.
            output: ``direct`` or ``affine``; see ``AttributeGenerator``.
            upsampling: ``pixelshuffle``, ``nearest`` or ``transposed``.
            stem: Whether hourglasses start and end with 7 × 7 convolutions at full size.
            keeps_unnamed: See ``AttributeGenerator``.
            face_lines: See ``AttributeGenerator``.
            name: Name of the Keras model.
        """
        super().__init__(conditions, image_size, keeps_unnamed, output, name, face_lines)
        self.width = width
        self.blocks = blocks
        self.mask_channels = mask_channels
        self.image_to_synthesis = image_to_synthesis
        self.upsampling = upsampling
        self.stem = stem
        body = (width, blocks, upsampling, stem)
        # Keras names the weights in files after these attributes.
        for condition in self.conditions:
            setattr(self, f"{condition.name}_hourglass", hourglass(mask_channels, *body))
        self.synthesis_hourglass = hourglass(self.output_channels, *body)

    @property
    def mask_names(self) -> tuple[str, ...]:
        """A mask for each condition; see ``AttributeGenerator``."""
        return tuple(f"{one.name}_mask" for one in self.conditions)

    def build_layers(self) -> None:
        """Builds the hourglasses."""
        size = (None, self.image_size, self.image_size)
        for condition in self.conditions:
            self.hourglass_of(condition).build((*size, 3 + condition.size))
        seen = self.mask_channels * len(self.conditions) + 3 * self.image_to_synthesis
        self.synthesis_hourglass.build((*size, seen))

    def hourglass_of(self, condition: Condition) -> keras.layers.Layer:
        """Returns the hourglass that makes the mask of a condition."""
        return getattr(self, f"{condition.name}_hourglass")

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> dict[str, tf.Tensor]:
        """Edits the images; see ``AttributeGenerator`` and the class."""
        image = inputs["image"]
        masks = {
            one.name: self.hourglass_of(one)((image, inputs[one.name])) for one in self.conditions
        }
        seen = list(masks.values())
        if self.image_to_synthesis:
            seen.append(tf.cast(image, seen[0].dtype))
        features = self.synthesis_hourglass(tf.concat(seen, axis=-1))
        return {
            "image": self.output_image(features, image),
            **{f"{name}_mask": tf.cast(mask, tf.float32) for name, mask in masks.items()},
        }
