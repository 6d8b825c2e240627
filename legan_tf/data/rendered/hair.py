"""Hair and beards: kinds, colours, and how hair grows on a head."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from scipy.ndimage import gaussian_filter

from legan_tf.data.rendered.layers import Layer, View
from legan_tf.data.rendered.people import Traits
from legan_tf.data.rendered.skin import SHAPE, texels
from legan_tf.data.rendered.strands import Growth, Lock, Skull, draw, grow
from legan_tf.head.color import LUMINANCE
from legan_tf.head.head_file import load_head
from legan_tf.head.morphable_head import MorphableHead

_HAIR, _BEARD, _STRANDS = 7108, 7109, 7110
_DARK = np.array([[0.012, 0.010, 0.009], [0.022, 0.015, 0.011], [0.045, 0.026, 0.016]])
_FAIR = np.array(
    [[0.075, 0.042, 0.022], [0.13, 0.078, 0.040], [0.24, 0.16, 0.085], [0.14, 0.055, 0.022]]
)
_FAIR_SHARES = [0.38, 0.32, 0.2, 0.1]
_GREY = np.array([0.33, 0.32, 0.31])


@dataclasses.dataclass(frozen=True)
class Style:
    """A way to wear hair. Lengths in cm.

    Attributes:
        top: Length on top.
        sides: Length at the temples and below.
        flow: Where it is combed: ``forward``, ``back``, ``parted``, or ``out`` from the head.
        off: Distance from the head.
        lift: How steeply it stands on the head, 0 to 1.
        weight: How much it bends down, a cm.
        cling: How much it bends to the head, a cm.
        end: Height where it is cut: the top of the ears is at 4, the chin at -8.
        opening: Angle before the face that it leaves free, in degrees from the middle.
        locks: Guides on a square cm.
        lock: What strands do about them.
        fill: How much of what is below dense hair is hidden, 0 to 1.
        fringe: Height above which hair over the forehead is cut, or None.
        ears: Whether the ears are covered.
        bare: Whether the top is bald.
    """

    top: float
    sides: float
    flow: str = "forward"
    off: float = 0.5
    lift: float = 0.4
    weight: float = 0.15
    cling: float = 0.3
    end: float = -30.0
    opening: float = 0.0
    locks: float = 9.0
    lock: Lock = Lock(8, 0.22, 0.5, 0.10, 0.0, 1.0, 0.030)
    fill: float = 1.0
    fringe: float | None = None
    ears: bool = False
    bare: bool = False


_STUBBLE = Lock(12, 0.22, 1.0, 0.0, 0.0, 1.0, 0.02)
_SHORT = Lock(6, 0.26, 0.5, 0.10, 0.0, 1.0, 0.045)
_SMOOTH = Lock(6, 0.26, 0.45, 0.10, 0.0, 1.0, 0.050)
_TIGHT = Lock(5, 0.25, 0.8, 0.15, 0.22, 1.1, 0.055)
_LONG = Lock(5, 0.32, 0.6, 0.20, 0.0, 1.0, 0.055)
_WAVES = Lock(5, 0.34, 0.6, 0.22, 0.5, 6.0, 0.055)
_HANGING = Style(
    top=22,
    sides=16,
    flow="parted",
    off=0.5,
    lift=0.12,
    weight=0.3,
    cling=0.5,
    opening=50.0,
    locks=4.0,
    lock=_LONG,
    ears=True,
)
_BOB = dataclasses.replace(_HANGING, top=17, sides=12, off=0.6, end=-6.5)
STYLES = {
    "bald": Style(0, 0, locks=0),
    "balding": Style(0.2, 0.25, lift=1, off=0, locks=14, lock=_STUBBLE, fill=0.3, bare=True),
    "shaved": Style(0.22, 0.2, lift=1, off=0, locks=14, lock=_STUBBLE, fill=0.45),
    "short": Style(2.6, 0.6, off=0.4, lift=0.6, lock=_SHORT),
    "up": Style(3.4, 0.6, "back", off=1.2, lift=1.2, weight=0.05, lock=_SHORT),
    "parted": Style(5.0, 0.9, "parted", off=0.5, lift=0.4, weight=0.3, lock=_SMOOTH),
    "back": Style(6.0, 1.6, "back", off=0.5, lift=0.5, weight=0.05, lock=_SMOOTH),
    "curly": Style(3.0, 1.2, "out", off=1.0, lift=1.2, weight=0.12, lock=_TIGHT),
    "cropped curls": Style(0.7, 0.3, "out", off=0.3, lift=1, locks=12, lock=_TIGHT),
    "afro": Style(4.6, 4.0, "out", off=2.6, lift=2, weight=0.02, lock=_TIGHT, ears=True),
    "tied": Style(11.0, 8.0, "back", off=0.12, lift=0.05, weight=0.0, lock=_SMOOTH),
    "fringe": Style(
        8.0, 4.0, lift=0.3, weight=0.4, end=0.5, locks=5.5, lock=_SMOOTH, fringe=5.9, ears=True
    ),
    "bob": _BOB,
    "bob with a fringe": dataclasses.replace(_BOB, flow="forward", fringe=5.8),
    "long": _HANGING,
    "wavy": dataclasses.replace(_HANGING, off=0.9, lock=_WAVES),
}
"""Styles by name."""
_MEN = {
    "bald": 1.0,
    "balding": 0.6,
    "shaved": 2.0,
    "short": 4.0,
    "up": 2.0,
    "parted": 2.5,
    "back": 1.0,
    "curly": 0.8,
}
_WOMEN = {
    "tied": 3.0,
    "parted": 0.5,
    "fringe": 0.8,
    "bob": 2.0,
    "bob with a fringe": 1.0,
    "long": 4.0,
    "wavy": 2.5,
}

_SOFT = 0.5  # cm over which the hairline thins out.
_EAR = np.array([8.2, 1.0])  # Half width and height of the ears' middle.
_CROWN = np.array([0.0, 11.5, -4.0])
_RIGHT_BROW, _LEFT_BROW = range(17, 22), range(22, 27)  # iBUG's points.


def style(traits: Traits) -> str:
    """Returns the name of a person's style."""
    rng = np.random.default_rng([_HAIR, traits.number])
    curly = rng.random() < traits.tone**1.5
    worn = _MEN if traits.masculine > 0.5 else _WOMEN
    weights = np.array([*worn.values()])
    if traits.masculine > 0.5:
        weights[:2] *= 3 * traits.age
    name = str(rng.choice([*worn], p=weights / weights.sum()))
    if not curly or name in ("bald", "balding", "shaved", "tied"):
        return name
    if traits.masculine > 0.5:
        return "cropped curls" if rng.random() < 0.7 else "curly"
    return "afro" if rng.random() < 0.5 else "wavy" if rng.random() < 0.5 else "curly"


def color(traits: Traits) -> np.ndarray:
    """Returns the colour of a person's hair, linear RGB, float64 [3]."""
    rng = np.random.default_rng([_HAIR, 1, traits.number])
    dark = rng.random() < 0.3 + 1.2 * traits.tone
    palette, chances = (_DARK, None) if dark else (_FAIR, _FAIR_SHARES)
    found = rng.choice(palette, p=chances) * rng.uniform(0.75, 1.3)
    grey = np.clip((traits.age - rng.uniform(0.45, 1.1)) / 0.35, 0, 1)
    return found + grey * (_GREY * rng.uniform(0.7, 1.2) - found)


def hair_layer(traits: Traits, view: View, neutral: np.ndarray) -> Layer | None:
    """Returns a person's hair in a view, or None without any.

    Args:
        traits: Whose hair it is.
        view: The view.
        neutral: float32 [V, 3] in head space, the person without expression.
    """
    worn = STYLES[style(traits)]
    if not worn.locks:
        return None
    rng = np.random.default_rng([_HAIR, 2, traits.number])
    guides = grow(_growth(traits, worn, neutral, rng), Skull(neutral))
    glossy = 0.05 if worn.lock is not _TIGHT else 0.02
    glossy *= worn.lock is not _STUBBLE
    solid = neutral[load_head().vertices_of("face", "side", "head")]
    return draw(guides, solid, worn.lock, color(traits), glossy, worn.fill, view, rng)


def _growth(traits: Traits, worn: Style, neutral: np.ndarray, rng: np.random.Generator) -> Growth:
    """Returns how the guides of a style grow on a person's head."""
    head = load_head()
    triangles = head.triangles[head.triangles_of("face", "side", "head")]
    part = rng.choice([-2.8, 2.8, 0.0, 0.6]) if worn.flow == "parted" else 0.0
    cover = _scalp(traits, worn, rng)
    triangles = triangles[(cover[triangles] > 0.02).any(1)]
    corners = neutral[triangles].astype(np.float64)
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(facing, axis=1) / 2
    expected = area * worn.locks * cover[triangles].mean(1)
    # Of what grows behind little is seen, and of short hair nothing.
    hidden = np.clip((-1.0 - corners[..., 2].mean(1)) / 3, 0, 1)
    near_part = np.exp(-(((corners[..., 0].mean(1) - part) / 0.7) ** 2))
    expected *= 1 + 1.2 * near_part * (worn.flow == "parted")
    expected *= 1 - hidden * (0.6 if worn.top > 7 else 0.95)
    chosen = np.repeat(np.arange(len(area)), rng.poisson(expected))
    shares = rng.dirichlet((1, 1, 1), len(chosen))
    roots = np.einsum("nc,nck->nk", shares, corners[chosen])
    normals = facing[chosen] / (2 * area[chosen, None] + 1e-9)
    mean = np.einsum("nc,nck->nk", shares, head.neutral[triangles[chosen]].astype(np.float64))
    x, y, z = mean.T
    low = np.clip((8.5 - y) / 3.5, 0, 1) * np.clip((np.abs(x) - 3) / 3, 0, 1)
    lengths = worn.top + (worn.sides - worn.top) * low
    lengths = lengths * rng.uniform(0.8, 1.1, len(x))
    # Over the forehead it does not stand out farther than the nose.
    before = 1 - 0.75 * np.clip((z - 2) / 5, 0, 1) * (worn.flow == "out" or worn.fringe is not None)
    lengths *= before
    if worn.top < 8:  # Shorter towards its edge.
        lengths *= 0.35 + 0.65 * np.einsum("nc,nc->n", shares, cover[triangles[chosen]])
    ways, goal = _combed(worn, mean, part, rng)
    ways -= 0.9 * (ways * normals).sum(1, keepdims=True) * normals
    lift = worn.lift * (1 - 0.75 * low) if worn.flow != "out" else worn.lift + 0 * low
    ways = ways + lift[:, None] * normals + rng.normal(0, 0.12, ways.shape)
    ends = worn.end + rng.normal(0, 0.25, len(x))
    opening = np.radians(worn.opening + rng.normal(0, 5, len(x))) * np.ones(len(x))
    if worn.fringe is not None:
        front = (np.abs(x) < 4.6 + rng.normal(0, 0.4, len(x))) & (z > 1.5)
        ways[front] = (0, -0.7, 0.5) + 0.1 * normals[front] + rng.normal(0, 0.1, (front.sum(), 3))
        ways[front, 0] += 0.06 * x[front]
        ends[front] = worn.fringe + rng.normal(0, 0.25, front.sum())
        opening[front] = 0
        lengths[front] = 9
    return Growth(
        roots=roots,
        ways=ways,
        lengths=lengths,
        off=worn.off * before * rng.uniform(0.35, 1.1, len(x)) * (1 - 0.5 * low * (not worn.ears)),
        weight=worn.weight,
        cling=worn.cling,
        goal=goal,
        drawn={"back": 0.5, "parted": 0.45}.get(worn.flow, 0.0),
        release=3.0 if worn.flow == "parted" else -30.0,
        ends=ends,
        opening=opening,
    )


def _combed(
    worn: Style, at: np.ndarray, part: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the ways that hair is combed at places on the mean head, and its goals, [n, 3]."""
    x, y, _ = at.T
    if worn.flow == "back":
        return np.array([0.0, 8.0, -11.0]) - at, np.tile([0.0, 7.0, -12.0], (len(at), 1))
    if worn.flow == "out":
        return rng.normal(0, 1, at.shape), at
    ways = at - _CROWN
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    top = np.clip((y - 5) / 3, 0, 1)[:, None]
    if worn.flow == "parted":
        sides = np.sign(x - part + rng.normal(0, 0.3, len(x)))
        across = np.stack([sides, -0.15 + 0 * x, -0.35 + 0 * x], -1)
        goal = np.stack([8.5 * sides, 3 + 0 * x, -1 + 0 * x], -1)
        return across * top + ways * (1 - top), goal
    ways[:, 0] += rng.normal(0, 0.7) * top[:, 0]
    return ways, at


def _scalp(traits: Traits, worn: Style, rng: np.random.Generator) -> np.ndarray:
    """Returns how densely hair grows at the head's vertices, 0 to 1, float64 [V]."""
    x, y, z = load_head().neutral.astype(np.float64).T
    side = np.abs(x)
    receding = traits.masculine * traits.age * rng.uniform(0, 3.0)
    line = 8.5 + np.clip(rng.normal(0, 0.4), -0.8, 0.8) + 0.5 * receding
    peak = rng.normal(0, 0.5) - 0.25 * receding
    # Over the forehead a line, over the temples a bay, down to the sideburns before the ears.
    front = line + 0.35 * receding * np.exp(-(((side - 3.6) / 1.4) ** 2))
    front += peak * np.exp(-((side / 1.6) ** 2))
    front += 0.12 * np.sin(3.1 * x + rng.uniform(0, 6)) + 0.08 * np.sin(6.7 * x)
    down = np.clip((side - 4.9 + 0.1 * np.sin(2.3 * y)) / 1.8, 0, 1)
    sideburn = 2.6 + 1.1 * np.clip((z - 3.0) / 1.5, 0, None)
    sideburn -= 2.2 * traits.masculine * rng.random()
    line_at = front + (sideburn - front) * down * down * (3 - 2 * down)
    above = (y - line_at) / _SOFT
    behind = (z < -1) & (side < 8.5)
    nape = -4.0 if worn.sides > 3 else 0.5
    above = np.where(behind, np.maximum(above, (y - nape) / _SOFT), above)
    if worn.bare:
        crown = np.hypot(side / 6.2, (z + 1.0) / 9.0)
        above = np.minimum(above, np.maximum(6 * (crown - 1), (4.2 - y) / 1.2))
    ear = np.hypot((side - _EAR[0]) / 2.2, (y - _EAR[1]) / 3.6)
    above = np.where((side > 6.9) & (ear < 1), np.minimum(above, 6 * (ear - 1)), above)
    dense = np.clip(0.5 + 0.5 * above / 2, 0, 1)
    return dense * dense * (3 - 2 * dense)


_STRAIGHT = ((3, 0.6), (4, 0.8))
_CURLY = ((1.1, 1.0), (2.0, 1.6), (4, 4))
_BROWS = ((0.6, 1.6), (0.5, 1.1))


@functools.lru_cache(maxsize=3)
def _strands(kinds: tuple[tuple[float, float], ...]) -> np.ndarray:
    """Returns strands in the chart, of deviation 1, float32 [R, C].

    Args:
        kinds: Deviations of noise down and across, in texels.
    """
    rng = np.random.default_rng(_STRANDS)
    total = np.zeros(SHAPE, np.float32)
    for down, across in kinds:
        layer = gaussian_filter(
            rng.normal(size=SHAPE).astype(np.float32), (down, across), mode="wrap"
        )
        total += layer / layer.std()
    return total / total.std()


def bearded(traits: Traits, skin: np.ndarray, texture: np.ndarray) -> np.ndarray:
    """Returns a skin's texture with a beard or a moustache, of men who wear one.

    Women's is returned without the shadow of a beard.

    Args:
        traits: Whose skin it is.
        skin: float32 [3], linear albedo of the cheeks.
        texture: float32 [R, C, 3], linear albedo.
    """
    rng = np.random.default_rng([_BEARD, traits.number])
    kind = rng.random()
    cheeks, lip = _beard_fields()
    if traits.masculine < 0.5:
        least = 0.85 * (skin @ LUMINANCE)
        brighter = np.clip(least / np.maximum(texture @ LUMINANCE, 1e-3), 1, 3) - 1
        grown = np.maximum(cheeks, lip)
        return (texture * (1 + grown * brighter)[..., None]).astype(np.float32)
    if kind > 0.26:
        return texture
    grown = np.maximum(cheeks if kind < 0.18 else 0 * cheeks, lip)
    tone = _strands(_STRAIGHT if traits.tone < 0.6 else _CURLY)
    # Towards its edge a beard is thinner, hair by hair.
    share = np.clip(grown * rng.uniform(0.7, 1.0) * (1 + 0.18 * tone), 0, 0.92)
    hue = 0.8 * color(traits) * np.clip(1 + 0.2 * tone, 0.4, 1.8)[..., None]
    return (texture + share[..., None] * (hue - texture)).astype(np.float32)


def browed(traits: Traits, skin: np.ndarray, texture: np.ndarray) -> np.ndarray:
    """Returns a skin's texture whose brows have the colour of the hair.

    Args:
        traits: Whose skin it is.
        skin: float32 [3], linear albedo of the cheeks.
        texture: float32 [R, C, 3], linear albedo with brows of any colour.
    """
    field = brow_field()
    rows, columns = (slice(found.min(), found.max() + 1) for found in np.nonzero(field))
    near, field = texture[rows, columns], field[rows, columns]
    # How much darker than the skin a place is says how much hair it has.
    darker = 1 - near @ LUMINANCE / (skin @ LUMINANCE)
    strands = _strands(_BROWS)[rows, columns]
    # What is a little darker is shade, which would make brows longer and lower than they are.
    share = np.clip((darker - 0.4) / 0.5, 0, 0.7) * np.clip(1 + 0.2 * strands, 0, 1.2) * field
    # Brows are darker than fair hair.
    hue = 0.7 * color(traits)
    hue *= min(1.0, 0.11 / hue.max())
    found = texture.copy()
    found[rows, columns] += share[..., None] * (hue - near)
    return found


@functools.lru_cache(maxsize=1)
def brow_field() -> np.ndarray:
    """Returns where brows grow, float32 [R, C] in [0, 1]."""
    head = load_head()
    field = np.zeros(len(head.neutral))
    for brow in (_RIGHT_BROW, _LEFT_BROW):
        line = head.neutral[head.landmark_vertices[list(brow)]].astype(np.float64)
        points = np.concatenate([np.linspace(a, b, 12) for a, b in zip(line, line[1:])])
        away = np.linalg.norm(head.neutral[:, None] - points, axis=-1).min(1)
        field = np.maximum(field, np.clip((0.65 - away) / 0.35, 0, 1))
    return gaussian_filter(_charted(head, field[:, None])[..., 0], 2)


@functools.lru_cache(maxsize=1)
def _beard_fields() -> tuple[np.ndarray, np.ndarray]:
    """Returns where a beard and a moustache grow, float32 [R, C] in [0, 1] each."""
    head = load_head()
    x, y, z = head.neutral.astype(np.float64).T
    side = np.abs(x)

    def step(low: float, high: float, value: np.ndarray) -> np.ndarray:
        share = np.clip((value - low) / (high - low), 0, 1)
        return share * share * (3 - 2 * share)

    edge = -4.6 + 0.42 * np.clip(side - 3.2, 0, None) ** 1.5
    cheeks = step(0.8, -0.8, y - edge) * step(-9.2, -7.6, y + 0.35 * (z - 4))
    lip = step(-0.7, -1.7, y) * step(-3.2, -2.5, y) * step(3.4, 1.9, side)
    lips = np.zeros(len(x))
    lips[head.lips] = 1
    fields = np.stack([cheeks, lip, lips], -1)
    found = gaussian_filter(_charted(head, fields), (2, 2, 0))
    bare = np.clip(1 - 1.6 * found[..., 2], 0, 1)
    return found[..., 0] * bare, found[..., 1] * bare


def _charted(head: MorphableHead, values: np.ndarray) -> np.ndarray:
    """Returns values of vertices, [V, k], in the chart, float32 [R, C, k]; 0 beside the head."""
    index, corners, shares = texels(head)
    found = np.zeros((SHAPE[0] * SHAPE[1], values.shape[1]), np.float32)
    found[index] = np.einsum("nc,nck->nk", shares, values[corners])
    return found.reshape(*SHAPE, -1)
