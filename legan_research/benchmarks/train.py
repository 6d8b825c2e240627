"""StarGAN's training step, beside PyTorch's."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from legan_research.benchmarks import training
from legan_research.benchmarks.paired import PAIRS, Comparison, compare, usable_cores
from legan_research.benchmarks.torch_stargan import TorchStargan
from legan_tf.training.options import PRECISIONS
from legan_tf.training.systems.stargan import Stargan


def benchmark(
    pairs: int = PAIRS,
    batch_sizes: Sequence[int] = (training.CONFIG.batch_size,),
    config: Stargan = training.CONFIG,
) -> list[Comparison]:
    """Times the step in both precisions beside that of the published code, in float32.

    Args:
        pairs: How often to time both.
        batch_sizes: One comparison for each and each precision.
        config: What is trained; batch size and precision are set here.

    Raises:
        UserError: PyTorch is not installed.
    """
    attributes = len(training.faces(config).expressions)
    results = []
    with TorchStargan(config, attributes, usable_cores()) as theirs:
        for batch_size in batch_sizes:
            for precision in PRECISIONS:
                form = dataclasses.replace(config, batch_size=batch_size, precision=precision)
                results.append(
                    compare(
                        f"{config.critic_steps} critic updates and one of G, "
                        f"{config.image_size} x {config.image_size}, batch {batch_size}",
                        (f"legan_tf, {precision}", training.training_step(form)),
                        (f"PyTorch {theirs.version}, float32", theirs.train_step(batch_size)),
                        pairs,
                    )
                )
    return results
