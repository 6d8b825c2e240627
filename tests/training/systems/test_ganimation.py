"""GANimation's training: its losses, its targets, how it goes on and when it stops."""

from __future__ import annotations

import csv
import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from legan_tf.data import attributes
from legan_tf.data.action_units import NAMES
from legan_tf.data.conditions import RangeCondition
from legan_tf.data.faceset import FaceSet
from legan_tf.data.rendered import rendered_faces
from legan_tf.errors import UserError
from legan_tf.models import GanimationGenerator, ganimation_discriminator
from legan_tf.training import systems
from legan_tf.training.callbacks import TrainingDivergedError
from legan_tf.training.options import AdversarialOptions, EditorLosses
from legan_tf.training.systems.ganimation import GanimationGAN, MaskOptions

UNITS = RangeCondition("action_units", NAMES, source="rendered faces")
OPTIONS = {
    "model": "ganimation",
    "upsampling": "nearest",
    "log_every": 1,
    "checkpoint_every": 2,
    "sample_every": 4,
    "deterministic": True,
}


def gan(conditions=(UNITS,), masks: MaskOptions | None = None, **weights) -> GanimationGAN:
    keras.utils.set_random_seed(0)
    adversarial = {"attribute_weight": 160.0, "ema_decay": 0.0, **weights}
    made = GanimationGAN(
        GanimationGenerator(conditions, 16, 4, 1, "nearest", stem=False),
        ganimation_discriminator(conditions, 16, 4, 2),
        adversarial=AdversarialOptions(**adversarial),
        editing=EditorLosses(identity_weight=0.0, quality_weight=0.0),
        masks=masks,
    )
    made.compile(**{name: keras.optimizers.SGD(0.0) for name in made.trained})
    return made


def batch(count: int = 2, unknown: bool = False) -> dict[str, tf.Tensor]:
    rng = np.random.default_rng(1)
    own, target = rng.uniform(0, 1, (2, count, 1, 17)).astype(np.float32)
    if unknown:
        own[0, :, 3] = np.nan
    return {
        "image": tf.constant(rng.uniform(-1, 1, (count, 1, 16, 16, 3)), tf.float32),
        "alpha": tf.constant(rng.uniform(0, 1, (count, 1)), tf.float32),
        "action_units": tf.constant(own),
        "target_action_units": tf.constant(target),
    }


def test_the_weights_are_those_of_the_code_at_its_batch():
    system = systems.make("ganimation", workdir="x")
    assert system.gan.attribute_weight == 4000 / 25
    assert system.masks.mask_smoothness_weight == 25 * 1e-5
    assert system.masks.mask_size_weight == 0.1
    assert (system.gan.reconstruction_weight, system.gan.penalty_weight) == (10, 10)
    assert (system.gan.critic_steps, system.optimizer.schedule) == (5, "ganimation")
    whole = systems.from_flagfile("configs/ganimation.flags")
    assert (whole.gan, whole.editing) == (
        dataclasses.replace(system.gan, balance=False),
        system.editing,
    )
    assert (whole.masks, whole.hourglass.upsampling) == (system.masks, "transposed")


def test_terms_of_a_step_by_hand():
    model = gan()
    data = batch()
    figures = {name: float(value) for name, value in model.train_step(data).items()}
    one = {name: value[:, 0] for name, value in data.items()}
    made = model.generator({"image": one["image"], "action_units": one["target_action_units"]})
    back = model.generator({"image": made["image"], "action_units": one["action_units"]})
    masks = [outputs["action_units_mask"].numpy() for outputs in (made, back)]
    read = {name: model.discriminator(image)["action_units"].numpy()
            for name, image in (("real", one["image"]), ("fake", made["image"]))}  # fmt: skip
    expected = {
        "mask": masks[0].mean(),
        "mask_size": masks[0].mean() + masks[1].mean(),
        "mask_smoothness": sum(
            np.abs(np.diff(mask, axis=axis)).sum() / len(mask) for mask in masks for axis in (1, 2)
        ),
        "mask_kept": 0.0,
        "attributes": np.mean((read["fake"] - one["target_action_units"].numpy()) ** 2),
        "discriminator_attributes": np.mean((read["real"] - one["action_units"].numpy()) ** 2),
        "reconstruction": np.abs(back["image"] - one["image"]).mean(),
    }
    for name, value in expected.items():
        assert figures[name] == pytest.approx(float(value), rel=1e-4, abs=1e-6), name


def test_a_doubled_batch_has_the_loss_and_gradient_of_the_single_one():
    data = batch()
    twice = {name: tf.concat([value, value], 0) for name, value in data.items()}
    gradients = []
    for given in (data, twice):
        model = gan()
        one = {name: value[:, 0] for name, value in given.items()}
        with tf.GradientTape() as tape:
            loss = model.generator_losses(one, model.generate(one))["g_optimizer"]
        gradients.append([loss, *tape.gradient(loss, model.variables_of("g_optimizer"))])
    for left, right in zip(*gradients):
        np.testing.assert_allclose(left, right, rtol=2e-3, atol=1e-4)


def test_what_is_unknown_of_a_picture_costs_nothing_and_spoils_nothing():
    model = gan()
    figures = model.train_step(batch(unknown=True))
    assert all(np.isfinite(value) for value in figures.values())
    known, unknown = batch(), batch(unknown=True)
    rows = {name: value[1:, 0] for name, value in known.items()}
    whole = {name: value[:, 0] for name, value in unknown.items()}
    # The first picture cannot be brought back: the cycle is that of the second alone.
    model = gan()
    made = model.generate(rows)
    back = model.generator({"image": made["edited"], "action_units": rows["action_units"]})
    alone = float(np.abs(back["image"] - rows["image"]).mean())
    model.generator_losses(whole, model.generate(whole))
    logged = dict(zip(model.terms, [float(mean.result()) for mean in model.metrics]))
    assert logged["reconstruction"] == pytest.approx(alone / 2, rel=1e-4)


def test_a_saturated_mask_is_told_and_ends_the_run():
    model = gan(masks=MaskOptions(mask_patience=500))
    # Most of a picture is to be kept: that is no failure as long as something is painted.
    assert model.failures({"mask_kept": 0.97}) == {} and model.warnings({"mask_kept": 0.97}) == []
    (kept,) = model.failures({"mask_kept": 0.995})
    assert kept.startswith("--mask_size_weight=0.1: the mask keeps the input in 99% of all pixels")
    (painted,) = model.failures({"mask_painted": 1.0})
    assert "keeps nothing in 99% of all pixels, so whole images are painted" in painted
    assert model.failures({"mask_painted": 1.0}) == {painted: 500}
    assert model.warnings({"mask_kept": 0.995}) == [kept]
    assert gan(masks=MaskOptions(mask_patience=0)).failures({"mask_kept": 1.0}) == {}


def test_a_run_with_a_saturated_mask_stops_with_the_sentence(runs, tmp_path):
    # Nothing but the size of the mask is learned.
    options = {**OPTIONS, "train_steps": 60, "mask_patience": 5, "mask_size_weight": 1000}
    options.update(learning_rate=0.05, sample_every=60)
    quiet = {
        f"{name}_weight": 0 for name in ("adversarial", "attribute", "penalty", "reconstruction")
    }
    process = runs.start(
        tmp_path / "run", **options, **quiet, mask_smoothness_weight=0, critic_steps=1
    )
    status, output = process.wait()
    assert status == 2 and "Traceback" not in output, output
    assert "--mask_size_weight=1000: the mask keeps nothing in 99% of all pixels" in output
    lines = runs.metrics(tmp_path / "run")
    assert 5 <= len(lines) < 60 and [line["mask_painted"] > 0.99 for line in lines[-6:]] == [
        False, True, True, True, True, True,
    ]  # fmt: skip
    assert issubclass(TrainingDivergedError, UserError)


def test_it_goes_on_as_if_it_had_not_stopped_and_replicas_agree(runs, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    common = {**OPTIONS, "schedule": "constant", "ema_decay": 0.9}
    todo = [(whole, {**common, "train_steps": 4}), (parts, {**common, "train_steps": 2})]
    todo.append((parts, {**common, "train_steps": 4}))
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, replicas in ((one, 1), (two, 2)):
        todo.append((folder, {**common, "train_steps": 1, "replicas": replicas}))
    runs.in_turn(2, *((folder, {"replicas": 1, **options}) for folder, options in todo))
    parts_of = ("generator/", "averaged_generator/", "discriminator/", "g_optimizer/", "means/")
    runs.assert_same(whole, parts, (*parts_of, "d_optimizer/"))
    runs.assert_same_update(*(runs.last_checkpoint(folder) for folder in (one, two)))
    lines = [runs.metrics(folder)[0] for folder in (one, two)]
    assert list(lines[0].values()) == pytest.approx(list(lines[1].values()), rel=2e-3, abs=2e-4)
    assert {"mask", "mask_kept", "mask_painted", "mask_size", "mask_smoothness"} <= lines[0].keys()
    network = keras.models.load_model(whole / "model.keras")
    (condition,) = network.conditions
    assert condition.source == "rendered faces" and condition.names == NAMES
    assert condition.classes.names == (
        "neutral",
        "smile",
        "surprise",
        "squint",
        "disgust",
        "scream",
    )
    assert (whole / "samples" / "samples-0000004.png").exists()


def test_targets_in_a_batch_are_units_of_other_pictures_with_noise():
    faces = rendered_faces(
        "train", 2, ("neutral", "smile"), ("shot01", "shot05"), 16, 0, on_demand=True
    )
    system = systems.make("ganimation", workdir="x", batch_size=4, critic_steps=2, train_steps=20)
    known = faces.with_action_units()
    drawn = np.concatenate(
        [b["target_action_units"].numpy().reshape(-1, 17) for b in system.batches(known, 0)]
    )
    apart = np.abs(drawn[:, None] - known.labels["action_units"][None]).max(-1)
    assert drawn.shape == (160, 17) and apart.min(1).max() <= 0.1 + 1e-6
    assert drawn.min() < -0.05  # Not cut off at 0.


def same_as_photographs() -> FaceSet:
    """The rendered faces that the pictures of ``faces`` are."""
    lights = attributes.MULTIPIE_SHOTS[:4]
    return rendered_faces("train", 4, ("neutral", "smile"), lights, 16, 0, on_demand=True)


@pytest.fixture(scope="module")
def openface(faces, tmp_path_factory):
    """The action units of the pictures of ``faces`` as OpenFace writes them."""
    rendered = same_as_photographs()
    _, labels = rendered.unit_labels()
    file = tmp_path_factory.mktemp("units") / "openface.csv"
    with open(file, "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", " success", *(f" {name}_r" for name in NAMES)])
        for index, row in enumerate(labels):
            writer.writerow([f"{index}.png", 1, *(5 * row)])
    return file


def test_photographs_have_the_units_of_a_file(faces, openface, runs, tmp_path):
    options = {
        "model": "ganimation",
        "dataset": "manifest",
        "manifest": str(faces / "faces.csv"),
    }
    missing = runs.config(tmp_path / "run", **options)
    with pytest.raises(UserError, match="--action_units_file is missing: .*faces.csv has no"):
        missing.datasets()
    system = runs.config(tmp_path / "run", **options, action_units_file=str(openface))
    data = system.datasets()
    train = data.train
    assert [one.name for one in train.conditions] == ["expression", "action_units"]
    assert train.condition("action_units").source == "OpenFace"
    assert "Action units of 32 of 32 pictures, by OpenFace" in data.table
    rendered = same_as_photographs()
    np.testing.assert_allclose(
        train.labels["action_units"], rendered.unit_labels()[1][: len(train)], atol=1e-6
    )
    network = system.network(train)
    network.build()
    smile = network.conditions[0].classes.names.index("smile")
    vector = network.conditions[0].vector_of(smile)
    assert vector[NAMES.index("AU12")] > 0.5


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"conditions": "expression"}, "--conditions=expression: ganimation is told action_units"),
        ({"output": "affine"}, "--output: ganimation mixes by its mask"),
        ({"keep_share": 0.1}, "--keep_share: ganimation has to be told all"),
        ({"fake_class": True}, "--fake_class is for conditions with classes"),
        ({"action_units_file": "a.csv"}, "--action_units_file belongs to --dataset=manifest"),
        ({"mask_patience": -1}, "--mask_patience=-1: must not be negative"),
    ],
)
def test_flags_that_do_not_fit_are_refused(options, told):
    with pytest.raises(UserError, match=told):
        systems.make("ganimation", workdir="x", **options).check()
