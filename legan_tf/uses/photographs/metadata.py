"""EXIF and XMP of edited photographs: what they had, upright, and that they were edited.

The mark is IPTC's Digital Source Type (property ``Iptc4xmpExt:DigitalSourceType``) with an entry
of the history of XMP Media Management (``xmpMM:History``), and EXIF's tag ``Software``.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import warnings
import xml.dom.minidom
from typing import Any
from xml.parsers.expat import ExpatError

from PIL import ExifTags, Image

DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeSynthetic"
"""A mix of elements of which at least one is synthetic: the opened mouth, folds and shadows are."""

XMP_KEY = "xmp"
"""Where Pillow keeps the XMP packet of a picture, in ``info``."""

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_NAMESPACES = {
    "rdf": _RDF,
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "stEvt": "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#",
}
# Properties that the edit makes wrong: how to turn the pixels, and small copies of the picture.
_OUTDATED = (
    (_NAMESPACES["Iptc4xmpExt"], "DigitalSourceType"),
    (_NAMESPACES["tiff"], "Orientation"),
    (_NAMESPACES["xmp"], "Thumbnails"),
)
# Of formats of several pictures in one file, of which one is left: gain maps, depth, small video.
_OF_OTHER_PICTURES = (
    "http://ns.adobe.com/hdr-gain-map/1.0/",
    "http://ns.google.com/photos/1.0/camera/",
    "http://ns.google.com/photos/1.0/container/",
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
    if content is None or len(content) > _MOST_EXIF_BYTES:
        # Notes of the camera's maker are the longest, and the least use to others.
        _details(exif).pop(ExifTags.Base.MakerNote, None)
        content = _to_bytes(exif)
    if content is None or len(content) > _MOST_EXIF_BYTES:
        for tag in set(exif) - {ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo}:
            one = Image.Exif()
            one[tag] = exif[tag]
            alone = _to_bytes(one)
            if alone is None or len(alone) > _MOST_EXIF_BYTES // 8:
                del exif[tag]
        content = _to_bytes(exif)
    return content or b""


def _to_bytes(exif: Image.Exif) -> bytes | None:
    try:
        return exif.tobytes()
    except Exception:  # On values of a wrong type Pillow's writer fails in many ways.
        return None


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
    return _marked(_empty(), description)


def _marked(document: xml.dom.minidom.Document, description: str) -> bytes:
    """Returns a packet with the mark of an edit, and without what the edit makes wrong."""
    root = document.getElementsByTagNameNS(_RDF, "RDF")[0]
    history: list[xml.dom.minidom.Element] = []
    for block in list(root.getElementsByTagNameNS(_RDF, "Description")):
        for space, name in _OUTDATED:
            _remove(
                block, lambda node, s=space, n=name: (node.namespaceURI, node.localName) == (s, n)
            )
        _remove(block, lambda node: node.namespaceURI in _OF_OTHER_PICTURES)
    for old in root.getElementsByTagNameNS(_NAMESPACES["xmpMM"], "History"):
        history += [_with_prefixes(entry) for entry in old.getElementsByTagNameNS(_RDF, "li")]
        old.parentNode.removeChild(old)
    subject = _subject(root)
    for block in root.getElementsByTagNameNS(_RDF, "Description"):
        told = {node.name.partition(":")[0] for node in block.attributes.values()}
        if block.parentNode is root and not block.childNodes and told <= {"rdf", "xmlns"}:
            root.removeChild(block)
    mark = document.createElementNS(_RDF, "rdf:Description")
    for prefix, space in _NAMESPACES.items():
        mark.setAttribute(f"xmlns:{prefix}", space)
    mark.setAttributeNS(_RDF, "rdf:about", subject)
    mark.setAttributeNS(_NAMESPACES["tiff"], "tiff:Orientation", "1")
    mark.setAttributeNS(
        _NAMESPACES["Iptc4xmpExt"], "Iptc4xmpExt:DigitalSourceType", DIGITAL_SOURCE_TYPE
    )
    event = document.createElementNS(_RDF, "rdf:li")
    event.setAttributeNS(_RDF, "rdf:parseType", "Resource")
    for name, text in (
        ("action", "edited"),
        ("softwareAgent", software()),
        ("parameters", description),
    ):
        field = document.createElementNS(_NAMESPACES["stEvt"], f"stEvt:{name}")
        field.appendChild(document.createTextNode(text))
        event.appendChild(field)
    sequence = document.createElementNS(_RDF, "rdf:Seq")
    for entry in (*history, event):
        sequence.appendChild(entry)
    events = document.createElementNS(_NAMESPACES["xmpMM"], "xmpMM:History")
    events.appendChild(sequence)
    mark.appendChild(events)
    root.appendChild(mark)
    return _PACKET.format(document.documentElement.toxml()).encode()


def _parsed(packet: bytes | str | None) -> xml.dom.minidom.Document | None:
    """Returns a packet that can be read; it comes from anybody, and may not define entities."""
    content = packet.encode() if isinstance(packet, str) else packet or b""
    content = content.strip(b"\0 \t\r\n")
    # In UTF-16, which has zeros, an entity's definition would look otherwise.
    if not content or len(content) > _MOST_XMP_BYTES or b"<!" in content or b"\0" in content:
        return None
    try:
        document = xml.dom.minidom.parseString(content)
        return document if document.getElementsByTagNameNS(_RDF, "RDF") else None
    except (ExpatError, ValueError, LookupError, RecursionError):
        return None


def _empty() -> xml.dom.minidom.Document:
    return xml.dom.minidom.parseString(
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}"/></x:xmpmeta>'
    )


def _with_prefixes(entry: xml.dom.minidom.Element) -> xml.dom.minidom.Element:
    """Returns an element that declares itself the prefixes that elements around it declare."""
    text, block = entry.toxml(), entry.parentNode
    while block is not None and block.nodeType == block.ELEMENT_NODE:
        for attribute in block.attributes.values():
            space, _, prefix = attribute.name.partition(":")
            used = space == "xmlns" and f"{prefix}:" in text
            if used and not entry.hasAttribute(attribute.name):
                entry.setAttribute(attribute.name, attribute.value)
        block = block.parentNode
    return entry


def _remove(block: xml.dom.minidom.Element, chosen) -> None:
    """Removes the properties of a block that are chosen, written as attributes or elements."""
    for attribute in [node for node in block.attributes.values() if chosen(node)]:
        block.removeAttributeNode(attribute)
    for child in list(block.childNodes):
        if child.nodeType == child.ELEMENT_NODE and chosen(child):
            block.removeChild(child)


def _subject(root: xml.dom.minidom.Element) -> str:
    """Returns what the packet is about: all of its blocks must name the same."""
    for block in root.getElementsByTagNameNS(_RDF, "Description"):
        if block.parentNode is root:
            return block.getAttributeNS(_RDF, "about")
    return ""
