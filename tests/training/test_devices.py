"""What a process is prepared with holds for the graphs that it then runs."""

from __future__ import annotations

import functools

import keras
import tensorflow as tf
from tensorflow.python.eager import context

from legan_tf.models import Discriminator, StarganGenerator
from legan_tf.training import devices
from legan_tf.training.adversarial import ATTRIBUTES
from legan_tf.training.systems.editor import AttributeGAN, Objective

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
    strategy = devices.set_up(runs.config(tmp_path, model="stargan"))
    with strategy.scope():
        gan = AttributeGAN(
            StarganGenerator(("neutral", "smile"), ("left", "right"), SIZE, width=4, blocks=0),
            Discriminator(2, 2, SIZE, width=4, depth=2),
            objective=Objective(identity_weight=0.0, quality_weight=0.0),
        )
        gan.compile(d_optimizer=keras.optimizers.Adam(), g_optimizer=keras.optimizers.Adam())
    labels = {name: tf.zeros([2, 1], tf.int32) for name in ATTRIBUTES}
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
