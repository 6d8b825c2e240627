"""What training with depth changes, what it must leave alone, and what its runs leave behind."""

from __future__ import annotations

import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from legan_tf import losses
from legan_tf.command_line import options
from legan_tf.data.conditions import of_classes
from legan_tf.data.rendered import rendered_faces
from legan_tf.errors import UserError
from legan_tf.models import DepthNetwork, Discriminator, StarganGenerator, vgg19_taps
from legan_tf.runtime.compat import scalar, tensorflow_variable
from legan_tf.training import systems
from legan_tf.training.gan import EditorGAN
from legan_tf.training.systems.depth import Depth, DepthGAN
from legan_tf.training.systems.depth_guided import DepthGuidedGAN, DepthStargan
from legan_tf.training.train import train

SIZE = 16
EXPRESSIONS = ("neutral", "smile", "scream")
BODY = {"image_size": SIZE, "width": 4, "blocks": 0, "stem": False}
PLAIN = {
    "identity_weight": 0.0,
    "quality_weight": 0.0,
    "perceptual_weight": 0.0,
    "ema_decay": 0.0,
}
UNSEEN = {"d_optimizer": 0.0, "g_optimizer": 0.0}


def pretraining(vgg=None, **options) -> DepthGAN:
    keras.utils.set_random_seed(1)
    system = Depth.of(**{"perceptual_weight": 0.0, "ema_decay": 0.0, **options})
    return DepthGAN(
        DepthNetwork(**BODY),
        Discriminator(of_classes(expression="abc"), SIZE, width=4, depth=2),
        vgg,
        system.gan,
        system.mapping,
        system.map_terms,
    )


def editor() -> dict:
    """The two networks of StarGAN, the same each time."""
    keras.utils.set_random_seed(0)
    generator = StarganGenerator(of_classes(expression=EXPRESSIONS), **BODY)
    discriminator = Discriminator(of_classes(expression="abc"), SIZE, width=4, depth=2)
    for network in (generator, discriminator):
        network.build()
    return {"generator": generator, "discriminator": discriminator}


def groups(**options) -> dict:
    """The groups of options that a guided GAN takes."""
    system = DepthStargan.of(**{**PLAIN, **options})
    names = ("editing", "edit_terms", "guidance", "mapping", "map_terms")
    return {"adversarial": system.gan, **{name: getattr(system, name) for name in names}}


def guided(vgg=None, **options) -> DepthGuidedGAN:
    networks, before = editor(), pretraining()
    return DepthGuidedGAN(
        **networks,
        depth=before.generator,
        depth_discriminator=before.discriminator,
        vgg=vgg,
        **groups(**options),
    )


def compiled(gan, **rates: float):
    """With plain gradient descent, whose steps are the gradients; rate 0.01 unless given."""
    gan.compile(**{name: keras.optimizers.SGD(rates.get(name, 0.01)) for name in gan.trained})
    return gan


def batch_of(rows: int = 2, critic_steps: int = 1, seed: int = 0) -> dict[str, tf.Tensor]:
    rng = np.random.default_rng(seed)
    shape = (rows, critic_steps)
    floats = {
        "image": rng.uniform(-1, 1, (*shape, SIZE, SIZE, 3)),
        "map": np.repeat(rng.uniform(-1, 1, (*shape, SIZE, SIZE, 1)), 3, -1),
        "alpha": rng.uniform(0, 1, shape),
    }
    labels = {name: rng.integers(0, 3, shape) for name in ("expression", "target_expression")}
    labels |= {name: np.full(shape, -1) for name in ("lighting", "target_lighting")}
    return {
        **{name: tf.constant(values, tf.float32) for name, values in floats.items()},
        **{name: tf.constant(values, tf.int32) for name, values in labels.items()},
    }


def step(gan, batch=None) -> dict[str, float]:
    for mean in gan.metrics:
        mean.reset_state()
    return {name: float(value) for name, value in gan.train_step(batch or batch_of()).items()}


def weights_of(gan) -> dict[str, list[np.ndarray]]:
    return {name: network.get_weights() for name, network in gan.state.items()}


def moved(before, after) -> set[str]:
    """The networks of which any weight has changed."""
    return {
        name
        for name in before
        if any((old != new).any() for old, new in zip(before[name], after[name], strict=True))
    }


def test_pretraining_reports_the_terms_of_the_paper():
    vgg = vgg19_taps("random")
    gan = compiled(pretraining(vgg, perceptual_weight=1.0, confidence_penalty=0.3), **UNSEEN)
    batch = batch_of(rows=1)
    image, true = batch["image"][:, 0], batch["map"][:, 0]
    label = int(batch["expression"][0, 0])
    made = gan.generator.to_map(image)
    real, fake = gan.discriminator(true), gan.discriminator(made)

    def classified(judged) -> float:
        share = tf.nn.softmax(judged["expression"])[0].numpy().astype(np.float64)
        return -np.log(share[label]) + 0.3 * np.sum(share * np.log(share))

    wanted = {
        "discriminator": tf.reduce_mean(fake["realness"]) - tf.reduce_mean(real["realness"]),
        "penalty": losses.gradient_penalty(
            lambda maps: gan.discriminator(maps)["realness"], true, made, batch["alpha"][:, 0]
        )[0],
        "discriminator_attributes": classified(real),
        "generator": -tf.reduce_mean(fake["realness"]),
        "attributes": classified(fake),
        "reconstruction": tf.reduce_mean(tf.abs(image - gan.generator.to_rgb(made))),
        "pixel": tf.reduce_mean(tf.abs(true - made)),
        "perceptual": losses.perceptual_loss(vgg(made), vgg(true))[0],
    }
    figures = step(gan, batch)
    assert tuple(figures) == gan.terms == tuple(wanted)
    assert figures == pytest.approx({k: float(v) for k, v in wanted.items()}, rel=1e-4, abs=1e-5)


def test_pretraining_follows_the_weighted_sum():
    weights = {
        "adversarial_weight": 0.7,
        "attribute_weight": 1.3,
        "reconstruction_weight": 5.0,
        "pixel_weight": 4.0,
    }
    gan = compiled(pretraining(**weights), d_optimizer=0.0, g_optimizer=1.0)
    batch = batch_of()
    image, true, label = (batch[name][:, 0] for name in ("image", "map", "expression"))
    with tf.GradientTape() as tape:
        made = gan.generator.to_map(image)
        judged = gan.discriminator(made)
        total = tf.reduce_mean(
            0.7 * losses.generator_adversarial_loss(judged["realness"])
            + 1.3 * losses.classification_loss(judged["expression"], label)
            + 5.0 * losses.reconstruction_loss(image, gan.generator.to_rgb(made))
            + 4.0 * losses.reconstruction_loss(true, made)
        )
    variables = gan.generator.trainable_variables
    wanted = [
        (tensorflow_variable(v) - g).numpy()
        for v, g in zip(variables, tape.gradient(total, variables))
    ]
    step(gan, batch)
    for weight, variable in zip(wanted, variables, strict=True):
        np.testing.assert_allclose(tensorflow_variable(variable), weight, atol=2e-5, rtol=1e-3)


def test_pretraining_moves_both_networks_and_never_vgg19():
    vgg = vgg19_taps("random")
    gan = compiled(pretraining(vgg, perceptual_weight=1.0, ema_decay=0.9))
    before, features = weights_of(gan), vgg.get_weights()
    step(gan, batch_of(critic_steps=2))
    assert moved(before, weights_of(gan)) == {"generator", "discriminator", "averaged_generator"}
    for old, new in zip(features, vgg.get_weights()):
        np.testing.assert_array_equal(old, new)
    assert (scalar(gan.d_optimizer.iterations), scalar(gan.g_optimizer.iterations)) == (2, 1)
    assert gan.products == {
        "discriminator.keras": gan.discriminator,
        "model.keras": gan.averaged_generator,
    }


def test_the_editor_is_stargans_to_the_bit_where_depth_weighs_nothing():
    own = {name: groups()[name] for name in ("adversarial", "editing", "edit_terms")}
    plain = compiled(EditorGAN(**editor(), **own))
    with_depth = compiled(guided(depth_weight=0.0))
    for seed in range(3):
        batch = batch_of(critic_steps=2, seed=seed)
        figures = step(plain, batch)
        others = step(with_depth, batch)
        assert figures == {name: others[name] for name in figures}
    for network in ("generator", "discriminator"):
        pairs = zip(
            getattr(plain, network).get_weights(), getattr(with_depth, network).get_weights()
        )
        for weight, other in pairs:
            np.testing.assert_array_equal(weight, other)


def test_the_depth_loss_reaches_the_editor_and_nobody_else():
    results = []
    for weight in (0.0, 5.0):
        gan = compiled(guided(depth_weight=weight))
        step(gan)
        results.append(weights_of(gan))
    assert moved(*results) == {"generator"}


def test_one_step_trains_all_four_networks_and_the_averages():
    gan = guided(ema_decay=0.9, depth_weight=0.1)
    before = weights_of(compiled(gan))
    step(gan)
    assert (
        moved(before, weights_of(gan))
        == set(before)
        == {
            *("generator", "discriminator", "depth", "depth_discriminator"),
            *("averaged_generator", "averaged_depth"),
        }
    )
    assert gan.products == {
        "depth.keras": gan.averaged_depth,
        "model.keras": gan.averaged_generator,
    }


def test_a_frozen_depth_network_guides_and_stays():
    results = []
    for weight in (0.0, 5.0):
        gan = compiled(guided(depth_weight=weight, freeze_depth=True))
        before = weights_of(gan)
        step(gan)
        results.append(weights_of(gan))
        assert moved(before, results[-1]) == {"generator", "discriminator", "depth_discriminator"}
    assert moved(*results) == {"generator"}
    assert "depth_g_optimizer" not in gan.trained


def test_the_cycle_of_depth_teaches_the_editor_only_when_asked():
    results = {}
    for asked in (False, True):
        gan = compiled(guided(depth_weight=1.0, depth_cycle_to_editor=asked))
        step(gan)
        results[asked] = weights_of(gan)
    assert moved(results[False], results[True]) == {"generator"}


def test_supervision_holds_the_depth_network_to_true_maps():
    results = {}
    for factor in (0.0, 2.0):
        gan = compiled(guided(depth_weight=0.5, depth_supervision=factor))
        figures = step(gan)
        assert ("depth_pixel" in figures) == (factor > 0)
        results[factor] = weights_of(gan)
    assert moved(results[0.0], results[2.0]) == {"depth"}


def test_guided_training_follows_both_weighted_sums():
    goal = {"adversarial_weight": 0.7, "attribute_weight": 1.3, "confidence_penalty": 0.2}
    rates = {"d_optimizer": 0.0, "depth_d_optimizer": 0.0}
    gan = guided(**goal, depth_weight=0.4, depth_supervision=0.5)
    compiled(gan, **rates, g_optimizer=1.0, depth_g_optimizer=1.0)
    batch = batch_of()
    image, true, label, wanted = (
        batch[name][:, 0] for name in ("image", "map", "expression", "target_expression")
    )
    nothing = tf.zeros([2, 0])
    with tf.GradientTape(persistent=True) as tape:
        asked = {"image": image, "expression": tf.one_hot(wanted, 3), "lighting": nothing}
        edited = gan.generator(asked)["image"]
        undo = {"image": edited, "expression": tf.one_hot(label, 3), "lighting": nothing}
        back = gan.generator(undo)["image"]
        judged = gan.discriminator(edited)
        made = gan.depth.to_map(edited)
        on_map = gan.depth_discriminator(made)
        logits = on_map["expression"]
        of_depth = 0.7 * losses.generator_adversarial_loss(on_map["realness"]) + 1.3 * (
            losses.classification_loss(logits, wanted)
            + 0.2 * losses.confidence_penalty(logits, wanted)
        )
        of_editor = (
            0.7 * losses.generator_adversarial_loss(judged["realness"])
            + 1.3 * losses.classification_loss(judged["expression"], wanted)
            + 10.0 * losses.reconstruction_loss(image, back)
            + 0.4 * of_depth
        )
        of_depth += 10.0 * losses.reconstruction_loss(edited, gan.depth.to_rgb(made))
        of_depth += 0.5 * 100.0 * losses.reconstruction_loss(true, gan.depth.to_map(image))
        totals = {gan.generator: of_editor, gan.depth: of_depth}
        totals = {network: tf.reduce_mean(total) for network, total in totals.items()}
    expected = {
        network: [
            (tensorflow_variable(v) - g).numpy()
            for v, g in zip(
                network.trainable_variables, tape.gradient(total, network.trainable_variables)
            )
        ]
        for network, total in totals.items()
    }
    step(gan, batch)
    for network, weights in expected.items():
        for weight, variable in zip(weights, network.trainable_variables, strict=True):
            np.testing.assert_allclose(tensorflow_variable(variable), weight, atol=2e-5, rtol=1e-3)


def test_models_come_back_from_their_configuration():
    vgg = vgg19_taps("random")
    for gan in (
        pretraining(vgg, perceptual_weight=0.5, ema_decay=0.9),
        guided(ema_decay=0.5, depth_weight=0.3, freeze_depth=False),
    ):
        again = type(gan).from_config(gan.get_config())
        described, wanted = again.get_config(), gan.get_config()
        # Keras numbers the layers of VGG19 anew.
        assert (described.pop("vgg") is None) == (wanted.pop("vgg") is None)
        assert described == wanted
        assert again.terms == gan.terms and list(again.state) == list(gan.state)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="perceptual_weight is 1.0, but there is no VGG19"):
        pretraining(perceptual_weight=1.0)
    with pytest.raises(ValueError, match="depth_supervision with a perceptual_weight needs VGG19"):
        guided(perceptual_weight=1.0, depth_supervision=0.1)
    with pytest.raises(ValueError, match="sees 32 pixels, the editor 16"):
        DepthGuidedGAN(
            **editor(),
            depth=DepthNetwork(32, width=4, blocks=0, stem=False),
            depth_discriminator=Discriminator(of_classes(expression="abc"), 32, width=4, depth=2),
            **groups(),
        )
    with pytest.raises(ValueError, match="the optimizers are g_optimizer, d_optimizer, not"):
        pretraining().compile(g_optimizer=keras.optimizers.SGD())


@pytest.mark.parametrize("geometry", ["depth", "normal"])
def test_bfloat16_trains_float32_weights(geometry):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        keras.utils.set_random_seed(0)
        gan = guided(depth_weight=0.2)
        gan.depth.geometry = geometry
        before = weights_of(compiled(gan))
        figures = step(gan)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert all(np.isfinite(value) for value in figures.values())
    assert moved(before, weights_of(gan)) == set(before)
    assert {w.dtype for weights in weights_of(gan).values() for w in weights} == {np.dtype("f4")}


RUN = {
    "model": "depth_stargan",
    "conditions": "expression",
    "identity_weight": 0,
    "quality_weight": 0,
    "perceptual_weight": 0,
    "flip": True,
    "blocks": 0,
    "train_steps": 2,
    "log_every": 1,
    "checkpoint_every": 1,
    "sample_every": 2,
    "schedule": "constant",
}


def of_system(model, values):
    """The options of a run that another system has, too."""
    own = options.names(systems.get(model))
    return {**{name: value for name, value in values.items() if name in own}, "model": model}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("depth_runs")


@pytest.fixture(scope="module")
def whole(folder, runs):
    """An editor of rendered faces that has its depth network trained first, in one go."""
    values = {**RUN, "expressions": "affectnet", "auxiliary_steps": 2}
    config = runs.config(folder / "whole", **values, depth_weight=0.1, confidence_penalty=0.1)
    assert train(config) == 0
    return folder / "whole"


@pytest.fixture(scope="module")
def manifest(folder, runs):
    """Pictures of four people, two of them to train on, each with its map of normals."""
    rendered = rendered_faces(
        "train", 4, ("neutral", "smile"), ("shot00", "shot05"), SIZE, 0, map_kind="normal"
    )
    everything = np.arange(len(rendered))
    pairs = zip(rendered.images(everything), rendered.map_images(everything))
    rows = []
    for index, (picture, surface) in enumerate(pairs):
        Image.fromarray(picture).save(folder / f"{index}.png")
        Image.fromarray(surface).save(folder / f"{index}-normal.png")
        rows.append(
            {
                "path": f"{index}.png",
                "normal": f"{index}-normal.png",
                "identity": f"person{rendered.identity[index]}",
                "expression": rendered.names("expression")[rendered.labels["expression"][index]],
                "split": ("train", "train", "val", "val")[rendered.identity[index]],
            }
        )
    return runs.write_manifest(folder, rows)


@pytest.fixture(scope="module")
def in_turn(folder, manifest, runs):
    """Runs that differ in one thing each, trained by one process."""
    data = {**RUN, "dataset": "manifest", "manifest": manifest, "deterministic": True}
    normals = {**data, "geometry": "normal", "depth_model": folder / "normals"}
    guided_run = {**normals, "depth_weight": 0.5, "replicas": 1}
    todo = {
        "normals": [{**of_system("depth", data), "geometry": "normal"}],
        "whole_way": [guided_run],
        "in_halves": [{**guided_run, "train_steps": 1, "sample_every": 1}, guided_run],
        "on_two": [{**guided_run, "train_steps": 1, "sample_every": 1, "replicas": 2}],
        "stargan": [of_system("stargan", data)],
        "no_weight": [{**normals, "depth_weight": 0.0, "confidence_penalty": 0.1}],
    }
    runs.in_turn(2, *((folder / name, run) for name, of_name in todo.items() for run in of_name))
    return folder


def test_a_run_leaves_both_its_networks_and_the_pretraining_its_discriminator(whole, runs):
    editor_network = keras.models.load_model(whole / "model.keras")
    assert isinstance(editor_network, StarganGenerator)
    assert [one.name for one in editor_network.conditions] == ["expression"]
    depth = keras.models.load_model(whole / "depth.keras")
    before = keras.models.load_model(whole / "depth/model.keras")
    assert isinstance(depth, DepthNetwork) and isinstance(before, DepthNetwork)
    assert any((a != b).any() for a, b in zip(depth.get_weights(), before.get_weights()))
    discriminator = keras.models.load_model(whole / "depth/discriminator.keras")
    assert isinstance(discriminator, Discriminator)
    assert [(one.name, one.size) for one in discriminator.conditions] == [("expression", 8)]
    terms = {"depth_discriminator", "depth_attributes", "depth_reconstruction", "depth_d_rate"}
    assert terms <= runs.metrics(whole)[-1].keys()
    record = json.loads((whole / "record.jsonl").read_text())
    assert record["began_with"] == {"depth": f"{whole / 'depth'} (trained by this run)"}
    assert systems.from_flagfile(str(whole / "depth/flags.txt")).confidence_penalty == 0.1


def test_the_samples_show_edits_with_their_depth_and_the_truth(whole):
    grid = np.asarray(Image.open(whole / "samples/samples-0000002.png"))
    rows = 3 * 4  # edits, truth, maps and true maps of three people
    assert grid.shape == (14 + rows * SIZE, 9 * SIZE, 3)
    cells = grid[14:].reshape(rows, SIZE, 9, SIZE, 3).swapaxes(1, 2)
    for person in range(3):
        edited, truth, read, true = cells[4 * person : 4 * person + 4]
        assert any((cell == edited[0]).all() for cell in truth[1:])
        assert (read == read[..., :1]).all() and (true == true[..., :1]).all()
        assert (true[:, 0, 0] == 0).all() and (true.max(axis=(1, 2, 3)) == 255).all()
        # One of the expressions is the picture's own.
        assert any((cell == true[0]).all() for cell in true[1:])
        assert len({cell.tobytes() for cell in true[1:]}) > 4
    pretrained = np.asarray(Image.open(next((whole / "depth/samples").iterdir())))
    assert pretrained.shape == (14 + 3 * SIZE, 5 * SIZE, 3)


def test_a_guided_run_goes_on_as_if_it_had_not_stopped(in_turn, runs):
    parts = ("generator/", "depth/", "depth_discriminator/", "averaged_depth/", "depth_g_optimizer")
    runs.assert_same(in_turn / "whole_way", in_turn / "in_halves", parts)
    assert keras.models.load_model(in_turn / "whole_way/depth.keras").geometry == "normal"


def test_no_weight_of_depth_is_stargan(in_turn, runs):
    runs.assert_same(in_turn / "stargan", in_turn / "no_weight", ("generator/", "g_optimizer/"))


def test_two_replicas_make_the_update_of_one(in_turn, runs):
    """The gradients of all four networks, as Adam's moments keep them, do not depend on it."""
    one = runs.last_checkpoint(in_turn / "whole_way", 1)
    two = runs.last_checkpoint(in_turn / "on_two")
    assert one.keys() == two.keys()
    compared = set()
    for variable, value in one.items():
        if "optimizer/_variables" in variable and np.ndim(value):
            bound = 1e-3 * np.abs(value).max()
            np.testing.assert_allclose(two[variable], value, 1e-3, bound, err_msg=variable)
            compared.add(variable.split("/")[0])
    assert compared == {"d_optimizer", "g_optimizer", "depth_d_optimizer", "depth_g_optimizer"}


def test_depth_networks_that_do_not_fit_are_refused(whole, in_turn, manifest, runs, tmp_path):
    def refusal(**options) -> str:
        data = {"dataset": "manifest", "manifest": manifest, "geometry": "normal"}
        with pytest.raises(UserError) as caught:
            train(runs.config(tmp_path / "run", **{**RUN, **data, "depth_weight": 0.1, **options}))
        return str(caught.value)

    told = refusal(depth_model=in_turn / "normals/model.keras")
    assert "name the run folder of --model=depth" in told
    assert "trained with --geometry=depth, not normal" in refusal(depth_model=whole / "depth")
    shutil.copytree(in_turn / "normals", tmp_path / "bare")
    (tmp_path / "bare/discriminator.keras").unlink()
    assert "holds no discriminator.keras" in refusal(depth_model=tmp_path / "bare")
    # No picture of this manifest has a map of depth.
    assert "names a depth map" in refusal(geometry="depth")
    shutil.copy(whole / "depth/discriminator.keras", tmp_path / "bare/discriminator.keras")
    shutil.copy(whole / "depth/record.jsonl", tmp_path / "bare/record.jsonl")
    told = refusal(depth_model=tmp_path / "bare")
    assert "reads of expression neutral, happy" in told and "this run has neutral, smile" in told
    # An editor of light alone has no expression to ask D_depth for.
    lit = rendered_faces("train", 1, ("neutral", "smile"), ("shot00",), SIZE, 0).only(["lighting"])
    system = systems.make("depth", image_size=SIZE, geometry="normal")
    with pytest.raises(UserError, match="reads of expression neutral, smile; this run has none"):
        system.load_trained("depth_model", str(in_turn / "normals"), lit)
