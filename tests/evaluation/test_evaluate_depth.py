from __future__ import annotations

import csv
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from legan_tf.data.attributes import AFFECTNET_EXPRESSIONS
from legan_tf.data.rendered import rendered_faces
from legan_tf.errors import UserError
from legan_tf.evaluation import evaluate as evaluate_module
from legan_tf.evaluation import evaluate_depth as depth_module
from legan_tf.evaluation.config import EvaluationConfig
from legan_tf.evaluation.evaluate_depth import evaluate_depth
from legan_tf.evaluation.metrics.maps import l1_inside, overlap, shown, silhouettes
from legan_tf.evaluation.metrics.psnr import mean_absolute_error, psnr
from legan_tf.evaluation.metrics.ssim import ssim
from legan_tf.graph_ops.pixels import to_float
from legan_tf.models import DepthNetwork
from legan_tf.serving.loading import load
from legan_tf.training.datasets import rendered_split

SIZE, READ = 16, 60
SCRIPT = pathlib.Path(__file__).parents[2] / "scripts" / "evaluate.py"


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Lets evaluations read two rendered people, and learn the mean from three others."""
    monkeypatch.setattr(evaluate_module, "HELD_OUT_PEOPLE", 2)
    monkeypatch.setattr(depth_module, "BASELINE_PEOPLE", 3)


def run(way, images):
    made = np.asarray(way(to_float(images)))
    return np.round((made + 1) * 127.5).astype(np.uint8)


@pytest.mark.parametrize("geometry", ["depth", "normal"])
def test_figures_are_those_of_the_pictures_themselves(geometry, depth_networks, tmp_path):
    network, path = depth_networks[geometry]
    report = evaluate_depth(load(path), str(tmp_path), EvaluationConfig(edits=READ))
    assert report == json.loads((tmp_path / "report.json").read_text())
    assert report["kind"] == "depth" and report["model"]["geometry"] == geometry
    assert report["data"]["read"] == READ and report["data"]["people"] == 2
    assert report["missing"] == []
    faces = rendered_split("test", 2, "affectnet", True, SIZE, 0, geometry)
    index = np.random.default_rng(0).permutation(len(faces))[:READ]
    pictures, true = faces.images(index), faces.map_images(index)
    maps = run(network.to_map, pictures)
    found, inside = report["figures"], shown(true)
    assert found["map"]["l1"] == pytest.approx(mean_absolute_error(maps, true).mean(), abs=1e-4)
    expected = l1_inside(maps, true, inside).mean()
    assert found["map"]["map_l1"] == pytest.approx(expected, abs=1e-4)
    expected = overlap(silhouettes(maps, geometry), inside).mean()
    assert found["map"]["overlap"] == pytest.approx(expected, abs=0.01)
    for row, made in (
        ("picture", run(network.to_rgb, true)),
        ("cycle", run(network.to_rgb, maps)),
    ):
        assert found[row]["ssim"] == pytest.approx(ssim(made, pictures).mean(), abs=1e-3)
        assert found[row]["psnr"] == pytest.approx(psnr(made, pictures).mean(), abs=1e-2)
    kinds = {"depth": "map_correlation", "normal": "median_angle"}
    assert {name for name, key in kinds.items() if key in found["map"]} == {geometry}
    assert set(report["per_expression"]) == set(AFFECTNET_EXPRESSIONS)
    assert sum(part["pictures"] for part in report["per_expression"].values()) == READ
    weighed = [
        part["pictures"] * part["map"]["map_l1"] for part in report["per_expression"].values()
    ]
    assert sum(weighed) / READ == pytest.approx(found["map"]["map_l1"])


@pytest.mark.parametrize("geometry", ["depth", "normal"])
def test_the_mean_of_other_people_is_far_better_than_an_untrained_network(
    geometry, depth_networks, tmp_path
):
    report = evaluate_depth(
        load(depth_networks[geometry][1]), str(tmp_path), EvaluationConfig(edits=READ)
    )
    figures = report["figures"]
    assert report["data"]["baseline"] == "456 pictures of rendered/train"
    assert figures["mean_map"]["overlap"] > 0.8 > figures["map"]["overlap"]
    assert figures["mean_map"]["map_l1"] < 0.13 < figures["map"]["map_l1"]
    assert figures["mean_picture"]["l1"] < figures["cycle"]["l1"]
    if geometry == "depth":
        assert figures["mean_map"]["map_correlation"] > 0.6
        assert figures["mean_map"]["pooled_correlation"] > 0.6
    else:
        assert figures["mean_map"]["map_angle"] < 25 < figures["map"]["map_angle"]
        assert figures["mean_map"]["median_angle"] < figures["mean_map"]["map_angle"]


def test_the_report_shows_tables_and_pictures(depth_networks, tmp_path):
    network, path = depth_networks["depth"]
    evaluate_depth(load(path), str(tmp_path), EvaluationConfig(edits=READ))
    text = (tmp_path / "report.md").read_text()
    for told in (
        "| the network's maps |",
        "| the mean map of training people |",
        "| there and back |",
        "happy (",
        "60 pictures of 2 people, from rendered/test",
        "above 0.1 of the range",
        "![maps.png](maps.png)",
    ):
        assert told in text
    with Image.open(tmp_path / "maps.png") as picture:
        drawn = np.asarray(picture)
    # Eight rows of six columns, whose last cells end where the picture does.
    cells = drawn[-8 * 128 :, -6 * 128 :].reshape(8, 128, 6, 128, 3)[:, 4::8, :, 4::8]
    inputs, true, maps = (cells[:, :, column] for column in range(3))
    np.testing.assert_array_equal(run(network.to_map, inputs), maps)
    error = np.minimum(4 * np.abs(maps.astype(int) - true).mean(axis=-1), 255)
    np.testing.assert_allclose(cells[:, :, 3, :, 0], error, atol=1)
    np.testing.assert_array_equal(run(network.to_rgb, maps), cells[:, :, 4])
    np.testing.assert_array_equal(run(network.to_rgb, true), cells[:, :, 5])
    assert len({picture.tobytes() for picture in inputs}) == 8


def test_a_second_call_runs_no_network(depth_networks, tmp_path, monkeypatch):
    model, config = load(depth_networks["depth"][1]), EvaluationConfig(edits=READ)
    report = evaluate_depth(model, str(tmp_path), config)
    for way in ("to_map", "to_rgb"):
        monkeypatch.setattr(DepthNetwork, way, None)
    assert evaluate_depth(model, str(tmp_path), config) == report


@pytest.fixture
def manifest(tmp_path):
    """Writes rendered faces and their depth as a manifest; ``change`` may alter its lines."""

    def write(change=lambda line: line):
        lines = []
        for split in ("train", "test"):
            faces = rendered_faces(split, 2, ["neutral"], ["shot07"], SIZE, 0, map_kind="depth")
            for i in range(len(faces)):
                names = {"path": f"{split}{i}.png", "depth": f"depth-{split}{i}.png"}
                Image.fromarray(faces.images([i])[0]).save(tmp_path / names["path"])
                Image.fromarray(faces.map_images([i])[0][..., 0]).save(tmp_path / names["depth"])
                lines.append(change({**names, "split": split}))
        with open(tmp_path / "faces.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, list(lines[0]))
            writer.writeheader()
            writer.writerows(lines)
        return EvaluationConfig(dataset="manifest", manifest=str(tmp_path / "faces.csv"))

    return write


def test_the_maps_of_a_manifest_are_read_alike(depth_networks, manifest, tmp_path):
    def first_of_test_without(line):
        return {**line, "depth": ""} if line["path"] == "test0.png" else line

    report = evaluate_depth(
        load(depth_networks["depth"][1]), str(tmp_path / "out"), manifest(first_of_test_without)
    )
    assert report["data"]["read"] == 1 and report["data"]["images"] == 2
    assert report["per_expression"] == {}
    faces = rendered_faces("test", 2, ["neutral"], ["shot07"], SIZE, 0, map_kind="depth")
    learnt = rendered_faces("train", 2, ["neutral"], ["shot07"], SIZE, 0, map_kind="depth")
    mean = learnt.map_images([0, 1]).astype(float)
    often = np.any(mean > 0, axis=0)
    mean = np.round(mean.sum(axis=0) / np.maximum((mean > 0).sum(axis=0), 1)) * often
    expected = mean_absolute_error(mean[None].astype(np.uint8), faces.map_images([1]))[0]
    assert report["figures"]["mean_map"]["l1"] == pytest.approx(expected)
    assert report["data"]["baseline"] == "2 pictures of faces.csv/train"


def test_without_maps_to_learn_the_mean_from_there_is_none(depth_networks, manifest, tmp_path):
    def only_test(line):
        return {**line, "depth": "" if line["split"] == "train" else line["depth"]}

    report = evaluate_depth(
        load(depth_networks["depth"][1]), str(tmp_path / "out"), manifest(only_test)
    )
    assert set(report["figures"]) == {"map", "picture", "cycle"}
    assert report["missing"] == ["The mean map needs maps of the manifest's train split."]
    assert "\n- The mean map needs" in (tmp_path / "out" / "report.md").read_text()


def test_a_split_without_maps_is_refused(depth_networks, manifest, tmp_path):
    config = manifest(lambda line: {**line, "depth": ""})
    with pytest.raises(UserError, match="^faces.csv/test has no depth map: fill the column"):
        evaluate_depth(load(depth_networks["depth"][1]), str(tmp_path / "out"), config)


def test_an_export_is_refused_as_it_goes_one_way_only(depth_networks, tmp_path):
    class Export:
        path = str(tmp_path)

    with pytest.raises(UserError, match="judged both ways, of which an export has one"):
        evaluate_depth(Export(), str(tmp_path / "out"))


def test_a_network_that_judges_edits_is_refused(depth_networks, tmp_path):
    path = depth_networks["depth"][1]
    with pytest.raises(UserError, match=f"judged by true maps .* leave out --depth_model={path}"):
        evaluate_depth(load(path), str(tmp_path / "out"), EvaluationConfig(depth_model=path))
    assert not (tmp_path / "out").exists()


def test_the_command_judges_a_depth_network(depth_networks, tmp_path):
    flags = [f"--model={depth_networks['depth'][1]}", f"--output={tmp_path / 'out'}", "--edits=4"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *flags], capture_output=True, text=True, check=True
    )
    assert "From pictures to maps of depth:" in done.stdout
    assert json.loads((tmp_path / "out" / "report.json").read_text())["data"]["read"] == 4
