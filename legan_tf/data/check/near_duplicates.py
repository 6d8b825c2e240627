"""Near duplicates: pictures that differ by little more than their encoding.

A thumbnail is the luma of a picture at 32 x 32. Of two thumbnails, pixels that are overexposed in
either are left out, since brightening clips there; the others are scaled to mean 0 and deviation 1.
The difference is the largest root mean square in any of 8 x 8 blocks. Copies that were re-encoded,
resized or brightened differ a little everywhere, another expression or light differs much in some
block; a mean over the whole picture, as of perceptual hashes, does not tell the two apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.fft import dctn
from scipy.spatial import cKDTree

from legan_tf.data.parallel import OnProgress

SIDE = 32
"""Height and width of a thumbnail."""

LIMIT = 0.18
"""Largest difference of near duplicates; docs/data.md shows how it was chosen."""

FLAT = 4.0
"""Pictures of a lower contrast (standard deviation of the luma) have nothing to be known by."""

NEAREST = 16
"""With so many pictures of each split, those closest in the sieve, one is compared."""

_BLOCKS = 8
_CLIPPED = 240
_LEAST_SHARE = 0.25  # With fewer pixels that are not overexposed, all are compared.

# The sieve: copies are close in the lowest frequencies, too; it lets hundreds pass of a million.
_FREQUENCIES = 5
_RADIUS = 0.16
_QUERIES = 256
_PAIRS = 2048


class Pair(NamedTuple):
    """Two pictures that are nearly the same.

    Attributes:
        first: Place of one.
        second: Place of the other, larger.
        kind: ``identical`` (byte for byte), ``near`` or ``mirrored``.
        difference: 0 to ``LIMIT``.
    """

    first: int
    second: int
    kind: str
    difference: float


def near_duplicates(
    thumbnails: np.ndarray,
    digests: Sequence[bytes],
    splits: Sequence[str],
    on_progress: OnProgress | None = None,
) -> list[Pair]:
    """Returns the pairs of pictures that are nearly the same, as they are or mirrored.

    Of byte-identical pictures the others are paired with the first, which alone is compared with
    what differs. A picture is compared with the ``NEAREST`` of each split at most, so that time and
    memory grow with the pictures even where thousands are equal, and many equal ones in its own
    split do not hide one in another.

    Args:
        thumbnails: uint8 [n,32,32].
        digests: n digests of the files' bytes; a picture without is left out.
        splits: n names of the pictures' splits.
        on_progress: Called with (pictures compared, pictures in all).

    Returns:
        The pairs, in order of their places.
    """
    first: dict[bytes, int] = {}
    pairs = []
    for index, digest in enumerate(digests):
        if digest and first.setdefault(digest, index) != index:
            pairs.append(Pair(first[digest], index, "identical", 0.0))
    # One by one: all at once would be eight bytes for every pixel.
    places = np.array([p for p in first.values() if thumbnails[p].std() >= FLAT], np.int64)
    if len(places) < 2:
        return pairs
    low = _low_frequencies(thumbnails, places)
    # A mirrored picture has the odd horizontal frequencies with the other sign.
    signs = np.tile((-1.0) ** np.arange(_FREQUENCIES), _FREQUENCIES)[1:].astype(np.float32)
    names = np.array([splits[place] for place in places])
    sieves = []
    for name in np.unique(names):
        inside = names == name
        sieves.append((places[inside], cKDTree(low[inside])))
    found: dict[tuple[int, int], Pair] = {}
    for start in range(0, len(places), _QUERIES):
        part = slice(start, start + _QUERIES)
        # A symmetrical picture is as near to both; it is listed once, as near.
        for kind, sign in (("mirrored", signs), ("near", 1)):
            for others, sieve in sieves:
                mirrored = kind == "mirrored"
                near = _near(thumbnails, places[part], low[part] * sign, others, sieve, mirrored)
                for one, other, value in near:
                    ends = (one, other) if one < other else (other, one)
                    found[ends] = Pair(*ends, kind, value)
        if on_progress:
            on_progress(min(start + _QUERIES, len(places)), len(places))
    return sorted([*pairs, *found.values()])


def _near(
    thumbnails: np.ndarray,
    places: np.ndarray,
    low: np.ndarray,
    others: np.ndarray,
    sieve: cKDTree,
    mirrored: bool,
) -> Iterable[tuple[int, int, float]]:
    """Yields what is near to each place, of the ones that are closest to it in the sieve."""
    # A picture may be closest to itself.
    distance, rank = sieve.query(
        low, range(1, NEAREST + 2), distance_upper_bound=_RADIUS, workers=-1
    )
    close = np.isfinite(distance)
    one, other = np.repeat(places, close.sum(axis=1)), others[rank[close]]
    one, other = one[one != other], other[one != other]
    for at in range(0, len(one), _PAIRS):
        part = slice(at, at + _PAIRS)
        shown = thumbnails[one[part]]
        value = difference(shown[:, :, ::-1] if mirrored else shown, thumbnails[other[part]])
        for i in np.flatnonzero(value <= LIMIT):
            yield int(one[at + i]), int(other[at + i]), float(value[i])


def difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the difference of pairs of thumbnails, as the module defines it.

    For two uint8 [n,32,32] it is float32 [n], 0 or more; 0 also for a brighter or more contrasty
    picture of the same.
    """
    one, other = first.astype(np.float32), second.astype(np.float32)
    mask = ((one < _CLIPPED) & (other < _CLIPPED)).astype(np.float32)
    mask[mask.mean(axis=(1, 2)) < _LEAST_SHARE] = 1
    pixels = mask.sum(axis=(1, 2), keepdims=True)

    def normal(values: np.ndarray) -> np.ndarray:
        values = (values - (values * mask).sum(axis=(1, 2), keepdims=True) / pixels) * mask
        deviation = np.sqrt((values**2).sum(axis=(1, 2), keepdims=True) / pixels)
        return values / np.maximum(deviation, 1e-3)

    def blocks(values: np.ndarray) -> np.ndarray:
        size = SIDE // _BLOCKS
        return values.reshape(-1, _BLOCKS, size, _BLOCKS, size).sum(axis=(2, 4))

    counts, squares = blocks(mask), blocks((normal(one) - normal(other)) ** 2)
    most = (SIDE // _BLOCKS) ** 2
    squares = np.where(counts >= most / 2, squares / np.maximum(counts, 1), 0)
    return np.sqrt(squares.max(axis=(1, 2)))


def _low_frequencies(thumbnails: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Returns float32 [m,24]: the lowest frequencies of thumbnails of mean 0 and norm 1."""
    low = np.empty((len(places), _FREQUENCIES**2 - 1), np.float32)
    for start in range(0, len(places), _PAIRS):
        part = thumbnails[places[start : start + _PAIRS]].astype(np.float32)
        part -= part.mean(axis=(1, 2), keepdims=True)
        part /= np.sqrt((part**2).sum(axis=(1, 2), keepdims=True))
        waves = dctn(part, axes=(1, 2), norm="ortho")[:, :_FREQUENCIES, :_FREQUENCIES]
        low[start : start + _PAIRS] = waves.reshape(len(part), -1)[:, 1:]
    return low
