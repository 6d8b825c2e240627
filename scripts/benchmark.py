"""Times the package beside what it replaces; the word before the flags says what to time.

Example: python scripts/benchmark.py fid --output=fid.md

fid: the arithmetic of the Fréchet distance, beside scipy.linalg.sqrtm; takes minutes.
input: batches from records, beside single files and beside what training takes of them; without a
GPU takes half an hour.
train: StarGAN's training step at 128 x 128, beside PyTorch's, which must be installed; five minutes
on two cores for each of --batch_sizes=4, in both precisions.
infer: StarGAN's generator at 128 x 128, in process and through client and server, beside PyTorch's,
which must be installed; and Q beside a NIMA model on MobileNet; takes two minutes.
growth: training over image sizes, batches, replicas and steps, with a picture beside the table;
takes three quarters of an hour on two cores.
profile: what a training step spends its time on, beside the machine's peak; takes three minutes.
serve: an exported editor behind the local server, beside the SavedModel called in process, and the
load of --clients for --seconds, four times.
"""

from __future__ import annotations

import os
import shlex
import sys

from absl import flags

from legan_tf import cli

_OUTPUT = flags.DEFINE_string(
    "output",
    "",
    "Markdown file for the table, which is printed in any case; none if empty. A picture gets its "
    "name, with .png.",
)
_PAIRS = flags.DEFINE_integer("pairs", 5, "How often to time both ways.", lower_bound=5)
_CLIENTS = flags.DEFINE_integer("clients", 8, "Clients that ask at once.", lower_bound=1)
_SECONDS = flags.DEFINE_integer("seconds", 120, "How long they ask.", lower_bound=1)
_BATCH_SIZES = flags.DEFINE_multi_integer(
    "batch_sizes", [4], "Batch sizes to train with; give it again for each.", lower_bound=1
)


def _fid() -> tuple[str, list, str]:
    from legan_tf.benchmarks import fid

    return "FID arithmetic", fid.benchmark(_PAIRS.value), ""


def _input() -> tuple[str, list, str]:
    from legan_tf.benchmarks import input

    return "Input pipeline", input.benchmark(_PAIRS.value), ""


def _train() -> tuple[str, list, str]:
    from legan_tf.benchmarks import train

    return "StarGAN's training", train.benchmark(_PAIRS.value, _BATCH_SIZES.value), ""


def _infer() -> tuple[str, list, str]:
    from legan_tf.benchmarks import infer

    return "Edits and ratings", infer.benchmark(_PAIRS.value), ""


def _growth() -> tuple[str, list, str, bytes]:
    from legan_tf.benchmarks import growth

    grown = growth.benchmark(os.path.join(os.path.dirname(__file__), ".."), _PAIRS.value)
    return "Growth of training", [], "\n" + grown.markdown(), grown.picture()


def _profile() -> tuple[str, list, str]:
    from legan_tf.benchmarks import profile

    return "Profile of a training step", [], "\n" + profile.benchmark(_PAIRS.value)


def _serve() -> tuple[str, list, str]:
    from legan_tf.benchmarks import serve

    result = serve.benchmark(_PAIRS.value, _CLIENTS.value, _SECONDS.value)
    more = ["", *result.loads, "", *result.sizes]
    return "Serving", list(result.comparisons), "\n".join(more) + "\n"


_COMMANDS = {
    "fid": _fid,
    "input": _input,
    "train": _train,
    "infer": _infer,
    "growth": _growth,
    "profile": _profile,
    "serve": _serve,
}


def main(argv) -> None:
    from legan_tf.benchmarks.paired import as_markdown
    from legan_tf.data.storage import write_bytes

    title, comparisons, more, *pictures = _COMMANDS[argv[1]]()
    table = as_markdown(title, comparisons, shlex.join(["python", *sys.argv])) + more
    print(table, end="")
    if _OUTPUT.value:
        write_bytes(_OUTPUT.value, table.encode())
        for picture in pictures:
            write_bytes(os.path.splitext(_OUTPUT.value)[0] + ".png", picture)


if __name__ == "__main__":
    own = {"serve": ("clients", "seconds"), "train": ("batch_sizes",)}
    cli.run(main, commands={**dict.fromkeys(_COMMANDS, ()), **own})
