"""Benchmarks of the package against the software that it replaces; the command comes first.

Example: python scripts/benchmark.py fid --output=fid.md

fid: FID of two sets, against scipy.linalg.sqrtm; takes minutes.
input: batches from records, against files, memory, rendering and a training step; takes two minutes
on two cores.
train: StarGAN's training step at 128 x 128 against PyTorch, which must be installed; five minutes
on two cores for each of --batch_sizes=4, in both precisions.
infer: StarGAN's generator at 128 x 128, in process and served, against PyTorch, which must be
installed; and Q against a NIMA model on MobileNet; takes two minutes.
growth: training over image sizes, batches, replicas and steps, with a plot; takes half an hour on
two cores.
gpu: a GPU's self-check, to be posted: training in every precision, share of the peak, memory,
replicas, determinism, and parity of exports; minutes. Without a GPU the same on the processor,
small.
photographs: edits of pictures of a drawn face at three sizes, from the shell to the file and once
fitted: time and memory; takes two minutes on two cores.
profile: profile of a training step, and the machine's peak; takes three minutes.
scaling: an analytical model of training on 1 to 1,024 GPUs; nothing is timed. It uses the gradients
of the papers' networks and assumptions, which are flags; measure --seconds_per_image.
score: scoring of files as in scripts/score.py, against Q alone on pictures in memory; takes five
minutes on two cores.
serve: the local server against the SavedModel called in process, and a load test of --clients for
--seconds.
"""

from __future__ import annotations

import os

from absl import flags

from legan_tf.command_line import cli

_OUTPUT = flags.DEFINE_string(
    "output",
    "",
    "Markdown file for the table, which is printed in any case; none if empty. A picture gets its "
    "name, with .png.",
)
_PAIRS = flags.DEFINE_integer("pairs", 5, "Number of timed pairs.", lower_bound=5)
_CLIENTS = flags.DEFINE_integer("clients", 8, "Concurrent clients of the load test.", lower_bound=1)
_SECONDS = flags.DEFINE_integer("seconds", 120, "Duration of the load test.", lower_bound=1)
_BATCH_SIZES = flags.DEFINE_multi_integer(
    "batch_sizes", [4], "Batch sizes to train with; give it again for each.", lower_bound=1
)

_SECONDS_PER_IMAGE = flags.DEFINE_float(
    "seconds_per_image",
    0.0027,
    "Seconds that a GPU computes for each critic image of a training step: 1 by images_per_second "
    "in metrics.jsonl of a run on one GPU. The default is an assumption, no GPU was timed.",
    lower_bound=1e-9,
)
_LINK_GIGABITS = flags.DEFINE_multi_float(
    "link_gigabits",
    [25.0, 100.0, 400.0],
    "Gbit/s between machines, shared by the GPUs of one; give it again for each.",
    lower_bound=1e-3,
)
_LINK_LATENCY_US = flags.DEFINE_float(
    "link_latency_us", 20.0, "Microseconds of a message between machines.", lower_bound=0.0
)
_NVLINK_GIGABYTES = flags.DEFINE_float(
    "nvlink_gigabytes", 200.0, "GB/s from GPU to GPU inside a machine.", lower_bound=1e-3
)
_NVLINK_LATENCY_US = flags.DEFINE_float(
    "nvlink_latency_us", 5.0, "Microseconds of a message inside a machine.", lower_bound=0.0
)
_GPUS_PER_NODE = flags.DEFINE_enum("gpus_per_node", "8", ["1", "2", "4", "8"], "GPUs of a machine.")
_BATCH_PER_GPU = flags.DEFINE_integer(
    "batch_per_gpu", 16, "Images of an update on each GPU, for weak scaling.", lower_bound=1
)
_GLOBAL_BATCH = flags.DEFINE_integer(
    "global_batch", 1024, "Images of an update on all GPUs, for strong scaling.", lower_bound=1
)
_OVERLAP = flags.DEFINE_float(
    "overlap",
    0.0,
    "Share of the backward computation that hides gradients on their way; TensorFlow sends them "
    "all together when the last one is there.",
    lower_bound=0.0,
    upper_bound=1.0,
)


def _fid() -> tuple[str, list, str]:
    from legan_research.benchmarks import fid

    return "FID arithmetic", fid.benchmark(_PAIRS.value), ""


def _input() -> tuple[str, list, str]:
    from legan_research.benchmarks import input

    return "Input pipeline", input.benchmark(_PAIRS.value), ""


def _train() -> tuple[str, list, str]:
    from legan_research.benchmarks import training

    return "StarGAN's training", training.benchmark(_PAIRS.value, _BATCH_SIZES.value), ""


def _infer() -> tuple[str, list, str]:
    from legan_research.benchmarks import infer

    return "Edits and ratings", infer.benchmark(_PAIRS.value), ""


def _growth() -> tuple[str, list, str, bytes]:
    from legan_research.benchmarks import growth

    grown = growth.benchmark(_PAIRS.value)
    return "Growth of training", [], "\n" + grown.markdown(), grown.picture()


def _gpu() -> tuple[str, list, str]:
    from legan_research.benchmarks import gpu

    return "Self-check of the GPU", [], "\n" + gpu.benchmark(_PAIRS.value)


def _photographs() -> tuple[str, list, str]:
    from legan_research.benchmarks import photographs

    return "Edits of photographs", [], "\n" + photographs.benchmark(_PAIRS.value)


def _profile() -> tuple[str, list, str]:
    from legan_research.benchmarks import profile

    return "Profile of a training step", [], "\n" + profile.benchmark(_PAIRS.value)


def _scaling() -> tuple[str, list, str, bytes]:
    from legan_research.benchmarks import scaling

    models = scaling.models(
        _SECONDS_PER_IMAGE.value,
        _LINK_GIGABITS.value,
        1e-6 * _LINK_LATENCY_US.value,
        scaling.Link(1e9 * _NVLINK_GIGABYTES.value, 1e-6 * _NVLINK_LATENCY_US.value),
        int(_GPUS_PER_NODE.value),
        _BATCH_PER_GPU.value,
        _GLOBAL_BATCH.value,
        _OVERLAP.value,
    )
    text = "".join("\n" + model.markdown() for model in models)
    return "Training on many GPUs, on paper", [], text, scaling.picture(models)


def _score() -> tuple[str, list, str]:
    from legan_research.benchmarks import score

    return "Rating of files", score.benchmark(_PAIRS.value), ""


def _serve() -> tuple[str, list, str]:
    from legan_research.benchmarks import serve

    result = serve.benchmark(_PAIRS.value, _CLIENTS.value, _SECONDS.value)
    more = ["", *result.loads, "", *result.sizes]
    return "Serving", list(result.comparisons), "\n".join(more) + "\n"


_COMMANDS = {
    "fid": _fid,
    "input": _input,
    "train": _train,
    "infer": _infer,
    "growth": _growth,
    "gpu": _gpu,
    "photographs": _photographs,
    "profile": _profile,
    "scaling": _scaling,
    "score": _score,
    "serve": _serve,
}


def main(argv) -> None:
    from legan_research.benchmarks.paired import as_markdown
    from legan_tf.data.storage import write_bytes

    title, comparisons, more, *pictures = _COMMANDS[argv[1]]()
    table = as_markdown(title, comparisons, cli.command_line()) + more
    print(table, end="")
    if _OUTPUT.value:
        write_bytes(_OUTPUT.value, table.encode())
        for picture in pictures:
            write_bytes(os.path.splitext(_OUTPUT.value)[0] + ".png", picture)


if __name__ == "__main__":
    own = {
        "scaling": (
            "seconds_per_image",
            "link_gigabits",
            "link_latency_us",
            "nvlink_gigabytes",
            "nvlink_latency_us",
            "gpus_per_node",
            "batch_per_gpu",
            "global_batch",
            "overlap",
        ),
        "serve": ("clients", "seconds"),
        "train": ("batch_sizes",),
    }
    cli.run(main, commands={**dict.fromkeys(_COMMANDS, ()), **own})
