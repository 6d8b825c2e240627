from __future__ import annotations

import io
import os
import pathlib
import runpy
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from legan_tf.data import images
from legan_tf.data.storage import StorageError

profiles = runpy.run_path(str(pathlib.Path(__file__).parents[1] / "icc_profiles.py"))
fixed, icc_profile, matrix_profile = (
    profiles[name] for name in ("fixed", "icc_profile", "matrix_profile")
)
SRGB, P3, ADOBE = (profiles[name] for name in ("SRGB", "P3", "ADOBE"))

COLOURS = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3) * 4


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    content = io.BytesIO()
    image.save(content, format=kind, **options)
    return content.getvalue()


def png_16_bit(grey: np.ndarray) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + checksum

    height, width = grey.shape
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in grey)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


def grey_as_rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=-1)


def test_colour_png_comes_back_exactly():
    decoded = images.decode(encoded(Image.fromarray(COLOURS), "PNG"))
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, COLOURS)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "PPM"])
def test_grey_becomes_rgb(kind):
    grey = COLOURS[..., 0]
    decoded = images.decode(encoded(Image.fromarray(grey), kind))
    np.testing.assert_array_equal(decoded, grey_as_rgb(grey))


def test_gif_without_extension_is_read(tmp_path):
    path = tmp_path / "subject01.happy"
    path.write_bytes(encoded(Image.fromarray(COLOURS[..., 1]), "GIF"))
    np.testing.assert_array_equal(images.decode(str(path)), grey_as_rgb(COLOURS[..., 1]))


def test_jpeg_is_read():
    flat = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    decoded = images.decode(encoded(Image.fromarray(flat), "JPEG", quality=95))
    assert np.abs(decoded.astype(int) - flat).max() <= 3


def test_transparency_is_laid_on_black():
    alpha = np.full((5, 4, 1), 51, np.uint8)  # A fifth.
    alpha[0] = 255
    alpha[1] = 0
    rgba = np.concatenate([COLOURS, alpha], axis=-1)
    expected = np.round(COLOURS * (alpha / 255.0))
    decoded = images.decode(encoded(Image.fromarray(rgba), "PNG"))
    assert np.abs(decoded.astype(int) - expected).max() <= 1
    np.testing.assert_array_equal(decoded[0], COLOURS[0])
    assert decoded[1].max() == 0


def test_palette_and_its_transparent_colour():
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    opaque = images.decode(encoded(palette, "PNG"))
    np.testing.assert_array_equal(opaque, [[[10, 20, 30], [40, 50, 60]]])
    transparent = images.decode(encoded(palette, "PNG", transparency=1))
    np.testing.assert_array_equal(transparent, [[[10, 20, 30], [0, 0, 0]]])


def test_16_bit_png_keeps_its_brightness():
    grey = np.array([[0, 257, 128 * 257], [128 * 257 + 200, 65535 - 100, 65535]])
    decoded = images.decode(png_16_bit(grey))
    np.testing.assert_array_equal(decoded, grey_as_rgb(np.array([[0, 1, 128], [129, 255, 255]])))


def test_16_bit_pgm_keeps_its_brightness():
    grey = np.array([[0, 32896, 65535]])
    decoded = images.decode(b"P5 3 1 65535\n" + grey.astype(">u2").tobytes())
    np.testing.assert_array_equal(decoded, grey_as_rgb(np.array([[0, 128, 255]])))


# Where the picture's top left pixel must come to stand, by EXIF orientation.
@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, lambda image: image),
        (2, np.fliplr),
        (3, lambda image: np.rot90(image, 2)),
        (4, np.flipud),
        (5, lambda image: image.transpose(1, 0, 2)),
        (6, lambda image: np.rot90(image, -1)),
        (7, lambda image: np.rot90(image, 2).transpose(1, 0, 2)),
        (8, lambda image: np.rot90(image, 1)),
    ],
)
def test_exif_rotation_is_applied(orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = images.decode(encoded(Image.fromarray(COLOURS), "PNG", exif=exif))
    np.testing.assert_array_equal(decoded, turn(COLOURS))


def test_exif_rotation_of_a_jpeg():
    halves = np.zeros((16, 32, 3), np.uint8)
    halves[:, :16] = 255  # Left half bright; turned clockwise (6), it is on top.
    exif = Image.Exif()
    exif[0x0112] = 6
    decoded = images.decode(encoded(Image.fromarray(halves), "JPEG", quality=95, exif=exif))
    assert decoded.shape == (32, 16, 3)
    assert decoded[:15].min() > 240 and decoded[17:].max() < 15


def as_srgb(levels: np.ndarray, primaries: np.ndarray, gamma: float) -> np.ndarray:
    linear = (levels / 255.0) ** gamma @ (np.linalg.inv(SRGB) @ primaries).T
    linear = np.clip(linear, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(255 * encoded)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP"])
@pytest.mark.parametrize(("primaries", "gamma"), [(P3, 2.2), (ADOBE, 563 / 256), (SRGB, 1.0)])
def test_colours_are_those_of_the_profile(kind, primaries, gamma):
    levels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}
    content = encoded(
        Image.fromarray(levels).resize((64, 48), Image.Resampling.NEAREST),
        kind,
        icc_profile=matrix_profile(primaries, gamma),
        **options.get(kind, {}),
    )
    stored = np.array(Image.open(io.BytesIO(content)).convert("RGB"))
    wanted = as_srgb(stored, primaries, gamma)
    assert np.abs(wanted - stored).max() > 10
    np.testing.assert_allclose(images.decode(content), wanted, atol=1)


def test_known_colours_of_display_p3():
    # Of a Display P3 of gamma 2.2: white and black stay, its pure green is beyond sRGB.
    colours = np.array([[[255, 255, 255], [0, 0, 0], [0, 255, 0], [200, 120, 80]]], np.uint8)
    content = encoded(Image.fromarray(colours), "PNG", icc_profile=matrix_profile(P3, 2.2))
    np.testing.assert_allclose(
        images.decode(content)[0],
        [[255, 255, 255], [0, 0, 0], [0, 255, 0], [214, 116, 69]],
        atol=1,
    )


@pytest.mark.parametrize("profile", ["Pillow's", "of a curve", "of text", "cut short", "of CMYK"])
def test_profiles_that_say_nothing_new_change_no_bit(profile):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    curve = struct.pack(">I", 1024) + b"".join(
        struct.pack(
            ">H", round(65535 * (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4))
        )
        for x in np.linspace(0, 1, 1024)
    )
    tags = {f"{name}TRC": b"curv" + bytes(4) + curve for name in "rgb"}
    for name, column in zip("rgb", SRGB.T):
        tags[f"{name}XYZ"] = b"XYZ " + bytes(4) + b"".join(map(fixed, column))
    content = {
        "Pillow's": srgb,
        "of a curve": icc_profile(b"RGB ", **tags),
        "of text": b"no profile",
        "cut short": matrix_profile(P3, 2.2)[:200],
        "of CMYK": icc_profile(b"CMYK", b"prtr"),
    }[profile]
    for kind in ("PNG", "TIFF"):
        picture = encoded(Image.fromarray(COLOURS), kind, icc_profile=content)
        np.testing.assert_array_equal(images.decode(picture), COLOURS)


def test_profiles_of_grey_transparent_palette_and_turned_pictures():
    grey = np.arange(0, 256, 3, dtype=np.uint8)[None]
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, 256) + bytes(2)  # Linear.
    profile = icc_profile(b"GRAY", kTRC=curve)
    wanted = as_srgb(grey_as_rgb(grey), SRGB, 1.0)
    for content in (
        encoded(Image.fromarray(grey), "PNG", icc_profile=profile),
        encoded(Image.fromarray(grey.astype(np.uint16) * 257), "PNG", icc_profile=profile),
        encoded(Image.fromarray(grey).convert("LA"), "PNG", icc_profile=profile),
    ):
        np.testing.assert_allclose(images.decode(content), wanted, atol=1)
    # A grey picture with a profile of colours: it has none.
    colours = matrix_profile(P3, 2.2)
    mixed = encoded(Image.fromarray(grey), "PNG", icc_profile=colours)
    np.testing.assert_array_equal(images.decode(mixed), grey_as_rgb(grey))

    wanted = as_srgb(COLOURS, P3, 2.2)
    alpha = np.full((5, 4, 1), 255, np.uint8)
    alpha[0] = 0
    seen = Image.fromarray(np.concatenate([COLOURS, alpha], -1))
    np.testing.assert_allclose(
        images.decode(encoded(seen, "PNG", icc_profile=colours)), wanted * (alpha > 0), atol=1
    )
    palette = Image.fromarray(COLOURS).quantize(256)
    assert palette.mode == "P"
    np.testing.assert_allclose(
        images.decode(encoded(palette, "PNG", icc_profile=colours)),
        as_srgb(np.asarray(palette.convert("RGB")), P3, 2.2),
        atol=1,
    )
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(Image.fromarray(COLOURS), "PNG", icc_profile=colours, exif=exif)
    np.testing.assert_allclose(images.decode(turned), np.rot90(wanted, -1), atol=1)


def test_a_profile_of_cmyk_is_used():
    # Four inks of two levels each: magenta alone prints grey, which nothing but the profile says.
    corners = np.zeros((16, 3))
    corners[0], corners[4] = 1.0, 0.5  # L* of 100 and of 50.
    table = (corners * 65280).astype(">u2")
    table[:, 1:] = 32768
    linear = struct.pack(">HH", 0, 65535)
    lut = (
        b"mft2" + bytes(4) + bytes([4, 3, 2, 0]) + b"".join(map(fixed, np.eye(3).ravel()))
        + struct.pack(">HH", 2, 2) + linear * 4 + table.tobytes() + linear * 3
    )  # fmt: skip
    profile = icc_profile(b"CMYK", b"prtr", A2B0=lut).replace(b"CMYKXYZ ", b"CMYKLab ")
    printed = Image.new("CMYK", (8, 8), (0, 255, 0, 0))
    plain, profiled = (
        images.decode(encoded(printed, "TIFF", **options))
        for options in ({}, {"icc_profile": profile})
    )
    assert (plain == [255, 0, 255]).all()
    np.testing.assert_allclose(profiled, np.full((8, 8, 3), 119), atol=2)


def test_maps_are_numbers_that_no_profile_changes():
    profile = icc_profile(b"GRAY", kTRC=b"curv" + bytes(4) + struct.pack(">IH", 1, 256) + bytes(2))
    grey = np.arange(0, 256, 3, dtype=np.uint8)[None]
    content = encoded(Image.fromarray(grey), "PNG", icc_profile=profile)
    np.testing.assert_array_equal(images.decode_grey(content), grey)
    content = encoded(Image.fromarray(COLOURS), "PNG", icc_profile=matrix_profile(P3, 2.2))
    np.testing.assert_array_equal(images.decode(content, colours=False), COLOURS)


def test_damaged_exif_does_not_spoil_the_picture():
    content = encoded(Image.fromarray(COLOURS), "PNG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    np.testing.assert_array_equal(images.decode(content), COLOURS)


NOISE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "empty"),
        (b"not a picture at all", "no known picture format"),
        (encoded(Image.fromarray(NOISE), "JPEG")[:1500], "cut short"),
        (encoded(Image.fromarray(NOISE), "PNG")[:3000], "cut short"),
        (encoded(Image.fromarray(NOISE[..., 0]), "GIF")[:2000], "cut short"),
        (encoded(Image.fromarray(NOISE[..., 0]), "PPM")[:2000], "cut short"),
        (b"P5 20000 20000 255\n" + bytes(10), "more than 100 megapixels"),
        (b"P5 11000 10000 255\n" + bytes(10), "more than 100 megapixels, 11000x10000"),
        (b"Pf 1 1 -1.0\n" + struct.pack("<f", 0.5), "float pixels"),
    ],
)
def test_bad_content_is_refused_by_name(tmp_path, content, complaint):
    path = tmp_path / "face.png"
    path.write_bytes(content)
    with pytest.raises(images.ImageError, match=complaint) as error:
        images.decode(str(path))
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"none\.png: no such file"):
        images.decode(str(tmp_path / "none.png"))


def test_to_square_takes_the_centre():
    wide = np.zeros((4, 8, 3), np.uint8)
    wide[:, 2:6] = 200
    np.testing.assert_array_equal(images.to_square(wide, 4), wide[:, 2:6])


def test_to_square_takes_the_crop_first():
    image = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    cropped = images.to_square(image, 4, crop=(0.5, 0.25, 10 / 12, 0.75))
    np.testing.assert_array_equal(cropped, image[2:6, 6:10])


def test_to_square_does_not_alias():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255  # Without antialiasing, 8 pixels taken from 64 would be all alike.
    assert np.abs(images.to_square(stripes, 8).astype(int) - 127.5).max() < 8


def test_saved_png_is_whole_and_alone(tmp_path):
    path = str(tmp_path / "new" / "face.png")
    images.save_png(path, COLOURS)
    images.save_png(path, COLOURS[::-1])
    np.testing.assert_array_equal(images.decode(path), COLOURS[::-1])
    assert os.listdir(tmp_path / "new") == ["face.png"]


def test_local_pictures_are_read_and_saved_without_tensorflow(tmp_path):
    code = """
import sys
import numpy as np
from legan_tf.data import images
folder = sys.argv[1]
images.save_png(folder + "/new/a.png", np.full((2, 3, 3), 7, np.uint8))
assert images.decode(folder + "/new/a.png").shape == (2, 3, 3)
for path in (folder, folder + "/none.png", folder + "/new/a.png/b"):
    try:
        images.decode(path)
    except images.storage.StorageError as error:
        print(error)
assert "tensorflow" not in sys.modules
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert told.splitlines() == [
        f"{tmp_path}: cannot be read or written (Is a directory).",
        f"{tmp_path}/none.png: no such file.",
        f"{tmp_path}/new/a.png/b: cannot be read or written (Not a directory).",
    ]
