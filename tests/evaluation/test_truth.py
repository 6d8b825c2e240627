import pathlib
import subprocess
import sys

import numpy as np
import pytest

from legan_tf import optional
from legan_tf.data import attributes
from legan_tf.data.rendered import rated_faces, rendered_faces
from legan_tf.errors import UserError
from legan_tf.evaluation import evaluate, truth
from legan_tf.evaluation.kid import kid
from legan_tf.models import AttributeClassifier, LightCNN29, QualityEstimator

EXPRESSIONS, LIGHTINGS = ("neutral", "smile"), ("shot00", "shot04", "shot10")
EDITS = 40


@pytest.fixture(scope="module")
def faces():
    return rendered_faces("test", 3, EXPRESSIONS, LIGHTINGS, 16, 0)


@pytest.fixture(scope="module")
def judges():
    networks = (
        AttributeClassifier(EXPRESSIONS, LIGHTINGS, 16, 4),
        LightCNN29(16, 0.1),
        QualityEstimator(16, 4, 3),
    )
    for network in networks:
        network.build()
    return networks


def test_true_pictures_score_perfectly_and_a_copy_as_a_copy(faces, judges):
    def copying(images, expression, lighting):
        assert len(images) == len(expression) == len(lighting)
        return images

    made = truth.make_edits(copying, faces, EDITS, seed=1)
    figures = truth.judge_edits(made, faces, *judges)
    assert figures["edit"] == figures["copy"]
    assert figures["truth"]["ssim"] == pytest.approx(1.0)
    assert figures["truth"]["l1"] == 0.0
    expected = np.abs(made["copy"].astype(float) - made["truth"]).mean() / 255
    assert figures["copy"]["l1"] == pytest.approx(expected)
    assert 0 < figures["copy"]["l1"] < 0.5


def test_the_truth_is_that_person_under_the_target(faces):
    made = truth.make_edits(lambda images, **_: images, faces, EDITS, seed=2)
    for i in range(EDITS):
        same = (
            (faces.identity == faces.identity[made["index"][i]])
            & (faces.expression == made["expression"][i])
            & (faces.lighting == made["lighting"][i])
        )
        np.testing.assert_array_equal(made["truth"][i], faces.images(np.flatnonzero(same))[0])


def test_edits_are_drawn_uniformly_and_repeatably(faces):
    drawn = truth.random_edits(faces, 3000, seed=0)
    for name, classes in (("expression", 2), ("lighting", 3), ("index", 18)):
        counts = np.bincount(drawn[name], minlength=classes)
        assert len(counts) == classes
        np.testing.assert_allclose(counts, 3000 / classes, rtol=0.35)
        np.testing.assert_array_equal(drawn[name], truth.random_edits(faces, 3000, 0)[name])


def test_faces_without_truth_are_refused():
    rated = rated_faces("test", 4, 16, 0)
    with pytest.raises(ValueError, match="only rendered faces"):
        truth.make_edits(lambda images, **_: images, rated, 2, 0)


def test_classes_that_rendered_faces_do_not_have_are_refused(tmp_path):
    class Editor:
        expressions, lightings, image_size = ("happy", "sad"), ("left", "right"), 16

    with pytest.raises(UserError, match="happy, sad; lightings left, right"):
        evaluate.evaluate(Editor(), str(tmp_path))


@pytest.mark.parametrize("output", ["file", "file/in_it"])
def test_an_output_that_is_no_folder_is_told_before_anything_is_trained(output, tmp_path):
    class Editor:
        expressions, lightings = attributes.MULTIPIE_EXPRESSIONS, attributes.lightings(True)
        image_size = 16

    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match=f"^--output={tmp_path}/{output}: it cannot be written"):
        evaluate.evaluate(Editor(), str(tmp_path / output))
    assert (tmp_path / "file").read_text() == "mine"


def test_making_and_judging_edits_show_how_far_they_are(faces, judges, capsys):
    made = truth.make_edits(lambda images, **_: images, faces, EDITS, seed=1)
    truth.judge_edits(made, faces, *judges)
    told = capsys.readouterr().err
    for label in ("editing 40/40", "rendering the truth 40/40", "judging 360/360"):
        assert f"{label} (100%)" in told


@pytest.mark.parametrize("script", ["evaluate", "quickstart"])
def test_a_seed_that_is_too_large_is_told(script):
    scripts = pathlib.Path(__file__).parents[2] / "scripts"
    done = subprocess.run(
        [sys.executable, scripts / f"{script}.py", "--seed=1000001", "--model=m", "--output=o"]
        if script == "evaluate"
        else [sys.executable, scripts / f"{script}.py", "--seed=1000001"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "--seed=1000001" in done.stderr and "1000000" in done.stderr


def test_the_report_shows_every_figure_and_what_is_missing():
    row = {"expression": 0.5, "lighting": 0.25, "ssim": 0.7, "l1": 0.1, "person": 0.9, "rating": 8}
    report = {
        "data": "rendered/test",
        "people": 3,
        "image_size": 16,
        "edits": 10,
        "seed": 0,
        "figures": {"edit": {**row, "kid": 0.125}, "copy": row, "truth": row},
        "missing": ["KID needs something."],
    }
    lines = evaluate.as_markdown(report).splitlines()
    assert (
        lines[2] == "| the model's edit | 0.500 | 0.250 | 0.700 | 0.100 | 0.900 | 8.000 | 0.125 |"
    )
    assert lines[4].endswith("| 8.000 | – |")
    assert "10 edits of 3 people" in lines[6]
    assert lines[-1] == "KID needs something."


@pytest.mark.stack_a
def test_kid_tells_sets_apart():
    rng = np.random.default_rng(0)
    first, again = rng.normal(size=(2, 300, 16))
    assert kid(first, again) == pytest.approx(0, abs=0.02)
    # The cubic kernel of means: shifting every feature by one moves it far.
    assert kid(first, again + 1) > 0.5


def test_kid_says_what_it_needs_where_it_cannot_work():
    try:
        kid(np.zeros([4, 2]), np.zeros([4, 2]))
    except optional.UnavailableError as error:
        assert "computing KID needs tensorflow-gan" in str(error)
