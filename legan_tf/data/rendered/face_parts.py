"""Parts of a face, such as the eye, the lips or a fold: masks, distances and coordinates.

The height field and the material both use them. All are float32 [N, S, S]. Masks lie in [0, 1]
with edges a pixel wide; distances are positive inside.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from legan_tf.data.rendered import contours, shaping
from legan_tf.data.rendered.contours import EYE_Y, MOUTH_Y, SKULL_Y, VERTEX_Y
from legan_tf.data.rendered.expressions import Actions
from legan_tf.data.rendered.identity import IdentityParameters


class FaceParts:
    """The parts of N faces at the points (x, y) of upright faces seen from the front."""

    def __init__(
        self, t: IdentityParameters, a: Actions, x: np.ndarray, y: np.ndarray, pixel: float
    ) -> None:
        """Stores the faces and the points.

        Args:
            t: Parameters of N people.
            a: Their facial actions.
            x: float32 [N, S, S], face units.
            y: float32 [N, S, S], face units.
            pixel: Distance of two points, face units.
        """
        self.t, self.a, self.x, self.y, self.pixel = t, a, x, y, pixel
        self.side = shaping.smooth_sign(x)
        # The two sides meet without a crease.
        self.ax = np.sqrt(np.square(x) + 0.03**2)
        # Where a point of the lower face is when the jaw is at rest.
        travel = shaping.smoothstep(y, MOUTH_Y + 0.08, MOUTH_Y - 0.32 - 0.5 * contours.JAW_TRAVEL)
        self.rest = y + contours.jaw(a) * travel
        self.fine = shaping.band_limit(42.0, pixel)

    # Outlines.

    @cached_property
    def skull_rho(self) -> np.ndarray:
        """Superellipsoid coordinate of the skull: 0 in its middle, 1 at its outline."""
        t, a = self.t, self.a
        above = np.clip((self.y - SKULL_Y) / (VERTEX_Y - SKULL_Y), 0, None)
        below = np.clip((SKULL_Y - self.rest) / (SKULL_Y - t.chin_y), 0, None)
        hollow = 1 - 0.075 * a.jaw_drop * shaping.smoothstep(self.y, 0.2, -0.4)
        across = np.abs(self.x * (1 - t.skew_face * self.side))
        across = across / (contours.head_width(t, self.rest) * hollow)
        return (
            shaping.power(across, t.roundness)
            + shaping.power(above, 2.6)
            + shaping.power(below, t.squareness)
        )

    @cached_property
    def skull_edge(self) -> np.ndarray:
        """Distance to the outline of the face."""
        return (1 - shaping.power(self.skull_rho, 1 / 2.3)) * self.t.width

    @cached_property
    def ear_r(self) -> np.ndarray:
        """0 in the middle of an ear, 1 at its rim."""
        t = self.t
        x = self.ax - (t.width + t.ear_out + 0.01)
        y = self.y - 0.13 + 0.25 * x
        return np.sqrt(np.square(x / (0.10 * t.ear_size)) + np.square(y / (0.27 * t.ear_size)))

    @cached_property
    def neck_width(self) -> np.ndarray:
        """Half-width of the neck, wider towards the shoulders."""
        return self.t.neck * (1 + 0.30 * shaping.smoothstep(self.y, -0.75, -1.25))

    # Eyes and brows.

    @cached_property
    def eye_x(self) -> np.ndarray:
        """Distance outwards from the middle of the nearer eye."""
        return self.ax - self.t.eye_x

    @cached_property
    def eye_u(self) -> np.ndarray:
        """-1 at the inner, 1 at the outer corner of the nearer eye."""
        return self.eye_x / self.t.eye_width

    @cached_property
    def lids(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Heights of the eye's axis, of the upper and of the lower lid."""
        return contours.eye_lids(self.t, self.a, np.clip(self.eye_u, -1.25, 1.25), self.side)

    @cached_property
    def eye(self) -> np.ndarray:
        """The eyeball between the lids."""
        _, upper, lower = self.lids
        between = np.minimum(upper - self.y, self.y - lower)
        return shaping.antialias(between, self.pixel) * (np.abs(self.eye_u) < 1)

    @cached_property
    def around_eye(self) -> np.ndarray:
        """The dome of the eyeball under the lids."""
        return shaping.gaussian(self.eye_x, self.y - self.lids[0] - 0.01, 0.13, 0.085)

    @cached_property
    def lid_crease(self) -> np.ndarray:
        """The crease over the upper lid."""
        span = 1 - np.square(self.eye_u)
        crease = self.lids[1] + 0.035 + 0.02 * np.clip(span, 0, 1)
        return shaping.ridge(self.y - crease, 0.012) * np.clip(span + 0.1, 0, 1)

    @cached_property
    def socket(self) -> np.ndarray:
        """The hollow around the eye."""
        return shaping.gaussian(self.eye_x + 0.02, self.y - EYE_Y - 0.02, 0.155, 0.11)

    @cached_property
    def inner_socket(self) -> np.ndarray:
        """The deep hollow between the eye and the nose."""
        return shaping.gaussian(self.ax - 0.15, self.y - EYE_Y - 0.03, 0.05, 0.09)

    @cached_property
    def eye_bag(self) -> np.ndarray:
        """The fold under the eye."""
        return self.t.eye_bag * shaping.gaussian(
            self.eye_x + 0.02, self.y - EYE_Y + 0.11, 0.10, 0.018
        )

    @cached_property
    def brow_v(self) -> np.ndarray:
        """0 at the inner, 1 at the outer end of the nearer brow."""
        start, length = contours.brow_span(self.t, self.a)
        return (self.ax - start) / length

    @cached_property
    def brow_y(self) -> np.ndarray:
        """Height of the brow's middle."""
        return contours.brow_line(self.t, self.a, self.brow_v, self.side)

    @cached_property
    def brow(self) -> np.ndarray:
        """The brows, thick inside and pointed outside."""
        v = self.brow_v
        taper = np.clip(v, 0, 1)
        thick = self.t.brow_thick * (0.75 + 0.6 * taper) * (1 - 0.75 * shaping.power(taper, 2.2))
        band = shaping.antialias(thick - np.abs(self.y - self.brow_y), self.pixel, 0.016)
        return band * shaping.smoothstep(v, -0.04, 0.10) * shaping.smoothstep(v, 1.02, 0.9)

    # Nose and cheeks.

    @cached_property
    def nose_tip(self) -> np.ndarray:
        """Height of the tip, [N, 1, 1]."""
        return self.t.nose_tip_y + 0.028 * self.a.nose_wrinkle + 0.008 * self.a.upper_lip

    @cached_property
    def nose_along(self) -> np.ndarray:
        """0 at the root of the nose, 1 at its tip."""
        root = EYE_Y + 0.06
        return np.clip((root - self.y) / (root - self.nose_tip), 0, 1.6)

    @cached_property
    def nose_x(self) -> np.ndarray:
        """Distance to the right of the nose's own middle."""
        return self.x - self.t.skew_nose * np.clip(self.nose_along, 0, 1)

    @cached_property
    def nose_wide(self) -> np.ndarray:
        """Half-width of the nose at its wings, [N, 1, 1]."""
        stretched = 0.08 * np.clip(self.a.stretch, 0, None) + 0.12 * self.a.nose_wrinkle
        return self.t.nose_width * (1 + stretched)

    @cached_property
    def nose_ball(self) -> np.ndarray:
        """The ball of the tip."""
        return shaping.gaussian(self.nose_x, self.y - self.nose_tip + 0.005, 0.075, 0.062)

    @cached_property
    def cheek_lift(self) -> np.ndarray:
        """How far the cheeks have moved up, [N, 1, 1]."""
        return 0.09 * self.a.cheek_raise

    # Mouth and chin.

    @cached_property
    def mouth_half(self) -> np.ndarray:
        """Half-width of the mouth, [N, 1, 1]."""
        return contours.mouth_half(self.t, self.a)

    @cached_property
    def mouth_u(self) -> np.ndarray:
        """-1 at the left, 1 at the right corner of the mouth."""
        return self.x / self.mouth_half

    @cached_property
    def mouth_arc(self) -> np.ndarray:
        """1 in the middle of the mouth, 0 at and beyond its corners."""
        return np.clip(1 - np.square(self.mouth_u), 0, None)

    @cached_property
    def lip_edges(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Heights of the lips' edges, from the top down."""
        return contours.lip_edges(self.t, self.a, np.clip(self.mouth_u, -1, 1), self.side)

    @cached_property
    def lips(self) -> np.ndarray:
        """The lips and everything between them."""
        top, _, _, bottom = self.lip_edges
        between = shaping.antialias(np.minimum(top - self.y, self.y - bottom), self.pixel, 0.012)
        within = self.mouth_half * (1 - np.abs(self.mouth_u))
        return between * shaping.antialias(within, self.pixel, 0.01)

    @cached_property
    def gap(self) -> np.ndarray:
        """Height of the opening between the lips."""
        return self.lip_edges[1] - self.lip_edges[2]

    @cached_property
    def gap_edge(self) -> np.ndarray:
        """Distance to the edge of the opening."""
        return np.minimum(self.lip_edges[1] - self.y, self.y - self.lip_edges[2])

    @cached_property
    def gap_middle(self) -> np.ndarray:
        """Distance above the line where the lips meet."""
        return self.y - 0.5 * (self.lip_edges[1] + self.lip_edges[2])

    @cached_property
    def cavity(self) -> np.ndarray:
        """The open mouth."""
        open_here = (self.gap > 0.004) & (np.abs(self.mouth_u) < 1)
        return shaping.antialias(self.gap_edge, self.pixel) * open_here

    @cached_property
    def teeth(self) -> np.ndarray:
        """The teeth, upper and lower."""
        a, (_, top, bottom, _) = self.a, self.lip_edges
        upper = shaping.antialias(self.y - (top - a.teeth_upper * self.gap), self.pixel, 0.008)
        lower = shaping.antialias(bottom + a.teeth_lower * self.gap - self.y, self.pixel, 0.008)
        shown = np.maximum(upper * (a.teeth_upper > 0.02), lower * (a.teeth_lower > 0.02))
        return shown * self.cavity * shaping.smoothstep(1 - np.abs(self.mouth_u), 0.03, 0.25)

    @cached_property
    def chin_y(self) -> np.ndarray:
        """Height of the chin's ball when the jaw is at rest, [N, 1, 1]."""
        return self.t.chin_y + 0.17 + 0.02 * self.a.chin_raise

    # Folds.

    @cached_property
    def nasolabial_depth(self) -> np.ndarray:
        """Depth of the folds beside the nose, [N, 1, 1]."""
        smiling = 0.026 * np.clip(self.a.cheek_raise, 0, 1)
        return 0.010 * self.t.age + smiling + 0.034 * self.a.upper_lip

    @cached_property
    def nasolabial(self) -> np.ndarray:
        """The folds from the wings of the nose to the corners of the mouth."""
        along = np.clip((self.nose_tip - 0.02 - self.y) / 0.36, -0.3, 1.3)
        reach = self.mouth_half + 0.07 - self.nose_wide
        line = self.nose_wide + 0.02 + reach * shaping.power(np.clip(along, 0, 1.3), 0.8)
        ends = shaping.smoothstep(along, -0.15, 0.15) * shaping.smoothstep(along, 1.2, 0.7)
        return shaping.ridge(self.ax - line, 0.022) * ends

    @cached_property
    def frown(self) -> np.ndarray:
        """The upright folds between the brows."""
        upright = shaping.ridge(self.ax - 0.045, 0.014)
        return (
            np.clip(self.a.brow_knit, 0, 1) * upright * shaping.ridge(self.y - EYE_Y - 0.19, 0.065)
        )

    @cached_property
    def forehead_lines(self) -> np.ndarray:
        """The waves of a raised brow."""
        inner, outer = self.a.brow_inner, self.a.brow_outer
        raised = np.clip(0.5 * (inner + outer), 0, 1) + 0.5 * np.clip(inner, 0, 1)
        rows = np.cos((self.y - 0.1 * np.square(self.x)) * 2 * np.pi / 0.085)
        strength = self.fine * (raised + 0.25 * self.t.age)
        return strength * rows * shaping.gaussian(self.x, self.y - 0.78, 0.26, 0.075)

    @cached_property
    def nose_lines(self) -> np.ndarray:
        """The waves across a wrinkled nose."""
        place = shaping.gaussian(self.x, self.y - EYE_Y + 0.04, 0.06, 0.10)
        return self.a.nose_wrinkle * place * np.cos(self.y * 110) * self.fine

    @cached_property
    def dimpled_chin(self) -> np.ndarray:
        """The place of a chin's dimples when it is pushed up."""
        place = shaping.gaussian(self.x, self.rest - self.chin_y, 0.10, 0.07)
        return np.clip(self.a.chin_raise, 0, 1) * place

    # Hair and beard.

    @cached_property
    def has_hair(self) -> np.ndarray:
        """1 for people with hair on their head, 0 for the others, [N, 1, 1]."""
        return np.clip(self.t.hair_density * 8, 0, 1)

    @cached_property
    def falls(self) -> np.ndarray:
        """1 where hair hangs down, 0 where it stands or is swept back, [N, 1, 1]."""
        return shaping.smoothstep(self.t.hair_end, 0.0, -0.4)

    @cached_property
    def hair_wave(self) -> np.ndarray:
        """Waviness of the hair's edges."""
        phase = self.t.hair_waves[..., 0, 2]
        return self.t.hair_wave * np.sin(17 * self.y + 9 * self.ax + phase)

    @cached_property
    def hair_front_edge(self) -> np.ndarray:
        """Distance into the hair from the opening for the face and from its lower end."""
        t = self.t
        sweep = np.clip(1 - np.abs(self.x - t.hair_part) / 0.5, 0, 1)
        top = t.hairline + t.hairline_peak * np.cos(np.clip(self.ax / 0.45, 0, 1) * np.pi)
        top = top - t.fringe * (1 - np.square(sweep)) - SKULL_Y
        wide = t.hair_opening * (1 + 0.05 * shaping.smoothstep(self.y, 0.1, -0.6))
        opening = shaping.power(
            shaping.power(self.ax / wide, t.hairline_square)
            + shaping.power(np.clip((self.y - SKULL_Y) / top, 0, None), t.hairline_square),
            1 / t.hairline_square,
        )
        end = 0.6 * (self.y - t.hair_end) + 0.8 * self.hair_wave
        return np.minimum((opening - 1) * 0.6 + 1.2 * self.hair_wave, end)

    @cached_property
    def hair_front(self) -> np.ndarray:
        """Hair around the opening for the face."""
        return shaping.antialias(self.hair_front_edge, self.pixel, 0.035) * self.has_hair

    @cached_property
    def hair_half(self) -> np.ndarray:
        """Half-width of the hair's volume; long hair spreads downwards."""
        spread = 0.06 * shaping.smoothstep(self.y, 0.2, -0.8) * (self.t.hair_end < -0.3)
        return (self.t.width + self.t.hair_side) * (1 + spread)

    @cached_property
    def hair_rho(self) -> np.ndarray:
        """Superellipse coordinate of the hair's volume: 1 at its outline."""
        up = np.clip((self.y - SKULL_Y) / (VERTEX_Y + self.t.hair_top - SKULL_Y), 0, None)
        return shaping.power(self.ax / self.hair_half, 2.4) + shaping.power(up, 2.3)

    @cached_property
    def hair_back_edge(self) -> np.ndarray:
        """Distance to the outline of the hair's volume."""
        outline = (1 - shaping.power(self.hair_rho, 1 / 2.4)) * self.hair_half
        return np.minimum(outline, self.y - self.t.hair_end) + self.hair_wave

    @cached_property
    def hair_back(self) -> np.ndarray:
        """The hair's volume, seen or hidden by the head."""
        return shaping.antialias(self.hair_back_edge, self.pixel, 0.02) * self.has_hair

    @cached_property
    def strands(self) -> np.ndarray:
        """Waves along which hair lies, around 0."""
        t = self.t
        hanging = np.sqrt(
            np.square(self.x - 0.3 * t.hair_part) + np.square(np.clip(self.y - 0.2, 0, None))
        )
        swept = np.arctan2(self.x - t.hair_part, np.clip(self.y, -0.2, None) + 0.6)
        across = self.falls * hanging + (1 - self.falls) * 0.9 * swept
        return shaping.sine_waves(across, self.y, t.hair_waves, self.pixel)

    @cached_property
    def beard(self) -> np.ndarray:
        """Where a beard grows."""
        pixel, (_, _, _, lip_bottom) = self.pixel, self.lip_edges
        beside = np.clip(self.ax - 0.26, 0, None)
        cheek_line = np.maximum(MOUTH_Y - 0.05 + 1.5 * shaping.power(beside, 1.6), -0.9)
        area = np.minimum(cheek_line - self.rest, self.rest - self.t.chin_y - 0.02)
        area = np.minimum(area, self.skull_edge + 0.01)  # neither on the ears nor on the neck
        from_lips = np.maximum(lip_bottom - self.y, 1.3 * (self.ax - self.mouth_half))
        beard = shaping.antialias(area, pixel, 0.10) * shaping.smoothstep(from_lips, 0.0, 0.05)
        joint = shaping.antialias(0.05 - np.abs(self.ax - self.mouth_half - 0.05), pixel, 0.05)
        joint = joint * shaping.antialias(self.nose_tip - 0.2 - self.y, pixel, 0.1)
        joint = joint * shaping.antialias(self.y - MOUTH_Y + 0.2, pixel, 0.1)
        return np.maximum(beard, joint * (self.t.beard > 0))

    @cached_property
    def moustache(self) -> np.ndarray:
        """Where a moustache grows."""
        pixel, (lip_top, _, _, _) = self.pixel, self.lip_edges
        arc = shaping.power(np.clip(1 - np.square(self.mouth_u / 1.25), 0, 1), 0.6)
        top = lip_top + (self.nose_tip - 0.135 - lip_top) * arc
        grows = shaping.antialias(self.y - lip_top - 0.002, pixel, 0.02)
        grows = grows * shaping.antialias(top - self.y, pixel, 0.035)
        return grows * shaping.antialias(1.2 * self.mouth_half - self.ax, pixel, 0.06)

    @cached_property
    def grown(self) -> np.ndarray:
        """Beard and moustache as they are worn."""
        x, y = self.x, self.y
        hairs = shaping.band_limit(150.0, self.pixel) * np.sin(120 * x + 9 * np.sin(31 * y))
        hairs = 1 + 0.13 * hairs * np.sin(90 * y + 7 * np.sin(40 * x))
        worn = np.maximum(self.t.beard * self.beard, self.t.moustache * self.moustache)
        return np.clip(worn * hairs, 0, 0.97)
