"""Analytical model of the scaling of training to up to 1,024 GPUs; nothing is timed.

A step is ``critic_steps`` updates of the critic and one of the generator, in sequence; each ends
with a synchronous all-reduce of that network's gradients. Computation per image and speed of the
links are given; the bytes are those of the real networks.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from legan_research.benchmarks.paired import figure, table
from legan_tf.data import attributes
from legan_tf.data.conditions import of_classes
from legan_tf.models import Discriminator, LeganGenerator, Network, StarganGenerator
from legan_tf.plotting.drawing import as_png, panels, style, style_axes, write_shared_legend
from legan_tf.training.systems.legan import Legan

GPUS = tuple(2**power for power in range(11))
_FLOAT_BYTES = 4
"""Weights and gradients are float32 in every ``--precision``."""
_PAPER_BATCH, _PAPER_STEPS = 16, 40_000
"""Batch and steps of ``configs/legan.flags``."""


@dataclasses.dataclass(frozen=True)
class Link:
    """A link between neighbours of a ring.

    Attributes:
        bytes_per_s: Bandwidth in each direction.
        latency_s: Latency of a message in seconds.
    """

    bytes_per_s: float
    latency_s: float


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Equal machines.

    Attributes:
        gpus_per_node: GPUs of a machine.
        inside: Link between the GPUs of a machine.
        between: Link between machines, shared by the GPUs of one.
    """

    gpus_per_node: int
    inside: Link
    between: Link


@dataclasses.dataclass(frozen=True)
class Work:
    """A step of training.

    Attributes:
        seconds_per_image: Computation of a step on one GPU, per critic image; a step has
            ``critic_steps`` times the batch of them.
        critic_bytes: Size of the gradients of the critic.
        generator_bytes: Size of the gradients of the generator.
        critic_steps: Updates of the critic in a step.
        small: All-reduces of single numbers in a step (means of the losses, stop signal), of which
            only the latency counts.
        overlap: Share of the backward computation, two thirds of an update, that overlaps with its
            all-reduce; 0 if gradients are sent when all are computed.
    """

    seconds_per_image: float
    critic_bytes: int
    generator_bytes: int
    critic_steps: int = 5
    small: int = 19
    overlap: float = 0.0


@dataclasses.dataclass(frozen=True)
class Step:
    """Cost of a step.

    Attributes:
        compute_s: Seconds of computation.
        exposed_s: Seconds of communication that computation does not hide.
        images: Critic images of all GPUs.
    """

    compute_s: float
    exposed_s: float
    images: float

    @property
    def seconds(self) -> float:
        """Seconds of the step."""
        return self.compute_s + self.exposed_s

    @property
    def efficiency(self) -> float:
        """Share of the time in which a GPU computes: speed-up divided by the number of GPUs."""
        return self.compute_s / self.seconds


def ring_seconds(members: int, size: float, link: Link) -> float:
    """Returns the seconds of a ring all-reduce: 2 (n - 1) messages of size / n.

    Args:
        members: Number of members, n.
        size: Bytes of the gradients.
        link: Link between neighbours.
    """
    return 2 * (members - 1) * (size / members / link.bytes_per_s + link.latency_s)


def all_reduce_seconds(gpus: int, size: float, cluster: Cluster) -> float:
    """Returns the seconds of a hierarchical all-reduce.

    Reduce-scatter in the ring of each machine, all-reduce of the parts between the machines over
    their shared links, all-gather in the ring of each machine.

    Args:
        gpus: Number of GPUs: of one machine, or of several full machines.
        size: Bytes of the gradients.
        cluster: The cluster.

    Raises:
        ValueError: The GPUs do not fill their machines.
    """
    nodes = math.ceil(gpus / cluster.gpus_per_node)
    if gpus % nodes:
        raise ValueError(f"{gpus} GPUs do not fill machines of {cluster.gpus_per_node}")
    return ring_seconds(gpus // nodes, size, cluster.inside) + ring_seconds(
        nodes, size, cluster.between
    )


def step_of(work: Work, cluster: Cluster, gpus: int, batch: float) -> Step:
    """Returns the cost of a step.

    Args:
        work: The step.
        cluster: The cluster.
        gpus: Number of GPUs.
        batch: Images of one update on each GPU.
    """
    images = batch * work.critic_steps
    compute = images * work.seconds_per_image
    # Updates of both networks take about the same time: 1.4 s and 1.6 s for four images on a CPU.
    hidden = work.overlap * 2 / 3 * compute / (work.critic_steps + 1)
    exposed = work.small * all_reduce_seconds(gpus, 0, cluster)
    for updates, size in ((work.critic_steps, work.critic_bytes), (1, work.generator_bytes)):
        exposed += updates * max(0.0, all_reduce_seconds(gpus, size, cluster) - hidden)
    return Step(compute, exposed, images * gpus)


def batch_for(work: Work, cluster: Cluster, gpus: int, efficiency: float) -> float:
    """Returns the batch per GPU that is needed for an efficiency, without overlap.

    Args:
        work: The step.
        cluster: The cluster.
        gpus: Number of GPUs.
        efficiency: Between 0 and 1, both excluded.
    """
    alone = dataclasses.replace(work, overlap=0.0)
    waiting = step_of(alone, cluster, gpus, 1.0)
    return waiting.exposed_s * efficiency / (1.0 - efficiency) / waiting.compute_s


def gradient_bytes() -> dict[str, tuple[int, int]]:
    """Returns the sizes of the critic's and the generator's gradients, by the editor's name."""
    config = Legan()
    conditions = of_classes(
        expression=attributes.MULTIPIE_EXPRESSIONS, lighting=attributes.MULTIPIE_SHOTS
    )
    size = config.image_size

    def bytes_of(network: Network) -> int:
        network.build()
        return _FLOAT_BYTES * network.count_params()

    critic = bytes_of(Discriminator(conditions, size, config.d_width, config.d_depth))
    generators = {"LEGAN": LeganGenerator, "StarGAN": StarganGenerator}
    return {
        name: (critic, bytes_of(generator(conditions, size, config.width, config.blocks)))
        for name, generator in generators.items()
    }


@dataclasses.dataclass(frozen=True)
class Scaling:
    """The model for one editor and several links between the machines.

    Attributes:
        name: Name of the editor.
        work: Its training step.
        clusters: Clusters by the name of the link between their machines.
        batch: Images of an update on each GPU, for weak scaling.
        global_batch: Images of an update on all GPUs, for strong scaling.
    """

    name: str
    work: Work
    clusters: dict[str, Cluster]
    batch: int
    global_batch: int

    def weak(self, cluster: Cluster) -> dict[int, Step]:
        """Returns the cost of a step by the number of GPUs, with a constant batch per GPU."""
        return {gpus: step_of(self.work, cluster, gpus, self.batch) for gpus in GPUS}

    def strong(self, cluster: Cluster) -> dict[int, Step]:
        """Returns the cost of a step by the number of GPUs, with a constant global batch."""
        fitting = (gpus for gpus in GPUS if self.global_batch % gpus == 0)
        return {
            gpus: step_of(self.work, cluster, gpus, self.global_batch / gpus) for gpus in fitting
        }

    def markdown(self) -> str:
        """Returns assumptions, tables and conclusions as Markdown."""
        work = self.work
        lines = [f"## {self.name}", ""]
        lines += [
            f"Gradients: discriminator {work.critic_bytes / 1e6:.1f} MB, {work.critic_steps} times "
            f"a step; generator {work.generator_bytes / 1e6:.1f} MB, once; {work.small} single "
            f"numbers. Assumed: {1000 * work.seconds_per_image:g} ms of computation for each of a "
            f"step's critic images; {work.overlap:g} of the backward computation hides gradients."
        ]
        for title, steps_on in (
            (f"Weak scaling: batch {self.batch} on each GPU", self.weak),
            (f"Strong scaling: batch {self.global_batch} on all GPUs together", self.strong),
        ):
            curves = {name: steps_on(cluster) for name, cluster in self.clusters.items()}
            gpus = next(iter(curves.values()))
            rows = [
                [f"{count:,}", *(_cell(curve[count]) for curve in curves.values())]
                for count in gpus
            ]
            lines += ["", f"{title}. Step, images/s of the critic, efficiency:", ""]
            lines += table(["GPUs", *curves], rows)
        lines += ["", *self._conclusions()]
        return "\n".join(lines) + "\n"

    def _conclusions(self) -> list[str]:
        """Conclusions on batch and schedule."""
        most = GPUS[-1]
        needed = ", ".join(
            f"{math.ceil(batch_for(self.work, cluster, most, 0.8)):,} ({name})"
            for name, cluster in self.clusters.items()
        )
        grown = self.batch * most
        factor = grown / _PAPER_BATCH
        return [
            f"- For 80 % efficiency on {most:,} GPUs, without overlap, each needs a batch of at "
            f"least {needed}.",
            f"- A critic with {self.work.critic_steps} updates for one of the generator sends its "
            "gradients each time. With one (`--critic_steps=1 --adversarial=hinge`, ours) a step "
            f"sends {self._bytes_ratio():.1f} times fewer bytes, but also sees fewer images.",
            f"- {most:,} GPUs with {self.batch} each make a batch of {grown:,}, {factor:,.0f} "
            f"times the {_PAPER_BATCH} of the paper's form: the same images are "
            f"{_PAPER_STEPS / factor:,.0f} steps instead of {_PAPER_STEPS:,}, which is too few "
            "updates for any learning rate. Grow the batch only as long as the learning rate can "
            "grow with it: linearly after a warm-up by the rule for SGD, with its root by the "
            "usual one for Adam. Neither is tried here for a critic with a gradient penalty, and "
            "there is no warm-up among the schedules.",
        ]

    def _bytes_ratio(self) -> float:
        """Bytes of a step relative to one with a single update of the critic."""
        critic, generator = self.work.critic_bytes, self.work.generator_bytes
        return (self.work.critic_steps * critic + generator) / (critic + generator)


def _cell(step: Step) -> str:
    rate = figure(step.images / step.seconds)
    return f"{figure(step.seconds)} s, {rate}, {100 * step.efficiency:.0f} %"


def picture(models: Sequence[Scaling]) -> bytes:
    """Draws the efficiency of weak and strong scaling of each model over the GPUs, as PNG."""
    canvas, grid = panels(2)
    titles = (
        f"batch {models[0].batch} on each GPU",
        f"batch {models[0].global_batch} on all GPUs together",
    )
    for axes, title, kind in zip(grid, titles, ("weak", "strong")):
        style_axes(axes, title, "GPUs", "efficiency")
        lines, names = [], []  # The same on both sides.
        for model in models:
            for name, cluster in model.clusters.items():
                steps = getattr(model, kind)(cluster)
                shown = [step.efficiency for step in steps.values()]
                lines += axes.plot([*steps], shown, **style(len(lines)))
                names.append(f"{model.name}, {name}")
        axes.set_xscale("log", base=2)
        axes.set_xticks(GPUS[::2], [str(gpus) for gpus in GPUS[::2]])
        axes.set_ylim(0.0, 1.05)
    write_shared_legend(canvas, lines, names)
    return as_png(canvas)


def models(
    seconds_per_image: float,
    link_gigabits: Sequence[float],
    link_latency: float,
    inside: Link,
    gpus_per_node: int,
    batch: int,
    global_batch: int,
    overlap: float,
) -> list[Scaling]:
    """Returns the models of LEGAN and StarGAN in the papers' form.

    Args:
        seconds_per_image: See ``Work``.
        link_gigabits: Speeds of the link between the machines, in Gbit/s of each machine.
        link_latency: Latency of that link in seconds.
        inside: Link between the GPUs of a machine.
        gpus_per_node: GPUs of a machine.
        batch: See ``Scaling``.
        global_batch: See ``Scaling``.
        overlap: See ``Work``.
    """
    clusters = {
        f"{speed:g} Gbit/s": Cluster(gpus_per_node, inside, Link(speed * 1e9 / 8, link_latency))
        for speed in link_gigabits
    }
    return [
        Scaling(
            name, Work(seconds_per_image, *sizes, overlap=overlap), clusters, batch, global_batch
        )
        for name, sizes in gradient_bytes().items()
    ]
