"""Setup and report files common to all experiments."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from legan_research.experiments.config import ExperimentOptions
from legan_research.experiments.provenance import check_unseen, networks_of, quality_of
from legan_tf.data import storage
from legan_tf.data.output_folder import folder_problem
from legan_tf.data.rendered.expressions import EXPRESSIONS
from legan_tf.data.rendered.lights import LIGHTS
from legan_tf.data.resumable import WorkLog
from legan_tf.errors import UserError
from legan_tf.serving.labels import EDITOR, SCORER
from legan_tf.serving.loading import Editor, Scorer, load

REPORT_FILE, MARKDOWN_FILE = "report.json", "report.md"
# Descriptions, for error messages, of the settings that are checksums.
_CHECKSUMS = {
    "model": "another model",
    "quality_model": "another --quality_model",
    "identity_model": "another --identity_model",
    "features": "other --features",
}


@dataclasses.dataclass(frozen=True)
class Experiment:
    """An experiment whose options are checked and whose networks are loaded.

    Attributes:
        name: Name of the experiment.
        output: Real path of its folder.
        options: The options, with the sizes of this experiment.
        editor: The editor.
        scorer: Q; None if unknown or not used.
        warnings: A sentence for each network whose training data is unknown.
    """

    name: str
    output: str
    options: ExperimentOptions
    editor: Editor
    scorer: Scorer | None
    warnings: Sequence[str]

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Creates the folder, or checks that it is of the same experiment.

        Args:
            settings: All that the results depend on, besides the number of seeds.

        Raises:
            UserError: It holds other files, was begun with other settings, or has a report of more
                seeds than these.
        """
        self._refuse_fewer_seeds()
        settings = {"experiment": self.name, **settings}
        WorkLog(self.output, "experiment", settings, _CHECKSUMS).begin()

    def _refuse_fewer_seeds(self) -> None:
        file = os.path.join(self.output, REPORT_FILE)
        if not os.path.exists(file):
            return
        try:
            before = max(map(len, json.loads(storage.read_bytes(file))["arms"].values()))
        except (ValueError, KeyError, TypeError, AttributeError):
            return  # Damaged, or of an experiment without seeds: it is written anew.
        if before > self.options.seeds:
            raise UserError(
                f"--seeds={self.options.seeds}: the report in {self.output} is of {before} seeds; "
                "give as many or more, or name a new --output."
            )

    def write(self, text: str, report: Mapping[str, Any], plots: Mapping[str, bytes]) -> str:
        """Writes the plots, ``report.md`` and last ``report.json``.

        Args:
            text: Markdown; links to the plots are appended.
            report: Content of ``report.json``.
            plots: PNGs by file name.

        Returns:
            The content of ``report.md``.
        """
        text += "".join(f"\n![{name}]({name})\n" for name in plots)
        content = json.dumps({"format": 1, **report}, indent=2, ensure_ascii=False).encode()
        files = {**plots, MARKDOWN_FILE: text.encode(), REPORT_FILE: content}
        for name, data in files.items():
            storage.write_bytes(os.path.join(self.output, name), data)
        return text


def open_experiment(
    name: str,
    model: str,
    output: str,
    options: ExperimentOptions,
    scored: bool = False,
    trained: bool = True,
) -> Experiment:
    """Checks the options and loads the networks; writes nothing.

    Args:
        name: Name of the experiment.
        model: Path of the editor.
        output: Folder of the results.
        options: The options.
        scored: Whether Q is used.
        trained: Whether the experiment trains on people of split train, which the networks must
            not have been trained on. Otherwise all its people are of split test.

    Raises:
        UserError: Options, folder or networks cannot be used.
    """
    options.check(name)
    options = options.sized(name)
    problem = folder_problem(output)
    if problem:
        raise UserError(f"{problem}.")
    editor = _open_editor(model)
    scorer = _open_scorer(model, options) if scored else None
    seeds = range(options.data_seed, options.data_seed + options.seeds) if trained else ()
    warnings = check_unseen(networks_of(model, options), seeds)
    # Trainings store the path, so it must not depend on the spelling.
    return Experiment(name, os.path.realpath(output), options, editor, scorer, warnings)


def _open_editor(path: str) -> Editor:
    editor = load(path)
    if editor.kind != EDITOR:
        raise UserError(f"--model={path}: is no editor, so it cannot make pictures.")
    shown = {"expression": EXPRESSIONS, "lighting": LIGHTS}
    unknown = [
        name
        for one in editor.conditions
        for name in one.names
        if name not in shown.get(one.name, ())
    ]
    if unknown:
        raise UserError(
            f"--model={path}: it knows {', '.join(unknown)}, which rendered faces do not show; "
            "give a model of --dataset=rendered."
        )
    return editor


def _open_scorer(model: str, options: ExperimentOptions) -> Scorer | None:
    """Q of ``--quality_model``, or the Q that the run of the model trained or was given."""
    file = options.quality_model or quality_of(model)
    if not file:
        return None
    scorer = load(file)
    if scorer.kind != SCORER:
        raise UserError(f"--quality_model={file}: is not Q, so it cannot rate pictures.")
    return scorer
