"""Options of ``scripts/prepare.py depth``."""

from __future__ import annotations

import dataclasses

from legan_tf.command_line.options import POSITIVE, between, option
from legan_tf.data.align.config import FinderOptions

_SHARE = between(0, 1)


@dataclasses.dataclass(frozen=True)
class DepthMapOptions(FinderOptions):
    """The options of ``scripts/prepare.py depth``; each field is a flag.

    ``camera_fit`` defines the cameras, ``quality_gate`` the measures of the thresholds.
    """

    head: str = option(
        "",
        "depth: the morphable head that is fitted to --pictures: a file of scripts/build_head.py, "
        "or the folder of ICT-FaceKit; that of the package if empty.",
    )
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
        limit=between(-1, 1),
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
        limit=_SHARE,
    )
    min_coverage: float = option(
        0.05, "depth: reject meshes that cover less than this share of the picture.", limit=_SHARE
    )
    max_coverage: float = option(
        0.9, "depth: reject meshes that cover more than this share of the picture.", limit=_SHARE
    )
    max_landmark_error: float = option(
        0.08,
        "depth: reject meshes whose landmarks are, on average, farther than this from the "
        "picture's, as a share of the distance of the eyes; where both are known, and with "
        "--pictures.",
        limit=POSITIVE,
    )
    max_hole_share: float = option(
        0.15,
        "depth: reject meshes with more holes, filled or not, than this share of their silhouette.",
        limit=_SHARE,
    )
    min_bulge: float = option(
        0.0,
        "depth: reject meshes that are a bowl as seen, as faces are with the wrong --flip_z: whose "
        "nearness to the viewer and to the middle correlate less than this, -1 to 1.",
        limit=between(-1, 1),
    )
    max_degenerate: float = option(
        0.01,
        "depth: reject meshes of whose triangles more than this share have no area.",
        limit=_SHARE,
    )

    def problems(self) -> list[str]:
        """Returns a sentence for each rule that the values break."""
        problems = super().problems()
        if self.min_coverage > self.max_coverage:
            problems.append(
                f"--min_coverage={self.min_coverage:g}: is above --max_coverage="
                f"{self.max_coverage:g}"
            )
        if self.camera == "fit" and not self.landmark_vertices:
            problems.append("--camera=fit needs --landmark_vertices=FILE")
        if self.camera not in ("image", "image_y_up"):
            problems += [
                f"--{name} belongs to --camera=image and image_y_up"
                for name in ("first_pixel", "flip_z")
                if getattr(self, name)
            ]
        return problems
