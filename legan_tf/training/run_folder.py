"""The folder of a run: its flags, metrics, pictures, checkpoints and finished network."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from typing import IO, Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from legan_tf import models
from legan_tf.errors import UserError
from legan_tf.files import UNFINISHED, write_atomically
from legan_tf.models.model_files import load_model
from legan_tf.runtime import compat

FLAGS_FILE = "flags.txt"
INPUTS_FILE = "inputs.json"
"""The sha256 of what is in the files that the flags name."""
METRICS_FILE = "metrics.jsonl"
RECORD_FILE = "record.jsonl"
NETWORK_FILE = "model.keras"
DISCRIMINATOR_FILE = "discriminator.keras"
"""In the folder of a run that trained a depth network: its discriminator."""
DEPTH_FILE = "depth.keras"
"""In the folder of a run that trained a depth network with its editor: that network."""
CHECKPOINTS = "checkpoints"


class RunFolder:
    """A run folder that is locked by this process while it is open.

    Attributes:
        folder: Its path.
        writes: Whether anything is written; of several workers that train together the chief does.
    """

    def __init__(self, folder: str, writes: bool = True) -> None:
        """Opens the folder, or makes it.

        Args:
            folder: Its path.
            writes: Whether this process is the one that writes; what saves does nothing otherwise.

        Raises:
            UserError: The folder cannot be written to, or another process has it open.
        """
        self.folder = folder
        self.writes = writes
        self._lock: IO[str] | None = None
        if not writes:
            return
        try:
            os.makedirs(os.path.join(self.folder, "samples"), exist_ok=True)
            self._lock = open(os.path.join(self.folder, ".lock"), "w")  # noqa: SIM115 - held open
        except OSError as error:
            raise UserError(
                f"--workdir={self.folder}: it cannot be written to: {error.strerror}"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.close()
            raise UserError(f"--workdir={self.folder}: another process is training here") from error

    def begin(self, flags: str, inputs: dict[str, str], others: Sequence[str]) -> None:
        """Writes what the run is begun or resumed with, and removes what another one left.

        Args:
            flags: Text of ``flags.txt``.
            inputs: The sha256 of each file that a flag names, by flag.
            others: The files of networks that this run does not leave; where they are there, they
                are of a run with other flags.
        """
        if not self.writes:
            return
        self._remove_unfinished()
        for name in others:
            if os.path.exists(self.path(name)):
                os.remove(self.path(name))
        write_atomically(self.path(FLAGS_FILE), flags.encode())
        write_atomically(self.path(INPUTS_FILE), (json.dumps(inputs, indent=1) + "\n").encode())

    def _remove_unfinished(self) -> None:
        """Removes the unfinished files of a killed process; the lock keeps others from writing."""
        for folder in (self.path(), self.path("samples")):
            for name in os.listdir(folder):
                if name.startswith(UNFINISHED):
                    os.unlink(os.path.join(folder, name))

    def path(self, *parts: str) -> str:
        """Returns a path inside the folder."""
        return os.path.join(self.folder, *parts)

    def close(self) -> None:
        """Releases the lock."""
        if self._lock is not None:
            self._lock.close()

    def append_metrics(self, line: dict[str, Any]) -> None:
        """Appends one line to ``metrics.jsonl``."""
        if not self.writes:
            return
        with open(self.path(METRICS_FILE), "a") as file:
            file.write(json.dumps(line) + "\n")

    def forget_metrics_after(self, step: int) -> None:
        """Drops the lines of steps that a resumed run is going to take again."""
        if not self.writes or not os.path.exists(self.path(METRICS_FILE)):
            return
        with open(self.path(METRICS_FILE)) as file:
            lines = file.readlines()
        kept = []
        for line in lines:
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line)
            except (ValueError, KeyError):
                continue  # a line that a kill cut short
        write_atomically(self.path(METRICS_FILE), "".join(kept).encode())

    def append_record(self, record: dict[str, Any]) -> None:
        """Appends one line to ``record.jsonl``."""
        if not self.writes:
            return
        with open(self.path(RECORD_FILE), "a") as file:
            file.write(json.dumps(record) + "\n")

    def save_network(self, network: keras.Model, name: str) -> None:
        """Writes a network to use, replacing the last one in one step."""
        if not self.writes:
            return
        temporary = self.path(UNFINISHED + name)
        network.save(temporary)
        os.replace(temporary, self.path(name))

    def save_missing(self, networks: Mapping[str, keras.Model]) -> None:
        """Writes networks by the names of their files, unless all of these are there."""
        if not all(os.path.exists(self.path(name)) for name in networks):
            for name, network in networks.items():
                self.save_network(network, name)

    def save_picture(self, name: str, picture: np.ndarray) -> None:
        """Writes a uint8 [H,W,3] picture as ``samples/NAME.png``."""
        if not self.writes:
            return
        temporary = self.path("samples", f"{UNFINISHED}{name}.png")
        Image.fromarray(picture).save(temporary)
        os.replace(temporary, self.path("samples", f"{name}.png"))


def last_record(workdir: str) -> dict[str, Any]:
    """Returns what the last start of a run noted in ``record.jsonl``; nothing where it is not."""
    path = os.path.join(workdir, RECORD_FILE)
    if not os.path.isfile(path):
        return {}
    with open(path) as file:
        return json.loads(file.readlines()[-1])


def network_file(path: str, name: str = NETWORK_FILE) -> str:
    """Returns the file of a network that is given as a run folder or as a ``.keras`` file.

    Args:
        path: The folder or file.
        name: Name of the file in a run folder.

    Raises:
        UserError: There is no such file; the message starts with ``path``.
    """
    if not os.path.exists(path):
        raise UserError(f"{path}: no such file or folder.")
    file = os.path.join(path, name) if os.path.isdir(path) else path
    if not os.path.isfile(file):
        raise UserError(f"{path}: holds no {name}, which a run writes at its first checkpoint.")
    return file


def saved_step(workdir: str) -> int | None:
    """Returns the step of a run's last checkpoint, or none where there is none."""
    there = _checkpoints_in(os.path.join(workdir, CHECKPOINTS))
    return int(there[-1].rpartition("-")[2]) if there else None


def load_network(path: str | os.PathLike[str], name: str = NETWORK_FILE) -> models.Network:
    """Loads the network of a run, without its optimizers.

    Args:
        path: A run folder or a ``.keras`` file.
        name: Name of the file in a run folder.

    Raises:
        UserError: There is no network of this package; the message starts with ``path``.
    """
    file = network_file(os.fspath(path), name)
    network = load_model(file)
    if not isinstance(network, models.Network):
        raise UserError(f"{file}: holds a {type(network).__name__}, not a network of legan_tf.")
    return network


def load_network_of(
    flag: str, path: str, wanted: type[models.Network], name: str = NETWORK_FILE
) -> models.Network:
    """Loads a network that a flag gives.

    Args:
        flag: The flag's name.
        path: A run folder or a ``.keras`` file.
        wanted: The class that it must have.
        name: Name of the file in a run folder.

    Raises:
        UserError: There is none, or one of another kind; the message names the flag.
    """
    try:
        network = load_network(path, name)
    except UserError as error:
        raise UserError(f"--{flag}={error}") from error
    if not isinstance(network, wanted):
        raise UserError(
            f"--{flag}={path}: it holds a {type(network).__name__}, not a {wanted.__name__}"
        )
    return network


def _checkpoints_in(folder: str) -> list[str]:
    """The checkpoints that are complete and still there, the last one last."""
    state = tf.train.get_checkpoint_state(folder)
    paths = state.all_model_checkpoint_paths if state else []
    return [path for path in paths if os.path.exists(path + ".index")]


def _trackable(item: Any) -> Any:
    """An object in which TensorFlow finds every variable of an item.

    TensorFlow does not search the lists of layers that a layer of Keras 3 holds.
    """
    if isinstance(item, keras.layers.Layer):
        return [compat.tensorflow_variable(weight) for weight in item.weights]
    return item


class Checkpoints:
    """The checkpoints of a run: weights, optimizers (with their rates' places) and averages."""

    def __init__(self, folder: str, keep: int, **items: Any) -> None:
        """Prepares to save and restore.

        Args:
            folder: Folder of the checkpoints.
            keep: How many to keep.
            **items: Networks and optimizers, built, and other state.
        """
        self._items = items
        checkpoint = tf.train.Checkpoint(**{name: _trackable(item) for name, item in items.items()})
        # Made now: by the first save it would be made inside ``fit`` under its strategy, which
        # waits for the other workers, and those do not save.
        _ = checkpoint.save_counter
        self._manager = tf.train.CheckpointManager(checkpoint, folder, max_to_keep=keep)

    def restore(self) -> bool:
        """Restores the last checkpoint; returns whether there was one.

        Raises:
            UserError: The checkpoint does not hold what this run needs.
        """
        there = _checkpoints_in(self._manager.directory)
        if not there:
            return False
        try:
            status = self._manager.checkpoint.restore(there[-1])
            status.assert_existing_objects_matched()
        except (AssertionError, ValueError, IndexError, RuntimeError, tf.errors.OpError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(
                f"{there[-1]}: this checkpoint cannot be restored: {reason}. Delete its files to "
                "go on from the one before it, or all of them to begin anew."
            ) from error
        return True

    def check_finite(self) -> None:
        """Looks for a weight that is not a finite number.

        Raises:
            FloatingPointError: There is one; the message is the name of its network or optimizer.
        """
        for name, item in self._items.items():
            if isinstance(item, tf.train.experimental.PythonState):
                continue
            weights = [item.numpy()] if isinstance(item, tf.Variable) else compat.weights_of(item)
            for weight in weights:
                if not np.all(np.isfinite(weight)):
                    raise FloatingPointError(name)

    def save(self, step: int) -> None:
        """Saves under the number ``step``."""
        self._manager.save(checkpoint_number=step)
