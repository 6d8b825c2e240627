"""LEGAN, the tri-hourglass GAN for lighting and expression."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from legan_tf.command_line.options import POSITIVE, Options, group, option
from legan_tf.data.faceset import FaceSet
from legan_tf.models import LeganGenerator
from legan_tf.training.system import register
from legan_tf.training.systems.editor import EditorSystem


@dataclasses.dataclass(frozen=True)
class LeganOptions(Options):
    """The masks of LEGAN's generator."""

    mask_channels: int = option(64, "LEGAN: channels of each mask.", limit=POSITIVE)
    image_to_synthesis: bool = option(
        False, "LEGAN: the synthesis hourglass also sees the image (ours)."
    )


@register
@dataclasses.dataclass(frozen=True)
class Legan(EditorSystem):
    """LEGAN (Banerjee et al., CVPRW 2021, section 4)."""

    model: ClassVar[str] = "legan"
    columns: ClassVar[tuple[str, ...]] = ("expression", "lighting")

    masks: LeganOptions = group(LeganOptions)

    def network(self, faces: FaceSet) -> LeganGenerator:
        """Returns the tri-hourglass generator."""
        return LeganGenerator(
            **self.generator_options(faces),
            mask_channels=self.masks.mask_channels,
            image_to_synthesis=self.masks.image_to_synthesis,
            upsampling=self.hourglass.upsampling or "pixelshuffle",
        )
