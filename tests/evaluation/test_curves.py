from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from legan_tf.errors import UserError
from legan_tf.evaluation.curves import learning_curves, read_curves
from legan_tf.evaluation.plots.learning import learning_curves_figure
from legan_tf.plotting.drawing import as_png

ROOT = pathlib.Path(__file__).parents[2]


def run(folder, *lines, cut=""):
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line) + "\n" for line in lines) + cut
    (folder / "metrics.jsonl").write_text(text)
    return str(folder)


def line(step, **figures):
    return {"step": step, **figures, "g_rate": 1e-4, "d_rate": 1e-4, "images_per_second": 9.5}


@pytest.fixture
def runs(tmp_path):
    """A GAN, the same with another loss, and a network that shares one loss with both."""
    return {
        "legan": run(
            tmp_path / "legan",
            *(line(s, critic=1 / s, identity=2 / s, naturalness=3 / s) for s in (10, 20, 30)),
        ),
        "stargan": run(
            tmp_path / "stargan", *(line(s, identity=3 / s, critic=2 / s) for s in (10, 20))
        ),
        "lightcnn": run(
            tmp_path / "lightcnn",
            {"step": 5, "identity": 4.0, "rate": 0.1},
            {"step": 10, "identity": 3.0, "rate": 0.1},
            {"step": 10, "val_right_of_two": 0.9},
        ),
    }


def drawn(tmp_path, folders, metrics=()):
    output = tmp_path / "new" / "curves.png"
    learning_curves(folders, str(output), metrics)
    return output.read_bytes()


def chosen(runs, names, metrics):
    curves = {name: read_curves(runs[name]) for name in names}
    runs = {name: {m: curves[name][m] for m in metrics if m in curves[name]} for name in names}
    return as_png(learning_curves_figure(runs))


def test_curves_are_the_steps_and_values_of_each_figure(tmp_path):
    folder = run(
        tmp_path / "run",
        {"step": 10, "critic": 1.5, "rate": 1},
        {"step": 20, "critic": None, "rate": 0.5},
        {"step": 20, "val_mae": 0.25},
        {"step": 30, "critic": -2.0, "rate": 0.25},
    )
    curves = read_curves(folder)
    assert list(curves) == ["critic", "rate", "val_mae"]
    steps, values = curves["critic"]
    assert (steps.dtype, values.dtype) == (np.int64, np.float64)
    np.testing.assert_array_equal(steps, [10, 20, 30])
    np.testing.assert_array_equal(values, [1.5, np.nan, -2.0])
    np.testing.assert_array_equal(curves["val_mae"], [[20], [0.25]])


@pytest.mark.parametrize(
    "cut",
    ['{"step": 30, "critic": 3.', '{"step": 30, "crit', '{"step": ', "{}", '"step"', "7", "\n\n"],
)
def test_a_line_that_a_kill_cut_short_is_left_out(tmp_path, cut):
    folder = run(
        tmp_path / "run", {"step": 10, "critic": 1.0}, {"step": 20, "critic": 2.0}, cut=cut
    )
    steps, values = read_curves(folder)["critic"]
    np.testing.assert_array_equal(steps, [10, 20])
    np.testing.assert_array_equal(values, [1, 2])


def test_a_broken_line_takes_none_of_its_figures_along(tmp_path):
    folder = run(tmp_path / "run", {"step": 1, "a": 1.0, "b": "damaged"}, {"step": 2, "a": 3.0})
    curves = read_curves(folder)
    assert list(curves) == ["a"]
    np.testing.assert_array_equal(curves["a"], [[2], [3.0]])


@pytest.mark.parametrize("content", [None, "", "\n", '{"step": 1', '{"step": 1}\n', "\x00\xff"])
def test_a_run_without_figures_is_told_with_the_name_of_the_file(tmp_path, content):
    folder = tmp_path / "run"
    folder.mkdir()
    if content is not None:
        (folder / "metrics.jsonl").write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError) as error:
        read_curves(str(folder))
    told = "no such file" if content is None else "no line with figures"
    assert str(error.value).startswith(f"{folder}/metrics.jsonl: ") and told in str(error.value)


def test_without_metrics_the_losses_that_all_runs_share_are_drawn(tmp_path, runs):
    two = drawn(tmp_path, [runs["legan"], runs["stargan"]])
    assert two == chosen(runs, ["legan", "stargan"], ["critic", "identity"])
    assert drawn(tmp_path, list(runs.values())) == chosen(runs, list(runs), ["identity"])
    alone = drawn(tmp_path, [runs["legan"] + "/"])
    assert alone == chosen(runs, ["legan"], ["critic", "identity", "naturalness"])


def test_metrics_that_are_named_are_drawn_in_their_order_for_the_runs_that_have_them(
    tmp_path, runs
):
    metrics = ["g_rate", "naturalness"]
    both = drawn(tmp_path, [runs["stargan"], runs["legan"]], metrics)
    assert both == chosen(runs, ["stargan", "legan"], metrics)


def test_runs_of_one_name_are_told_apart_by_their_paths(tmp_path, runs):
    first = run(tmp_path / "a" / "legan", line(1, critic=1.0), line(2, critic=2.0))
    second = run(tmp_path / "b" / "legan", line(1, critic=3.0), line(2, critic=2.0))
    expected = {f: {"critic": read_curves(f)["critic"]} for f in (first, second)}
    assert drawn(tmp_path, [first, second]) == as_png(learning_curves_figure(expected))


@pytest.mark.parametrize(
    "names, output, metrics, message",
    [
        ([], "c.png", [], "--runs: name one run folder or more"),
        (["legan"], "c.jpg", [], "c.jpg: must end in .png"),
        (["legan", "legan"], "c.png", [], "legan is named twice"),
        (["legan"], "c.png", ["loss"], "no run has 'loss'; there are critic, d_rate, g_rate, id"),
        (
            ["legan", "lightcnn"],
            "c.png",
            ["critic"],
            "lightcnn has none of critic; it has identity",
        ),
        (["legan"], "legan/metrics.jsonl/c.png", [], "--output="),
    ],
)
def test_what_cannot_be_drawn_is_told(tmp_path, runs, names, output, metrics, message):
    with pytest.raises(UserError) as error:
        learning_curves([runs[name] for name in names], str(tmp_path / output), metrics)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_runs_that_share_no_loss_are_told_with_what_each_has(tmp_path, runs):
    other = run(tmp_path / "quality", {"step": 1, "margin": 1.0, "rate": 0.1})
    with pytest.raises(
        UserError, match="share no loss.*legan has critic.*quality has margin, rate"
    ):
        learning_curves([runs["legan"], other], str(tmp_path / "c.png"))
    assert not (tmp_path / "c.png").exists()


def script(*arguments):
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "curves.py", *arguments], capture_output=True, text=True
    )


def test_the_script_draws_and_tells_where(tmp_path, runs):
    output = tmp_path / "curves.png"
    done = script(f"--runs={runs['legan']},{runs['lightcnn']}", f"--output={output}")
    assert (done.returncode, done.stdout) == (0, f"{output}\n"), done.stderr
    assert output.read_bytes() == chosen(runs, ["legan", "lightcnn"], ["identity"])


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--output=c.png"], "--runs"),
        (["--runs=nowhere", "--output=c.png"], "nowhere/metrics.jsonl: no such file"),
        (["--runs={legan}", "--output=c.png", "--metrics=loss"], "no run has 'loss'"),
    ],
)
def test_the_script_tells_bad_input_in_a_sentence(tmp_path, runs, arguments, message):
    done = script(*(argument.format(**runs) for argument in arguments))
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr
    assert done.stdout == ""
