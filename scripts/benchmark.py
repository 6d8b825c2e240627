"""Times the package beside what it replaces; the word before the flags says what to time.

Example: python scripts/benchmark.py fid --output=fid.md

fid: the arithmetic of the Fréchet distance, beside scipy.linalg.sqrtm; takes minutes.
input: batches from records, beside single files and beside what training takes of them; without a
GPU takes half an hour.
"""

from __future__ import annotations

import shlex
import sys

from absl import flags

from legan_tf import cli

_OUTPUT = flags.DEFINE_string(
    "output", "", "Markdown file for the table, which is printed in any case; none if empty."
)
_PAIRS = flags.DEFINE_integer("pairs", 5, "How often to time both ways.", lower_bound=5)


def _fid() -> tuple[str, list]:
    from legan_tf.benchmarks import fid

    return "FID arithmetic", fid.benchmark(_PAIRS.value)


def _input() -> tuple[str, list]:
    from legan_tf.benchmarks import input

    return "Input pipeline", input.benchmark(_PAIRS.value)


_COMMANDS = {"fid": _fid, "input": _input}


def main(argv) -> None:
    from legan_tf.benchmarks.paired import as_markdown
    from legan_tf.data.storage import write_bytes

    title, comparisons = _COMMANDS[argv[1]]()
    table = as_markdown(title, comparisons, shlex.join(["python", *sys.argv]))
    print(table, end="")
    if _OUTPUT.value:
        write_bytes(_OUTPUT.value, table.encode())


if __name__ == "__main__":
    cli.run(main, commands=dict.fromkeys(_COMMANDS, ()))
