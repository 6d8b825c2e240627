"""Runs of training, started as a person starts them, and what they leave behind."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from legan_tf.command_line import options as option_groups
from legan_tf.data import attributes
from legan_tf.data.rendered import rendered_faces
from legan_tf.models import LightCNN29, QualityEstimator
from legan_tf.training import systems
from legan_tf.training.system import System

ROOT = pathlib.Path(__file__).resolve().parents[2]
SIZE = 16
SMALL = {
    "image_size": SIZE,
    "batch_size": 4,
    "width": 4,
    "blocks": 1,
    "mask_channels": 2,
    "upsampling": "nearest",
    "stem": False,
    "d_width": 4,
    "d_depth": 2,
    "critic_steps": 2,
    "q_width": 4,
    "q_depth": 3,
    "identity_width": 0.125,
    "auxiliary_steps": 2,
    "rated_faces": 16,
    "people": 2,
    "learning_rate": 1e-3,
}
"""What makes every run a matter of seconds."""


def small(model: str) -> dict[str, object]:
    """The options of a small run that a system has."""
    own = option_groups.names(systems.get(model))
    return {name: value for name, value in SMALL.items() if name in own}


TIMEOUT_S = 900
"""Ends a run that hangs; long enough for a busy machine."""

IN_TURN = """
import sys
from legan_tf.training import devices, systems, train
{}
devices.claim(int(sys.argv[1]))
for path in sys.argv[2:]:
    assert train.train(systems.from_flagfile(path)) == 0
"""


def arguments(workdir: pathlib.Path, **options: object) -> list[str]:
    """The command line of a small run."""
    values = {**small(options.get("model", systems.DEFAULT)), **options, "workdir": workdir}
    return [
        f"--{name}={str(value).lower() if isinstance(value, bool) else value}"
        for name, value in values.items()
    ]


class Process:
    """A Python process and its output."""

    def __init__(self, arguments: list[str], **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env={
                **os.environ,
                "CUDA_VISIBLE_DEVICES": "-1",
                "TF_CPP_MIN_LOG_LEVEL": "3",
                **environment,
            },
        )

    def wait(self) -> tuple[int, str]:
        """Returns the exit status and all that was printed."""
        try:
            output, _ = self.process.communicate(timeout=TIMEOUT_S)
        finally:
            self.process.kill()
        return self.process.returncode, output

    def wait_for(self, workdir: pathlib.Path, step: int) -> None:
        """Returns as soon as the run has noted a step."""
        deadline = time.monotonic() + TIMEOUT_S
        while not any(line["step"] >= step for line in Runs.metrics(workdir)):
            assert self.process.poll() is None, self.process.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def send_at(self, number: signal.Signals, workdir: pathlib.Path, step: int) -> None:
        """Sends a signal as soon as the run has noted a step."""
        self.wait_for(workdir, step)
        self.process.send_signal(number)


class Runs:
    """Starts runs and reads what they left."""

    @staticmethod
    def start(workdir: pathlib.Path, **options: object) -> Process:
        """Starts a small run; the options are flags."""
        return Process([str(ROOT / "scripts/train.py"), *arguments(workdir, **options)])

    @staticmethod
    @contextlib.contextmanager
    def workers(count: int, workdir: pathlib.Path, **options: object) -> Iterator[list[Process]]:
        """Starts a small run on so many workers of this machine; ends what is left of it."""
        with contextlib.ExitStack() as held:
            ports = [held.enter_context(socket.socket()) for _ in range(count)]
            for port in ports:
                port.bind(("127.0.0.1", 0))
            addresses = [f"127.0.0.1:{port.getsockname()[1]}" for port in ports]
        command = [str(ROOT / "scripts/train.py"), *arguments(workdir, **options)]
        processes = []
        try:
            for index in range(count):
                place = {
                    "cluster": {"worker": addresses},
                    "task": {"type": "worker", "index": index},
                }
                processes.append(Process(command, TF_CONFIG=json.dumps(place)))
            yield processes
        finally:
            for process in processes:
                process.process.kill()

    @staticmethod
    def metrics(workdir: pathlib.Path) -> list[dict]:
        """The complete lines of ``metrics.jsonl``, without what depends on the machine's mood."""
        file = workdir / "metrics.jsonl"
        text = file.read_text() if file.exists() else ""
        lines = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
        return [{k: v for k, v in line.items() if k != "images_per_second"} for line in lines]

    @staticmethod
    def last_checkpoint(workdir: pathlib.Path, step: int | None = None) -> dict[str, object]:
        """Every variable of a checkpoint, the last one unless told, by its name, and what else."""
        name = "checkpoints" if step is None else f"checkpoints/ckpt-{step}"
        reader = tf.train.load_checkpoint(str(workdir / name))
        return {
            name: reader.get_tensor(name)
            for name in reader.get_variable_to_shape_map()
            if "OBJECT_GRAPH" not in name and "save_counter" not in name
        }

    @staticmethod
    def assert_same(one: pathlib.Path, other: pathlib.Path, needs: tuple[str, ...]) -> None:
        """Asserts that two runs ended with the same bits and told the same."""
        left, right = Runs.last_checkpoint(one), Runs.last_checkpoint(other)
        assert left.keys() == right.keys()
        for part in needs:
            assert any(name.startswith(part) for name in left), f"nothing of {part} is saved"
        for name, value in left.items():
            np.testing.assert_array_equal(value, right[name], err_msg=name)
        assert Runs.metrics(one) == Runs.metrics(other)
        networks = [keras.models.load_model(path / "model.keras") for path in (one, other)]
        for a, b in zip(*(network.get_weights() for network in networks)):
            np.testing.assert_array_equal(a, b)

    @staticmethod
    def assert_same_update(one: dict[str, object], other: dict[str, object]) -> None:
        """Asserts that two checkpoints are of the same updates, summed up in another order."""
        assert one.keys() == other.keys()
        compared, off = 0, []
        for name, value in one.items():
            if name.startswith("means"):
                continue
            left, right = np.asarray(value, np.float64), np.asarray(other[name], np.float64)
            if "optimizer/_variables" in name and left.ndim:
                # Adam's moments: the gradients themselves, which a wrong mean would double or halve
                np.testing.assert_allclose(
                    right, left, rtol=1e-3, atol=1e-3 * np.abs(left).max(), err_msg=name
                )
                compared += 1
            else:
                np.testing.assert_allclose(right, left, atol=5e-3, err_msg=name)
                off.append(np.abs(right - left).ravel() > 1e-5)
        assert compared > 10
        # Adam turns a gradient of nearly 0, as instance normalization leaves, into a step of
        # either sign; everywhere else the weights are the same.
        assert np.concatenate(off).mean() < 0.05

    @staticmethod
    def config(workdir: pathlib.Path, **options: object) -> System:
        """The configuration of a small run in this process."""
        model = options.pop("model", systems.DEFAULT)
        values = {**small(model), **options, "workdir": workdir}
        return systems.make(
            model,
            **{k: str(v) if isinstance(v, pathlib.Path) else v for k, v in values.items()},
        )

    @staticmethod
    def untrained(workdir: pathlib.Path, model: str) -> pathlib.Path:
        """A run folder that holds nothing but a small network, not trained."""
        keras.utils.set_random_seed(1)
        network = {
            "quality": lambda: QualityEstimator(SIZE, width=4, depth=3),
            "identity": lambda: LightCNN29(SIZE, width=0.125),
        }[model]()
        network.build()
        workdir.mkdir(parents=True)
        network.save(workdir / "model.keras")
        return workdir

    @staticmethod
    def in_turn(
        cpus: int, *runs: tuple[pathlib.Path, dict], module: pathlib.Path | None = None
    ) -> str:
        """Trains one configuration after the other in one new process; returns its output.

        Args:
            cpus: CPU devices.
            *runs: Folders and options.
            module: File with a system of the test's own.
        """
        arguments = []
        for number, (workdir, options) in enumerate(runs):
            file = workdir.parent / f"{workdir.name}-{number}.flags"
            file.write_text(Runs.config(workdir, **options).to_flagfile())
            arguments.append(str(file))
        own = f"sys.path.append({str(module.parent)!r}); import {module.stem}" if module else ""
        status, output = Process(["-c", IN_TURN.format(own), str(cpus), *arguments]).wait()
        assert status == 0, output
        return output

    @staticmethod
    def write_manifest(
        folder: pathlib.Path, rows: list[dict], name: str = "faces.csv"
    ) -> pathlib.Path:
        """Writes a manifest; returns its path."""
        columns = list(dict.fromkeys(column for row in rows for column in row))
        with open(folder / name, "w", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)
        return folder / name


@pytest.fixture(scope="session")
def runs() -> type[Runs]:
    """What tests do with runs."""
    return Runs


@pytest.fixture(scope="session")
def faces(tmp_path_factory) -> pathlib.Path:
    """A folder with 32 rendered pictures of 4 people and their complete manifest."""
    folder = tmp_path_factory.mktemp("faces")
    rendered = rendered_faces(
        "train", 4, ("neutral", "smile"), attributes.MULTIPIE_SHOTS[:4], SIZE, seed=0
    )
    rows = []
    pictures = rendered.images(np.arange(len(rendered)))
    for index, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{index}.png")
        rows.append(
            {
                "path": f"{index}.png",
                "identity": f"person{rendered.identity[index]}",
                "expression": rendered.names("expression")[rendered.labels["expression"][index]],
                "lighting": rendered.names("lighting")[rendered.labels["lighting"][index]],
                "rating_mean": 1 + index % 9,
                "rating_std": 1,
                "split": ("train", "train", "test", "test")[rendered.identity[index]],
            }
        )
    Runs.write_manifest(folder, rows)
    return folder


@pytest.fixture(scope="session")
def manifest_rows(faces) -> list[dict]:
    """The lines of the manifest of ``faces``."""
    with open(faces / "faces.csv", newline="") as file:
        return list(csv.DictReader(file))
