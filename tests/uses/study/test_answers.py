from __future__ import annotations

import csv
import io
import json
import os

import pytest

from legan_tf.errors import UserError
from legan_tf.uses.study.answers import Answer, read_answers

ONE, TWO = "0" * 12, "f" * 12


def said(study, number, trial, rating=4, place=0, at=5):
    question = study.lists[study.list_of(number)][trial]
    answer = question.pictures[place] if question.is_choice else rating
    return {"trial": trial, "answer": answer, "ms": 900, "at": at}


def download(study, number, answers, person=ONE, name=""):
    return json.dumps(
        {"study": name or study.id, "rater": number, "person": person, "answers": answers}
    )


def lines(study, number, answers, person=ONE):
    whose = {"study": study.id, "rater": number, "person": person}
    return "".join(json.dumps({**whose, **answer}) + "\n" for answer in answers)


def results(study, rows):
    """A result of Mechanical Turk: one line for each worker, number and answers by question."""
    names = ["HITId", "AssignmentId", "WorkerId", "AssignmentStatus", "Input.study", "Input.rater"]
    names += [f"Answer.q{i}{end}" for i in range(1, 30) for end in ("", "_ms")]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="")
    writer.writeheader()
    for worker, number, status, answers in rows:
        row = {"HITId": "H", "AssignmentId": "A", "WorkerId": worker, "AssignmentStatus": status}
        row.update({"Input.study": study.id, "Input.rater": number})
        for answer in answers:
            row[f"Answer.q{answer['trial'] + 1}"] = answer["answer"]
            row[f"Answer.q{answer['trial'] + 1}_ms"] = answer["ms"]
        writer.writerow(row)
    return text.getvalue()


def test_all_three_forms_are_read_and_what_is_there_twice_counts_once(study, tmp_path):
    both = [said(study, 1, 0), said(study, 1, 9, rating=7)]
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jsonl").write_text(lines(study, 1, both))
    (tmp_path / "a" / "readme.txt").write_text("not answers")
    (tmp_path / "down.json").write_text(download(study, 1, [*both, said(study, 1, 1)]))
    (tmp_path / "turk.csv").write_text(
        results(study, [("W1", "2", "Approved", [said(study, 2, 0, rating=10)])]), "utf-8-sig"
    )
    places = f"{tmp_path / 'a'},{tmp_path / 'down.json'}, {tmp_path / 'turk.csv'}"
    found = read_answers(study, places)
    assert found.notes == []
    assert found.answers == [
        Answer(f"1-{ONE}", 0, 0, both[0]["answer"], 900),
        Answer(f"1-{ONE}", 0, 1, study.lists[0][1].pictures[0], 900),
        Answer(f"1-{ONE}", 0, 9, 7, 900),
        Answer("W1", 1, 0, 10, 900),
    ]


def test_the_last_answer_counts_wherever_it_stands(study, tmp_path):
    place = next(i for i, q in enumerate(study.lists[0]) if not q.is_choice)
    early, late = (said(study, 1, place, rating=r, at=at) for r, at in ((3, 10), (8, 20)))
    for first, second in ((early, late), (late, early)):
        (tmp_path / "1.jsonl").write_text(lines(study, 1, [first, second]))
        (answer,) = read_answers(study, str(tmp_path / "1.jsonl")).answers
        assert answer.value == 8


def test_two_people_with_one_number_stay_two_and_later_numbers_begin_again(study, tmp_path):
    content = lines(study, 1, [said(study, 1, 0)]) + lines(study, 1, [said(study, 1, 0)], TWO)
    (tmp_path / "1.jsonl").write_text(content + lines(study, 4, [said(study, 4, 0)]))
    found = read_answers(study, str(tmp_path)).answers
    assert [(answer.rater, answer.list) for answer in found] == [
        (f"1-{ONE}", 0), (f"1-{TWO}", 0), (f"4-{ONE}", 1),
    ]  # fmt: skip


def test_what_is_wrong_is_left_out_one_by_one_and_reported(study, tmp_path):
    good, bad = said(study, 1, 0), {**said(study, 1, 1), "answer": "me"}
    (tmp_path / "a.json").write_text(download(study, 1, [good, bad, "x"]))
    (tmp_path / "b.json").write_text(download(study, 1, [good], name="another"))
    (tmp_path / "c.json").write_text("{")
    (tmp_path / "d.csv").write_text(
        results(
            study,
            [
                ("W1", "1", "Rejected", [good]),
                ("", "1", "Approved", [good]),
                ("W2", "0", "Approved", [good]),
                ("W3", "1.0", "Submitted", [good, bad]),
            ],
        )
    )
    found = read_answers(study, str(tmp_path))
    assert [answer.rater for answer in found.answers] == [f"1-{ONE}", "W3"]
    reported = "\n".join(found.notes)
    assert len(found.notes) == 8
    for sentence in (
        "a.json: left out. The answer to question 2 must be one of its pictures.",
        "a.json: left out. An answer must be an object.",
        "b.json: left out. It is damaged, or no answer to this study.",
        "c.json: left out. It is damaged, or no answer to this study.",
        "d.csv:2: left out. The assignment was rejected.",
        "d.csv:3: left out. It names no WorkerId",
        "d.csv:4: left out. The rater must be a number",
        "d.csv:5: left out. The answer to question 2",
    ):
        assert sentence in reported, sentence


def test_what_is_named_and_holds_nothing_is_refused(study, tmp_path):
    (tmp_path / "other.json").write_text(download(study, 1, [said(study, 1, 0)], name="another"))
    with pytest.raises(
        UserError, match="other.json: holds no answer .*, or no answer to this study"
    ):
        read_answers(study, str(tmp_path / "other.json"))
    with pytest.raises(UserError, match="holds no answer to .* yet"):
        read_answers(study, str(tmp_path))
    with pytest.raises(UserError, match="answers: is not there; nobody has answered yet, or name"):
        read_answers(study, "")
    os.makedirs(os.path.join(study.folder, "answers"))
    with pytest.raises(UserError, match="answers: holds no answer to .* yet"):
        read_answers(study, "")
    with pytest.raises(UserError, match="--answers=x.txt: must be .jsonl, .json, .csv"):
        read_answers(study, "x.txt")
    with pytest.raises(UserError, match="gone.json: no such file"):
        read_answers(study, str(tmp_path / "gone.json"))
