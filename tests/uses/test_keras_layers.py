from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import legan_tf
from legan_tf.data.conditions import BinaryCondition, of_classes
from legan_tf.errors import UserError
from legan_tf.models import QualityEstimator, StarganGenerator
from legan_tf.serving import export

SIZE = 16


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Paths of an editor, a strict and an unlit one, Q, and Q's export."""
    folder = tmp_path_factory.mktemp("models")
    names, lights = ("neutral", "smile", "scream"), ("left", "right")
    sizes = {"image_size": SIZE, "width": 4, "blocks": 0}
    keras.utils.set_random_seed(1)
    made = {
        "editor": StarganGenerator(
            of_classes(expression=names, lighting=lights), **sizes, keeps_unnamed=True
        ),
        "strict": StarganGenerator(of_classes(expression=names, lighting=lights), **sizes),
        "unlit": StarganGenerator(of_classes(expression=names), **sizes),
        "attributes": StarganGenerator(
            [BinaryCondition("attributes", ("Smiling", "Young"))],
            **sizes,
            output="affine",
            keeps_unnamed=True,
        ),
        "quality": QualityEstimator(SIZE, width=4, depth=2),
    }
    for name, network in made.items():
        network.build()
        if name == "quality":
            network.fc1.bias.assign([5.0])
        network.save(folder / f"{name}.keras")
    export.export(made["quality"], str(folder), "exported")
    return {**{name: folder / f"{name}.keras" for name in made}, "exported": folder / "exported"}


@pytest.fixture(scope="module")
def editor(models):
    return legan_tf.load(models["editor"])


@pytest.fixture(scope="module")
def scorer(models):
    return legan_tf.load(models["quality"])


def blobs(count, size=SIZE, seed=0, width=None):
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 5, 5, 3), np.uint8)
    shape = (width or size, size)
    return np.stack([np.asarray(Image.fromarray(c).resize(shape, Image.BICUBIC)) for c in coarse])


def floats(images):
    return images.astype(np.float32) / 127.5 - 1


def edits_of(editor, image):
    """Every edit that an editor can make of a picture, by its targets."""
    grid = editor.grid(image)
    return {place: grid[place] for place in np.ndindex(*grid.shape[:2])}


def targets_of(editor, image, edited):
    """The targets whose edit this is."""
    return [
        place
        for place, expected in edits_of(editor, image).items()
        if np.abs(edited.astype(int) - expected).max() <= 1
    ]


def test_edited_rows_are_the_editor_s_and_the_others_untouched(editor):
    images = blobs(40)
    made = legan_tf.RandomEdit(editor, share=0.5, seed=3)(images).numpy()
    assert made.dtype == np.uint8 and made.shape == images.shape
    touched = [row for row in range(40) if not np.array_equal(made[row], images[row])]
    assert 10 < len(touched) < 30
    drawn = [targets_of(editor, images[row], made[row]) for row in touched]
    assert all(len(targets) >= 1 for targets in drawn)
    assert len({targets[0] for targets in drawn}) == 6


def test_the_share_is_that_of_the_pictures_edited_and_targets_are_uniform(editor):
    layer = legan_tf.RandomEdit(editor, share=0.25, conditions=["lighting"], seed=0)
    image = blobs(1)[0]
    known = [editor(image, lighting=name) for name in editor.lightings]
    made = layer(np.repeat(image[None], 600, axis=0)).numpy().astype(int)
    counts = [sum(np.abs(m - edit).max() <= 1 for m in made) for edit in known]
    same = sum(np.array_equal(m, image) for m in made)
    assert same + sum(counts) == 600
    # Three standard deviations of the binomial distributions.
    assert abs(same - 450) < 32 and all(abs(count - 75) < 25 for count in counts)


def test_one_attribute_changes_and_the_other_stays(editor):
    images = blobs(12)
    made = legan_tf.RandomEdit(editor, 1.0, conditions=("expression",), seed=1)(images).numpy()
    for image, edited in zip(images, made):
        known = [editor(image, expression=name) for name in editor.expressions]
        assert min(np.abs(edited.astype(int) - edit).max() for edit in known) <= 1


def test_each_attribute_is_drawn_by_itself(models):
    editor, image = legan_tf.load(models["attributes"]), blobs(1)[0]
    asked = [f"Smiling={smiling},Young={young}" for smiling in (0, 1) for young in (0, 1)]
    known = [editor(image, attributes=target).astype(int) for target in asked]
    assert min(np.abs(known[0] - other).max() for other in known[1:]) > 5
    layer = legan_tf.RandomEdit(editor, 1.0, seed=0)
    assert layer.conditions == ("attributes",)
    made = layer(np.repeat(image[None], 200, axis=0)).numpy().astype(int)
    counts = [sum(np.abs(m - edit).max() <= 1 for m in made) for edit in known]
    # Three standard deviations of the binomial distributions.
    assert sum(counts) == 200 and all(abs(count - 50) < 18 for count in counts)


def test_floats_of_another_size_keep_their_size_and_type(editor):
    images = floats(blobs(6, 40))
    for dtype in (tf.float32, tf.float16):
        given = tf.cast(images, dtype)
        made = legan_tf.RandomEdit(editor, 1.0, seed=1)(given)
        assert made.dtype == dtype and made.shape == (6, 40, 40, 3)
        for image, edited in zip(images, made.numpy().astype(np.float32)):
            known = [
                floats(np.asarray(Image.fromarray(edit).resize((40, 40), Image.BICUBIC)))
                for edit in edits_of(editor, image).values()
            ]
            # On the mean: Pillow cuts off what overshoots also between rows and columns.
            assert min(np.abs(edited - edit).mean() for edit in known) < 0.005
            assert np.abs(edited - image).mean() > 0.05
    none = legan_tf.RandomEdit(editor, 0.0)(images)
    np.testing.assert_array_equal(none, images)


def test_one_picture_and_more_than_a_request_may_have(editor):
    layer = legan_tf.RandomEdit(editor, 1.0, seed=1)
    image = blobs(1)[0]
    assert targets_of(editor, image, layer(image).numpy())
    images = blobs(130)
    made = layer(images).numpy()
    assert made.shape == images.shape and targets_of(editor, images[129], made[129])


def test_only_training_edits(editor):
    images = tf.constant(floats(blobs(4)))
    inputs = keras.Input((SIZE, SIZE, 3))
    model = keras.Model(inputs, legan_tf.RandomEdit(editor, 1.0, seed=1)(inputs))
    np.testing.assert_array_equal(model(images, training=False), images)
    np.testing.assert_array_equal(model.predict(images, verbose=0), images)
    assert np.abs(model(images, training=True) - images).mean() > 0.01
    assert model.weights == []


def test_the_same_seed_makes_the_same_edits(editor):
    images = blobs(30)

    def batches(seed):
        data = tf.data.Dataset.from_tensor_slices(images).batch(8)
        data = data.map(legan_tf.RandomEdit(editor, seed=seed))
        assert data.element_spec == tf.TensorSpec([None, SIZE, SIZE, 3], tf.uint8)
        return np.concatenate([batch.numpy() for batch in data])

    first = batches(5)
    np.testing.assert_array_equal(batches(5), first)
    assert not np.array_equal(batches(6), first)
    keras.utils.set_random_seed(9)
    unnamed = batches(None)
    keras.utils.set_random_seed(9)
    np.testing.assert_array_equal(batches(None), unnamed)


def test_a_model_with_the_parts_is_saved_and_loaded(editor, scorer, tmp_path):
    model = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            legan_tf.RandomEdit(editor, 0.4, ["lighting"], seed=7),
            keras.layers.Conv2D(3, 3, padding="same", activation="tanh"),
        ]
    )
    metric = legan_tf.NaturalnessMetric(scorer, threshold=5.0)
    model.compile("sgd", legan_tf.NaturalnessLoss(scorer, 7.0), metrics=[metric])
    images = floats(blobs(8))
    model.fit(images, np.zeros(8), verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        again.predict(images, verbose=0), model.predict(images, verbose=0), atol=1e-6
    )
    layer = again.layers[-2]
    assert (layer.share, layer.conditions, layer.seed) == (0.4, ("lighting",), 7)
    assert layer.editor.sha256 == editor.sha256
    of_before = layer.get_config()
    of_before["attributes"] = of_before.pop("conditions")
    assert legan_tf.RandomEdit.from_config(of_before).conditions == ("lighting",)
    loss = legan_tf.NaturalnessLoss.from_config(model.loss.get_config())
    assert (loss.target, loss.scorer.sha256) == (7.0, scorer.sha256)
    metric = legan_tf.NaturalnessMetric.from_config(metric.get_config())
    assert (metric.threshold, metric.scorer.sha256) == (5.0, scorer.sha256)


def test_the_loss_is_the_mean_distance_to_the_target(scorer, models):
    images = floats(blobs(5))
    expected = np.abs(8.0 - scorer(images)).mean()
    assert float(legan_tf.NaturalnessLoss(scorer)(images)) == pytest.approx(expected, abs=1e-2)
    by_path = legan_tf.NaturalnessLoss(models["quality"], target=6.0)
    expected = np.abs(6.0 - scorer(images)).mean()
    assert float(by_path(np.zeros(5), images)) == pytest.approx(expected, abs=1e-2)
    weights = np.array([1.0, 0, 0, 0, 0], np.float32)
    alone = float(legan_tf.NaturalnessLoss(scorer, reduction="sum")(images, None, weights))
    assert alone == pytest.approx(abs(8.0 - scorer(images[0])), abs=1e-2)


@pytest.mark.parametrize("size, width", [(SIZE, SIZE), (40, 40), (9, 9), (24, 36)])
def test_a_picture_becomes_more_natural_by_its_gradient(scorer, size, width):
    loss = legan_tf.NaturalnessLoss(scorer, target=8.0)
    image = tf.Variable(floats(blobs(2, size, width=width)))

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            value = loss(image)
        image.assign(tf.clip_by_value(image - 5.0 * tape.gradient(value, image), -1.0, 1.0))
        return value

    before = scorer(image.numpy())
    values = [float(step()) for _ in range(20)]
    assert values[-1] < values[0] - 0.1
    assert (scorer(image.numpy()) > before + 0.05).all()


def test_the_gradient_is_that_of_the_difference_quotient(scorer):
    loss = legan_tf.NaturalnessLoss(scorer)
    image = tf.constant(0.9 * floats(blobs(1, 24)))
    direction = tf.constant(np.random.default_rng(0).normal(size=image.shape), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(image)
        value = loss(image)
    slope = float(tf.reduce_sum(tape.gradient(value, image) * direction))
    apart = float(loss(image + 1e-2 * direction) - loss(image - 1e-2 * direction)) / 2e-2
    assert slope == pytest.approx(apart, rel=0.05)


def test_q_does_not_learn(scorer):
    model = keras.Sequential([keras.Input((24, 24, 3)), keras.layers.Conv2D(3, 1)])
    model.compile(keras.optimizers.SGD(0.01), legan_tf.NaturalnessLoss(scorer))
    before = scorer(blobs(3))
    assert len(model.trainable_variables) == 2
    model.fit(floats(blobs(8, 24)), np.zeros(8), epochs=2, verbose=0)
    np.testing.assert_array_equal(scorer(blobs(3)), before)


def test_loss_and_metric_compile_with_xla(scorer):
    def compiled(jit):
        keras.utils.set_random_seed(1)
        model = keras.Sequential(
            [keras.Input((24, 24, 3)), keras.layers.Conv2D(3, 1, activation="tanh")]
        )
        loss, metric = legan_tf.NaturalnessLoss(scorer), legan_tf.NaturalnessMetric(scorer)
        model.compile(keras.optimizers.SGD(0.01), loss, metrics=[metric], jit_compile=jit)
        return model.fit(floats(blobs(8, 24)), np.zeros(8), epochs=2, verbose=0).history

    plain, fast = compiled(False), compiled(True)
    assert set(plain) == {"loss", "naturalness"}
    for name, values in plain.items():
        assert fast[name] == pytest.approx(values, abs=1e-3)


@pytest.mark.parametrize("source", ["quality", "exported"])
@pytest.mark.parametrize("size", [SIZE, 30])
def test_the_metric_is_the_scorer_s_mean(models, source, size):
    scorer = legan_tf.load(models[source])
    images = blobs(20, size)
    ratings = scorer(images)
    metric = legan_tf.NaturalnessMetric(scorer)
    share = legan_tf.NaturalnessMetric(scorer, threshold=float(np.median(ratings)))

    @tf.function
    def step(some):
        metric.update_state(some)

    for start in (0, 7, 14):
        step(images[start : start + 7])
        share.update_state(np.zeros(7), floats(images[start : start + 7]))
    assert float(metric.result()) == pytest.approx(ratings.mean(), abs=1e-3)
    assert float(share.result()) == pytest.approx(0.5, abs=0.051)
    metric.reset_state()
    metric.update_state(images[:2], sample_weight=[0.0, 1.0])
    assert float(metric.result()) == pytest.approx(ratings[1], abs=1e-3)


def test_what_cannot_be_is_reported(models, editor, scorer):
    with pytest.raises(UserError, match="exported: is an export, whose ratings have no gradient"):
        legan_tf.NaturalnessLoss(models["exported"])
    with pytest.raises(UserError, match="quality.keras: is not an editor"):
        legan_tf.RandomEdit(scorer)
    for part in (legan_tf.NaturalnessLoss, legan_tf.NaturalnessMetric):
        with pytest.raises(UserError, match="editor.keras: is not Q"):
            part(editor)
    with pytest.raises(UserError, match="share=1.5: must be 0 to 1"):
        legan_tf.RandomEdit(editor, 1.5)
    for conditions in (["light"], []):
        with pytest.raises(UserError, match="can change expression and lighting"):
            legan_tf.RandomEdit(editor, conditions=conditions)
    with pytest.raises(UserError, match="unlit.keras can change expression"):
        legan_tf.RandomEdit(models["unlit"], conditions=["lighting"])
    with pytest.raises(UserError, match="strict.keras cannot leave the lighting as it is"):
        legan_tf.RandomEdit(models["strict"], conditions=["expression"])
    with pytest.raises(ValueError, match="takes squares .*, not 10 x 12"):
        legan_tf.RandomEdit(editor)(blobs(2, 10, width=12))
    loose = tf.function(
        legan_tf.RandomEdit(editor, 1.0),
        input_signature=[tf.TensorSpec([None, None, None, 3])],
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="takes squares"):
        loose(floats(blobs(2, 10, width=12)))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"give uint8 for.*from.*0.*to.*255"):
        loose(np.linspace(0, 255, 300, dtype=np.float32).reshape(1, 10, 10, 3))


def test_what_is_no_picture_in_range_is_refused_alike_on_every_way(models):
    large = np.linspace(0, 255, 4 * 20 * 20 * 3, dtype=np.float32).reshape(4, 20, 20, 3)
    whole = large.astype(np.int32)
    for source in ("quality", "exported"):
        scorer = legan_tf.load(models[source])
        metric = legan_tf.NaturalnessMetric(scorer)
        for way in (scorer.rate, tf.function(scorer.rate), metric.update_state):
            with pytest.raises(tf.errors.InvalidArgumentError, match="give uint8 for values of 0"):
                way(tf.constant(large))
            # In a graph, of a type that is TensorFlow's choice.
            with pytest.raises(Exception, match="must be uint8, or float in .*, not int32"):
                way(tf.constant(whole))
            way(tf.constant(1.0005 * np.sign(large - 100)))
            way(tf.zeros([0, 20, 20, 3]))
    loss = legan_tf.NaturalnessLoss(models["quality"])
    for given in ((whole.astype(np.uint8),), (np.zeros(4), tf.constant(whole))):
        with pytest.raises(UserError, match="takes float pictures in .*, not u?int"):
            loss(*given)


@pytest.mark.parametrize("size", [SIZE, 24])
def test_what_overshoots_counts_as_the_bound_in_the_loss(scorer, size):
    loss = legan_tf.NaturalnessLoss(scorer)
    image = tf.constant(1.5 * floats(blobs(2, size)))
    with tf.GradientTape() as tape:
        tape.watch(image)
        value = loss(image)
    clipped = np.clip(image.numpy(), -1, 1)
    assert float(value) == pytest.approx(float(loss(clipped)), abs=1e-6)
    gradient, beyond = tape.gradient(value, image).numpy(), np.abs(image.numpy()) > 1
    assert beyond.any() and not gradient[beyond].any() and gradient[~beyond].any()


def test_pictures_of_unknown_rank_are_reported(editor):
    layer = legan_tf.RandomEdit(editor, 1.0, seed=1)
    data = tf.data.Dataset.from_tensor_slices(blobs(4)).batch(2)
    shapeless = data.map(lambda some: tf.py_function(lambda x: x, [some], tf.uint8))
    # Of a type that is TensorFlow's choice.
    with pytest.raises(Exception, match="give pictures a shape, by set_shape"):
        shapeless.map(layer)

    def shaped(some):
        some.set_shape([None, SIZE, SIZE, 3])
        return some

    (first, _) = shapeless.map(shaped).map(layer)
    assert first.shape == (2, SIZE, SIZE, 3)


def test_an_unlit_and_a_strict_editor_edit_all_they_know(models):
    for name in ("unlit", "strict"):
        editor = legan_tf.load(models[name])
        image = blobs(1)[0]
        made = legan_tf.RandomEdit(editor, 1.0, seed=1)(image[None]).numpy()[0]
        assert targets_of(editor, image, made)


def test_the_package_offers_its_parts_by_name():
    assert set(legan_tf.__all__) <= set(dir(legan_tf))
    with pytest.raises(AttributeError, match="no attribute 'Random'"):
        _ = legan_tf.Random
