"""The console command ``legan-tf``: runs the programs of ``scripts/`` as its subcommands."""

from __future__ import annotations

import ast
import os
import sys
import types
from collections.abc import Mapping

from legan_tf.command_line import cli
from legan_tf.command_line.flagfiles import shipped_folder
from legan_tf.errors import UserError


def main() -> int:
    """Runs the subcommand that the command line names.

    Returns:
        The exit status, unless the subcommand exits itself.
    """
    with cli.quiet_at_closed_pipe():
        name, *arguments = sys.argv[1:] or [""]
        commands = _commands()
        if name in ("--help", "--helpshort", "-h", "-?", "help"):
            print(_summary(commands))
            return 0
        try:
            if name not in commands:
                what = f"{name!r} is none of the commands" if name else "say what to do"
                raise UserError(f"{what}: {', '.join(commands)} ({cli.COMMAND} --help).")
        except UserError as error:
            return cli.fail(error)
    # absl names the program by this, in messages and in its lists of flags.
    sys.argv = [f"{cli.COMMAND} {name}", *arguments]
    _run_as_main(commands[name])
    return 0


def _commands() -> dict[str, str]:
    """Returns the path of each subcommand's program."""
    folder = shipped_folder("scripts")
    files = sorted(os.listdir(folder))
    return {
        file[: -len(".py")]: os.path.join(folder, file)
        for file in files
        if file.endswith(".py") and not file.startswith("_")
    }


def _summary(commands: Mapping[str, str]) -> str:
    width = max(map(len, commands))
    lines = [f"usage: {cli.COMMAND} COMMAND [--flag=value ...]", ""]
    for name, path in commands.items():
        with open(path, encoding="utf-8") as file:
            description = (ast.get_docstring(ast.parse(file.read())) or "").partition("\n")[0]
        lines.append(f"  {name:<{width}}  {description}")
    lines += ["", f"{cli.COMMAND} COMMAND --helpshort lists the flags of a command."]
    return "\n".join(lines)


def _run_as_main(path: str) -> None:
    # Not runpy, which sets sys.argv[0] to the path.
    module = types.ModuleType("__main__")
    module.__file__ = path
    sys.modules["__main__"] = module
    with open(path, encoding="utf-8") as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    exec(code, module.__dict__)


if __name__ == "__main__":
    sys.exit(main())
