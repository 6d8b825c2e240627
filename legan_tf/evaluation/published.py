"""The figures that the two papers published, and what they were measured with."""

from __future__ import annotations

import dataclasses
import decimal
from collections.abc import Mapping
from typing import Any

from legan_tf.evaluation.columns import COLUMNS, PERCENT


@dataclasses.dataclass(frozen=True)
class Instrument:
    """A network that a paper measured with.

    Attributes:
        key: The figure that it gave.
        told: What is known of it, in words.
        names: What reports call the same network; empty where nobody else has its weights.
    """

    key: str
    told: str
    names: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Protocol:
    """What figures were measured on and with.

    Attributes:
        data: Name of the data set.
        image_size: Height and width of the pictures, in pixels.
        instruments: The networks.
        accuracy: The figure of a report that ``accuracy`` stands for; empty if it is not reported.
    """

    data: str
    image_size: int
    instruments: tuple[Instrument, ...]
    accuracy: str = ""


@dataclasses.dataclass(frozen=True)
class PublishedTable:
    """A table of a paper.

    Attributes:
        source: Where it was published.
        protocol: What it was measured on and with. The number of pictures is told in neither paper.
        models: By model, its figures by key, as they are printed; percentages as such.
        real: The figures of real pictures likewise, by the name of that row.
    """

    source: str
    protocol: Protocol
    models: Mapping[str, Mapping[str, str]]
    real: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)


def value(key: str, printed: str) -> float:
    """Returns a printed figure as reports keep it: percentages as shares of 1."""
    number = decimal.Decimal(printed)
    return float(number / 100 if COLUMNS[key].unit == PERCENT else number)


def differences(protocol: Protocol, report: Mapping[str, Any], accuracy: str = "") -> list[str]:
    """Tells why published figures cannot be compared with those of a report.

    Args:
        protocol: How the published ones were measured.
        report: What ``report.json`` of an editor holds.
        accuracy: The figure of the report that stands for ``accuracy``, if one does.

    Returns:
        A phrase for each difference in data, image size, network or classes; none where there is no
        difference. Networks of which the report or the paper has no figure do not count.
    """
    data = report["data"]
    found = []
    if _letters(protocol.data) not in _letters(data["name"]):
        found.append(f"on {protocol.data}, here on {data['name']}")
    if protocol.image_size != data["image_size"]:
        found.append(f"at {protocol.image_size} pixels, here at {data['image_size']}")
    for instrument in protocol.instruments:
        column = COLUMNS[instrument.key]
        network = report["networks"].get(column.network)
        if network is not None and network["name"] not in instrument.names:
            found.append(f"{column.heading} by {instrument.told}, here by {network['name']}")
    if protocol.accuracy and accuracy and protocol.accuracy != accuracy:
        classes = {"expression": "all expressions", "expression_six": "six of eight"}
        found.append(f"accuracy over {classes[protocol.accuracy]}, here over {classes[accuracy]}")
    return found


def _letters(name: str) -> str:
    """A name without its case and punctuation: Multi-PIE is also multipie.csv."""
    return "".join(c for c in name.lower() if c.isalnum())


_FID = Instrument("fid", "Inception pool3 (inferred)", ("TF-GAN Inception pool_3", "fid_inception"))

POSTER = PublishedTable(
    source="Banerjee et al., LEGAN, CVPR Workshops 2021, poster",
    protocol=Protocol(
        data="Multi-PIE",
        image_size=128,
        instruments=(
            _FID,
            Instrument("lpips", "LPIPS alex (inferred)", ("LPIPS 0.1, AlexNet",)),
            Instrument("match", "ResNet-50 on VGGFace2 (inferred)", ("vggface2_resnet50",)),
            Instrument("rating", "the authors' Q"),
        ),
    ),
    models={
        "StarGAN": {
            "fid": "38.745",
            "lpips": "0.126",
            "ssim": "0.559",
            "match": "0.635",
            "rating": "5.200",
            "preference": "22.3",
        },
        "StarGAN w/ L_qual": {
            "fid": "34.045",
            "lpips": "0.123",
            "ssim": "0.567",
            "match": "0.647",
            "rating": "5.391",
            "preference": "34.7",
        },
        "StarGAN-v2": {
            "fid": "54.842",
            "lpips": "0.212",
            "ssim": "0.415",
            "match": "0.202",
            "rating": "5.172",
            "preference": "3.75",
        },
        "LEGAN": {
            "fid": "29.964",
            "lpips": "0.120",
            "ssim": "0.649",
            "match": "0.649",
            "rating": "5.853",
            "preference": "39.3",
        },
    },
    # Printed without their columns: assigned by magnitude.
    real={"real images": {"fid": "12.931", "match": "0.739", "rating": "5.921"}},
)
"""LEGAN's main table. SSIM and LPIPS are to the true picture (inferred)."""


def _bodur(accuracy: str, fid: str, psnr: str, ssim: str) -> dict[str, str]:
    return {"accuracy": accuracy, "fid": fid, "cycle_psnr": psnr, "cycle_ssim": ssim}


_BODUR_INSTRUMENTS = (Instrument("accuracy", "the authors' classifier"), _FID)

AFFECTNET = PublishedTable(
    source="Bodur et al., WACV 2021, Table 1",
    protocol=Protocol("AffectNet", 256, _BODUR_INSTRUMENTS, "expression_six"),
    models={
        "StarGAN": _bodur("82.1", "16.33", "32.96", "0.79"),
        "GANimation": _bodur("74.3", "18.86", "32.12", "0.74"),
        "GANnotation": _bodur("82.6", "17.36", "32.54", "0.77"),
        "Bodur, depth, no penalty": _bodur("85.9", "14.03", "33.88", "0.82"),
        "Bodur, normals, penalty": _bodur("83.9", "13.29", "33.59", "0.81"),
        "Bodur, depth, penalty": _bodur("87.2", "13.35", "35.29", "0.84"),
    },
)
"""Accuracy over six of the eight classes, PSNR and SSIM of the way there and back."""

DEPTH_WEIGHTS = PublishedTable(
    source="Bodur et al., WACV 2021, Table 3",
    protocol=AFFECTNET.protocol,
    models={
        f"Bodur, depth weight {weight}, no penalty": {"accuracy": accuracy}
        for weight, accuracy in (
            ("0.0", "82.1"),
            ("0.1", "85.9"),
            ("0.2", "86.1"),
            ("0.3", "86.3"),
            ("0.4", "86.3"),
        )
    },
)
"""Accuracy by the weight of the depth terms; 0.0 is ``AFFECTNET``'s StarGAN, 0.1 its depth without
penalty."""

RAFD = PublishedTable(
    source="Bodur et al., WACV 2021, Table 2",
    protocol=Protocol("RaFD", 256, _BODUR_INSTRUMENTS, "expression"),
    models={
        "StarGAN": _bodur("53.1", "39.45", "31.19", "0.75"),
        "Bodur, depth, penalty": _bodur("62", "35.14", "32.57", "0.79"),
    },
)
"""Accuracy over all eight classes, else as ``AFFECTNET``."""
