"""Mask of a person in a photograph, grown from the landmarks of the face.

No network: the colours and places of the person and of what is behind are two mixtures of
Gaussians, which begin where the landmarks say that a head, a neck and shoulders lie, and are fitted
in turn with a labelling that is smooth but for the picture's edges: a random walker with priors
(Grady, "Multilabel random walker image segmentation using prior models", 2005), alternated as in
Rother et al., "GrabCut", 2004. A guided filter (He et al., 2013) takes the result to full size.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage, sparse
from scipy.sparse import linalg

from legan_tf.head import face_mesh

_TOP, _CHIN, _NOSE, _LEFT_CHEEK, _RIGHT_CHEEK = 10, 152, 1, 234, 454

_WORKING_SCALE = 28.0
"""Pixels that the eyes' distance has where the mask is worked out."""
_REACH = (6.0, 4.0, 6.0, 7.0)
"""Eyes' distances that are looked at to the left of the eyes, above, to the right and below."""
_FADE = 0.8
"""Eyes' distances over which the mask fades where that region ends within the picture."""


@dataclasses.dataclass(frozen=True, eq=False)
class PersonMask:
    """Where a person is in a picture, and of what: float32 [H, W] in [0, 1].

    Attributes:
        person: All of the person: head with hair, neck, clothes.
        skin: Skin of face and neck.
        hair: Hair of the head.
    """

    person: np.ndarray
    skin: np.ndarray
    hair: np.ndarray


def person_mask(image: np.ndarray, points: np.ndarray) -> PersonMask:
    """Returns the mask of the person whose face has these landmarks.

    Other people in the picture count as background.

    Args:
        image: uint8 [H, W, 3].
        points: Landmarks in the face mesh's numbering, [468 or more, 2 or more] pixels.
    """
    frame = _Frame.of(np.asarray(points, np.float64)[:, :2])
    window = _Window.around(frame, image.shape[0], image.shape[1])
    small = window.shrink(image)
    place = _Place.of(window, frame)
    features = np.concatenate(
        [small, _POSITION * np.stack([place.across, place.along], -1)], -1
    ).reshape(-1, 5)
    walker = _Walker(small)
    person = _person(features, walker, place)
    skin, hair = _parts(features, walker, place, person)
    whole = window.enlarge(image, small, person)
    return PersonMask(whole, *(window.cut(part, whole) for part in (skin, hair)))


@dataclasses.dataclass(frozen=True, eq=False)
class _Frame:
    """Coordinates of a face in the picture.

    Attributes:
        eyes: Middle of the eyes, pixels.
        chin: Tip of the chin, pixels.
        down: Unit vector from the forehead to the chin.
        scale: Eyes' distance in pixels, as it would be without a turn of the head.
        half_width: Of the face, as a share of the scale.
        turn: To where the nose points: -1 the picture's left, 0 the camera, 1 right.
        oval: Outline of the face, float64 [36, 2] pixels.
    """

    eyes: np.ndarray
    chin: np.ndarray
    down: np.ndarray
    scale: float
    half_width: float
    turn: float
    oval: np.ndarray

    @classmethod
    def of(cls, points: np.ndarray) -> _Frame:
        left, right = points[_LEFT_CHEEK], points[_RIGHT_CHEEK]
        height = float(np.linalg.norm(points[_CHIN] - points[_TOP]))
        down = (points[_CHIN] - points[_TOP]) / max(height, 1e-6)
        corners = points[[face_mesh.LEFT_EYE_CORNERS[0], face_mesh.RIGHT_EYE_CORNERS[0]]]
        scale = max(float(np.linalg.norm(corners[1] - corners[0])), height / 1.9, 1e-6)
        across = np.array([down[1], -down[0]])
        half = max(float((right - left) @ across) / 2, 1e-6)
        turn = float((points[_NOSE] - (left + right) / 2) @ across) / half
        return cls(
            eyes=corners.mean(0),
            chin=points[_CHIN],
            down=down,
            scale=scale,
            half_width=half / scale,
            turn=float(np.clip(turn, -1, 1)),
            oval=points[[*face_mesh.OUTLINE]],
        )


@dataclasses.dataclass(frozen=True)
class _Window:
    """Part of a picture around a person, and the small grid where the mask is worked out.

    Attributes:
        left, top, right, bottom: Of the part, pixels.
        height, width: Of the picture.
        rows, columns: Of the grid.
        fade: Pixels over which the mask fades where the part ends within the picture.
    """

    left: int
    top: int
    right: int
    bottom: int
    height: int
    width: int
    rows: int
    columns: int
    fade: float

    @classmethod
    def around(cls, frame: _Frame, height: int, width: int) -> _Window:
        low = frame.eyes - frame.scale * np.array(_REACH[:2])
        high = frame.eyes + frame.scale * np.array(_REACH[2:]) + 1
        left, top = (int(v) for v in np.clip(low, 0, (max(width - 2, 0), max(height - 2, 0))))
        right = int(np.clip(high[0], left + 1, width))
        bottom = int(np.clip(high[1], top + 1, height))
        step = max(frame.scale / _WORKING_SCALE, 1.0)
        rows, columns = (max(round(n / step), 1) for n in (bottom - top, right - left))
        fade = _FADE * frame.scale
        return cls(left, top, right, bottom, height, width, rows, columns, fade)

    @property
    def box(self) -> tuple[int, int, int, int]:
        return self.left, self.top, self.right, self.bottom

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns x [columns] and y [rows] of the grid's points in the picture."""
        x = (np.arange(self.columns) + 0.5) * (self.right - self.left) / self.columns
        y = (np.arange(self.rows) + 0.5) * (self.bottom - self.top) / self.rows
        return self.left + x - 0.5, self.top + y - 0.5

    def shrink(self, image: np.ndarray) -> np.ndarray:
        """Returns the part at the grid's size, float32 [rows, columns, 3] in [0, 1]."""
        part = Image.fromarray(image[self.top : self.bottom, self.left : self.right])
        small = part.resize((self.columns, self.rows), Image.Resampling.BOX)
        return np.asarray(small, np.float32) / 255

    def enlarge(self, image: np.ndarray, small: np.ndarray, share: np.ndarray) -> np.ndarray:
        """Returns a map [rows, columns] at the picture's size, along its edges, [H, W]."""
        out = np.zeros((self.height, self.width), np.float32)
        part = image[self.top : self.bottom, self.left : self.right]
        result = out[self.top : self.bottom, self.left : self.right]
        gain, offset = _guided(small, share)
        result[:] = _resize(offset, part.shape[:2])
        for channel in range(3):
            result += _resize(gain[..., channel] / 255, part.shape[:2]) * part[..., channel]
        # Below and above these shares the filter's result is noise of the picture.
        np.clip((result - 0.04) / 0.92, 0, 1, out=result)
        result *= np.minimum.outer(
            _ramp(self.bottom - self.top, self.top > 0, self.bottom < self.height, self.fade),
            _ramp(self.right - self.left, self.left > 0, self.right < self.width, self.fade),
        )
        return out

    def cut(self, share: np.ndarray, whole: np.ndarray) -> np.ndarray:
        """Returns a map [rows, columns] at the picture's size, at most the whole [H, W]."""
        out = np.zeros_like(whole)
        result = out[self.top : self.bottom, self.left : self.right]
        result[:] = _resize(share, result.shape)
        np.minimum(result, whole[self.top : self.bottom, self.left : self.right], out=result)
        return out


def _ramp(length: int, first: bool, last: bool, fade: float) -> np.ndarray:
    """Returns weights [length] that rise from 0 at the ends that are said to fade."""
    at = np.arange(length, dtype=np.float32)
    rise = np.ones(length, np.float32)
    if first:
        rise = np.minimum(rise, at / fade)
    if last:
        rise = np.minimum(rise, (length - 1 - at) / fade)
    return np.clip(rise, 0, 1)


def _resize(values: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Returns a map float32 [h, w] at another size (height, width), bilinearly."""
    return np.asarray(
        Image.fromarray(np.ascontiguousarray(values, np.float32)).resize(
            (size[1], size[0]), Image.Resampling.BILINEAR
        )
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Place:
    """What the landmarks say about points of the grid, each [rows, columns].

    Attributes:
        across, along: Coordinates in the picture, in eyes' distances.
        outside: Distance to a head with a neck and shoulders of common size, in eyes' distances,
            negative within.
        face: Whether the point is within the outline of the face.
        down: Along the face, from the eyes to the chin (about 1.3) and on.
        below: Downwards in the picture from the chin.
        from_face: Distance to the outline of the face, 0 within.
    """

    across: np.ndarray
    along: np.ndarray
    outside: np.ndarray
    face: np.ndarray
    down: np.ndarray
    below: np.ndarray
    from_face: np.ndarray

    @classmethod
    def of(cls, window: _Window, frame: _Frame) -> _Place:
        x, y = np.meshgrid(*window.grid())
        right = np.array([frame.down[1], -frame.down[0]])
        dx, dy = (x - frame.eyes[0]) / frame.scale, (y - frame.eyes[1]) / frame.scale
        u = dx * right[0] + dy * right[1]
        v = dx * frame.down[0] + dy * frame.down[1]
        # A head that is turned has its back on the other side than its nose.
        middle = -0.3 * frame.turn
        width = max(frame.half_width, 0.72) + 0.12
        radius = np.hypot((u - middle) / width, (v - 0.1) / np.where(v < 0.1, 1.3, 1.15))
        head = (radius - 1) * width
        below = (y - frame.chin[1]) / frame.scale
        beside = np.abs(x - frame.chin[0] + frame.turn * 0.35 * frame.scale) / frame.scale
        half = np.interp(below, *_BODY)
        body = np.maximum((beside - half) * 0.7, -0.5 - below)
        size = (
            window.columns / (window.right - window.left),
            window.rows / (window.bottom - window.top),
        )
        oval = (frame.oval - (window.left, window.top)) * size
        drawn = Image.new("L", (window.columns, window.rows))
        ImageDraw.Draw(drawn).polygon([tuple(p) for p in oval], fill=1)
        face = np.asarray(drawn) > 0
        step = frame.scale * size[0]
        from_face = (
            ndimage.distance_transform_edt(~face) / step if face.any() else np.full(face.shape, 9.0)
        )
        return cls(dx, dy, np.minimum(head, body), face, v, below, from_face)


_BODY = ((-0.5, 0.2, 0.7, 1.2, 2.5, 5.0), (0.5, 0.6, 1.35, 2.0, 2.4, 2.6))
"""Half the width of neck and shoulders at distances below the chin, in eyes' distances."""


def _person(features: np.ndarray, walker: _Walker, place: _Place) -> np.ndarray:
    """Returns how sure it is that a point shows the person, [rows, columns] in [0, 1]."""
    odds = np.clip(-place.outside / np.where(place.outside < 0, 0.1, 0.35), -4, 6)
    odds += np.where(place.face, 8.0, 0.0) - np.where(place.outside > 2.5, 4.0, 0.0)
    share = np.clip(0.5 - (place.outside - 0.25) / 0.8, 0, 1)
    inside = outside = None
    for _ in range(_ROUNDS):
        flat = share.ravel()
        inside = _Mixture.fit(features, np.clip(2 * flat - 1, 0, 1), start=inside)
        outside = _Mixture.fit(features, np.clip(1 - 2 * flat, 0, 1), start=outside)
        colour = (inside.log_density(features) - outside.log_density(features)).reshape(odds.shape)
        share = walker.smooth(_logistic(np.clip(colour, -6, 6) + odds))
    return _connected(np.clip((share - 0.2) / 0.6, 0, 1), place.face)


_ROUNDS = 6
_SAMPLES, _STEPS = 2000, 4  # Of a mixture's fit.
_POSITION = 0.03  # Of an eyes' distance in the mixtures, where colours are 0 to 1.


def _logistic(odds: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-odds))


def _connected(share: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Returns the labelling without what hangs apart from the face, and without holes."""
    labels, _ = ndimage.label(share > 0.5)
    kept = np.isin(labels, np.unique(labels[face & (labels > 0)])) & (labels > 0)
    other = ndimage.binary_dilation((labels > 0) & ~kept, iterations=2) & ~kept
    share = np.where(other, 0, share)
    full = ndimage.binary_fill_holes(kept)
    return np.where(full & ~kept, 1, share)


class _Walker:
    """Smoothing of a labelling that stops at the edges of a picture."""

    def __init__(self, small: np.ndarray, stiffness: float = 12.0) -> None:
        rows, columns = small.shape[:2]
        index = np.arange(rows * columns).reshape(rows, columns)
        blurred = ndimage.gaussian_filter(small, (0.5, 0.5, 0))
        pairs = [
            (index[:, :-1], index[:, 1:]),
            (index[:-1], index[1:]),
            (index[:-1, :-1], index[1:, 1:]),
            (index[:-1, 1:], index[1:, :-1]),
        ]
        first = np.concatenate([a.ravel() for a, _ in pairs])
        second = np.concatenate([b.ravel() for _, b in pairs])
        flat = blurred.reshape(-1, 3)
        squared = np.sum((flat[first] - flat[second]) ** 2, -1)
        weight = (
            stiffness * np.exp(-squared / max(squared.mean() if len(squared) else 0.0, 1e-5)) + 0.05
        )
        n = rows * columns
        both = sparse.coo_matrix(
            (np.r_[weight, weight], (np.r_[first, second], np.r_[second, first])), (n, n)
        ).tocsr()
        self._laplacian = sparse.diags(np.asarray(both.sum(1)).ravel()) - both

    def smooth(self, share: np.ndarray) -> np.ndarray:
        """Returns shares [rows, columns] of a label, where what was sure counts most."""
        flat = share.ravel()
        trust = 0.02 + (2 * flat - 1) ** 2
        system = self._laplacian + sparse.diags(trust)
        inverse = 1 / system.diagonal()
        jacobi = linalg.LinearOperator(system.shape, lambda x: inverse * x.ravel())
        result, _ = linalg.cg(system, trust * flat, x0=flat, maxiter=40, M=jacobi)
        return np.clip(result, 0, 1).reshape(share.shape)


@dataclasses.dataclass(frozen=True, eq=False)
class _Mixture:
    """A mixture of Gaussians.

    Attributes:
        log_weight: [k], with the Gaussians' normalisation.
        mean: [k, d].
        whitening: [k, d, d], inverse Cholesky factors of the covariances.
    """

    log_weight: np.ndarray
    mean: np.ndarray
    whitening: np.ndarray

    @classmethod
    def fit(
        cls,
        features: np.ndarray,
        weight: np.ndarray,
        parts: int = 8,
        start: _Mixture | None = None,
    ) -> _Mixture:
        """Fits a mixture by a few steps of expectation maximization.

        Args:
            features: [n, d].
            weight: [n].
            parts: How many Gaussians.
            start: What it begins from; clusters if None.
        """
        chosen = np.flatnonzero(weight > 0.05)
        if not len(chosen):
            chosen = np.arange(len(features))
        if len(chosen) > _SAMPLES:
            chosen = chosen[np.linspace(0, len(chosen) - 1, _SAMPLES).astype(int)]
        x, w = features[chosen], np.maximum(weight[chosen], 1e-3).astype(features.dtype)
        if start is None:
            parts = min(parts, 1 + len(chosen) // 10)
            share = _clusters(x, w, parts)
        else:
            share = start._shares(x)
        for _ in range(_STEPS if start is None else 1):
            share = cls._moments(x, w, share)._shares(x)
        return cls._moments(x, w, share)

    @classmethod
    def _moments(cls, x: np.ndarray, w: np.ndarray, share: np.ndarray) -> _Mixture:
        part = share * w[:, None]
        mass = part.sum(0) + 1e-6
        mean = part.T @ x / mass[:, None]
        size = x.shape[1]
        products = (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)
        covariance = (part.T @ products / mass[:, None]).reshape(-1, size, size)
        covariance -= mean[:, :, None] * mean[:, None, :]
        floor = np.diag(np.r_[np.full(3, 0.025**2), np.full(size - 3, 0.03**2)])
        covariance = covariance.astype(np.float64) + floor
        whitening = np.linalg.inv(np.linalg.cholesky(covariance))
        scale = np.log(np.abs(np.linalg.det(whitening)))
        return cls(np.log(mass / mass.sum()) + scale, mean, whitening)

    def _shares(self, features: np.ndarray) -> np.ndarray:
        scores = self._scores(features)
        scores -= scores.max(1, keepdims=True)
        share = np.exp(scores)
        return share / share.sum(1, keepdims=True)

    def _scores(self, features: np.ndarray) -> np.ndarray:
        out = np.empty((len(features), len(self.mean)), np.float32)
        for k, (mean, whitening) in enumerate(zip(self.mean, self.whitening)):
            z = (features - mean.astype(features.dtype)) @ whitening.T.astype(features.dtype)
            out[:, k] = self.log_weight[k] - 0.5 * np.einsum("nd,nd->n", z, z)
        return out

    def log_density(self, features: np.ndarray) -> np.ndarray:
        """Returns the logarithm of the density at features [n, d], up to a constant, [n]."""
        scores = self._scores(features)
        most = scores.max(1)
        return most + np.log(np.exp(scores - most[:, None]).sum(1))


def _clusters(x: np.ndarray, w: np.ndarray, parts: int) -> np.ndarray:
    """Returns memberships [n, parts] by k-means from points that lie far apart."""
    centres = [x[np.argmin(((x - np.average(x, 0, w)) ** 2).sum(1))]]
    distance = ((x - centres[0]) ** 2).sum(1)
    for _ in range(parts - 1):
        centres.append(x[np.argmax(distance * w)])
        distance = np.minimum(distance, ((x - centres[-1]) ** 2).sum(1))
    centre = np.stack(centres)
    for _ in range(4):
        squared = ((x[:, None] - centre) ** 2).sum(-1)
        one = np.eye(parts)[squared.argmin(1)]
        mass = (one * w[:, None]).sum(0)
        centre = np.where(
            mass[:, None] > 0, (one * w[:, None]).T @ x / np.maximum(mass, 1e-9)[:, None], centre
        )
    return one


def _parts(
    features: np.ndarray, walker: _Walker, place: _Place, person: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns skin and hair of a person, each [rows, columns] in [0, 1]."""
    shape = person.shape
    inner = place.face & (place.down > _BROWS)
    around = ~place.face & (place.below < _NECK[0]) & (person > 0.7)
    clothes = (place.below > _NECK[1]) & (person > 0.7)
    skin = _Mixture.fit(features, inner.ravel().astype(float), 4)
    likely = skin.log_density(features).reshape(shape)
    odds = np.zeros((3, *shape))  # Of skin, hair, clothes.
    odds[0] = np.where(inner, 9, np.where(place.face, 1, -0.5))
    odds[1] = np.where(place.down < _BROWS, 1, 0) - 2 * np.clip(place.below, 0, 2)
    odds[2] = np.interp(place.below, (0, *_NECK, 2 * _NECK[1]), (-6, -3, 1, 2))
    odds[0] += np.clip(likely, -12, None)
    # Skin beside the oval, a bald head above all, is no hair.
    usual = np.median(likely[inner]) if inner.any() else 0.0
    strands = around & (likely < usual - 4) & (place.from_face < 1.2)
    for row, part in ((1, strands), (2, clothes)):
        if part.sum() > 20:
            mixture = _Mixture.fit(features, part.ravel().astype(float), 4)
            odds[row] += np.clip(mixture.log_density(features).reshape(shape), -12, None)
        else:
            odds[row] -= 12
    odds -= odds.max(0)
    shares = np.exp(odds) / np.exp(odds).sum(0)
    return walker.smooth(shares[0]) * person, walker.smooth(shares[1]) * person


_BROWS = -0.2  # Along the face from the eyes, in eyes' distances: skin from there to the chin.
_NECK = (0.3, 0.8)  # Below the chin: surely no clothes above, surely no neck below.


def _guided(
    guide: np.ndarray, values: np.ndarray, radius: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """Returns gain [h, w, 3] and offset [h, w] of a guided filter: values = gain . guide + offset.

    Args:
        guide: Picture, float32 [h, w, 3] in [0, 1].
        values: What is filtered, float32 [h, w].
        radius: Of the windows in which a linear relation is taken for true.
    """

    def mean(a: np.ndarray) -> np.ndarray:
        size = (2 * radius + 1,) * 2 + (1,) * (a.ndim - 2)
        return ndimage.uniform_filter(a, size, mode="nearest")

    guide, values = guide.astype(np.float64), values.astype(np.float64)
    m, v = mean(guide), mean(values)
    covariance = mean(guide * values[..., None]) - m * v[..., None]
    products = mean((guide[..., :, None] * guide[..., None, :]).reshape(*values.shape, 9))
    variance = products.reshape(*values.shape, 3, 3) - m[..., :, None] * m[..., None, :]
    variance += 1e-3 * np.eye(3)
    gain = np.linalg.solve(variance, covariance[..., None])[..., 0]
    offset = v - np.einsum("hwc,hwc->hw", gain, m)
    return mean(gain), mean(offset)
