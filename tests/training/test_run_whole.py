"""Whole runs on faces that they render and on pictures that a manifest names."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from PIL import Image

from legan_tf.models import LeganGenerator, LightCNN29, QualityEstimator
from legan_tf.training.gan import ADVERSARIAL_TERMS
from legan_tf.training.train import train


@pytest.fixture(autouse=True)
def float32():
    yield
    keras.mixed_precision.set_global_policy("float32")


@pytest.fixture(scope="module")
def rendered(runs, tmp_path_factory):
    """LEGAN on rendered faces with nothing given, four steps to a return, in bfloat16."""
    workdir = tmp_path_factory.mktemp("whole") / "legan"
    config = runs.config(
        workdir,
        model="legan",
        train_steps=8,
        steps_per_execution=4,
        log_every=4,
        sample_every=8,
        checkpoint_every=4,
        precision="bfloat16",
        critic_steps=1,
    )
    assert train(config) == 0
    keras.mixed_precision.set_global_policy("float32")
    return config, workdir


def test_steps_per_execution_logs_saves_and_looks_at_the_right_steps(rendered, runs):
    config, workdir = rendered
    assert [line["step"] for line in runs.metrics(workdir)] == [4, 8]
    terms = {*ADVERSARIAL_TERMS, "identity", "naturalness", "preservation"}
    assert terms <= runs.metrics(workdir)[0].keys()
    saved = sorted(path.stem for path in (workdir / "checkpoints").glob("*.index"))
    assert saved == ["ckpt-4", "ckpt-8"]
    assert [path.name for path in (workdir / "samples").iterdir()] == ["samples-0000008.png"]


def test_weights_stay_float32_under_bfloat16(rendered, runs):
    _, workdir = rendered
    network = keras.models.load_model(workdir / "model.keras")
    assert isinstance(network, LeganGenerator)
    assert {np.asarray(weight).dtype for weight in network.get_weights()} == {np.dtype("float32")}


def test_the_sample_grid_shows_truth_and_masks(rendered):
    config, workdir = rendered
    grid = np.asarray(Image.open(workdir / "samples/samples-0000008.png"))
    size, rows = config.data.image_size, 3 * 3
    # The input, six expressions and seven lights; a header; image, truth and masks per person.
    assert grid.shape == (14 + rows * size, (1 + 6 + 7) * size, 3)
    cells = grid[14:].reshape(rows, size, 14, size, 3).swapaxes(1, 2)
    for person in range(3):
        edited, truth, masks = cells[3 * person : 3 * person + 3]
        assert (truth[0] == 255).all() and (masks[0] == 255).all()
        # One of the true expressions is the picture's own, that of the input.
        assert any((cell == edited[0]).all() for cell in truth[1:7])
        assert len({cell.tobytes() for cell in truth[1:7]}) > 3
        assert all(cell.std() > 10 for cell in truth[1:])
        assert (masks == masks[..., :1]).all()


def test_networks_that_are_not_given_are_trained_first_and_used_again(rendered, capsys):
    config, workdir = rendered
    assert isinstance(keras.models.load_model(workdir / "quality/model.keras"), QualityEstimator)
    assert isinstance(keras.models.load_model(workdir / "identity/model.keras"), LightCNN29)
    (record,) = [json.loads(line) for line in (workdir / "record.jsonl").read_text().splitlines()]
    for kind in ("quality", "identity"):
        assert record["began_with"][kind] == (f"{workdir / kind} (trained by this run)")
    assert record["from_step"] == 0
    assert set(record["parameters"]) == {
        "legan_generator", "discriminator", "quality_estimator", "lightcnn29",
    }  # fmt: skip

    frozen = {kind: (workdir / kind / "model.keras").read_bytes() for kind in record["began_with"]}  # noqa: E501
    capsys.readouterr()
    assert train(config) == 0
    told = capsys.readouterr().err
    assert "complete at step 8, nothing to do" in told
    assert "is trained" not in told and "rating" not in told
    for kind, before in frozen.items():
        assert (workdir / kind / "model.keras").read_bytes() == before


def test_legan_on_a_manifest_with_unknown_labels_and_given_networks(
    rendered, faces, manifest_rows, tmp_path, runs, capsys
):
    _, whole = rendered
    rows = []
    for index, row in enumerate(manifest_rows):
        row = {**row, "path": faces / row["path"], "split": "train"}
        if index % 3 == 0:
            row["expression"] = ""
        if index % 5 == 0:
            row["lighting"] = ""
        if index % 7 == 0:
            row["identity"] = ""
        rows.append(row)
    config = runs.config(
        tmp_path / "run",
        model="legan",
        dataset="manifest",
        manifest=runs.write_manifest(tmp_path, rows),
        quality_model=whole / "quality",
        identity_model=whole / "identity/model.keras",
        train_steps=2,
        log_every=1,
        critic_steps=1,
    )
    capsys.readouterr()
    assert train(config) == 0
    assert "NOTE" not in capsys.readouterr().err
    assert not (tmp_path / "run/quality").exists()
    record = json.loads((tmp_path / "run/record.jsonl").read_text())
    assert record["began_with"] == {
        "quality": str(whole / "quality"),
        "identity": str(whole / "identity/model.keras"),
    }
    for line in runs.metrics(tmp_path / "run"):
        assert all(np.isfinite(value) for value in line.values())
    network = keras.models.load_model(tmp_path / "run/model.keras")
    assert network.names("expression") == ("neutral", "smile")
    assert any("no held-out people" in line for line in record["data"])
    # Everybody is in train, and the name of the picture says so.
    (samples,) = (tmp_path / "run/samples").iterdir()
    assert samples.name == "samples-train-0000002.png"
    grid = np.asarray(Image.open(samples))
    # No truth is known of photographs: image and masks for each of three people.
    assert grid.shape == (14 + 3 * 2 * 16, (1 + 2 + 4) * 16, 3)


@pytest.mark.parametrize("moved_to", ["val", "test", "train"])
def test_training_looks_at_held_out_people_or_at_nobody(
    moved_to, faces, manifest_rows, tmp_path, runs, capsys
):
    rows = [
        {
            **row,
            "path": faces / row["path"],
            "split": "train" if row["split"] == "train" else moved_to,
        }
        for row in manifest_rows
    ]
    config = runs.config(
        tmp_path / "run",
        model="classifier",
        dataset="manifest",
        manifest=runs.write_manifest(tmp_path, rows),
        classifier_width=4,
        train_steps=1,
    )
    assert train(config) == 0
    validated = any("val_expression" in line for line in runs.metrics(tmp_path / "run"))
    assert validated == (moved_to != "train")
    (record,) = [json.loads(x) for x in (tmp_path / "run/record.jsonl").read_text().splitlines()]
    table = "\n".join(record["data"])
    assert ("no held-out people" in table) == (moved_to == "train")
    assert ("looks at the people of 'test'" in table) == (moved_to == "test")
    # Once the files are known, only what is trained on and looked at is read.
    capsys.readouterr()
    config.datasets()
    progress = capsys.readouterr().err
    read = {split for split in ("train", "val", "test") if f"reading {split} images" in progress}
    assert read == {"train", moved_to}
