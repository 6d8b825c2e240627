"""The folder of a run: its flags, metrics, pictures, checkpoints and finished network."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import zipfile
from typing import IO, Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from legan_tf import compat, models
from legan_tf.data import storage
from legan_tf.errors import UserError, first_line
from legan_tf.files import UNFINISHED, write_atomically
from legan_tf.training.config import GANS, TrainConfig, from_flagfile

FLAGS_FILE = "flags.txt"
INPUTS_FILE = "inputs.json"
"""The sha256 of what is in the files that the flags name."""
METRICS_FILE = "metrics.jsonl"
RECORD_FILE = "record.jsonl"
NETWORK_FILE = "model.keras"
CRITIC_FILE = "discriminator.keras"
"""In the folder of a run that trained a depth network: its discriminator."""
DEPTH_FILE = "depth.keras"
"""In the folder of a run that trained a depth network with its editor: that network."""
CHECKPOINTS = "checkpoints"


class Run:
    """A run folder that belongs to this process while it is open.

    Attributes:
        folder: Its path.
        writes: Whether anything is written; of several workers that train together the chief does.
    """

    def __init__(self, config: TrainConfig, writes: bool = True) -> None:
        """Opens the folder for a configuration, or makes it.

        Args:
            config: The configuration; its ``workdir`` is the folder.
            writes: Whether this process is the one that writes; what saves does nothing otherwise.

        Raises:
            UserError: The folder belongs to a run with other flags or input files, or to a
                running process.
        """
        self.folder = config.workdir
        self.writes = writes
        self._lock: IO[str] | None = None
        if not writes:
            check_fits(config)
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
            inputs = check_fits(config)
        except BlockingIOError as error:
            self.close()
            raise UserError(f"--workdir={self.folder}: another process is training here") from error
        except UserError:
            self.close()
            raise
        self._remove_unfinished()
        write_atomically(self.path(FLAGS_FILE), config.to_flagfile().encode())
        write_atomically(self.path(INPUTS_FILE), (json.dumps(inputs, indent=1) + "\n").encode())

    def _remove_unfinished(self) -> None:
        """Removes what a killed process was writing; nobody else writes while the lock is held."""
        for folder in (self.path(), self.path("samples")):
            for name in os.listdir(folder):
                if name.startswith(UNFINISHED):
                    os.unlink(os.path.join(folder, name))

    def path(self, *parts: str) -> str:
        """Returns a path inside the folder."""
        return os.path.join(self.folder, *parts)

    def close(self) -> None:
        """Lets another process have the folder."""
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

    def save_network(self, network: keras.Model, name: str) -> None:
        """Writes a network to use, replacing the last one in one step."""
        if not self.writes:
            return
        temporary = self.path(UNFINISHED + name)
        network.save(temporary)
        os.replace(temporary, self.path(name))

    def save_picture(self, name: str, picture: np.ndarray) -> None:
        """Writes a uint8 [H,W,3] picture as ``samples/NAME.png``."""
        if not self.writes:
            return
        temporary = self.path("samples", f"{UNFINISHED}{name}.png")
        Image.fromarray(picture).save(temporary)
        os.replace(temporary, self.path("samples", f"{name}.png"))


def product_files(config: TrainConfig) -> tuple[str, ...]:
    """Returns what a run leaves to be used; the last one is written last."""
    if config.model == "depth":
        return (CRITIC_FILE, NETWORK_FILE)
    if auxiliary_kinds(config).keys() >= {"depth"}:
        return (DEPTH_FILE, NETWORK_FILE)
    return (NETWORK_FILE,)


def last_record(workdir: str) -> dict[str, Any]:
    """Returns what the last start of a run noted in ``record.jsonl``; nothing where it is not."""
    path = os.path.join(workdir, RECORD_FILE)
    if not os.path.isfile(path):
        return {}
    with open(path) as file:
        return json.loads(file.readlines()[-1])


def auxiliary_kinds(config: TrainConfig) -> dict[str, str]:
    """Returns the frozen networks that a run needs, with the path given for each or nothing."""
    if config.model not in GANS:
        return {}
    wanted = {
        "quality": (config.quality_weight, config.quality_model),
        "identity": (config.identity_weight, config.identity_model),
        "depth": (config.depth_weight, config.depth_model),
    }
    return {kind: path for kind, (weight, path) in wanted.items() if weight}


def network_file(path: str, name: str = NETWORK_FILE) -> str:
    """Returns the file of a network that is given as a run folder or as a ``.keras`` file.

    Args:
        path: The folder or file.
        name: What the file is called in a run folder.

    Raises:
        UserError: There is no such file; the message starts with ``path``.
    """
    if not os.path.exists(path):
        raise UserError(f"{path}: no such file or folder.")
    file = os.path.join(path, name) if os.path.isdir(path) else path
    if not os.path.isfile(file):
        raise UserError(f"{path}: holds no {name}, which a run writes at its first checkpoint.")
    return file


def _inputs(config: TrainConfig, begun: bool) -> dict[str, str]:
    """The sha256 of each file that a flag names and a run needs, by flag."""
    files = {}
    for kind, given in auxiliary_kinds(config).items():
        if given:
            try:
                files[f"{kind}_model"] = network_file(given)
                if kind == "depth":
                    if not os.path.isdir(given):
                        raise UserError(
                            f"{given}: name the run folder of --model=depth, which holds the depth "
                            "network and its discriminator."
                        )
                    network_file(given, CRITIC_FILE)
            except UserError as error:
                raise UserError(f"--{kind}_model={error}") from error
    if config.start_from and not begun:
        try:
            files["start_from"] = network_file(config.start_from)
        except UserError as error:
            raise UserError(f"--start_from={error}") from error
    if config.dataset == "manifest":
        files["manifest"] = config.manifest
    if config.needs_vgg and os.path.isfile(config.vgg_weights):
        files["vgg_weights"] = config.vgg_weights
    return {flag: storage.sha256(file) for flag, file in files.items()}


def check_fits(config: TrainConfig) -> dict[str, str]:
    """Compares a configuration with that of the run whose folder it names, if there is one.

    Before the first checkpoint nothing depends on the flags and their files, and all may change.

    Returns:
        The sha256 of each file that a flag names, by flag.

    Raises:
        UserError: Flags that the checkpoint depends on have changed, or the content of their files;
            each is named. Or there is no such file.
    """
    path = os.path.join(config.workdir, FLAGS_FILE)
    if not os.path.exists(path) or saved_step(config.workdir) is None:
        return _inputs(config, begun=False)
    before = from_flagfile(path)
    changed = [
        f"--{field.name} was {getattr(before, field.name)}, is now {getattr(config, field.name)}"
        for field in dataclasses.fields(config)
        if not field.metadata["free"] and getattr(before, field.name) != getattr(config, field.name)
    ]
    if before.schedule != "constant" and before.train_steps != config.train_steps:
        changed.append(
            f"--train_steps was {before.train_steps}, is now {config.train_steps}: the "
            f"{before.schedule} schedule of the learning rate was laid out for the former"
        )
    if changed:
        raise UserError(
            f"--workdir={config.workdir} holds a run with other flags: {'; '.join(changed)}. "
            "Use another --workdir, or the flags of that run."
        )
    inputs = _inputs(config, begun=True)
    path = os.path.join(config.workdir, INPUTS_FILE)
    if os.path.exists(path):
        with open(path) as file:
            began_with = json.load(file)
        changed = [f"--{flag}" for flag in inputs if inputs[flag] != began_with.get(flag)]
        if changed:
            raise UserError(
                f"{', '.join(changed)}: its content has changed since this run began in "
                f"{config.workdir}. Put back what it was, or use another --workdir."
            )
        # What only the first step needed is remembered.
        inputs = {**began_with, **inputs}
    return inputs


def saved_step(workdir: str) -> int | None:
    """Returns the step of a run's last checkpoint, or none where there is none."""
    there = _checkpoints_in(os.path.join(workdir, CHECKPOINTS))
    return int(there[-1].rpartition("-")[2]) if there else None


def load_network(path: str | os.PathLike[str], name: str = NETWORK_FILE) -> models.Network:
    """Loads the network of a run, without its optimizers.

    Args:
        path: A run folder or a ``.keras`` file.
        name: What the file is called in a run folder.

    Raises:
        UserError: There is no network of this package; the message starts with ``path``.
    """
    file = network_file(os.fspath(path), name)
    if not zipfile.is_zipfile(file):
        raise UserError(f"{file}: is not a .keras file, or is damaged.")
    try:
        network = keras.models.load_model(file, compile=False)
    except Exception as error:  # Keras raises whatever the damaged or foreign part causes.
        reason = first_line(error)
        raise UserError(f"{file}: is not a model that this package can load ({reason}).") from error
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
        wanted: What it has to be.
        name: What the file is called in a run folder.

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
    """What TensorFlow finds every variable of an item in.

    It does not look into the lists of layers that a layer of Keras 3 holds.
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
            for weight in compat.weights_of(item):
                if not np.all(np.isfinite(weight)):
                    raise FloatingPointError(name)

    def save(self, step: int) -> None:
        """Saves under the number ``step``."""
        self._manager.save(checkpoint_number=step)
