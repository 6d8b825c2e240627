"""Makes the files that ``test_previous_version.py`` reads.

Run it with the version whose files are wanted, once per stack, and pack what it writes:

    git worktree add /tmp/old fc6b3b7
    for stack in a b; do
        PYTHONPATH=/tmp/old .venv-$stack/bin/python tests/compatibility/make_fixtures.py \
            /tmp/old /tmp/fixtures/stack-$stack
    done
    cd /tmp/fixtures
    tar --sort=name --owner=0 --group=0 --mtime=@0 -cf - \
        stack-a stack-b/facts.json stack-b/runs/quality | xz -9e > previous_version.tar.xz
"""

from __future__ import annotations

import copy
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import h5py
import keras
import numpy as np
import tensorflow as tf

SIZE = 16
EXPRESSIONS = ("neutral", "smile", "scream")
LIGHTINGS = ("left", "right")
WITH_FILE = ("LeganGenerator", "QualityEstimator", "LightCNN29")
"""Of the others ``facts.json`` holds all but the weights, to keep the archive small."""
SMALL_RUN = {
    "image_size": SIZE, "batch_size": 2, "people": 2, "seed": 1, "deterministic": True,
    "train_steps": 1, "log_every": 1, "checkpoint_every": 1, "sample_every": 100,
    "keep_checkpoints": 1, "schedule": "constant", "learning_rate": 1e-3, "replicas": 1,
    "width": 1, "blocks": 0, "mask_channels": 1, "upsampling": "nearest", "stem": False,
    "d_width": 1, "d_depth": 3, "critic_steps": 2, "q_width": 1, "q_depth": 4,
    "auxiliary_steps": 1, "rated_faces": 8,
}  # fmt: skip
RUNS = {
    "quality": {"model": "quality", "start_from": "networks/QualityEstimator.keras"},
    "legan": {
        "model": "legan",
        "output": "affine",
        "keep_share": 0.2,
        "quality_model": "runs/quality",
        "identity_model": "networks/LightCNN29.keras",
        "depth_weight": 1.0,
        "perceptual_weight": 0.0,
        "confidence_penalty": 0.1,
    },
}
"""By name of the run folder; ``legan`` trains its depth network first."""


def networks() -> dict[str, keras.Model]:
    """Makes one network of each registered class, built."""
    from legan_tf import models
    from legan_tf.models import perceptual

    body = {"image_size": SIZE, "width": 2, "blocks": 1}
    made = [
        models.LeganGenerator(EXPRESSIONS, LIGHTINGS, **body, mask_channels=2, output="affine"),
        models.StarganGenerator(EXPRESSIONS, LIGHTINGS, **body, keeps_unnamed=True),
        models.DepthNetwork(**body),
        models.Discriminator(3, 2, SIZE, width=2, depth=2, fake_class=True),
        models.QualityEstimator(SIZE, width=1, depth=4),
        models.LightCNN29(SIZE, width=0.02),
        models.AttributeClassifier(EXPRESSIONS, LIGHTINGS, SIZE, width=2),
        models.VggFace(width=0.004),
        models.Vggface2ResNet50(width=0.02),
        models.FidInception(),
        perceptual.AlexNetTrunk(),
        perceptual.Vgg16Trunk(),
        perceptual.SqueezeNetTrunk(),
    ]
    for network in made:
        network.build()
    return {type(network).__name__: network for network in made}


def small_editor() -> keras.Model:
    """Makes the network that is exported, as both versions can."""
    from legan_tf.models import StarganGenerator

    body = {"image_size": SIZE, "width": 1, "blocks": 0, "stem": False, "keeps_unnamed": True}
    classes = {"expressions": EXPRESSIONS, "lightings": LIGHTINGS}
    network = StarganGenerator.from_config({**classes, **body})
    fill(network)
    return network


def pattern(shape: tuple[int, ...], number: int) -> np.ndarray:
    """Returns weights that are easy to compress and differ from place to place."""
    values = ((np.arange(np.prod(shape, dtype=int)) + 3 * number) % 11 - 5.0) / 5
    if len(shape) == 1:
        return (0.5 + 0.1 * values).astype(np.float32).reshape(shape)
    return (values / np.sqrt(np.prod(shape[:-1]))).astype(np.float32).reshape(shape)


def fill(model: keras.Model) -> None:
    """Gives a model the weights of ``pattern``."""
    model.set_weights([pattern(w.shape, i) for i, w in enumerate(model.get_weights())])


def initialise_by_pattern() -> None:
    """Makes new networks begin with ``pattern``, so that checkpoints compress."""
    numbers = itertools.count()
    keras.initializers.GlorotUniform.__call__ = lambda self, shape, dtype=None, **options: (
        tf.constant(pattern(tuple(shape), next(numbers)))
    )


def image(size: int, count: int = 2) -> np.ndarray:
    """Returns smooth pictures, float32 [count,size,size,3] in [-1, 1]."""
    y, x = np.mgrid[:size, :size] / size
    waves = [
        np.sin(5 * x * (k + 1) + 3 * y * k + np.arange(count)[:, None, None]) for k in range(3)
    ]
    return np.stack(waves, -1).astype(np.float32)


def inputs_of(model: keras.Model) -> np.ndarray | dict[str, np.ndarray]:
    """Returns two rows of what a model is called on."""
    pictures = image(getattr(model, "image_size", 35))
    if hasattr(model, "geometry"):
        return {"image": pictures, "domain": np.eye(2, dtype=np.float32)}
    if not hasattr(model, "keeps_unnamed"):
        return pictures
    # The version before has ``lightings``.
    names = model.names("lighting") if hasattr(model, "names") else model.lightings
    lighting = np.eye(2, len(names), dtype=np.float32)
    return {"image": pictures, "expression": np.eye(2, 3, dtype=np.float32), "lighting": lighting}


def digest(array: np.ndarray) -> list[float]:
    """Returns some numbers that tell an array from others."""
    flat = np.asarray(array, np.float64).ravel()
    some = flat[np.linspace(0, flat.size - 1, 6).astype(int)]
    return [float(f"{value:.6g}") for value in (*some, flat.mean(), np.abs(flat).mean())]


def outputs_of(model: keras.Model) -> list[list[float]]:
    """Returns the digests of a model's outputs, in the order of ``tf.nest``."""
    inputs = tf.nest.map_structure(tf.constant, inputs_of(model))
    return [digest(tensor) for tensor in tf.nest.flatten(model(inputs))]


def keys_in(path: str | os.PathLike[str]) -> dict[str, list[int]]:
    """Returns the shapes of the weights in a .keras file, by their keys."""
    found = {}

    def note(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = list(item.shape)

    with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as file:
        with h5py.File(file) as weights:
            weights.visititems(note)
    return found


def config_in(path: str | os.PathLike[str]) -> dict:
    """Returns the configuration in a .keras file."""
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))


def made_from(config: dict) -> keras.Model:
    """Returns a new model of a configuration, always with the same weights."""
    keras.utils.set_random_seed(0)
    # Of a copy, since Keras 2 changes it.
    return keras.saving.deserialize_keras_object(copy.deepcopy(config))


def initial_weights(config: dict) -> list[float]:
    """Returns the mean absolute values of the weights of a new model."""
    return [digest(weight)[-1] for weight in made_from(config).get_weights()]


def train(old: str, folder: pathlib.Path, flags: list[str]) -> None:
    """Starts a run of training in ``folder``, with paths as they are there."""
    program = (
        f"import sys, runpy; sys.path.append({str(pathlib.Path(__file__).parent)!r});"
        "import make_fixtures; make_fixtures.initialise_by_pattern();"
        f"runpy.run_path('{old}/scripts/train.py', run_name='__main__')"
    )
    subprocess.run(
        [sys.executable, "-c", program, *flags],
        cwd=folder,
        check=True,
        env={**os.environ, "PYTHONPATH": old, "CUDA_VISIBLE_DEVICES": "-1"},
    )


def go_on(name: str) -> list[str]:
    """Returns the flags with which a run goes on to its second step."""
    return [f"--flagfile=runs/{name}/flags.txt", "--train_steps=2"]


def metrics(workdir: pathlib.Path) -> dict[str, float]:
    """Returns the last line of a run's metrics, without times."""
    line = json.loads((workdir / "metrics.jsonl").read_text().splitlines()[-1])
    return {key: value for key, value in line.items() if key != "images_per_second"}


def main(old: str, target: str) -> None:
    """Writes everything."""
    from legan_tf.serving import export

    folder = pathlib.Path(target)
    facts: dict = {"configs": {}, "keys": {}, "initial": {}, "outputs": {}, "metrics": {}}
    (folder / "networks").mkdir(parents=True)
    for name, model in networks().items():
        file = folder / "networks" / f"{name}.keras"
        fill(model)
        model.save(file)
        facts["keys"][name] = keys_in(file)
        facts["configs"][name] = config_in(file)
        facts["initial"][name] = initial_weights(facts["configs"][name])
        facts["outputs"][name] = outputs_of(model)
        if name not in WITH_FILE:
            file.unlink()
    export.export(small_editor(), str(folder / "export"), "editor")
    for name in RUNS:
        values = {**SMALL_RUN, **RUNS[name], "workdir": f"runs/{name}"}
        train(old, folder, [f"--{flag}={value}" for flag, value in values.items()])
    # A copy goes on, for what the next step is like; Q last, on which LEGAN depends.
    shutil.copytree(folder, folder.with_suffix(".next"))
    for name in reversed(RUNS):
        train(old, folder.with_suffix(".next"), go_on(name))
        facts["metrics"][name] = metrics(folder.with_suffix(".next") / "runs" / name)
    for path in [*folder.rglob("samples"), *folder.rglob("tensorboard")]:
        shutil.rmtree(path)
    for path in folder.rglob("tf_serving_warmup_requests"):
        path.unlink()
    (folder / "facts.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main(*sys.argv[1:])
