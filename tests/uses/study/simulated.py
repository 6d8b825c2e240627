"""Damaged rendered faces as the pictures of several models, and simulated people who judge them.

A model is a severity: each of its pictures has one kind of damage, of about that severity.
"""

from __future__ import annotations

import json
import os
import zlib

import numpy as np

from legan_tf.data import images
from legan_tf.data.rendered import geometry, ratings, shade
from legan_tf.data.rendered.damage import DAMAGES
from legan_tf.uses.study.build import CONTROL_DAMAGE

KINDS = ("blobs", "warp", "blur")


def damage_of(model, source, severity):
    """What is done to a picture: a kind, the same for all models, and its severity."""
    kind = KINDS[zlib.crc32(source.encode()) % len(KINDS)]
    spread = np.random.default_rng([zlib.crc32(f"{model}/{source}".encode())]).uniform(0.6, 1.4)
    return {kind: min(1.0, severity * spread)}


def write_pictures(folder, models, sources, real, size):
    """Writes ``folder/NAME/personI.png`` for each severity by name, and ``folder/photos``."""
    people = list(range(sources + real))
    faces = shade(geometry(people, ["smile"] * len(people), size), ["shot04"])[:, 0]
    for person, face in enumerate(faces[:sources]):
        source = f"person{person}"
        for model, severity in models.items():
            image = face.astype(np.float32) / 255
            for kind, much in damage_of(model, source, severity).items():
                image = DAMAGES[kind](image, much, np.random.default_rng(person))
            image = np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)
            images.save_png(os.path.join(folder, model, f"{source}.png"), image)
    for person, face in enumerate(faces[sources:]):
        images.save_png(os.path.join(folder, "photos", f"photo{person}.png"), face)


def naturalness(study, models):
    """How natural each picture of a study is, by id."""
    natural = {}
    for name, picture in study.pictures.items():
        if picture.control:
            done = CONTROL_DAMAGE if picture.model == "broken" else {}
        else:
            done = damage_of(picture.model, picture.source, models[picture.model])
        natural[name] = ratings.naturalness(done)
    return natural


def people(count):
    """As many raters of the package's panels, three of each."""
    return [rater for seed in range(-(-count // 3)) for rater in ratings.panel(seed)][:count]


def answers_of(study, number, rater, natural):
    """What a simulated person says, in the form that the page lets download.

    A person who is no one (``rater`` is nothing) answers at random, and fast.
    """
    rng = np.random.default_rng([7, number])
    said = []
    for trial, question in enumerate(study.lists[study.list_of(number)]):
        if rater is None:
            answer = rng.choice(question.pictures) if question.is_choice else rng.integers(1, 11)
            ms = rng.integers(900, 1600)
        elif question.is_choice:
            looks = [natural[name] + rater.noise * rng.normal() for name in question.pictures]
            answer, ms = question.pictures[int(np.argmax(looks))], rng.integers(1500, 6000)
        else:
            answer = ratings.rate(np.array([natural[question.pictures[0]]]), (rater,), rng)[0, 0]
            ms = rng.integers(1500, 6000)
        answer = str(answer) if question.is_choice else int(answer)
        said.append({"trial": trial, "answer": answer, "ms": int(ms), "at": 1000 + trial})
    return {"study": study.id, "rater": number, "person": f"{number:012x}", "answers": said}


def write_answers(study, models, raters, careless, folder):
    """Asks the people of these numbers, all but those of ``careless`` with care."""
    natural = naturalness(study, models)
    os.makedirs(folder, exist_ok=True)
    for number, rater in zip(raters, people(len(raters))):
        said = answers_of(study, number, None if number in careless else rater, natural)
        with open(os.path.join(folder, f"{number}.json"), "w", encoding="utf-8") as file:
            json.dump(said, file)
