"""StarGAN, and with a weight of L_qual "StarGAN w/ L_qual", baselines of both papers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from legan_tf.data.faceset import FaceSet
from legan_tf.models import StarganGenerator
from legan_tf.training.system import register
from legan_tf.training.systems.editor import EditorSystem


@register
@dataclasses.dataclass(frozen=True)
class Stargan(EditorSystem):
    """StarGAN (Choi et al., CVPR 2018) on expression and lighting, either, or binary attributes."""

    model: ClassVar[str] = "stargan"
    columns: ClassVar[tuple[str, ...]] = ("expression",)
    alternatives: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "--conditions=attributes": ("attributes",)
    }

    def network(self, faces: FaceSet) -> StarganGenerator:
        """Returns StarGAN's generator."""
        return StarganGenerator(
            **self.generator_options(faces), upsampling=self.hourglass.upsampling or "transposed"
        )
