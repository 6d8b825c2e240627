"""Replicas, precision and determinism of a process."""

from __future__ import annotations

import functools

import keras
import tensorflow as tf

from legan_tf.errors import UserError
from legan_tf.training.config import TrainConfig

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def set_up(config: TrainConfig) -> tf.distribute.Strategy:
    """Prepares this process for a configuration.

    Args:
        config: Its ``replicas``, ``precision``, ``deterministic`` and ``seed`` are used.

    Returns:
        A MirroredStrategy over the GPUs, or over the CPU where there are none.

    Raises:
        UserError: There are fewer GPUs than ``replicas``, the batch cannot be divided among them,
            or the CPU cannot be divided any more.
    """
    keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    # In TensorFlow 2.21 it drops what makes the update of a critic's bias wait until the gradient
    # penalty has read it: on a busy machine the penalty then sees, now and again, the new bias.
    tf.config.optimizer.set_experimental_options({"dependency_optimization": False})
    keras.mixed_precision.set_global_policy(POLICIES[config.precision])
    gpus = tf.config.list_physical_devices("GPU")
    wanted = config.replicas or len(gpus) or 1
    if gpus and wanted > len(gpus):
        raise UserError(f"--replicas={wanted}: this machine has {len(gpus)} GPUs")
    if config.batch_size % wanted:
        raise UserError(
            f"--batch_size={config.batch_size} must be a multiple of the {wanted} GPUs of this "
            "machine; or say with --replicas how many to use"
        )
    kind = "GPU" if gpus else "CPU"
    if not gpus and len(tf.config.list_logical_devices("CPU")) < wanted:
        raise UserError(
            f"--replicas={wanted}: the CPU is already in use as one device; call "
            "divide_cpu before TensorFlow is used"
        )
    return _strategy(kind, wanted)


@functools.lru_cache
def _strategy(kind: str, count: int) -> tf.distribute.Strategy:
    """One strategy for all trainings of a process.

    Each numbers its collective operations from the same start, and TensorFlow takes a number that
    it has seen before for the same operation on other shapes.
    """
    return tf.distribute.MirroredStrategy([f"{kind}:{i}" for i in range(count)])


def divide_cpu(replicas: int) -> None:
    """Makes so many CPU devices, where there is no GPU; must come before TensorFlow is used.

    Raises:
        UserError: TensorFlow has been used already.
    """
    if replicas < 2 or tf.config.list_physical_devices("GPU"):
        return
    cpu = tf.config.list_physical_devices("CPU")[0]
    if len(tf.config.get_logical_device_configuration(cpu) or ()) >= replicas:
        return
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * replicas
        )
    except RuntimeError as error:
        raise UserError(
            f"--replicas={replicas}: TensorFlow is already in use in this process"
        ) from error
