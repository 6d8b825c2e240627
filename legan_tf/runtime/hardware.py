"""What this machine computes with: its processor and its GPUs."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import platform
import re
import shutil
from collections.abc import Iterator

import tensorflow as tf

FEATURES = {"avx512f": "AVX-512", "avx512_bf16": "AVX512_BF16", "amx_bf16": "AMX"}
"""Instructions that decide the speed of a network, by their names in Linux."""
BFLOAT16_CAPABILITY = (8, 0)
"""Compute capability from which on (Ampere) GPUs of NVIDIA have bfloat16 arithmetic."""
_HIDING = "CUDA_VISIBLE_DEVICES"


@dataclasses.dataclass(frozen=True)
class Processor:
    """The processor.

    Attributes:
        name: Its model; its architecture where Linux gives no name.
        cores: Cores that this process may use.
        features: Those of ``FEATURES`` that it has.
    """

    name: str
    cores: int
    features: tuple[str, ...]

    def __str__(self) -> str:
        """Returns its description for people."""
        cores = f"{self.cores} core{'s' if self.cores > 1 else ''}"
        return f"{self.name}, {cores}, {self.instructions}"

    @property
    def instructions(self) -> str:
        """Names of ``features``, for people."""
        return ", ".join(FEATURES[name] for name in self.features) or "neither AVX-512 nor AMX"


@dataclasses.dataclass(frozen=True)
class Gpu:
    """A GPU that TensorFlow can use.

    Attributes:
        name: Its model; the name of the device where TensorFlow gives no other.
        capability: Its compute capability; None of a GPU that is not NVIDIA's.
    """

    name: str
    capability: tuple[int, int] | None

    def __str__(self) -> str:
        """Returns its description for people."""
        if self.capability is None:
            return self.name
        return f"{self.name} (compute capability {'.'.join(map(str, self.capability))})"

    @property
    def has_bfloat16(self) -> bool:
        """Whether it computes in bfloat16 rather than converting to float32 for it."""
        return self.capability is None or self.capability >= BFLOAT16_CAPABILITY


def processor(cpuinfo: str = "/proc/cpuinfo") -> Processor:
    """Returns the processor that a file of Linux describes, or this machine's without the file."""
    text = ""
    if os.path.exists(cpuinfo):
        with open(cpuinfo, encoding="utf-8") as file:
            text = file.read()
    name = re.search(r"^model name\s*: (.*)", text, re.MULTILINE)
    flags = re.search(r"^flags\s*: (.*)", text, re.MULTILINE)
    there = flags[1].split() if flags else []
    return Processor(
        name[1] if name else platform.machine(),  # ARM's have no name there.
        usable_cores(),
        tuple(feature for feature in FEATURES if feature in there),
    )


def usable_cores() -> int:
    """Returns the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def gpus() -> list[Gpu]:
    """Returns the GPUs that TensorFlow uses, without initialising them."""
    found = []
    for device in tf.config.get_visible_devices("GPU"):
        details = tf.config.experimental.get_device_details(device)
        found.append(
            Gpu(details.get("device_name", device.name), details.get("compute_capability"))
        )
    return found


def devices() -> list[str]:
    """Returns descriptions of what networks are computed on: the GPUs, or else the processor."""
    return [str(gpu) for gpu in gpus()] or [str(processor())]


def unused_gpu() -> str:
    """Returns why a GPU of this machine is not used although it is there.

    Returns:
        A sentence with the remedy; nothing where TensorFlow sees a GPU, or the machine has none.
    """
    if tf.config.list_physical_devices("GPU"):
        return ""
    if not (shutil.which("nvidia-smi") or os.path.exists("/dev/nvidia0")):
        return ""
    hiding = os.environ.get(_HIDING)
    if hiding is not None and not re.match(r"\d|GPU-|MIG-", hiding):
        return f"{_HIDING}={hiding} hides the GPUs of this machine: the processor is used"
    return (
        "this machine has a GPU that TensorFlow cannot use, so the processor is used. Install "
        'what it needs by pip install "legan-tf[cuda]", and see that nvidia-smi lists the GPU'
    )


@contextlib.contextmanager
def float32_arithmetic(rounded: bool = False) -> Iterator[None]:
    """Sets how GPUs multiply float32 numbers, for what is computed inside; a decorator, too.

    Args:
        rounded: Whether they are rounded to TensorFloat-32, with the 10 bits of float16, as GPUs
            since Ampere do by default: faster, with relative errors of about 1e-3.
    """
    config = tf.config.experimental
    before = config.tensor_float_32_execution_enabled()
    config.enable_tensor_float_32_execution(rounded)
    try:
        yield
    finally:
        config.enable_tensor_float_32_execution(before)
