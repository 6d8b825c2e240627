"""EXIF and XMP of edited photographs: what they had, upright, and that they were edited.

The mark is IPTC's Digital Source Type (property ``Iptc4xmpExt:DigitalSourceType``) with an entry
of the history of XMP Media Management (``xmpMM:History``), and EXIF's tag ``Software``.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import warnings
from typing import Any
from xml.etree import ElementTree

from PIL import ExifTags, Image

DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeSynthetic"
"""A mix of elements of which at least one is synthetic: the opened mouth, folds and shadows are."""

XMP_KEY = "xmp"
"""Where Pillow keeps the XMP packet of a picture, in ``info``."""

_NAMESPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "stEvt": "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#",
    "x": "adobe:ns:meta/",
}
for _prefix, _space in _NAMESPACES.items():
    ElementTree.register_namespace(_prefix, _space)
_RDF, _IPTC, _TIFF, _XMP, _MM, _EVENT, _META = (f"{{{space}}}" for space in _NAMESPACES.values())
_BLOCK, _ABOUT, _HISTORY = f"{_RDF}Description", f"{_RDF}about", f"{_MM}History"
# Properties that the edit makes wrong: how to turn the pixels, and small copies of the picture;
# and those of formats of several pictures in one file, of which one is left: gain maps, depth.
_OUTDATED = (
    f"{_IPTC}DigitalSourceType",
    f"{_TIFF}Orientation",
    f"{_XMP}Thumbnails",
    "{http://ns.adobe.com/hdr-gain-map/1.0/}",
    "{http://ns.google.com/photos/1.0/camera/}",
    "{http://ns.google.com/photos/1.0/container/}",
)
_PACKET = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>{}<?xpacket end="w"?>'
_MOST_XMP_BYTES = 60_000
"""A JPEG segment holds no more; a longer packet of a picture is left out."""
_MOST_EXIF_BYTES = 65_000

# TIFF's own tags, which say how its pixels are stored and are no description of the picture.
_OF_STORAGE = frozenset(
    {*range(254, 260), 262, 266, 273, *range(277, 282), 284, 292, 293, 317, *range(320, 326), 330}
    | {332, 338, 339, 347, *range(512, 522), 530, 700, 33723, 34377, 34675}
)


def software() -> str:
    """Returns the name and the version of this package."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return f"legan-tf {importlib.metadata.version('legan-tf')}"
    return "legan-tf"


def updated_exif(image: Image.Image, size: tuple[int, int], edited: bool) -> bytes:
    """Returns the EXIF of a picture whose pixels were turned upright.

    The orientation becomes 1, the sizes those of the upright picture, the thumbnail is left out;
    whatever else can be written stays.

    Args:
        image: The picture as it was read.
        size: Width and height of the upright picture, in pixels.
        edited: Whether ``Software`` says that it was edited.

    Returns:
        The content of an EXIF block; empty if there was none and nothing was edited.
    """
    exif = Image.Exif()
    with warnings.catch_warnings(), contextlib.suppress(Exception):
        # On damaged blocks Pillow's reader warns, or fails in many ways.
        warnings.simplefilter("ignore")
        found = image.getexif()
        _details(found)
        exif = found
    if not len(exif) and not edited:
        return b""
    for tag in _OF_STORAGE & set(exif):
        del exif[tag]
    exif[ExifTags.Base.Orientation] = 1
    if edited:
        exif[ExifTags.Base.Software] = software()
    details = _details(exif)
    for tag, value in zip((ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight), size):
        if tag in details:
            details[tag] = value
    return _written(exif)


def _details(exif: Image.Exif) -> dict[int, Any]:
    """Returns the directory of the details of the exposure; Pillow would make one."""
    return exif.get_ifd(ExifTags.IFD.Exif) if ExifTags.IFD.Exif in exif else {}


def _written(exif: Image.Exif) -> bytes:
    """Returns EXIF as bytes, without what cannot be written or makes it too long."""
    content = _to_bytes(exif)
    if content is None:
        # Notes of the camera's maker are the longest, and the least use to others.
        _details(exif).pop(ExifTags.Base.MakerNote, None)
        content = _to_bytes(exif)
    if content is None:
        for tag in set(exif) - {ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo}:
            one = Image.Exif()
            one[tag] = exif[tag]
            if _to_bytes(one, _MOST_EXIF_BYTES // 8) is None:
                del exif[tag]
        content = _to_bytes(exif)
    return content or b""


def _to_bytes(exif: Image.Exif, most: int = _MOST_EXIF_BYTES) -> bytes | None:
    """Returns EXIF as bytes; None if it cannot be written or is longer than ``most``."""
    try:
        content = exif.tobytes()
    except Exception:  # On values of a wrong type Pillow's writer fails in many ways.
        return None
    return content if len(content) <= most else None


def updated_xmp(packet: bytes | str | None, description: str) -> bytes:
    """Returns an XMP packet that says that a picture was edited, and by what.

    Args:
        packet: The packet that the picture had. Its properties stay, but for those that the edit
            makes wrong; one that cannot be read is left out.
        description: What was done, for the history.

    Returns:
        The new packet, UTF-8. It holds no time, so that an edit that is made again is the same
        file.
    """
    document = _parsed(packet)
    if document is not None:
        with contextlib.suppress(RecursionError):  # Nested as no packet is.
            content = _marked(document, description)
            if len(content) <= _MOST_XMP_BYTES:
                return content
    empty = ElementTree.Element(f"{_META}xmpmeta")
    ElementTree.SubElement(empty, f"{_RDF}RDF")
    return _marked(empty, description)


def _parsed(packet: bytes | str | None) -> ElementTree.Element | None:
    """Returns a packet that can be read; it comes from anybody, and may not define entities."""
    content = packet.encode() if isinstance(packet, str) else packet or b""
    content = content.strip(b"\0 \t\r\n")
    # In UTF-16, which has zeros, an entity's definition would look otherwise.
    if not content or len(content) > _MOST_XMP_BYTES or b"<!" in content or b"\0" in content:
        return None
    try:
        document = ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError):
        return None
    return None if next(document.iter(f"{_RDF}RDF"), None) is None else document


def _marked(document: ElementTree.Element, description: str) -> bytes:
    """Returns a packet with the mark of an edit, and without what the edit makes wrong."""
    root = next(document.iter(f"{_RDF}RDF"))
    history: list[ElementTree.Element] = []
    for block in list(root.iter(_BLOCK)):
        for name in [name for name in block.attrib if name.startswith(_OUTDATED)]:
            del block.attrib[name]
        for field in list(block):
            if field.tag == _HISTORY:
                history += field.findall(f"*/{_RDF}li")
            if field.tag == _HISTORY or field.tag.startswith(_OUTDATED):
                block.remove(field)
    # All blocks of a packet are about the same.
    subject = next((block.get(_ABOUT, "") for block in root.findall(_BLOCK)), "")
    for block in root.findall(_BLOCK):
        if not len(block) and set(block.attrib) <= {_ABOUT}:
            root.remove(block)
    told = {_ABOUT: subject, f"{_TIFF}Orientation": "1"}
    told[f"{_IPTC}DigitalSourceType"] = DIGITAL_SOURCE_TYPE
    mark = ElementTree.SubElement(root, _BLOCK, told)
    events = ElementTree.SubElement(ElementTree.SubElement(mark, _HISTORY), f"{_RDF}Seq")
    events.extend(history)
    event = ElementTree.SubElement(events, f"{_RDF}li", {f"{_RDF}parseType": "Resource"})
    edit = {"action": "edited", "softwareAgent": software(), "parameters": description}
    for name, text in edit.items():
        ElementTree.SubElement(event, f"{_EVENT}{name}").text = text
    return _PACKET.format(ElementTree.tostring(document, "unicode")).encode()
