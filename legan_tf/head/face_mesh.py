"""MediaPipe's face mesh: the numbers of its 468 points and 10 points of the irises.

Left and right are those of the picture.
"""

from __future__ import annotations

POINTS = 468
"""Points of the mesh; those of the irises follow."""

LEFT_EYE_CORNERS, RIGHT_EYE_CORNERS = (33, 133), (263, 362)
"""Outer and inner corner. The distance of the outer ones is the unit of lengths in a face."""
LEFT_UPPER_LID = (33, 246, 161, 160, 159, 158, 157, 173, 133)
LEFT_LOWER_LID = (33, 7, 163, 144, 145, 153, 154, 155, 133)
RIGHT_UPPER_LID = (362, 398, 384, 385, 386, 387, 388, 466, 263)
RIGHT_LOWER_LID = (362, 382, 381, 380, 374, 373, 390, 249, 263)
"""Lids from the left of the picture to the right, with both corners."""
LEFT_EYE = (*LEFT_UPPER_LID, *LEFT_LOWER_LID[1:-1])
RIGHT_EYE = (*RIGHT_UPPER_LID, *RIGHT_LOWER_LID[1:-1])
LEFT_IRIS, RIGHT_IRIS = 468, 473
"""Centres of the irises; four points of the rim follow each."""

LEFT_MOUTH_CORNER, RIGHT_MOUTH_CORNER = 78, 308
"""Inner corners of the mouth, where the lips meet; 61 and 291 are the outer ones."""
UPPER_INNER_LIP = (191, 80, 81, 82, 13, 312, 311, 310, 415)
LOWER_INNER_LIP = (95, 88, 178, 87, 14, 317, 402, 318, 324)
"""Edges that the lips have inside, from the left to the right, without the corners."""
_OUTER_LIPS = (
    *(61, 185, 40, 39, 37, 0, 267, 269, 270, 409),
    *(291, 375, 321, 405, 314, 17, 84, 181, 91, 146),
)
LIPS = (
    *_OUTER_LIPS,
    *UPPER_INNER_LIP,
    *LOWER_INNER_LIP,
    LEFT_MOUTH_CORNER,
    RIGHT_MOUTH_CORNER,
)
UNDER_NOSE = (0, 2, 13, 164, 267, 37)
"""Points that the upper teeth stay behind."""
UNDER_LIP = (17, 14, 18, 200, 84, 314)
"""Points that the lower teeth stay behind."""

OUTLINE = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
"""Rim of the mesh: the outline that the picture shows, which is no place on the skin."""
CHIN = (377, 152, 148)
"""Points of the rim that are a place on the skin."""

IBUG = (
    *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389),
    *(71, 63, 105, 66, 107, 336, 296, 334, 293, 301),
    *(168, 197, 5, 4, 98, 97, 2, 326, 327),
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),
    *(78, 82, 13, 312, 308, 317, 14, 87),
)
"""iBUG's 68 points, as points of the mesh."""
