"""Hair and beards: kinds, colours, and a shell over the scalp with strands and a soft edge."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from scipy.ndimage import gaussian_filter

from legan_tf.data.rendered.head_surface import in_view
from legan_tf.data.rendered.layers import Layer, View
from legan_tf.data.rendered.people import Traits
from legan_tf.data.rendered.skin import SHAPE, chart, sampled, texels
from legan_tf.head.head_file import load_head
from legan_tf.head.mesh import vertex_normals
from legan_tf.head.ray_casting import Scene

_HAIR, _BEARD, _STRANDS = 7108, 7109, 7110
_DARK = np.array([[0.012, 0.010, 0.009], [0.022, 0.015, 0.011], [0.045, 0.026, 0.016]])
_FAIR = np.array(
    [[0.075, 0.042, 0.022], [0.13, 0.078, 0.040], [0.27, 0.18, 0.095], [0.20, 0.085, 0.035]]
)
_GREY = np.array([0.33, 0.32, 0.31])


@dataclasses.dataclass(frozen=True)
class Style:
    """A way to wear hair. Lengths in cm.

    Attributes:
        thick: Thickness over the scalp.
        sides: The same at the temples.
        end: Height where it ends: the top of the ears is at 4, the chin at -8.
        opening: Half angle of the face that it leaves free below the temples, in degrees.
        volume: Distance of hanging hair from the head.
        fringe: How far it comes down over the forehead.
        curl: How much strands wind, 0 to 1.
        density: How much of the scalp it hides.
    """

    thick: float
    sides: float
    end: float = 1.0
    opening: float = 80.0
    volume: float = 0.0
    fringe: float = 0.0
    curl: float = 0.1
    density: float = 1.0


STYLES = {
    "bald": Style(0.02, 0.02, density=0.0),
    "shaved": Style(0.06, 0.05, density=0.62),
    "short": Style(1.0, 0.5),
    "parted": Style(1.5, 0.75),
    "fringe": Style(1.3, 0.9, fringe=2.4),
    "curly": Style(2.0, 1.4, curl=0.8),
    "afro": Style(3.2, 2.8, end=0.0, curl=1.0),
    "tied": Style(0.5, 0.35),
    "bob": Style(1.3, 1.0, end=-7.0, opening=52.0, volume=1.0),
    "bob with a fringe": Style(1.2, 1.0, end=-7.0, opening=52.0, volume=1.0, fringe=2.8),
    "long": Style(1.2, 1.0, end=-16.0, opening=55.0, volume=0.9),
    "wavy": Style(1.6, 1.3, end=-16.0, opening=50.0, volume=1.5, curl=0.7),
}
"""Styles by name."""
_MEN = ("bald", "shaved", "shaved", "short", "short", "short", "parted", "parted", "curly")
_WOMEN = ("tied", "tied", "parted", "fringe", "bob", "bob with a fringe", "long", "long", "wavy")

_SOFT = 0.55  # cm over which the hairline thins out.
_EARS_OUT = 0.2  # cm that ears stand out from where hair hangs down.
_DOWN, _AROUND = 44, 36  # Points of the surface of hanging hair.
_EAR = np.array([8.2, 1.0])  # Half width and height of the ears' middle.


def style(traits: Traits) -> str:
    """Returns the name of a person's style."""
    rng = np.random.default_rng([_HAIR, traits.number])
    curly = rng.random() < traits.tone**1.5
    if traits.masculine > 0.5:
        name = str(rng.choice(_MEN))
        return "curly" if curly and name in ("parted", "short") else name
    name = str(rng.choice(_WOMEN))
    if curly and name in ("parted", "fringe", "wavy"):
        return "afro" if rng.random() < 0.5 else "curly"
    return name


def color(traits: Traits) -> np.ndarray:
    """Returns the colour of a person's hair, linear RGB, float64 [3]."""
    rng = np.random.default_rng([_HAIR, 1, traits.number])
    dark = rng.random() < 0.3 + 1.2 * traits.tone
    palette = _DARK if dark else _FAIR
    found = palette[rng.integers(len(palette))] * rng.uniform(0.75, 1.3)
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
    if not worn.density:
        return None
    rng = np.random.default_rng([_HAIR, 2, traits.number])
    vertices, triangles, places, cover = _shell(traits, worn, neutral, rng)
    seen = view.camera.project(vertices)
    margin = np.full(2, 4.0)
    triangles = triangles[in_view(seen, triangles, -margin, margin + view.size)]
    if not len(triangles):
        return None
    x, y = view.grid()
    first, shares, depth = Scene(seen, triangles).hits(
        x.ravel().astype(np.float32), y.ravel().astype(np.float32)
    )
    index = np.flatnonzero(first >= 0)
    corners, shares = triangles[first[index]], shares[index]

    def at(values: np.ndarray) -> np.ndarray:
        return np.einsum("nc,nck->nk", shares, values[corners].astype(np.float32))

    row, column = at(places).T
    strands = _strands(worn.curl > 0.5)
    shift = rng.integers(SHAPE[1])
    wave = 5 * worn.curl * np.sin(row / 11 + column / 23)
    tone = sampled(strands[..., None], row % SHAPE[0], (column + wave + shift) % SHAPE[1])[:, 0]
    thin = at(cover[:, None])[:, 0]
    # Where hair is thin single strands are left.
    alpha = np.clip((thin - 0.5 + 0.7 * (1 - thin) * tone) / 0.3 + 0.5, 0, 1) * worn.density
    if worn.density < 1:
        alpha *= np.clip(0.9 + 0.25 * tone, 0.4, 1)
    normals = at(vertex_normals(seen, triangles))
    normals *= np.where(normals[:, 2:] < 0, -1, 1)  # Of hanging hair both sides are seen.
    normals[:, 0] += (0.12 + 0.2 * worn.curl) * tone
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    shade = np.clip(1 + 0.2 * tone, 0.4, 1.7)
    size = view.size * view.samples
    layer = Layer(
        depth=np.full((size, size), -np.inf, np.float32),
        normals=np.zeros((size, size, 3), np.float32),
        albedo=np.zeros((size, size, 3), np.float32),
        alpha=np.zeros((size, size), np.float32),
        gloss=np.zeros((size, size), np.float32),
    )
    layer.depth.ravel()[index] = depth[index]
    layer.normals.reshape(-1, 3)[index] = normals
    layer.albedo.reshape(-1, 3)[index] = color(traits) * shade[:, None]
    layer.alpha.ravel()[index] = alpha
    layer.gloss.ravel()[index] = 0.05 * np.clip(0.7 + tone, 0.1, 2) * (1 - 0.6 * worn.curl)
    return layer


def _shell(
    traits: Traits, worn: Style, neutral: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns vertices [n, 3] in head space, triangles, places in the chart, and cover [n]."""
    head = load_head()
    chosen = head.triangles_of("face", "side", "head")
    cover = _scalp(traits, worn, rng)
    triangles = head.triangles[chosen]
    triangles = triangles[(cover[triangles] > 0.02).any(1)]
    normals = vertex_normals(neutral * (1, -1, 1), head.triangles[chosen])
    temple = np.clip((np.abs(head.neutral[:, 0]) - 3.5) / 3, 0, 1)
    thick = worn.thick + (worn.sides - worn.thick) * temple
    lumps = 1 + 0.18 * np.sin(head.neutral @ rng.normal(0, 0.8, 3) + rng.uniform(0, 6))
    away = (0.02 + thick * lumps * np.clip(cover, 0, 1) ** 0.7)[:, None]
    vertices = (neutral + normals * away).astype(np.float64)
    places = chart(head)
    if worn.volume:
        hung = _hanging(worn, neutral, rng)
        triangles = np.concatenate([triangles, hung[1] + len(vertices)])
        vertices = np.concatenate([vertices, hung[0]])
        places = np.concatenate([places, hung[2]])
        cover = np.concatenate([cover, hung[3]])
    return vertices, triangles, places.astype(np.float32), cover.astype(np.float32)


def _scalp(traits: Traits, worn: Style, rng: np.random.Generator) -> np.ndarray:
    """Returns how thick hair grows at the head's vertices, 0 to 1, float64 [V]."""
    x, y, z = load_head().neutral.astype(np.float64).T
    side = np.abs(x)
    receding = traits.masculine * traits.age * rng.uniform(0, 3.0)
    line = 8.5 + np.clip(rng.normal(0, 0.4), -0.8, 0.8) + 0.5 * receding
    peak = rng.normal(0, 0.5) - 0.25 * receding
    # Over the forehead a line, over the temples a bay, down to the sideburns before the ears.
    front = line + 0.35 * receding * np.exp(-(((side - 3.6) / 1.4) ** 2))
    front += peak * np.exp(-((side / 1.6) ** 2))
    front -= worn.fringe * np.exp(-((side / 5.2) ** 6))
    front += 0.12 * np.sin(3.1 * x + rng.uniform(0, 6)) + 0.08 * np.sin(6.7 * x)
    down = np.clip((side - 4.7 + 0.1 * np.sin(2.3 * y)) / 1.7, 0, 1)
    end = max(worn.end, 0.0) if not worn.volume else 2.0
    sideburn = end + 1.1 * np.clip((z - 3.0) / 1.5, 0, None)
    line_at = front + (sideburn - front) * down * down * (3 - 2 * down)
    above = (y - line_at) / _SOFT
    nape = -9.0 if worn.volume else -2.5
    behind = (z < -1) & (side < 8.5)
    above = np.where(behind, np.maximum(above, (y - nape) / _SOFT), above)
    if worn.volume:  # It hides the ears.
        return np.clip(0.5 + 0.5 * above, 0, 1)
    ear = np.hypot((side - _EAR[0]) / 2.4, (y - _EAR[1]) / 3.6)
    above = np.where((side > 6.7) & (ear < 1), np.minimum(above, 6 * (ear - 1)), above)
    return np.clip(0.5 + 0.5 * above, 0, 1)


def _hanging(
    worn: Style, neutral: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns hair that hangs beside the face, as ``_shell`` has it."""
    head = load_head()
    skull = neutral[head.vertices_of("head", "side")]
    wide = float(np.abs(skull[skull[:, 1] > 0, 0]).max()) + worn.volume - _EARS_OUT
    angles = np.radians(np.linspace(worn.opening, 178, _AROUND))
    heights = np.linspace(9.0, worn.end, _DOWN)
    rows = []
    for sign in (1, -1):
        angle, height = np.meshgrid(angles, heights)
        # The edge before the face swings out to the temples and in again below the ears.
        swing = np.radians(8) * np.sin(height / 4.5 + rng.uniform(0, 6)) * worn.curl
        close = 0.84 + 0.16 * np.clip(
            np.arange(_AROUND) / 8.0, 0, 1
        )  # It comes out of the scalp's.
        taper = close - 0.28 * np.clip((height - 4) / 5, 0, 1) ** 2
        radius = wide * taper * (1 + 0.03 * np.sin(height * 0.9 + 7 * angle) * (0.4 + worn.curl))
        x = sign * radius * np.clip(np.sin(angle + swing), 0, 1) ** 0.8
        z = -0.5 + 0.9 * radius * np.cos(angle + swing)
        rows.append(np.stack([x, height, z], -1))
    grid = np.stack(rows)
    edge = np.clip(np.arange(_AROUND) / 2.5, 0, 1)
    low = np.clip((heights - worn.end) / 1.6, 0, 1)
    cover = 0.35 + 0.65 * np.minimum(edge[None, :], low[:, None])
    count = np.arange(_DOWN * _AROUND).reshape(_DOWN, _AROUND)
    a, b = count[:-1, :-1].ravel(), count[:-1, 1:].ravel()
    c, d = count[1:, :-1].ravel(), count[1:, 1:].ravel()
    quads = np.concatenate([np.stack([a, c, b], -1), np.stack([b, c, d], -1)])
    triangles = np.concatenate([quads, quads[:, ::-1] + _DOWN * _AROUND])
    around = np.degrees(np.broadcast_to(angles, (_DOWN, _AROUND))) * 3.2
    down = np.broadcast_to(heights[:, None], (_DOWN, _AROUND))
    places = np.stack([(13 - down) * 12, around], -1).reshape(-1, 2)
    return (
        grid.reshape(-1, 3),
        triangles,
        np.concatenate([places, places + (0, 97)]),
        np.tile(cover.ravel(), 2),
    )


@functools.lru_cache(maxsize=2)
def _strands(curly: bool) -> np.ndarray:
    """Returns strands along the rows of the chart, of deviation 1, float32 [R, C]."""
    rng = np.random.default_rng(_STRANDS)
    total = np.zeros(SHAPE, np.float32)
    kinds = ((1.1, 1.0), (2.0, 1.6), (4, 4)) if curly else ((26, 0.7), (34, 1.8), (50, 5.0))
    for down, across in kinds:
        layer = gaussian_filter(
            rng.normal(size=SHAPE).astype(np.float32), (down, across), mode="wrap"
        )
        total += layer / layer.std()
    return total / total.std()


def bearded(traits: Traits, texture: np.ndarray) -> np.ndarray:
    """Returns a skin's texture with a beard or a moustache, of those who wear one."""
    rng = np.random.default_rng([_BEARD, traits.number])
    kind = rng.random()
    if traits.masculine < 0.5 or kind > 0.26:
        return texture
    cheeks, lip = _beard_fields()
    grown = np.maximum(cheeks if kind < 0.18 else 0 * cheeks, lip)
    tone = _strands(False) if traits.tone < 0.6 else _strands(True)
    share = np.clip(grown * rng.uniform(0.75, 1.05) + 0.16 * tone * (grown > 0.02), 0, 0.93)
    hue = 0.8 * color(traits) * np.clip(1 + 0.3 * tone, 0.4, 1.8)[..., None]
    return (texture + share[..., None] * (hue - texture)).astype(np.float32)


@functools.lru_cache(maxsize=1)
def _beard_fields() -> tuple[np.ndarray, np.ndarray]:
    """Returns where a beard and a moustache grow, float32 [R, C] in [0, 1] each."""
    head = load_head()
    x, y, _ = head.neutral.astype(np.float64).T
    side = np.abs(x)

    def step(low: float, high: float, value: np.ndarray) -> np.ndarray:
        share = np.clip((value - low) / (high - low), 0, 1)
        return share * share * (3 - 2 * share)

    edge = -4.6 + 0.42 * np.clip(side - 3.2, 0, None) ** 1.5
    cheeks = step(0.8, -0.8, y - edge) * step(-13, -9.5, y)
    lip = step(-0.9, -1.5, y) * step(-3.0, -2.6, y) * step(3.1, 2.5, side)
    lips = np.zeros(len(x))
    lips[head.lips] = 1
    fields = np.stack([cheeks, lip, lips], -1)
    index, corners, shares = texels(head)
    found = np.zeros((SHAPE[0] * SHAPE[1], 3), np.float32)
    found[index] = np.einsum("nc,nck->nk", shares, fields[corners])
    found = gaussian_filter(found.reshape(*SHAPE, 3), (2, 2, 0))
    bare = np.clip(1 - 1.6 * found[..., 2], 0, 1)
    return found[..., 0] * bare, found[..., 1] * bare
