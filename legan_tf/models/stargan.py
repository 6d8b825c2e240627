"""StarGAN's generator, the baseline of both papers."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from legan_tf.data.conditions import Condition
from legan_tf.models.generator import AttributeGenerator
from legan_tf.models.hourglass import hourglass
from legan_tf.models.layers import PACKAGE


@keras.saving.register_keras_serializable(package=PACKAGE)
class StarganGenerator(AttributeGenerator):
    """One hourglass that sees the image and all codes (Choi et al., CVPR 2018).

    With 8 attributes it has 8,439,936 parameters, with LEGAN's 26 it has 8,496,384.
    """

    def __init__(
        self,
        conditions: Sequence[Condition],
        image_size: int = 128,
        width: int = 64,
        blocks: int = 6,
        output: str = "direct",
        upsampling: str = "transposed",
        stem: bool = True,
        keeps_unnamed: bool = False,
        face_lines: Sequence[float] = (),
        name: str | None = "stargan_generator",
    ) -> None:
        """Makes the hourglass; the arguments are those of ``LeganGenerator``."""
        super().__init__(conditions, image_size, keeps_unnamed, output, name, face_lines)
        self.width = width
        self.blocks = blocks
        self.upsampling = upsampling
        self.stem = stem
        self.hourglass = hourglass(self.output_channels, width, blocks, upsampling, stem)

    def build_layers(self) -> None:
        """Builds the hourglass."""
        channels = 3 + sum(one.size for one in self.conditions)
        self.hourglass.build((None, self.image_size, self.image_size, channels))

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> dict[str, tf.Tensor]:
        """Edits the images; see ``AttributeGenerator``."""
        image = inputs["image"]
        codes = tf.concat([inputs[one.name] for one in self.conditions], -1)
        return {"image": self.output_image(self.hourglass((image, codes)), image)}
