from __future__ import annotations

import numpy as np
import pytest

from legan_tf.errors import UserError
from legan_tf.head import action_units, expressions
from legan_tf.head.head_file import load_head


def test_action_units_are_read_with_their_intensities():
    assert action_units.parse_action_units("AU12=.8, au06=.5,AU28=1") == {
        "mouthSmile": 0.8,
        "cheekSquint": 0.5,
        "mouthRollUpper": 1.0,
        "mouthRollLower": 1.0,
    }


def test_of_two_that_set_the_same_shape_the_stronger_counts():
    assert action_units.units_of_action_units({26: 1, 27: 0.3}) == {"jawOpen": 0.4}
    assert action_units.units_of_action_units({26: 0.5, 27: 0.9}) == {"jawOpen": 0.9}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("AU12", "'AU12' is none; write them as AU12=.8,AU6=.5."),
        ("", "'' is none; write them as"),
        ("smile=1", "'smile=1' is none"),
        ("AU0=1", "'AU0=1' is none"),
        ("AU12=much", "'much' is no number; write them as"),
        ("AU12=nan", "nan is not within 0 to 2"),
        ("AU12=2.5", "2.5 is not within 0 to 2"),
        ("AU12=-1", "-1 is not within 0 to 2"),
        ("AU12=1,AU12=.5", "AU12 is given twice"),
        ("AU3=1", "AU3 is not known; known are AU1, AU2, AU4, "),
    ],
)
def test_what_is_no_action_unit_is_refused(text, told):
    with pytest.raises(UserError) as refused:
        action_units.parse_action_units(text)
    assert told in str(refused.value)


@pytest.mark.parametrize("number", action_units.MEASURED)
def test_an_expression_tells_the_action_unit_that_made_it(number):
    head = load_head()
    vector = head.expression_vector(action_units.units_of_action_units({number: 0.7}))
    assert vector.any()
    told = action_units.action_units_of(vector, head.expression_names)
    assert list(told) == list(action_units.MEASURED)
    assert told.pop(number) == pytest.approx(0.7)
    assert not any(told.values())


def test_halves_count_alike_and_nothing_is_below_none():
    names = ("mouthSmile_L", "mouthSmile_R", "jawOpen")
    told = action_units.action_units_of(np.array([0.2, 0.6, -0.3]), names)
    assert told[12] == pytest.approx(0.4)
    assert told[27] == 0
    assert told[1] == 0


def test_every_shape_of_presets_and_action_units_is_one_of_the_head():
    head = load_head()
    for units in (*expressions.PRESETS.values(), *action_units.SHAPES.values()):
        assert (head.expression_vector(units) >= 0).all()


def test_an_expression_is_a_copy_of_its_preset_or_refused():
    expressions.expression_units("smile").clear()
    assert expressions.expression_units("smile")["mouthSmile"] == 0.46
    assert expressions.expression_units("neutral") == {}
    with pytest.raises(UserError, match="'grin' is no expression that is known; known are neutral"):
        expressions.expression_units("grin")
