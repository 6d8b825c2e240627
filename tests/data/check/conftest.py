from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from legan_tf.data import attributes
from legan_tf.data.rendered import rendered_faces

SIZE = 64
EXPRESSIONS = ("neutral", "smile", "surprise")


@pytest.fixture(scope="session")
def faces():
    """uint8 [4,3,19,64,64,3]: people, expressions, lights."""
    lightings = attributes.lightings()
    split = rendered_faces("train", 4, EXPRESSIONS, lightings, SIZE, 0)
    return split.images(range(len(split))).reshape(4, 3, len(lightings), SIZE, SIZE, 3)


def jpeg(picture, quality=50):
    content = io.BytesIO()
    Image.fromarray(picture).save(content, format="JPEG", quality=quality)
    return content.getvalue()


def brighter(picture, gain):
    return np.clip(picture * gain + 0.5, 0, 255).astype(np.uint8)


def resized(picture, size):
    return np.array(Image.fromarray(picture).resize((size, size), Image.Resampling.LANCZOS))
