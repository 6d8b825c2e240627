from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from legan_tf.graph_ops import convolutions
from legan_tf.graph_ops.gradients import without_custom_gradients
from legan_tf.models import layers


def noise(*shape: int) -> tf.Tensor:
    return tf.constant(np.random.default_rng(0).normal(size=shape), tf.float32)


PARTS = {
    "leaky_relu": (layers.leaky_relu, []),
    "winograd": (convolutions.winograd, [(3, 3, 6, 5)]),
    "strided matmul": (convolutions.strided_matmul, [(4, 4, 6, 5)]),
}


def own_names(graph: tf.Graph) -> list[str]:
    """The operations whose gradient is not TensorFlow's."""
    return [
        op.name
        for op in graph.get_operations()
        if op.type == "IdentityN" and "_gradient_op_type" in op.node_def.attr
    ]


@pytest.mark.parametrize(("part", "kernels"), PARTS.values(), ids=PARTS)
def test_without_custom_gradients_parts_compute_and_differentiate_the_same(part, kernels):
    inputs = [noise(2, 8, 8, 6), *(noise(*shape) for shape in kernels)]

    def gradients():
        function = tf.function(part)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = function(*inputs)
            total = tf.reduce_sum(tf.sin(y))
        graph = function.get_concrete_function(*inputs).graph
        return y, *tape.gradient(total, inputs), own_names(graph)

    *own, names = gradients()
    assert names
    with without_custom_gradients():
        *found, names = gradients()
    assert not names
    for one, other in zip(own, found):
        np.testing.assert_allclose(one, other, atol=5e-5 * np.abs(one).max())
    # It ends with the block.
    assert gradients()[-1]
