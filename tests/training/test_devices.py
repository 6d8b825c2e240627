"""What a process is prepared with holds for the graphs that it then runs."""

from __future__ import annotations

import dataclasses
import functools
import json
import subprocess
import sys
from typing import ClassVar

import keras
import pytest
import tensorflow as tf
from tensorflow.python.eager import context

from legan_tf.data.conditions import of_classes
from legan_tf.errors import UserError
from legan_tf.models import Discriminator, StarganGenerator
from legan_tf.runtime import hardware
from legan_tf.training import devices
from legan_tf.training.gan import EditorGAN
from legan_tf.training.options import EditorLosses
from legan_tf.training.systems.classifier import Classifier
from legan_tf.training.train import train

SIZE = 16


def _unordered(graph: tf.compat.v1.GraphDef) -> list[tuple[str, str]]:
    """Reads and writes of one variable of which neither waits for the other."""
    inputs = {
        node.name: {name.lstrip("^").split(":")[0] for name in node.input} for node in graph.node
    }

    @functools.lru_cache(None)
    def before(name: str) -> frozenset[str]:
        direct = inputs.get(name, set())
        return frozenset(direct).union(*(before(other) for other in direct))

    reads = [node for node in graph.node if node.op == "ReadVariableOp"]
    writes = [node for node in graph.node if node.op.startswith(("Assign", "ResourceApply"))]
    assert reads and writes
    return [
        (read.name, write.name)
        for write in writes
        for read in reads
        if read.input[0] == write.input[0]
        and read.name not in before(write.name)
        and write.name not in before(read.name)
    ]


def test_no_weight_is_written_before_all_that_need_the_old_one_have_read_it(runs, tmp_path):
    """TensorFlow 2.21 as it comes lets the gradient penalty read a bias that is already updated."""
    strategy = devices.set_up(runs.config(tmp_path, model="stargan").run)
    with strategy.scope():
        gan = EditorGAN(
            StarganGenerator(
                of_classes(expression=("neutral", "smile"), lighting=("left", "right")),
                SIZE,
                width=4,
                blocks=0,
            ),
            Discriminator(of_classes(expression="ab", lighting="ab"), SIZE, width=4, depth=2),
            editing=EditorLosses(identity_weight=0.0, quality_weight=0.0),
        )
        gan.compile(d_optimizer=keras.optimizers.Adam(), g_optimizer=keras.optimizers.Adam())
    labels = {name: tf.zeros([2, 1], tf.int32) for name in ("expression", "lighting")}
    batch = {
        "image": tf.zeros([2, 1, SIZE, SIZE, 3]),
        "alpha": tf.zeros([2, 1]),
        **labels,
        **{f"target_{name}": label for name, label in labels.items()},
    }
    step = tf.function(lambda data: strategy.run(gan.train_step, args=(data,)))
    context.context().enable_graph_collection()
    try:
        step(batch)
        graphs = context.context().export_run_metadata().function_graphs
    finally:
        context.context().disable_graph_collection()
    largest = max((graph.post_optimization_graph for graph in graphs), key=lambda g: len(g.node))
    assert _unordered(largest) == []


@dataclasses.dataclass(frozen=True)
class Watched(Classifier):
    """A system that notes whether float32 is rounded to TensorFloat-32."""

    seen: ClassVar[list] = []

    def _note(self, where):
        self.seen.append((where, tf.config.experimental.tensor_float_32_execution_enabled()))

    def batches(self, *args, **options):
        self._note("training")
        return super().batches(*args, **options)

    def validate(self, *args):
        self._note("validation")
        return super().validate(*args)


@pytest.mark.parametrize("rounded", [True, False])
def test_training_rounds_float32_as_asked_and_validation_never(runs, tmp_path, rounded, capfd):
    Watched.seen.clear()
    config = runs.config(tmp_path, model="classifier", train_steps=1, tensor_float_32=rounded)
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    assert train(config.converted(Watched)) == 0
    assert Watched.seen == [("training", rounded), ("validation", False)]
    assert tf.config.experimental.tensor_float_32_execution_enabled() == before
    record = json.loads((tmp_path / "record.jsonl").read_text())
    assert record["tensor_float_32"] == rounded
    assert record["devices"] == hardware.devices()
    assert f"device: {hardware.devices()[0]}\n" in capfd.readouterr().err


def test_a_dry_run_names_the_device(runs, tmp_path, capsys):
    assert train(runs.config(tmp_path, model="classifier", dry_run=True)) == 0
    assert f"device: {hardware.processor()}\n" in capsys.readouterr().out


def test_a_deterministic_training_does_not_round(runs, tmp_path):
    config = runs.config(tmp_path, model="classifier", deterministic=True, tensor_float_32=True)
    assert not devices.rounds_float32(config.run)


def test_replicas_use_as_many_gpus_as_they_are_and_no_more():
    gpus = ["GPU:0", "GPU:1", "GPU:2"]
    assert [devices.used(gpus, count) for count in (0, 1, 3)] == [gpus, gpus[:1], gpus]
    assert devices.used([], 2) == []
    with pytest.raises(UserError, match="--replicas=4: TensorFlow has 3 GPUs here"):
        devices.used(gpus, 4)


@pytest.mark.gpu
def test_one_replica_takes_one_gpu_and_only_the_memory_that_it_needs():
    code = """
import tensorflow as tf
from legan_tf.training import devices
devices.claim(1)
tf.zeros([2])
print(len(tf.config.list_logical_devices("GPU")))
print(tf.config.experimental.get_memory_growth(tf.config.list_physical_devices("GPU")[0]))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.split() == ["1", "True"], result.stderr


@pytest.mark.parametrize(
    ("features", "remark"),
    [
        (("avx512f", "avx512_bf16", "amx_bf16"), ""),
        (("avx512f", "avx512_bf16"), "may take longer than in float32, nearly twice as long on"),
        (("avx512f",), "takes several times as long as in float32, on a processor with AVX-512;"),
        ((), "with neither AVX-512 nor AMX; --precision=auto measures it"),
    ],
)
def test_bfloat16_is_warned_of_where_the_processor_is_slow_at_it(features, remark):
    told = devices.bfloat16_on(hardware.Processor("Some CPU", 2, features))
    assert remark in told
    assert bool(told) == bool(remark)


def test_the_gradients_of_an_update_are_summed_over_the_replicas_together(tmp_path):
    code = """
import json, sys
import tensorflow as tf
from legan_tf.training import devices, systems, train

system = systems.make("stargan", **json.loads(sys.argv[1]))
devices.claim(system.run.replicas)
data = system.datasets()
strategy = devices.set_up(system.run)
with strategy.scope():
    trainer, _ = train.make_trainer(system, data)
batch = next(iter(system.batches(data.train, 0)))
own = {name: value[:2] for name, value in batch.items()}
step = tf.function(lambda batch: strategy.run(trainer.train_step, args=(batch,)))
graph = step.get_concrete_function(own).graph
print([op.type for op in graph.get_operations()].count("CollectiveReduceV2"))
"""
    options = {"workdir": str(tmp_path), "image_size": 16, "batch_size": 4, "people": 4}
    options.update({"width": 4, "blocks": 0, "d_width": 4, "d_depth": 2, "critic_steps": 2})
    options.update({"quality_weight": 0.0, "identity_weight": 0.0, "replicas": 2})
    result = subprocess.run(
        [sys.executable, "-c", code, json.dumps(options)], capture_output=True, text=True
    )
    # One operation on each replica for two updates of the discriminator and one of the generator.
    assert result.stdout.split() == ["6"], result.stderr
