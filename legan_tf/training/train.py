"""A training run from its configuration to its finished network."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import json
import os
import platform
import sys
import time
import zlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from legan_tf import compat
from legan_tf.data import pipeline
from legan_tf.data.faceset import FaceSet
from legan_tf.errors import UserError
from legan_tf.models import (
    AttributeClassifier,
    DepthNetwork,
    Discriminator,
    FaceNetwork,
    LeganGenerator,
    LightCNN29,
    Network,
    QualityEstimator,
    StarganGenerator,
)
from legan_tf.models.vgg19 import vgg19_taps
from legan_tf.training import devices, schedules
from legan_tf.training.adversarial import AdversarialModel
from legan_tf.training.callbacks import Every, Recorder, RunningMeans, Saver
from legan_tf.training.config import ADVERSARIAL, GANS, TrainConfig
from legan_tf.training.datasets import Datasets, load_datasets
from legan_tf.training.depth import DepthGAN, DepthGuidedGAN, DepthObjective, Guidance
from legan_tf.training.gan import AttributeGAN, Objective
from legan_tf.training.optimizers import Adam
from legan_tf.training.run_folder import (
    CHECKPOINTS,
    CRITIC_FILE,
    DEPTH_FILE,
    NETWORK_FILE,
    RECORD_FILE,
    Checkpoints,
    Run,
    auxiliary_kinds,
    check_fits,
    last_record,
    load_network_of,
    product_files,
    saved_step,
)
from legan_tf.training.supervised import (
    ClassifierTrainer,
    IdentityTrainer,
    QualityTrainer,
    SupervisedTrainer,
)
from legan_tf.training.workers import VARIABLE, Place, place

SAMPLED_PEOPLE = 3
VALIDATED = 1000
AUXILIARY_BATCH = 32
"""Least batch size of the networks that a run trains for itself."""
EDITOR_ALONE = (
    "edit_lighting",
    "mask_channels",
    "image_to_synthesis",
    "output",
    "identity_weight",
    "quality_weight",
    "quality_target",
    "keep_share",
    "depth_weight",
    "depth_model",
    "freeze_depth",
    "depth_supervision",
    "depth_cycle_to_editor",
    "quality_model",
    "identity_model",
    "auxiliary_steps",
    "rated_faces",
    "q_width",
    "q_depth",
)
"""Options of an editor that do not concern the depth network that it trains first."""
STOPPED_STATUS = 143
"""Exit status after SIGTERM, as a shell gives it."""
SHOWN_WITHIN_S = 90.0
"""How long a network file system may hide from one machine what another one has written."""
LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
)
"""What TensorFlow raises where another worker has ended."""


def say(text: str) -> None:
    """Tells the person at the terminal, apart from the progress line."""
    print(text, file=sys.stderr, flush=True)


def train(config: TrainConfig) -> int:
    """Trains what the configuration names, or goes on with it where it was stopped.

    Args:
        config: Everything that there is to choose.

    Returns:
        0 when the run is complete, 143 when a signal stopped it after saving.

    Raises:
        UserError: The flags do not fit together, the data or the checkpoint; or training diverged,
            or another worker was lost.
    """
    config.check()
    if config.dry_run:
        return _prepared(config, Place())
    own = place()
    if own.count > 1:
        # Before any look at files: whoever fails there is missed by the others.
        say(f"worker {own.index} of {own.count}: waits for the others ({', '.join(own.addresses)})")
        devices.join(config)
    try:
        return _prepared(config, own)
    except LOST as error:
        if own.count == 1:
            raise
        lines = str(error).rpartition("aborted by: ")[2].splitlines()
        reason = lines[0].partition(". ")[0] if lines else type(error).__name__
        raise UserError(
            f"worker {own.index} of {own.count}: another worker has ended or cannot be reached any "
            f"more ({reason.rstrip(':')}); its own output tells why. The same command on all "
            "workers resumes."
        ) from error


def _prepared(config: TrainConfig, own: Place) -> int:
    """Checks what can be checked before any work, and does the work; see ``train``."""
    check_fits(config)
    _check_auxiliary(config)
    if not config.dry_run and _is_complete(config):
        say(f"{config.workdir}: complete at step {saved_step(config.workdir)}, nothing to do")
        return 0
    if own.count == 1:
        devices.divide_cpu(config.replicas)
    data = load_datasets(config)
    if config.dry_run:
        return _dry_run(config, data)
    return _train(config, data, own)


def _is_complete(config: TrainConfig) -> bool:
    """Whether a run has taken all its steps and left its networks, which it does first."""
    done = saved_step(config.workdir)
    files = [os.path.join(config.workdir, name) for name in product_files(config)]
    left = all(map(os.path.isfile, files))
    return left and done is not None and done >= config.train_steps


def _check_auxiliary(config: TrainConfig) -> None:
    """Checks, before any work, the networks that a run trains first, and tells what is not used."""
    for kind, given in auxiliary_kinds(config).items():
        if not given:
            try:
                _auxiliary(config, kind).check()
            except UserError as error:
                raise UserError(
                    f"the {kind} network, which is trained first (--auxiliary_steps, or give "
                    f"--{kind}_model): {error}"
                ) from error
    if config.depth_model and config.model in GANS and not config.depth_weight:
        say("NOTE: --depth_model is not used: --depth_weight is 0")


def _dry_run(config: TrainConfig, data: Datasets) -> int:
    """Prints what a run would do."""
    devices.set_up(config)
    auxiliary = {}
    lines = [f"plan of {config.workdir} ({config.model})", data.table]
    for kind, given in auxiliary_kinds(config).items():
        own = "one on the same data" if kind == "depth" else "a small one"
        lines.append(f"{kind} network: " + (given or f"{own} is trained first ({kind}/)"))
        auxiliary.update(
            _load_auxiliary(config, given, kind, data)
            if given
            else _new_auxiliary(_auxiliary(config, kind), data)
        )
    trainer = make_trainer(config, data, auxiliary)
    lines += [f"{name}: {count:,} parameters" for name, count in _sizes(trainer).items()]
    steps = f"{config.train_steps:,} steps of {config.batch_size} images"
    if config.model in ADVERSARIAL:
        steps += f", {config.critic_steps} critic updates in each"
    lines += [steps, "", config.to_flagfile().rstrip()]
    print("\n".join(lines))
    return 0


def _train(config: TrainConfig, data: Datasets, own: Place) -> int:
    """Trains or resumes; see ``train``."""
    run = Run(config, writes=own.is_chief)
    try:
        auxiliary = {}
        for kind, given in auxiliary_kinds(config).items():
            network = given
            if not given:
                network = run.path(kind)
                # The checkpoint of a guided run holds its depth network, further trained.
                resumes = kind == "depth" and saved_step(config.workdir) is not None
                stopped = not resumes and _train_auxiliary(config, kind, data, own)
                if stopped:
                    return stopped
            auxiliary[kind] = network
        # Again, since training another network has moved the generators of random numbers.
        strategy = devices.set_up(config)
        if own.count > 1:
            _check_alike(config, data, strategy)
        with strategy.scope():
            loaded: dict[str, Network] = {}
            for kind, path in auxiliary.items():
                loaded.update(
                    _load_auxiliary(config, path, kind, data)
                    if os.path.exists(path)
                    else _new_auxiliary(_auxiliary(config, kind), data)
                )
            trainer = make_trainer(config, data, loaded)
            optimizers = compile_trainer(trainer, config)
        if own.count > 1:
            compat.fit_over_workers(trainer)
        return _fit(config, data, run, strategy, trainer, optimizers, auxiliary)
    finally:
        run.close()


def _check_alike(config: TrainConfig, data: Datasets, strategy: tf.distribute.Strategy) -> None:
    """Checks that all workers were given the same; they would wait for each other otherwise."""
    same = dataclasses.replace(config, workdir="", data_dir="")
    given = (same, check_fits(config), data.table, tf.__version__, keras.__version__)
    told = devices.gathered(strategy, zlib.crc32(repr(given).encode()))
    if len(set(told)) > 1:
        raise UserError(
            f"{VARIABLE}: not all workers were started with the flags, the data and the versions "
            "of the chief; only --workdir and --data_dir may differ."
        )


def _fit(
    config: TrainConfig,
    data: Datasets,
    run: Run,
    strategy: tf.distribute.Strategy,
    trainer: AdversarialModel | SupervisedTrainer,
    optimizers: dict[str, keras.optimizers.Optimizer],
    auxiliary: dict[str, str],
) -> int:
    """The part of a run that takes long."""
    means = RunningMeans(trainer.metrics)
    checkpoints = Checkpoints(
        run.path(CHECKPOINTS), config.keep_checkpoints, **_state(trainer), **optimizers, means=means
    )
    resumed = checkpoints.restore()
    start = compat.scalar(trainer.optimizer.iterations)
    starts = devices.gathered(strategy, start)
    if len(set(starts)) > 1:
        raise UserError(
            f"--workdir={config.workdir}: the workers find checkpoints of different steps there "
            f"({', '.join(map(str, starts))}): it must be on a file system that all of them share."
        )
    if start % config.steps_per_execution:
        raise UserError(
            f"--steps_per_execution={config.steps_per_execution}: the run goes on at step {start}, "
            "which is no multiple of it; use 1"
        )
    run.forget_metrics_after(start)
    products = trainer.products if isinstance(trainer, AdversarialModel) else {}
    networks = {**products, NETWORK_FILE: trainer.network}
    assert tuple(networks) == product_files(config)
    for name in {CRITIC_FILE, DEPTH_FILE} - set(networks):
        # Of a run of other flags that was begun anew.
        if run.writes and os.path.exists(run.path(name)):
            os.remove(run.path(name))
    if resumed and start >= config.train_steps:
        if not all(os.path.exists(run.path(name)) for name in networks):
            for name, network in networks.items():
                run.save_network(network, name)
        say(f"{config.workdir}: complete at step {start}, nothing to do")
        return 0
    if resumed:
        say(f"{config.workdir}: resumed at step {start}")
    if run.writes:
        _write_record(config, run, data, trainer, auxiliary, start, strategy)
    total = config.train_steps
    images = config.batch_size * (config.critic_steps if config.model in ADVERSARIAL else 1)
    rates = {
        name.replace("optimizer", "rate"): _rate_of(optimizer)
        for name, optimizer in optimizers.items()
    }
    recorder = Recorder(run, config.model, start, total, images, config.log_every, rates, means)
    saver = Saver(
        run,
        recorder,
        checkpoints,
        networks,
        config.checkpoint_every,
        total,
        lambda stopped: any(devices.gathered(strategy, int(stopped))),
    )

    def look() -> None:
        if isinstance(trainer, AdversarialModel):
            name, faces = ("samples", data.val) if data.val else ("samples-train", data.train)
            recorder.picture(name, trainer.samples(faces, _sampled(faces)))
        elif data.val:
            figures = trainer.validate(data.val, VALIDATED)
            if figures:
                recorder.note(figures)

    callbacks = [recorder, saver]
    if run.writes:
        callbacks.insert(1, Every(recorder, config.sample_every, total, look))
    if isinstance(trainer, AdversarialModel):
        load = functools.partial(
            pipeline.editing_batches,
            data.train,
            config.batch_size,
            config.seed,
            start,
            total - start,
            config.critic_steps,
            config.keep_share,
            config.balance,
            config.flip,
        )
    else:
        load = functools.partial(
            pipeline.labelled_batches,
            data.train,
            config.batch_size,
            config.seed,
            start,
            total - start,
            config.flip,
            config.image_size,
        )
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        batches = strategy.distribute_datasets_from_function(lambda own: load(own=own))
    else:
        batches = load()
    began = time.monotonic()
    try:
        trainer.fit(
            batches,
            epochs=1,
            steps_per_epoch=total - start,
            shuffle=False,
            verbose=0,
            callbacks=callbacks,
        )
    finally:
        saver.restore_signals()
    # The others need what the chief saves at the end, and itself as long as they train.
    devices.gathered(strategy, recorder.step)
    if saver.stopped_by and recorder.step < total:
        say(f"\n{saver.stopped_by}: saved at step {recorder.step}; the same command resumes")
        return STOPPED_STATUS
    say(f"{config.workdir}: complete, {total - start} steps in {time.monotonic() - began:.0f} s")
    return 0


def _rate_of(optimizer: keras.optimizers.Optimizer) -> Any:
    return lambda: compat.scalar(optimizer.learning_rate)


def _sampled(faces: FaceSet) -> np.ndarray:
    """The pictures to edit for the samples: different people, each under another condition."""
    identity = faces.identity
    # Each picture of an unknown person counts as a person of its own.
    own = identity.max() + 1 + np.arange(len(identity))
    people = np.where(identity < 0, own, identity)
    rng = np.random.default_rng(0)
    chosen = [
        rng.choice(np.flatnonzero(people == person))
        for person in np.unique(people)[:SAMPLED_PEOPLE]
    ]
    return np.array(chosen)


def _auxiliary(config: TrainConfig, kind: str) -> TrainConfig:
    """The configuration of a network that a run trains for itself.

    A depth network learns from the data of the run, in its form; the others are small.
    """
    if kind == "depth":
        plain = {
            field.name: field.default
            for field in dataclasses.fields(config)
            if field.name in EDITOR_ALONE
        }
        return dataclasses.replace(
            config,
            model=kind,
            workdir=os.path.join(config.workdir, kind),
            train_steps=config.auxiliary_steps,
            **plain,
        )
    size = config.image_size
    # A multiple of the run's own batch, so that whatever number of replicas divides that fits.
    batch_size = config.batch_size * -(-AUXILIARY_BATCH // config.batch_size)
    return TrainConfig(
        model=kind,
        workdir=os.path.join(config.workdir, kind),
        image_size=size,
        people=config.people,
        expressions=config.expressions,
        merge_flashless=config.merge_flashless,
        batch_size=batch_size,
        train_steps=config.auxiliary_steps,
        seed=config.seed,
        precision=config.precision,
        replicas=config.replicas,
        deterministic=config.deterministic,
        learning_rate=1e-3 if kind == "identity" else 5e-4,
        beta_1=0.9,
        q_width=16,
        q_depth=min(config.q_depth, (size & -size).bit_length() - 1, 6),
        rated_faces=config.rated_faces,
        identity_width=0.25,
        flip=True,
        log_every=50,
        sample_every=config.auxiliary_steps,
        checkpoint_every=200,
    )


def _train_auxiliary(config: TrainConfig, kind: str, data: Datasets, own: Place) -> int:
    """Trains a small network that was not given, and says so."""
    auxiliary = _auxiliary(config, kind)
    if _is_complete(auxiliary):
        check_fits(auxiliary)
        return 0
    told = (
        f"a small {kind} network is trained on rendered faces first",
        "For results on photographs give one trained on photographs.",
    )
    if kind == "depth":
        told = (
            "a depth network is trained on the same data first",
            "To use one for several runs, train it by itself with --model=depth.",
        )
    say(
        f"NOTE: no --{kind}_model is given: {told[0]} ({auxiliary.train_steps} steps, "
        f"{auxiliary.workdir}). {told[1]}"
    )
    status = _train(auxiliary, data if kind == "depth" else load_datasets(auxiliary), own)
    if not status:
        _await_complete(auxiliary)
    return status


def _await_complete(config: TrainConfig) -> None:
    """Waits until this worker, too, sees what the chief has written."""
    deadline = time.monotonic() + SHOWN_WITHIN_S
    while not _is_complete(config):
        if time.monotonic() > deadline:
            raise UserError(
                f"{config.workdir}: this worker does not see the network that the chief has "
                "written there: --workdir must be on a file system that all workers share."
            )
        time.sleep(1)


def _load_auxiliary(
    config: TrainConfig, path: str, kind: str, data: Datasets
) -> dict[str, Network]:
    """Loads what takes part in a training, by its name among the trainer's arguments."""
    if kind != "depth":
        wanted = {"quality": QualityEstimator, "identity": FaceNetwork}[kind]
        return {kind: load_network_of(f"{kind}_model", path, wanted)}
    depth = load_network_of("depth_model", path, DepthNetwork)
    critic = load_network_of("depth_model", path, Discriminator, CRITIC_FILE)
    for flag, wanted, there in (
        ("image_size", config.image_size, depth.image_size),
        ("geometry", config.geometry, depth.geometry),
    ):
        if wanted != there:
            raise UserError(
                f"--depth_model={path}: it was trained with --{flag}={there}, not {wanted}."
            )
    told = last_record(path).get("expressions")
    if told and tuple(told) != tuple(data.train.expressions):
        raise UserError(
            f"--depth_model={path}: its discriminator tells the expressions {', '.join(told)}; "
            f"this run has {', '.join(data.train.expressions)}."
        )
    return {"depth": depth, "depth_discriminator": critic}


def _new_auxiliary(config: TrainConfig, data: Datasets) -> dict[str, Network]:
    """What a run would train for itself, not trained."""
    network = _network(config, data)
    if config.model != "depth":
        return {config.model: network}
    return {"depth": network, "depth_discriminator": _discriminator(config, data)}


def _network(config: TrainConfig, data: Datasets) -> Network:
    """The network that a configuration trains, not built from any file."""
    faces = data.train
    attributes = {"expressions": faces.expressions, "lightings": faces.lightings}
    size = config.image_size
    if config.model == "quality":
        return QualityEstimator(size, config.q_width, config.q_depth, config.fc_activation)
    if config.model == "identity":
        return LightCNN29(size, config.identity_width)
    if config.model == "classifier":
        return AttributeClassifier(**attributes, image_size=size, width=config.classifier_width)
    if config.model == "depth":
        return DepthNetwork(
            size,
            config.geometry,
            config.width,
            config.blocks,
            config.upsampling or "transposed",
            config.stem,
        )
    body = {
        **attributes,
        "image_size": size,
        "width": config.width,
        "blocks": config.blocks,
        "output": config.output,
        "stem": config.stem,
        "keeps_unnamed": config.keep_share > 0,
    }
    if config.model == "stargan":
        return StarganGenerator(**body, upsampling=config.upsampling or "transposed")
    return LeganGenerator(
        **body,
        mask_channels=config.mask_channels,
        image_to_synthesis=config.image_to_synthesis,
        upsampling=config.upsampling or "pixelshuffle",
    )


def make_trainer(
    config: TrainConfig, data: Datasets, auxiliary: dict[str, Network]
) -> AdversarialModel | SupervisedTrainer:
    """The model to fit, not compiled."""
    network = _network(config, data)
    if config.start_from and saved_step(config.workdir) is None:
        _take_weights(network, config.start_from)
    if config.model == "quality":
        return QualityTrainer(network, config.margin)
    if config.model == "identity":
        return IdentityTrainer(network, data.train.identity)
    if config.model == "classifier":
        return ClassifierTrainer(network)
    discriminator = _discriminator(config, data)
    vgg = vgg19_taps(config.vgg_weights) if config.needs_vgg else None
    if config.model == "depth":
        return DepthGAN(network, discriminator, vgg, _fields(DepthObjective, config))
    if not config.depth_weight:
        return AttributeGAN(
            network, discriminator, objective=_fields(Objective, config), **auxiliary
        )
    return DepthGuidedGAN(
        network,
        discriminator,
        vgg=vgg,
        objective=_fields(Objective, config),
        depth_objective=_fields(DepthObjective, config),
        guidance=_fields(Guidance, config),
        **auxiliary,
    )


def _take_weights(network: Network, path: str) -> None:
    """Gives a new network the weights of the one that ``--start_from`` names."""
    start = load_network_of("start_from", path, type(network))
    there = start.config()
    others = [
        f"{name} is {there[name]} there and {value} here"
        for name, value in network.config().items()
        if there[name] != value
    ]
    if others:
        raise UserError(
            f"--start_from={path}: it has another form: {'; '.join(others)}. Give the flags and "
            "the classes that it was trained with, or name another one."
        )
    network.build()
    network.set_weights(start.get_weights())


def _discriminator(config: TrainConfig, data: Datasets) -> Discriminator:
    """D of an editor, or of the depth network, which tells expressions alone."""
    of_maps = config.model == "depth"
    return Discriminator(
        len(data.train.expressions),
        0 if of_maps else len(data.train.lightings),
        config.image_size,
        config.d_width,
        config.d_depth,
        config.fake_class,
        name="depth_discriminator" if of_maps else "discriminator",
    )


def _fields(kind: type[Objective | DepthObjective | Guidance], config: TrainConfig) -> Any:
    """The fields that a class shares with the configuration."""
    return kind(**{field.name: getattr(config, field.name) for field in dataclasses.fields(kind)})


def compile_trainer(
    trainer: AdversarialModel | SupervisedTrainer, config: TrainConfig
) -> dict[str, keras.optimizers.Optimizer]:
    """Compiles the model to fit; returns its optimizers by name."""

    def adam(updates_per_step: int, iterations_per_update: int) -> keras.optimizers.Optimizer:
        updates = config.train_steps * updates_per_step
        rate = schedules.make(config.schedule, config.learning_rate, updates, iterations_per_update)
        return Adam(rate, beta_1=config.beta_1, beta_2=config.beta_2)

    if isinstance(trainer, AdversarialModel):
        steps = config.critic_steps
        optimizers = {
            name: adam(steps, 1) if name.endswith("d_optimizer") else adam(1, steps)
            for name in trainer.trained
        }
    else:
        optimizers = {"optimizer": adam(1, 1)}
    trainer.compile(**optimizers, steps_per_execution=config.steps_per_execution)
    return optimizers


def _state(trainer: AdversarialModel | SupervisedTrainer) -> dict[str, Any]:
    """What besides the optimizers a checkpoint holds: all that training changes."""
    if isinstance(trainer, IdentityTrainer):
        return {"network": trainer.network, "head": trainer.head}
    if isinstance(trainer, SupervisedTrainer):
        return {"network": trainer.network}
    return trainer.state


def _sizes(trainer: AdversarialModel | SupervisedTrainer) -> dict[str, int]:
    """Parameters of every network of a trainer."""
    if isinstance(trainer, SupervisedTrainer):
        return {trainer.network.name: trainer.network.count_params()}
    networks = [*trainer.trained.values(), *trainer.frozen]
    return {network.name: network.count_params() for network in networks}


def _write_record(
    config: TrainConfig,
    run: Run,
    data: Datasets,
    trainer: AdversarialModel | SupervisedTrainer,
    auxiliary: dict[str, str],
    start: int,
    strategy: tf.distribute.Strategy,
) -> None:
    """Appends to ``record.jsonl`` what this start of the run works with."""
    given = auxiliary_kinds(config)
    record = {
        "started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "from_step": start,
        "command": sys.argv,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, "
        f"{len(tf.config.list_physical_devices('GPU'))} GPUs",
        "workers": place().count,
        "replicas": strategy.num_replicas_in_sync,
        "parameters": _sizes(trainer),
        "data": data.table.splitlines(),
        "expressions": data.train.expressions,
        "began_with": {
            kind: path if given[kind] else f"{path} (trained by this run)"
            for kind, path in auxiliary.items()
        },
    }
    if config.start_from:
        record["began_with"]["start_from"] = config.start_from
    if config.needs_vgg:
        record["vgg_weights"] = config.vgg_weights
    with open(run.path(RECORD_FILE), "a") as file:
        file.write(json.dumps(record) + "\n")
