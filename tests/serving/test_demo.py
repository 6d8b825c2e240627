"""The demo page, driven in headless Chromium against the local server."""

from __future__ import annotations

import base64
import io
import json
import pathlib
import re

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

import legan_tf

DEMO = pathlib.Path(__file__).parents[2] / "serving" / "demo"
WAIT_S = 60.0


@pytest.fixture(scope="module")
def demo_server(server):
    """The page's address, on the server that has all models."""
    return f"http://{server.rest_address}/"


class Page:
    """What a person sees of the page, and can do with it."""

    def __init__(self, browser, address: str) -> None:
        self.browser = browser
        browser.get(address)

    def at(self, name):
        return self.browser.find_element(By.ID, name)

    def until(self, holds):
        return WebDriverWait(self.browser, WAIT_S, 0.05).until(lambda _: holds())

    def until_edited(self, than: str = "") -> str:
        """The edit's PNG, once it is another than before and all answers are in."""
        self.until(lambda: self.at("stage").get_attribute("aria-busy") == "false")
        self.until(lambda: (self.at("after").get_attribute("src") or than) != than)
        self.until(lambda: self.at("stage").get_attribute("aria-busy") == "false")
        return self.at("after").get_attribute("src")

    def choose(self, attribute, name):
        chip = f"input[name={attribute}][value='{name}']"
        self.browser.find_element(By.CSS_SELECTOR, chip).click()

    def names(self, attribute):
        found = self.browser.find_elements(By.NAME, attribute)
        return [chip.get_attribute("value") for chip in found]


def pixels(source: str) -> np.ndarray:
    assert source.startswith("data:image/png;base64,")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))))


def test_a_person_edits_a_face(chromium, demo_server, serving_root, blobs, tmp_path):
    page = Page(chromium, demo_server)
    kept = page.until_edited()
    assert page.names("expression") == ["", "neutral", "smile", "scream"]
    assert page.names("lighting") == ["", "left", "right"]
    assert "legan (LeganGenerator, 16 × 16)" in page.at("model").text

    page.choose("expression", "smile")
    smiling = page.until_edited(than=kept)
    page.choose("lighting", "left")
    lit = page.until_edited(than=smiling)

    upload = tmp_path / "mine.png"
    picture = blobs(16, 16)[0]
    # What is transparent is black, whatever colour it hides.
    transparent = np.dstack([picture, np.full((16, 16), 255, np.uint8)])
    transparent[:4, :, 3] = picture[:4] = 0
    Image.fromarray(transparent).save(upload)
    page.at("upload").send_keys(str(upload))
    shown = pixels(page.until_edited(than=lit))
    editor = legan_tf.load(serving_root / "legan")
    expected = editor(picture, expression="smile", lighting="left")
    assert np.unique(expected).size > 50
    np.testing.assert_allclose(shown.astype(int), expected, rtol=0, atol=1)
    np.testing.assert_array_equal(pixels(page.at("before").get_attribute("src"))[..., :3], picture)
    assert page.at("save").get_attribute("href") == page.at("after").get_attribute("src")

    for mask in ("expression-mask", "lighting-mask"):
        assert pixels(page.at(mask).get_attribute("src")).shape == (16, 16)
    scorer = legan_tf.load(serving_root / "quality")
    assert page.at("rating-before").text == f"{scorer(picture):.1f}"
    assert page.at("rating-after").text == f"{scorer(expected):.1f}"
    assert not page.at("told").is_displayed()
    assert [entry for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_before_and_after_part_where_one_drags(chromium, demo_server):
    page = Page(chromium, demo_server)
    page.until_edited()
    stage = page.at("stage")
    quarter = -stage.size["width"] / 4
    ActionChains(chromium).move_to_element(stage).click_and_hold().move_by_offset(
        int(quarter), 0
    ).release().perform()
    assert 24 <= float(page.at("split").get_attribute("value")) <= 26
    cut = chromium.execute_script(
        "return getComputedStyle(document.getElementById('after')).clipPath"
    )
    assert 24 <= float(cut.split()[-1].rstrip("%)")) <= 26


def test_a_depth_network_shows_its_maps_and_no_scorer_no_rating(chromium, demo_server):
    page = Page(chromium, f"{demo_server}?editor=legan_normal&scorer=absent")
    page.until_edited()
    page.until(page.at("surface").is_displayed)
    assert pixels(page.at("map").get_attribute("src")).shape == (16, 16, 3)
    assert not page.at("quality").is_displayed()
    assert not page.at("told").is_displayed()


def test_what_goes_wrong_is_told_in_a_sentence(chromium, demo_server, tmp_path):
    page = Page(chromium, f"{demo_server}?editor=nobody")
    page.until(page.at("told").is_displayed)
    assert "no model named nobody" in page.at("told").text
    assert not page.at("upload").is_enabled()
    page = Page(chromium, f"{demo_server}?server=http://127.0.0.1:9")
    page.until(page.at("told").is_displayed)
    assert "http://127.0.0.1:9 does not answer" in page.at("told").text
    page = Page(chromium, demo_server)
    before = page.until_edited()
    (tmp_path / "no.png").write_bytes(b"this is no picture")
    page.at("upload").send_keys(str(tmp_path / "no.png"))
    page.until(page.at("told").is_displayed)
    assert page.at("told").text == "no.png cannot be read as a picture."
    assert page.at("after").get_attribute("src") == before


def test_the_page_needs_nothing_from_elsewhere():
    text = (DEMO / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"(?:https?:)?//[\w.]+", text) == ["http://host"]
    for url in json.loads(text.split("const SAMPLES = ")[1].split(";")[0]):
        with Image.open(DEMO / url) as face:
            assert face.size == (256, 256)
