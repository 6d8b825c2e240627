"""Devices, replicas, precision and determinism of a process."""

from __future__ import annotations

import contextlib
import functools
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import keras
import tensorflow as tf

from legan_tf.command_line.cli import say
from legan_tf.errors import UserError, first_line
from legan_tf.runtime import compat, hardware
from legan_tf.training.options import AUTO, PRECISIONS, RunOptions
from legan_tf.training.workers import VARIABLE, Worker, this_worker

Device = TypeVar("Device")

LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
)
"""Errors that TensorFlow raises where another worker has ended."""
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", AUTO: "float32"}


def set_up(config: RunOptions) -> tf.distribute.Strategy:
    """Prepares this process for a configuration.

    Args:
        config: Its ``replicas``, ``precision``, ``tensor_float_32``, ``deterministic`` and ``seed``
            are used.

    Returns:
        A MirroredStrategy over the GPUs, or over the CPU where there are none. Where ``TF_CONFIG``
        names several workers, and it is no dry run, the strategy over all of them.

    Raises:
        UserError: There are fewer GPUs than ``replicas``, the batch cannot be divided among them,
            or the CPU cannot be divided any more.
    """
    own, wanted = _replicas(config)
    keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    # In TensorFlow 2.21 it drops what makes the update of a discriminator's bias wait until the
    # gradient penalty has read it: on a busy machine the penalty then sees, at times, the new bias.
    tf.config.optimizer.set_experimental_options({"dependency_optimization": False})
    keras.mixed_precision.set_global_policy(POLICIES[config.precision])
    tf.config.experimental.enable_tensor_float_32_execution(rounds_float32(config))
    if own.count > 1 and not config.dry_run:
        return _over_workers()
    kind = "GPU" if tf.config.get_visible_devices("GPU") else "CPU"
    if kind == "CPU" and len(tf.config.list_logical_devices("CPU")) < wanted:
        raise UserError(
            f"--replicas={wanted}: the CPU is already in use as one device; call "
            "claim before TensorFlow is used"
        )
    return _strategy(kind, wanted)


def _replicas(config: RunOptions) -> tuple[Worker, int]:
    """This worker and its number of replicas; checks that all can share the batch."""
    own = this_worker()
    gpus = tf.config.get_visible_devices("GPU")
    wanted = len(used(gpus, config.replicas)) or config.replicas or 1
    if own.count > 1 and not gpus and wanted > 1:
        raise UserError(
            f"--replicas={wanted}: without GPUs each worker of {VARIABLE} is one replica; start a "
            "worker for each"
        )
    if config.batch_size % (own.count * wanted):
        shared = f"{wanted} GPUs of this machine; or say with --replicas how many to use"
        if own.count > 1:
            shared = f"{own.count * wanted} replicas, {wanted} on each worker of {VARIABLE}"
        raise UserError(f"--batch_size={config.batch_size} must be a multiple of the {shared}")
    together = config.steps_per_execution > 1
    if own.count * wanted > 1 and together and not compat.STEPS_TOGETHER_ON_REPLICAS:
        raise UserError(
            f"--steps_per_execution={config.steps_per_execution}: with several replicas Keras 3 "
            "takes one step at a time; use 1"
        )
    return own, wanted


def join(config: RunOptions) -> None:
    """Connects to the other workers that ``TF_CONFIG`` names; must come before TensorFlow is used.

    Blocks until all of them are connected.

    Raises:
        UserError: The replicas cannot share the batch, or this worker cannot listen at its address.
    """
    own, _ = _replicas(config)
    claim(config.replicas)
    own.check_port()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    if handlers[signal.SIGINT] == signal.default_int_handler:
        # It would not be called before TensorFlow has met the others.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        _over_workers()
    except tf.errors.OpError as error:
        raise UserError(
            f"{VARIABLE}: this worker could not meet the others at {', '.join(own.addresses)} "
            f"({first_line(error)})."
        ) from error
    finally:
        # Also that of SIGTERM, which TensorFlow has made its own.
        for number, handler in handlers.items():
            signal.signal(number, handler)


def meet(config: RunOptions) -> Worker:
    """Returns this worker, once it has met the others, if ``TF_CONFIG`` names any.

    Raises:
        UserError: ``join`` fails, or the options do not go with several workers.
    """
    worker = this_worker()
    if worker.count == 1:
        return worker
    if config.precision == AUTO:
        raise UserError(
            "--precision=auto measures one machine: with several workers choose from "
            f"{', '.join(PRECISIONS)}"
        )
    say(
        f"worker {worker.index} of {worker.count}: waits for the others "
        f"({', '.join(worker.addresses)})"
    )
    join(config)
    return worker


@contextlib.contextmanager
def lost_workers_named(worker: Worker) -> Iterator[None]:
    """Turns the errors of TensorFlow where another worker has ended into a sentence."""
    try:
        yield
    except LOST as error:
        if worker.count == 1:
            raise
        lines = str(error).rpartition("aborted by: ")[2].splitlines()
        reason = lines[0].partition(". ")[0] if lines else type(error).__name__
        raise UserError(
            f"worker {worker.index} of {worker.count}: another worker has ended or cannot be "
            f"reached any more ({reason.rstrip(':')}); see its own output for the reason. "
            "The same command on all workers resumes."
        ) from error


@functools.lru_cache(None)
def _over_workers() -> tf.distribute.Strategy:
    """The strategy over all workers, which can be made once in a process."""
    return tf.distribute.MultiWorkerMirroredStrategy()


def gathered(strategy: tf.distribute.Strategy, number: int) -> list[int]:
    """Returns the numbers of all workers, each as often as it has replicas, in their order.

    Every worker has to call it at the same point of its work, and waits there for the others.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return [number]
    return _gathering(strategy)(tf.constant(number, tf.int64)).numpy().tolist()


@functools.lru_cache(None)
def _gathering(strategy: tf.distribute.Strategy) -> Callable[[tf.Tensor], tf.Tensor]:
    """A graph for ``gathered``; called step by step, ``Strategy.gather`` makes one every time."""

    def of_replica(number: tf.Tensor) -> tf.Tensor:
        return tf.distribute.get_replica_context().all_gather(number[None], axis=0)

    @tf.function
    def gather(number: tf.Tensor) -> tf.Tensor:
        return strategy.experimental_local_results(strategy.run(of_replica, args=(number,)))[0]

    return gather


@functools.lru_cache
def _strategy(kind: str, count: int) -> tf.distribute.Strategy:
    """One strategy for all trainings of a process.

    Each numbers its collective operations from the same start, and TensorFlow takes a number that
    it has seen before for the same operation on other shapes.
    """
    return tf.distribute.MirroredStrategy([f"{kind}:{i}" for i in range(count)])


def used(gpus: Sequence[Device], replicas: int) -> Sequence[Device]:
    """Returns the GPUs that so many replicas use: one each, or all of them for 0.

    Raises:
        UserError: There are GPUs, and fewer than replicas.
    """
    if gpus and replicas > len(gpus):
        raise UserError(f"--replicas={replicas}: TensorFlow has {len(gpus)} GPUs here")
    return gpus[:replicas] if replicas else gpus


def claim(replicas: int) -> None:
    """Takes the devices of so many replicas, and no more; has to come before TensorFlow is used.

    Other programs can then use the other GPUs, and the memory of these that this one does not need.
    In a process that uses its GPUs already they stay as they are. Where there is no GPU, so many
    CPU devices are made.

    Args:
        replicas: Number of replicas; 0 for one on each GPU.

    Raises:
        UserError: There are fewer GPUs, or the CPU is in use as fewer devices.
    """
    gpus = used(tf.config.get_visible_devices("GPU"), replicas)
    if gpus:
        with contextlib.suppress(RuntimeError):
            tf.config.set_visible_devices(gpus, "GPU")
            for gpu in gpus:
                tf.config.experimental.set_memory_growth(gpu, True)
        return
    cpu = tf.config.list_physical_devices("CPU")[0]
    if replicas <= len(tf.config.get_logical_device_configuration(cpu) or [cpu]):
        return
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * replicas
        )
    except RuntimeError as error:
        raise UserError(
            f"--replicas={replicas}: TensorFlow is already in use in this process"
        ) from error


def claim_one() -> None:
    """Takes one device for a program that only uses networks, and says which."""
    claim(1)
    announce()
    if hardware.unused_gpu():
        say(f"NOTE: {hardware.unused_gpu()}")


def announce() -> None:
    """Says what networks are computed on."""
    say(f"device: {'; '.join(hardware.devices())}")


def rounds_float32(config: RunOptions) -> bool:
    """Whether a training multiplies in TensorFloat-32 on GPUs that can."""
    return config.tensor_float_32 and not config.deterministic


def bfloat16_on(processor: hardware.Processor) -> str:
    """Returns what speaks against bfloat16 on a processor; nothing where that has AMX."""
    if "amx_bf16" in processor.features:
        return ""
    if "avx512_bf16" in processor.features:
        expected = "may take longer than in float32, nearly twice as long on some Xeons"
    else:
        expected = "takes several times as long as in float32"
    return (
        f"--precision=bfloat16: a step {expected}, on a processor with "
        f"{processor.instructions}; --precision=auto measures it"
    )


def notes(config: RunOptions) -> list[str]:
    """Returns remarks about the devices that a configuration gets, to be shown at the start."""
    remarks = [hardware.unused_gpu()]
    gpus = hardware.gpus()
    if config.precision == "bfloat16":
        remarks += [
            f"--precision=bfloat16: {gpu} converts to float32 for it, which is slower than "
            "--precision=float32; bfloat16 is for NVIDIA's GPUs since Ampere (8.0)"
            for gpu in dict.fromkeys(gpus)
            if not gpu.has_bfloat16
        ]
        remarks += [] if gpus else [bfloat16_on(hardware.processor())]
    if config.xla and not gpus:
        remarks.append("--xla: it is for GPUs; on processors training takes several times as long")
    return list(filter(None, remarks))
