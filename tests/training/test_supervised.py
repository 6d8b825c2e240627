from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from legan_tf.data.conditions import of_classes
from legan_tf.data.rendered import rendered_faces
from legan_tf.models import AttributeClassifier, LightCNN29
from legan_tf.training.systems.classifier import ClassifierTrainer
from legan_tf.training.systems.identity import COSINE_SCALE, IdentityTrainer


def test_the_softmax_tells_apart_only_the_people_of_train():
    keras.utils.set_random_seed(0)
    people = np.array([7, 2, -1, 4, 2, 7], np.int32)  # 0, 1, 3, 5, 6 and 8 are held out.
    trainer = IdentityTrainer(LightCNN29(16, 0.125), people)
    kernel = trainer.head.get_weights()[0]
    assert kernel.shape[1] == 3

    image = np.random.default_rng(0).uniform(-1, 1, (6, 16, 16, 3)).astype(np.float32)
    batch = {"image": tf.constant(image), "identity": tf.constant(people)}
    (loss,) = tf.function(trainer.sample_losses)(batch)
    embedding = trainer.network(batch["image"], training=True).numpy().astype(np.float64)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    logits = COSINE_SCALE * embedding @ (kernel / np.linalg.norm(kernel, axis=0))
    entropy = np.log(np.exp(logits).sum(1)) - logits[np.arange(6), [2, 0, 0, 1, 0, 2]]
    expected = np.where(people < 0, 0, entropy)
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_a_classifier_of_one_attribute_learns_and_is_validated_by_that_one():
    trainer = ClassifierTrainer(
        AttributeClassifier(of_classes(expression=("neutral", "smile")), 16, 4)
    )
    assert trainer.terms == ("expression",)
    faces = rendered_faces("test", 2, ("neutral", "smile"), ("shot00",), 16, 0)
    batch = {"image": tf.zeros([4, 16, 16, 3]), "expression": tf.constant([0, 1, 1, -1])}
    batch["lighting"] = tf.constant([0, 0, 0, 0])
    (loss,) = tf.function(trainer.sample_losses)(batch)
    assert np.all(loss.numpy()[:3] > 0) and loss.numpy()[3] == 0
    figures = trainer.validate(faces, 4)
    assert list(figures) == ["val_expression"]
    assert figures["val_expression"] * 4 in range(5)
