"""LEGAN, the tri-hourglass GAN for lighting and expression."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from legan_tf.command_line.options import POSITIVE, option
from legan_tf.data.faceset import FaceSet
from legan_tf.models import LeganGenerator
from legan_tf.training.system import register
from legan_tf.training.systems.editor import EditorSystem


@register
@dataclasses.dataclass(frozen=True)
class Legan(EditorSystem):
    """LEGAN (Banerjee et al., CVPRW 2021, section 4)."""

    model: ClassVar[str] = "legan"
    needs: ClassVar[tuple[str, ...]] = ("expression", "lighting")

    mask_channels: int = option(64, "LEGAN: channels of each mask.", limit=POSITIVE)
    image_to_synthesis: bool = option(
        False, "LEGAN: the synthesis hourglass also sees the image (ours)."
    )

    def network(self, faces: FaceSet) -> LeganGenerator:
        """Returns the tri-hourglass generator."""
        return LeganGenerator(
            **self.generator_options(faces),
            mask_channels=self.mask_channels,
            image_to_synthesis=self.image_to_synthesis,
            upsampling=self.upsampling or "pixelshuffle",
        )
