"""The depth network of Bodur et al., between faces and maps of their surface."""

from __future__ import annotations

import keras
import tensorflow as tf

from legan_tf.data import maps
from legan_tf.models.hourglass import check_image_size, hourglass
from legan_tf.models.layers import PACKAGE
from legan_tf.models.network import Network

MAP_DOMAIN, RGB_DOMAIN = 0, 1
"""Domains of the output: the map of a picture, or the picture of a map."""
DOMAINS = 2


@keras.saving.register_keras_serializable(package=PACKAGE)
class DepthNetwork(Network):
    """One hourglass for both directions, conditioned on a domain code (G_depth and G'_depth).

    Bodur et al. train it "similarly to StarGAN, the domain given as a condition" (section 3.2);
    that the code is a one-hot vector of two and both directions share their weights is inferred.

    Called on a dictionary of ``image`` (float32 [B,S,S,3] in [-1, 1], a picture or a map) and
    ``domain`` (float32 [B,2], one-hot); returns a dictionary with ``image`` in the same form. A
    depth map is one grey value in three equal channels, nearest brightest, -1 where there is
    nothing; a normal map holds the components of the unit normal.

    Attributes:
        image_size: Height and width of the images, in pixels.
        geometry: ``depth`` or ``normal``, the kind of its maps.
    """

    kind = "depth"

    def __init__(
        self,
        image_size: int = 128,
        geometry: str = "depth",
        width: int = 64,
        blocks: int = 6,
        upsampling: str = "transposed",
        stem: bool = True,
        name: str | None = "depth_network",
    ) -> None:
        """Makes the hourglass.

        Args:
            image_size: See the class; a multiple of 4.
            geometry: See the class.
            width: Channels at full size.
            blocks: Residual blocks.
            upsampling: Method of upsampling; see ``hourglass.upsample``.
            stem: Whether both ends are 7 × 7 convolutions at full size, as in StarGAN.
            name: Name of the Keras model.

        Raises:
            ValueError: The size is no multiple of 4, or the geometry is unknown.
        """
        super().__init__(name=name)
        check_image_size(image_size)
        if geometry not in maps.KINDS:
            raise ValueError(f"geometry is one of {', '.join(maps.KINDS)}, not {geometry!r}")
        self.image_size = image_size
        self.geometry = geometry
        self.width = width
        self.blocks = blocks
        self.upsampling = upsampling
        self.stem = stem
        self.hourglass = hourglass(3, width, blocks, upsampling, stem)

    def build_layers(self) -> None:
        """Builds the hourglass."""
        self.hourglass.build((None, self.image_size, self.image_size, 3 + DOMAINS))

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> dict[str, tf.Tensor]:
        """Translates the images; see the class."""
        output = self.hourglass((inputs["image"], inputs["domain"]))
        output = tf.tanh(tf.cast(output, tf.float32))
        if self.geometry == "depth":
            # A depth map has three equal channels; the picture of a face has not.
            grey = tf.reduce_mean(output, axis=-1, keepdims=True)
            wants_map = inputs["domain"][:, MAP_DOMAIN, None, None, None] > 0.5
            output = tf.where(wants_map, grey, output)
        return {"image": output}

    def to_map(self, image: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns the maps of pictures, float32 [B,S,S,3] in [-1, 1] like these."""
        return self._to(MAP_DOMAIN, image, training)

    def to_rgb(self, surface: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns the pictures of maps, float32 [B,S,S,3] in [-1, 1] like these."""
        return self._to(RGB_DOMAIN, surface, training)

    def _to(self, domain: int, image: tf.Tensor, training: bool) -> tf.Tensor:
        code = tf.one_hot(tf.fill([tf.shape(image)[0]], domain), DOMAINS)
        return self({"image": image, "domain": code}, training=training)["image"]
