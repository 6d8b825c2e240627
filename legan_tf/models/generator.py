"""The interface of every generator that edits faces under conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from legan_tf.data.conditions import Condition
from legan_tf.models.conditioned import ConditionedNetwork
from legan_tf.models.hourglass import check_image_size

OUTPUTS = ("direct", "affine")


class AttributeGenerator(ConditionedNetwork):
    """A generator that edits a face under conditions, such as an expression and a lighting.

    Called on a dictionary of ``image`` (float32 [B,S,S,3] in [-1, 1]) and the code of each
    condition by its name (float32 [B,N], ``Condition.code``); returns a dictionary with ``image``
    in the same form. The code of an unknown label asks to leave that condition as it is and is
    understood only where ``keeps_unnamed`` is true.

    Attributes:
        conditions: What it is told, in the order of the codes.
        image_size: Height and width of the images, in pixels.
        keeps_unnamed: Whether the model was trained to leave alone what its target does not name.
        face_lines: Heights of eyes and mouth in the pictures that it was trained on, as shares of
            their height; empty if unknown.
    """

    kind = "editor"
    attribute_names = {"output": "output_form"}  # Keras has an ``output`` of its own.

    def __init__(
        self,
        conditions: Sequence[Condition],
        image_size: int,
        keeps_unnamed: bool,
        output: str,
        name: str | None,
        face_lines: Sequence[float] = (),
    ) -> None:
        """Checks and stores the arguments that all generators share.

        Args:
            conditions: See the class.
            image_size: See the class; a multiple of 4.
            keeps_unnamed: See the class.
            output: ``direct`` for the image itself, as published. ``affine`` (our own) for a gain
                and an offset per pixel and channel, applied to the input image.
            name: Name of the Keras model.
            face_lines: See the class.

        Raises:
            ValueError: The size is no multiple of 4, or the output is unknown.
        """
        super().__init__(name=name)
        check_image_size(image_size)
        if output not in OUTPUTS:
            raise ValueError(f"output is one of {', '.join(OUTPUTS)}, not {output!r}")
        self.conditions = tuple(conditions)
        self.image_size = image_size
        self.keeps_unnamed = keeps_unnamed
        self.output_form = output
        self.face_lines = tuple(face_lines)

    @property
    def mask_names(self) -> tuple[str, ...]:
        """Names of the masks that it returns beside the image, float32 [B,S,S,M]."""
        return ()

    def codes(self, labels: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the codes of labels by condition."""
        return {one.name: one.code(labels[one.name]) for one in self.conditions}

    @property
    def output_channels(self) -> int:
        """Channels of the last hourglass, as ``output_image`` takes them."""
        return 3 if self.output_form == "direct" else 6

    def output_image(self, features: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
        """Converts the output of the last hourglass to the edited image.

        Args:
            features: [B,S,S,output_channels].
            image: float32 [B,S,S,3] in [-1, 1], the input.

        Returns:
            float32 [B,S,S,3] in [-1, 1].
        """
        features = tf.cast(features, tf.float32)
        if self.output_form == "direct":
            return tf.tanh(features)
        offset, gain = tf.split(features, 2, axis=-1)
        # The gain starts well below one: starting from a copy of the input, G learns to fool D with
        # small changes and the edits lag behind.
        return tf.tanh(offset + (0.3 + gain) * image)
