"""StarGAN in PyTorch in a separate process, controlled by lines of JSON.

In one process the threads of PyTorch and TensorFlow would compete; of two processes one is idle
while the other is timed.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from legan_tf.errors import UserError
from legan_tf.training.systems.stargan import Stargan

_STOP_S = 30.0


class TorchStargan:
    """A process that runs StarGAN in PyTorch; a context manager that terminates it.

    Attributes:
        version: Version of PyTorch.
    """

    def __init__(self, config: Stargan, attributes: int, threads: int) -> None:
        """Starts the process.

        Args:
            config: Configuration with the sizes of images and networks, and ``critic_steps``.
            attributes: Number of classes.
            threads: Number of threads of PyTorch.

        Raises:
            UserError: PyTorch is not installed, or does not load.
        """
        self._critic_steps = config.critic_steps
        command = [sys.executable, "-m", "legan_research.benchmarks.torch_stargan"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            reply = self._request(
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
        self.version = reply["version"]

    def __enter__(self) -> TorchStargan:
        """Returns itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Terminates the process."""
        self.close()

    def close(self) -> None:
        """Terminates the process."""
        with contextlib.suppress(BrokenPipeError):  # It may have terminated already.
            self._process.stdin.close()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def train_step(self, batch_size: int) -> Callable[[], float]:
        """Returns a callable that makes a training step on fixed images and returns G's loss."""
        return lambda: self._request(train=batch_size, critic_steps=self._critic_steps)["value"]

    def forward(self, batch_size: int) -> Callable[[], float]:
        """Returns a callable that edits a fixed batch and returns one value of the result."""
        return lambda: self._request(forward=batch_size)["value"]

    def _request(self, **request: Any) -> dict[str, Any]:
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise RuntimeError("the PyTorch process ended; its message is on stderr")
        reply = json.loads(answer)
        if "error" in reply:
            raise UserError(reply["error"])
        return reply


def _serve() -> None:
    """Reads the sizes and then requests, each a line of JSON, and answers each with a line."""
    settings = json.loads(sys.stdin.readline())
    try:
        from legan_research.benchmarks.torch_networks import Stargan, torch
    except UserError as error:
        _answer(error=str(error))
        return
    torch.set_num_threads(settings.pop("threads"))
    torch.manual_seed(0)
    stargan = Stargan(**settings)
    _answer(version=torch.__version__)
    kept: dict[tuple[int, int], list] = {}
    for line in sys.stdin:
        request = json.loads(line)
        size = request.get("train") or request["forward"]
        key = (request.get("critic_steps", 1), size)
        if key not in kept:
            kept[key] = stargan.batches(*key)
        batches, trains = kept[key], "train" in request
        _answer(value=stargan.train_step(batches) if trains else stargan.forward(*batches))


def _answer(**reply: Any) -> None:
    print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    _serve()
