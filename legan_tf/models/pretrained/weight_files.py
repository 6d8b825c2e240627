"""Table of the published files of weights that can be imported: source, licence and sha256.

None of them comes with this package.
"""

from __future__ import annotations

import dataclasses

_VGG = "https://www.robots.ox.ac.uk/~albanie/pytorch-models.html"
_STARGAN = "github.com/yunjey/stargan (bash download.sh pretrained-celeba-128x128), or your own"
_STARGAN_LICENCE = "none stated with the weights; see the repository"
_GANIMATION = (
    "github.com/donydchen/ganimation_replicate (Google Drive), or your own run of it or of "
    "github.com/albertpumarola/GANimation"
)
_GANIMATION_LICENCE = "code of the replicate MIT; none stated with the weights"
_LIGHTCNN_LICENCE = (
    "code MIT; its author allowed earlier models for non-commercial use only, so ask"
)


@dataclasses.dataclass(frozen=True)
class WeightFile:
    """A published file of weights.

    Attributes:
        title: Common name of the network.
        file: Name of the published file.
        where: Place of publication.
        licence: The known terms of use.
        sha256: Checksum of the published file; empty if unverified.
        use: Purpose of the imported network.
    """

    title: str
    file: str
    where: str
    licence: str
    sha256: str
    use: str


WEIGHT_FILES = {
    "lightcnn29_v2": WeightFile(
        "LightCNN-29 v2",
        "LightCNN_29Layers_V2_checkpoint.pth.tar",
        "github.com/AlfredXiangWu/LightCNN (Google Drive)",
        _LIGHTCNN_LICENCE,
        "",
        "--identity_model: LEGAN's identity loss",
    ),
    "lightcnn29_v1": WeightFile(
        "LightCNN-29",
        "LightCNN_29Layers_checkpoint.pth.tar",
        "github.com/AlfredXiangWu/LightCNN (Google Drive)",
        _LIGHTCNN_LICENCE,
        "",
        "--identity_model",
    ),
    "stargan_generator": WeightFile(
        "StarGAN's generator",
        "200000-G.ckpt",
        _STARGAN,
        _STARGAN_LICENCE,
        "",
        "--model of edit.py, evaluate.py, compare.py and export.py",
    ),
    "stargan_discriminator": WeightFile(
        "StarGAN's discriminator",
        "200000-D.ckpt",
        _STARGAN,
        _STARGAN_LICENCE,
        "",
        "Python: it judges realness and attributes",
    ),
    "ganimation_generator": WeightFile(
        "GANimation's generator",
        "30_net_gen.pth",
        _GANIMATION,
        _GANIMATION_LICENCE,
        "",
        "--model of edit.py and export.py, with --action_units",
    ),
    "ganimation_discriminator": WeightFile(
        "GANimation's discriminator",
        "30_net_dis.pth",
        _GANIMATION,
        _GANIMATION_LICENCE,
        "",
        "Python: it judges realness and reads action units",
    ),
    "fid_inception": WeightFile(
        "the Inception of FID",
        "pt_inception-2015-12-05-6726825d.pth",
        "github.com/mseitzer/pytorch-fid (releases, fid_weights)",
        "code Apache-2.0; the weights are converted from Google's inception-2015-12-05",
        "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        "--features: FID and KID",
    ),
    "vggface2_resnet50": WeightFile(
        "ResNet-50 of VGGFace2",
        "resnet50_ft_dag.pth or resnet50_scratch_dag.pth",
        _VGG,
        "VGGFace2 is CC BY-SA 4.0, and an author gives its models the same; see the page",
        "",
        "--identity_model of evaluate.py and compare.py: LEGAN's match score",
    ),
    "vgg_face": WeightFile(
        "VGG-Face",
        "vgg_face_dag.pth",
        _VGG,
        "Creative Commons, non-commercial; see www.robots.ox.ac.uk/~vgg/software/vgg_face",
        "",
        "--identity_model of evaluate.py and compare.py: Bodur et al.'s identity distance",
    ),
}
"""By the values of ``--network`` of ``scripts/import_weights.py``."""


def as_text() -> str:
    """Returns the table for people."""
    blocks = []
    for name, known in WEIGHT_FILES.items():
        rows = {
            "file": known.file,
            "where": known.where,
            "sha256": known.sha256 or "unknown",
            "licence": known.licence,
            "use": known.use,
        }
        lines = [f"  {key:8} {value}" for key, value in rows.items()]
        blocks.append("\n".join([f"{name}: {known.title}", *lines]))
    return "\n\n".join(blocks)
