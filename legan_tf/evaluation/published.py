"""The results that the two papers published, and how they were measured."""

from __future__ import annotations

import dataclasses
import decimal
from collections.abc import Mapping
from typing import Any

from legan_tf.evaluation.metrics.registry import registered
from legan_tf.evaluation.tables import PERCENT


@dataclasses.dataclass(frozen=True)
class PublishedNetwork:
    """A network that a paper measured with.

    Attributes:
        key: The metric that it measured.
        description: What is known of it.
        names: Its names in reports; empty where its weights are not published.
    """

    key: str
    description: str
    names: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Protocol:
    """The data and networks of a measurement.

    Attributes:
        data: Name of the data set.
        image_size: Height and width of the pictures, in pixels.
        networks: The networks.
        accuracy: Key in reports of what the paper calls accuracy; empty if it has none.
    """

    data: str
    image_size: int
    networks: tuple[PublishedNetwork, ...]
    accuracy: str = ""


@dataclasses.dataclass(frozen=True)
class PublishedTable:
    """A table of a paper.

    Attributes:
        source: Where it was published.
        protocol: How it was measured. Neither paper states the number of pictures.
        models: By model, its metrics by key, as printed; percentages as such.
        real: The metrics of real pictures likewise, by the name of that row.
    """

    source: str
    protocol: Protocol
    models: Mapping[str, Mapping[str, str]]
    real: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)


def value(key: str, printed: str) -> float:
    """Returns a printed value as reports store it: percentages as shares of 1."""
    number = decimal.Decimal(printed)
    return float(number / 100 if registered()[key].unit == PERCENT else number)


def differences(protocol: Protocol, report: Mapping[str, Any], accuracy: str = "") -> list[str]:
    """Returns why published results cannot be compared with those of a report.

    Args:
        protocol: How the published ones were measured.
        report: Content of the ``report.json`` of an editor.
        accuracy: Key of the metric of the report that is compared as ``accuracy``, if any.

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
    for network in protocol.networks:
        metric = registered()[network.key]
        ours = report["networks"].get(metric.network)
        if ours is not None and ours["name"] not in network.names:
            found.append(f"{metric.heading} by {network.description}, here by {ours['name']}")
    if protocol.accuracy and accuracy and protocol.accuracy != accuracy:
        classes = {"expression": "all expressions", "expression_six": "six of eight"}
        found.append(f"accuracy over {classes[protocol.accuracy]}, here over {classes[accuracy]}")
    return found


def _letters(name: str) -> str:
    """A name without its case and punctuation: Multi-PIE is also multipie.csv."""
    return "".join(c for c in name.lower() if c.isalnum())


_FID = PublishedNetwork(
    "fid", "Inception pool3 (inferred)", ("TF-GAN Inception pool_3", "fid_inception")
)

POSTER = PublishedTable(
    source="Banerjee et al., LEGAN, CVPR Workshops 2021, poster",
    protocol=Protocol(
        data="Multi-PIE",
        image_size=128,
        networks=(
            _FID,
            PublishedNetwork("lpips", "LPIPS alex (inferred)", ("LPIPS 0.1, AlexNet",)),
            PublishedNetwork("match", "ResNet-50 on VGGFace2 (inferred)", ("vggface2_resnet50",)),
            PublishedNetwork("rating", "the authors' Q"),
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


_BODUR_NETWORKS = (PublishedNetwork("accuracy", "the authors' classifier"), _FID)

AFFECTNET = PublishedTable(
    source="Bodur et al., WACV 2021, Table 1",
    protocol=Protocol("AffectNet", 256, _BODUR_NETWORKS, "expression_six"),
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
    protocol=Protocol("RaFD", 256, _BODUR_NETWORKS, "expression"),
    models={
        "StarGAN": _bodur("53.1", "39.45", "31.19", "0.75"),
        "Bodur, depth, penalty": _bodur("62", "35.14", "32.57", "0.79"),
    },
)
"""Accuracy over all eight classes, else as ``AFFECTNET``."""
