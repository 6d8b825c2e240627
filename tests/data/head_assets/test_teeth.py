from __future__ import annotations

import numpy as np
import pytest

from legan_tf.data.head_assets import teeth

UPPER = teeth.Arch(upper=True, edge=-3.0, front=10.0, width=3.5, depth=5.3)
LOWER = teeth.Arch(upper=False, edge=-3.1, front=9.8, width=3.25, depth=5.1)


def edges(vertices, faces, gum):
    """Crowns as lists of their vertices."""
    crowns = np.unique(faces[~gum])
    return vertices[crowns].reshape(14, -1, 3)


@pytest.mark.parametrize("arch", [UPPER, LOWER], ids=["upper", "lower"])
def test_crowns_stand_along_the_arch_with_their_edges_together(arch):
    crowns = edges(*teeth.teeth(arch, teeth.Dentition()))
    ends = crowns[:, :, 1].min(1) if arch.upper else crowns[:, :, 1].max(1)
    np.testing.assert_allclose(ends[[0, 7]], arch.edge)
    assert np.abs(ends - arch.edge).max() < 0.21
    assert crowns[:, :, 2].max() < arch.front + 0.1
    middles = crowns.mean(1)
    np.testing.assert_allclose(middles[:7] * [-1, 1, 1], middles[7:], atol=1e-9)
    assert (np.diff(middles[:7, 0]) > 0).all()
    assert (np.diff(middles[:7, 2]) < 0).all()
    # Incisors of text books: the upper one is the broader.
    width = np.ptp(crowns[0, :, 0])
    assert width == pytest.approx(0.86 if arch.upper else 0.53, abs=0.05)


def test_surfaces_face_outwards():
    for arch in (UPPER, LOWER):
        vertices, faces, gum = teeth.teeth(arch, teeth.Dentition())
        for crown in range(14):
            quads = faces[~gum].reshape(14, -1, 4)[crown]
            corners = vertices[quads]
            normal = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
            outwards = (normal * (corners.mean(1) - corners.mean((0, 1)))).sum(1)
            assert (outwards > 0).mean() > 0.9


def test_gums_cover_the_necks_and_leave_the_edges():
    vertices, faces, gum = teeth.teeth(UPPER, teeth.Dentition())
    gums = vertices[np.unique(faces[gum])]
    front = np.abs(gums[:, 0]) < 0.4
    # A crown is 1.05 high; between two of them the gum reaches further down than on them.
    assert UPPER.edge + 0.4 < gums[front, 1].min() < UPPER.edge + 0.75
    middle = edges(vertices, faces, gum)[0][:, 0].mean()
    on_crown = np.abs(gums[:, 0] - middle) < 0.08
    assert gums[on_crown, 1].min() > gums[front, 1].min() + 0.1
    # Both halves meet in the middle.
    assert np.abs(gums[:, 0]).min() < 0.01


def test_sets_have_one_topology_and_their_own_marks():
    regular, worn, gaps, crowded = (teeth.teeth(UPPER, each) for each in teeth.SETS)
    for made in (worn, gaps, crowded):
        np.testing.assert_array_equal(made[1], regular[1])
        np.testing.assert_array_equal(made[2], regular[2])

    def midline(made):
        crowns = edges(*made)
        return crowns[0, :, 0].min() - crowns[7, :, 0].max()

    def uneven(made):
        return edges(*made)[[0, 1, 7, 8], :, 1].min(1).std()

    assert midline(gaps) > 0.08 > midline(regular) > midline(crowded)
    assert uneven(crowded) > uneven(regular)
    height = lambda made: np.ptp(edges(*made)[0, :, 1])  # noqa: E731
    assert height(worn) < 0.9 * height(regular)


def test_the_same_dentition_is_the_same():
    np.testing.assert_array_equal(
        teeth.teeth(LOWER, teeth.SETS[3])[0], teeth.teeth(LOWER, teeth.SETS[3])[0]
    )


def test_crowns_are_as_large_as_the_arch():
    small = teeth.Arch(True, -3.0, 10.0, 1.75, 2.65)
    made, halved = (edges(*teeth.teeth(arch, teeth.Dentition())) for arch in (UPPER, small))
    np.testing.assert_allclose(np.ptp(halved[0], 0), np.ptp(made[0], 0) / 2, rtol=0.1)
