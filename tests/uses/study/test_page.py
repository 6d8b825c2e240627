"""The page, driven in headless Chromium: over the server, from a file, and as Mechanical Turk."""

from __future__ import annotations

import csv
import dataclasses
import http.server
import json
import os
import pathlib
import queue
import shutil
import threading
import urllib.parse

import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.actions import interaction
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from legan_tf.uses.study.answers import read_answers
from legan_tf.uses.study.build import build_study
from legan_tf.uses.study.collect import collect
from legan_tf.uses.study.config import ScreenOptions
from legan_tf.uses.study.study_file import read_study

WAIT_S = 30.0
FAST = ScreenOptions(min_seconds=0)
RATED = {"Good": 8, "Poor": 3, "real": 10, "broken": 1}


class Page:
    """What a person sees of the page, and can do with it."""

    def __init__(self, browser, address, study):
        self.browser, self.study = browser, study
        self.errors()  # Of pages before.
        browser.get(address)

    def at(self, name):
        return self.browser.find_element(By.ID, name)

    def until(self, holds):
        return WebDriverWait(self.browser, WAIT_S, 0.02).until(lambda _: holds())

    def ready(self):
        self.until(lambda: self.at("stage").get_attribute("aria-busy") == "false")

    def shown(self):
        """What the pictures that are shown are, by the key, in order."""
        self.ready()
        sources = self.browser.execute_script(
            "return Array.from(document.querySelectorAll('#pictures img'), image => image.src)"
        )
        names = [os.path.basename(source).partition(".")[0] for source in sources]
        return [self.study.pictures[name] for name in names]

    def best(self):
        """Place of what this person finds most natural, from 0, or their rating less 1."""
        known = [picture.model for picture in self.shown()]
        if len(known) == 1:
            return RATED[known[0]] - 1
        return next(i for i, model in enumerate(known) if model in ("Good", "real"))

    def press(self, *keys):
        ActionChains(self.browser).send_keys(*keys).perform()

    def tap(self, element):
        finger = ActionBuilder(
            self.browser, mouse=PointerInput(interaction.POINTER_TOUCH, "finger")
        )
        finger.pointer_action.move_to(element).pointer_down().pointer_up()
        finger.perform()

    def chosen(self):
        return self.browser.execute_script(
            "return Array.from(document.querySelectorAll('#stage input'), i => i.checked)"
        )

    def count(self):
        return self.at("count").text

    def until_at(self, number):
        """Waits for a question, counted from 1."""
        self.until(lambda: self.count().startswith(f"{number} of "))

    def errors(self):
        return [entry for entry in self.browser.get_log("browser") if entry["level"] == "SEVERE"]

    def asking(self):
        return self.at("ask").is_displayed()


def by_keyboard(page, number):
    """Answers one question with keys, of several kinds in turn."""
    place = page.best()
    if len(page.shown()) == 1:
        page.press(str((place + 1) % 10))
    elif number % 2:
        page.press("ab"[place])
    else:
        page.press(*[Keys.ARROW_RIGHT] * (place + 1))
    assert page.chosen().index(True) == place and sum(page.chosen()) == 1
    page.press(Keys.ENTER)


def test_two_people_answer_by_keyboard_and_by_touch_and_the_figures_are_exact(
    chromium, study, server, tmp_path
):
    length = len(study.lists[0])
    page = Page(chromium, server.address, study)
    page.until(page.at("begin").is_displayed)
    assert not page.at("number-row").is_displayed() and not page.at("foot").is_displayed()
    page.at("begin").click()
    page.until(page.asking)
    # Nothing is answered before it is chosen, and nothing is left out.
    page.ready()
    page.press(Keys.ENTER)
    assert page.count() == f"1 of {length}" and not page.at("next").is_enabled()
    for number in range(7):
        by_keyboard(page, number)
        page.until_at(number + 2)
    page.until(lambda: "received" in page.at("state").text)
    # Back, and what was said is still there; the first answer is given again, another one.
    page.press(Keys.BACKSPACE)
    page.until_at(7)
    right = page.best()
    assert page.chosen().index(True) == right
    other = {0: 1, 1: 0}.get(right) if len(page.shown()) == 2 else 4
    page.press("1234567890"[other], Keys.ENTER)
    page.until_at(8)
    # Reloaded, it goes on exactly where it was, with another visit to the same question.
    page.press("1")
    chromium.refresh()
    page.until_at(8)
    page.ready()
    assert not any(page.chosen())
    page.press(Keys.BACKSPACE)
    page.until_at(7)
    page.ready()
    assert page.chosen().index(True) == other
    page.press("1234567890"[right], Keys.ENTER)
    page.until_at(8)
    # While the network is away nothing is lost.
    page.until(lambda: "received" in page.at("state").text)
    page.ready()
    offline = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    chromium.execute_cdp_cmd("Network.enable", {})
    chromium.execute_cdp_cmd("Network.emulateNetworkConditions", {**offline, "offline": True})
    for number in (8, 9):
        by_keyboard(page, number)
        page.until_at(number + 1)
    page.until(lambda: page.at("state").text == "2 answers are kept here and being sent.")
    chromium.execute_cdp_cmd("Network.emulateNetworkConditions", {**offline, "offline": False})
    page.until(lambda: "received" in page.at("state").text)
    reported = [entry["message"] for entry in page.errors()]
    assert reported and all("ERR_INTERNET_DISCONNECTED" in message for message in reported)
    for number in range(10, length + 1):
        by_keyboard(page, number)
    page.until(page.at("thanks").is_displayed)
    page.until(lambda: "your answers are received" in page.at("ending").text)
    assert page.errors() == []
    server_file = os.path.join(study.folder, "answers", "1.jsonl")
    stored = [json.loads(line) for line in open(server_file, encoding="utf-8")]
    assert sorted({line["trial"] for line in stored}) == list(range(length))
    assert all(0 < line["ms"] < 60_000 for line in stored)

    # The second person has the page in a folder, a phone, and a number.
    chromium.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 375, "height": 667, "deviceScaleFactor": 2, "mobile": True},
    )
    chromium.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    shutil.copytree(os.path.join(study.folder, "page"), tmp_path / "mailed")
    page = Page(chromium, (tmp_path / "mailed" / "index.html").as_uri(), study)
    page.until(page.at("number-row").is_displayed)
    page.tap(page.at("begin"))
    page.until(page.at("message").is_displayed)
    assert page.at("message").text == "Please give your number, 1 to 9999."
    page.at("number").send_keys("2")
    page.tap(page.at("begin"))
    page.until(page.asking)
    for number in range(1, length + 1):
        page.until_at(number)
        option = chromium.find_elements(By.CSS_SELECTOR, "#stage input")[page.best()]
        wide = chromium.execute_script(
            "const all = Array.from(document.querySelectorAll('#stage label, #ask button'), e =>"
            " e.getBoundingClientRect()); return [document.documentElement.scrollWidth,"
            " Math.min(...all.map(e => e.height)), Math.max(...all.map(e => e.bottom))]"
        )
        assert wide[0] == 375 and wide[1] >= 44 and wide[2] <= 667, wide
        page.tap(option)
        page.tap(page.at("next"))
    page.until(page.at("thanks").is_displayed)
    assert "download your answers" in page.at("ending").text
    page.tap(page.at("save"))
    file = tmp_path / f"answers-{study.id}-2.json"
    page.until(file.exists)
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert page.errors() == []

    # Someone who always rates 5 and takes the first place.
    careless = {"study": study.id, "rater": 3, "person": "c" * 12, "answers": [
        {"trial": i, "answer": q.pictures[0] if q.is_choice else 5, "ms": 900, "at": i}
        for i, q in enumerate(study.lists[0])
    ]}  # fmt: skip
    (tmp_path / "careless.json").write_text(json.dumps(careless))
    answers = f"{study.folder}/answers,{file},{tmp_path / 'careless.json'}"
    collect(study, answers, str(tmp_path / "results"), FAST)
    report = json.loads((tmp_path / "results" / "report.json").read_text())
    kept = [r for r in report["raters"] if not r["reasons"]]
    assert [(r["name"][:2], r["answers"], r["controls_right"]) for r in kept] == [
        ("1-", length, 1.0),
        ("2-", len(study.lists[1]), 1.0),
    ]
    assert [r["name"] for r in report["raters"] if r["reasons"]] == ["3-" + "c" * 12]
    assert report["choice"]["models"]["Good"]["share"] == 1.0 and report["choice"]["answers"] == 8
    means = {name: figures["mean"] for name, figures in report["rating"]["models"].items()}
    assert means == {"Good": 8.0, "Poor": 3.0} and report["rating"]["answers"] == 16
    assert report["rating"]["alpha"] == {"ordinal": 1.0, "interval": 1.0}
    assert report["repeats"] == {"ratings": 2, "gap": 0.0, "choices": 2, "same": 1.0}


def test_a_picture_that_does_not_come_is_reported_and_asked_for_again(chromium, study, tmp_path):
    first = study.lists[3 % len(study.lists) - 1][0].pictures[0]
    folder = tmp_path / "mailed"
    shutil.copytree(os.path.join(study.folder, "page"), folder)
    moved = (folder / "pictures" / f"{first}.png").rename(tmp_path / "moved.png")
    page = Page(chromium, (folder / "index.html").as_uri() + "?rater=3", study)
    page.at("begin").click()
    page.until(page.at("message").is_displayed)
    assert "A picture cannot be loaded" in page.at("message").text
    page.press("1", Keys.ENTER)
    assert page.count().startswith("1 of") and not any(page.chosen())
    moved.rename(folder / "pictures" / f"{first}.png")
    page.at("message").find_element(By.TAG_NAME, "button").click()
    page.ready()
    assert not page.at("message").is_displayed()
    page.press("1", Keys.ENTER)
    page.until_at(2)


@pytest.fixture
def no_storage(chromium):
    """Pages that are opened while the browser takes nothing more."""
    script = "Storage.prototype.setItem = () => { throw new DOMException('full'); };"
    added = chromium.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    yield
    chromium.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


def held_back(page):
    """Whether the page asks before it is closed."""
    return page.browser.execute_script(
        "return !dispatchEvent(new Event('beforeunload', {cancelable: true}))"
    )


def answer_first(page, count):
    """Takes the first option of so many questions."""
    for _ in range(count):
        page.ready()
        number = int(page.count().split()[0])
        page.press("1", Keys.ENTER)
        page.until_at(number + 1)


def test_a_browser_that_stores_nothing_gets_a_message_as_long_as_it_does(
    chromium, study, server, no_storage, tmp_path
):
    chromium.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    mailed = pathlib.Path(study.folder, "page", "index.html").as_uri()
    page = Page(chromium, f"{mailed}?rater=4", study)
    assert not held_back(page)
    page.at("begin").click()
    answer_first(page, 2)
    page.ready()
    assert "stores nothing" in page.at("unstored").text
    assert page.at("state").text == "Answers are kept nowhere until you download them."
    assert held_back(page)
    page.at("save").click()
    file = tmp_path / f"answers-{study.id}-4.json"
    page.until(file.exists)
    assert len(json.loads(file.read_text())["answers"]) == 2
    assert not held_back(page)
    answer_first(page, 1)
    assert held_back(page)
    # What the server has needs no keeping.
    page = Page(chromium, server.address + "?rater=4", study)
    page.at("begin").click()
    answer_first(page, 1)
    page.until(lambda: "received" in page.at("state").text)
    assert page.at("unstored").is_displayed() and not held_back(page)
    chromium.execute_script("window.fetch = async () => { throw new Error(); };")
    answer_first(page, 1)
    assert page.at("state").text == "1 answer is being sent." and held_back(page)


def kept_answers(page, rater):
    return page.browser.execute_script(
        "return JSON.parse(localStorage.getItem(arguments[0]))",
        f"study/{page.study.id}/{rater}",
    )


def test_two_tabs_of_one_person_take_one_number_and_add_to_the_same_answers(
    chromium, study, server
):
    first = chromium.current_window_handle
    page = Page(chromium, server.address, study)
    chromium.execute_script("localStorage.clear(); sessionStorage.clear();")
    page.until(page.at("begin").is_displayed)
    chromium.switch_to.new_window("tab")
    second = chromium.current_window_handle
    try:
        chromium.get(server.address)
        page.until(page.at("begin").is_displayed)
        chromium.switch_to.window(first)
        page.at("begin").click()
        page.until_at(1)
        chromium.switch_to.window(second)
        page.at("begin").click()
        page.until_at(1)
        assert os.listdir(server.folder) == ["1.jsonl"]
        chromium.switch_to.window(first)
        answer_first(page, 3)
        chromium.switch_to.window(second)
        page.ready()
        page.press("2", Keys.ENTER)  # Another answer, later, to the first question.
        page.until_at(2)
        page.until(lambda: "received" in page.at("state").text)
        answers = kept_answers(page, 1)["answers"]
        assert sorted(answers) == ["0", "1", "2"]
        shown = [question.pictures for question in study.lists[0][:3]]
        assert answers["0"]["answer"] == shown[0][1]
        assert answers["1"]["answer"] == shown[1][0]
        chromium.switch_to.window(first)
        answer_first(page, 1)
        page.until(lambda: "received" in page.at("state").text)
        found = read_answers(study, "").answers
        assert [a.value for a in found[:3]] == [shown[0][1], shown[1][0], shown[2][0]]
        assert len(found) == 4 and kept_answers(page, 1)["answers"]["0"] == answers["0"]
        # Someone else took the number in the other tab.
        other = {**kept_answers(page, 1), "person": "e" * 12}
        chromium.execute_script(
            "localStorage.setItem(arguments[0], arguments[1])",
            f"study/{study.id}/1",
            json.dumps(other),
        )
        page.ready()
        page.press("1", Keys.ENTER)
        page.until(page.at("message").is_displayed)
        assert "Someone else goes on with this number" in page.at("message").text
        assert not page.asking() and kept_answers(page, 1) == other
    finally:
        chromium.switch_to.window(second)
        chromium.close()
        chromium.switch_to.window(first)


def test_only_what_the_server_confirms_is_received_and_one_refusal_costs_one_answer(
    chromium, study, server
):
    page = Page(chromium, server.address + "?rater=2", study)
    page.at("begin").click()
    page.ready()
    # A network that asks to log in answers everything.
    chromium.execute_script(
        "window.real = fetch; window.asked = 0; window.fetch = async () => {"
        " window.asked += 1; return new Response('<p>Please log in</p>', {status: 200}); };"
    )
    answer_first(page, 1)
    page.until(lambda: chromium.execute_script("return asked > 1"))
    assert page.at("state").text == "1 answer is kept here and being sent."
    assert not os.path.exists(os.path.join(server.folder, "2.jsonl"))
    chromium.execute_script("window.fetch = real; dispatchEvent(new Event('online'));")
    page.until(lambda: "received" in page.at("state").text)
    # The time of a question is that of all visits, and never more than the server takes.
    chromium.execute_script("window.clock = performance.now(); performance.now = () => clock;")
    answer_first(page, 1)
    for more in (5000, 2000):
        page.ready()
        chromium.execute_script("clock += arguments[0];", more)
        page.press("1", Keys.ENTER)
        page.until_at(4)
        if more == 5000:
            page.press(Keys.BACKSPACE)
            page.until_at(3)
    assert kept_answers(page, 2)["answers"]["2"]["ms"] == 7000
    page.ready()
    chromium.execute_script("clock += 1e12;")
    page.press("1", Keys.ENTER)
    page.until_at(5)
    page.until(lambda: "received" in page.at("state").text)
    assert kept_answers(page, 2)["answers"]["3"]["ms"] == 7 * 24 * 3600 * 1000
    # One that the server does not take, of three that wait.
    stored = kept_answers(page, 2)
    os.remove(os.path.join(server.folder, "2.jsonl"))
    stored["answers"]["1"]["answer"], stored["unsent"] = "nothing", [0, 1, 2]
    page = Page(chromium, "about:blank", study)
    chromium.get(server.address + "study.js")
    chromium.execute_script(
        "localStorage.setItem(arguments[0], arguments[1])",
        f"study/{study.id}/2",
        json.dumps(stored),
    )
    page = Page(chromium, server.address + "?rater=2", study)
    page.until(lambda: page.at("state").text.startswith("1 answer is not taken: The answer to q"))
    page.until(lambda: kept_answers(page, 2)["unsent"] == [1])
    assert [a.trial for a in read_answers(study, "").answers] == [0, 2]
    for number in (4, 3, 2):
        page.press(Keys.BACKSPACE)
        page.until_at(number)
    answer_first(page, 1)
    page.until(lambda: "received" in page.at("state").text)
    assert [a.trial for a in read_answers(study, "").answers] == [0, 1, 2]
    page.errors()


class _Turk(http.server.BaseHTTPRequestHandler):
    """Takes what a form posts, as Mechanical Turk does."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.posted.put((self.path, dict(urllib.parse.parse_qsl(body))))
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"done")

    def do_GET(self):  # The browser looks for an icon, at any time.
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        pass


def test_the_layout_of_mechanical_turk_posts_what_collect_reads(chromium, flags, tmp_path):
    models, options = flags
    folder = tmp_path / "study"
    url = "http://pictures.invalid/p"
    build_study(models, str(folder), dataclasses.replace(options, image_url=url))
    study = read_study(str(folder))
    hits = list(csv.DictReader(open(folder / "mturk/hits.csv", encoding="utf-8")))
    layout = (folder / "mturk" / "layout.html").read_text(encoding="utf-8")
    results = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Turk) as turk:
        turk.posted = queue.Queue()
        threading.Thread(target=turk.serve_forever, args=(0.02,)).start()
        for number, hit in enumerate(hits, start=1):
            text = layout
            for name, value in hit.items():
                text = text.replace("${" + name + "}", value)
            # Where the requester's pictures would be.
            text = text.replace(url, (folder / "page" / "pictures").as_uri())
            if number == 2:  # As a site puts it into a form of its own.
                text = text.replace("<body>", '<body><form id="site" method="post" action="x">')
                text = text.replace("</body>", "</form></body>")
            (tmp_path / f"hit{number}.html").write_text(text, encoding="utf-8")
            address = (tmp_path / f"hit{number}.html").as_uri()
            if number == 1:
                page = Page(chromium, f"{address}?assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE", study)
                page.until(page.at("message").is_displayed)
                assert "preview" in page.at("message").text and not page.at("begin").is_enabled()
            host = urllib.parse.quote(f"http://127.0.0.1:{turk.server_address[1]}", safe="")
            page = Page(chromium, f"{address}?assignmentId=A{number}&turkSubmitTo={host}", study)
            page.at("begin").click()
            for trial in range(len(study.lists[number - 1])):
                page.until_at(trial + 1)
                by_keyboard(page, trial)
                if trial == 3:  # What was answered is in the form again.
                    if number == 2:  # Also where the browser does not show what all tabs share.
                        chromium.execute_script("localStorage.clear()")
                    chromium.refresh()
            page.until(page.at("submit").is_displayed)
            assert not page.at("save").is_displayed() and page.errors() == []
            page.at("submit").click()
            path, fields = turk.posted.get(timeout=WAIT_S)
            assert path == "/mturk/externalSubmit" and fields.pop("assignmentId") == f"A{number}"
            assert len(fields) == 2 * len(study.lists[number - 1])
            row = {"HITId": f"H{number}", "AssignmentId": f"A{number}", "WorkerId": f"W{number}"}
            row.update({f"Input.{name}": value for name, value in hit.items()})
            row.update({f"Answer.{name}": value for name, value in fields.items()})
            results.append({**row, "AssignmentStatus": "Submitted"})
        turk.shutdown()
    with open(tmp_path / "results.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, sorted({name for row in results for name in row}))
        writer.writeheader()
        writer.writerows(results)
    found = read_answers(study, str(tmp_path / "results.csv"))
    assert found.notes == [] and {a.rater for a in found.answers} == {"W1", "W2"}
    collect(study, str(tmp_path / "results.csv"), str(tmp_path / "figures"), FAST)
    report = json.loads((tmp_path / "figures" / "report.json").read_text())
    assert report["choice"]["models"]["Good"]["share"] == 1.0
    assert report["rating"]["models"]["Poor"]["mean"] == 3.0
    assert report["answers"]["all"] == sum(map(len, study.lists))
