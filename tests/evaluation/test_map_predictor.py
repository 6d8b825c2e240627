from __future__ import annotations

import numpy as np
import pytest

from legan_tf.data.rendered import rendered_faces
from legan_tf.errors import UserError
from legan_tf.evaluation.config import EvaluationConfig
from legan_tf.evaluation.edit_plan import plan_edits
from legan_tf.evaluation.evaluate import evaluate
from legan_tf.evaluation.map_predictor import load_map_predictor
from legan_tf.evaluation.metrics.maps import inputs_of_maps
from legan_tf.evaluation.metrics.registry import compute
from legan_tf.graph_ops.pixels import to_float
from legan_tf.models import QualityEstimator
from legan_tf.training.datasets import rendered_split
from legan_tf.training.run_folder import DEPTH_FILE

SIZE, EDITS = 16, 40
OF_MAPS = {"map_l1", "map_correlation", "map_angle"}


def compare_maps(maps, true, geometry, kind="depth"):
    return compute(kind, inputs_of_maps(maps, true, geometry))


def test_the_true_map_has_no_error_and_an_inverted_one_runs_against_it():
    faces = rendered_faces("test", 2, ["neutral", "happy"], ["shot07"], SIZE, 0, map_kind="depth")
    true = faces.map_images(np.arange(4))
    same = compare_maps(true, true, "depth")
    for key, value in (("l1", 0), ("map_l1", 0), ("map_correlation", 1)):
        np.testing.assert_allclose(same[key], value, atol=1e-9)
    # The farthest tenth of the range lies below the threshold.
    assert np.all(same["overlap"] > 0.95)
    inverted = compare_maps(255 - true, true, "depth")
    np.testing.assert_allclose(inverted["map_correlation"], -1)
    assert set(same) == {"l1", "map_l1", "overlap", "map_correlation"}


def test_normals_are_compared_by_their_angles():
    faces = rendered_faces("test", 2, ["neutral"], ["shot07"], SIZE, 0, map_kind="normal")
    true = faces.map_images(np.arange(2))
    same = compare_maps(true, true, "normal")
    np.testing.assert_array_equal(same["overlap"], 1)
    np.testing.assert_allclose(same["map_angle"], 0, atol=1e-5)
    flat = np.broadcast_to(np.array([128, 128, 255], np.uint8), true.shape)
    z = faces.surface(np.arange(2), np.zeros(2, int))
    expected = [np.degrees(np.arccos(n[m][:, 2])) for n, m in zip(z.normals, z.mask)]
    found = compare_maps(flat, true, "normal")
    np.testing.assert_allclose(found["map_angle"], [e.mean() for e in expected], atol=0.5)
    np.testing.assert_allclose(found["median_angle"], [np.median(e) for e in expected], atol=0.5)


@pytest.mark.parametrize("geometry", ["depth", "normal"])
def test_edits_are_read_by_the_network_that_is_given(
    geometry, depth_networks, few_people, judges, dimming, tmp_path
):
    network, path = depth_networks[geometry]
    config = EvaluationConfig(edits=EDITS, depth_model=path, **judges)
    report = evaluate(dimming(lightings=()), str(tmp_path), config)
    assert report["maps"] == {"geometry": geometry, "edits": EDITS // 4}
    assert report["networks"]["depth"]["name"] == f"{geometry}.keras"
    # The same by other means, of the pictures that the plan names.
    faces = rendered_split("test", 4, "multipie", True, SIZE, 0, geometry)
    plan = plan_edits(dimming(lightings=()), faces, EDITS, 0)
    first = slice(0, EDITS // 4)
    pictures = {
        "edit": dimming(lightings=())(
            faces.images(plan.index[first]), expression=plan.labels["expression"][first]
        ),
        "copy": faces.images(plan.index[first]),
        "truth": faces.images(plan.truth[first]),
    }
    true = faces.map_images(plan.truth[first])
    key = "map_angle" if geometry == "normal" else "map_correlation"
    for row, images in pictures.items():
        maps = np.asarray(network.to_map(to_float(images)))
        maps = np.round((maps + 1) * 127.5).astype(np.uint8)
        found = compare_maps(maps, true, geometry)
        for name in ("map_l1", key):
            assert report["figures"][row][name] == pytest.approx(found[name].mean(), abs=2e-3)
        assert set(report["figures"][row]) & OF_MAPS == {"map_l1", key}
    text = (tmp_path / "report.md").read_text()
    assert "| map error ↓ |" in text and f"in {EDITS // 4} of the edits" in text


def test_a_runs_own_depth_network_reads_its_edits_unless_another_is_given(
    depth_networks, few_people, judges, dimming, tmp_path
):
    (tmp_path / DEPTH_FILE).write_bytes(open(depth_networks["depth"][1], "rb").read())
    editor = dimming(lightings=())
    editor.path = str(tmp_path)
    report = evaluate(editor, str(tmp_path / "out"), EvaluationConfig(edits=8, **judges))
    assert report["networks"]["depth"]["name"] == "the run's own depth.keras"
    assert report["maps"]["geometry"] == "depth"
    assert load_map_predictor("", "runs/elsewhere", SIZE) is None
    assert load_map_predictor(depth_networks["normal"][1], editor.path, SIZE).geometry == "normal"


def test_without_a_depth_network_nothing_is_said_of_maps(few_people, judges, copying, tmp_path):
    report = evaluate(copying(lightings=()), str(tmp_path), EvaluationConfig(edits=8, **judges))
    assert "maps" not in report and "depth" not in report["networks"]
    assert not OF_MAPS & set(report["figures"]["edit"])


def test_what_is_no_depth_network_of_the_edits_size_is_refused(depth_networks, tmp_path):
    with pytest.raises(UserError, match=r"^--depth_model=.*: it works on 16 x 16 pixels, not on"):
        load_map_predictor(depth_networks["depth"][1], "", 32)
    q = QualityEstimator(16, 4, 2)
    q.build()
    q.save(tmp_path / "q.keras")
    with pytest.raises(UserError, match="^--depth_model=.*QualityEstimator, not a DepthNetwork"):
        load_map_predictor(str(tmp_path / "q.keras"), "", SIZE)
