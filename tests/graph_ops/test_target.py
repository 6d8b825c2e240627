from __future__ import annotations

import concurrent.futures

import pytest
import tensorflow as tf

from legan_tf.errors import UserError
from legan_tf.graph_ops.target import current_target, graphs_for


def test_a_target_holds_for_the_block_and_its_thread():
    seen = "gpu" if tf.config.list_logical_devices("GPU") else "cpu"
    assert current_target() == seen
    with graphs_for("any"), concurrent.futures.ThreadPoolExecutor() as pool:
        with graphs_for("gpu"):
            assert current_target() == "gpu"
        assert current_target() == "any"
        assert pool.submit(current_target).result() == seen
    assert current_target() == seen


def test_an_unknown_target_is_refused():
    with (
        pytest.raises(UserError, match="target=tpu: must be one of any, cpu, gpu"),
        graphs_for("tpu"),
    ):
        pass
