from __future__ import annotations

import types

import numpy as np
import pytest

from legan_tf.data.conditions import of_classes
from legan_tf.data.rendered import rendered_faces
from legan_tf.errors import UserError
from legan_tf.evaluation.cache import Cache
from legan_tf.evaluation.config import EvaluationConfig
from legan_tf.evaluation.evaluator import Evaluator
from legan_tf.evaluation.image_networks import face_features
from legan_tf.evaluation.judge_networks import load_judge_networks
from legan_tf.models import AttributeClassifier

MANIFEST = {"dataset": "manifest", "manifest": "faces.csv"}


@pytest.fixture(scope="module")
def faces():
    return rendered_faces("test", 2, ("smile", "neutral"), ("shot04", "shot00"), 16, 0)


def evaluator(networks, folder):
    return Evaluator(networks, Cache(str(folder / "cache")), lambda images: None)


def test_logits_come_in_the_classes_of_the_faces(judges, faces, tmp_path):
    networks = load_judge_networks(EvaluationConfig(**judges), "", faces)
    images = faces.images(np.arange(len(faces)))
    found = evaluator(networks, tmp_path).predict(images)
    raw = networks.classifier(images)
    # Multi-PIE's order has neutral first, and shot00 before shot04.
    np.testing.assert_array_equal(found["expression_logits"], raw["expression"][:, [1, 0]])
    np.testing.assert_array_equal(found["lighting_logits"], raw["lighting"][:, [4, 0]])
    np.testing.assert_array_equal(
        networks.in_names(networks.classifier(images))["lighting"], found["lighting_logits"]
    )
    np.testing.assert_allclose(found["features"], face_features(found["embedding"]))
    assert found["predicted_rating"].shape == (len(faces),)


def test_each_picture_is_seen_once_by_each_network(judges, faces, tmp_path):
    networks = load_judge_networks(EvaluationConfig(**judges), "", faces)
    images = faces.images(np.arange(4))
    first = evaluator(networks, tmp_path).predict(images)
    files = sorted((tmp_path / "cache").iterdir())
    assert len(files) == 3

    def fail(images):
        raise AssertionError("looked at again")

    for network in (networks.classifier, networks.face, networks.quality):
        network.function = fail
    again = evaluator(networks, tmp_path).predict(images)
    for name, values in first.items():
        np.testing.assert_array_equal(again[name], values)
    assert sorted((tmp_path / "cache").iterdir()) == files
    with pytest.raises(AssertionError, match="looked at again"):
        evaluator(networks, tmp_path).predict(images[:3])


def test_the_pictures_are_counted(judges, faces, tmp_path):
    counted = []
    networks = load_judge_networks(EvaluationConfig(**judges), "", faces)
    Evaluator(networks, Cache(str(tmp_path)), counted.append).predict(faces.images(np.arange(5)))
    assert counted == [5]


def test_with_a_manifest_there_are_the_networks_that_were_given(judges, faces, tmp_path):
    given = {"identity_model": judges["identity_model"]}
    networks = load_judge_networks(EvaluationConfig(**MANIFEST, **given), str(tmp_path), faces)
    assert {*networks.descriptions} == {"face", "features"}
    assert networks.descriptions["face"]["input"] == "16 x 16, bilinear, antialias"
    wanted = "16 x 16, bilinear, antialias; scaled to length √D"
    assert networks.descriptions["features"]["input"] == wanted
    told = " ".join(networks.missing())
    assert all(flag in told for flag in ("--classifier_model", "--quality_model", "--lpips"))
    assert "--identity_model" not in told
    assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="--features=face needs --identity_model with a manifest"):
        load_judge_networks(EvaluationConfig(**MANIFEST), str(tmp_path), faces)


def test_a_network_of_another_kind_is_refused(judges, faces):
    for flag, other in (
        ("classifier_model", "quality_model"),
        ("quality_model", "identity_model"),
        ("identity_model", "classifier_model"),
    ):
        config = EvaluationConfig(**{**judges, flag: judges[other]})
        with pytest.raises(UserError, match=f"^--{flag}=.*holds a"):
            load_judge_networks(config, "", faces)
    config = EvaluationConfig(**{**judges, "quality_model": "absent"})
    with pytest.raises(UserError, match="^--quality_model=absent: no such file"):
        load_judge_networks(config, "", faces)


def test_a_classifier_that_lacks_a_class_is_refused(judges, faces, tmp_path):
    network = AttributeClassifier(
        of_classes(expression=("neutral", "scream"), lighting=("shot00", "shot04")), 16, 4
    )
    network.build()
    network.save(tmp_path / "c.keras")
    config = EvaluationConfig(**{**judges, "classifier_model": str(tmp_path / "c.keras")})
    with pytest.raises(UserError, match="cannot tell the expression smile of rendered/test"):
        load_judge_networks(config, "", faces)


def test_a_classifier_of_one_attribute_reads_that_one(judges, faces, tmp_path):
    network = AttributeClassifier(of_classes(expression=("neutral", "smile")), 16, 4)
    network.build()
    network.save(tmp_path / "c.keras")
    config = EvaluationConfig(**{**judges, "classifier_model": str(tmp_path / "c.keras")})
    found = evaluator(load_judge_networks(config, "", faces), tmp_path).predict(
        faces.images(np.arange(2))
    )
    assert found["expression_logits"].shape == (2, 2) and "lighting_logits" not in found


def test_likeness_is_that_of_pairs(judges, faces, tmp_path):
    look = evaluator(load_judge_networks(EvaluationConfig(**judges), "", faces), tmp_path)
    images = faces.images(np.arange(4))
    same, other = look.compare(images, images), look.compare(images, images[::-1])
    assert {*same} == {"ssim", "psnr", "l1"}
    np.testing.assert_allclose(same["ssim"], 1)
    assert np.all(np.isinf(same["psnr"])) and np.all(same["l1"] == 0)
    assert np.all(other["ssim"] < 1) and np.all(other["l1"] > 0)


def test_lpips_is_measured_once(judges, faces, tmp_path):
    calls = []

    def lpips(first, second):
        calls.append(len(first))
        return np.arange(len(first), dtype=np.float32)

    networks = load_judge_networks(EvaluationConfig(**judges), "", faces)
    fake = types.SimpleNamespace(description={"name": "l", "sha256": "0", "input": ""})
    distance = type("Distance", (), {"__call__": lambda self, a, b: lpips(a, b)})()
    distance.description = fake.description
    object.__setattr__(networks, "lpips", distance)
    images = faces.images(np.arange(4))
    for _ in range(2):
        kept = evaluator(networks, tmp_path).compare(images, images[::-1])["lpips"]
        np.testing.assert_array_equal(kept, [0, 1, 2, 3])
    assert calls == [4]


def test_one_face_network_gives_embeddings_and_features_that_are_not_mixed_up(
    judges, faces, tmp_path
):
    config = EvaluationConfig(**judges, features=judges["identity_model"])
    found = evaluator(load_judge_networks(config, "", faces), tmp_path).predict(
        faces.images(np.arange(3))
    )
    np.testing.assert_allclose(np.linalg.norm(found["features"], axis=1), 16.0, rtol=1e-5)
    assert not np.allclose(np.linalg.norm(found["embedding"], axis=1), 16.0)


def test_a_network_that_cannot_be_loaded_is_told_before_judges_are_trained(faces, tmp_path):
    folder = tmp_path / "judges"
    with pytest.raises(UserError, match="^--features=absent: no such file"):
        load_judge_networks(EvaluationConfig(features="absent"), str(folder), faces)
    assert not folder.exists()
