from __future__ import annotations

import concurrent.futures
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from legan_tf.errors import UserError
from legan_tf.uses.study.answers import read_answers
from legan_tf.uses.study.server import MAX_REQUEST_BYTES, StudyServer

PERSON = "0123456789ab"


def ask(server, method, path, body=None, **headers):
    connection = http.client.HTTPConnection(*server.server_address, timeout=20)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def post(server, content, kind="application/json"):
    body = content if isinstance(content, (bytes, str)) else json.dumps(content)
    return ask(server, "POST", "/answers", body, **{"Content-Type": kind})


def take_number(server):
    return ask(server, "POST", "/rater", b"{}", **{"Content-Type": "application/json"})


def answer_to(study, rater, trial, rating=4):
    question = study.lists[study.list_of(rater)][trial]
    said = question.pictures[-1] if question.is_choice else rating
    return {"trial": trial, "answer": said, "ms": 800, "at": 10 + trial}


def sent(of, rater=1, trials=(0,), **changes):
    answers = [answer_to(of, rater, trial) for trial in trials if isinstance(rater, int)]
    return {"study": of.id, "rater": rater, "person": PERSON, "answers": answers or [0], **changes}


def test_the_page_and_its_pictures_are_served_and_nothing_else(server, study):
    folder = study.folder
    for path, file in (("/", "index.html"), ("/study.js?rater=3", "study.js")):
        with open(os.path.join(folder, "page", file), "rb") as expected:
            assert ask(server, "GET", path) == (200, expected.read())
    name = next(iter(study.pictures))
    with open(os.path.join(folder, "page", "pictures", f"{name}.png"), "rb") as expected:
        assert ask(server, "GET", f"/pictures/{name}.png?{study.id}") == (200, expected.read())
    assert take_number(server)[0] == 200
    for path in (
        "/study.json", "/../study.json", "/pictures/../../study.json", "/answers/1.jsonl",
        "/pictures/", "/pictures/000000000000.png", "/pictures/%2e%2e/%2e%2e/study.json",
        "//etc/passwd", f"/pictures/{name}.png/..", "/" + "a" * 3000,
    ):  # fmt: skip
        assert ask(server, "GET", path) == (404, b"There is nothing here.\n"), path


def test_answers_are_on_disk_when_they_are_confirmed(server, study):
    assert post(server, sent(study, trials=(0, 1))) == (200, b'{"stored": 2}')
    assert post(server, sent(study, rater=7, trials=(2,)))[0] == 200
    with open(os.path.join(study.folder, "answers", "1.jsonl"), encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    whose = {"study": study.id, "rater": 1, "person": PERSON}
    assert lines == [{**whose, **answer_to(study, 1, trial)} for trial in (0, 1)]
    found = read_answers(study, os.path.join(study.folder, "answers"))
    assert [(a.rater, a.list, a.trial) for a in found.answers] == [
        (f"1-{PERSON}", 0, 0), (f"1-{PERSON}", 0, 1), (f"7-{PERSON}", 0, 2),
    ]  # fmt: skip
    assert found.notes == []


def test_a_line_that_was_cut_short_costs_only_itself(server, study):
    path = os.path.join(study.folder, "answers", "1.jsonl")
    post(server, sent(study))
    with open(path, "ab") as file:
        file.write(b'{"study": "')
    post(server, sent(study, trials=(1,)))
    found = read_answers(study, path)
    assert [answer.trial for answer in found.answers] == [0, 1]
    assert found.notes == [f"{path}:2: left out. It is damaged, or no answer to this study."]


def test_nobody_gets_a_number_twice(server, study):
    post(server, sent(study, rater=2))  # Someone who came with a number.
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: take_number(server), range(12)))
    assert sorted(json.loads(body)["rater"] for _, body in answers) == [1, *range(3, 14)]
    with StudyServer(study, "127.0.0.1", 0) as later:
        assert later.next_rater() == 14


def test_answers_of_many_at_once_are_all_kept(server, study):
    jobs = [(rater, trial) for rater in (1, 2) for trial in range(len(study.lists[0]))]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda job: post(server, sent(study, job[0], [job[1]])), jobs))
    assert {status for status, _ in done} == {200}
    found = read_answers(study, os.path.join(study.folder, "answers"))
    assert len(found.answers) == len(jobs) and found.notes == []


def hostile(study):
    good, choice = answer_to(study, 1, 0), study.lists[0][0]
    assert choice.is_choice
    rating = next(i for i, q in enumerate(study.lists[0]) if not q.is_choice)
    foreign = next(name for name in study.pictures if name not in choice.pictures)
    yield "no JSON", b"{", "not JSON"
    yield "not UTF-8", b"\xff\xfe\x00", "not JSON"
    yield "deep", b"[" * 60_000, "not JSON"
    yield "a list", [], "no answers to this study"
    yield "another study", sent(study, study="0" * 12), "no answers to this study"
    yield "a path for a number", sent(study, rater="../../1"), "number from 1 to 9999"
    yield "number 0", sent(study, rater=0), "number from 1 to 9999"
    yield "true", sent(study, rater=True), "number from 1 to 9999"
    yield "10000", sent(study, rater=10000), "number from 1 to 9999"
    yield "person", sent(study, person="<script>"), "12 digits"
    yield "no answers", sent(study, answers=[]), "list of answers"
    yield "no object", sent(study, answers=[3]), "must be an object"
    yield "trial", sent(study, answers=[{**good, "trial": 99}]), "trial must be"
    yield "half a trial", sent(study, answers=[{**good, "trial": 0.5}]), "trial must be"
    yield "picture", sent(study, answers=[{**good, "answer": foreign}]), "one of its pictures"
    yield "an object", sent(study, answers=[{**good, "answer": {}}]), "one of its pictures"
    late = {**good, "trial": rating}
    yield "11", sent(study, answers=[{**late, "answer": 11}]), "number from 1 to 10"
    yield "text", sent(study, answers=[{**late, "answer": "9"}]), "number from 1 to 10"
    yield "time", sent(study, answers=[{**good, "ms": -1}]), "whole milliseconds"
    huge = json.dumps(sent(study, answers=[good])).replace(": 800", ": 1e999")
    yield "endless", huge, "whole milliseconds"
    yield "one of two", sent(study, answers=[good, {**good, "at": None}]), "whole milliseconds"


def test_hostile_answers_get_a_sentence_and_nothing_is_stored(server, study, capfd):
    for name, body, sentence in hostile(study):
        status, said = post(server, body)
        assert (status, sentence in said.decode()) == (400, True), (name, status, said)
    assert post(server, sent(study), kind="text/plain")[0] == 415
    assert ask(server, "POST", "/rater", b"{}", **{"Content-Type": "text/plain"})[0] == 415
    assert ask(server, "POST", "/rater", b"")[0] == 415
    assert post(server, b"x" * (MAX_REQUEST_BYTES + 1))[0] == 413
    assert ask(server, "POST", "/elsewhere", b"")[0] == 404
    assert ask(server, "DELETE", "/answers")[0] == 404
    assert os.listdir(server.folder) == []
    assert "Traceback" not in capfd.readouterr().err


def test_numbers_are_given_while_answers_are_written(server, study):
    with server._writing, concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert pool.submit(server.next_rater).result(timeout=10) == 1


def test_a_disk_that_takes_nothing_is_reported_and_costs_no_more(server, study, capfd):
    os.rename(server.folder, server.folder + ".away")
    for said in (take_number(server), post(server, sent(study))):
        assert said == (507, b"Nothing can be stored now.\n")
    reported = capfd.readouterr().err
    assert "1.jsonl: cannot be written (No such file" in reported and "Traceback" not in reported
    os.rename(server.folder + ".away", server.folder)
    assert take_number(server) == (200, b'{"rater": 1}')


def test_an_address_that_others_can_use_is_reported_and_a_wrong_name_refused(study):
    with StudyServer(study, "0.0.0.0", 0) as everywhere:
        address = everywhere.address
        host = address[len("http://") :].partition(":")[0]
        assert host != "0.0.0.0" and socket.inet_aton(host)
    for wrong in ("no-such-host.invalid", "192.0.2.1"):
        with pytest.raises(UserError, match=f"--host={wrong}: is no address of this computer"):
            StudyServer(study, wrong, 0)


def test_a_port_that_is_taken_is_reported(server, study):
    with pytest.raises(UserError, match="--port=.*: cannot be opened"):
        StudyServer(study, *server.server_address)


def test_the_script_serves_without_tensorflow_until_interrupted(study):
    command = "import runpy, signal, sys; sys.argv = sys.argv[1:]\n"
    # Where the tests run in the background, Ctrl-C is ignored.
    command += "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    command += "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
    command += "finally: print('tensorflow' in sys.modules, flush=True)"
    script = str(pathlib.Path(__file__).parents[3] / "scripts" / "study.py")
    arguments = [script, "serve", f"--study={study.folder}", "--port=0"]
    started = subprocess.Popen(
        [sys.executable, "-c", command, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        address = started.stdout.readline().split()[0]
        with urllib.request.urlopen(f"{address}study.js", timeout=20) as answer:
            assert study.id in answer.read().decode()
        started.send_signal(signal.SIGINT)
        printed, errors = started.communicate(timeout=20)
    finally:
        started.kill()
    assert (started.returncode, printed, errors.strip()) == (130, "False\n", "Interrupted.")
