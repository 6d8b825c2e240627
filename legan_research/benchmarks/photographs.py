"""Benchmark of edits of photographs, from the shell to the file and of a face once fitted."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from PIL import Image

from legan_research.benchmarks.paired import PAIRS, figure, table
from legan_tf.command_line.cli import Progress
from legan_tf.data.rendered import rendered_faces
from legan_tf.uses.photographs.photograph_editor import PhotographEditor

SIZES = (512, 1350, 3464)
"""Heights and widths of the pictures, in pixels; the last has 12 megapixels."""

_DRAWN = 512  # Size that the face is drawn at.
_FILLS = 0.55  # Share of a picture's side that it fills.
_GREY = 128


@dataclasses.dataclass(frozen=True)
class Usage:
    """What a piece of work takes.

    Attributes:
        wall: Seconds.
        processor: Seconds of all cores together.
        memory: Most MB that its process had; None where it shares one.
    """

    wall: float
    processor: float
    memory: float | None = None


def benchmark(runs: int = PAIRS, sizes: Sequence[int] = SIZES) -> str:
    """Returns a table of the time and memory of edits of a drawn face.

    Args:
        runs: Runs of each, of which the medians are given.
        sizes: Heights and widths of the pictures.
    """
    rows = []
    progress = Progress(len(sizes) * 6, "edits")
    for size in sizes:
        picture = drawn_photograph(size)
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "face.jpg")
            Image.fromarray(picture).save(file, quality=95)
            for what, work, count in (*_commands(file, runs), *_edits(picture, runs)):
                used = [work() for _ in range(count)]
                rows.append([f"{size} x {size}: {what}", *_cells(used)])
                progress.update(len(rows))
    return "\n".join(table(["", "wall, s", "processor, s", "most memory, MB"], rows)) + "\n"


_Work = tuple[str, Callable[[], Usage], int]
"""What is done, what does it, and how often."""


def _commands(file: str, runs: int) -> Iterator[_Work]:
    output = os.path.join(os.path.dirname(file), "edited.jpg")
    for what, target in (("a smile", "--expression=smile"), ("a light", "--lighting=left")):
        given = "edit", f"--input={file}", target, f"--output={output}"
        yield f"the command, {what}", functools.partial(_of_command, *given), runs


def _edits(picture: np.ndarray, runs: int) -> Iterator[_Work]:
    PhotographEditor(picture)  # Networks and head are loaded.
    yield "finding and fitting", lambda: _of(lambda: PhotographEditor(picture)), runs
    editor = PhotographEditor(picture)
    strengths = iter(np.linspace(0.5, 1.0, runs + 1))
    lights = itertools.cycle(["right", "left"])

    def smile() -> Usage:
        return _of(lambda: editor.edit("smile", strength=float(next(strengths))))

    def light() -> Usage:
        return _of(lambda: editor.edit(lighting=next(lights)))

    yield "a first smile of a fitted face", smile, 1
    yield "another strength of it", smile, runs
    light()
    yield "another light", light, runs


def drawn_photograph(size: int) -> np.ndarray:
    """Returns a rendered face on grey, uint8 [size, size, 3]."""
    faces = rendered_faces("train", 1, ["neutral"], ["shot07"], _DRAWN, seed=0)
    side = round(_FILLS * size)
    face = Image.fromarray(faces.images(np.arange(1))[0]).resize((side, side), Image.LANCZOS)
    canvas = Image.new("RGB", (size, size), (_GREY,) * 3)
    canvas.paste(face, ((size - side) // 2,) * 2)
    return np.asarray(canvas)


def _of(work: Callable[[], object]) -> Usage:
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return Usage(time.perf_counter() - wall, time.process_time() - processor)


# A small process in between: a child's peak begins with that of the process that starts it.
_STARTER = """
import resource, subprocess, sys, time
began = time.perf_counter()
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6)
sys.exit(code)
"""


def _of_command(*arguments: str) -> Usage:
    command = [sys.executable, "-c", _STARTER, sys.executable, "-m", "legan_tf", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Usage(*map(float, done.stdout.split()))


def _cells(used: Sequence[Usage]) -> list[str]:
    memory = [usage.memory for usage in used if usage.memory is not None]
    wall, processor = (
        statistics.median(getattr(usage, name) for usage in used) for name in ("wall", "processor")
    )
    return [figure(wall), figure(processor), f"{max(memory):.0f}" if memory else ""]
