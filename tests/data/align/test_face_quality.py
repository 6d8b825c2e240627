from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from legan_tf.data.align import alignment, face_quality


@pytest.fixture(scope="module")
def aligned(faces):
    pictures, _ = faces
    return np.asarray(Image.fromarray(pictures[0, 0]).resize((128, 128), Image.Resampling.BICUBIC))


def measure(image):
    return face_quality.contrast_and_sharpness(image, alignment.LIGHTCNN)


def test_darkness_takes_contrast_and_leaves_sharpness(aligned):
    contrast, sharpness = measure(aligned)
    dark_contrast, dark_sharpness = measure((aligned * 0.25).astype(np.uint8))
    assert contrast > 15
    assert dark_contrast == pytest.approx(contrast / 4, rel=0.05)
    assert dark_sharpness == pytest.approx(sharpness, rel=0.35)
    assert measure(np.full_like(aligned, 90)) == (0.0, 0.0)


def test_blur_takes_sharpness_step_by_step(aligned):
    blurred = [Image.fromarray(aligned).filter(ImageFilter.GaussianBlur(r)) for r in (0, 1, 2, 4)]
    values = [measure(np.asarray(image))[1] for image in blurred]
    assert values == sorted(values, reverse=True)
    assert values[0] > 1.8 * values[1] > 3.6 * values[3]


def test_only_the_inner_face_counts(aligned):
    changed = aligned.copy()
    changed[:20], changed[104:], changed[:, :20], changed[:, 108:] = 255, 0, 255, 0
    assert measure(changed) == measure(aligned)
