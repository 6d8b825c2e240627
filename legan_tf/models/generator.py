"""The interface of every generator that edits attributes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from legan_tf.models.network import Network

OUTPUTS = ("direct", "affine")


class AttributeGenerator(Network):
    """Edits the expression and the lighting of a face.

    Called on a dictionary of ``image`` (float32 [B,S,S,3] in [-1, 1]), ``expression`` (float32
    [B,E]) and ``lighting`` (float32 [B,L]); returns a dictionary with ``image`` in the same form.
    Codes are one-hot rows. A row of zeros asks to leave that attribute as it is and is understood
    only where ``keeps_unnamed`` is true.

    Attributes:
        expressions: Names of the expression classes, in the order of the code.
        lightings: Names of the lighting classes, in the order of the code.
        image_size: Height and width of the images, in pixels.
        keeps_unnamed: Whether the model was trained to leave an attribute alone on a zero code.
    """

    def __init__(
        self,
        expressions: Sequence[str],
        lightings: Sequence[str],
        image_size: int,
        keeps_unnamed: bool,
        output: str,
        name: str | None,
    ) -> None:
        """Checks and keeps what every generator has.

        Args:
            expressions: See the class.
            lightings: See the class.
            image_size: See the class; a multiple of 4.
            keeps_unnamed: See the class.
            output: ``direct`` paints the image, as published. ``affine`` (our own) gives a gain
                and an offset per pixel and channel that act on the input image.
            name: Name of the Keras model.

        Raises:
            ValueError: The size is no multiple of 4, or the output is unknown.
        """
        super().__init__(name=name)
        if image_size % 4 or image_size < 8:
            raise ValueError(f"image_size is {image_size}: it must be a multiple of 4, at least 8")
        if output not in OUTPUTS:
            raise ValueError(f"output is one of {', '.join(OUTPUTS)}, not {output!r}")
        self.expressions = tuple(expressions)
        self.lightings = tuple(lightings)
        self.image_size = image_size
        self.keeps_unnamed = keeps_unnamed
        self.output_form = output

    def config(self) -> dict[str, Any]:
        """Returns what every generator has; the subclasses add their own."""
        return {
            "expressions": list(self.expressions),
            "lightings": list(self.lightings),
            "image_size": self.image_size,
            "keeps_unnamed": self.keeps_unnamed,
            "output": self.output_form,
        }

    @property
    def painted_channels(self) -> int:
        """Channels that the last hourglass must give for ``painted``."""
        return 3 if self.output_form == "direct" else 6

    def painted(self, features: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
        """Turns the last hourglass' output into the edited image.

        Args:
            features: [B,S,S,painted_channels].
            image: float32 [B,S,S,3] in [-1, 1], the input.

        Returns:
            float32 [B,S,S,3] in [-1, 1].
        """
        features = tf.cast(features, tf.float32)
        if self.output_form == "direct":
            return tf.tanh(features)
        offset, gain = tf.split(features, 2, axis=-1)
        # A gain that starts well below one keeps the copy of the input from being a good start:
        # from a full copy, G learns to fool D with small changes and the edits lag behind.
        return tf.tanh(offset + (0.3 + gain) * image)
