"""Photographs as picture files: read upright, written with their colours and metadata.

An edit is made of 8-bit sRGB pixels. What is written are the pixels of the file itself, in its own
colours, changed by what the edit changed: where it changed nothing, a lossless file holds what the
original holds, to the bit.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import warnings
from typing import Any, Union

import numpy as np
from PIL import Image, ImageOps, JpegImagePlugin, PngImagePlugin

from legan_tf.data import images, storage
from legan_tf.data.file_tree import suffix
from legan_tf.errors import UserError
from legan_tf.uses.photographs import metadata

Source = Union[str, "os.PathLike[str]", bytes, Image.Image, np.ndarray]
"""A picture: its path, the content of its file, or its pixels."""

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
"""Formats that can be written, by suffix: those that can say of a picture that it was edited."""

# The modes that each format can store.
_MODES = {
    "JPEG": ("L", "RGB", "CMYK"),
    "PNG": ("L", "LA", "I;16", "RGB", "RGBA"),
    "TIFF": ("L", "LA", "I;16", "RGB", "RGBA", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
}
_QUALITY = 95
_FULL_CHROMA = 0  # Pillow's number of 4:4:4.
_STEPS_PER_LEVEL = 257  # Of 16 bits in one of 8 bits.
_XMP_TAG = 700
_BAND_ROWS = 256


@dataclasses.dataclass(frozen=True, eq=False)
class Photograph:
    """A picture as it was read, upright.

    Attributes:
        name: What to call it in messages: its path, if it has one.
        image: uint8 [H, W, 3], sRGB; transparency is laid on black.
        notes: A sentence for each thing of the file that an edit of it will lack.
    """

    name: str
    image: np.ndarray
    notes: tuple[str, ...]
    _pixels: np.ndarray
    _mode: str
    _file: Image.Image

    def encode(self, edited: np.ndarray, suffix: str, description: str) -> bytes:
        """Returns an edit as the content of a picture file.

        The colours are those of the original's ICC profile, which is embedded again; in formats
        that cannot hold them (CMYK as PNG or WebP, grey as WebP), sRGB. EXIF and XMP stay, with a
        mark of the edit; see ``metadata``. A JPEG of a JPEG is compressed as the original was,
        another one with quality 95 and full colour resolution.

        Args:
            edited: uint8 [H, W, 3], sRGB: ``image`` with changes.
            suffix: Suffix of the file: one of ``FORMATS``.
            description: What was done, for the mark.
        """
        form = FORMATS[suffix.lower()]
        changed = not np.array_equal(edited, self.image)
        profile = self._file.info.get("icc_profile")
        picture = None
        if self._mode in _MODES[form]:
            with contextlib.suppress(images.ImageError):  # Of a profile that can only be read.
                picture = _from_array(self._in_own_colours(edited, profile), self._mode)
        if picture is None:
            picture, profile = Image.fromarray(edited), None
        options: dict[str, Any] = {"icc_profile": profile} if profile else {}
        size = self.image.shape[1], self.image.shape[0]
        options["exif"] = metadata.updated_exif(self._file, size, changed)
        packet = self._file.info.get(metadata.XMP_KEY)
        if changed:
            packet = metadata.updated_xmp(packet, description)
        return _encoded(picture, form, options, packet, self._file)

    def save(self, path: str, edited: np.ndarray, description: str) -> None:
        """Writes an edit atomically, in the format of the path's suffix; see ``encode``.

        Raises:
            UserError: The suffix is none of ``FORMATS``.
            StorageError: The file cannot be written.
        """
        if suffix(path) not in FORMATS:
            known = ", ".join(FORMATS)
            raise UserError(f"{path}: the photograph to write must end in one of {known}.")
        storage.write_bytes(path, self.encode(edited, suffix(path), description))

    def _in_own_colours(self, edited: np.ndarray, profile: bytes | None) -> np.ndarray:
        """Returns the pixels of the file with the changes of an edit, in its mode."""
        if self._mode == "RGB" and np.array_equal(self._pixels, self.image):
            return edited
        result = self._pixels.copy()
        for top in range(0, len(result), _BAND_ROWS):  # Few at a time, for the memory.
            band = slice(top, top + _BAND_ROWS)
            changed = np.any(edited[band] != self.image[band], axis=-1)
            if not changed.any():
                continue
            result[band][changed] = self._changed(
                result[band][changed], self.image[band][changed], edited[band][changed], profile
            )
        return result

    def _changed(
        self, pixels: np.ndarray, before: np.ndarray, after: np.ndarray, profile: bytes | None
    ) -> np.ndarray:
        """Returns changed pixels of the file, [n] or [n, channels], given both colours in sRGB."""
        kind = {"I;16": "L", "LA": "L", "RGBA": "RGB"}.get(self._mode, self._mode)
        channels = len(kind)
        result = pixels.reshape(len(pixels), -1).astype(np.int32)
        if self._mode in ("LA", "RGBA"):
            # On black, what is half transparent is half as bright as its colour.
            alpha = np.maximum(result[:, channels:], 1)
            before, after = (
                np.minimum(x.astype(np.int32) * 255 // alpha, 255) for x in (before, after)
            )
        before, after = (_own(x, profile, kind) for x in (before, after))
        if kind == "CMYK":
            # Many mixtures of inks are one colour: the difference of two of them means nothing.
            result = after
        else:
            # The difference, not the value: colours beyond sRGB and finer steps are kept.
            step, most = (_STEPS_PER_LEVEL, 65535) if self._mode == "I;16" else (1, 255)
            colours = result[:, :channels] + step * (after - before)
            result[:, :channels] = np.clip(colours, 0, most)
        return result.reshape(pixels.shape)


def read(source: Source, name: str = "") -> Photograph:
    """Reads a picture of any format and mode that Pillow knows, turned upright.

    Args:
        source: The picture. An array is uint8 [H, W, 3], sRGB. HEIC needs pillow-heif.
        name: What to call it in messages; default is its path.

    Raises:
        ImageError: It is no picture, damaged, cut short, or too large.
        StorageError: The file cannot be read.
        UnavailableError: It is HEIC, and pillow-heif is not installed.
    """
    if isinstance(source, np.ndarray):
        if source.dtype != np.uint8 or source.ndim != 3 or source.shape[-1] != 3 or not source.size:
            raise images.ImageError(
                f"{name or 'the array'}: a picture is uint8 [H, W, 3], not {source.dtype} "
                f"{list(source.shape)}."
            )
        source = Image.fromarray(source)
    if isinstance(source, Image.Image):
        file, name = source, name or getattr(source, "filename", "") or "picture"
    else:
        path = "" if isinstance(source, bytes) else os.fspath(source)
        name = name or path or "picture"
        content = source if isinstance(source, bytes) else storage.read_bytes(path)
        file = images.open_image(content, name)
    notes = tuple(_notes(file, name))
    images.loaded(file, name)
    upright = file
    with warnings.catch_warnings(), contextlib.suppress(Exception):
        # A damaged EXIF block, of which Pillow warns, does not make the pixels wrong.
        warnings.simplefilter("ignore")
        upright = ImageOps.exif_transpose(file)
    pixels, mode = _pixels_of(upright, name)
    return Photograph(name, _srgb(pixels, mode, file, name), notes, pixels, mode, file)


def _notes(file: Image.Image, name: str) -> list[str]:
    """Returns what will be left out, told before the pixels are decoded."""
    notes = []
    frames = getattr(file, "n_frames", 1)
    if frames > 1:
        notes.append(f"{name}: holds {frames} pictures; the first is edited, without the others.")
    # Pillow reads colours of 16 bits with 8, and only its decoder's arguments tell.
    deep = any(";16" in str(tile) for tile in getattr(file, "tile", ()))
    if deep and not file.mode.startswith("I"):
        notes.append(f"{name}: has 16 bits a channel; it is read and written with 8.")
    return notes


def _pixels_of(image: Image.Image, name: str) -> tuple[np.ndarray, str]:
    """Returns the pixels of a picture in the nearest mode that can be written, and that mode."""
    mode = image.mode
    if mode.startswith("I"):
        pixels = np.asarray(image).astype(np.int64)
        if pixels.min() < 0 or pixels.max() > 65535:
            raise images.ImageError(
                f"{name}: has whole numbers beyond 16 bits; save it with 8 or 16."
            )
        return pixels.astype(np.uint16), "I;16"
    if mode in ("F", "LAB"):
        raise images.ImageError(
            f"{name}: has {'float' if mode == 'F' else 'CIELAB'} pixels, which cannot be edited; "
            "save it as RGB."
        )
    see_through = mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    if mode in ("1", "L", "LA", "La"):
        mode = "LA" if see_through else "L"
    elif mode != "CMYK":
        mode = "RGBA" if see_through else "RGB"
    if image.mode == "La":
        image = image.convert("LA")
    return np.asarray(image if image.mode == mode else image.convert(mode)), mode


def _srgb(pixels: np.ndarray, mode: str, file: Image.Image, name: str) -> np.ndarray:
    """Returns pixels as sRGB on black."""
    see_through = mode in ("LA", "RGBA")
    colours = pixels[..., :-1] if see_through else pixels
    opaque = _from_array(np.squeeze(colours, -1) if mode == "LA" else colours, mode.rstrip("A"))
    opaque.info["icc_profile"] = file.info.get("icc_profile")
    image = images.to_rgb(opaque, name)
    if see_through:
        alpha = pixels[..., -1:].astype(np.uint16)
        image = ((image * alpha + 127) // 255).astype(np.uint8)
    return image


def _from_array(pixels: np.ndarray, mode: str) -> Image.Image:
    if mode == "CMYK":
        height, width = pixels.shape[:2]
        return Image.frombytes("CMYK", (width, height), pixels.tobytes())
    return Image.fromarray(np.ascontiguousarray(pixels))


def _own(colours: np.ndarray, profile: bytes | None, mode: str) -> np.ndarray:
    """Returns sRGB colours, [n, 3] of 0 to 255, as int32 [n, channels] of a profile."""
    row = Image.fromarray(colours.astype(np.uint8)[None])
    return (
        np.asarray(images.from_srgb(row, profile, mode)).astype(np.int32).reshape(len(colours), -1)
    )


def _encoded(
    picture: Image.Image,
    form: str,
    options: dict[str, Any],
    packet: bytes | str | None,
    original: Image.Image,
) -> bytes:
    """Returns a picture as the content of a file of a format."""
    if form == "JPEG":
        options |= _jpeg_options(picture, original)
    elif form == "WEBP":
        options["quality"] = _QUALITY
    if packet:
        content = packet.encode() if isinstance(packet, str) else packet
        if form == "PNG":
            text = PngImagePlugin.PngInfo()
            text.add_itxt("XML:com.adobe.xmp", content.decode(errors="replace"))
            options["pnginfo"] = text
        elif form == "TIFF":
            exif = Image.Exif()
            exif.load(options["exif"])
            exif[_XMP_TAG] = content
            options["exif"] = exif
        else:
            options["xmp"] = content
    if "dpi" in original.info and form != "WEBP":
        options["dpi"] = original.info["dpi"]
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def _jpeg_options(picture: Image.Image, original: Image.Image) -> dict[str, Any]:
    """Returns how to compress: as the original, if that is a JPEG of the same channels."""
    tables = getattr(original, "quantization", None)
    if not tables or original.mode != picture.mode:
        return {"quality": _QUALITY, "subsampling": _FULL_CHROMA}
    sampling = JpegImagePlugin.get_sampling(original)
    return {"qtables": tables, **({"subsampling": sampling} if sampling >= 0 else {})}
