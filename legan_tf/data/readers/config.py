"""What a reader can be told, once: as a dataclass and as flags."""

from __future__ import annotations

import dataclasses

from legan_tf import options
from legan_tf.options import option

SOURCES = (
    "multipie",
    "affectnet",
    "affectnet_d",
    "rafd",
    "rafd_d",
    "legan_perceptual",
    "celeba",
    "casia",
    "lfw",
    "folder",
)
RAFD_VIEWS = ("000", "045", "090", "135", "180")
RAFD_GAZES = ("frontal", "left", "right")
PATHS_FROM = ("manifest", "data_dir")
FOLDER_COLUMNS = ("expression", "lighting", "identity")

_BELONGS_TO = {
    "merge_flashless": ("multipie",),
    "views": ("rafd", "rafd_d"),
    "gazes": ("rafd", "rafd_d"),
    "attributes": ("celeba",),
    "notre_dame_dir": ("legan_perceptual",),
    "folder_column": ("folder",),
    "val_share": ("affectnet", "affectnet_d", "rafd", "rafd_d", "folder"),
}


@dataclasses.dataclass(frozen=True)
class ReaderOptions:
    """The options of ``scripts/prepare.py manifest``; each field is a flag."""

    source: str = option("", "Data set that --data_dir holds; see docs/data.md.", ("", *SOURCES))
    paths_from: str = option(
        "manifest",
        "What the manifest's paths start from: its own folder, or --data_dir, which training is "
        "then told too.",
        PATHS_FROM,
    )
    merge_flashless: bool = option(
        False, "multipie: call shot19 shot00 too; both are taken without a flash."
    )
    views: str = option("045,090,135", "rafd, rafd_d: camera angles to keep; 090 is frontal.")
    gazes: str = option("frontal,left,right", "rafd, rafd_d: directions of the gaze to keep.")
    attributes: str = option(
        "Smiling",
        "celeba: attributes that fill the expression column. One gives the classes NAME and not "
        "NAME; of several, a picture's class is the only one that it has.",
    )
    notre_dame_dir: str = option(
        "", "legan_perceptual: your copy of the Notre Dame Synthetic Face Dataset."
    )
    folder_column: str = option(
        "expression", "folder: what the names of the class folders mean.", FOLDER_COLUMNS
    )
    val_share: float = option(
        0.0,
        "affectnet, affectnet_d, rafd, rafd_d, folder: share of train to put into val where the "
        "data set has no val of its own; 0 to 0.5.",
    )

    def check(self) -> None:
        """Checks every value and every rule between values.

        Raises:
            UserError: Something does not fit; the message names the flags and is complete.
        """
        problems = options.wrong_values(self)
        if not self.source:
            problems.append(f"--source is missing: choose from {', '.join(SOURCES)}")
        for field in dataclasses.fields(self):
            sources = _BELONGS_TO.get(field.name, SOURCES)
            value = getattr(self, field.name)
            if self.source and value != field.default and self.source not in sources:
                named = " or ".join(f"--source={source}" for source in sources)
                problems.append(f"--{field.name} belongs to {named}, not to {self.source}")
        for name, known in (("views", RAFD_VIEWS), ("gazes", RAFD_GAZES)):
            unknown = [word for word in listed(getattr(self, name)) if word not in known]
            if unknown or not listed(getattr(self, name)):
                problems.append(
                    f"--{name}={getattr(self, name)}: give one or more of {', '.join(known)}"
                )
        if not listed(self.attributes):
            problems.append("--attributes is empty: name at least one, for example Smiling")
        if not 0 <= self.val_share <= 0.5:
            problems.append(f"--val_share={self.val_share:g}: must be 0 to 0.5")
        options.refuse(problems)


def listed(text: str) -> list[str]:
    """Returns the words of a flag that holds several, with commas between them."""
    return [word.strip() for word in text.split(",") if word.strip()]
