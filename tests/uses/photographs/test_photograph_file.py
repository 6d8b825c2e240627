"""Reading and writing photographs: pixels, colours and metadata, of usual and of odd files."""

from __future__ import annotations

import io
import pathlib
import runpy
import struct
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image, JpegImagePlugin

from legan_tf.data.images import ImageError
from legan_tf.data.storage import StorageError
from legan_tf.errors import UserError
from legan_tf.uses.photographs import photograph_file

profiles = runpy.run_path(str(pathlib.Path(__file__).parents[2] / "icc_profiles.py"))
P3 = profiles["matrix_profile"](profiles["P3"], 2.2)
CURVE = b"curv" + bytes(4) + struct.pack(">IH", 1, 400) + bytes(2)
GREY = profiles["icc_profile"](b"GRAY", kTRC=CURVE)

LOSSLESS = [
    ("PNG", "RGB", ".png"),
    ("PNG", "RGBA", ".png"),
    ("PNG", "L", ".png"),
    ("PNG", "LA", ".png"),
    ("PNG", "I;16", ".png"),
    ("PNG", "P", ".png"),
    ("PNG", "1", ".png"),
    ("GIF", "P", ".png"),
    ("TIFF", "RGB", ".tif"),
    ("TIFF", "CMYK", ".tiff"),
    ("TIFF", "I;16", ".tif"),
    ("TIFF", "RGBA", ".png"),
]


def encoded(image: Image.Image, form: str, **options) -> bytes:
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()


def scene(mode: str = "RGB", height: int = 24, width: int = 40) -> Image.Image:
    """A smooth picture of a mode; see-through at the left, 16-bit with steps between levels."""
    coarse = np.random.default_rng(3).integers(30, 226, (4, 5, 4), np.uint8)
    levels = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    levels = np.array(levels)
    levels[..., 3] = np.linspace(0, 255, width)
    if mode == "I;16":
        fine = np.random.default_rng(4).integers(-100, 100, (height, width))
        return Image.fromarray((levels[..., 0].astype(int) * 257 + fine).astype(np.uint16))
    if mode in ("RGBA", "LA"):
        return Image.fromarray(levels if mode == "RGBA" else np.ascontiguousarray(levels[..., ::3]))
    return Image.fromarray(levels[..., :3].copy()).convert(mode)


def edited(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A picture with a part of it darker, and where."""
    changed = np.zeros(image.shape[:2], bool)
    changed[6:18, 22:38] = True
    result = image.copy()
    result[changed] = result[changed] // 2
    return result, changed & np.any(result != image, axis=-1)


@pytest.mark.parametrize(("form", "mode", "suffix"), LOSSLESS)
@pytest.mark.parametrize("profile", [None, P3], ids=["plain", "profile"])
def test_pixels_that_no_edit_changed_are_those_of_the_file(form, mode, suffix, profile):
    options = {"icc_profile": profile} if profile and mode != "CMYK" and form != "GIF" else {}
    read = photograph_file.read(encoded(scene(mode), form, **options))
    target, changed = edited(read.image)
    assert changed.sum() > 40
    content = read.encode(target, suffix, "expression smile")
    with Image.open(io.BytesIO(content)) as after, scene(mode) as before:
        known = {"P": "RGB", "1": "L"}.get(mode, mode)
        before = before.convert(known) if before.mode != known else before
        if form == "GIF":
            before = Image.open(io.BytesIO(encoded(scene(mode), form))).convert("RGB")
        np.testing.assert_array_equal(np.asarray(after)[~changed], np.asarray(before)[~changed])
        assert after.info.get("icc_profile") == options.get("icc_profile")
    again = photograph_file.read(content)
    np.testing.assert_allclose(again.image.astype(int), target, atol=3)


def test_what_changed_is_in_the_colours_of_the_profile():
    read = photograph_file.read(encoded(scene(), "PNG", icc_profile=P3))
    target, changed = edited(read.image)
    after = photograph_file.read(read.encode(target, ".png", ""))
    assert np.abs(after.image.astype(int) - target)[changed].mean() < 0.7
    plain = Image.open(io.BytesIO(read.encode(target, ".png", "")))
    assert np.abs(np.asarray(plain).astype(int) - target)[changed].max() > 5


def test_colours_beyond_srgb_survive_an_edit_beside_and_on_them():
    saturated = np.full((8, 8, 3), (255, 30, 30), np.uint8)
    read = photograph_file.read(encoded(Image.fromarray(saturated), "PNG", icc_profile=P3))
    target = read.image.copy()
    target[:4] = np.clip(target[:4].astype(int) - (3, 0, 0), 0, 255)
    after = np.asarray(Image.open(io.BytesIO(read.encode(target, ".png", ""))))
    assert (after[4:] == saturated[4:]).all()
    # The same step darker: not first brought to the nearest colour of sRGB.
    assert (after[:4, :, 0] == 252).all() and np.abs(
        after[:4].astype(int) - saturated[:4]
    ).max() <= 4


def test_a_tall_picture_that_is_changed_at_one_end_keeps_the_rest():
    tall = Image.fromarray(np.random.default_rng(0).integers(0, 255, (700, 8, 3), np.uint8))
    read = photograph_file.read(encoded(tall, "PNG", icc_profile=P3))
    edited = read.image.copy()
    edited[:5] = 255 - edited[:5]
    after = np.asarray(Image.open(io.BytesIO(read.encode(edited, ".png", "smile"))))
    np.testing.assert_array_equal(after[5:], np.asarray(tall)[5:])
    assert (after[:5] != np.asarray(tall)[:5]).any()


def test_grey_stays_grey_in_its_own_profile():
    read = photograph_file.read(encoded(scene("L"), "PNG", icc_profile=GREY))
    target, changed = edited(read.image)
    target[changed] += np.uint8((0, 4, 0))
    after = Image.open(io.BytesIO(read.encode(target, ".png", "")))
    assert after.mode == "L" and after.info["icc_profile"] == GREY
    shown = photograph_file.read(read.encode(target, ".png", "")).image
    np.testing.assert_allclose(shown[changed].astype(int), target[changed], atol=4)


@pytest.mark.parametrize(
    ("mode", "suffix", "wanted"),
    [
        ("CMYK", ".png", "RGB"),
        ("CMYK", ".webp", "RGB"),
        ("CMYK", ".jpg", "CMYK"),
        ("I;16", ".jpg", "RGB"),
        ("L", ".jpg", "L"),
        ("L", ".webp", "RGB"),
        ("RGBA", ".jpg", "RGB"),
        ("RGBA", ".webp", "RGBA"),
    ],
)
def test_a_format_that_cannot_hold_the_mode_gets_srgb(mode, suffix, wanted):
    read = photograph_file.read(encoded(scene(mode), "TIFF"))
    target, _ = edited(read.image)
    after = Image.open(io.BytesIO(read.encode(target, suffix, "")))
    assert after.mode == wanted
    shown = photograph_file.read(after.copy()).image
    assert np.abs(shown.astype(int) - target).mean() < 5


def test_a_profile_that_can_only_be_read_gives_way_to_srgb():
    # Tables from inks to colours, and none back.
    corners = np.full((16, 3), 32768)
    corners[:, 0] = np.linspace(65280, 0, 16)
    fixed = profiles["fixed"]
    lut = (
        b"mft2" + bytes(4) + bytes([4, 3, 2, 0]) + b"".join(map(fixed, np.eye(3).ravel()))
        + struct.pack(">HH", 2, 2) + struct.pack(">HH", 0, 65535) * 4
        + corners.astype(">u2").tobytes() + struct.pack(">HH", 0, 65535) * 3
    )  # fmt: skip
    profile = profiles["icc_profile"](b"CMYK", b"prtr", A2B0=lut).replace(b"CMYKXYZ ", b"CMYKLab ")
    read = photograph_file.read(encoded(scene("CMYK"), "TIFF", icc_profile=profile))
    target, _ = edited(read.image)
    after = Image.open(io.BytesIO(read.encode(target, ".tif", "")))
    assert after.mode == "RGB" and "icc_profile" not in after.info
    np.testing.assert_array_equal(np.asarray(after), target)


def test_nothing_edited_is_nothing_said():
    exif = Image.Exif()
    exif[ExifTags.Base.Software] = "firmware"
    read = photograph_file.read(encoded(scene(), "PNG", exif=exif))
    after = Image.open(io.BytesIO(read.encode(read.image, ".png", "strength 0")))
    np.testing.assert_array_equal(np.asarray(after), np.asarray(scene()))
    assert "xmp" not in after.info and after.getexif()[ExifTags.Base.Software] == "firmware"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("form", "suffix"), [("PNG", ".png"), ("TIFF", ".tif"), ("JPEG", ".jpg")])
def test_pictures_come_out_upright(form, suffix, orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Make] = "Camera"
    options = {"quality": 100, "subsampling": 0} if form == "JPEG" else {}
    shape = (32, 48)
    read = photograph_file.read(encoded(scene("RGB", *shape), form, exif=exif, **options))
    assert read.image.shape[:2] == (shape if orientation < 5 else shape[::-1])
    target, _ = edited(read.image)
    after = Image.open(io.BytesIO(read.encode(target, suffix, "light left")))
    assert after.getexif().get(ExifTags.Base.Orientation, 1) == 1
    assert after.getexif()[ExifTags.Base.Make] == "Camera"
    np.testing.assert_allclose(np.asarray(after).astype(int), target, atol=12)
    assert b"compositeSynthetic" in after.info["xmp"]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_every_format_says_that_the_picture_was_edited(suffix):
    read = photograph_file.read(scene())
    content = read.encode(edited(read.image)[0], suffix, "expression smile")
    after = Image.open(io.BytesIO(content))
    assert b"digitalsourcetype/compositeSynthetic" in after.info["xmp"]
    assert b"expression smile" in after.info["xmp"]
    assert after.getexif()[ExifTags.Base.Software].startswith("legan-tf")
    # An edit that is made again is the same file.
    assert content == read.encode(edited(read.image)[0], suffix, "expression smile")


def test_a_jpeg_is_compressed_as_it_was():
    options = {"quality": 71, "subsampling": "4:2:0"}
    content = encoded(scene("RGB", 64, 96), "JPEG", dpi=(300, 300), **options)
    read = photograph_file.read(content)
    target, _ = edited(read.image)
    before, after = (Image.open(io.BytesIO(x)) for x in (content, read.encode(target, ".jpg", "")))
    assert after.quantization == before.quantization
    assert JpegImagePlugin.get_sampling(after) == JpegImagePlugin.get_sampling(before) == 2
    assert after.info["dpi"] == (300, 300)
    png = photograph_file.read(encoded(scene("RGB", 64, 96), "PNG"))
    other = Image.open(io.BytesIO(png.encode(edited(png.image)[0], ".jpeg", "")))
    assert JpegImagePlugin.get_sampling(other) == 0
    assert max(other.quantization[0]) < 13


def test_what_was_on_black_stays_see_through():
    read = photograph_file.read(encoded(scene("RGBA"), "PNG"))
    assert (read.image[:, 0] == 0).all()
    target, changed = edited(read.image)
    after = np.asarray(Image.open(io.BytesIO(read.encode(target, ".png", ""))))
    before = np.asarray(scene("RGBA"))
    np.testing.assert_array_equal(after[..., 3], before[..., 3])
    # Half the light on black is half the light of the colour.
    np.testing.assert_allclose(after[changed][:, :3], before[changed][:, :3] / 2, atol=2)


def test_arrays_and_pil_images():
    array = np.asarray(scene())
    read = photograph_file.read(array)
    np.testing.assert_array_equal(read.image, array)
    np.testing.assert_array_equal(photograph_file.read(scene()).image, array)
    for wrong in (array.astype(np.float32), array[..., 0], np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ImageError, match=r"a picture is uint8 \[H, W, 3\], not "):
            photograph_file.read(wrong)


def test_saving_is_atomic_and_knows_its_formats(tmp_path):
    read = photograph_file.read(scene())
    read.save(str(tmp_path / "new" / "a.PNG"), read.image, "")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.PNG"]
    for name in ("a.bmp", "a.gif", "a"):
        with pytest.raises(UserError, match="must end in one of .png, .jpg"):
            read.save(str(tmp_path / name), read.image, "")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        read.save(str(tmp_path / "file" / "a.png"), read.image, "")


def test_an_animation_is_its_first_frame_with_a_sentence(tmp_path):
    frames = [scene(), scene().rotate(180)]
    path = tmp_path / "moving.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    read = photograph_file.read(path)
    assert read.notes == (f"{path}: holds 2 pictures; the first is edited, without the others.",)
    first = np.asarray(Image.open(path).convert("RGB"))
    np.testing.assert_array_equal(read.image, first)


def rgb_16_bit(levels: np.ndarray) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    height, width = levels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )  # fmt: skip


def test_colours_of_16_bits_are_read_with_8_and_that_is_told():
    levels = np.asarray(scene()).astype(np.uint16) * 257
    read = photograph_file.read(rgb_16_bit(levels), "deep.png")
    assert read.notes == ("deep.png: has 16 bits a channel; it is read and written with 8.",)
    np.testing.assert_array_equal(read.image, np.asarray(scene()))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "x: is empty"),
        (b"no picture", "x: is damaged or of no known picture format"),
        (encoded(scene("RGB", 200, 300), "PNG")[:900], "x: is damaged or cut short"),
        (encoded(scene("RGB", 200, 300), "JPEG")[:2000], "x: is damaged or cut short"),
        (encoded(Image.new("F", (4, 4)), "TIFF"), "x: has float pixels, which cannot be edited"),
        (encoded(Image.new("LAB", (4, 4)), "TIFF"), "x: has CIELAB pixels"),
        (encoded(Image.new("I", (4, 4), 70_000), "TIFF"), "x: has whole numbers beyond 16 bits"),
        (b"P5 20000 20000 255\n" + bytes(10), "x: has more than 100 megapixels"),
    ],
    ids=["empty", "text", "cut png", "cut jpeg", "float", "lab", "32 bits", "20,000 pixels"],
)
def test_what_cannot_be_edited_is_refused_in_a_sentence(content, sentence):
    with pytest.raises(ImageError, match=sentence):
        photograph_file.read(content, "x")


def test_a_long_narrow_picture_and_one_of_one_pixel():
    for shape in ((1, 1), (3, 20_000), (20_000, 2)):
        read = photograph_file.read(encoded(scene("RGB", *shape), "PNG"))
        assert read.image.shape == (*shape, 3)
        assert photograph_file.read(read.encode(read.image, ".jpg", "")).image.shape[:2] == shape


def test_heic_needs_pillow_heif(tmp_path):
    content = b"\0\0\0\x18ftypheic" + bytes(12)
    try:
        import pillow_heif
    except ImportError:
        with pytest.raises(UserError, match="x.heic: reading HEIC needs pillow-heif"):
            photograph_file.read(content, "x.heic")
        return
    path = tmp_path / "a.heic"
    pillow_heif.from_pillow(scene("RGB", 64, 96)).save(path, quality=95)
    read = photograph_file.read(path)
    assert np.abs(read.image.astype(int) - np.asarray(scene("RGB", 64, 96))).mean() < 4
