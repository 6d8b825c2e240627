from __future__ import annotations

import pytest

from legan_tf.errors import UserError
from legan_tf.evaluation.comparison_inputs import parse_models, read_preferences


def test_models_are_paths_or_names_with_paths():
    assert parse_models("runs/a, LEGAN=runs/b+runs/c ,x=runs/lr=0.1,runs/d/") == {
        "a": ["runs/a"],
        "LEGAN": ["runs/b", "runs/c"],
        "x": ["runs/lr=0.1"],
        "d": ["runs/d/"],
    }


@pytest.mark.parametrize(
    "text, told",
    [
        ("", "name one model or more"),
        ("a,,b", "'' is not PATH, NAME=PATH or NAME=PATH\\+PATH; take out a comma"),
        ("=a", "'=a' is not PATH"),
        ("A=", "'A=' is not PATH"),
        ("A=a+", "'A=a\\+' is not PATH"),
        ("a+b", "'a\\+b' is several runs; give them a name: NAME=a\\+b\\."),
        ("runs/lr=0.1", "'runs/lr' is a path, not a name; .*: NAME=runs/lr=0.1\\."),
        ("A=a+./a", "A names a run twice"),
        ("x/a,y/a", "two models are called a; give them names"),
        ("A=a,A=b", "two models are called A"),
    ],
)
def test_models_that_cannot_be_told_apart_or_found_are_named(text, told):
    with pytest.raises(UserError, match=f"^--models: {told}"):
        parse_models(text)


def test_preferences_are_shares_by_model(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text('preference,model\n0.393, LEGAN \n\n1,"Star, GAN"\n', encoding="utf-8-sig")
    assert read_preferences(str(path)) == {"LEGAN": 0.393, "Star, GAN": 1.0}


@pytest.mark.parametrize(
    "text, told",
    [
        ("", ":1: must be model,preference."),
        ("model,share\nA,0.5\n", ":1: must be model,preference."),
        ("model,preference\n", ": names no model; give a line for each, such as LEGAN,0.393."),
        (
            "model,preference\nA,0.1\nB,22.3\n",
            ":3: preference must be a share, such as 0.393 for 39.3 %, not '22.3'.",
        ),
        ("model,preference\nA,-0.1\n", ":2: preference must be a share"),
        ("model,preference\nA,nan\n", ":2: preference must be a share"),
        ("model,preference\nA,\n", ":2: preference must be a share"),
        ("model,preference\n,0.5\n", ":2: names no model."),
        ("model,preference\nA,0.5\nA,0.4\n", ":3: names A again; keep one line."),
        (
            "model,preference\nA,b,0.5\n",
            ":2: has 3 cells, not 2; quote names that contain a comma.",
        ),
        ('model,preference\n"A,0.5\n', ":2: is not valid CSV"),
    ],
)
def test_what_is_wrong_with_preferences_is_named_by_line(text, told, tmp_path):
    path = tmp_path / "people.csv"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        read_preferences(str(path))
    assert str(error.value).startswith(f"--preferences={path}{told}")


def test_preferences_that_cannot_be_read_are_told(tmp_path):
    with pytest.raises(UserError, match=r"^--preferences=.*none.csv: no such file"):
        read_preferences(str(tmp_path / "none.csv"))
    (tmp_path / "latin.csv").write_bytes(b"model,preference\n\xe9,0.5\n")
    with pytest.raises(UserError, match="latin.csv:2: is not UTF-8"):
        read_preferences(str(tmp_path / "latin.csv"))
