"""What the alignment can be told, once: as a dataclass and as flags."""

from __future__ import annotations

import dataclasses

from legan_tf import options
from legan_tf.options import option

CONVENTIONS = ("lightcnn", "rafd")


@dataclasses.dataclass(frozen=True)
class AlignOptions:
    """The options of ``scripts/prepare.py align``; each field is a flag.

    The measures that the thresholds are for are described in ``measures``.
    """

    convention: str = option(
        "lightcnn",
        "align: where the face stands: lightcnn, eyes at 40 and mouth at 88 of 128; rafd, the "
        "whole head with the middle between eyes and mouth in the centre, 64 of 256 apart.",
        CONVENTIONS,
    )
    landmarks: str = option(
        "",
        "align: where the landmarks are: a CSV, or a folder of .pts files; empty to find them with "
        "mediapipe.",
    )
    hull_mask: bool = option(
        False, "align: black out all that is outside the convex hull of jaw and eyebrows."
    )
    max_yaw: float = option(
        15.0,
        "align: leave out faces turned to the side by as many degrees or more; 90 to keep all.",
    )
    min_face: float = option(
        16.0,
        "align: leave out faces with fewer pixels from the eyes down to the mouth, in the "
        "original.",
    )
    min_contrast: float = option(
        5.0,
        "align: leave out dark and washed-out faces: standard deviation of their grey levels, of "
        "255.",
    )
    min_sharpness: float = option(
        0.02, "align: leave out blurred faces: finest detail as a share of the contrast."
    )

    def check(self) -> None:
        """Checks every value and every rule between values.

        Raises:
            UserError: Something does not fit; the message names the flags and is complete.
        """
        problems = options.wrong_values(self)
        if not 0 < self.max_yaw <= 90:
            problems.append(f"--max_yaw={self.max_yaw:g}: must be above 0 and up to 90 degrees")
        for name in ("min_face", "min_contrast", "min_sharpness"):
            if not getattr(self, name) >= 0:
                problems.append(f"--{name}={getattr(self, name):g}: must be 0 or more")
        options.refuse(problems)
