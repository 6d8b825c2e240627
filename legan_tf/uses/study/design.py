"""Who is asked what, and in which order."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from legan_tf.errors import UserError
from legan_tf.uses.study.config import FEWEST, MOST_RATERS, StudyOptions

ASKED, REPEAT = "asked", "repeat"
REAL, BROKEN, OBVIOUS = "real", "broken", "obvious"
"""Controls: to be rated natural, to be rated unnatural, and a choice of one among broken ones."""
CONTROLS = (REAL, BROKEN, OBVIOUS)

_APART = 3
"""A question comes again a third of its part later, or more."""


@dataclasses.dataclass(frozen=True)
class Question:
    """One question to one person.

    Attributes:
        pictures: Ids of what is shown, in order: one to rate, or several to choose from.
        role: ``asked``, ``repeat``, or one of ``CONTROLS``.
        right: Of ``obvious``, the id of the real picture; empty for others.
        of: Of ``repeat``, the place of the first time in the list; -1 for others.
    """

    pictures: tuple[str, ...]
    role: str = ASKED
    right: str = ""
    of: int = -1

    @property
    def is_choice(self) -> bool:
        """Whether it asks to choose; else it asks to rate."""
        return len(self.pictures) > 1


@dataclasses.dataclass(frozen=True)
class Control:
    """A real picture and how it looks heavily damaged.

    Attributes:
        real: Its id.
        broken: Ids of damaged forms, one fewer than there are models but one at least.
    """

    real: str
    broken: tuple[str, ...]


def controls_needed(options: StudyOptions, count: int) -> int:
    """Returns how many controls go with ``count`` questions of one kind."""
    if not count or not options.controls or not options.real:
        return 0
    return max(FEWEST, round(options.controls * count))


def _repeats(options: StudyOptions, count: int) -> int:
    return min(max(1, round(options.repeats * count)), count // _APART) if options.repeats else 0


def plan_raters(options: StudyOptions, models: int, sources: int) -> tuple[int, int, int]:
    """Decides among how many people the questions are divided.

    Args:
        options: The options.
        models: How many there are.
        sources: How many pictures of each.

    Returns:
        How many people, and how many choices and ratings are the most that one is asked for,
        without repeats and controls.

    Raises:
        UserError: They are too few to ask each picture's share of them, or asked too much; or so
            many that some would be asked nothing.
    """
    choices = sources * options.choices_per_source if options.questions != "rating" else 0
    ratings = models * sources * options.ratings_per_image if options.questions != "choice" else 0
    wanted = [("choices_per_source", choices), ("ratings_per_image", ratings)]
    least = max(getattr(options, name) for name, total in wanted if total)

    def asked(raters: int) -> tuple[int, int, int]:
        parts = -(-choices // raters), -(-ratings // raters)
        extra = sum(_repeats(options, n) + controls_needed(options, n) for n in parts)
        return (*parts, sum(parts) + extra)

    if options.raters:
        if options.raters < least:
            name = next(n for n, total in wanted if total and getattr(options, n) == least)
            raise UserError(
                f"--raters={options.raters}: too few for --{name}={least}, as nobody is asked the "
                "same twice but to compare; give as many raters or more."
            )
        if options.raters > max(choices, ratings):
            raise UserError(
                f"--raters={options.raters}: some would be asked nothing, as there are "
                f"{max(choices, ratings)} questions; give so many raters or fewer."
            )
        *parts, each = asked(options.raters)
        if each > options.trials:
            raise UserError(
                f"--raters={options.raters}: each would be asked {each} questions, and --trials "
                f"allows {options.trials}; give more of either, or ask fewer people each time "
                "(--ratings_per_image, --choices_per_source)."
            )
        return (options.raters, *parts)
    for raters in range(least, MOST_RATERS + 1):
        *parts, each = asked(raters)
        if each <= options.trials:
            return (raters, *parts)
    raise UserError(
        f"--trials={options.trials}: so few questions each would take more than {MOST_RATERS} "
        "raters; give more."
    )


def draw_lists(
    edits: Mapping[str, Mapping[str, str]],
    controls: Sequence[Control],
    raters: int,
    options: StudyOptions,
) -> list[list[Question]]:
    """Draws up each person's list of questions.

    Every picture is rated by exactly ``ratings_per_image`` people, every source is chosen from by
    ``choices_per_source``, and people are asked equally much, give or take one question of each
    kind. In the choices, each model stands in each place equally often, give or take one, over all
    and nearly so for each person. A person has all choices first or all ratings first, in turns.

    Args:
        edits: Ids of the pictures, by model and source; all models have the same sources.
        controls: As many or more than one person is shown of a kind; none without controls. Where
            there are enough, choices and ratings have different ones, as whoever has seen a picture
            damaged knows it.
        raters: How many people.
        options: The options.

    Returns:
        For each person, the questions in order.
    """
    rng = np.random.default_rng([7100, options.seed])
    models, sources = list(edits), list(next(iter(edits.values())))
    places = [sources[i] for i in rng.permutation(len(sources))]
    choices: list[list[tuple[str, ...]]] = [[] for _ in range(raters)]
    ratings: list[list[tuple[str, ...]]] = [[] for _ in range(raters)]
    if options.questions != "rating":
        shared = _share(len(places), options.choices_per_source, raters, [0] * len(places), rng)
        order: list[int] = []
        for rater, tasks in enumerate(shared):
            for task in tasks:
                # Each of so many in turn is a shift of the one before: a Latin square.
                done = sum(map(len, choices)) % len(models)
                if done == 0:
                    order = [int(i) for i in rng.permutation(len(models))]
                shown = order[done:] + order[:done]
                choices[rater].append(tuple(edits[models[m]][places[task]] for m in shown))
    if options.questions != "choice":
        pairs = [(int(m), s) for s in places for m in rng.permutation(len(models))]
        groups = [m for m, _ in pairs]
        shared = _share(len(pairs), options.ratings_per_image, raters, groups, rng)
        for rater, tasks in enumerate(shared):
            ratings[rater] = [(edits[models[pairs[t][0]]][pairs[t][1]],) for t in tasks]
    needed = [
        max(controls_needed(options, len(own)) for own in part) for part in (choices, ratings)
    ]
    turns = _Turns(controls, *needed)
    lists = []
    for rater in range(raters):
        own = np.random.default_rng([7101, options.seed, rater])
        parts = []
        for asked in (choices[rater], ratings[rater]):
            extra = [
                turns.obvious(len(models)) if asked is choices[rater] else turns.rated()
                for _ in range(controls_needed(options, len(asked)))
            ]
            parts.append(_part(asked, extra, _repeats(options, len(asked)), own))
        lists.append(_joined(parts if rater % 2 == 0 else parts[::-1]))
    return lists


def _share(
    tasks: int, each: int, raters: int, groups: Sequence[int], rng: np.random.Generator
) -> list[list[int]]:
    """Gives each task to ``each`` people, all of them equally many, and of each group nearly.

    To those who have the fewest: so nobody is ever more than one ahead.
    """
    shared: list[list[int]] = [[] for _ in range(raters)]
    load = np.zeros(raters, int)
    of_group = np.zeros((raters, max(groups, default=0) + 1), int)
    for task in range(tasks):
        group = groups[task]
        for rater in np.lexsort((rng.random(raters), of_group[:, group], load))[:each]:
            shared[rater].append(task)
            load[rater] += 1
            of_group[rater, group] += 1
    return shared


class _Turns:
    """Hands out the controls, so that all are used equally often, and each place is right."""

    def __init__(self, controls: Sequence[Control], choices: int, ratings: int) -> None:
        self._to_choose = self._to_rate = controls
        if len(controls) >= choices + ratings > max(choices, ratings):
            split = len(controls) * choices // (choices + ratings)
            self._to_choose, self._to_rate = controls[:split], controls[split:]
        self._choices = self._ratings = 0

    def obvious(self, models: int) -> Question:
        control = self._to_choose[self._choices % len(self._to_choose)]
        right = self._choices % models
        self._choices += 1
        shown = list(control.broken[: models - 1])
        shown.insert(right, control.real)
        return Question(tuple(shown), OBVIOUS, right=control.real)

    def rated(self) -> Question:
        turn, count = self._ratings, len(self._to_rate)
        # Of an even number, a picture would be broken in every round or in none.
        control = self._to_rate[(turn + (0 if count % 2 else turn // count)) % count]
        self._ratings += 1
        if turn % 2:
            return Question((control.broken[0],), BROKEN)
        return Question((control.real,), REAL)


def _part(
    asked: Sequence[tuple[str, ...]],
    controls: Sequence[Question],
    repeats: int,
    rng: np.random.Generator,
) -> list[Question]:
    """Orders the questions of one kind; controls are spread, repeats come far from the first."""
    count = len(asked)
    shuffled = [asked[i] for i in rng.permutation(count)]
    entries: list[tuple[float, Question, int]] = [
        (float(place), Question(pictures), -1) for place, pictures in enumerate(shuffled)
    ]
    for turn, control in zip(rng.permutation(len(controls)), controls):
        step = count / len(controls)
        entries.append((float((turn + rng.uniform(0.05, 0.95)) * step), control, -1))
    for place in rng.permutation(count // _APART)[:repeats]:
        pictures = shuffled[place]
        shift = int(rng.integers(1, len(pictures))) if len(pictures) > 1 else 0
        again = Question(pictures[shift:] + pictures[:shift], REPEAT)
        later = float(rng.uniform(count * (1 - 1 / _APART), count))
        entries.append((later, again, int(place)))
    entries.sort(key=lambda entry: entry[0])
    first = {int(at): index for index, (at, question, _) in enumerate(entries)
             if question.role == ASKED}  # fmt: skip
    return [
        dataclasses.replace(question, of=first[of]) if question.role == REPEAT else question
        for _, question, of in entries
    ]


def _joined(parts: Sequence[Sequence[Question]]) -> list[Question]:
    """One list of several parts, whose repeats are counted from its beginning."""
    joined: list[Question] = []
    for part in parts:
        start = len(joined)
        joined += [dataclasses.replace(q, of=q.of + start) if q.role == REPEAT else q for q in part]
    return joined


def position_counts(
    lists: Sequence[Sequence[Question]], model_of: Mapping[str, str]
) -> dict[str, list[int]]:
    """Counts how often each model stands in each place of the choices that count.

    Args:
        lists: The questions of all people.
        model_of: The model of each picture that is no control.

    Returns:
        By model, a count for each place; empty without choices.
    """
    counts: dict[str, collections.Counter] = {}
    places = 0
    for question in (q for questions in lists for q in questions):
        if question.is_choice and question.role == ASKED:
            places = len(question.pictures)
            for place, picture in enumerate(question.pictures):
                counts.setdefault(model_of[picture], collections.Counter())[place] += 1
    return {model: [count[i] for i in range(places)] for model, count in counts.items()}
