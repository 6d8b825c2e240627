"""StarGAN, and with a weight of L_qual "StarGAN w/ L_qual", baselines of both papers."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from legan_tf.command_line.options import option
from legan_tf.data.faceset import FaceSet
from legan_tf.models import StarganGenerator
from legan_tf.training.system import register
from legan_tf.training.systems.editor import EditorSystem


@register
@dataclasses.dataclass(frozen=True)
class Stargan(EditorSystem):
    """StarGAN (Choi et al., CVPR 2018) on two attributes, or on expressions alone."""

    model: ClassVar[str] = "stargan"
    needs: ClassVar[tuple[str, ...]] = ("expression",)

    edit_lighting: bool = option(
        True, "Whether the editor learns light too; without, lighting labels are not read."
    )

    def network(self, faces: FaceSet) -> StarganGenerator:
        """Returns StarGAN's generator."""
        return StarganGenerator(
            **self.generator_options(faces), upsampling=self.upsampling or "transposed"
        )
