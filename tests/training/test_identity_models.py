"""Training with face networks other than the one that is trained here."""

from __future__ import annotations

from legan_tf.models import LightCNN29
from legan_tf.training.train import train


def test_the_identity_loss_takes_other_face_networks_than_the_one_trained_here(
    faces, tmp_path, runs
):
    network = LightCNN29(32, width=0.125, version=1)
    network.build()
    network.save(tmp_path / "face.keras")
    config = runs.config(
        tmp_path / "run",
        model="stargan",
        dataset="manifest",
        manifest=faces / "faces.csv",
        identity_model=tmp_path / "face.keras",
        quality_weight=0.0,
        train_steps=1,
        log_every=1,
        critic_steps=1,
    )
    assert train(config) == 0
    (line,) = runs.metrics(tmp_path / "run")
    assert 0 < line["identity"] < 4
