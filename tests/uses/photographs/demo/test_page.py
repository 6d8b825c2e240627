"""The demo page, driven in headless Chromium."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from legan_tf.uses.photographs.photograph_editor import PhotographEditor

WAIT_S = 60.0

DRAW = """
const [image] = arguments, canvas = document.createElement("canvas");
[canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
canvas.getContext("2d").drawImage(image, 0, 0);
return canvas.toDataURL("image/png").split(",")[1];
"""


class Page:
    """What a person sees of the page, and can do with it."""

    def __init__(self, browser, address: str) -> None:
        self.browser = browser
        browser.get(address)
        self.until(lambda: self.names("expression") and self.names("lighting"))

    def at(self, name):
        return self.browser.find_element(By.ID, name)

    def until(self, holds):
        return WebDriverWait(self.browser, WAIT_S, 0.05).until(lambda _: holds())

    def names(self, attribute):
        found = self.browser.find_elements(By.NAME, attribute)
        return [chip.get_attribute("value") for chip in found]

    def choose(self, attribute, name):
        chip = f"input[name={attribute}][value='{name}']"
        self.browser.find_element(By.CSS_SELECTOR, chip).click()

    def slide(self, value):
        script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))"
        self.browser.execute_script(script, self.at("strength"), value)

    def until_edited(self, than: str = "") -> str:
        """The address of the edit, once it is another than before and no other is awaited."""
        self.until(lambda: (self.at("after").get_attribute("src") or than) != than)
        self.until(lambda: self.at("view").get_attribute("aria-busy") == "false")
        return self.at("after").get_attribute("src")

    def pixels(self, name) -> np.ndarray:
        self.until(lambda: int(self.at(name).get_attribute("naturalWidth")))
        encoded = self.browser.execute_script(DRAW, self.at(name))
        image = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")
        return np.asarray(image).astype(int)


@pytest.fixture
def page(chromium, server) -> Page:
    return Page(chromium, server.address)


def test_a_person_edits_a_photograph(chromium, page, faces, tmp_path):
    Image.fromarray(faces[0]).save(tmp_path / "me.png")
    page.at("upload").send_keys(str(tmp_path / "me.png"))
    kept = page.until_edited()
    assert np.abs(page.pixels("before") - faces[0]).mean() < 1.5
    assert np.abs(page.pixels("after") - faces[0]).mean() < 1.5

    editor = PhotographEditor(faces[0])
    page.choose("expression", "smile")
    smiling = page.until_edited(than=kept)
    assert np.abs(page.pixels("after") - editor.edit("smile").image).mean() < 1.5
    page.slide(0.4)
    weaker = page.until_edited(than=smiling)
    assert page.at("amount").text == "0.40"
    wanted = editor.edit("smile", strength=0.4).image
    assert np.abs(page.pixels("after") - wanted).mean() < 1.5
    page.choose("lighting", "left")
    page.until_edited(than=weaker)
    wanted = editor.edit("smile", "left", strength=0.4).image
    assert np.abs(page.pixels("after") - wanted).mean() < 1.5
    assert np.abs(page.pixels("before") - faces[0]).mean() < 1.5

    chromium.execute_cdp_cmd(
        "Page.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path / "saved")}
    )
    page.at("save").click()
    saved = tmp_path / "saved" / "me-edited.png"
    page.until(saved.is_file)
    np.testing.assert_array_equal(np.asarray(Image.open(saved)), wanted)
    assert b"expression smile, strength 0.4, light left" in Image.open(saved).info["xmp"]
    assert not page.at("told").is_displayed() and not page.at("which").is_displayed()
    assert [entry for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_a_person_chooses_among_faces(page, faces, tmp_path):
    both = np.concatenate(faces[:2], axis=1)
    Image.fromarray(both).save(tmp_path / "both.png")
    page.at("upload").send_keys(str(tmp_path / "both.png"))
    kept = page.until_edited()
    assert page.at("which").is_displayed()
    page.choose("expression", "surprise")
    before = page.until_edited(than=kept)
    page.browser.find_element(By.CSS_SELECTOR, "#face option[value='2']").click()
    page.until_edited(than=before)
    change = np.abs(page.pixels("after") - both).mean((0, 2))
    assert change[256:].max() > 10 * change[:240].max()


def test_what_goes_wrong_is_told_in_a_sentence(page, faces, tmp_path):
    (tmp_path / "no.png").write_bytes(b"this is no picture")
    page.at("upload").send_keys(str(tmp_path / "no.png"))
    page.until(page.at("told").is_displayed)
    assert page.at("told").text.startswith("no.png: is damaged or of no known picture format")
    assert not page.at("save").is_enabled()
    Image.fromarray(faces[0]).save(tmp_path / "me.png")
    page.at("upload").send_keys(str(tmp_path / "me.png"))
    page.until_edited()
    assert not page.at("told").is_displayed()
