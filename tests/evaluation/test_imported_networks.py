"""Networks that can be imported from published files, in the places where evaluation uses them."""

from __future__ import annotations

import numpy as np
import pytest

from legan_tf.data.rendered import rendered_faces
from legan_tf.evaluation.config import EvaluationConfig
from legan_tf.evaluation.image_networks import load_feature_network
from legan_tf.evaluation.judge_networks import load_judge_networks
from legan_tf.graph_ops.pixels import to_float
from legan_tf.models import FidInception, LightCNN29, VggFace, Vggface2ResNet50

FACES = {
    "vggface2_resnet50": lambda: Vggface2ResNet50(width=0.125),
    "vgg_face": lambda: VggFace(width=0.02),
    "lightcnn29_v1": lambda: LightCNN29(32, width=0.1, version=1),
}


def saved(network, folder):
    network.build()
    network.save(folder / "network.keras")
    return network, str(folder / "network.keras")


@pytest.mark.parametrize("name", FACES)
def test_the_match_score_takes_every_face_network(name, tmp_path):
    network, file = saved(FACES[name](), tmp_path)
    config = EvaluationConfig(dataset="manifest", identity_model=file)
    faces = rendered_faces("test", 1, ("neutral",), ("shot00",), network.image_size, seed=0)
    images = faces.images(np.arange(1))
    given = load_judge_networks(config, str(tmp_path), faces).face(images)
    np.testing.assert_allclose(given, network(to_float(images)), rtol=0, atol=1e-5)
    features = load_feature_network(file)(images)
    assert np.linalg.norm(features) == pytest.approx(np.sqrt(given.shape[1]), rel=1e-4)


def test_fid_takes_the_inception_of_pytorch_fid(tmp_path):
    inception, file = saved(FidInception(), tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (1, 299, 299, 3)).astype(np.uint8)
    network = load_feature_network(file)
    assert network.image_size == 299
    given = network(images)
    assert given.shape == (1, 2048) and np.abs(given).max() > 1e-3
    np.testing.assert_allclose(given, inception(to_float(images)), rtol=0, atol=1e-5)
