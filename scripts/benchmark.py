"""Benchmarks of the package against the software that it replaces; the command comes first.

Example: python scripts/benchmark.py input --output=input.md

gpu: a GPU's self-check, to be posted: training in every precision, share of the peak, memory,
replicas, determinism, and parity of exports; minutes. Without a GPU the same on the processor,
small.
infer: StarGAN's generator at 128 x 128, in process and served, against PyTorch, which must be
installed; and Q against a NIMA model on MobileNet; takes two minutes.
input: batches from records, against files, memory, rendering and a training step; takes two minutes
on two cores.
photographs: edits of pictures of a drawn face at three sizes, from the shell to the file and once
fitted: time and memory; takes two minutes on two cores.
profile: profile of a training step, and the machine's peak; takes three minutes.
score: scoring of files as in scripts/score.py, against Q alone on pictures in memory; takes five
minutes on two cores.
train: StarGAN's training step at 128 x 128 against PyTorch, which must be installed; five minutes
on two cores for each of --batch_sizes=4, in both precisions.
"""

from __future__ import annotations

from absl import flags

from legan_tf.command_line import cli

_OUTPUT = flags.DEFINE_string(
    "output", "", "Markdown file for the table, which is printed in any case; none if empty."
)
_PAIRS = flags.DEFINE_integer("pairs", 5, "Number of timed pairs.", lower_bound=5)
_BATCH_SIZES = flags.DEFINE_multi_integer(
    "batch_sizes", [4], "Batch sizes to train with; give it again for each.", lower_bound=1
)


def _gpu() -> tuple[str, list, str]:
    from legan_research.benchmarks import gpu

    return "Self-check of the GPU", [], "\n" + gpu.benchmark(_PAIRS.value)


def _infer() -> tuple[str, list, str]:
    from legan_research.benchmarks import infer

    return "Edits and ratings", infer.benchmark(_PAIRS.value), ""


def _input() -> tuple[str, list, str]:
    from legan_research.benchmarks import input

    return "Input pipeline", input.benchmark(_PAIRS.value), ""


def _photographs() -> tuple[str, list, str]:
    from legan_research.benchmarks import photographs

    return "Edits of photographs", [], "\n" + photographs.benchmark(_PAIRS.value)


def _profile() -> tuple[str, list, str]:
    from legan_research.benchmarks import profile

    return "Profile of a training step", [], "\n" + profile.benchmark(_PAIRS.value)


def _score() -> tuple[str, list, str]:
    from legan_research.benchmarks import score

    return "Rating of files", score.benchmark(_PAIRS.value), ""


def _train() -> tuple[str, list, str]:
    from legan_research.benchmarks import training

    return "StarGAN's training", training.benchmark(_PAIRS.value, _BATCH_SIZES.value), ""


_COMMANDS = {
    "gpu": _gpu,
    "infer": _infer,
    "input": _input,
    "photographs": _photographs,
    "profile": _profile,
    "score": _score,
    "train": _train,
}


def main(argv) -> None:
    from legan_research.benchmarks.paired import as_markdown
    from legan_tf.data.storage import write_bytes

    title, comparisons, more = _COMMANDS[argv[1]]()
    table = as_markdown(title, comparisons, cli.command_line()) + more
    print(table, end="")
    if _OUTPUT.value:
        write_bytes(_OUTPUT.value, table.encode())


if __name__ == "__main__":
    cli.run(main, commands={**dict.fromkeys(_COMMANDS, ()), "train": ("batch_sizes",)})
