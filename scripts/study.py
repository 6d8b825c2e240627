"""Studies of how natural pictures look to people; the command comes first.

Example: python scripts/study.py make --models=LEGAN=edits/legan,StarGAN=edits/stargan \
    --real=photos --output=study

make: builds a study from folders of pictures: the page, the files for Mechanical Turk, the key.
serve: serves the page and stores the answers.
collect: writes the results, preferences for compare.py, and a manifest of ratings for training.
"""

from __future__ import annotations

from absl import flags

from legan_tf.command_line import cli, options
from legan_tf.errors import UserError
from legan_tf.uses.study.config import ScreenOptions, StudyOptions
from legan_tf.uses.study.server import serve
from legan_tf.uses.study.study_file import read_study

_MODELS = flags.DEFINE_string(
    "models",
    "",
    "make: NAME=FOLDER,NAME=FOLDER of their pictures; those of one source are called alike.",
)
_OUTPUT = flags.DEFINE_string("output", "", "make, collect: folder to write.")
_STUDY = flags.DEFINE_string("study", "", "serve, collect: folder that make wrote.")
_HOST = flags.DEFINE_string("host", "127.0.0.1", "serve: address to listen at; 0.0.0.0 for all.")
_PORT = flags.DEFINE_integer("port", 8000, "serve: port to listen at; 0 for any.", 0, 65535)
_ANSWERS = flags.DEFINE_string(
    "answers", "", "collect: files and folders of answers, with commas; STUDY/answers if empty."
)
options.define_flags(StudyOptions)
options.define_flags(ScreenOptions)


def _make() -> None:
    chosen = options.from_flags(StudyOptions)
    chosen.check()
    # Imported late: wrong flags are reported before TensorFlow is loaded.
    from legan_tf.uses.study.build import build_study

    print(build_study(_MODELS.value, _OUTPUT.value, chosen))


def _serve() -> None:
    serve(read_study(_STUDY.value), _HOST.value, _PORT.value)


def _collect() -> None:
    screen = options.from_flags(ScreenOptions)
    screen.check()
    study = read_study(_STUDY.value)
    if not _OUTPUT.value:
        raise UserError("--output=: name the folder to write.")
    from legan_tf.uses.study.collect import collect

    print(collect(study, _ANSWERS.value, _OUTPUT.value, screen))


_COMMANDS = {"make": _make, "serve": _serve, "collect": _collect}
_FLAGS = {
    "make": ("models", "output", *options.names(StudyOptions)),
    "serve": ("study", "host", "port"),
    "collect": ("study", "answers", "output", *options.names(ScreenOptions)),
}


def main(argv) -> None:
    _COMMANDS[argv[1]]()


if __name__ == "__main__":
    cli.run(main, commands=_FLAGS)
