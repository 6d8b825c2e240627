"""What a machine has, and what is said of it."""

from __future__ import annotations

import os

import pytest
import tensorflow as tf

from legan_tf.runtime import hardware

XEON = """processor\t: 0
model name\t: Intel(R) Xeon(R) Platinum 8488C
flags\t\t: fpu avx2 avx512f avx512_bf16 amx_bf16 amx_tile
"""


@pytest.mark.parametrize(
    "text, name, described",
    [
        (XEON, "Intel(R) Xeon(R) Platinum 8488C", "AVX-512, AVX512_BF16, AMX"),
        (XEON.replace(" amx_bf16", ""), "Intel(R) Xeon(R) Platinum 8488C", "AVX-512, AVX512_BF16"),
        ("processor\t: 0\nFeatures\t: asimd\n", os.uname().machine, "neither AVX-512 nor AMX"),
    ],
)
def test_a_processor_is_told_with_what_makes_networks_fast(tmp_path, text, name, described):
    (tmp_path / "cpuinfo").write_text(text)
    cores = len(os.sched_getaffinity(0))
    said = str(hardware.processor(str(tmp_path / "cpuinfo")))
    assert said == f"{name}, {cores} core{'s' if cores > 1 else ''}, {described}"


@pytest.mark.parametrize(
    "capability, said, has", [((7, 5), "T4 (compute capability 7.5)", False), (None, "T4", True)]
)
def test_a_gpu_has_bfloat16_from_compute_capability_8_on(capability, said, has):
    gpu = hardware.Gpu("T4", capability)
    assert (str(gpu), gpu.has_bfloat16) == (said, has)
    assert hardware.Gpu("A100", (8, 0)).has_bfloat16


def test_without_a_gpu_the_device_is_the_processor():
    assert hardware.devices() == [str(hardware.processor())]


def test_a_gpu_that_tensorflow_does_not_see_is_told_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    if not os.path.exists("/dev/nvidia0"):
        assert hardware.unused_gpu() == ""
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert hardware.unused_gpu().startswith("CUDA_VISIBLE_DEVICES=-1 hides the GPUs")
    for shown in ("0", "GPU-8932f937"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)
        assert 'pip install "legan-tf[cuda]"' in hardware.unused_gpu()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert 'pip install "legan-tf[cuda]"' in hardware.unused_gpu()


def test_float32_is_rounded_or_not_as_asked_and_then_as_before():
    state = tf.config.experimental.tensor_float_32_execution_enabled
    before = state()
    with hardware.float32_arithmetic(rounded=True):
        with hardware.float32_arithmetic():
            assert not state()
        assert state()
    with pytest.raises(KeyError), hardware.float32_arithmetic(not before):
        raise KeyError
    assert state() == before


@pytest.mark.gpu
def test_a_product_is_exact_where_float32_is_not_rounded():
    numbers = tf.random.stateless_normal([256, 256], [0, 1])
    with tf.device("CPU:0"):
        exact = tf.matmul(tf.cast(numbers, tf.float64), tf.cast(numbers, tf.float64))

    def error():
        product = tf.cast(tf.matmul(numbers, numbers), tf.float64)
        return float(tf.reduce_max(tf.abs(product - exact)))

    with hardware.float32_arithmetic():
        assert error() < 1e-3
    if hardware.gpus()[0].has_bfloat16:  # TensorFloat-32 came with it.
        with hardware.float32_arithmetic(rounded=True):
            assert error() > 1e-3
