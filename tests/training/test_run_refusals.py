"""What does not fit is refused in a sentence, and nothing good is lost by it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil

import keras
import numpy as np
import pytest

from legan_tf.data.rendered import FACES
from legan_tf.errors import UserError
from legan_tf.training.callbacks import Recorder, RunningMeans, Saver, TrainingDivergedError
from legan_tf.training.gan import ADVERSARIAL_TERMS
from legan_tf.training.run_checks import check_resumable
from legan_tf.training.run_folder import CHECKPOINTS, Checkpoints, RunFolder, saved_step
from legan_tf.training.system import System
from legan_tf.training.train import train


@pytest.fixture(scope="module")
def options(faces):
    """The quickest run there is."""
    return {
        "model": "stargan",
        "dataset": "manifest",
        "manifest": faces / "faces.csv",
        "identity_weight": 0,
        "quality_weight": 0,
        "adversarial": "hinge",
        "penalty_weight": 0,
        "critic_steps": 1,
        "blocks": 0,
        "train_steps": 2,
        "log_every": 1,
        "checkpoint_every": 1,
    }


@pytest.fixture(scope="module")
def finished(options, runs, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("finished") / "run"
    assert train(runs.config(workdir, **options)) == 0
    return workdir


@pytest.fixture
def run(finished, tmp_path):
    """A copy of the finished run, to change."""
    return shutil.copytree(finished, tmp_path / "run")


@pytest.fixture
def incomplete(run):
    """A run that took its last step but was killed before it wrote its network."""
    (run / "model.keras").unlink()
    return run


def opened(system: System) -> RunFolder:
    """The run folder of a system, locked and begun."""
    folder = RunFolder(system.run.workdir)
    folder.begin(system.to_flagfile(), check_resumable(system), [])
    return folder


def listing(folder):
    return sorted((str(path), path.stat().st_mtime_ns) for path in folder.rglob("*"))


def test_the_script_refuses_changed_flags_by_name(options, run, runs):
    before = listing(run)
    changed = {"width": 8, "learning_rate": 0.5, "seed": 3}
    status, output = runs.start(run, **{**options, **changed}).wait()
    assert status == 2
    assert "Traceback" not in output
    for name, was in (("width", "4"), ("learning_rate", "0.001"), ("seed", "0")):
        assert f"--{name} was {was}, is now {changed[name]}" in output
    assert len(re.findall(" was ", output)) == 3
    assert listing(run) == before


def test_a_schedule_does_not_fit_another_number_of_steps(options, run, runs):
    with pytest.raises(UserError, match="--train_steps was 2, is now 4: the linear schedule"):
        train(runs.config(run, **{**options, "train_steps": 4}))


def test_free_flags_may_change_and_a_complete_run_has_nothing_to_do(options, run, runs, capsys):
    before = runs.last_checkpoint(run)
    free = {"log_every": 2, "keep_checkpoints": 1, "sample_every": 7, "deterministic": False}
    assert train(runs.config(run, **{**options, **free})) == 0
    assert "complete at step 2, nothing to do" in capsys.readouterr().err
    after = runs.last_checkpoint(run)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_a_run_on_the_rendered_faces_of_before_does_not_go_on(options, tmp_path, runs, capsys):
    rendered = {**options, "dataset": "rendered", "manifest": "", "people": 2}
    rendered.update(train_steps=1, schedule="constant")
    run = tmp_path / "run"
    assert train(runs.config(run, **rendered)) == 0
    inputs = json.loads((run / "inputs.json").read_text())
    assert inputs.pop("rendered faces") == FACES
    (run / "inputs.json").write_text(json.dumps(inputs))
    before = listing(run)
    with pytest.raises(UserError, match="on the rendered faces of an earlier version"):
        train(runs.config(run, **{**rendered, "train_steps": 2}))
    assert listing(run) == before
    # Complete as it is, it can be asked for again.
    assert train(runs.config(run, **rendered)) == 0
    assert "nothing to do" in capsys.readouterr().err


def test_before_the_first_checkpoint_all_flags_may_change(options, tmp_path, runs):
    opened(runs.config(tmp_path / "run", **options)).close()
    other = runs.config(tmp_path / "run", **{**options, "width": 8, "seed": 1})
    opened(other).close()
    assert (tmp_path / "run/flags.txt").read_text() == other.to_flagfile()


def test_a_run_goes_on_only_with_the_input_files_it_began_with(options, faces, tmp_path, runs):
    """The flags name the same files, but the files are others."""
    manifest = tmp_path / "faces.csv"
    manifest.write_bytes((faces / "faces.csv").read_bytes())
    given = {
        **options,
        "manifest": manifest,
        "data_dir": faces,
        "quality_model": runs.untrained(tmp_path / "q", "quality"),
        "quality_weight": 1.0,
        "identity_model": runs.untrained(tmp_path / "i", "identity") / "model.keras",
        "identity_weight": 1.0,
        "schedule": "constant",
    }
    workdir = tmp_path / "run"
    assert train(runs.config(workdir, **given)) == 0
    written = json.loads((workdir / "inputs.json").read_text())
    assert written["manifest"] == hashlib.sha256(manifest.read_bytes()).hexdigest()
    assert written.keys() == {"manifest", "quality_model", "identity_model"}
    before = listing(workdir)
    more = runs.config(workdir, **{**given, "train_steps": 3})
    for flag, file in (
        ("manifest", manifest),
        ("quality_model", tmp_path / "q/model.keras"),
        ("identity_model", tmp_path / "i/model.keras"),
    ):
        content = file.read_bytes()
        file.write_bytes(content + b"\n")
        with pytest.raises(UserError) as error:
            train(more)
        assert str(error.value).startswith(
            f"--{flag}: its content has changed since this run began in {workdir}"
        )
        file.write_bytes(content)
    assert listing(workdir) == before
    assert train(more) == 0
    assert saved_step(str(workdir)) == 3


def test_before_the_first_checkpoint_input_files_may_change(options, faces, tmp_path, runs):
    manifest = tmp_path / "faces.csv"
    digests = set()
    for content in (b"one", b"other"):
        manifest.write_bytes(content)
        opened(runs.config(tmp_path / "run", **{**options, "manifest": manifest})).close()
        digests.add(json.loads((tmp_path / "run/inputs.json").read_text())["manifest"])
    assert digests == {hashlib.sha256(content).hexdigest() for content in (b"one", b"other")}


@pytest.mark.parametrize("part", [".index", ".data-00000-of-00001"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_serves(
    part, options, incomplete, runs
):
    file = incomplete / f"checkpoints/ckpt-2{part}"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UserError) as error:
        train(runs.config(incomplete, **options))
    assert re.match(r".*ckpt-2: this checkpoint cannot be restored: .+\. Delete", str(error.value))
    assert "\n" not in str(error.value)
    for left in (incomplete / "checkpoints").glob("ckpt-2.*"):
        left.unlink()
    with pytest.raises(UserError, match="goes on at step 1, which is no multiple"):
        train(runs.config(incomplete, **{**options, "steps_per_execution": 2, "log_every": 2,
                                  "checkpoint_every": 2}))  # fmt: skip


def test_one_process_has_the_folder(options, incomplete, runs):
    holder = opened(runs.config(incomplete, **options))
    try:
        with pytest.raises(UserError, match="run: another process is training here"):
            train(runs.config(incomplete, **options))
    finally:
        holder.close()
    assert train(runs.config(incomplete, **options)) == 0


def test_a_file_is_no_run_folder(options, tmp_path, runs):
    (tmp_path / "run").write_text("")
    with pytest.raises(UserError, match="--workdir=.*run: it cannot be written to: "):
        train(runs.config(tmp_path / "run", **options))


def test_what_a_killed_process_was_writing_is_removed(options, run, runs):
    for name in (".writing-model.keras", ".writing-ab12", "samples/.writing-x.png"):
        (run / name).write_text("half")
    opened(runs.config(run, **options)).close()
    assert not list(run.rglob(".writing*"))
    assert (run / "model.keras").exists()


def test_a_line_cut_short_is_dropped_with_those_that_come_again(options, run, runs):
    with open(run / "metrics.jsonl", "a") as file:
        file.write('{"step": 2, "crit')
    folder = opened(runs.config(run, **options))
    folder.forget_metrics_after(1)
    folder.close()
    lines = (run / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1]


ABSURD = {"adversarial": "wgan-gp", "penalty_weight": 10.0, "d_depth": 4, "sample_every": 40}


def test_divergence_stops_with_the_step_and_the_term(options, tmp_path, runs):
    every_4 = {"steps_per_execution": 4, "log_every": 4, "checkpoint_every": 4}
    with pytest.raises(TrainingDivergedError) as error:
        train(
            runs.config(
                tmp_path / "run",
                **{**options, **ABSURD, **every_4, "train_steps": 40, "learning_rate": 1e9},
            )
        )
    told = re.match(
        r"the term '(\w+)' became (nan|inf|-inf) at step 4; the last checkpoint before it is "
        r"kept in .*checkpoints\. Lower --learning_rate",
        str(error.value),
    )
    assert told, error.value
    assert told[1] in ADVERSARIAL_TERMS
    assert saved_step(str(tmp_path / "run")) is None
    assert not (tmp_path / "run/model.keras").exists()


def test_divergence_keeps_the_checkpoint_before_it(options, tmp_path, runs):
    config = runs.config(
        tmp_path / "run", **{**options, **ABSURD, "train_steps": 40, "learning_rate": 100.0}
    )
    with pytest.raises(TrainingDivergedError) as error:
        train(config)
    told = re.search(r"at step (\d+); the last checkpoint before it is kept", str(error.value))
    step = int(told[1])
    assert saved_step(str(tmp_path / "run")) == step - 1 > 0
    for name, value in runs.last_checkpoint(tmp_path / "run").items():
        assert name.startswith("means") or np.all(np.isfinite(value)), name
    network = keras.models.load_model(tmp_path / "run/model.keras")
    assert all(np.all(np.isfinite(weight)) for weight in network.get_weights())


def test_weights_that_are_not_finite_are_never_saved(options, run, runs):
    """The losses of a step tell nothing of the weights after its update."""
    checkpoints = listing(run / "checkpoints")
    network = (run / "model.keras").read_bytes()
    config = runs.config(run, **options)
    folder = opened(config)
    generator = keras.models.load_model(run / "model.keras")
    saved = Checkpoints(folder.path(CHECKPOINTS), 3, generator=generator)
    recorder = Recorder(folder, config, 3, {}, RunningMeans([]))
    saver = Saver(folder, recorder, saved, {"model.keras": generator}, 1, 9)
    weight = generator.weights[0]
    weight.assign(np.full(weight.shape, np.nan))
    with pytest.raises(TrainingDivergedError, match="weights of generator .* at step 3"):
        saver.save()
    folder.close()
    assert listing(run / "checkpoints") == checkpoints
    assert (run / "model.keras").read_bytes() == network


@pytest.fixture
def wrong_networks(finished, tmp_path):
    (tmp_path / "text.keras").write_text("no network")
    whole = (finished / "model.keras").read_bytes()
    (tmp_path / "cut.keras").write_bytes(whole[: len(whole) // 2])
    return {
        "none": "no such file or folder",
        "text.keras": "not a .keras file, or is damaged",
        "cut.keras": "not a .keras file, or is damaged",
        str(finished): "it holds a StarganGenerator, not a ",
    }


@pytest.mark.parametrize("kind", ["quality", "identity"])
def test_a_wrong_auxiliary_network_is_named(kind, options, wrong_networks, tmp_path, runs):
    for name, reason in wrong_networks.items():
        given = {f"{kind}_model": str(tmp_path / name), f"{kind}_weight": 1.0}
        with pytest.raises(UserError) as error:
            train(runs.config(tmp_path / "new", **{**options, **given}))
        assert f"--{kind}_model={tmp_path / name}: " in str(error.value)
        assert reason in str(error.value)
        assert "\n" not in str(error.value)


def test_a_dry_run_of_rendered_faces_tells_all_and_writes_nothing(
    tmp_path, runs, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    config = runs.config("runs/new", dry_run=True, model="legan", batch_size=6, train_steps=1234)
    assert train(config) == 0
    assert os.listdir(tmp_path) == []
    printed = capsys.readouterr().out
    assert "plan of runs/new (legan)" in printed
    assert "2 people x 6 expressions x 19 lightings = 228 images" in printed
    assert "50 people x 6 expressions x 19 lightings = 5700 images" in printed
    assert "1,234 steps of 6 images, 2 updates of the discriminator in each" in printed
    for kind in ("quality", "identity"):
        assert f"{kind} network: a small one is trained first" in printed
    for name in ("legan_generator", "discriminator", "quality_estimator", "lightcnn29"):
        assert re.search(rf"{name}: [\d,]+ parameters", printed), name
    assert config.to_flagfile().rstrip() in printed


def test_a_dry_run_of_a_manifest_counts_its_classes(options, finished, tmp_path, runs, capsys):
    before = listing(finished.parent)
    assert train(runs.config(tmp_path / "new", **options, dry_run=True)) == 0
    assert not os.path.exists(tmp_path / "new")
    assert listing(finished.parent) == before
    printed = capsys.readouterr().out
    for name in ("neutral", "smile", "shot00", "shot03"):
        assert name in printed
    assert re.search(r"stargan_generator: [\d,]+ parameters", printed)


def test_a_dry_run_notices_what_a_run_would_refuse(options, run, tmp_path, runs):
    before = listing(run)
    with pytest.raises(UserError, match="--width was 4, is now 8"):
        train(runs.config(run, **{**options, "width": 8, "dry_run": True}))
    with pytest.raises(UserError, match="no such file or folder"):
        given = {"quality_model": str(tmp_path / "none"), "quality_weight": 1.0}
        train(runs.config(tmp_path / "new", **{**options, **given, "dry_run": True}))
    assert listing(run) == before


def test_a_bad_manifest_stops_the_script_before_anything_is_written(
    options, faces, manifest_rows, tmp_path, runs
):
    rows = [dict(row, path=str(faces / row["path"])) for row in manifest_rows]
    rows[0]["path"] = "missing.png"
    rows[1]["rating_mean"] = "11"
    rows[2]["rating_std"] = "-1"
    rows[3]["split"] = "test"
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    rows[4]["path"] = str(tmp_path / "broken.png")
    manifest = runs.write_manifest(tmp_path, rows)
    status, output = runs.start(tmp_path / "new", **{**options, "manifest": manifest}).wait()
    assert status == 2
    assert "Traceback" not in output
    for line, part in ((2, "missing.png"), (3, "11"), (4, "-1"), (6, "broken.png")):
        assert re.search(rf"faces\.csv:{line}: .*{re.escape(part)}", output), output
    assert "person0" in output
    assert not (tmp_path / "new").exists()
