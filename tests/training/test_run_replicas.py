"""How many replicas share a batch makes no difference to what is learned."""

from __future__ import annotations

import shutil

import pytest

OBJECTIVES = {
    # The whole of LEGAN's loss in the paper's form, and the form of the small runs.
    "wgan-gp": {"model": "legan"},
    "hinge": {
        "model": "stargan",
        "adversarial": "hinge",
        "penalty_every": 2,
        "keep_share": 0.2,
        "fake_class": True,
        "identity_weight": 0,
        "quality_weight": 0,
    },
    "identity": {"model": "identity", "flip": True},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, faces, runs):
    """A folder with each objective trained on one replica and on two, in one process."""
    folder = tmp_path_factory.mktemp("replicas")
    guides = {"quality_model": folder / "quality", "identity_model": folder / "face"}
    todo = [
        (
            folder / f"{name}-{replicas}",
            {
                "dataset": "manifest",
                "manifest": faces / "faces.csv",
                "train_steps": 1,
                "log_every": 1,
                "schedule": "constant",
                "replicas": replicas,
                **(guides if objective["model"] == "legan" else {}),
                **objective,
            },
        )
        for name, objective in OBJECTIVES.items()
        for replicas in (1, 2)
    ]
    runs.untrained(folder / "quality", "quality")
    runs.untrained(folder / "face", "identity")
    runs.in_turn(2, *todo)
    return folder


@pytest.mark.parametrize("name", OBJECTIVES)
def test_two_replicas_make_the_update_of_one(name, folder, runs):
    one, two = (runs.last_checkpoint(folder / f"{name}-{replicas}") for replicas in (1, 2))
    runs.assert_same_update(one, two)
    lines = [runs.metrics(folder / f"{name}-{replicas}") for replicas in (1, 2)]
    for left, right in zip(*lines):
        assert left.keys() == right.keys()
        assert list(left.values()) == pytest.approx(list(right.values()), rel=2e-3, abs=2e-5)


def test_a_run_goes_on_with_another_number_of_replicas(folder, faces, tmp_path, runs):
    workdir = shutil.copytree(folder / "hinge-1", tmp_path / "run")
    options = {
        "dataset": "manifest",
        "manifest": faces / "faces.csv",
        "train_steps": 2,
        "log_every": 1,
        "schedule": "constant",
        **OBJECTIVES["hinge"],
    }
    before = runs.metrics(workdir)
    status, output = runs.start(workdir, **options, replicas=2).wait()
    assert status == 0, output
    assert "resumed at step 1" in output
    after = runs.metrics(workdir)
    assert after[:1] == before
    assert [line["step"] for line in after] == [1, 2]
