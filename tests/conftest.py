"""Every test runs on the CPU, from the same seeds, on whichever stack is installed."""

from __future__ import annotations

import importlib.metadata
import os

# Before the first import of TensorFlow, which reads these once.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import pytest

KERAS_MAJOR = int(importlib.metadata.version("keras").split(".")[0])


def pytest_collection_modifyitems(items):
    # Whole runs of training first: at the end, one worker would do them while the others wait.
    items.sort(key=lambda item: "training" not in item.path.parts)
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
