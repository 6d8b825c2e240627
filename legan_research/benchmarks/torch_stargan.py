"""StarGAN in PyTorch as a process that waits for orders.

In one process the threads of PyTorch and of TensorFlow would be in each other's way; as two, one
side sleeps while the other is timed.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from legan_tf.errors import UserError
from legan_tf.training.config import TrainConfig

_STOP_S = 30.0


class TorchStargan:
    """The process, as callables; a context that ends it.

    Attributes:
        version: PyTorch's.
        device: ``cpu`` or ``cuda``.
        parameters: Numbers of parameters by network, ``generator`` and ``discriminator``.
    """

    def __init__(self, config: TrainConfig, attributes: int, threads: int) -> None:
        """Starts it.

        Args:
            config: Its sizes of images and networks are used, and ``critic_steps``.
            attributes: Classes.
            threads: Of PyTorch.

        Raises:
            UserError: PyTorch is not installed, or does not load.
        """
        self._critic_steps = config.critic_steps
        command = [sys.executable, "-m", "legan_research.benchmarks.torch_stargan"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            told = self._order(
                threads=threads,
                attributes=attributes,
                image_size=config.image_size,
                width=config.width,
                blocks=config.blocks,
                d_width=config.d_width,
                d_depth=config.d_depth,
            )
        except BaseException:
            self.close()
            raise
        self.version, self.device = told["version"], told["device"]
        self.parameters = told["parameters"]

    def __enter__(self) -> TorchStargan:
        """Returns itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Ends the process."""
        self.close()

    def close(self) -> None:
        """Ends the process."""
        with contextlib.suppress(BrokenPipeError):  # It may have ended by itself.
            self._process.stdin.close()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def train_step(self, batch_size: int) -> Callable[[], float]:
        """Returns what makes one training step, always on the same images, and gives G's loss."""
        return lambda: self._order(train=batch_size, critic_steps=self._critic_steps)["value"]

    def forward(self, batch_size: int) -> Callable[[], float]:
        """Returns what edits a batch, always the same, and gives a number of the result."""
        return lambda: self._order(forward=batch_size)["value"]

    def _order(self, **order: Any) -> dict[str, Any]:
        try:
            print(json.dumps(order), file=self._process.stdin, flush=True)
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise RuntimeError("PyTorch's process ended; its own message stands on stderr")
        told = json.loads(answer)
        if "error" in told:
            raise UserError(told["error"])
        return told


def _obey() -> None:
    """Reads the sizes, then orders, each a line of JSON; answers each with one."""
    settings = json.loads(sys.stdin.readline())
    try:
        from legan_research.benchmarks.torch_networks import Stargan, torch
    except UserError as error:
        _answer(error=str(error))
        return
    torch.set_num_threads(settings.pop("threads"))
    torch.manual_seed(0)
    stargan = Stargan(**settings)
    _answer(version=torch.__version__, device=stargan.device, parameters=stargan.parameters)
    kept: dict[tuple[int, int], list] = {}
    for line in sys.stdin:
        order = json.loads(line)
        size = order.get("train") or order["forward"]
        key = (order.get("critic_steps", 1), size)
        if key not in kept:
            kept[key] = stargan.batches(*key)
        call = stargan.train_step if "train" in order else lambda batches: stargan.forward(*batches)
        _answer(value=call(kept[key]))


def _answer(**told: Any) -> None:
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    _obey()
