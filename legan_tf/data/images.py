"""Picture files: decoding to uint8 RGB, cropping, resizing to squares, saving."""

from __future__ import annotations

import contextlib
import functools
import io
import warnings

import numpy as np
from PIL import Image, ImageCms, ImageOps

from legan_tf import optional
from legan_tf.data import storage
from legan_tf.errors import UserError

Crop = tuple[float, float, float, float]
"""Left, top, right, bottom as fractions of the width and height, 0 to 1."""

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luma, by ITU-R BT.601."""

MAX_PIXELS = 100_000_000
"""A larger picture is refused: small files can unpack to many gigabytes."""

# Pillow warns on stderr below its own limit; this module refuses by MAX_PIXELS instead.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

_STEPS_PER_LEVEL = 257.0  # 16-bit steps to one of 8 bits: 65535 / 255.
_GREY_TOLERANCE = 8  # Between channels: lossy formats do not keep them equal.
_SAME_PROFILE = 2  # Levels by which the many versions of sRGB's own profile differ at most.
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1")


class ImageError(UserError):
    """A file is not a picture that can be read; the message starts with its path."""


def decode(source: str | bytes, name: str | None = None, colours: bool = True) -> np.ndarray:
    """Decodes a picture of any format that Pillow knows, whatever the file is called.

    Grey, palette, 16-bit, CMYK and transparent pictures become 8-bit sRGB, by their ICC profile if
    they have one that can be used; transparency is laid on black. A camera's EXIF rotation is
    applied. Of an animation, the first frame counts.

    Args:
        source: Path (or URL) of a file, or the file's content.
        name: Name of the picture in errors; default is the path.
        colours: Whether the pixels are colours, not numbers, which an ICC profile does not change.

    Returns:
        uint8 [H, W, 3].

    Raises:
        ImageError: The content is empty, corrupt, cut short, too large or of an unknown format.
        StorageError: The file cannot be read.
    """
    content, name = _content(source, name)
    return to_rgb(open_image(content, name), name, colours)


def decode_grey(source: str | bytes, name: str | None = None) -> np.ndarray:
    """Decodes a grey picture, such as a depth map, with the bits that it has.

    Returns:
        uint8 or, where the file has 16 bits, uint16 [H, W].

    Raises:
        ImageError: As ``decode``; also, the picture has colours.
        StorageError: The file cannot be read.
    """
    content, name = _content(source, name)
    image = open_image(content, name)
    if image.mode.startswith("I;16"):
        return np.asarray(loaded(image, name)).astype(np.uint16)
    rgb = to_rgb(image, name, colours=False)
    if np.ptp(rgb.astype(np.int16), axis=-1).max() > _GREY_TOLERANCE:
        raise ImageError(f"{name}: has colours, where three equal channels are grey.")
    return rgb[..., 0]


def open_image(content: bytes, name: str) -> Image.Image:
    """Opens the content of a picture file, of which only the header is read yet.

    Raises:
        ImageError: The content is empty, corrupt or of an unknown format.
        UnavailableError: It is HEIC, and pillow-heif is not installed.
    """
    if not content:
        raise ImageError(f"{name}: is empty (0 bytes); replace or remove it.")
    if content[4:8] == b"ftyp" and content[8:12] in _HEIF_BRANDS:
        optional.require("pillow_heif", f"{name}: reading HEIC").register_heif_opener()
    try:
        return Image.open(io.BytesIO(content))
    except Image.DecompressionBombError as error:
        raise _too_large(name) from error
    except Exception as error:  # On damaged headers Pillow's readers fail in many ways.
        raise ImageError(
            f"{name}: is damaged or of no known picture format; replace or remove it."
        ) from error


def loaded(image: Image.Image, name: str) -> Image.Image:
    """Returns a picture with its pixels decoded.

    Raises:
        ImageError: The pixels are corrupt or cut short, or too many.
    """
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(name, f", {image.width}x{image.height}")
    try:
        image.load()
    except Exception as error:  # On damaged pixels Pillow's readers fail in many ways.
        raise ImageError(
            f"{name}: is damaged or cut short ({image.format}: {error}); replace or remove it."
        ) from error
    return image


def to_rgb(image: Image.Image, name: str = "picture", colours: bool = True) -> np.ndarray:
    """Returns the pixels of a picture of any mode, loaded or not, as ``decode`` describes it.

    Raises:
        ImageError: The pixels are corrupt or cut short, too many, or of an unknown range.
    """
    image = loaded(image, name)
    profile = image.info.get("icc_profile")
    with contextlib.suppress(Exception):  # A damaged EXIF block does not make the pixels wrong.
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        grey = np.asarray(image).astype(np.float64)
        if grey.min() < 0 or grey.max() > 65535:
            raise ImageError(f"{name}: has whole numbers beyond 16 bits; save it with 8 or 16.")
        image = Image.fromarray(np.round(grey / _STEPS_PER_LEVEL).astype(np.uint8))
    if image.mode == "F":
        raise ImageError(f"{name}: has float pixels of unknown range; save it with 8 or 16 bits.")
    see_through = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    if colours and profile:
        image = _to_srgb(image, profile, see_through)
    if see_through:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return np.array(image.convert("RGB"))


def _to_srgb(image: Image.Image, profile: bytes, see_through: bool) -> Image.Image:
    """Returns a picture in the colours of sRGB; as it is if its profile changes or says nothing."""
    kind = {"1": "L", "L": "L", "LA": "L", "La": "L", "CMYK": "CMYK"}.get(image.mode, "RGB")
    conversion = _conversion(profile, kind)
    if conversion is None:
        return image
    alpha = image.convert("RGBA").getchannel("A") if see_through else None
    # By way of RGBA, which undoes the multiplication by alpha of La and RGBa.
    converted = conversion.apply(image.convert("RGBA" if see_through else kind).convert(kind))
    if alpha:
        converted.putalpha(alpha)
    return converted


def from_srgb(image: Image.Image, profile: bytes | None, mode: str) -> Image.Image:
    """Returns a picture in the colours of a profile: the inverse of what ``to_rgb`` does to them.

    Args:
        image: Mode RGB, sRGB.
        profile: ICC profile; if there is none, or one that ``to_rgb`` ignores, the colours stay.
        mode: Mode of the result: L, RGB or CMYK.

    Raises:
        ImageError: The profile can be read from but not be written to.
    """
    if profile is None or _conversion(profile, mode) is None:
        return image.convert(mode)
    try:
        return _inverse_conversion(profile, mode).apply(image)
    except ImageCms.PyCMSError as error:
        raise ImageError(f"The ICC profile cannot be written to ({error}).") from error


@functools.lru_cache(maxsize=8)
def _inverse_conversion(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    """Returns the conversion of sRGB to pixels; raises ``PyCMSError`` where there is none."""
    return _transform(_srgb(), _opened(profile), "RGB", mode)


@functools.lru_cache(maxsize=8)
def _conversion(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Returns the conversion of pixels to sRGB; None if there is none to make, or to be had."""
    levels = np.arange(0, 256, 5, dtype=np.uint8)
    ramps = {
        "L": levels[None],
        "RGB": np.stack(np.meshgrid(*[levels[::3]] * 3), -1).reshape(1, -1, 3),
    }
    try:
        # Optimised, it would interpolate the curve of greys between 33 points.
        flags = ImageCms.Flags.NOOPTIMIZE if mode == "L" else ImageCms.Flags.NONE
        conversion = _transform(_opened(profile), _srgb(), mode, "RGB", flags)
        if mode in ramps:
            ramp = Image.fromarray(ramps[mode])
            before, after = (
                np.asarray(x, np.int16) for x in (ramp.convert("RGB"), conversion.apply(ramp))
            )
            if np.abs(after - before).max() <= _SAME_PROFILE:
                return None
    except Exception:  # A damaged profile, or one of other channels, says nothing.
        return None
    return conversion


def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _opened(profile: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(profile))


def _transform(
    source: ImageCms.ImageCmsProfile,
    target: ImageCms.ImageCmsProfile,
    from_mode: str,
    to_mode: str,
    flags: ImageCms.Flags = ImageCms.Flags.NONE,
) -> ImageCms.ImageCmsTransform:
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    flags |= ImageCms.Flags.BLACKPOINTCOMPENSATION
    return ImageCms.buildTransform(source, target, from_mode, to_mode, intent, flags)


def to_square(image: np.ndarray, size: int, crop: Crop | None = None) -> np.ndarray:
    """Crops a picture, cuts the longer side to a square and resizes it, with antialiasing.

    Args:
        image: uint8 [H, W, 3].
        size: Height and width of the result, in pixels.
        crop: Part of the picture to cut out first; default is all of it.

    Returns:
        uint8 [size, size, 3].
    """
    return square_of(Image.fromarray(image), size, crop, Image.Resampling.BICUBIC)


def square_of(
    image: Image.Image, size: int, crop: Crop | None, filter: Image.Resampling
) -> np.ndarray:
    """Does what ``to_square`` does to pixels of any kind, with any filter of Pillow.

    Returns:
        [size, size] or [size, size, channels] as Pillow's mode has it.
    """
    left, top, right, bottom = crop or (0.0, 0.0, 1.0, 1.0)
    width, height = image.size
    left, right, top, bottom = left * width, right * width, top * height, bottom * height
    side = min(right - left, bottom - top)
    left, top = (left + right - side) / 2, (top + bottom - side) / 2
    return np.asarray(image.resize((size, size), filter, box=(left, top, left + side, top + side)))


def save_png(path: str, image: np.ndarray) -> None:
    """Writes a picture, uint8 [H, W, 3] or [H, W], as PNG, as ``storage.write_bytes`` does."""
    storage.write_bytes(path, to_png(image))


def to_png(image: np.ndarray) -> bytes:
    """Returns a picture, uint8 [H, W, 3] or [H, W], as the content of a PNG file."""
    content = io.BytesIO()
    Image.fromarray(image).save(content, format="PNG")
    return content.getvalue()


def _content(source: str | bytes, name: str | None) -> tuple[bytes, str]:
    """Returns the content of a picture and what to call it."""
    if isinstance(source, bytes):
        return source, name or "picture"
    return storage.read_bytes(source), name or source


def _too_large(name: str, size: str = "") -> ImageError:
    return ImageError(
        f"{name}: has more than {MAX_PIXELS // 1_000_000} megapixels{size}; make it smaller."
    )
