"""What is known of the people that networks have learned from."""

from __future__ import annotations

import pytest

from legan_research.experiments.config import ExperimentOptions
from legan_research.experiments.provenance import chain_of, check_unseen, networks_of
from legan_tf.errors import UserError
from legan_tf.training import systems


def test_what_a_network_began_with_counts_too(tmp_path):
    """Q learned from a manifest, after it had learned from people of seed 7."""

    def run(name: str, **options: object) -> str:
        folder = tmp_path / name
        folder.mkdir()
        config = systems.make(workdir=str(folder), **options)
        (folder / "flags.txt").write_text(config.to_flagfile())
        return str(folder)

    first = run("first", model="quality", seed=7)
    second = run("second", model="quality", start_from=first, dataset="manifest", manifest="m.csv")
    editor = run("editor", quality_model=second, seed=3)
    networks = networks_of(editor, ExperimentOptions())
    assert [path for _, path in networks] == [editor, second, first]
    with pytest.raises(UserError) as error:
        check_unseen(networks, [7, 8])
    assert str(error.value).startswith(
        f"--data_seed=7: --start_from={first} of the Q of --model={editor} was trained with seed 7,"
    )
    assert [doubt for doubt in check_unseen(networks, [8]) if "manifest" in doubt]


def test_runs_that_name_each_other_come_to_an_end(tmp_path):
    """A began with B, whose folder then served a run that began with A."""
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    for folder, start in ((a, b), (b, a)):
        config = systems.make(model="quality", workdir=folder, start_from=start)
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "flags.txt").write_text(config.to_flagfile())
    assert [path for _, path in chain_of("Q", a)] == [a, b]
