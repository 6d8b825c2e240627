"""Lists, rolls back and verifies published models, and writes the files of the server.

python scripts/publish.py list --serving_root=serving/models
python scripts/publish.py roll_back --serving_root=serving/models --name=legan
python scripts/publish.py verify --serving_root=serving/models
python scripts/publish.py files --serving_root=serving/models --output=serving
"""

from __future__ import annotations

import os

from absl import flags

from legan_tf.command_line import cli
from legan_tf.errors import UserError
from legan_tf.serving import publishing, server_files

_SERVING_ROOT = flags.DEFINE_string("serving_root", "serving/models", "Folder of served models.")
_NAME = flags.DEFINE_string(
    "name", "", "Model to roll back; list and verify: one model instead of all."
)
_OUTPUT = flags.DEFINE_string("output", "serving", "files: folder of the server's files.")


def _names() -> list[str]:
    if not _NAME.value:
        return publishing.models(_SERVING_ROOT.value, incomplete=True)
    publishing.check_name(_NAME.value)
    return [_NAME.value]


def _folder(name: str) -> str:
    return os.path.join(_SERVING_ROOT.value, name)


def _list() -> None:
    for name in _names():
        for version, state in publishing.describe(_folder(name)):
            print(f"{name}\t{version}\t{state}")


def _roll_back() -> None:
    if not _NAME.value:
        raise UserError("--name: say which model to roll back.")
    publishing.check_name(_NAME.value)
    done = publishing.roll_back(_folder(_NAME.value))
    print(f"Withdrawn: {done.withdrawn}\nNewest now: {done.newest}")


def _verify() -> int:
    problems = []
    checked = [
        os.path.join(_folder(name), str(version))
        for name in _names()
        for version in publishing.versions(_folder(name))
    ]
    progress = cli.Progress(len(checked), "verified")
    for row, version in enumerate(checked, start=1):
        try:
            problems += publishing.verify(version)
        except UserError as error:
            problems.append(str(error))
        progress.update(row)
    print("\n".join(problems) or f"{len(checked)} versions are as they were published.")
    return 1 if problems else 0


def _files() -> None:
    written = server_files.write(_SERVING_ROOT.value, _OUTPUT.value)
    for path in written.files:
        print(path)
    for path in written.kept:
        print(f"{path}: kept, for it has been edited; move it away to have it written anew.")


_COMMANDS = {"list": _list, "roll_back": _roll_back, "verify": _verify, "files": _files}
_FLAGS = {"list": ("name",), "roll_back": ("name",), "verify": ("name",), "files": ("output",)}


def main(argv) -> int | None:
    return _COMMANDS[argv[1]]()


if __name__ == "__main__":
    cli.run(main, commands=_FLAGS)
