from __future__ import annotations

import collections

import numpy as np
import pytest

from legan_tf.errors import UserError
from legan_tf.uses.study.config import ScreenOptions, StudyOptions
from legan_tf.uses.study.design import (
    ASKED,
    BROKEN,
    OBVIOUS,
    REAL,
    REPEAT,
    Control,
    draw_lists,
    plan_raters,
)

MODELS, SOURCES = ("one", "two", "three", "four"), [f"s{i}" for i in range(10)]
EDITS = {model: {source: f"{model}-{source}" for source in SOURCES} for model in MODELS}
MODEL_OF = {name: model for model, names in EDITS.items() for name in names.values()}
CONTROLS = [Control(f"real{i}", (f"bad{i}a", f"bad{i}b", f"bad{i}c")) for i in range(8)]
OPTIONS = StudyOptions(real="photos", raters=7, repeats=0.2, controls=0.2, seed=3)


@pytest.fixture(scope="module")
def lists():
    return draw_lists(EDITS, CONTROLS, 7, OPTIONS)


def asked(questions, choice):
    return [q.pictures for q in questions if q.role == ASKED and q.is_choice == choice]


def position_counts(lists):
    """How often each model is in each place of the choices that count."""
    counts = {model: [0] * len(MODELS) for model in MODELS}
    for questions in lists:
        for pictures in asked(questions, choice=True):
            for place, picture in enumerate(pictures):
                counts[MODEL_OF[picture]][place] += 1
    return np.array([*counts.values()])


def test_every_picture_is_rated_and_every_source_chosen_from_equally_often(lists):
    rated = collections.Counter(p for qs in lists for (p,) in asked(qs, choice=False))
    assert rated == dict.fromkeys(MODEL_OF, 3)
    sources = collections.Counter(
        p[0].split("-")[1] for qs in lists for p in asked(qs, choice=True)
    )
    assert sources == dict.fromkeys(SOURCES, 3)
    for questions in lists:
        for choice in (False, True):
            shown = [tuple(sorted(pictures)) for pictures in asked(questions, choice)]
            assert len(set(shown)) == len(shown)  # Nobody counts twice.
        # 30 choices and 120 ratings among 7.
        assert len(asked(questions, choice=True)) in (4, 5)
        assert len(asked(questions, choice=False)) in (17, 18)
        of_models = collections.Counter(MODEL_OF[p] for (p,) in asked(questions, choice=False))
        assert max(of_models.values()) - min(of_models.values()) <= 2


def test_each_model_stands_in_each_place_equally_often(lists):
    counts = position_counts(lists)
    assert counts.sum() == 4 * 30
    assert set(counts.ravel()) <= {7, 8}
    for questions in lists:
        assert np.ptp(position_counts([questions]), axis=1).max() <= 2


def test_repeats_come_far_from_the_first_time_and_in_another_order(lists):
    for questions in lists:
        again = [(i, q) for i, q in enumerate(questions) if q.role == REPEAT]
        assert [q.is_choice for _, q in again].count(True) == 1  # 0.2 of 4 or 5
        assert [q.is_choice for _, q in again].count(False) in (3, 4)
        for place, question in again:
            ((at, first),) = [
                (i, q) for i, q in enumerate(questions)
                if q.role == ASKED and sorted(q.pictures) == sorted(question.pictures)
            ]  # fmt: skip
            part = [q for q in questions if q.is_choice == question.is_choice]
            assert place - at >= len(part) // 3 - 1 >= 1
            if question.is_choice:
                assert not any(a == b for a, b in zip(first.pictures, question.pictures))


def test_controls_have_an_answer_and_stand_between_the_others(lists):
    places = collections.Counter()
    chosen, rated = set(), set()
    for questions in lists:
        roles = collections.Counter(q.role for q in questions)
        assert roles[OBVIOUS] == 3 and roles[REAL] + roles[BROKEN] in (3, 4)
        assert abs(roles[REAL] - roles[BROKEN]) <= 1
        for kind in (True, False):
            part = [q.role for q in questions if q.is_choice == kind]
            assert part[0] == ASKED
        for q in questions:
            if q.role == OBVIOUS:
                (right,) = [place for place, p in enumerate(q.pictures) if p.startswith("real")]
                assert len(q.pictures) == len(MODELS)
                places[right] += 1
                chosen |= set(q.pictures)
            elif q.role in (REAL, BROKEN):
                rated |= set(q.pictures)
        shown = [p for q in questions if q.role in (REAL, BROKEN, OBVIOUS) for p in q.pictures]
        assert len(set(shown)) == len(shown)
    assert {name[-1] for name in chosen} > {"a"} and not chosen & rated
    assert max(places.values()) - min(places.values()) <= 1 and len(places) == len(MODELS)


def test_a_list_depends_on_the_seed_and_the_number_only(lists):
    assert draw_lists(EDITS, CONTROLS, 7, OPTIONS) == lists
    other = draw_lists(EDITS, CONTROLS, 7, StudyOptions(**{**vars(OPTIONS), "seed": 4}))
    assert other != lists
    # Choices first for one person, ratings first for the next.
    assert [questions[0].is_choice for questions in lists] == [i % 2 == 0 for i in range(7)]


def test_one_kind_of_question_and_no_controls():
    options = StudyOptions(questions="choice", raters=5, repeats=0)
    roles = {(q.role, q.is_choice) for qs in draw_lists(EDITS, [], 5, options) for q in qs}
    assert roles == {(ASKED, True)}
    options = StudyOptions(questions="rating", raters=5, repeats=0)
    (one,) = ({"one": EDITS["one"]},)
    lists = draw_lists(one, [], 5, options)
    assert {(q.role, q.is_choice) for qs in lists for q in qs} == {(ASKED, False)}
    assert [len(qs) for qs in lists] == [6] * 5


def test_as_many_raters_as_the_trials_need():
    # 30 choices and 120 ratings; with 5 raters 6 and 24, and 1 + 2 repeats: 33 in all.
    options = StudyOptions(trials=33)
    assert plan_raters(options, 4, 10) == (5, 6, 24)
    assert plan_raters(StudyOptions(trials=32), 4, 10)[0] == 6
    assert plan_raters(StudyOptions(), 4, 1)[0] == 3  # Never fewer than each picture needs.
    with pytest.raises(UserError, match="--raters=2: must be 3 to 120: .*--ratings_per_image"):
        plan_raters(StudyOptions(raters=2), 4, 10)
    with pytest.raises(
        UserError, match="--trials=32: each of 5 raters would be asked 33 questions"
    ):
        plan_raters(StudyOptions(raters=5, trials=32), 4, 10)
    # 30 choices and 120 ratings: the 121st would be asked nothing.
    assert plan_raters(StudyOptions(raters=120), 4, 10)[0] == 120
    with pytest.raises(UserError, match="--raters=121: must be 3 to 120: .* 120 questions"):
        plan_raters(StudyOptions(raters=121), 4, 10)
    with pytest.raises(UserError, match="--raters=31: must be 3 to 30: .* 30 questions"):
        plan_raters(StudyOptions(raters=31, questions="choice"), 4, 10)
    with pytest.raises(UserError, match="--trials=1: .*9999"):
        plan_raters(StudyOptions(trials=1), 4, 5000)


def test_options_that_do_not_fit_are_reported_together():
    wrong = StudyOptions(
        questions="guess", repeats=0.5, trials=0, image_url="ftp://x", seed=-1, image_size=4
    )
    with pytest.raises(UserError) as reported:
        wrong.check()
    for flag in (
        "questions=guess",
        "repeats=0.5",
        "trials=0",
        "image_url",
        "seed=-1",
        "image_size=4",
    ):
        assert f"--{flag}" in str(reported.value)
    with pytest.raises(UserError, match="--controls_right=2.0: must be 0 to 1"):
        ScreenOptions(controls_right=2.0).check()
    for wrong, sentence in (
        (StudyOptions(image_size=5000), "--image_size=5000: must be 16 to 2048, or 0"),
        (StudyOptions(image_url="https://host/p?a=b"), "--image_url=.*must be an address"),
        (StudyOptions(image_url="https://host/p#a"), "--image_url=.*must be an address"),
    ):
        with pytest.raises(UserError, match=sentence):
            wrong.check()
    StudyOptions(image_size=2048, image_url="https://host:80/~p/pictures").check()
    ScreenOptions().check()
