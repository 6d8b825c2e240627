"""GANimation's networks: StarGAN's with a mask beside the colours, told of action units."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from legan_tf.data.conditions import Condition
from legan_tf.models.discriminator import Discriminator
from legan_tf.models.layers import PACKAGE, Chain
from legan_tf.models.stargan import StarganGenerator

_START_STD = 0.02


@keras.saving.register_keras_serializable(package=PACKAGE)
class GanimationGenerator(StarganGenerator):
    """Paints a face and a mask of what it keeps of the input (Pumarola et al., ECCV 2018).

    StarGAN's hourglass sees the image and the action units as planes. Its last convolution is both
    heads of the paper: three channels through tanh are the colours C, one through a sigmoid is the
    mask A, and the image is A · input + (1 - A) · C, as in the released code (the paper's first
    version has A and 1 - A exchanged). With 17 action units it has 8,471,296 parameters.

    Besides ``image``, the output holds ``action_units_mask``, float32 [B,S,S,1] in [0, 1], and
    ``colors``, float32 [B,S,S,3] in [-1, 1].
    """

    def __init__(
        self,
        conditions: Sequence[Condition],
        image_size: int = 128,
        width: int = 64,
        blocks: int = 6,
        upsampling: str = "transposed",
        stem: bool = True,
        face_lines: Sequence[float] = (),
        name: str | None = "ganimation_generator",
    ) -> None:
        """Makes the hourglass.

        Args:
            conditions: What it is told; in the paper one condition of 17 action units.
            image_size: Height and width in pixels, a multiple of 4.
            width: Channels at full size.
            blocks: Residual blocks.
            upsampling: ``transposed`` as published, ``pixelshuffle`` or ``nearest``.
            stem: Whether it starts and ends with 7 × 7 convolutions at full size.
            face_lines: See ``AttributeGenerator``.
            name: Name of the Keras model.
        """
        super().__init__(
            conditions,
            image_size,
            width,
            blocks,
            upsampling=upsampling,
            stem=stem,
            face_lines=face_lines,
            name=name,
        )
        _start_small(self.hourglass)

    @property
    def mask_names(self) -> tuple[str, ...]:
        """The mask of what is kept; it is named after the condition, as LEGAN's are."""
        return (f"{self.conditions[0].name}_mask",)

    @property
    def output_channels(self) -> int:
        """Three of the colours, one of the mask."""
        return 4

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> dict[str, tf.Tensor]:
        """Edits the images; see ``AttributeGenerator`` and the class."""
        image = inputs["image"]
        codes = tf.concat([inputs[one.name] for one in self.conditions], -1)
        features = tf.cast(self.hourglass((image, codes)), tf.float32)
        colors, mask = tf.tanh(features[..., :3]), tf.sigmoid(features[..., 3:])
        return {
            "image": compose(image, colors, mask),
            self.mask_names[0]: mask,
            "colors": colors,
        }


def compose(image: tf.Tensor, colors: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Returns A · image + (1 - A) · colors, float32 [B,S,S,3], A the mask, [B,S,S,1]."""
    return mask * image + (1.0 - mask) * colors


def ganimation_discriminator(
    conditions: Sequence[Condition],
    image_size: int = 128,
    width: int = 64,
    depth: int = 6,
    name: str | None = "discriminator",
) -> Discriminator:
    """Returns StarGAN's discriminator as GANimation starts it, with a linear head of action units.

    With 17 of them at 128 × 128 it has 44,860,352 parameters. Arguments: see ``Discriminator``.
    """
    network = Discriminator(conditions, image_size, width, depth, name=name)
    for layer in (network.trunk, network.realness_head, *network.heads().values()):
        _start_small(layer)
    return network


def _start_small(layer: keras.layers.Layer) -> None:
    """Has kernels start as N(0, 0.02), and all that is added at 0, as GANimation's code does."""
    if isinstance(layer, Chain):
        for step in layer.steps:
            _start_small(step)
    elif hasattr(layer, "body"):
        _start_small(layer.body)
    elif hasattr(layer, "kernel_initializer"):
        # One for each layer: Keras 3 draws the same numbers whenever one is used again.
        layer.kernel_initializer = keras.initializers.RandomNormal(0.0, _START_STD)
