from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree

import pytest
from PIL import ExifTags, Image

from legan_tf.uses.photographs import metadata

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
MM = "{http://ns.adobe.com/xap/1.0/mm/}"
EVENT = "{http://ns.adobe.com/xap/1.0/sType/ResourceEvent#}"

PACKET = b"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="uuid:7" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:t="http://ns.adobe.com/tiff/1.0/" t:Orientation="6"
 xmlns:gain="http://ns.adobe.com/hdr-gain-map/1.0/" gain:Version="1.0"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4">
<dc:rights>mine</dc:rights>
<xmp:Thumbnails>old face</xmp:Thumbnails>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


def root_of(packet: bytes) -> ElementTree.Element:
    return ElementTree.fromstring(packet)


def events(packet: bytes) -> list[dict[str, str]]:
    found = root_of(packet).iterfind(f".//{MM}History/{RDF}Seq/{RDF}li")
    return [{field.tag.replace(EVENT, ""): field.text for field in entry} for entry in found]


def test_a_packet_says_that_the_picture_was_edited_and_how():
    packet = metadata.updated_xmp(None, "expression <smile>, strength 1.5")
    (mark,) = root_of(packet).iter(f"{RDF}Description")
    assert mark.get(f"{IPTC}DigitalSourceType") == (
        "http://cv.iptc.org/newscodes/digitalsourcetype/compositeSynthetic"
    )
    assert events(packet) == [
        {
            "action": "edited",
            "softwareAgent": metadata.software(),
            "parameters": "expression <smile>, strength 1.5",
        }
    ]
    assert metadata.software().startswith("legan-tf ")


def test_a_packet_keeps_what_is_still_true():
    packet = metadata.updated_xmp(PACKET, "light left")
    text = packet.decode()
    assert "<dc:rights>mine</dc:rights>" in text and 'xmp:Rating="4"' in text
    for outdated in ("old face", 'Orientation="6"', "gain:Version"):
        assert outdated not in text
    blocks = list(root_of(packet).iter(f"{RDF}Description"))
    assert {block.get(f"{RDF}about") for block in blocks} == {"uuid:7"}


def test_a_second_edit_adds_to_the_history():
    once = metadata.updated_xmp(PACKET, "first")
    twice = metadata.updated_xmp(once, "second")
    assert [event["parameters"] for event in events(twice)] == ["first", "second"]
    assert twice.count(b"compositeSynthetic") == 1
    assert len(list(root_of(twice).iter(f"{RDF}Description"))) == 2


def test_a_history_in_prefixes_of_its_own_stays():
    block = b"""<rdf:Description xmlns:mm="http://ns.adobe.com/xap/1.0/mm/"
     xmlns:ev="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"><mm:History><rdf:Seq>
     <rdf:li rdf:parseType="Resource"><ev:action>saved</ev:action></rdf:li>
     </rdf:Seq></mm:History></rdf:Description></rdf:RDF>"""
    packet = metadata.updated_xmp(PACKET.replace(b"</rdf:RDF>", block), "x")
    assert [event["action"] for event in events(packet)] == ["saved", "edited"]


@pytest.mark.parametrize(
    "packet",
    [
        b"no xml",
        PACKET[:200],
        b"<x/>",
        b'<!DOCTYPE x [<!ENTITY a "b">]>' + PACKET,
        f'<!DOCTYPE x [<!ENTITY a "b">]>{PACKET.decode()}'.encode("utf-16"),
        PACKET.replace(b"mine", b"m" * 70_000),
        PACKET.replace(b"mine", b"<a>" * 7000 + b"</a>" * 7000),
    ],
    ids=["text", "cut", "other", "entities", "entities in UTF-16", "long", "deep"],
)
def test_a_packet_that_cannot_be_used_is_left_out(packet):
    assert metadata.updated_xmp(packet, "x") == metadata.updated_xmp(None, "x")


def camera_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Camera"
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Software] = "firmware"
    exif[ExifTags.Base.ImageDescription] = "a face"
    exif[ExifTags.IFD.Exif] = {
        ExifTags.Base.ExifImageWidth: 16,
        ExifTags.Base.ExifImageHeight: 8,
        ExifTags.Base.DateTimeOriginal: "2026:01:02 03:04:05",
        ExifTags.Base.MakerNote: b"notes",
    }
    exif[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N"}
    return exif


def reread(exif: bytes) -> Image.Exif:
    read = Image.Exif()
    read.load(exif)
    return read


def picture(exif: Image.Exif | bytes) -> Image.Image:
    content = io.BytesIO()
    Image.new("RGB", (16, 8)).save(content, "JPEG", exif=exif)
    return Image.open(content)


def test_exif_becomes_that_of_an_upright_picture():
    exif = reread(metadata.updated_exif(picture(camera_exif()), (8, 16), edited=True))
    assert (
        dict(exif.items()).items()
        >= {
            ExifTags.Base.Make: "Camera",
            ExifTags.Base.ImageDescription: "a face",
            ExifTags.Base.Orientation: 1,
            ExifTags.Base.Software: metadata.software(),
        }.items()
    )
    details = exif.get_ifd(ExifTags.IFD.Exif)
    assert details[ExifTags.Base.ExifImageWidth] == 8
    assert details[ExifTags.Base.ExifImageHeight] == 16
    assert details[ExifTags.Base.DateTimeOriginal] == "2026:01:02 03:04:05"
    assert exif.get_ifd(ExifTags.IFD.GPSInfo) == {ExifTags.GPS.GPSLatitudeRef: "N"}


def test_an_unedited_picture_keeps_its_software_and_gets_no_block():
    exif = reread(metadata.updated_exif(picture(camera_exif()), (8, 16), edited=False))
    assert exif[ExifTags.Base.Software] == "firmware"
    assert metadata.updated_exif(Image.new("RGB", (2, 2)), (2, 2), edited=False) == b""


def thumbnail_exif() -> bytes:
    """EXIF whose second directory holds a thumbnail, little-endian."""

    def entry(tag: int, kind: int, value: int) -> bytes:
        return b"".join(
            number.to_bytes(size, "little")
            for number, size in ((tag, 2), (kind, 2), (1, 4), (value, 4))
        )

    first = (1).to_bytes(2, "little") + entry(0x0112, 3, 6) + (26).to_bytes(4, "little")
    second = (2).to_bytes(2, "little") + entry(0x0201, 4, 56) + entry(0x0202, 4, 9) + bytes(4)
    return b"Exif\0\0II*\0\x08\0\0\0" + first + second + b"thumbnail"


def test_the_thumbnail_is_left_out():
    old = picture(thumbnail_exif())
    assert b"thumbnail" in old.info["exif"]
    assert old.getexif().get_ifd(ExifTags.IFD.IFD1) == {0x0201: 56, 0x0202: 9}
    new = metadata.updated_exif(old, (8, 16), edited=True)
    assert b"thumbnail" not in new
    assert reread(new).get_ifd(ExifTags.IFD.IFD1) == {}


def test_what_cannot_be_written_is_left_out():
    exif = camera_exif()
    exif[ExifTags.IFD.Exif][ExifTags.Base.MakerNote] = bytes(70_000)
    kept = reread(metadata.updated_exif(tagged(exif), (8, 16), edited=True))
    assert ExifTags.Base.MakerNote not in kept.get_ifd(ExifTags.IFD.Exif)
    assert kept[ExifTags.Base.Make] == "Camera"
    exif = camera_exif()
    exif[ExifTags.Base.Artist] = "a" * 70_000
    kept = reread(metadata.updated_exif(tagged(exif), (8, 16), edited=True))
    assert ExifTags.Base.Artist not in kept and kept[ExifTags.Base.Make] == "Camera"


def tagged(exif: Image.Exif) -> Image.Image:
    """A picture whose file may have longer blocks than a JPEG."""
    content = io.BytesIO()
    Image.new("RGB", (16, 8)).save(content, "PNG", exif=exif)
    return Image.open(content)


def pointing_nowhere() -> bytes:
    """EXIF whose directory of details begins before the block."""
    entry = b"\x69\x87" + (9).to_bytes(2, "little") + (1).to_bytes(4, "little") + b"\xff" * 4
    return b"Exif\0\0II*\0\x08\0\0\0" + (1).to_bytes(2, "little") + entry + bytes(4)


@pytest.mark.parametrize("block", [b"Exif\0\0II*\0\xff\xff\xff\x7f", pointing_nowhere()])
def test_a_damaged_block_is_left_out(block):
    damaged = picture(block)
    assert dict(reread(metadata.updated_exif(damaged, (16, 8), edited=True))) == {
        ExifTags.Base.Orientation: 1,
        ExifTags.Base.Software: metadata.software(),
    }
