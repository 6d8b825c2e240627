"""Relighting: a photograph of a face under another light, by the shape of the head fitted to it.

The ratio image (Riklin-Raviv and Shashua, "The quotient image", 2001): the head's shading under the
light asked for over its shading under the light that the photograph was taken in multiplies the
photograph's linear light, so that colours and detail stay. Skin has the head's normals and cast
shadows; hair, neck and clothes, of which the head knows nothing, those of the person's outline
blown up, and the softer material of hair.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage, optimize

from legan_tf.head import face_mesh, shading
from legan_tf.head.color import luminance, to_linear, to_srgb
from legan_tf.head.fit import FittedHead
from legan_tf.head.light import Light
from legan_tf.head.mesh import vertex_normals
from legan_tf.head.person_mask import PersonMask
from legan_tf.head.ray_casting import Scene
from legan_tf.head.sky import sky_light

_CELLS = 64.0
"""Points of the grid along the eyes' distance."""
_COARSE = 4
"""One point in so many of a row has rays of its own where the surface is that of the outline."""

# Lengths in eyes' distances.
_ROUNDNESS = 0.9  # Radius with which the outline is blown up.
_OUTLINE_BLUR = 0.08
_SEAM = 0.1  # Over which the head's surface goes into the outline's.
_BLUR, _HAIR_BLUR, _BODY_BLUR = 0.03, 0.08, 0.25  # Of the change, on skin, hair and clothes.
_BODY_FADE = (0.25, 1.1)  # Below the chin, from where to where the change gets weaker.

_CHIN = 152  # The finder's point.
_LAMP_RADIUS = 0.16  # Tangent of the angle that the lamp is seen under.
_SOFT_SHADOW = 0.6  # How dark the head's shadow is on hair and clothes.
_ROOM = 0.6  # Share of the ambient light that reaches every corner.
_BODY = 0.4  # Share of the change that clothes far from the face have.
_EYES = 0.9  # Share of the change that eyeballs have.
_DARKEST, _BRIGHTEST = -4.0, 0.9  # Of the log gain.
_EXPOSURE = 0.6  # Share of a change of the face's mean light that is taken back.
_HALF_TONES = 0.08, 0.6  # Largest linear channel of skin that has its full colour,
_PALE = 0.4, 0.85  # and from where highlights have less and less.
_KNEE = 0.8  # Linear light from where highlights are rolled off.

# Lamps that a photograph's light is taken to be a sum of, with a soft sky, and the usual sum.
_BASIS = ((0, 0), (-50, 10), (50, 10), (0, 55), (0, -35))
_USUAL = np.array([0.5, 0.2, 0.1, 0.1, 0.15, 0.03])
_USUAL_WEIGHT = 0.1


@dataclasses.dataclass(frozen=True, eq=False)
class RelightingSurface:
    """The surface of a person on a grid over a photograph.

    It holds all that does not depend on the light, so that a further light is quick.

    Attributes:
        box: Left, top, right, bottom of the person in the picture, pixels.
        scale: The eyes' distance in pixels.
        points: float64 [h, w, 3], places on the surface in the picture.
        normals: float64 [h, w, 3], unit vectors, y up.
        solid: bool [h, w], where the person is.
        sure: bool [h, w], the same without openings of mouth and lids, which go by what is around.
        skin: bool [h, w], where the surface is the head's.
        soft: float64 [h, w], how far it is hair or cloth, 0 to 1.
        luminance: float64 [h, w], the photograph's, linear.
        face: bool [h, w], skin of the face.
        share: float64 [h, w], share of a change of light that is made.
        near: float64 [h, w], from 1 at the head to 0 at the shoulders.
        sky: float64 [h, w], light of a soft sky.
        scene: The head, which casts shadows.
    """

    box: tuple[int, int, int, int]
    scale: float
    points: np.ndarray
    normals: np.ndarray
    solid: np.ndarray
    sure: np.ndarray
    skin: np.ndarray
    soft: np.ndarray
    luminance: np.ndarray
    face: np.ndarray
    share: np.ndarray
    near: np.ndarray
    sky: np.ndarray
    scene: Scene

    @classmethod
    def of(
        cls, image: np.ndarray, fitted: FittedHead, mask: PersonMask
    ) -> RelightingSurface | None:
        """Lays the grid over a person.

        Args:
            image: uint8 [H, W, 3], the photograph.
            fitted: The head in it.
            mask: Of the person.

        Returns:
            The surface; None where the mask is empty.
        """
        box = _bounding_box(mask.person)
        if box is None:
            return None
        left, top, right, bottom = box
        step = max(fitted.scale / _CELLS, 1.0)
        columns, rows = (max(round(n / step), 1) for n in (right - left, bottom - top))

        def small(values: np.ndarray) -> np.ndarray:
            part = Image.fromarray(np.ascontiguousarray(values[top:bottom, left:right]))
            return np.asarray(part.resize((columns, rows), Image.Resampling.BOX))

        x = left + (np.arange(columns) + 0.5) * (right - left) / columns - 0.5
        y = top + (np.arange(rows) + 0.5) * (bottom - top) / rows - 0.5
        person = small(mask.person)
        # Hair that lies on the face has its shape.
        hair = np.where(_outline(fitted, x, y), 0, small(mask.hair))
        head = _HeadView.of(fitted, x, y)
        cells = fitted.scale * columns / (right - left)
        solid = person > 0.02
        depth, outline_normals = _blown_up(solid, cells, fitted.scale)
        skin = head.hit & (hair < 0.5)
        if skin.any():
            rim = skin & ~ndimage.binary_erosion(skin, iterations=max(round(0.1 * cells), 1))
            depth += np.median((head.points[..., 2] - depth)[rim])
        bare = ndimage.gaussian_filter((skin & (hair < 0.3)).astype(float), 0.03 * cells)
        within = ndimage.distance_transform_edt(np.pad(skin, 1, mode="edge"))[1:-1, 1:-1]
        own = np.clip(within / (_SEAM * cells), 0, 1) * np.clip(2 * bare - 0.5, 0, 1)
        own *= own * (3 - 2 * own)
        (right_of, under), chin = fitted.upright[:, 1], fitted.points[_CHIN]
        below = under * (y - chin[1])[:, None] + right_of * (x - chin[0])
        near = np.interp(below / fitted.scale, _BODY_FADE, (1, 0))
        own *= near
        normals = own[..., None] * head.normals + (1 - own[..., None]) * outline_normals
        normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
        points = np.stack([*np.meshgrid(x, y), depth], -1)
        points[head.hit, 2] = np.where(
            own[head.hit] > 0,
            head.points[head.hit, 2],
            np.maximum(head.points[head.hit, 2], depth[head.hit]),
        )
        linear = to_linear(small(image))
        share = np.where(head.eye, _EYES, 1.0)
        share = ndimage.gaussian_filter(share, 0.02 * cells) * (_BODY + (1 - _BODY) * near)
        scene = head.scene
        sky = _outline_sky(scene, points, normals, solid & (own < 1), fitted.scale)
        sky = own * head.sky + (1 - own) * sky
        face = head.face & (own > 0.9) & (person > 0.9)
        return cls(
            box=box,
            scale=fitted.scale,
            points=points,
            normals=normals,
            solid=solid,
            sure=solid & ~head.opening,
            skin=solid & (own > 0),
            soft=1 - own,
            luminance=luminance(linear).astype(np.float64),
            face=face if face.any() else solid,
            share=share,
            near=near,
            sky=sky,
            scene=scene,
        )

    @property
    def cells(self) -> float:
        """Points of the grid along the eyes' distance."""
        return self.scale * self.solid.shape[1] / (self.box[2] - self.box[0])

    def lamp(self, light: Light, rays: int = 16) -> np.ndarray:
        """Returns the shading by a light's lamp alone, with cast shadows, float64 [h, w]."""
        way = light.direction
        out = np.zeros(self.solid.shape)
        skin = shading.lamp_light(self.normals, way, shading.SKIN)
        lit = self.skin & (skin > 0)
        seen = shading.lamp_visibility(
            self.scene, self.points[lit], self.normals[lit], way, self.scale, _LAMP_RADIUS, rays
        )
        out[lit] = skin[lit] * seen
        hair = shading.lamp_light(self.normals, way, shading.HAIR)
        rows, columns = _coarse(self.solid)
        solid = (self.solid & (self.soft > 0))[rows, columns]
        free = np.ones(solid.shape)
        free[solid] = shading.lamp_visibility(
            self.scene,
            self.points[rows, columns][solid],
            self.normals[rows, columns][solid],
            way,
            self.scale,
            _LAMP_RADIUS,
            8,
        )
        free = _to_size(ndimage.gaussian_filter(free, 1.0), out.shape)
        hair = hair * (1 - _SOFT_SHADOW * self.near * (1 - free))
        return (1 - self.soft) * out + self.soft * hair

    @functools.cached_property
    def ambient(self) -> np.ndarray:
        """Shading by light from everywhere, float64 [h, w]."""
        return _ROOM + (1 - _ROOM) * self.sky

    def shade(self, light: Light) -> np.ndarray:
        """Returns the shading under a light, float64 [h, w]; 1 faces a lamp of full strength."""
        out = light.ambient * self.ambient
        if light.ambient < 1:
            out = out + (1 - light.ambient) * self.lamp(light)
        return out

    @functools.cached_property
    def source(self) -> np.ndarray:
        """Shading by the light that the photograph was taken in, float64 [h, w], about 1."""
        maps, weights = self._source_parts
        return maps @ weights

    @property
    def one_sided(self) -> float:
        """How far the photograph's light comes from left or right: 0 to 1, all from one side."""
        weights = self._source_parts[1]
        left, right = weights[2], weights[3]
        return float(abs(left - right) / max(weights.sum(), 1e-6))

    @functools.cached_property
    def _source_parts(self) -> tuple[np.ndarray, np.ndarray]:
        """Shading by parts of a light [h, w, n], and their weights [n] in the photograph's light.

        A sum of a soft sky and lamps that explains the face's luminance, near to what is usual.
        """
        face = self.face
        lamps = [self.lamp(Light(*place), 8) for place in _BASIS]
        maps = np.stack([self.ambient, *lamps], -1)
        lit, seen = maps[face], self.luminance[face]
        level = np.median(seen / np.maximum(lit @ _USUAL, 1e-3))
        aim = seen / max(level, 1e-6)
        weight = np.ones(len(aim))
        count = np.sqrt(len(aim))
        weights = _USUAL
        for _ in range(4):  # Brows, lips, beards and highlights are no matter of light.
            rows = np.concatenate(
                [lit * weight[:, None] / count, np.eye(len(_USUAL)) * _USUAL_WEIGHT]
            )
            weights, _ = optimize.nnls(rows, np.r_[aim * weight / count, _USUAL * _USUAL_WEIGHT])
            miss = aim - lit @ weights
            spread = max(1.5 * float(np.median(np.abs(miss))), 1e-6)
            weight = 1 / (1 + (miss / spread) ** 2)
        return maps, weights

    def log_gain(self, light: Light, source: Light | None = None) -> np.ndarray:
        """Returns the logarithm of what linear light is multiplied by, float64 [h, w].

        Args:
            light: The light asked for.
            source: The light that the photograph was taken in, with a lamp as strong as that of
                the light asked for; None to tell by the picture, and to keep the exposure.
        """
        if source is not None:
            ratio = self.shade(light) / self.shade(source)
        else:
            ratio = self.shade(light) / np.maximum(self.source, 1e-4)
            weight = self.luminance * self.face
            mean = float((ratio * weight).sum() / max(weight.sum(), 1e-9))
            ratio = ratio / max(mean, 1e-4) ** _EXPOSURE
        log = np.log(np.clip(ratio, np.exp(_DARKEST), 20))
        skin, hair, body = (
            _blurred(log, self.sure, blur * self.cells) for blur in (_BLUR, _HAIR_BLUR, _BODY_BLUR)
        )
        soft = self.near * hair + (1 - self.near) * body
        return light.strength * self.share * ((1 - self.soft) * skin + self.soft * soft)


def relight(
    image: np.ndarray,
    surface: RelightingSurface,
    mask: PersonMask,
    light: Light,
    source: Light | None = None,
) -> np.ndarray:
    """Shows a person under another light.

    Args:
        image: uint8 [H, W, 3], the photograph.
        surface: Of the person in it.
        mask: Of the person.
        light: The light asked for.
        source: The light that the photograph was taken in, with a lamp as strong as that of the
            light asked for; None to tell by the picture, and to keep the exposure.

    Returns:
        uint8 [H, W, 3]; as it was where the mask is 0.
    """
    out = image.copy()
    left, top, right, bottom = surface.box
    log = _to_size(surface.log_gain(light, source), (bottom - top, right - left))
    tint = _skin_tint(image, mask, surface.box)
    strip = max(1, (1 << 19) // max(right - left, 1))
    for first in range(0, bottom - top, strip):
        rows = slice(top + first, min(top + first + strip, bottom))
        part = image[rows, left:right]
        share = mask.person[rows, left:right]
        change = log[first : first + strip]
        # Darker up to the very edge, brighter only well within: no bright fringe at the contour.
        inner = np.clip(share * 2.5 - 1.5, 0, 1)
        change = np.where(change > 0, np.minimum(change, _BRIGHTEST) * inner, change * share)
        changed = _exposed(to_linear(part), change)
        if tint is not None:
            skin = mask.skin[rows, left:right]
            changed = _tinted(changed, to_linear(part), change, skin, tint)
        out[rows, left:right] = np.where(
            (change != 0)[..., None], np.round(to_srgb(changed)).astype(np.uint8), part
        )
    return out


def _exposed(linear: np.ndarray, log: np.ndarray) -> np.ndarray:
    """Returns linear light [h, w, 3] times exp(log [h, w]), highlights rolled off in one hue."""
    most = np.maximum(linear.max(-1), np.float32(1e-4))
    gain = np.exp(log)
    risen = most + _rolled(most * gain) - _rolled(most)
    return linear * np.where(gain > 1, risen / most, gain)[..., None]


def _skin_tint(
    image: np.ndarray, mask: PersonMask, box: tuple[int, int, int, int]
) -> np.ndarray | None:
    """Returns the linear colour of the skin's half-tones, of luminance 1; None if there are few."""
    left, top, right, bottom = box
    step = max(1, (bottom - top) // 256)
    part = slice(top, bottom, step), slice(left, right, step)
    skin = to_linear(image[part])[mask.skin[part] > 0.7]
    most = skin.max(-1, initial=0)
    skin = skin[(most > _HALF_TONES[0]) & (most < _HALF_TONES[1])]
    if len(skin) < 50:
        return None
    colour = np.median(skin / luminance(skin)[:, None], 0)
    return (colour / luminance(colour)).astype(np.float32)


def _tinted(
    changed: np.ndarray, before: np.ndarray, log: np.ndarray, skin: np.ndarray, tint: np.ndarray
) -> np.ndarray:
    """Returns linear light with the skin's colour where a highlight without colour got dark."""
    most = before.max(-1)
    bright = np.clip((most - _PALE[0]) / (_PALE[1] - _PALE[0]), 0, 1)
    share = (skin * bright * np.clip(-log, 0, 1))[..., None]
    return (1 - share) * changed + share * luminance(changed)[..., None] * tint


def _rolled(light: np.ndarray) -> np.ndarray:
    over = np.maximum(light - _KNEE, 0)
    return light - over + (1 - _KNEE) * np.tanh(over / (1 - _KNEE))


@dataclasses.dataclass(frozen=True, eq=False)
class _HeadView:
    """What a grid over the picture shows of the head."""

    scene: Scene
    hit: np.ndarray
    points: np.ndarray
    normals: np.ndarray
    sky: np.ndarray
    face: np.ndarray
    eye: np.ndarray
    opening: np.ndarray

    @classmethod
    def of(cls, fitted: FittedHead, x: np.ndarray, y: np.ndarray) -> _HeadView:
        head, vertices = fitted.head, fitted.vertices()
        bone = head.triangles_of("face", "side", "head")
        eyes = head.triangles_of("left_eye", "right_eye")
        sockets = head.triangles_of("mouth_socket", "eye_socket")
        triangles = head.triangles[np.concatenate([bone, eyes, sockets])]
        xx, yy = np.meshgrid(x, y)
        first, weights, depth = Scene(vertices, triangles).hits(xx.ravel(), yy.ravel())
        corners = triangles[np.maximum(first, 0)]

        def at(values: np.ndarray) -> np.ndarray:
            mixed = np.einsum("nc...,nc->n...", values[corners], weights)
            return mixed.reshape(*xx.shape, *values.shape[1:])

        first = first.reshape(xx.shape)
        hit = first >= 0
        vertex = vertex_normals(vertices, triangles)
        normals = at(vertex)
        normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
        skull = head.triangles[bone]
        scene = Scene(vertices, skull)
        lit = np.unique(triangles)
        light = np.zeros(len(vertices))
        light[lit] = sky_light(scene, vertices[lit], vertex[lit], fitted.scale)
        sky = at(light)
        faces, skin, solid = np.cumsum(
            [len(head.triangles_of("face")), len(bone) - len(head.triangles_of("face")), len(eyes)]
        )
        opening = hit & ((normals[..., 2] < 0) | (first >= solid))
        return cls(
            scene=scene,
            hit=hit,
            points=np.stack([xx, yy, np.where(hit, depth.reshape(xx.shape), 0)], -1),
            normals=np.where(hit[..., None], normals, (0, 0, 1)),
            sky=np.where(hit, sky, 0),
            face=hit & (first < faces) & ~opening,
            eye=hit & (first >= skin) & (first < solid),
            opening=opening,
        )


def _outline(fitted: FittedHead, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns where a grid lies within the outline of the face, bool [h, w]."""
    place = (fitted.points[[*face_mesh.OUTLINE], :2] - (x[0], y[0])) / (
        max(x[-1] - x[0], 1) / max(len(x) - 1, 1),
        max(y[-1] - y[0], 1) / max(len(y) - 1, 1),
    )
    drawn = Image.new("L", (len(x), len(y)))
    ImageDraw.Draw(drawn).polygon([tuple(point) for point in place], fill=1)
    return np.asarray(drawn) > 0


def _bounding_box(mask: np.ndarray) -> tuple[int, int, int, int] | None:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _blown_up(solid: np.ndarray, cells: float, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns depth [h, w] in pixels and normals [h, w, 3] of an outline blown up like a balloon.

    Args:
        solid: bool [h, w], within the outline; beyond the grid it goes on as at its border.
        cells: Points of the grid along the eyes' distance.
        scale: The eyes' distance in pixels.
    """
    pad = int(np.ceil(cells))
    padded = np.pad(solid, pad, mode="edge")
    if padded.all():
        inside = np.ones(padded.shape)
    else:
        inside = np.minimum(ndimage.distance_transform_edt(padded) / (_ROUNDNESS * cells), 1)
    height = _ROUNDNESS * np.sqrt(1 - (1 - inside) ** 2)
    height = ndimage.gaussian_filter(height, _OUTLINE_BLUR * cells)
    dy, dx = np.gradient(height * cells)
    normals = np.stack([-dx, dy, np.ones_like(dx)], -1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    inner = (slice(pad, -pad),) * 2
    return height[inner] * scale, normals[inner]


def _coarse(grid: np.ndarray) -> tuple[slice, slice]:
    """Returns those rows and columns of a grid [h, w] that have rays of their own."""
    rows, columns = (slice(min(_COARSE, n) // 2, None, _COARSE) for n in grid.shape)
    return rows, columns


def _outline_sky(
    scene: Scene, points: np.ndarray, normals: np.ndarray, where: np.ndarray, scale: float
) -> np.ndarray:
    """Returns the light of a soft sky [h, w] on the surface that the outline gives."""
    rows, columns = _coarse(where)
    chosen = where[rows, columns]
    sky = np.zeros(chosen.shape)
    sky[chosen] = sky_light(
        scene, points[rows, columns][chosen], normals[rows, columns][chosen], scale, 32
    )
    return _to_size(_blurred(sky, chosen, 1.0), where.shape)


def _blurred(values: np.ndarray, where: np.ndarray, deviation: float) -> np.ndarray:
    """Returns values [h, w] blurred among the points chosen, and continued beside them."""
    if not where.any():
        return values
    nearest = ndimage.distance_transform_edt(~where, return_distances=False, return_indices=True)
    return ndimage.gaussian_filter(values[tuple(nearest)], deviation, mode="nearest")


def _to_size(values: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Returns a map [h, w] at another size (height, width), float32."""
    picture = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BICUBIC))
