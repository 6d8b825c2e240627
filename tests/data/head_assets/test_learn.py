from __future__ import annotations

import pathlib
import runpy

import numpy as np
import pytest

from legan_tf.data import images
from legan_tf.data.head_assets.learn import write_statistics
from legan_tf.errors import UserError
from legan_tf.head.face_statistics import load_statistics
from legan_tf.head.head_file import load_head
from legan_tf.head.morphable_head import without_side

drawn = runpy.run_path(str(pathlib.Path(__file__).parents[2] / "head" / "drawn_faces.py"))
SMILE = {"mouthSmile": 1.0, "mouthUpperUp": 0.8, "mouthLowerDown": 0.7, "jawOpen": 0.2}


def ignore(done: int, total: int) -> None:
    pass


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    lines = ["path,identity,expression"]
    for person in range(6):
        for expression, units in (("neutral", {}), ("smile", SMILE)):
            face = drawn["draw"](
                drawn["random_identity"](person), load_head().expression_vector(units), size=160
            )
            name = f"{person}_{expression}.png"
            images.save_png(str(folder / name), face.image)
            lines.append(f"{name},{person},{expression}")
    (folder / "people.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_the_smile_of_drawn_people_is_learned(people):
    file = str(people / "statistics.npz")
    report = write_statistics("", str(people / "people.csv"), None, "tflite", file, ignore)
    assert "with smile" in report
    head = load_head()
    learned = load_statistics(head, file)
    points = learned.face_points
    shipped = load_statistics(head).face_points
    both = np.intersect1d(points.numbers, shipped.numbers)
    assert len(both) > 440
    away = np.linalg.norm(points.mean_face - shipped.mean_face, axis=1)
    assert np.median(away) < 0.06
    smile = learned.expressions["smile"]
    strongest = sorted(smile.units, key=lambda unit: -smile.units[unit])[:4]
    assert {without_side(unit) for unit in strongest} & {"mouthSmile", "mouthUpperUp"}
    assert smile.quotient.shape == (len(head.vertices_of("face")),)
    # Both sides alike.
    assert smile.units["mouthSmile_L"] == pytest.approx(smile.units["mouthSmile_R"], abs=1e-6)


def test_the_same_people_give_the_same_bytes(people):
    files = [people / "one.npz", people / "other.npz"]
    for file in files:
        write_statistics("", str(people / "people.csv"), None, "tflite", str(file), ignore)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_too_few_people_are_refused(people):
    lines = (people / "people.csv").read_text().splitlines()[:5]
    (people / "few.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match="few.csv: has 2 people with a neutral picture"):
        write_statistics("", str(people / "few.csv"), None, "tflite", str(people / "no"), ignore)


def test_statistics_of_another_head_or_damaged_ones_are_refused(people, tmp_path):
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(UserError, match="broken.npz: is no file of face statistics"):
        load_statistics(load_head(), str(broken))
    with pytest.raises(UserError, match="cannot be read"):
        load_statistics(load_head(), str(tmp_path / "absent.npz"))
