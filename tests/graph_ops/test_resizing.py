"""Resizing by products of matrices is TensorFlow's, its gradients and XLA's results included."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from legan_tf.graph_ops.resizing import resize
from legan_tf.graph_ops.target import graphs_for

METHODS = {"bicubic": "bicubic", "triangle": "bilinear"}
TOLERANCE = 1e-5
"""Of the range of values."""
SIZES = [
    ((512, 512), (128, 128)),
    ((64, 64), (299, 299)),
    ((37, 53), (16, 21)),
    ((5, 9), (33, 2)),
    ((128, 64), (64, 64)),
    ((1, 1), (3, 40)),
    ((33, 1000), (70, 33)),
    ((17, 17), (17, 17)),
]


def pixels(height: int, width: int, count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)


def expected_of(images: np.ndarray, size: tuple[int, int], kernel: str) -> np.ndarray:
    return tf.image.resize(images, size, METHODS[kernel], antialias=True).numpy()


@pytest.mark.parametrize("given, size", SIZES)
@pytest.mark.parametrize("kernel", METHODS)
@pytest.mark.parametrize("target", ["any", "cpu"])
def test_values_are_those_of_tensorflow_s_resizing(given, size, kernel, target):
    images = pixels(*given)
    expected = expected_of(images, size, kernel)
    with graphs_for(target):
        for shape in ([None, *given, 3], [None, None, None, 3]):
            for values in (images, images.astype(np.float32)):
                run = tf.function(
                    lambda x: resize(x, size, kernel),
                    input_signature=[tf.TensorSpec(shape, values.dtype)],
                )
                made = run(values)
                assert made.dtype == tf.float32 and made.shape == expected.shape
                np.testing.assert_allclose(made, expected, rtol=0, atol=255 * TOLERANCE)
                assert tuple(run.get_concrete_function().output_shapes[1:]) in (
                    (*size, 3),
                    (None, None, 3),
                )


@pytest.mark.parametrize("dtype", [tf.uint8, tf.float32])
def test_a_photograph_of_a_camera_is_resized_exactly(dtype):
    """By weights in float64; those of TensorFlow's resizing have few digits left here."""
    images = pixels(1500, 4001, 1)
    step = 4001 / 130
    x = np.abs(np.arange(4001) + 0.5 - (np.arange(130)[:, None] + 0.5) * step) / step
    weights = np.maximum(1 - x, 0)
    weights /= weights.sum(1, keepdims=True)
    expected = images[:, :1].astype(np.float64).transpose(0, 1, 3, 2) @ weights.T
    made = resize(tf.cast(images[:, :1], dtype), (1, 130), "triangle")
    np.testing.assert_allclose(made, expected.transpose(0, 1, 3, 2), rtol=0, atol=255 * 1e-6)
    made = resize(tf.cast(images, dtype), (128, 130), "bicubic")
    np.testing.assert_allclose(
        made, expected_of(images, (128, 130), "bicubic"), rtol=0, atol=255 * TOLERANCE
    )


@pytest.mark.parametrize("target", ["any", "cpu"])
@pytest.mark.parametrize("dtype", [tf.uint8, tf.float32])
def test_xla_compiles_it_for_sizes_that_the_graph_does_not_know(target, dtype):
    images = pixels(70, 41)
    with graphs_for(target):
        run = tf.function(
            lambda x: resize(x, (45, 33), "bicubic"),
            input_signature=[tf.TensorSpec([None, None, None, 3], dtype)],
            jit_compile=True,
        )
        np.testing.assert_allclose(
            run(tf.cast(images, dtype)),
            expected_of(images, (45, 33), "bicubic"),
            rtol=0,
            atol=255 * TOLERANCE,
        )


@pytest.mark.parametrize("dtype", [tf.uint8, tf.float32])
def test_the_size_of_a_result_may_be_a_tensor(dtype):
    images = pixels(20, 31)
    run = tf.function(lambda x, size: resize(x, tf.unstack(size), "bicubic"))
    for size in ((45, 33), (7, 64)):
        np.testing.assert_allclose(
            run(tf.cast(images, dtype), tf.constant(size)),
            expected_of(images, size, "bicubic"),
            rtol=0,
            atol=255 * TOLERANCE,
        )


def values_and_gradients(function, images):
    """What a function makes, the gradient of its sine, and the gradient of the square of that."""
    with tf.GradientTape() as outer:
        outer.watch(images)
        with tf.GradientTape() as inner:
            inner.watch(images)
            made = function(images)
            value = tf.reduce_sum(tf.sin(made))
        first = inner.gradient(value, images)
        square = tf.reduce_sum(first**2)
    return [made, first, outer.gradient(square, images)]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("target", ["any", "cpu"])
@pytest.mark.parametrize("kernel, given, size", [("triangle", 24, 16), ("bicubic", 16, 37)])
def test_gradients_to_the_second_are_those_of_tensorflow_s_resizing(
    kernel, given, size, target, compiled
):
    images = tf.constant(pixels(given, given + 5) / 127.5 - 1, tf.float32)

    def ours(images):
        return resize(images, (size, size), kernel)

    def back(upstream):  # TensorFlow's resizing has a first gradient only; it is linear.
        with tf.GradientTape() as tape:
            tape.watch(images)
            made = tf.image.resize(images, (size, size), METHODS[kernel], antialias=True)
        return tape.gradient(made, images, upstream)

    made = expected_of(images, (size, size), kernel)
    first = back(tf.cos(made))
    again = expected_of(first, (size, size), kernel)
    expected = [made, first, back(-2.0 * tf.sin(made) * again)]
    with graphs_for(target):
        run = tf.function(lambda x: values_and_gradients(ours, x), jit_compile=compiled)
        for one, other in zip(run(images), expected):
            np.testing.assert_allclose(one, other, rtol=0, atol=TOLERANCE * np.abs(other).max())


def as_tf32(x: tf.Tensor) -> tf.Tensor:
    """Rounds float32 to the nearest number of ten bits after the point, as matrix units do."""
    bits = tf.bitcast(x, tf.int32) + 2**12
    return tf.bitcast(bits // 2**13 * 2**13, tf.float32)


@pytest.mark.parametrize("target, exact", [("any", True), ("cpu", False)])
@pytest.mark.parametrize("dtype", [tf.uint8, tf.float32])
def test_matrix_units_that_round_their_factors_give_the_same(monkeypatch, target, exact, dtype):
    images = tf.cast(pixels(61, 50), dtype)
    if dtype == tf.float32:
        images = images / 127.5 - 1
    expected = expected_of(images.numpy(), (16, 40), "bicubic")
    matmul = tf.matmul
    monkeypatch.setattr(tf, "matmul", lambda a, b: matmul(as_tf32(a), as_tf32(b)))
    with graphs_for(target):
        made = resize(images, (16, 40), "bicubic")
    error = np.abs(made - expected).max() / np.ptp(images.numpy().astype(np.float32))
    assert bool(error < TOLERANCE) is exact


@pytest.mark.gpu
@pytest.mark.parametrize("compiled", [False, True])
def test_a_gpu_resizes_as_a_processor_does(compiled):
    placed = tf.config.get_soft_device_placement()
    tf.config.set_soft_device_placement(False)
    try:
        for images in (pixels(70, 41), pixels(70, 41).astype(np.float32)):
            for kernel in METHODS:

                def on_gpu(x, kernel=kernel):
                    with tf.device("GPU:0"):
                        return resize(x, (16, 33), kernel)

                made = tf.function(on_gpu, jit_compile=compiled)(images)
                np.testing.assert_allclose(
                    made, expected_of(images, (16, 33), kernel), rtol=0, atol=255 * TOLERANCE
                )
    finally:
        tf.config.set_soft_device_placement(placed)
