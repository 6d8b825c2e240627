"""Files of action units by OpenFace, LibreFace, py-feat and by hand, joined to manifests."""

from __future__ import annotations

import numpy as np
import pytest

from legan_tf.data.action_unit_files import read_action_units, remarks
from legan_tf.data.action_units import NAMES
from legan_tf.data.conditions import RangeCondition
from legan_tf.data.manifest import read_manifest, to_csv
from legan_tf.errors import UserError
from legan_tf.head.action_units import MEASURED


def written(tmp_path, text: str, name: str = "units.csv") -> str:
    file = tmp_path / name
    file.write_text(text)
    return str(file)


@pytest.mark.parametrize(
    ("text", "source", "names", "vector"),
    [
        (
            "path, success, AU01_r, AU12_r, AU12_c\na.png, 1, 0.5, 5.0, 1\n",
            "OpenFace", ("AU01", "AU12"), [0.1, 1.0],
        ),
        ("path,au_12_intensity,au_4_intensity,au_7\na.png,2.5,1,1\n", "LibreFace",
         ("AU04", "AU12"), [0.2, 0.5]),
        ("input,AU01,AU11,AU12,AU43,FaceScore\na.png,0.2,0,0.9,1,0.99\n", "py-feat",
         ("AU01", "AU12", "AU45"), [0.2, 0.9, 1.0]),
        ("path,AU12,AU45\na.png,,2\n", "own measurements", ("AU12", "AU45"), [np.nan, 0.4]),
        ("path,success,AU12_r\na.png,0,3\n", "OpenFace", ("AU12",), [np.nan]),
    ],
)  # fmt: skip
def test_each_form_is_recognised(tmp_path, text, source, names, vector):
    found = read_action_units(written(tmp_path, text))
    assert (found.condition.source, found.condition.names) == (source, names)
    np.testing.assert_allclose(found.vectors["a.png"], vector, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("frame,AU01_r\n1,2\n", "no column is called 'path'"),
        ("path,smile\na,1\n", "has no column of action units; they are called AU01_r"),
        ("path,AU01_r\na,6\n", "line 2, AU01: 6 is outside 0 to 5"),
        ("input,AU11,AU12\na,0,2\n", "line 2, AU12: 2 is outside 0 to 1"),
        ("path,AU01_r\na,x\n", "line 2, AU01: 'x' is no number"),
        ("path,AU01_r\na,1\na,2\n", "line 3: 'a' is there twice"),
        ("path,AU01_r,au_2_intensity\na,1,1\n", "has columns of OpenFace and of LibreFace"),
    ],
)
def test_what_is_no_such_file_is_refused_by_its_flag(tmp_path, text, told):
    with pytest.raises(UserError, match=r"--action_units_file=.*units.csv: " + told):
        read_action_units(written(tmp_path, text))


def test_units_of_the_fitted_head_become_those_of_the_condition(tmp_path):
    columns = ",".join(f"AU{number}" for number in MEASURED)
    shown = {12: 0.5, 27: 0.25, 24: 1.5}
    cells = ",".join(str(shown.get(number, "0.0")) for number in MEASURED)
    found = read_action_units(written(tmp_path, f"path,{columns}\nmaps/a.png,{cells}\n"))
    assert (found.condition.source, found.condition.names) == ("the fitted head", NAMES)
    named = dict(zip(NAMES, found.vectors["maps/a.png"].tolist()))
    assert {name: value for name, value in named.items() if value} == {
        "AU12": 0.5, "AU23": 1.0, "AU25": 0.5, "AU26": 0.25,
    }  # fmt: skip


MANIFEST = "path,identity,split\na.png,p,train\nb.png,p,train\nc.png,q,test\n"


def test_a_manifest_has_the_units_of_its_paths(tmp_path):
    manifest = read_manifest(written(tmp_path, MANIFEST, "faces.csv"))
    assert manifest.units is None and not manifest.rows[0].has("action_units")
    text = f"path,AU12_r\na.png,2.5\n{tmp_path}/c.png,\nother.png,1\n"
    joined = manifest.with_action_units(written(tmp_path, text))
    assert [row.has("action_units") for row in joined.rows] == [True, False, False]
    np.testing.assert_array_equal(joined.unit_labels(joined.rows), [[0.5], [np.nan], [np.nan]])
    assert joined.notes[-1] == "Action units of 1 of 3 pictures, by OpenFace: AU12."
    assert joined.conditions == manifest.conditions
    with pytest.raises(UserError, match="has action units already"):
        joined.with_action_units(str(tmp_path / "units.csv"))
    strange = written(tmp_path, "path,AU12_r\nx.png,1\n", "strange.csv")
    with pytest.raises(UserError, match="whose first path is 'a.png'; write the paths alike"):
        manifest.with_action_units(strange)


def test_a_manifest_may_hold_them_itself_and_is_read_back(tmp_path):
    text = "path,AU01,AU12,split\na.png,0.7,5,train\nb.png,,1.1,train\nc.png,,,test\n"
    manifest = read_manifest(written(tmp_path, text, "faces.csv"))
    expected = [[0.14, 1.0], [np.nan, 0.22], [np.nan, np.nan]]
    np.testing.assert_allclose(manifest.unit_labels(manifest.rows), expected, atol=1e-6)
    content = to_csv((vars(row) for row in manifest.rows), manifest.units.names)
    (tmp_path / "again.csv").write_bytes(content)
    again = read_manifest(str(tmp_path / "again.csv"))
    np.testing.assert_allclose(again.unit_labels(again.rows), expected, atol=1e-6)
    wrong = read_manifest(written(tmp_path, "path,AU12\na.png,7\n", "wrong.csv"))
    assert any("AU12 7 is outside 0 to 5" in str(problem) for problem in wrong.problems)


def test_remarks_name_what_cannot_be_learned():
    condition = RangeCondition("action_units", ("AU01", "AU12"), source="OpenFace")
    vectors = np.array([[0.1, 0.02], [0.1, 0.18], [0.1, np.nan]], np.float32)
    constant, missing, low = remarks(condition, vectors)
    assert constant.startswith("AU01: hardly any difference")
    assert missing.startswith("1 of 3 pictures of train lack some action units")
    assert "No action unit is above 0.9 of 5; if the file has 0 to 1, multiply it by 5" in low
    assert remarks(condition, np.array([[0, 0.5], [1, 0.1]], np.float32)) == []
