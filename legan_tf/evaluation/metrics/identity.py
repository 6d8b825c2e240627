"""Match score, identity distance and identification rate of embeddings of faces."""

from __future__ import annotations

import numpy as np

from legan_tf.evaluation.metrics.registry import register


def _units(embeddings: np.ndarray, name: str) -> np.ndarray:
    """Embeddings [n,D] brought to unit length, float64."""
    embeddings = np.asarray(embeddings, np.float64)
    if embeddings.ndim != 2:
        raise ValueError(f"the embeddings of the {name} must be [n, D], not {embeddings.shape}")
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    bad = np.flatnonzero(~np.isfinite(lengths) | (lengths == 0))
    if bad.size:
        raise ValueError(
            f"embedding {bad[0]} of the {name} has length {lengths[bad[0], 0]:g}, which has no "
            "direction"
        )
    return embeddings / lengths


def _unit_pairs(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if np.shape(first) != np.shape(second):
        raise ValueError(
            f"the embeddings differ in shape: {np.shape(first)} and {np.shape(second)}"
        )
    return _units(first, "first"), _units(second, "second")


@register("match", "match", "higher", "embedding source_embedding", order=(70, 70),
          source="LEGAN's main table")  # fmt: skip
def match_score(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cosine of the angle between two faces' embeddings, higher is more alike (LEGAN, main table).

    Computed in float64, it is within 1e-12, relatively, of the product over both lengths, and the
    same to the bit whatever the other pairs.

    Args:
        first: float [n,D], embeddings of one face network.
        second: The same shape, of the faces to compare with.

    Returns:
        float64 [n], -1 to 1; within 1e-15 of 1 for equal embeddings.

    Raises:
        ValueError: The shapes do not fit, or an embedding is zero or not finite.
    """
    one, other = _unit_pairs(first, second)
    # Rounding can lead a hair beyond 1.
    return np.clip(np.sum(one * other, axis=1), -1.0, 1.0)


def identity_distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Distance of two faces' embeddings of unit length, lower is more alike (Bodur et al., Fig. 4).

    Computed in float64 as the length of the difference, it is within 1e-12, relatively, of the
    value by the match score, and the same to the bit whatever the other pairs.

    Args:
        first: float [n,D], embeddings of one face network.
        second: The same shape, of the faces to compare with.

    Returns:
        float64 [n], 0 to 2, Euclidean: √(2 - 2 · match score), and exactly 0 for equal embeddings.

    Raises:
        ValueError: The shapes do not fit, or an embedding is zero or not finite.
    """
    one, other = _unit_pairs(first, second)
    return np.minimum(np.linalg.norm(one - other, axis=1), 2.0)


@register("person", "person found", "higher",
          "probe_embedding probe_identity gallery_embedding gallery_identity",
          order=(80, 60))  # fmt: skip
def first_rank_rate(
    probes: np.ndarray, probe_people: np.ndarray, gallery: np.ndarray, gallery_people: np.ndarray
) -> float:
    """Share of probes whose nearest gallery face shows the right person, higher is better.

    Tested on examples by hand, within 1e-6, relatively: a count over a count.

    Args:
        probes: float [n,D], embeddings of the faces to find.
        probe_people: int [n].
        gallery: float [m,D], embeddings of the faces to find them among.
        gallery_people: int [m].

    Returns:
        0 to 1, nearest by the cosine of the angle.

    Raises:
        ValueError: An embedding is zero or not finite.
    """
    nearest = np.argmax(_units(probes, "probes") @ _units(gallery, "gallery").T, axis=1)
    return float(np.mean(np.asarray(gallery_people)[nearest] == np.asarray(probe_people)))
