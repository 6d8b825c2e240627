"""Benchmark of training over image sizes, batch sizes, replicas and steps."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from legan_research.benchmarks import training
from legan_research.benchmarks.paired import PAIRS, figure, table
from legan_tf.command_line.cli import counter
from legan_tf.plotting.drawing import as_png, panels, style, style_axes
from legan_tf.training.run_folder import METRICS_FILE, RECORD_FILE, Checkpoints
from legan_tf.training.systems.stargan import Stargan

SIZES = (64, 128, 192, 256)
BATCH_SIZES = (1, 2, 4, 8, 16)
REPLICAS = (1, 2, 4)
STEPS, SAMPLED_EVERY = 2000, 50
"""Steps of the run whose memory is measured, and the interval of the measurements."""
_POLL_S = 0.02
_MIB = 2.0**20


@dataclasses.dataclass(frozen=True)
class Moment:
    """A measurement during a run.

    Attributes:
        step: Steps done.
        seconds: Time since the process was started.
        memory: Resident memory of the process in MiB.
    """

    step: int
    seconds: float
    memory: float


@dataclasses.dataclass(frozen=True)
class Growth:
    """The measurements.

    Attributes:
        config: The trained configuration; each curve varies one option of it.
        sizes: Seconds of a step by image size.
        batch_sizes: Seconds of a step by batch size.
        replicas: Seconds of a step by number of CPU replicas, which share the batch.
        run: Measurements during a long run, evenly spaced.
        start: Measurements at the start of a run: before the first step and after each step.
        checkpoint: Seconds to write and to restore a checkpoint, and its bytes.
    """

    config: Stargan
    sizes: Mapping[int, float]
    batch_sizes: Mapping[int, float]
    replicas: Mapping[int, float]
    run: Sequence[Moment]
    start: Sequence[Moment]
    checkpoint: tuple[float, float, int]

    def rates(self) -> tuple[dict[int, float], dict[int, float], dict[int, float]]:
        """Returns the images per second, as logged by training, by size, batch and replicas."""
        each = self.config.critic_steps
        batch = each * self.config.batch_size
        return (
            {size: batch / seconds for size, seconds in self.sizes.items()},
            {size: each * size / seconds for size, seconds in self.batch_sizes.items()},
            {count: batch / seconds for count, seconds in self.replicas.items()},
        )

    def quarters(self) -> tuple[float, float]:
        """Returns the median memory of the first and of the last quarter of the run, in MiB."""
        memory = [moment.memory for moment in self.run]
        count = max(1, len(memory) // 4)
        return statistics.median(memory[:count]), statistics.median(memory[-count:])

    def markdown(self) -> str:
        """Returns the tables."""
        size, batch = self.config.image_size, self.config.batch_size
        lines = []
        for head, times, rates in zip(
            (f"size, batch {batch}", f"batch, {size} x {size}", f"CPU replicas, batch {batch}"),
            (self.sizes, self.batch_sizes, self.replicas),
            self.rates(),
        ):
            rows = [[str(key), f"{times[key]:.3g}", figure(rates[key])] for key in times]
            lines += [*table([head, "step, s", "images/s"], rows), ""]
        first, last = self.quarters()
        ready, *steps = self.start
        each = statistics.median(b.seconds - a.seconds for a, b in zip(steps, steps[1:]))
        written, restored, size = self.checkpoint
        rows = [
            [f"memory in the first quarter of {self.run[-1].step:,} steps", f"{first:,.0f} MiB"],
            ["in the last", f"{last:,.0f} MiB ({100 * (last / first - 1):+.2f} %)"],
            ["from the start of the process until all is made", f"{ready.seconds:.1f} s"],
            ["until the first step is done", f"{steps[0].seconds:.1f} s"],
            ["a step after that", f"{each:.1f} s"],
            [f"to write a checkpoint of {size / 1e6:,.0f} MB", f"{written:.2f} s"],
            ["to restore it", f"{restored:.2f} s"],
        ]
        return "\n".join([*lines, *table(["", ""], rows)]) + "\n"

    def picture(self) -> bytes:
        """Draws images per second against size and batch, and memory against steps, as PNG."""
        sizes, batches, _ = self.rates()
        run = {moment.step: moment.memory for moment in self.run}
        drawn = (
            (f"batch {self.config.batch_size}", "height and width", "images/s", sizes),
            (f"{self.config.image_size} x {self.config.image_size}", "batch", "images/s", batches),
            ("a long run", "step", "resident memory, MiB", run),
        )
        canvas, grid = panels(len(drawn))
        for axes, (title, xlabel, ylabel, values) in zip(grid, drawn):
            style_axes(axes, title, xlabel, ylabel)
            few = len(values) < 10
            axes.plot(
                [*values], [*values.values()], marker="o" if few else None, markersize=4, **style(0)
            )
            if few:
                axes.set_xticks([*values])
            axes.set_ylim(0.0, 1.1 * max(values.values()))
        return as_png(canvas)


def benchmark(repeats: int = PAIRS, config: Stargan = training.CONFIG) -> Growth:
    """Times training steps, each variant in a separate process, and measures real runs.

    The long run is the LEGAN of the quickstart, with auxiliary networks that are hardly trained.

    Args:
        repeats: Number of timed steps of each median.
        config: The configuration that is varied.
    """
    variants = [
        {size: dataclasses.replace(config, image_size=size) for size in SIZES},
        {size: dataclasses.replace(config, batch_size=size) for size in BATCH_SIZES},
        {count: dataclasses.replace(config, replicas=count) for count in REPLICAS},
    ]
    count = counter(sum(map(len, variants)), "training steps")
    curves: list[dict[int, float]] = []
    for variant in variants:
        curves.append({})
        for key, form in variant.items():
            curves[-1][key] = statistics.median(training.apart(form, repeats)["seconds"])
            count(1)
    flags = [f"--train_steps={STEPS}", f"--log_every={SAMPLED_EVERY}", "--checkpoint_every=500"]
    flags += ["--auxiliary_steps=50", "--rated_faces=500"]
    return Growth(
        config,
        *curves,
        run=[moment for moment in started("quickstart", *flags) if moment.step],
        start=list(itertools.islice(started("stargan", "--log_every=1"), 4)),
        checkpoint=checkpointed(config, repeats),
    )


def started(config: str, *flags: str) -> Iterator[Moment]:
    """Runs ``legan-tf train`` in a temporary folder.

    Args:
        config: Name of a shipped flag file, without its suffix.
        *flags: Further flags; ``--log_every`` sets the steps between measurements.

    Yields:
        A measurement before the first step, and one at every line of the metrics. The run is killed
        when the iterator is closed.

    Raises:
        RuntimeError: The run failed; its message is on stderr.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "legan_tf", "train", f"--flagfile={config}.flags", *flags]
        began = time.monotonic()
        process = subprocess.Popen([*command, f"--workdir={folder}"], stdin=subprocess.DEVNULL)
        try:
            for step in _steps_of(folder, process):
                memory = _resident(process.pid)
                if memory is not None:  # Else the process has ended.
                    yield Moment(step, time.monotonic() - began, memory)
        finally:
            process.kill()
            process.wait()


def _steps_of(folder: str, process: subprocess.Popen) -> Iterator[int]:
    """Yields 0 when a run is set up, then every step in its metrics."""
    metrics, last, ended = os.path.join(folder, METRICS_FILE), -1, False
    while not ended:
        # Checked first, so that the last lines before the end are read.
        ended = process.poll() is not None
        steps = [0] if os.path.exists(os.path.join(folder, RECORD_FILE)) else []
        if os.path.exists(metrics):
            with open(metrics, encoding="utf-8") as file:
                steps += [json.loads(line)["step"] for line in file if line.endswith("\n")]
        new = [step for step in steps if step > last]
        yield from new
        last = max(new, default=last)
        if not new and not ended:
            time.sleep(_POLL_S)
    if process.returncode:
        raise RuntimeError("legan-tf train failed; its message is on stderr")


def _resident(pid: int) -> float | None:
    """Resident memory of a process in MiB; None if it has ended."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            pages = int(file.read().split()[1])
    except (OSError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / _MIB or None


def checkpointed(config: Stargan, repeats: int) -> tuple[float, float, int]:
    """Writes and restores checkpoints of StarGAN.

    Args:
        config: Configuration of StarGAN.
        repeats: Number of timed writes and restores.

    Returns:
        Median seconds to check and write a checkpoint, to restore it, and its bytes.
    """
    made = training.Training.of(config)
    state = {**made.trainer.state, **made.optimizers}
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(folder, 1, **state)

        def write(step: int) -> None:
            checkpoints.check_finite()
            checkpoints.save(step)

        written = [_seconds(lambda step=step: write(step)) for step in range(repeats)]
        size = sum(entry.stat().st_size for entry in os.scandir(folder))
        restored = [_seconds(checkpoints.restore) for _ in range(repeats)]
    return statistics.median(written), statistics.median(restored), size


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
