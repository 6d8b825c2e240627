"""Benchmark of StarGAN's training step, compared with PyTorch; the step for other benchmarks."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from legan_research.benchmarks import peak
from legan_research.benchmarks.paired import PAIRS, Comparison, compare
from legan_research.benchmarks.torch_stargan import TorchStargan
from legan_tf.data.faceset import FaceSet
from legan_tf.errors import UserError
from legan_tf.runtime.hardware import usable_cores
from legan_tf.training import devices, train
from legan_tf.training.datasets import Datasets, rendered_split
from legan_tf.training.gan import EditorGAN
from legan_tf.training.options import PRECISIONS
from legan_tf.training.systems.editor import EditorSystem
from legan_tf.training.systems.stargan import Stargan
from legan_tf.training.timing import repeated_step

CONFIG = Stargan.of(
    expressions="affectnet",
    conditions="expression",
    batch_size=4,
    identity_weight=0.0,
    quality_weight=0.0,
    ema_decay=0.0,
)
"""``configs/stargan.flags`` with the eight attributes that make G 8,439,936 and D 44,786,624
parameters, and a batch for CPU cores."""


def benchmark(
    pairs: int = PAIRS, batch_sizes: Sequence[int] = (CONFIG.batch_size,), config: Stargan = CONFIG
) -> list[Comparison]:
    """Times the training step in both precisions, compared with the published code in float32.

    Args:
        pairs: Number of timed pairs.
        batch_sizes: One comparison for each of them and each precision.
        config: Configuration whose batch size and precision are replaced.

    Raises:
        UserError: PyTorch is not installed.
    """
    results = []
    with TorchStargan(config, len(faces(config).names("expression")), usable_cores()) as theirs:
        for batch_size in batch_sizes:
            for precision in PRECISIONS:
                form = config.replace(batch_size=batch_size, precision=precision)
                results.append(
                    compare(
                        f"{config.critic_steps} updates of D and one of G, "
                        f"{config.image_size} x {config.image_size}, batch {batch_size}",
                        (f"legan_tf, {precision}", Training.of(form).step()),
                        (f"PyTorch {theirs.version}, float32", theirs.train_step(batch_size)),
                        pairs,
                    )
                )
    return results


def faces(config: EditorSystem) -> FaceSet:
    """Returns the images of one rendered person, with expressions as their only labels."""
    split = rendered_split("train", 1, config.expressions, True, config.image_size, config.seed)
    return split.only(["expression"])


@dataclasses.dataclass(frozen=True)
class Training:
    """A training as in ``scripts/train.py``, and a batch in memory.

    Attributes:
        strategy: The distribution strategy.
        trainer: The compiled trainer.
        batch: One element of the system's batches.
    """

    strategy: tf.distribute.Strategy
    trainer: EditorGAN
    batch: dict[str, tf.Tensor]

    @classmethod
    def of(cls, config: EditorSystem, shown: FaceSet | None = None) -> Training:
        """Sets up the devices of this process and builds the training.

        Args:
            config: A configuration of an editor.
            shown: Images of the batch; default is ``faces``.
        """
        strategy = devices.set_up(config.run)
        data = Datasets(shown or faces(config), None, "")
        with strategy.scope():
            trainer, _ = train.make_trainer(config, data)
        return cls(strategy, trainer, next(iter(config.batches(data.train, 0))))

    def step(self) -> Callable[[], dict[str, float]]:
        """Returns a callable that makes one step as ``fit`` does and returns the mean losses."""
        return repeated_step(self.strategy, self.trainer, self.batch)


def apart(config: EditorSystem, repeats: int, with_peak: bool = False) -> dict[str, Any]:
    """Makes training steps in a separate process, as in training.

    Args:
        config: A configuration of StarGAN, with its ``replicas``.
        repeats: Number of timed steps, after one that is not timed.
        with_peak: Whether to measure the device's own rate in the same arithmetic, too.

    Returns:
        ``seconds``, the wall time of each step; ``memory``, most bytes in use, of the first GPU or
        of the process where there is none; ``digest``, the sha256 of the generator's weights at
        the end; and ``peak``, see ``profile.Peak``, the higher of its rates.

    Raises:
        UserError: The configuration cannot be trained on this machine.
        RuntimeError: The process failed; its message is on stderr.
    """
    order = {"config": config.values(), "repeats": repeats, "with_peak": with_peak}
    command = [sys.executable, "-m", __name__, json.dumps(order)]
    process = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if process.returncode:
        raise RuntimeError("the training process failed; its message is on stderr")
    measured = json.loads(process.stdout.splitlines()[-1])
    if "refused" in measured:
        raise UserError(measured["refused"])
    return measured


def _main() -> None:
    order = json.loads(sys.argv[1])
    # Nothing is written, but a configuration without a folder is refused.
    config = Stargan.of(**{**order["config"], "workdir": "unused"})
    try:
        devices.claim(config.replicas)
        measured = _measured(config, order["repeats"], order["with_peak"])
    except UserError as error:
        measured = {"refused": str(error)}
    print(json.dumps(measured))


def _measured(config: Stargan, repeats: int, with_peak: bool) -> dict[str, Any]:
    config.check()
    made = Training.of(config)
    step = made.step()
    step()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    if on_gpu:
        memory = tf.config.experimental.get_memory_info("GPU:0")["peak"]
    else:
        memory = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    digest = hashlib.sha256()
    for weight in made.trainer.generator.get_weights():
        digest.update(weight.tobytes())
    measured = {"seconds": seconds, "memory": memory, "digest": digest.hexdigest()}
    if with_peak:
        # A GPU needs larger tensors to be busy, and the small trial on a processor should be short.
        rates = peak.peak(config.precision, scale=2.0 if on_gpu else 0.5)
        measured["peak"] = max(rates.matmul, rates.convolution)
    return measured


if __name__ == "__main__":
    _main()
