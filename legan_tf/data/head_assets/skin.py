"""Learning of the skin model from neutral faces: unwrapping, the light taken out, modes.

Each photograph is unwrapped by the head fitted to it. The studio's light is one spherical harmonic
of order 2 for all pictures and a weak linear one of each, times openness. What hair, shadow or the
far side hides is taken from the other half of the face, else from the mean.
"""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter, map_coordinates

from legan_tf.data import images, storage
from legan_tf.data.align.landmark_finder import LandmarkFinder, make_finder
from legan_tf.data.manifest import Manifest, read_manifest
from legan_tf.data.parallel import OnProgress
from legan_tf.data.rendered.hair import brow_field
from legan_tf.data.rendered.skin import BANDS, COARSE, SHAPE, SkinModel, encode, texels
from legan_tf.errors import UserError
from legan_tf.head.color import LUMINANCE, to_linear
from legan_tf.head.face_statistics import load_statistics
from legan_tf.head.fit import FitError, FittedHead, fit_head
from legan_tf.head.head_file import load_head
from legan_tf.head.mesh import vertex_normals
from legan_tf.head.morphable_head import PARTS, MorphableHead
from legan_tf.head.ray_casting import Scene
from legan_tf.head.refinement import refined_points
from legan_tf.head.residual_field import residual_field

_MODES = 24
_STUDIO = np.array([1.0, 1.0, 1.18], np.float32)
"""Light of the studio as its pictures have it: their skin is so much bluer than measured skin."""
_MIN_PEOPLE = 20
_SOLID = tuple(part for part in PARTS if part != "lashes")
_DARK = 0.004
_RAYS = 64
_CLOSE = 0.02  # Of the eyes' distance: how far behind the first surface a place may lie.
_OPEN_SHARE = 0.55  # Of the light that depends on openness.
_LEAST_LIGHT = 0.12
_LINEAR_RIDGE = 0.15  # Of the light of one picture.
_LEAST_DEVIATION = 0.5  # Of each mode of identity; photographed people have about 0.7.
_SHRINK = 0.25  # Of correlations in the covariance, towards independence.
_BROW_ENDS = (21, 22)  # iBUG's points.
_FROWN = (2.2, 2.4, 1.2)  # cm: half the width and height of where lines are, and how far above.
_FROWN_BLUR = 8.0  # Texels.
_LOW = 14 * COARSE  # Deviation, in texels, of what is matched when the mean fills a hole.


@dataclasses.dataclass(frozen=True, eq=False)
class _Unwrapped:
    """A photograph in the chart: n texels.

    Attributes:
        color: float32 [n, 3], linear light.
        weight: float32 [n], 0 where nothing is seen.
        normals: float32 [n, 3].
        identity: float64 [I].
    """

    color: np.ndarray
    weight: np.ndarray
    normals: np.ndarray
    identity: np.ndarray


def write_skin(
    manifest: str,
    data_dir: str | None,
    people: str,
    finder: str,
    output: str,
    progress: OnProgress,
) -> str:
    """Learns the skin model and writes its file; returns a summary.

    Args:
        manifest: CSV of pictures with identity and expression; the neutral ones count.
        data_dir: Folder that its paths start from; None for its own.
        people: CSV with columns identity, age and gender; cells may be empty.
        finder: Name of the landmark finder.
        output: The file to write.
        progress: Called after each picture.

    Raises:
        UserError: A file is not what it should be, or there are too few people.
    """
    table = _read_people(people)
    model, shares = learn_skin(
        read_manifest(manifest, data_dir), table, make_finder(finder), progress
    )
    content = encode(model)
    storage.write_bytes(output, content)
    held = ", ".join(f"{count} modes hold {share:.2f}" for count, share in shares.items())
    return f"{output}: {len(content):,} bytes; {held} of the variance"


def _read_people(path: str) -> dict[str, tuple[float, float]]:
    """Returns masculinity, 0 or 1, and age, NaN where unknown, by identity."""
    if not path:
        return {}
    found = {}
    lines = csv.DictReader(io.StringIO(storage.read_bytes(path).decode("utf-8-sig")))
    if not {"identity", "age", "gender"} <= set(lines.fieldnames or ()):
        raise UserError(f"--people={path}: needs the columns identity, age and gender.")
    for line in lines:
        gender = {"male": 1.0, "female": 0.0}.get(line["gender"], np.nan)
        try:
            age = float(line["age"]) if line["age"] else np.nan
        except ValueError:
            raise UserError(
                f"--people={path}: the age of {line['identity']}, {line['age']!r}, is no number."
            ) from None
        found[line["identity"]] = gender, age
    return found


def learn_skin(
    manifest: Manifest,
    people: Mapping[str, tuple[float, float]],
    finder: LandmarkFinder,
    progress: OnProgress,
) -> tuple[SkinModel, dict[int, float]]:
    """Learns the skin model of neutral people.

    Returns:
        The model, and the share of the variance that so many modes hold.

    Raises:
        UserError: There are fewer than twenty people.
    """
    head = load_head()
    chart_ = _Chart(head)
    seen: dict[str, _Unwrapped] = {}
    rows = [row for row in manifest.rows if row.identity and row.expression == "neutral"]
    for done, row in enumerate(rows, 1):
        if row.identity not in seen:
            found = _unwrap(chart_, images.decode(row.file), finder)
            if found is not None:
                seen[row.identity] = found
        progress(done, len(rows))
    if len(seen) < _MIN_PEOPLE:
        raise UserError(
            f"{manifest.file}: has {len(seen)} people with a neutral picture in which a face is "
            f"found; give {_MIN_PEOPLE} or more."
        )
    names = sorted(seen)
    return _model(chart_, [seen[name] for name in names], [people.get(n) for n in names])


class _Chart:
    """The texels of the chart that lie on a head's skin.

    Attributes:
        head: The head.
        texels: int [n], places in a flattened texture.
        corners: int [n, 3], vertices of the triangle of each.
        shares: float32 [n, 3], their shares.
        place: float32 [n, 3], on the neutral head, cm.
        open: float32 [n], share of the sky that is seen there.
        mirror: int [n], the texel of the other side.
    """

    def __init__(self, head: MorphableHead) -> None:
        """Finds the triangle of each texel."""
        self.head = head
        self.texels, self.corners, self.shares = texels(head)
        self.place = self.at(head.neutral)
        number = np.full(SHAPE[0] * SHAPE[1], -1)
        number[self.texels] = np.arange(len(self.texels))
        row, column = np.divmod(self.texels, SHAPE[1])
        other = number[row * SHAPE[1] + SHAPE[1] - 1 - column]
        self.mirror = np.where(other >= 0, other, np.arange(len(self.texels)))
        self.open = self.at(_openness(head)[:, None])[:, 0]

    def at(self, values: np.ndarray) -> np.ndarray:
        """Returns values of vertices, [V, k], at the texels, float32 [n, k]."""
        return np.einsum("nc,nck->nk", self.shares, values[self.corners].astype(np.float32))

    def put(self, values: np.ndarray) -> np.ndarray:
        """Returns values of texels as a texture, 0 elsewhere."""
        texture = np.zeros((SHAPE[0] * SHAPE[1], *values.shape[1:]), np.float32)
        texture[self.texels] = values
        return texture.reshape(*SHAPE, *values.shape[1:])

    def taken(self, texture: np.ndarray) -> np.ndarray:
        """Returns a texture at the texels."""
        return texture.reshape(SHAPE[0] * SHAPE[1], *texture.shape[2:])[self.texels]


def _openness(head: MorphableHead) -> np.ndarray:
    """Returns the share of a cosine-weighted sky that vertices of the neutral head see."""
    triangles = head.triangles[head.triangles_of(*_SOLID)]
    down = head.neutral.astype(np.float64) * (1, -1, 1)
    normals = vertex_normals(down, triangles)
    scene = Scene(down, triangles)
    skin = head.vertices_of("face", "side")
    free = np.zeros(len(down))
    flip = np.array([1.0, -1.0, 1.0])
    rng = np.random.default_rng(0)
    for _ in range(_RAYS):
        way = rng.normal(size=(len(skin), 3))
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        way += normals[skin]
        way /= np.linalg.norm(way, axis=1, keepdims=True) + 1e-9
        start = down[skin] + 0.04 * flip * normals[skin]
        free[skin] += ~scene.occluded(start, flip * way)
    return free / _RAYS


def _unwrap(on: _Chart, image: np.ndarray, finder: LandmarkFinder) -> _Unwrapped | None:
    """Returns a photograph in the chart, or None where the head does not follow its face."""
    meshes = finder.meshes(image)
    if not meshes:
        return None
    head, face_points = on.head, load_statistics(on.head).face_points
    points = refined_points(image, meshes[0])
    try:
        fitted: FittedHead = fit_head(
            head, face_points, residual_field(head, face_points), points, expressive=False
        )
    except FitError:
        return None
    vertices = fitted.vertices()
    solid = head.triangles[head.triangles_of(*_SOLID)]
    normals = on.at(vertex_normals(vertices, solid))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    place = on.at(vertices)
    _, _, nearest = Scene(vertices, solid).hits(place[:, 0], place[:, 1])
    shown = place[:, 2] > nearest - _CLOSE * fitted.scale
    height, width = image.shape[:2]
    inside = (place[:, :2] > 1).all(1) & (place[:, :2] < (width - 2, height - 2)).all(1)
    light = to_linear(image)
    color = np.stack(
        [
            map_coordinates(light[..., channel], place[:, 1::-1].T, order=1, mode="nearest")
            for channel in range(3)
        ],
        -1,
    )
    weight = np.clip((normals[:, 2] - 0.3) / 0.4, 0, 1) * shown * inside
    return _Unwrapped(
        color.astype(np.float32),
        weight.astype(np.float32),
        normals.astype(np.float32),
        fitted.identity,
    )


def _model(
    on: _Chart, seen: Sequence[_Unwrapped], people: Sequence[tuple[float, float] | None]
) -> tuple[SkinModel, dict[int, float]]:
    x, y = np.abs(on.place[:, 0]), on.place[:, 1]
    cheek = (np.abs(y + 0.3) < 1.6) & (np.abs(x - 4) < 1.4)
    colors = np.stack([one.color for one in seen]) / _STUDIO
    weights = np.stack([one.weight for one in seen])
    cheeks = np.array(
        [np.median(c[cheek & (w > 0.5)], 0) for c, w in zip(colors, weights)], np.float32
    )
    relative = np.log((colors @ LUMINANCE + 0.003) / ((cheeks @ LUMINANCE + 0.003)[:, None]))
    hair = _hair(on, colors, cheeks, relative)
    weights *= np.clip((on.open - 0.22) / 0.2, 0, 1)
    for number in range(len(seen)):
        around = binary_dilation(on.put(hair[number].astype(np.float32)) > 0, iterations=4)
        weights[number][on.taken(around) & hair.any(0)] = 0
    albedo = _unlit(on, seen, colors, weights, relative)
    skin = np.array(
        [np.median(a[cheek & (w > 0.5)], 0) for a, w in zip(albedo, weights)], np.float32
    )
    logs = np.log((np.maximum(albedo, 0) + _DARK) / (skin[:, None] + _DARK))
    del albedo, colors
    full = _completed(on, logs, weights)
    full = _unfrowned(on, full)
    mean, modes, coordinates, detail, shares = _principal(on, full)
    joint = np.concatenate([np.stack([one.identity for one in seen]), coordinates, np.log(skin)], 1)
    tones = np.log(skin @ LUMINANCE)
    traits = _traits(people, tones)
    slopes, centre, factor = _regression(joint, traits, len(seen[0].identity))
    model = SkinModel(
        mean=mean,
        modes=modes,
        detail=detail,
        coordinates=centre,
        slopes=slopes,
        factor=factor,
        tones=np.array([tones.min(), tones.max()], np.float32),
    )
    return model, shares


def _ramp(value: np.ndarray, width: float) -> np.ndarray:
    return np.clip(value / width, 0, 1)


def _hair(on: _Chart, colors: np.ndarray, cheeks: np.ndarray, relative: np.ndarray) -> np.ndarray:
    """Returns where hair is in place of skin, bool [N, n]: darker or less red than the cheeks."""
    x, y = np.abs(on.place[:, 0]), on.place[:, 1]
    zone = np.maximum.reduce(
        [
            _ramp(y - 5.6, 1.6),
            _ramp(x - 5, 1.6) * _ramp(y - 0.5, 1.5),
            _ramp(x - 6.2, 0.8),
            _ramp(-8.5 - y, 1.0),
        ]
    )
    least = np.where((x > 6.6) | (y < -7), -1.1, -0.6) - 1.6 * (1 - zone)

    def redness(color: np.ndarray) -> np.ndarray:
        return np.log((color[..., 0] + _DARK) / (color[..., 2] + _DARK))

    pale = redness(colors) < redness(cheeks)[:, None] - 0.45 - (1 - zone)
    return (zone > 0.05) & ((relative < least) | pale)


def _harmonics(normals: np.ndarray) -> np.ndarray:
    x, y, z = np.moveaxis(normals, -1, 0)
    one = np.ones_like(x)
    return np.stack([one, x, y, z, x * y, x * z, y * z, 3 * z * z - 1, x * x - y * y], -1)


def _unlit(
    on: _Chart,
    seen: Sequence[_Unwrapped],
    colors: np.ndarray,
    weights: np.ndarray,
    relative: np.ndarray,
) -> np.ndarray:
    """Returns the colours without the studio's light, float32 [N, n, 3]."""
    x, y = np.abs(on.place[:, 0]), on.place[:, 1]
    open_to = (1 - _OPEN_SHARE) + _OPEN_SHARE * on.open
    plain = (y < 8) & (y > -8) & (x < 7.2)
    plain &= ~((np.abs(x - 3.2) < 2.6) & (y > 2) & (y < 6.2))
    plain &= ~((x < 3.6) & (y > -5.6) & (y < -1.2))
    sample = np.flatnonzero(plain)[::23]
    bases = [_harmonics(one.normals[sample]) * open_to[sample, None] for one in seen]
    basis, values = np.concatenate(bases), np.exp(relative[:, sample]).ravel()
    given = robust = weights[:, sample].ravel()
    for _ in range(6):
        weighted = basis * robust[:, None]
        common = np.linalg.solve(
            weighted.T @ basis + 1e-5 * len(basis) * np.eye(9), weighted.T @ values
        )
        misses = values - basis @ common
        robust = given / (1 + (misses / (2.2 * np.median(np.abs(misses)))) ** 2)
    albedo = np.empty_like(colors)
    for number, one in enumerate(seen):
        linear, weight = bases[number][:, :4], weights[number][sample, None]
        square = (linear * weight).T @ linear
        left = np.exp(relative[number, sample]) - bases[number] @ common
        own = np.linalg.solve(
            square + _LINEAR_RIDGE * np.trace(square) / 4 * np.eye(4),
            (linear * weight).T @ np.clip(left, -0.4, 0.4),
        )
        light = _harmonics(one.normals) @ (common + np.r_[own, np.zeros(5)]) * open_to
        albedo[number] = colors[number] / np.maximum(light, _LEAST_LIGHT)[:, None]
    return albedo


def _spread(texture: np.ndarray, weight: np.ndarray, sigmas: Sequence[float]) -> np.ndarray:
    """Returns a texture continued into where its weight is low, from near to far."""
    texture, weight = texture.copy(), weight.copy()
    for sigma in sigmas:
        total = gaussian_filter(weight, sigma)
        near = np.stack(
            [gaussian_filter(texture[..., c] * weight, sigma) for c in range(texture.shape[-1])], -1
        ) / (total[..., None] + 1e-6)
        new = (weight < 0.5) & (total > 1e-3)
        texture[new], weight[new] = near[new], 1
    texture[weight < 0.5] = 0
    return texture


def _completed(on: _Chart, logs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the logarithms with every hole filled, float32 [N, n, 3]."""
    total, mirror = weights.sum(0), on.mirror
    mean = (logs * weights[..., None]).sum(0) / (total[:, None] + 1e-6)
    both = total + total[mirror]
    mean = (mean * total[:, None] + mean[mirror] * total[mirror, None]) / (both[:, None] + 1e-6)
    held = (both > 4).astype(np.float32)
    mean = on.taken(_spread(on.put(mean * held[:, None]), on.put(held), (3, 8, 20, 50)))
    full = np.empty_like(logs)
    for number in range(len(logs)):
        own = np.clip(weights[number] / 0.25, 0, 1)
        other = np.clip(weights[number][mirror] / 0.25, 0, 1) * (1 - own) * 0.9
        differs = np.clip(logs[number] - mean, -2.5, 2.5)
        known = differs * own[:, None] + differs[mirror] * other[:, None]
        share = own + other
        norm = gaussian_filter(on.put(share), _LOW) + 1e-4
        low = np.stack(
            [on.taken(gaussian_filter(on.put(known[:, c]), _LOW) / norm) for c in range(3)],
            -1,
        )
        full[number] = mean + known + np.clip(1 - share, 0, 1)[:, None] * np.clip(low, -0.5, 0.5)
    return full


def _unfrowned(on: _Chart, full: np.ndarray) -> np.ndarray:
    """Returns the logarithms without frown lines and the studio's glint above the nose, [N, n, 3].

    In the mean and the modes these would make everybody frown: networks read it as sadness.
    """
    between = on.head.neutral[on.head.landmark_vertices[list(_BROW_ENDS)]].mean(0)
    across, up, _ = (on.place - between).T
    away = np.hypot(across / _FROWN[0], (up - _FROWN[2]) / _FROWN[1])
    skin = np.clip(1 - 1.5 * on.taken(brow_field()), 0, 1)
    share = on.taken(gaussian_filter(on.put(np.clip(1.6 - away, 0, 1)), 2)) * skin
    norm = gaussian_filter(on.put(skin), _FROWN_BLUR) + 1e-3
    calm = np.empty_like(full)
    for number, logs in enumerate(full):
        low = gaussian_filter(on.put((logs @ LUMINANCE) * skin), _FROWN_BLUR) / norm
        # Towards the cheeks, whose colour is the unit.
        calm[number] = 0.5 * on.taken(low)[:, None]
    return full + share[:, None] * (calm - full)


def _coarse(on: _Chart, values: np.ndarray) -> np.ndarray:
    """Returns values of texels as means over blocks, continued beyond the skin, [r, c, k]."""
    weight = on.put(np.ones(len(on.texels), np.float32))
    texture = _spread(on.put(values), weight, (2, 5, 12, 30, 60))
    rows, columns = SHAPE[0] // COARSE, SHAPE[1] // COARSE
    return texture.reshape(rows, COARSE, columns, COARSE, -1).mean((1, 3))


def _principal(
    on: _Chart, full: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[int, float]]:
    """Returns mean, modes, coordinates of the people, strength of detail, shares of variance."""
    count = len(full)
    both = np.concatenate([full, full[:, on.mirror]])
    mean = both.mean(0)
    both -= mean
    few = both[:, ::2].reshape(len(both), -1)
    values, vectors = np.linalg.eigh((few @ few.T).astype(np.float64))
    values, vectors = values[::-1], vectors[:, ::-1][:, :_MODES].astype(np.float32)
    modes = np.tensordot(vectors.T, both, 1) / np.sqrt(len(both))
    coordinates = vectors * np.sqrt(len(both))
    shares = {k: float(values[:k].sum() / values.sum()) for k in (5, 10, 15, _MODES)}
    fine = []
    rest = np.zeros((len(BANDS), *SHAPE), np.float32)
    for number in range(count):
        left = both[number] - np.tensordot(coordinates[number], modes, 1)
        finer = on.put(left @ LUMINANCE)
        for band, sigma in enumerate(BANDS):
            coarser = gaussian_filter(finer, sigma)
            rest[band] += (finer - coarser) ** 2
            finer = coarser
    smooth = np.sqrt(rest / count)
    weight = on.put(np.ones(len(on.texels), np.float32))
    for band in smooth:
        norm = gaussian_filter(weight, 5) + 1e-3
        fine.append(_coarse(on, on.taken(gaussian_filter(band, 5) / norm)[:, None])[..., 0])
    coarse = np.stack([_coarse(on, mode) for mode in modes])
    return _coarse(on, mean), coarse, coordinates[:count], np.stack(fine), shares


def _traits(people: Sequence[tuple[float, float] | None], tones: np.ndarray) -> np.ndarray:
    """Returns masculinity, age and tone of people, [N, 3]: the mean where one is unknown."""
    table = np.array([(np.nan, np.nan) if one is None else one for one in people])
    male, years = table.T
    found = [np.where(np.isfinite(male), (male - 0.5) / 0.5, 0.0)]
    known = np.isfinite(years)
    years = np.where(known, years, years[known].mean() if known.any() else 0.0)
    found.append((years - years.mean()) / max(years.std(), 1e-6))
    # Dark skin is 1, as in ``Traits``.
    found.append(-(tones - tones.mean()) / tones.std())
    return np.stack(found, -1)


def _regression(joint: np.ndarray, traits: np.ndarray, modes: int) -> tuple[np.ndarray, ...]:
    """Returns slopes [3, D], mean [D] and a factor of the covariance that is left [D, D].

    The first columns are coordinates in so many modes of identity.
    """
    centre = joint.mean(0)
    away = joint - centre
    slopes = np.linalg.solve(traits.T @ traits + 0.1 * len(joint) * np.eye(3), traits.T @ away)
    left = away - traits @ slopes
    covariance = left.T @ left / len(left)
    own = np.diag(np.diag(covariance))
    covariance += _SHRINK * (own - covariance) + 1e-4 * np.eye(len(own))
    # A fit leaves at the mean what the landmarks of one picture do not tell.
    told = np.diag(covariance)[:modes]
    covariance[range(modes), range(modes)] = np.maximum(told, _LEAST_DEVIATION**2)
    return (
        slopes.astype(np.float32),
        centre.astype(np.float32),
        np.linalg.cholesky(covariance).astype(np.float32),
    )
