"""Whether two faces are one person, by their embeddings."""

from __future__ import annotations

import numpy as np


def first_rank_rate(
    probes: np.ndarray, probe_people: np.ndarray, gallery: np.ndarray, gallery_people: np.ndarray
) -> float:
    """Share of probes whose nearest gallery face shows the right person, higher is better.

    Args:
        probes: float [n,D], embeddings of the faces to find.
        probe_people: int [n].
        gallery: float [m,D], embeddings of the faces to find them among.
        gallery_people: int [m].

    Returns:
        0 to 1, nearest by the cosine of the angle.
    """
    unit = [faces / np.linalg.norm(faces, axis=1, keepdims=True) for faces in (probes, gallery)]
    nearest = np.argmax(unit[0] @ unit[1].T, axis=1)
    return float(np.mean(np.asarray(gallery_people)[nearest] == np.asarray(probe_people)))
