from __future__ import annotations

import json
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import legan_tf
from legan_tf.data import storage
from legan_tf.data.conditions import of_classes
from legan_tf.errors import UserError
from legan_tf.models import AttributeClassifier, DepthNetwork, LeganGenerator, copy_of
from legan_tf.serving import export, loading, preprocessing, publishing, signatures
from legan_tf.training.run_folder import load_network

LEVELS = 1  # Eager or another batch size, sums may come out such that a half rounds otherwise.


@pytest.fixture(scope="module")
def editor(serving_root):
    return legan_tf.load(serving_root / "legan")


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """An editor that must be told both attributes."""
    network = LeganGenerator(
        of_classes(expression=("a", "b"), lighting=("c", "d")),
        16,
        width=4,
        blocks=0,
        mask_channels=1,
    )
    network.build()
    file = tmp_path_factory.mktemp("strict") / "strict.keras"
    network.save(file)
    return legan_tf.load(file)


def test_run_folder_file_and_export_agree(run_folder, serving_root, editor, blobs):
    images = blobs(25, 31, count=2)
    expected = editor(images, expression="smile", lighting=["left", None])
    assert expected.shape == (2, 16, 16, 3) and expected.dtype == np.uint8
    for path in (
        run_folder,
        str(run_folder / "model.keras"),
        serving_root / "legan" / "1",
    ):
        loaded = legan_tf.load(path)
        assert (loaded.kind, loaded.image_size) == ("editor", 16)
        assert loaded.expressions == ("neutral", "smile", "scream")
        assert loaded.lightings == ("left", "right")
        assert loaded.keeps_unnamed is True
        again = loaded(images, expression=1, lighting=[0, None])
        np.testing.assert_array_equal(again, expected)


def test_a_model_knows_where_it_is_from_and_the_sha256_of_that(run_folder, serving_root, quality):
    version = str(serving_root / "legan" / "1")
    file = str(run_folder / "model.keras")
    for path, source in (
        (str(run_folder), file),
        (file, file),
        (version, version),
        (str(serving_root / "legan"), version),
        (str(serving_root / "quality"), str(serving_root / "quality" / "1")),
    ):
        loaded = legan_tf.load(path)
        assert (loaded.path, loaded.sha256) == (path, storage.sha256(source))
    assert len({storage.sha256(path) for path in (file, version)}) == 2


def test_the_answer_is_the_network_s(generator, editor, blobs):
    image = blobs(16, 16)[0]
    direct = generator(
        {
            "image": tf.constant(image[None].astype(np.float32) / 127.5 - 1),
            "expression": tf.constant([[0.0, 0, 1]]),
            "lighting": tf.constant([[1.0, 0]]),
        }
    )["image"][0].numpy()
    edited = editor(image, expression="scream", lighting="left")
    expected = np.clip(np.round((direct + 1) * 127.5), 0, 255)
    np.testing.assert_allclose(edited, expected, rtol=0, atol=LEVELS)


def test_the_newest_complete_version_is_used(tmp_path, serving_root, quality, blobs):
    first = serving_root / "quality" / "1"
    shutil.copytree(first, tmp_path / "m" / "9")
    shifted = copy_of(quality, "shifted")
    shifted.fc1.bias.assign(shifted.fc1.bias + 3.0)
    assert export.export(shifted, str(tmp_path), "m") == str(tmp_path / "m" / "10")
    (tmp_path / "m" / "11").mkdir()
    shutil.copytree(first, tmp_path / "m" / ".unfinished-12")
    image = blobs(16, 16)[0]
    newest = legan_tf.load(tmp_path / "m")(image)
    assert newest == pytest.approx(legan_tf.load(first)(image) + 3.0, abs=1e-4)


def test_every_form_of_picture(tmp_path, editor, blobs):
    image = blobs(24, 24)[0]
    Image.fromarray(image).save(tmp_path / "a.png")
    expected = editor(image, expression="smile", lighting="right")
    assert expected.shape == (16, 16, 3)
    for form in (
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        Image.fromarray(image),
        image / 127.5 - 1,
        (image / 127.5 - 1).astype(np.float32),
        tf.constant(image),
    ):
        np.testing.assert_array_equal(editor(form, expression="smile", lighting="right"), expected)


def pil_16_bit(picture):
    return Image.fromarray(picture[..., 0].astype(np.uint16) * 257), {}


def pil_transparent(picture):
    alpha = np.repeat(np.arange(24, dtype=np.uint8)[:, None] * 11, 24, axis=1)
    return Image.fromarray(np.dstack([picture, alpha])), {}


def pil_rotated(picture):
    image = Image.fromarray(picture)
    image.getexif()[0x0112] = 6  # The orientation: rotate by 90 degrees to look at it.
    return image, {"exif": image.getexif()}


@pytest.mark.parametrize("make", [pil_16_bit, pil_transparent, pil_rotated])
def test_a_pil_image_counts_as_its_file_does(make, tmp_path, editor, blobs):
    picture = blobs(24, 24)[0]
    image, options = make(picture)
    image.save(tmp_path / "a.png", **options)
    expected = editor(tmp_path / "a.png", expression="smile", lighting="right")
    with Image.open(tmp_path / "a.png") as opened:
        np.testing.assert_array_equal(
            editor(opened, expression="smile", lighting="right"), expected
        )
    np.testing.assert_array_equal(editor(image, expression="smile", lighting="right"), expected)
    grey = np.repeat(picture[..., :1], 3, axis=-1)
    same = editor(grey if make is pil_16_bit else picture, expression="smile", lighting="right")
    assert np.array_equal(same, expected) == (make is pil_16_bit)


def test_a_pil_image_that_is_cut_short_is_told(tmp_path, editor, blobs):
    Image.fromarray(blobs(24, 24)[0]).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    with Image.open(tmp_path / "b.png") as opened:
        with pytest.raises(UserError, match="picture: is damaged or cut short"):
            editor(opened, expression="smile", lighting="right")


def test_pictures_of_several_sizes_in_one_call(editor, blobs):
    images = [blobs(24, 24)[0], blobs(40, 20)[0], blobs(24, 24, seed=1)[0]]
    together = editor(images, expression=["neutral", "smile", None], lighting=1)
    for edited, image, expression in zip(together, images, (0, 1, None)):
        alone = editor(image, expression=expression, lighting="right")
        np.testing.assert_allclose(edited, alone, rtol=0, atol=LEVELS)


def test_more_pictures_than_fit_one_batch(editor, blobs):
    images = blobs(8, 8, count=35)
    edited = editor(images, expression="smile")
    np.testing.assert_allclose(
        edited[34], editor(images[34], expression="smile"), rtol=0, atol=LEVELS
    )


def test_grid_holds_every_target(editor, blobs):
    image = blobs(20, 20)[0]
    grid = editor.grid(image)
    assert grid.shape == (3, 2, 16, 16, 3)
    for row, expression in enumerate(editor.expressions):
        for column, lighting in enumerate(editor.lightings):
            edited = editor(image, expression=expression, lighting=lighting)
            np.testing.assert_allclose(grid[row, column], edited, rtol=0, atol=LEVELS)


def test_an_editor_of_expressions_alone_edits_maps_and_makes_a_grid(
    serving_root, unlit, mappers, blobs
):
    editor = legan_tf.load(serving_root / "unlit_depth")
    assert (editor.expressions, editor.lightings) == (("neutral", "smile", "scream"), ())
    image = blobs(16, 16)[0]
    direct = unlit(
        {
            "image": tf.constant(image[None] / 127.5 - 1, tf.float32),
            "expression": tf.constant([[0.0, 1, 0]]),
        }
    )["image"][0].numpy()
    edited = editor(image, expression="smile")
    expected = np.clip(np.round((direct + 1) * 127.5), 0, 255)
    np.testing.assert_allclose(edited, expected, rtol=0, atol=LEVELS)
    surface = mappers["depth"].to_map(tf.constant(edited[None] / 127.5 - 1, tf.float32))
    expected = np.round((surface[0, ..., 0].numpy() + 1) * 127.5)
    np.testing.assert_allclose(editor.depth(edited), expected, rtol=0, atol=LEVELS)
    grid = editor.grid(image)
    assert grid.shape == (3, 1, 16, 16, 3)
    np.testing.assert_allclose(grid[1, 0], edited, rtol=0, atol=LEVELS)
    with pytest.raises(
        UserError, match="does not edit the lighting; leave it out. It edits: expression"
    ):
        editor(image, expression="smile", lighting="left")


def test_a_grid_resizes_its_picture_once(editor, generator, blobs):
    servable = signatures.build(generator)
    fed = []

    def signature(image, **ids):
        fed.append(tuple(image.shape))
        return servable.signatures["serving_default"](image=image, **ids)

    image = blobs(90, 60)[0]
    offered = {"serving_default": signature}
    grid = loading.Editor("path", __file__, servable.labels, offered, servable).grid(image)
    assert fed == [(6, 16, 16, 3)]
    expected = editor(image, expression="smile", lighting="right")
    np.testing.assert_allclose(grid[1, 1], expected, rtol=0, atol=LEVELS)


def test_scorer(tmp_path, quality, serving_root, blobs):
    quality.save(tmp_path / "model.keras")
    images = blobs(16, 16, count=2)
    expected = quality(tf.constant(images / 127.5 - 1, tf.float32)).numpy()
    for path in (tmp_path, serving_root / "quality"):
        scorer = legan_tf.load(path)
        assert (scorer.kind, scorer.image_size) == ("scorer", 16)
        ratings = scorer(images)
        assert ratings.shape == (2,) and ratings.dtype == np.float32
        np.testing.assert_allclose(ratings, expected, atol=1e-4)
        assert scorer(images[1]) == pytest.approx(expected[1], abs=1e-4)


@pytest.mark.parametrize("count", [0, 5, 70])
def test_tensors_are_edited_in_a_graph_as_pictures_are_outside(
    run_folder, serving_root, blobs, count
):
    images = blobs(24, 20, count=70)[:count]
    ids = np.arange(count, dtype=np.int32) % 3
    for path in (run_folder, serving_root / "legan"):
        editor = legan_tf.load(path)

        @tf.function(input_signature=[tf.TensorSpec([None, 24, 20, 3], tf.uint8)])
        def edit(image, editor=editor):
            return editor.edit(image, expression=tf.range(tf.shape(image)[0]) % 3)

        edited = edit(images)
        assert edited.dtype == tf.uint8 and edited.shape == (count, 16, 16, 3)
        floats = editor.edit(images.astype(np.float32) / 127.5 - 1, expression=ids)
        np.testing.assert_array_equal(floats, edited)
        if count:
            expected = editor(images, expression=list(ids))
            np.testing.assert_allclose(edited.numpy().astype(int), expected, rtol=0, atol=LEVELS)
    with pytest.raises(tf.errors.InvalidArgumentError, match="unknown expression id 7"):
        editor.edit(blobs(8, 8, count=2), expression=[0, 7], lighting=[0, 1])


@pytest.mark.parametrize("height, width", [(16, 16), (40, 31), (9, 12), (16, 20)])
def test_tensors_are_rated_in_a_graph_as_pictures_are_outside(
    tmp_path, quality, serving_root, blobs, height, width
):
    quality.save(tmp_path / "model.keras")
    images = blobs(height, width, count=70)
    floats = tf.constant(images / 127.5 - 1, tf.float32)
    for path, differentiable in ((tmp_path, True), (serving_root / "quality", False)):
        scorer = legan_tf.load(path)
        assert scorer.differentiable is differentiable
        expected = scorer(images)
        for given in (images, floats):
            rating = tf.function(lambda image, scorer=scorer: scorer.rate(image))(given)
            assert rating.dtype == tf.float32 and rating.shape == (70,)
            np.testing.assert_allclose(rating, expected, atol=5e-3)
            np.testing.assert_allclose(scorer.rate(given), rating, atol=1e-3)
        with tf.GradientTape() as tape:
            tape.watch(floats)
            rating = scorer.rate(floats)
        assert (tape.gradient(rating, floats) is not None) is differentiable


def test_the_resizing_that_has_a_gradient_is_that_of_the_graph(blobs):
    for height, width in ((16, 16), (40, 31), (9, 12), (300, 17)):
        images = tf.constant(blobs(height, width, count=3))
        made = preprocessing.prepare_differentiably(tf.cast(images, tf.float32) / 127.5 - 1, 16)
        # It rounds to eight bits.
        expected = preprocessing.prepare(images, 16)
        np.testing.assert_allclose(made, expected, atol=0.501 / 127.5)


def test_q_computes_in_float32_whatever_the_policy(tmp_path, quality, blobs):
    quality.save(tmp_path / "model.keras")
    expected = legan_tf.load(tmp_path).rate(blobs(16, 16, count=3))
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        rated = legan_tf.load(tmp_path).rate(blobs(16, 16, count=3))
    finally:
        keras.mixed_precision.set_global_policy(before)
    np.testing.assert_array_equal(rated, expected)


@pytest.mark.parametrize("geometry", ["depth", "normal"])
def test_depth_estimator(tmp_path, mappers, serving_root, blobs, geometry):
    mappers[geometry].save(tmp_path / "model.keras")
    images = blobs(16, 16, count=2)
    direct = mappers[geometry].to_map(tf.constant(images / 127.5 - 1, tf.float32)).numpy()
    expected = np.round((direct + 1) * 127.5)
    expected = expected[..., 0] if geometry == "depth" else expected
    served = [serving_root / "depth"] if geometry == "depth" else []
    for path in (*served, tmp_path, tmp_path / "model.keras"):
        estimator = legan_tf.load(path)
        assert isinstance(estimator, loading.DepthEstimator)
        assert (estimator.kind, estimator.geometry) == ("depth", geometry)
        assert (estimator.path, estimator.image_size) == (str(path), 16)
        made = estimator(images)
        assert made.dtype == np.uint8 and made.shape == expected.shape
        np.testing.assert_allclose(made, expected, rtol=0, atol=LEVELS)
        one = estimator(Image.fromarray(images[1]))
        assert one.shape == expected.shape[1:]
        np.testing.assert_allclose(one, expected[1], rtol=0, atol=LEVELS)
    mixed = estimator([blobs(40, 30)[0], images[0], blobs(40, 30, seed=1)[0]])
    np.testing.assert_allclose(mixed[1], expected[0], rtol=0, atol=LEVELS)
    for row, seed in ((0, 0), (2, 1)):
        alone = estimator(blobs(40, 30, seed=seed)[0])
        np.testing.assert_allclose(mixed[row], alone, rtol=0, atol=LEVELS)


def test_an_editor_maps_with_the_depth_network_beside_it(
    tmp_path, depth_run, serving_root, mappers, editor, blobs
):
    images = blobs(25, 31, count=2)
    for path, geometry in ((depth_run, "depth"), (serving_root / "legan_normal", "normal")):
        both = legan_tf.load(path)
        assert (both.kind, both.geometry) == ("editor", geometry)
        mappers[geometry].save(tmp_path / f"{geometry}.keras")
        alone = legan_tf.load(tmp_path / f"{geometry}.keras")
        np.testing.assert_array_equal(both.depth(images), alone(images))
        np.testing.assert_array_equal(
            both(images, expression="smile", lighting="left"),
            editor(images, expression="smile", lighting="left"),
        )
        edited = both(images[0], expression="smile", lighting="left")
        assert both.depth(edited).shape == (16, 16, 3)[: 2 if geometry == "depth" else 3]
        np.testing.assert_array_equal(both.depth(edited), alone(edited))


def test_an_editor_without_a_depth_network_says_so(run_folder, depth_run, editor, blobs):
    for without in (editor, legan_tf.load(run_folder), legan_tf.load(depth_run / "model.keras")):
        assert without.geometry == ""
        with pytest.raises(UserError, match=f"{without.path}: has no depth network; .*depth.ker"):
            without.depth(blobs(8, 8)[0])


def test_a_depth_network_that_does_not_go_with_the_editor_is_told(tmp_path, generator, quality):
    generator.save(tmp_path / "model.keras")
    (tmp_path / "depth.keras").write_text("damaged")
    with pytest.raises(UserError, match=f"{tmp_path / 'depth.keras'}: is not a .keras file"):
        legan_tf.load(tmp_path)
    quality.save(tmp_path / "depth.keras")
    with pytest.raises(UserError, match=f"{tmp_path}: A QualityEstimator is no depth network"):
        legan_tf.load(tmp_path)
    larger = DepthNetwork(32, width=4, blocks=0)
    larger.build()
    larger.save(tmp_path / "depth.keras")
    with pytest.raises(UserError, match=f"{tmp_path}: The depth network works at 32 pixels"):
        legan_tf.load(tmp_path)


def test_an_export_from_before_there_were_maps_is_loaded(tmp_path, serving_root, editor, blobs):
    shutil.copytree(serving_root / "legan" / "1", tmp_path / "1")
    for later in (publishing.CARD_FILE, publishing.SUMS_FILE, publishing.WARMUP_FILE):
        (tmp_path / "1" / later).unlink()
    file = tmp_path / "1" / publishing.LABELS_FILE
    labels = json.loads(file.read_text())
    del labels["geometry"]
    file.write_text(json.dumps(labels))
    older = legan_tf.load(tmp_path)
    image = blobs(16, 16)[0]
    assert older.geometry == ""
    np.testing.assert_array_equal(
        older(image, expression="smile"), editor(image, expression="smile")
    )


def test_an_export_of_version_0_1_is_told_to_leave_the_light_that_it_does_not_edit(tmp_path):
    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, None, 3], tf.uint8, "image"),
            tf.TensorSpec([None], tf.int32, "expression"),
            tf.TensorSpec([None], tf.int32, "lighting"),
        ]
    )
    def serving_default(image, expression, lighting):
        with tf.control_dependencies([tf.debugging.assert_equal(lighting, -1)]):
            ids = tf.cast(expression, tf.uint8)[:, None, None, None]
        return {"image": ids + tf.zeros([8, 8, 3], tf.uint8)}

    tf.saved_model.save(tf.Module(), str(tmp_path), {"serving_default": serving_default})
    labels = {"kind": "editor", "architecture": "StarganGenerator", "image_size": 8}
    labels |= {"expressions": ["a", "b"], "lightings": [], "keeps_unnamed": False}
    (tmp_path / publishing.EXTRA).mkdir()
    (tmp_path / publishing.LABELS_FILE).write_text(json.dumps(labels))
    editor = legan_tf.load(tmp_path)
    assert editor.conditions == of_classes(expression=("a", "b")) and editor.lightings == ()
    image = np.zeros((8, 8, 3), np.uint8)
    assert (editor(image, expression="b", lighting=None) == 1).all()
    assert (editor.edit(image[None], expression=[1]).numpy() == 1).all()
    grid = editor.grid(image)
    assert grid.shape == (2, 1, 8, 8, 3) and grid[:, 0, 0, 0, 0].tolist() == [0, 1]
    with pytest.raises(UserError, match="does not edit the lighting; leave 'left' out"):
        editor(image, expression="b", lighting="left")


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ({"expression": "smlie"}, "'smlie' is no expression .* neutral, smile, .* mean 'smile'"),
        ({"lighting": "up"}, "'up' is no lighting of this model; it knows left, right"),
        ({"expression": 3}, "3 is no expression id of this model; it knows 0 to 2"),
        ({"expression": -1}, "-1 is no expression id"),
        ({"expression": 1.0}, "must be a name, an id or None, not float"),
        ({"expression": ["smile", "smile"]}, "holds 2 targets for 1 pictures"),
    ],
)
def test_wrong_targets_are_told(editor, blobs, arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        editor(blobs(8, 8)[0], **arguments)


@pytest.mark.parametrize(
    "image, sentence",
    [
        (np.full((8, 8, 3), 128.0), r"must lie in \[-1, 1\]; these go from 128 to 128"),
        (np.full((8, 8, 3), np.nan), r"must lie in \[-1, 1\]"),
        (np.zeros((8, 8, 3), np.int64), "must be uint8, or float .* not int64"),
        (np.zeros((8, 8), np.uint8), r"not \[8, 8\]"),
        (np.zeros((8, 8, 4), np.uint8), r"not \[8, 8, 4\]"),
        (np.zeros((0, 8, 8, 3), np.uint8), r"not \[0, 8, 8, 3\]"),
        ([], "list of pictures is empty"),
        ([np.zeros((2, 8, 8, 3), np.uint8)], "one picture per entry"),
        ("no/such.png", "no/such.png: no such file"),
    ],
)
def test_wrong_pictures_are_told(editor, image, sentence):
    with pytest.raises(UserError, match=sentence):
        editor(image, expression="smile")


def test_a_grid_of_several_pictures_is_refused(editor, blobs):
    with pytest.raises(UserError, match="one picture; 2 were given"):
        editor.grid(blobs(8, 8, count=2))


def test_an_attribute_that_must_be_named_is_asked_for(strict, blobs):
    with pytest.raises(UserError, match="cannot leave the lighting as it is: name one of c, d"):
        strict(blobs(8, 8)[0], expression="a")


def test_paths_without_a_model_are_told(tmp_path, serving_root):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.keras").write_text("not a model")
    shutil.copytree(serving_root / "legan" / "1", tmp_path / "foreign")
    shutil.rmtree(tmp_path / "foreign" / "assets.extra")
    shutil.copytree(serving_root / "legan" / "1", tmp_path / "damaged")
    (tmp_path / "damaged" / "saved_model.pb").write_bytes(b"\x00\x01")
    classifier = AttributeClassifier(
        of_classes(expression=("a", "b"), lighting=("c", "d")), image_size=16, width=2
    )
    classifier.build()
    classifier.save(tmp_path / "classifier.keras")
    for name, sentence in (
        ("absent", "no such file or folder"),
        ("empty", "holds no model.keras"),
        ("text.keras", "is not a .keras file"),
        ("foreign", "is not an export of this package"),
        ("damaged", "is a damaged export"),
        ("classifier.keras", "AttributeClassifier neither edits nor rates"),
    ):
        with pytest.raises(UserError, match=f"{name}.*{sentence}"):
            legan_tf.load(tmp_path / name)


def test_the_network_of_a_run_is_loaded_by_folder_and_by_file(run_folder, generator, tmp_path):
    for path in (run_folder, str(run_folder / "model.keras")):
        network = load_network(path)
        assert type(network) is LeganGenerator
        for weight, expected in zip(network.get_weights(), generator.get_weights()):
            np.testing.assert_array_equal(weight, expected)
    keras.Sequential([keras.layers.Input([2]), keras.layers.Dense(1)]).save(tmp_path / "a.keras")
    with pytest.raises(UserError, match="a.keras: holds a Sequential, not a network of legan_tf"):
        load_network(tmp_path / "a.keras")
    content = (run_folder / "model.keras").read_bytes()
    (tmp_path / "b.keras").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="b.keras: is not a .keras file, or is damaged"):
        load_network(tmp_path / "b.keras")


def test_importing_the_package_does_not_import_tensorflow():
    code = "import sys, legan_tf, legan_tf.command_line.cli; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
