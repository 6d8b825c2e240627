"""From an editor to a report on its edits of unseen people."""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any

import numpy as np

from legan_tf.data import attributes
from legan_tf.errors import UserError
from legan_tf.evaluation.judges import train_judges
from legan_tf.evaluation.kid import kid
from legan_tf.evaluation.truth import counter, embed, judge_edits, make_edits
from legan_tf.optional import UnavailableError
from legan_tf.training.datasets import EXPRESSIONS, HELD_OUT_PEOPLE, rendered_split
from legan_tf.training.run import write_aside

EDITS = 2000
COLUMNS = {
    "expression": "expression read as asked ↑",
    "lighting": "lighting read as asked ↑",
    "ssim": "SSIM to the truth ↑",
    "l1": "L1 to the truth ↓",
    "person": "person found ↑",
    "rating": "rating by Q ↑",
    "kid": "KID to the truth ↓",
}
ROWS = {
    "edit": "the model's edit",
    "copy": "the input, copied",
    "truth": "the true picture",
}


def _rendered_classes(editor: Any) -> tuple[str, bool]:
    """The options of rendered faces that give the classes of an editor."""
    for name, expressions in EXPRESSIONS.items():
        for merged in (True, False):
            if (tuple(editor.expressions), tuple(editor.lightings)) == (
                expressions,
                attributes.lightings(merged),
            ):
                return name, merged
    raise UserError(
        "the model edits classes that rendered faces do not have "
        f"(expressions {', '.join(editor.expressions)}; lightings {', '.join(editor.lightings)})"
    )


def evaluate(
    editor: Any,
    output: str,
    judges_dir: str = "",
    judge_steps: int = 800,
    edits: int = EDITS,
    seed: int = 0,
) -> dict[str, Any]:
    """Judges an editor on rendered people whom no network has seen, and writes the report.

    Args:
        editor: What ``legan_tf.load`` gives for a generator.
        output: Folder of ``report.json`` and ``report.md``.
        judges_dir: Folder of the judges; ``output/judges`` if empty. They are trained if missing.
        judge_steps: Updates of each judge.
        edits: Edits to judge, their sources and targets drawn uniformly.
        seed: Seed of the people (those of the test split) and of the draws.

    Returns:
        What ``report.json`` holds.

    Raises:
        UserError: The editor's classes are not those of rendered faces, ``output`` cannot be
            written to, or the judges in ``judges_dir`` are others than asked for.
    """
    expressions, merged = _rendered_classes(editor)
    _make_writable(output)
    judges = train_judges(
        judges_dir or os.path.join(output, "judges"),
        editor.image_size,
        expressions,
        merged,
        judge_steps,
    )
    faces = rendered_split("test", HELD_OUT_PEOPLE, expressions, merged, editor.image_size, seed)
    made = make_edits(editor, faces, edits, seed)
    figures = judge_edits(made, faces, judges.classifier, judges.face_network, judges.quality)
    count = counter(3 * edits, "comparing sets")
    features = {
        name: _comparable(embed(judges.face_network, made[name], count))
        for name in ("edit", "copy", "truth")
    }
    missing = []
    try:
        for name in ("edit", "copy"):
            figures[name]["kid"] = kid(features[name], features["truth"])
    except UnavailableError as error:
        missing.append(str(error))
    report = {
        "data": faces.name,
        "people": len(faces.identities),
        "image_size": faces.image_size,
        "edits": edits,
        "seed": seed,
        "figures": figures,
        "missing": missing,
    }
    write_aside(os.path.join(output, "report.json"), json.dumps(report, indent=2).encode())
    write_aside(os.path.join(output, "report.md"), as_markdown(report).encode())
    return report


def _make_writable(folder: str) -> None:
    """Makes the folder of the report, before the hours that the report may take."""
    try:
        os.makedirs(folder, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(
            f"--output={folder}: it cannot be written to as a folder ({error.strerror}). Name "
            "another one."
        ) from error


def _comparable(embeddings: np.ndarray) -> np.ndarray:
    """Embeddings of equal length, with values of about 1: KID's kernel is a cubic of products."""
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return embeddings / lengths * np.sqrt(embeddings.shape[1])


def as_markdown(report: dict[str, Any]) -> str:
    """Returns a report as a Markdown table with what it was measured on."""
    figures = report["figures"]
    columns = [key for key in COLUMNS if any(key in row for row in figures.values())]
    lines = [
        "| | " + " | ".join(COLUMNS[key] for key in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for name, row in figures.items():
        cells = [f"{row[key]:.3f}" if key in row else "–" for key in columns]
        lines.append(f"| {ROWS[name]} | " + " | ".join(cells) + " |")
    lines += [
        "",
        f"{report['edits']} edits of {report['people']} people of {report['data']} that no network "
        f"has seen, {report['image_size']} × {report['image_size']}, sources and targets uniform, "
        f"seed {report['seed']}. Expression and lighting as an independent classifier reads them; "
        "SSIM and L1 on 8-bit RGB; the person is looked for among the neutral, flashless pictures "
        "of all these people with an independent face network, whose features KID compares too; "
        "the rating is that of an independent Q, 1 to 10.",
        "",
        *report["missing"],
    ]
    return "\n".join(lines)
