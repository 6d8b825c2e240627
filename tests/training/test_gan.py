"""What one step of adversarial training changes, and what it must leave alone."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from legan_tf import losses
from legan_tf.data.attributes import MULTIPIE_EXPRESSIONS, lightings
from legan_tf.data.conditions import BinaryCondition, of_classes
from legan_tf.data.rendered import rendered_faces
from legan_tf.losses import terms
from legan_tf.models import (
    Discriminator,
    LeganGenerator,
    LightCNN29,
    QualityEstimator,
    StarganGenerator,
)
from legan_tf.runtime.compat import scalar, tensorflow_variable
from legan_tf.training.gan import EditorGAN
from legan_tf.training.optimizers import Adam
from legan_tf.training.systems.stargan import Stargan

SIZE = 16
EXPRESSIONS = ("neutral", "smile", "scream")
LIGHTINGS = ("left", "right")
BODY = {"image_size": SIZE, "width": 4, "blocks": 0, "stem": False}
PLAIN = {"identity_weight": 0.0, "quality_weight": 0.0, "ema_decay": 0.0}


def weighted(**options) -> dict:
    """The groups of options that a GAN takes."""
    system = Stargan.of(**options)
    return {"adversarial": system.gan, "editing": system.editing, "edit_terms": system.edit_terms}


def legan(**options) -> EditorGAN:
    """A tiny LEGAN whose Q and identity network see other sizes than it paints."""
    keras.utils.set_random_seed(0)
    return EditorGAN(
        LeganGenerator(
            of_classes(expression=EXPRESSIONS, lighting=LIGHTINGS), **BODY, mask_channels=3
        ),
        Discriminator(of_classes(expression="abc", lighting="ab"), SIZE, width=4, depth=2),
        quality=QualityEstimator(8, width=4, depth=2),
        identity=LightCNN29(32, width=0.05),
        **weighted(**{"ema_decay": 0.9, **options}),
    )


def stargan(
    lightings=LIGHTINGS, fake_class: bool = False, with_q: bool = False, **options
) -> EditorGAN:
    """The same with one hourglass and, unless asked for, without Q."""
    keras.utils.set_random_seed(0)
    return EditorGAN(
        StarganGenerator(of_classes(expression=EXPRESSIONS, lighting=lightings), **BODY),
        Discriminator(
            of_classes(expression="abc", lighting=lightings),
            SIZE,
            width=4,
            depth=2,
            fake_class=fake_class,
        ),
        quality=QualityEstimator(SIZE, width=4, depth=2) if with_q else None,
        **weighted(**{**PLAIN, **options}),
    )


def compiled(gan: EditorGAN, d_rate: float = 1e-2, g_rate: float = 1e-2) -> EditorGAN:
    gan.compile(
        d_optimizer=Adam(d_rate, 0.5),
        g_optimizer=Adam(g_rate, 0.5),
    )
    return gan


def batch_of(rows: int = 2, critic_steps: int = 1, seed: int = 0, **labels):
    rng = np.random.default_rng(seed)
    shape = (rows, critic_steps)
    batch = {
        "image": rng.uniform(-1, 1, (*shape, SIZE, SIZE, 3)),
        "expression": rng.integers(0, 3, shape),
        "lighting": rng.integers(0, 2, shape),
        "target_expression": rng.integers(0, 3, shape),
        "target_lighting": rng.integers(0, 2, shape),
        "alpha": rng.uniform(0, 1, shape),
    }
    for name, values in labels.items():
        batch[name] = np.broadcast_to(np.reshape(values, (-1, 1)), shape)
    floats = ("image", "alpha")
    return {
        name: tf.constant(values, tf.float32 if name in floats else tf.int32)
        for name, values in batch.items()
    }


def step(gan: EditorGAN, batch) -> dict[str, float]:
    for mean in gan.metrics:
        mean.reset_state()
    return {name: float(value) for name, value in gan.train_step(batch).items()}


def changed(before, after) -> bool:
    return any((old != new).any() for old, new in zip(before, after, strict=True))


def code(label: int, classes: int):
    return tf.one_hot([label], classes)


def test_a_step_changes_g_and_d_and_never_q_or_the_identity_network():
    gan = compiled(legan())
    networks = (gan.generator, gan.discriminator, gan.quality, gan.identity)
    before = [network.get_weights() for network in networks]
    for seed in range(2):
        figures = step(gan, batch_of(seed=seed))
        assert all(np.isfinite(value) for value in figures.values())
    after = [network.get_weights() for network in networks]
    assert [changed(*pair) for pair in zip(before, after)] == [True, True, False, False]
    # Every weight of G, of each of the three hourglasses, has moved.
    assert all((old != new).any() for old, new in zip(before[0], after[0]))
    assert not gan.quality.trainable_variables and not gan.identity.trainable_variables


def test_q_and_the_identity_network_move_g_and_not_d():
    weights = []
    for term in ({}, {"quality_weight": 50.0}, {"identity_weight": 50.0}):
        gan = compiled(legan(**term))
        step(gan, batch_of())
        weights.append((gan.discriminator.get_weights(), gan.generator.get_weights()))
    (plain_d, plain_g), *stronger = weights
    for d, g in stronger:
        assert not changed(plain_d, d)
        assert changed(plain_g, g)


def test_the_classification_loss_moves_both():
    results = []
    for weight in (0.5, 50.0):
        gan = compiled(stargan(attribute_weight=weight))
        step(gan, batch_of())
        results.append((gan.discriminator.get_weights(), gan.generator.get_weights()))
    assert changed(results[0][0], results[1][0])
    assert changed(results[0][1], results[1][1])


def test_a_registered_term_moves_g_by_its_weight(monkeypatch):
    monkeypatch.setattr(terms, "_TERMS", {})

    @terms.loss_term("contrast", terms.EDITOR, help="")
    def contrast(tensors):
        difference = tensors["edited"] - tensors["original"] + tensors["reconstructed"]
        # An unknown source cannot be compared with the edit undone.
        return tf.where(tensors["undoable"], tf.reduce_mean(tf.square(difference), [1, 2, 3]), 0.0)

    results = []
    for weight in (0.0, 50.0):
        gan = stargan()
        gan.edit_terms = terms.term_options(terms.EDITOR)(contrast_weight=weight)
        figures = step(compiled(gan), batch_of())
        assert ("contrast" in figures) == (weight > 0)
        results.append((gan.discriminator.get_weights(), gan.generator.get_weights()))
    assert not changed(results[0][0], results[1][0])
    assert changed(results[0][1], results[1][1])
    # Of a source without its label an edit cannot be undone.
    rest = {"target_expression": [1], "lighting": [0], "target_lighting": [1]}
    figures = [
        step(compiled(gan), batch_of(rows=1, expression=[label], **rest))["contrast"]
        for label in (0, -1)
    ]
    assert figures[1] == 0 < figures[0]


def test_one_step_updates_the_discriminator_so_many_times_and_the_generator_once():
    gan = compiled(stargan())
    step(gan, batch_of(critic_steps=3))
    assert (scalar(gan.d_optimizer.iterations), scalar(gan.g_optimizer.iterations)) == (3, 1)
    step(gan, batch_of(critic_steps=3))
    assert (scalar(gan.d_optimizer.iterations), scalar(gan.g_optimizer.iterations)) == (6, 2)


def test_the_generator_learns_from_the_last_of_the_discriminators_batches():
    first, last = batch_of(seed=1), batch_of(seed=2)
    other = batch_of(seed=3)

    def g_weights(*batches):
        gan = compiled(stargan(), d_rate=0.0)  # D stands still, so only G's own batch can matter.
        step(gan, {name: tf.concat([b[name] for b in batches], 1) for name in first})
        return gan.generator.get_weights()

    wanted = g_weights(first, last)
    assert not changed(wanted, g_weights(other, last))
    assert changed(wanted, g_weights(first, other))


def test_the_average_by_hand():
    gan = compiled(stargan(ema_decay=0.9))
    average = gan.generator.get_weights()
    for seed in range(2):
        step(gan, batch_of(seed=seed))
        average = [0.9 * a + 0.1 * w for a, w in zip(average, gan.generator.get_weights())]
    for wanted, weight in zip(average, gan.averaged_generator.get_weights(), strict=True):
        np.testing.assert_allclose(weight, wanted, atol=1e-6)
    assert changed(gan.generator.get_weights(), gan.averaged_generator.get_weights())
    assert gan.used("generator") is gan.averaged_generator is gan.products["model.keras"]


def test_without_averaging_the_generator_itself_is_used():
    gan = compiled(stargan())
    assert gan.used("generator") is gan.generator is gan.products["model.keras"]


def test_the_reported_terms_are_those_of_the_paper():
    # D stands still and G is looked at before its own step, so each term can be worked out.
    gan = compiled(legan(), d_rate=0.0)
    batch = batch_of(rows=1, expression=0, target_expression=2, lighting=1, target_lighting=0)
    image = batch["image"][:, 0]
    asked = {"image": image, "expression": code(2, 3), "lighting": code(0, 2)}
    edited = gan.generator(asked)["image"]
    back_codes = {"image": edited, "expression": code(0, 3), "lighting": code(1, 2)}
    back = gan.generator(back_codes)["image"]
    on_real, on_fake = gan.discriminator(image), gan.discriminator(edited)

    def entropies(judged, expression, lighting):
        return -(
            tf.nn.log_softmax(judged["expression"])[0, expression]
            + tf.nn.log_softmax(judged["lighting"])[0, lighting]
        )

    def rated(images):
        return gan.quality(tf.image.resize(images, [8, 8], antialias=True))

    def embedded(images):
        return gan.identity(tf.image.resize(images, [32, 32], antialias=True))

    penalty = losses.gradient_penalty(
        lambda images: gan.discriminator(images)["realness"], image, edited, batch["alpha"][:, 0]
    )
    wanted = {
        "discriminator": tf.reduce_mean(on_fake["realness"]) - tf.reduce_mean(on_real["realness"]),
        "penalty": penalty[0],
        "discriminator_attributes": entropies(on_real, 0, 1),
        "generator": -tf.reduce_mean(on_fake["realness"]),
        "attributes": entropies(on_fake, 2, 0),
        "reconstruction": tf.reduce_mean(tf.abs(image - back)),
        "identity": losses.identity_loss(embedded(image), embedded(edited))[0],
        "naturalness": tf.abs(8.0 - rated(edited))[0],
        "preservation": tf.abs(rated(image) - rated(back))[0],
    }
    figures = step(gan, batch)
    assert tuple(figures) == gan.terms
    assert figures == pytest.approx({k: float(v) for k, v in wanted.items()}, rel=1e-4, abs=1e-5)


def test_the_steps_follow_the_weighted_sum():
    # One step of plain gradient descent on each network, against the gradient of the sum.
    gan = legan(
        adversarial_weight=0.7,
        attribute_weight=1.3,
        reconstruction_weight=5.0,
        identity_weight=3.0,
        quality_weight=0.2,
        quality_target=6.0,
        penalty_weight=2.0,
        ema_decay=0.0,
    )
    gan.compile(d_optimizer=keras.optimizers.SGD(0.0), g_optimizer=keras.optimizers.SGD(1.0))
    batch = batch_of(rows=2, expression=[0, 1], target_expression=[2, 1])
    flat = {name: values[:, 0] for name, values in batch.items()}
    codes = {
        name: tf.one_hot(flat[name], 3 if "expression" in name else 2)
        for name in ("expression", "lighting", "target_expression", "target_lighting")
    }
    with tf.GradientTape() as tape:
        edited = gan.generator(
            {
                "image": flat["image"],
                "expression": codes["target_expression"],
                "lighting": codes["target_lighting"],
            }
        )["image"]
        back = gan.generator(
            {"image": edited, "expression": codes["expression"], "lighting": codes["lighting"]}
        )["image"]
        judged = gan.discriminator(edited)
        rating = [
            gan.quality(tf.image.resize(images, [8, 8], antialias=True))
            for images in (flat["image"], edited, back)
        ]
        embedding = [
            gan.identity(tf.image.resize(images, [32, 32], antialias=True))
            for images in (flat["image"], edited)
        ]
        total = tf.reduce_mean(
            0.7 * losses.generator_adversarial_loss(judged["realness"])
            + 1.3 * losses.classification_loss(judged["expression"], flat["target_expression"])
            + 1.3 * losses.classification_loss(judged["lighting"], flat["target_lighting"])
            + 5.0 * losses.reconstruction_loss(flat["image"], back)
            + 3.0 * losses.identity_loss(*embedding)
            + 0.2 * losses.quality_naturalness_loss(rating[1], 6.0)
            + 0.2 * losses.quality_preservation_loss(rating[0], rating[2])
        )
    variables = gan.generator.trainable_variables
    wanted = [
        (w - g).numpy()
        for w, g in zip(map(tensorflow_variable, variables), tape.gradient(total, variables))
    ]
    step(gan, batch)
    for weight, variable in zip(wanted, variables, strict=True):
        np.testing.assert_allclose(tensorflow_variable(variable), weight, atol=2e-5, rtol=1e-3)


def test_unknown_labels_cost_nothing_and_are_left_out_of_the_cycle():
    gan = compiled(stargan(with_q=True, quality_weight=1.0), d_rate=0.0)
    labels = {"target_expression": [2, 2], "lighting": [0, 0], "target_lighting": [1, 1]}
    batch = batch_of(expression=[1, -1], **labels)
    known = {name: values[:1] for name, values in batch.items()}
    image = known["image"][:, 0]
    edited = gan.generator({"image": image, "expression": code(2, 3), "lighting": code(1, 2)})
    back = gan.generator(
        {"image": edited["image"], "expression": code(1, 3), "lighting": code(0, 2)}
    )
    per_row = float(tf.reduce_mean(tf.abs(image - back["image"])))
    judged = gan.discriminator(batch["image"][:, 0])
    entropy = -tf.nn.log_softmax(judged["lighting"])[:, 0]
    entropy -= tf.constant([1.0, 0.0]) * tf.nn.log_softmax(judged["expression"])[:, 1]
    figures = step(gan, batch)
    assert figures["reconstruction"] == pytest.approx(per_row / 2, rel=1e-4)
    assert figures["discriminator_attributes"] == pytest.approx(
        float(tf.reduce_mean(entropy)), rel=1e-4
    )
    figures = step(gan, batch_of(expression=[-1, -1], **labels))
    assert figures["reconstruction"] == figures["preservation"] == 0.0


def test_an_unknown_label_that_is_left_alone_stays_in_the_cycle():
    gan = compiled(stargan())
    figures = step(gan, batch_of(expression=[-1, -1], target_expression=[-1, -1]))
    assert figures["reconstruction"] > 0.0


def test_keeping_an_attribute_wants_the_one_that_the_face_has():
    gan = compiled(stargan(), d_rate=0.0)
    batch = batch_of(1, expression=1, target_expression=-1, lighting=0, target_lighting=1)
    nothing = tf.zeros([1, 3])
    image = batch["image"][:, 0]
    edited = gan.generator({"image": image, "expression": nothing, "lighting": code(1, 2)})["image"]
    judged = gan.discriminator(edited)
    wanted = -tf.nn.log_softmax(judged["expression"])[0, 1]
    wanted -= tf.nn.log_softmax(judged["lighting"])[0, 1]
    assert step(gan, batch)["attributes"] == pytest.approx(float(wanted), rel=1e-4)


def test_the_class_generated_is_for_d_alone():
    gan = compiled(stargan(fake_class=True), d_rate=0.0)
    batch = batch_of(1, expression=0, lighting=0, target_expression=1, target_lighting=1)
    image = batch["image"][:, 0]
    edited = gan.generator({"image": image, "expression": code(1, 3), "lighting": code(1, 2)})
    real, fake = gan.discriminator(image), gan.discriminator(edited["image"])

    def entropy(judged, expression, lighting):
        return -float(
            tf.nn.log_softmax(judged["expression"])[0, expression]
            + tf.nn.log_softmax(judged["lighting"])[0, lighting]
        )

    figures = step(gan, batch)
    assert figures["discriminator_attributes"] == pytest.approx(
        entropy(real, 0, 0) + entropy(fake, 3, 2), rel=1e-4
    )
    assert figures["attributes"] == pytest.approx(entropy(fake, 1, 1), rel=1e-4)


def test_binary_attributes_have_no_class_generated():
    both = (*of_classes(expression="abc"), BinaryCondition("attributes", ("Smiling", "Young")))
    D = Discriminator(both, SIZE, width=4, depth=2, fake_class=True)
    judged = D(batch_of(rows=2)["image"][:, 0])
    assert judged["attributes"].shape == (2, 2)
    wanted = -tf.nn.log_softmax(judged["expression"])[:, 3]
    found = stargan().generated_class(D, judged)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_binary_attributes_are_learnt_by_their_cross_entropy():
    keras.utils.set_random_seed(0)
    told = (BinaryCondition("attributes", ("Smiling", "Young")),)
    gan = compiled(
        EditorGAN(
            StarganGenerator(told, **BODY),
            Discriminator(told, SIZE, width=4, depth=2),
            **weighted(**PLAIN),
        ),
        d_rate=0.0,
    )
    batch = {name: batch_of(rows=1)[name] for name in ("image", "alpha")}
    # The second is not known, and left as it is.
    batch["attributes"] = tf.constant([[[1, -1]]])
    batch["target_attributes"] = tf.constant([[[0, -1]]])
    image = batch["image"][:, 0]
    edited = gan.generator({"image": image, "attributes": tf.constant([[0.0, 0.5]])})["image"]
    back = gan.generator({"image": edited, "attributes": tf.constant([[1.0, 0.5]])})["image"]
    real, fake = (float(gan.discriminator(x)["attributes"][0, 0]) for x in (image, edited))
    figures = step(gan, batch)
    assert figures["discriminator_attributes"] == pytest.approx(np.log1p(np.exp(-real)), rel=1e-4)
    assert figures["attributes"] == pytest.approx(np.log1p(np.exp(fake)), rel=1e-4)
    wanted = float(tf.reduce_mean(tf.abs(image - back)))
    assert figures["reconstruction"] == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize(
    ("options", "loss", "warned"),
    [
        ({"adversarial": "hinge"}, 1.99, True),
        ({"adversarial": "hinge"}, 1.9, False),
        # Without a penalty, or without L_adv, there is nothing to mend; WGAN's loss has no scale.
        ({"adversarial": "hinge", "penalty_weight": 0.0}, 1.99, False),
        ({"adversarial": "hinge", "adversarial_weight": 0.0}, 1.99, False),
        ({"adversarial": "wgan-gp"}, 0.0, False),
    ],
)
def test_a_discriminator_at_chance_is_warned_of(options, loss, warned):
    means = {"discriminator": loss, "discriminator_attributes": 2.0, "generator": 2.0}
    warnings = stargan(**{"penalty_weight": 3.0, **options}).warnings(means)
    assert len(warnings) == warned
    assert all(w.startswith("--penalty_weight=3: the discriminator tells") for w in warnings)


def test_a_lazy_penalty_comes_at_its_turn_and_stronger():
    batch = batch_of()
    lazy, each = (
        compiled(stargan(adversarial="hinge", penalty_every=every), d_rate=0.0) for every in (2, 1)
    )
    due, every = (step(gan, batch)["penalty"] for gan in (lazy, each))
    assert due == pytest.approx(2 * every) and every > 0
    assert step(lazy, batch)["penalty"] == 0.0
    assert step(lazy, batch)["penalty"] == pytest.approx(due)


def test_fit_is_the_same_as_steps_by_hand():
    # The graph of Model.fit, with the branch of the lazy penalty, against eager steps.
    batches = [batch_of(seed=seed, critic_steps=2) for seed in range(3)]
    by_hand, fitted = (
        stargan(adversarial="hinge", penalty_every=2, ema_decay=0.9) for _ in range(2)
    )
    for gan in (by_hand, fitted):
        gan.compile(d_optimizer=keras.optimizers.SGD(1e-3), g_optimizer=keras.optimizers.SGD(1e-3))
    for batch in batches:
        step(by_hand, batch)
    joined = {name: tf.concat([batch[name] for batch in batches], 0) for name in batches[0]}
    data = tf.data.Dataset.from_tensor_slices(joined).batch(2, drop_remainder=True)
    before = fitted.discriminator.get_weights()
    fitted.fit(data, shuffle=False, verbose=0)
    assert scalar(fitted.d_optimizer.iterations) == 6
    assert changed(before, fitted.discriminator.get_weights())
    for network in ("generator", "discriminator", "averaged_generator"):
        pairs = zip(getattr(by_hand, network).get_weights(), getattr(fitted, network).get_weights())
        for weight, other in pairs:
            np.testing.assert_allclose(weight, other, atol=1e-5)


def test_bfloat16_trains_float32_weights():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        gan = compiled(stargan(with_q=True, quality_weight=1.0))
        before = gan.generator.get_weights()
        figures = step(gan, batch_of())
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert all(np.isfinite(value) for value in figures.values())
    after = gan.generator.get_weights()
    assert {weight.dtype for weight in after} == {np.dtype(np.float32)}
    assert changed(before, after)


@pytest.mark.parametrize("lightings", [LIGHTINGS, ()])
def test_stargan_trains_without_q_and_identity_and_with_one_attribute(lightings):
    gan = compiled(stargan(lightings))
    assert gan.quality is None and gan.identity is None
    assert not {"naturalness", "preservation", "identity"} & set(gan.terms)
    before = gan.generator.get_weights()
    unknown = {} if lightings else {"lighting": [-1, -1], "target_lighting": [-1, -1]}
    figures = step(gan, batch_of(**unknown))
    assert all(np.isfinite(value) for value in figures.values())
    assert figures["reconstruction"] > 0
    assert all((old != new).any() for old, new in zip(before, gan.generator.get_weights()))


def test_no_quality_weight_leaves_a_given_q_out():
    gan = compiled(stargan(with_q=True, quality_weight=0.0))
    assert gan.quality is None
    assert "naturalness" not in step(gan, batch_of())


@pytest.mark.parametrize("term", ["quality", "identity"])
def test_a_term_without_its_network_is_refused(term):
    with pytest.raises(ValueError, match=f"{term}_weight is 1.0, but there is no {term} network"):
        stargan(**{f"{term}_weight": 1.0})


def moments(optimizer) -> list[np.ndarray]:
    variables = optimizer.variables
    return [np.asarray(v) for v in (variables() if callable(variables) else variables)]


def test_a_keras_file_holds_all_networks_and_both_optimizers(tmp_path):
    gan = compiled(legan())
    for critic_steps in (2, 1):
        step(gan, batch_of(critic_steps=critic_steps))
    gan.save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    assert (loaded.adversarial, loaded.editing) == (gan.adversarial, gan.editing)
    networks = ("generator", "discriminator", "averaged_generator", "quality", "identity")
    for network in networks:
        assert not changed(
            getattr(gan, network).get_weights(), getattr(loaded, network).get_weights()
        )
    for name, done in (("d_optimizer", 3), ("g_optimizer", 2)):
        old, new = getattr(gan, name), getattr(loaded, name)
        assert scalar(new.iterations) == done
        assert new.get_config() == old.get_config()
        assert not changed(moments(old), moments(new))
        assert sum(np.abs(m).max() > 0 for m in moments(new)) > len(moments(new)) / 2
    for model in (gan, loaded):
        step(model, batch_of(seed=9))
    for network in networks:
        assert not changed(
            getattr(gan, network).get_weights(), getattr(loaded, network).get_weights()
        )


def test_a_keras_file_is_loaded_without_its_optimizers(tmp_path):
    gan = compiled(stargan())
    step(gan, batch_of())
    gan.save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras", compile=False)
    assert getattr(loaded, "g_optimizer", None) is None
    assert not changed(gan.generator.get_weights(), loaded.generator.get_weights())
    inputs = {
        "image": batch_of()["image"][:, 0],
        "expression": tf.one_hot([0, 1], 3),
        "lighting": tf.one_hot([1, 0], 2),
    }
    np.testing.assert_array_equal(gan(inputs)["image"], loaded(inputs)["image"])
    # It can be given new ones.
    step(compiled(loaded), batch_of())
    assert scalar(loaded.g_optimizer.iterations) == 1


def test_a_keras_file_holds_a_stargan_without_lightings(tmp_path):
    gan = compiled(stargan(()))
    step(gan, batch_of(lighting=[-1, -1], target_lighting=[-1, -1]))
    gan.save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    assert loaded.quality is None and loaded.used("generator") is loaded.generator
    assert [one.name for one in loaded.generator.conditions] == ["expression"]
    assert not changed(gan.discriminator.get_weights(), loaded.discriminator.get_weights())


def test_a_generator_knows_where_its_faces_have_eyes_and_mouth():
    system = Stargan.of(image_size=48, width=4, blocks=0)
    faces = rendered_faces("train", 2, MULTIPIE_EXPRESSIONS, lightings(True)[:2], 48, 0)
    generator = system.network(faces)
    eyes, mouth = generator.face_lines
    assert 0.28 < eyes < 0.35 and 0.62 < mouth < 0.72
    again = StarganGenerator.from_config(generator.get_config())
    assert again.face_lines == generator.face_lines
