"""Experimental design of a study: the questions of each rater and their order."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from legan_tf.errors import UserError
from legan_tf.uses.study.config import MAX_RATERS, MIN_CONTROLS, StudyOptions

ASKED, REPEAT = "asked", "repeat"
REAL, BROKEN, OBVIOUS = "real", "broken", "obvious"
"""Controls: an image to rate natural, one to rate unnatural, and a real one among broken ones."""
CONTROLS = (REAL, BROKEN, OBVIOUS)

_REPEAT_DISTANCE = 3
"""A question is repeated at least this fraction, 1/3, of its part later."""


@dataclasses.dataclass(frozen=True)
class Question:
    """A question to a rater.

    Attributes:
        pictures: Ids of the images shown, in order: one to rate, or several to choose from.
        role: ``asked``, ``repeat``, or one of ``CONTROLS``.
        right: For ``obvious``, the id of the real image; else empty.
        of: For ``repeat``, the index of the repeated question in the list; else -1.
    """

    pictures: tuple[str, ...]
    role: str = ASKED
    right: str = ""
    of: int = -1

    @property
    def is_choice(self) -> bool:
        """Whether the question is a choice; else it is a rating."""
        return len(self.pictures) > 1


@dataclasses.dataclass(frozen=True)
class Control:
    """A real image and heavily damaged versions of it.

    Attributes:
        real: Id of the real image.
        broken: Ids of the damaged ones: one fewer than models, at least one.
    """

    real: str
    broken: tuple[str, ...]


def controls_needed(options: StudyOptions, count: int) -> int:
    """Returns the number of controls for ``count`` questions of one kind."""
    if not count or not options.controls or not options.real:
        return 0
    return max(MIN_CONTROLS, round(options.controls * count))


def _repeats(options: StudyOptions, count: int) -> int:
    return (
        min(max(1, round(options.repeats * count)), count // _REPEAT_DISTANCE)
        if options.repeats
        else 0
    )


def plan_raters(options: StudyOptions, models: int, sources: int) -> tuple[int, int, int]:
    """Determines the number of raters.

    Args:
        options: The options.
        models: Number of models.
        sources: Number of images of each model.

    Returns:
        The number of raters, and the maximum numbers of choices and of ratings of one rater,
        without repeats and controls.

    Raises:
        UserError: The raters are too few for the answers per image or the questions per rater, or
            so many that some would have no question.
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
    for raters in range(least, MAX_RATERS + 1):
        *parts, each = asked(raters)
        if each <= options.trials:
            return (raters, *parts)
    raise UserError(
        f"--trials={options.trials}: so few questions each would take more than {MAX_RATERS} "
        "raters; give more."
    )


def draw_lists(
    edits: Mapping[str, Mapping[str, str]],
    controls: Sequence[Control],
    raters: int,
    options: StudyOptions,
) -> list[list[Question]]:
    """Draws the list of questions of each rater.

    The design is balanced: every image is rated by exactly ``ratings_per_image`` raters, every
    source is in the choices of ``choices_per_source``, and the numbers of questions of two raters
    differ by at most one of each kind. In the choices each model is in each place equally often (a
    difference of at most one over all raters, nearly so for each). Raters alternate between
    choices first and ratings first.

    Args:
        edits: Ids of the images by model and source; all models have the same sources.
        controls: At least as many as a rater sees of a kind; empty without controls. If there are
            enough, choices and ratings get different ones, since a rater who has seen an image
            damaged recognises it.
        raters: Number of raters.
        options: The options.

    Returns:
        The questions of each rater, in order.
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
                # A Latin square: each order is the one before, shifted by one.
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
    pool = _ControlPool(controls, *needed)
    lists = []
    for rater in range(raters):
        own = np.random.default_rng([7101, options.seed, rater])
        parts = []
        for asked in (choices[rater], ratings[rater]):
            extra = [
                pool.choice(len(models)) if asked is choices[rater] else pool.rating()
                for _ in range(controls_needed(options, len(asked)))
            ]
            parts.append(_part(asked, extra, _repeats(options, len(asked)), own))
        lists.append(_joined(parts if rater % 2 == 0 else parts[::-1]))
    return lists


def _share(
    tasks: int, each: int, raters: int, groups: Sequence[int], rng: np.random.Generator
) -> list[list[int]]:
    """Assigns each task to the ``each`` raters with the fewest tasks, then the fewest of its group.

    So no rater ever has more than one task more than another.
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


class _ControlPool:
    """Controls in rotation: all are used equally often, with the answer in each place."""

    def __init__(self, controls: Sequence[Control], choices: int, ratings: int) -> None:
        self._to_choose = self._to_rate = controls
        if len(controls) >= choices + ratings > max(choices, ratings):
            split = len(controls) * choices // (choices + ratings)
            self._to_choose, self._to_rate = controls[:split], controls[split:]
        self._choices = self._ratings = 0

    def choice(self, models: int) -> Question:
        control = self._to_choose[self._choices % len(self._to_choose)]
        right = self._choices % models
        self._choices += 1
        shown = list(control.broken[: models - 1])
        shown.insert(right, control.real)
        return Question(tuple(shown), OBVIOUS, right=control.real)

    def rating(self) -> Question:
        turn, count = self._ratings, len(self._to_rate)
        # Without the shift, with an even count an image would be broken in each round or in none.
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
    """Questions of one kind in order: controls spread evenly, repeats far from the first time."""
    count = len(asked)
    shuffled = [asked[i] for i in rng.permutation(count)]
    entries: list[tuple[float, Question, int]] = [
        (float(place), Question(pictures), -1) for place, pictures in enumerate(shuffled)
    ]
    for turn, control in zip(rng.permutation(len(controls)), controls):
        step = count / len(controls)
        entries.append((float((turn + rng.uniform(0.05, 0.95)) * step), control, -1))
    for place in rng.permutation(count // _REPEAT_DISTANCE)[:repeats]:
        pictures = shuffled[place]
        shift = int(rng.integers(1, len(pictures))) if len(pictures) > 1 else 0
        again = Question(pictures[shift:] + pictures[:shift], REPEAT)
        later = float(rng.uniform(count * (1 - 1 / _REPEAT_DISTANCE), count))
        entries.append((later, again, int(place)))
    entries.sort(key=lambda entry: entry[0])
    first = {int(at): i for i, (at, one, _) in enumerate(entries) if one.role == ASKED}
    return [
        dataclasses.replace(question, of=first[of]) if question.role == REPEAT else question
        for _, question, of in entries
    ]


def _joined(parts: Sequence[Sequence[Question]]) -> list[Question]:
    """One list of several parts; ``of`` of the repeats becomes an index in the whole list."""
    joined: list[Question] = []
    for part in parts:
        start = len(joined)
        joined += [dataclasses.replace(q, of=q.of + start) if q.role == REPEAT else q for q in part]
    return joined


def position_counts(
    lists: Sequence[Sequence[Question]], model_of: Mapping[str, str]
) -> dict[str, list[int]]:
    """Counts the places of each model in the choices, without controls and repeats.

    Args:
        lists: The questions of all raters.
        model_of: The model of each image that is no control.

    Returns:
        The count of each place, by model; empty without choices.
    """
    counts: dict[str, collections.Counter] = {}
    places = 0
    for question in (q for questions in lists for q in questions):
        if question.is_choice and question.role == ASKED:
            places = len(question.pictures)
            for place, picture in enumerate(question.pictures):
                counts.setdefault(model_of[picture], collections.Counter())[place] += 1
    return {model: [count[i] for i in range(places)] for model, count in counts.items()}
