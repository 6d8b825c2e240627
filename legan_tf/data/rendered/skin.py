"""Skin: a statistical model of faces, learned from photographs: shape, colour and texture.

No person's own texture is in it: a mean, principal modes, and the strength of finer detail.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from legan_tf.data.rendered.people import Traits
from legan_tf.head import archive
from legan_tf.head.color import LUMINANCE
from legan_tf.head.morphable_head import MorphableHead
from legan_tf.head.ray_casting import Scene

ASSET = os.path.join(os.path.dirname(__file__), "assets", "skin.npz")
"""The model that comes with the package."""

SPACING = 0.075
"""Distance of the texels of a texture on a cylinder about the head, in cm."""
COARSE = 2
"""Texels along each side of one in which mean and modes are stored."""

_TOP, _BOTTOM, _SIDE = 13.2, -13.2, 15.0  # Of the chart, in cm.
_RADIUS, _AXIS = 8.5, 0.5  # Of the cylinder, and z of its axis.
SHAPE = int(round((_TOP - _BOTTOM) / SPACING)), int(round(2 * _SIDE / SPACING))
"""Rows and columns of a texture."""
BANDS = (1.0, 2.2)
"""Deviations, in texels, of the Gaussians between which bands of fine detail lie."""

_MAX_BYTES = 1 << 24
_SKIN = 7106
_MOST = 1.6  # Deviations of the logarithm of albedo at one place.
_HUE = 0.2  # Of the deviation of hues, which also holds that of cameras and light.
_CHROMA = 0.6  # Of the modes' changes of hue, which hold a studio's coloured light too.
_SPREAD = 1.15  # The covariance was shrunk, and photographs are fitted by a prior.
_LIMIT = 1.9  # Deviations of the modes that a person may have.
_MODE_STEPS = 127
_DARK = 0.004  # Linear light that is added before the logarithm.


def chart(head: MorphableHead) -> np.ndarray:
    """Returns the places of a head's vertices in textures: row and column, float32 [V, 2]."""
    x, y, z = head.neutral.T
    across = _RADIUS * np.arctan2(x, z - _AXIS)
    column = (np.clip(across, -_SIDE, _SIDE) + _SIDE) / SPACING - 0.5
    row = (_TOP - np.clip(y, _BOTTOM, _TOP)) / SPACING - 0.5
    return np.stack([row, column], -1).astype(np.float32)


@functools.lru_cache(maxsize=1)
def texels(head: MorphableHead) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns which texels lie on a head's face and sides, and where.

    Returns:
        Their places in a flattened texture, int64 [n]; the vertices of the triangle of each,
        int32 [n, 3]; and their shares, float32 [n, 3].
    """
    triangles = head.triangles[head.triangles_of("face", "side")]
    row, column = chart(head).astype(np.float64).T
    # Where the skin folds, as in ears, the outermost counts.
    away = np.hypot(head.neutral[:, 0], head.neutral[:, 2])
    rows, columns = (axis.ravel().astype(np.float64) for axis in np.indices(SHAPE))
    first, shares, _ = Scene(np.stack([column, row, away], -1), triangles).hits(columns, rows)
    found = np.flatnonzero(first >= 0)
    return found, triangles[first[found]], shares[found]


@dataclasses.dataclass(frozen=True, eq=False)
class Appearance:
    """How a person looks without expression, light and hair.

    Attributes:
        identity: float64 [I], coordinates in the head's modes of identity.
        color: float32 [3], linear albedo of the cheeks.
        texture: float32 [R, C, 3], linear albedo of the skin with lips, brows and stubble.
    """

    identity: np.ndarray
    color: np.ndarray
    texture: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class SkinModel:
    """Statistics of faces.

    A person is ``mean + traits @ slopes + noise @ factor`` in coordinates: identity, modes of
    texture, and logarithm of the colour.

    Attributes:
        mean: float32 [r, c, 3], mean logarithm of albedo over the cheeks' colour, coarse.
        modes: float32 [K, r, c, 3], modes of it, of unit variance.
        detail: float32 [B, r, c], deviation of fine detail in each band.
        coordinates: float32 [D], of the mean person.
        slopes: float32 [3, D], change by masculinity, age and tone, each about 0 and of variance 1.
        factor: float32 [D, D], of the covariance that traits leave.
        tones: float32 [2], least and largest logarithm of the luminance of the colour.
    """

    mean: np.ndarray
    modes: np.ndarray
    detail: np.ndarray
    coordinates: np.ndarray
    slopes: np.ndarray
    factor: np.ndarray
    tones: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of textures."""
        return SHAPE

    def draw(self, traits: Traits) -> Appearance:
        """Returns the appearance of a person of these traits."""
        rng = np.random.default_rng([_SKIN, traits.number])
        centred = np.array(
            [
                (traits.masculine - 0.5) / 0.4,
                (traits.age - 0.35) / 0.3,
                (traits.tone - 0.5) / 0.29,
            ]
        )
        noise = _SPREAD * np.clip(rng.normal(size=len(self.coordinates)), -_LIMIT, _LIMIT)
        noise[-3:] *= _HUE
        found = self.coordinates + centred @ self.slopes + self.factor @ noise
        count = len(self.modes)
        identity, weights, color = found[: -count - 3], found[-count - 3 : -3], found[-3:]
        # The tone is what was asked for: of the colour only the hue is left to chance.
        low, high = self.tones
        wanted = high + (low - high) * traits.tone
        color = np.exp(color + (wanted - np.log(np.exp(color) @ LUMINANCE)))
        most = np.float32(_MOST) * self._deviation
        away = np.tensordot(weights.astype(np.float32), self.modes, 1)
        gray = (away @ LUMINANCE)[..., None]
        away = gray + np.float32(_CHROMA) * (away - gray)
        coarse = self.mean + np.clip(away, -most, most)
        texture = np.stack([_enlarged(coarse[..., channel]) for channel in range(3)], -1)
        texture += self._fine(rng)[..., None]
        texture = (color + _DARK) * np.exp(texture) - _DARK
        return Appearance(
            identity=np.clip(identity, -3, 3),
            color=color.astype(np.float32),
            texture=np.clip(texture, 0.002, 0.95).astype(np.float32),
        )

    @functools.cached_property
    def _deviation(self) -> np.ndarray:
        """Deviation of the logarithm of albedo among people, float32 [r, c, 3]."""
        return np.sqrt(np.square(self.modes).sum(0))

    def _fine(self, rng: np.random.Generator) -> np.ndarray:
        """Returns fine detail: noise of the strength that each band has at each place."""
        strength = rng.uniform(0.7, 1.2)
        white = rng.normal(size=SHAPE).astype(np.float32)
        fine = np.zeros(SHAPE, np.float32)
        finer = white
        for sigma, deviation in zip(BANDS, self.detail):
            coarser = gaussian_filter(white, sigma, truncate=3)
            band = finer - coarser
            band /= band.std()
            fine += _enlarged(deviation) * band
            finer = coarser
        return np.float32(strength) * fine


def _enlarged(coarse: np.ndarray) -> np.ndarray:
    """Returns coarse values as fine ones, [R, C]."""
    picture = Image.fromarray(np.ascontiguousarray(coarse, np.float32))
    return np.asarray(picture.resize(SHAPE[::-1], Image.Resampling.BICUBIC))


def encode(model: SkinModel) -> bytes:
    """Returns the content of a file of a model: the same bytes for the same model."""
    steps = np.abs(model.modes).max((1, 2, 3)) / _MODE_STEPS
    return archive.encode(
        {
            "mean": model.mean.astype(np.float16),
            "modes": np.round(model.modes / steps[:, None, None, None]).astype(np.int8),
            "steps": steps.astype(np.float32),
            "detail": model.detail.astype(np.float16),
            "coordinates": model.coordinates.astype(np.float32),
            "slopes": model.slopes.astype(np.float32),
            "factor": model.factor.astype(np.float16),
            "tones": model.tones.astype(np.float32),
        }
    )


@functools.lru_cache(maxsize=1)
def load_skin() -> SkinModel:
    """Returns the model that comes with the package."""
    stored: Mapping[str, np.ndarray] = archive.decode(ASSET, _MAX_BYTES)
    steps = stored["steps"][:, None, None, None]
    return SkinModel(
        mean=stored["mean"].astype(np.float32),
        modes=stored["modes"].astype(np.float32) * steps,
        detail=stored["detail"].astype(np.float32),
        coordinates=stored["coordinates"],
        slopes=stored["slopes"],
        factor=stored["factor"].astype(np.float32),
        tones=stored["tones"],
    )


def sampled(texture: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Returns a texture [R, C, k] at places in texels, [n] each, bilinear; float32 [n, k]."""
    height, width = texture.shape[:2]
    rows = np.clip(rows, 0, height - 1.001)
    columns = np.clip(columns, 0, width - 1.001)
    top, left = rows.astype(np.int32), columns.astype(np.int32)
    down, right = (rows - top)[:, None], (columns - left)[:, None]
    flat = texture.reshape(-1, texture.shape[2])
    first = top * width + left
    upper = flat.take(first, 0)
    upper += right * (flat.take(first + 1, 0) - upper)
    lower = flat.take(first + width, 0)
    lower += right * (flat.take(first + width + 1, 0) - lower)
    upper += down * (lower - upper)
    return upper
