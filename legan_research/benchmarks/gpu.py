"""Self-check of a GPU: speed, memory, replicas, determinism and the parity of exports.

Without a GPU it runs on the processor, on a small network.
"""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

import legan_tf
from legan_research.benchmarks import profile, training
from legan_research.benchmarks.paired import PAIRS, figure, table
from legan_tf.command_line.cli import counter
from legan_tf.errors import UserError
from legan_tf.runtime.hardware import float32_arithmetic
from legan_tf.serving import export
from legan_tf.training import devices
from legan_tf.training.systems.stargan import Stargan

ON_GPU = training.CONFIG.replace(batch_size=16)
ON_PROCESSOR = training.CONFIG.replace(image_size=32, width=8, blocks=1, d_width=8, d_depth=3)
FORMS: dict[str, dict[str, Any]] = {
    "float32": {"tensor_float_32": False},
    "TensorFloat-32": {"tensor_float_32": True},
    "bfloat16": {"precision": "bfloat16"},
    "bfloat16, XLA": {"precision": "bfloat16", "xla": True},
}
"""Options of the training by column of the table."""
ON_PROCESSOR_TOO = ("float32", "bfloat16")
_DETERMINISTIC_STEPS = 3
_EDITED = 8
_MODEL = "stargan"


@dataclasses.dataclass(frozen=True)
class Speed:
    """Measurement of a training step.

    Attributes:
        seconds: Median seconds of a step.
        memory: Most bytes in use: of the first GPU, or of the process where there is none.
        peak: The device's own rate in this arithmetic, in GFLOP/s; see ``profile.Peak``.
    """

    seconds: float
    memory: int
    peak: float


@dataclasses.dataclass(frozen=True)
class Check:
    """The measurements.

    Attributes:
        config: The trained configuration.
        gpus: Number of GPUs.
        speeds: By element of ``FORMS``; a sentence where the form cannot be trained here.
        replicas: Seconds of a step by number of replicas, each of which has the whole batch size.
        repeatable: Whether two deterministic trainings ended with the same bits.
        levels: Differences of edits by one export, on the GPU and on the processor, in levels of
            255: the largest, and the share of values that differ.
    """

    config: Stargan
    gpus: int
    speeds: Mapping[str, Speed | str]
    replicas: Mapping[int, float]
    repeatable: bool
    levels: tuple[int, float]

    def markdown(self) -> str:
        """Returns the tables."""
        config = self.config
        images = config.critic_steps * config.batch_size
        flops = 2e-9 * profile.multiply_adds(
            config, len(training.faces(config).names("expression"))
        )
        rows = []
        for form, speed in self.speeds.items():
            if isinstance(speed, str):
                rows.append([form, speed, *[""] * 5])
                continue
            rate = flops / speed.seconds
            rows.append(
                [
                    form,
                    f"{speed.seconds:.3g} s",
                    figure(images / speed.seconds),
                    f"{figure(rate)} GFLOP/s",
                    f"{figure(speed.peak)} GFLOP/s",
                    f"{100 * rate / speed.peak:.0f} %",
                    f"{speed.memory / 2**20:,.0f} MiB",
                ]
            )
        head = [
            f"StarGAN, {config.image_size} x {config.image_size}, batch {config.batch_size}, "
            f"{config.critic_steps} + 1 updates",
            *("step", "images/s", "achieved", "peak of the device", "of the peak", "memory"),
        ]
        lines = table(head, rows)
        alone = self.replicas[1]
        rows = [
            [str(count), f"{seconds:.3g} s", figure(count * images / seconds)]
            + [f"{100 * alone / seconds:.0f} %"]
            for count, seconds in self.replicas.items()
        ]
        kind = "GPUs" if self.gpus else "replicas of the processor"
        lines += ["", *table([kind, "step", "images/s", "efficiency"], rows), ""]
        same = "agree bit for bit" if self.repeatable else "**differ**"
        lines.append(f"Two runs of {_DETERMINISTIC_STEPS} steps with --deterministic {same}.")
        largest, share = self.levels
        device = "GPU" if self.gpus else "processor"
        lines.append(
            f"Edits of one export on the {device} and on the processor differ by at most {largest} "
            f"of 255 levels, in {100 * share:.2g} % of values."
        )
        if not self.gpus:
            lines.append("There is no GPU here: a small network, to try the benchmark itself.")
        return "\n".join(lines) + "\n"


def benchmark(repeats: int = PAIRS, config: Stargan | None = None) -> str:
    """Measures everything, each training in a process of its own; returns the tables.

    Args:
        repeats: Number of timed steps.
        config: Configuration to train; default is ``ON_GPU``, or ``ON_PROCESSOR`` without a GPU.
    """
    return check(repeats, config).markdown()


def check(repeats: int = PAIRS, config: Stargan | None = None) -> Check:
    """Measures everything; see ``benchmark``."""
    gpus = len(tf.config.list_physical_devices("GPU"))
    config = config or (ON_GPU if gpus else ON_PROCESSOR)
    forms = {name: FORMS[name] for name in (FORMS if gpus else ON_PROCESSOR_TOO)}
    counts = sorted({1, gpus or 2})
    advance = counter(len(forms) + len(counts) + 5, "gpu")
    speeds: dict[str, Speed | str] = {}
    for name, options in forms.items():
        form = config.replace(replicas=1, **options)
        speeds[name] = _speed(form, repeats)
        advance(1)
    replicas = {}
    for count in counts:
        form = config.replace(replicas=count, batch_size=count * config.batch_size)
        replicas[count] = statistics.median(training.apart(form, repeats)["seconds"])
        advance(1)
    form = config.replace(replicas=1, deterministic=True)
    ends = []
    for _ in range(2):
        ends.append(training.apart(form, _DETERMINISTIC_STEPS)["digest"])
        advance(1)
    levels = _parity(config, advance)
    return Check(config, gpus, speeds, replicas, ends[0] == ends[1], levels)


def _speed(config: Stargan, repeats: int) -> Speed | str:
    """Measures a form of training; returns the reason where it is refused."""
    try:
        measured = training.apart(config, repeats, with_peak=True)
    except UserError as error:
        return str(error)
    return Speed(statistics.median(measured["seconds"]), measured["memory"], measured["peak"])


def _parity(config: Stargan, advance: Callable[[int], None]) -> tuple[int, float]:
    """Compares edits by one export on the GPU and on the processor; see ``Check.levels``."""
    edits = []
    with tempfile.TemporaryDirectory() as folder:
        _python("export", json.dumps(config.values()), folder)
        advance(1)
        for number, hidden in enumerate(({}, {"CUDA_VISIBLE_DEVICES": "-1"})):
            file = os.path.join(folder, f"{number}.npy")
            _python("edit", os.path.join(folder, _MODEL), file, **hidden)
            edits.append(np.load(file).astype(int))
            advance(1)
    apart = np.abs(edits[0] - edits[1])
    return int(apart.max()), float(np.mean(apart > 0))


def _python(*arguments: str, **environment: str) -> None:
    """Runs this module as a program."""
    subprocess.run(
        [sys.executable, "-m", __name__, *arguments],
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
        check=True,
    )


def _export(config: Stargan, folder: str) -> None:
    strategy = devices.set_up(config.replace(replicas=1).run)
    with strategy.scope():
        network = config.network(training.faces(config))
        network.build()
    export.export(network, folder, _MODEL)


@float32_arithmetic()
def _edit(model: str, file: str) -> None:
    editor = legan_tf.load(model)
    size = (_EDITED, editor.image_size, editor.image_size, 3)
    images = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    np.save(file, editor(images, expression=np.arange(_EDITED) % len(editor.names("expression"))))


if __name__ == "__main__":
    if sys.argv[1] == "export":
        _export(Stargan.of(**json.loads(sys.argv[2])), sys.argv[3])
    else:
        _edit(*sys.argv[2:])
