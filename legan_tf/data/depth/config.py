"""What making depth maps can be told, once: as a dataclass and as flags."""

from __future__ import annotations

import dataclasses

from legan_tf import options
from legan_tf.options import option


@dataclasses.dataclass(frozen=True)
class DepthOptions:
    """The options of ``scripts/prepare.py depth``; each field is a flag.

    The cameras are described in ``cameras``, the measures that the thresholds are for in
    ``measures``.
    """

    camera: str = option(
        "image",
        "depth: image, meshes are in pixels of their pictures, y down; image_y_up, likewise, y up "
        "from the bottom; fit, a weak-perspective camera from landmarks; frame, meshes without "
        "pictures, from the front.",
        ("image", "image_y_up", "fit", "frame"),
    )
    first_pixel: float = option(
        0.0,
        "depth: what a mesh in pixels calls the centre of the first pixel: 0, 0.5, or 1 as Matlab.",
    )
    flip_z: bool = option(False, "depth: in meshes in pixels, larger z is farther, not nearer.")
    landmark_vertices: str = option(
        "",
        "depth: a text file that says which vertex is which of the 68 landmarks: in each line the "
        "landmark, from 1, and its vertex, from 0.",
    )
    depth_format: str = option(
        "png8", "depth: grey PNG of 8 or 16 bits, or float OpenEXR.", ("png8", "png16", "exr")
    )
    normal_format: str = option(
        "png8", "depth: RGB PNG of 8 bits, or float OpenEXR.", ("png8", "exr")
    )
    fill_holes: float = option(
        0.002,
        "depth: fill holes up to this share of the silhouette; larger ones, as open mouths, stay.",
    )
    min_coverage: float = option(
        0.05, "depth: reject meshes that cover less than this share of the picture."
    )
    max_coverage: float = option(
        0.9, "depth: reject meshes that cover more than this share of the picture."
    )
    max_landmark_error: float = option(
        0.08,
        "depth: reject meshes whose landmarks are, on average, farther than this from the "
        "picture's, as a share of the distance of the eyes; where both are known.",
    )
    max_hole_share: float = option(
        0.15,
        "depth: reject meshes with more holes, filled or not, than this share of their silhouette.",
    )
    min_bulge: float = option(
        0.0,
        "depth: reject meshes that are a bowl as seen, as faces are with the wrong --flip_z: whose "
        "nearness to the viewer and to the middle correlate less than this, -1 to 1.",
    )
    max_degenerate: float = option(
        0.01, "depth: reject meshes of whose triangles more than this share have no area."
    )

    def check(self) -> None:
        """Checks every value and every rule between values.

        Raises:
            UserError: Something does not fit; the message names the flags and is complete.
        """
        problems = options.wrong_values(self)
        for name in (
            "fill_holes",
            "min_coverage",
            "max_coverage",
            "max_hole_share",
            "max_degenerate",
        ):
            if not 0 <= getattr(self, name) <= 1:
                problems.append(f"--{name}={getattr(self, name):g}: must be 0 to 1")
        if not -1 <= self.min_bulge <= 1:
            problems.append(f"--min_bulge={self.min_bulge:g}: must be -1 to 1")
        if self.min_coverage > self.max_coverage:
            problems.append(
                f"--min_coverage={self.min_coverage:g}: is above --max_coverage="
                f"{self.max_coverage:g}"
            )
        if not self.max_landmark_error > 0:
            problems.append(f"--max_landmark_error={self.max_landmark_error:g}: must be above 0")
        if self.camera == "fit" and not self.landmark_vertices:
            problems.append("--camera=fit needs --landmark_vertices=FILE")
        if self.camera not in ("image", "image_y_up"):
            problems += [
                f"--{name} belongs to --camera=image and image_y_up"
                for name in ("first_pixel", "flip_z")
                if getattr(self, name)
            ]
        if not -1 <= self.first_pixel <= 1:
            problems.append(f"--first_pixel={self.first_pixel:g}: must be -1 to 1")
        options.refuse(problems)
