"""Every test runs on the CPU but those marked gpu, from the same seeds, on either stack."""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import shutil

# Before the first import of TensorFlow, which reads these once.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if not os.environ.get("LEGAN_TF_GPU"):
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import keras
import pytest
import tensorflow as tf

TESTS = pathlib.Path(__file__).parent
# What make check runs, at least some of every layer: all of it takes four minutes of one core.
# The rest trains, starts servers, browsers and whole programs, and is marked as slow.
QUICK = (
    "test_*.py",
    "command_line/test_*.py",
    "data/test_*.py",
    "data/align/test_landmarks.py",
    "data/align/test_region.py",
    "data/head_assets/test_build.py",
    "data/head_assets/test_parts.py",
    "data/head_assets/test_teeth.py",
    "data/readers/test_*.py",
    "evaluation/metrics/test_*.py",
    "graph_ops/test_*.py",
    "head/test_action_units.py",
    "head/test_camera_fit.py",
    "head/test_contour_search.py",
    "head/test_face_points.py",
    "head/test_head_file.py",
    "head/test_light.py",
    "head/test_lip_line.py",
    "head/test_morphable_head.py",
    "head/test_person_mask.py",
    "head/test_shading.py",
    "head/test_shipped_head.py",
    "head/test_subdivision.py",
    "losses/test_*.py",
    "models/test_*.py",
    "models/pretrained/test_pytorch_files.py",
    "plotting/test_*.py",
    "runtime/test_*.py",
    "serving/test_labels.py",
    "serving/test_wire.py",
    "training/test_run_config.py",
    "training/test_schedules.py",
    "uses/photographs/test_metadata.py",
    "uses/photographs/test_photograph_file.py",
    "uses/study/test_answers.py",
    "uses/study/test_design.py",
)

KERAS_MAJOR = int(importlib.metadata.version("keras").split(".")[0])


def pytest_collection_modifyitems(items):
    # Whole runs of training first: at the end, one worker would do them while the others wait.
    items.sort(key=lambda item: "training" not in item.path.parts)
    quick = {path for pattern in QUICK for path in TESTS.glob(pattern)}
    for item in items:
        if item.path not in quick:
            item.add_marker(pytest.mark.slow)
    if not tf.config.list_physical_devices("GPU"):
        skip = pytest.mark.skip(reason="needs a GPU, and make test-gpu (LEGAN_TF_GPU=1)")
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(skip)
    # Decided by the stack, not by trying the imports: on stack A a broken import has to fail.
    if KERAS_MAJOR == 2:
        return
    skip = pytest.mark.skip(reason="needs stack A: Addons, IO and GAN do not import with Keras 3")
    for item in items:
        if "stack_a" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """A headless browser, for the tests of pages."""
    # Here, since few tests need it.
    from selenium import webdriver

    browser = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not browser or not driver:
        pytest.skip("needs Chromium and chromedriver (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1200,900",
        f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield started
    started.quit()
