from __future__ import annotations

import dataclasses
import io

import pytest
from PIL import Image

from legan_research.benchmarks import scaling
from legan_research.benchmarks.scaling import Cluster, Link, Scaling, Work

INSIDE, BETWEEN = Link(bytes_per_s=100.0, latency_s=1.0), Link(bytes_per_s=50.0, latency_s=2.0)
CLUSTER = Cluster(gpus_per_node=4, inside=INSIDE, between=BETWEEN)
WORK = Work(seconds_per_image=3.0, critic_bytes=400, generator_bytes=800, critic_steps=5, small=2)


def test_a_ring_sends_each_part_twice_but_ones_own():
    # Six messages of a quarter of 400 bytes, each a second and a second of latency.
    assert scaling.ring_seconds(4, 400, INSIDE) == 12.0
    assert scaling.ring_seconds(1, 400, INSIDE) == 0.0
    assert scaling.ring_seconds(2, 400, BETWEEN) == 2 * (200 / 50 + 2.0)


def test_machines_add_up_inside_and_then_between_them():
    assert scaling.all_reduce_seconds(1, 400, CLUSTER) == 0.0
    assert scaling.all_reduce_seconds(4, 400, CLUSTER) == 12.0
    assert scaling.all_reduce_seconds(8, 400, CLUSTER) == 12.0 + 12.0
    with pytest.raises(ValueError, match="7 GPUs"):
        scaling.all_reduce_seconds(7, 400, CLUSTER)


def test_a_step_sends_the_critics_gradients_after_each_of_its_updates():
    alone = scaling.step_of(WORK, CLUSTER, 1, batch=2)
    assert (alone.compute_s, alone.exposed_s, alone.images) == (30.0, 0.0, 10)
    assert alone.efficiency == 1.0
    four = scaling.step_of(WORK, CLUSTER, 4, batch=2)
    # Five times 12 s; 800 bytes in 18 s; two numbers in six latencies each.
    assert four.exposed_s == 5 * 12.0 + 18.0 + 2 * 6.0
    assert (four.seconds, four.images) == (120.0, 40)
    assert four.efficiency == 0.25


def test_what_is_hidden_under_the_backward_pass_is_not_waited_for():
    # An update computes for 5 s, 3.33 s of it backward.
    half = dataclasses.replace(WORK, overlap=0.5)
    four = scaling.step_of(half, CLUSTER, 4, batch=2)
    assert four.exposed_s == pytest.approx(90.0 - 6 * 5.0 / 3)
    # Not more than all of it, and not the single numbers.
    large = scaling.step_of(half, CLUSTER, 4, batch=200)
    assert large.exposed_s == 12.0


def test_the_batch_for_an_efficiency_gives_it():
    batch = scaling.batch_for(WORK, CLUSTER, 8, 0.8)
    assert scaling.step_of(WORK, CLUSTER, 8, batch).efficiency == pytest.approx(0.8)


def test_the_bytes_are_those_of_the_networks_in_the_papers_form():
    sizes = scaling.gradient_bytes()
    assert sizes == {
        "LEGAN": (4 * 44_934_080, 4 * 28_558_272),
        "StarGAN": (4 * 44_934_080, 4 * 8_496_384),
    }


def test_tables_and_picture_hold_every_number_of_gpus():
    model = Scaling("StarGAN", WORK, {"slow": CLUSTER}, batch=2, global_batch=16)
    assert [*model.weak(CLUSTER)] == [*scaling.GPUS]
    strong = model.strong(CLUSTER)
    assert [*strong] == [1, 2, 4, 8, 16]
    assert {step.images for step in strong.values()} == {80}
    text = model.markdown()
    assert "| 4 | 120 s, 0.333, 25 % |" in text
    assert "| 1,024 |" in text
    # 5 x 400 + 800 beside 400 + 800 bytes.
    assert "sends 2.3 times fewer bytes" in text
    with Image.open(io.BytesIO(scaling.picture([model]))) as picture:
        assert picture.format == "PNG"
