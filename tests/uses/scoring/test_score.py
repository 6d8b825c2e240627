from __future__ import annotations

import csv
import dataclasses
import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from legan_tf.errors import UserError
from legan_tf.serving.loading import Scorer
from legan_tf.uses.scoring import copies, inference, plots, score
from legan_tf.uses.scoring.config import ScoringConfig

NAMES = [f"{i:02d}.png" for i in range(10)] + [f"b/c/{i}.jpg" for i in range(10)]


@pytest.fixture
def config(folder, tmp_path):
    return ScoringConfig(str(folder), str(tmp_path / "out" / "scores.csv"), batch_size=4)


def table(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def contents(config):
    return [open(path, "rb").read() for path in (config.output, score.skipped_file(config.output))]


def state_file(output):
    return os.path.splitext(output)[0] + ".state.json"


class Watched(Scorer):
    """Rates as a scorer does, tells what it was given, and runs something before each time."""

    def __init__(self, scorer, before=lambda times: None):
        vars(self).update(vars(scorer))
        self.fed, self._before = [], before

    def rate(self, image, clip=False):
        self._before(len(self.fed))
        self.fed.append(tuple(image.shape))
        return super().rate(image, clip)


def stopping(after):
    def stop(times):
        if times == after:
            raise KeyboardInterrupt

    return stop


def test_every_picture_below_the_folder_gets_its_rating(scorer, exported, config, folder, tmp_path):
    report = score.score_folder(scorer, config)
    header, *rows = table(config.output)
    assert header == ["path", "rating", "natural"]
    assert [row[0] for row in rows] == sorted(NAMES)
    ratings = np.array([float(row[1]) for row in rows])
    # Pillow's and TensorFlow's resizing round differently, by one level of 255 at most.
    expected = scorer([str(folder / row[0]) for row in rows])
    np.testing.assert_allclose(ratings, expected, atol=0.05)
    assert np.std(ratings) > 0.3
    natural = ratings >= 5
    assert 0 < natural.sum() < 20
    assert [row[2] for row in rows] == [str(int(one)) for one in natural]
    header, *skipped = table(tmp_path / "out" / "scores.skipped.csv")
    assert header == ["path", "reason"]
    ((path, reason),) = skipped
    assert path == "a/cut.png" and reason.startswith("is damaged or cut short")
    assert report.skipped == 1
    text = "\n".join(report.lines)
    assert f"20 pictures rated: mean {ratings.mean():.2f}, natural (5 or more) " in text
    assert f"{natural.mean():.1%}" in text
    assert " ".join(f"{d:.2f}" for d in np.quantile(ratings, np.arange(1, 10) / 10)) in text
    worst = rows[int(ratings.argmin())]
    assert report.lines[3] == f"  {float(worst[1]):.2f} {worst[0]}"
    assert "1 of 21 could not be read" in text and "a/cut.png: is damaged" in text
    other = dataclasses.replace(config, output=str(tmp_path / "exported.csv"), batch_size=7)
    score.score_folder(exported, other)
    again = np.array([float(row[1]) for row in table(other.output)[1:]])
    np.testing.assert_allclose(again, ratings, atol=1e-3)


def test_the_rating_is_the_network_s_of_the_middle_square(scorer, quality, config, folder):
    score.score_folder(scorer, config)
    (rating,) = [float(row[1]) for row in table(config.output) if row[0] == "b/c/3.jpg"]
    with Image.open(folder / "b" / "c" / "3.jpg") as image:
        square = image.convert("RGB").resize((16, 16), Image.BICUBIC, box=(10, 0, 30, 20))
    pixels = tf.constant(np.asarray(square)[None] / 127.5 - 1, tf.float32)
    assert rating == pytest.approx(float(quality(pixels)[0]), abs=1e-3)


def test_q_sees_whole_batches_of_one_shape(scorer, config):
    watched = Watched(scorer)
    score.score_folder(watched, dataclasses.replace(config, batch_size=8))
    assert watched.fed == [(8, 16, 16, 3)] * 3


def test_another_batch_size_changes_a_rating_by_no_more_than_its_last_digit(
    scorer, config, tmp_path
):
    def ratings(output, **flags):
        output = str(tmp_path / output)
        score.score_folder(scorer, dataclasses.replace(config, output=output, **flags))
        return np.array([float(row[1]) for row in table(output)[1:]])

    expected = ratings("4.csv")
    for size in (1, 3, 32):
        np.testing.assert_allclose(
            ratings(f"{size}.csv", batch_size=size), expected, rtol=0, atol=1.01e-4
        )
    np.testing.assert_array_equal(ratings("threads.csv", workers=5), expected)


@pytest.mark.parametrize("stop_after", [0, 1, 3, 4])
def test_stopped_anywhere_the_same_command_makes_the_same_files(
    scorer, config, tmp_path, stop_after
):
    whole = dataclasses.replace(config, output=str(tmp_path / "whole.csv"))
    score.score_folder(scorer, whole)
    with pytest.raises(KeyboardInterrupt):
        score.score_folder(Watched(scorer, stopping(stop_after)), config)
    assert not os.path.exists(config.output)
    watched = Watched(scorer)
    report = score.score_folder(watched, config)
    assert len(watched.fed) == 5 - stop_after
    assert contents(config) == contents(whole)
    assert not stop_after or report.lines[0] == f"{4 * stop_after} pictures were rated before."


def test_what_is_complete_and_unchanged_is_not_rated_again(scorer, config):
    score.score_folder(scorer, config)
    before = contents(config)
    watched = Watched(scorer)
    for path in (config.output, score.skipped_file(config.output)):
        os.remove(path)
        assert score.score_folder(watched, config).lines[0] == "20 pictures were rated before."
        assert contents(config) == before
    assert watched.fed == []


def test_a_state_that_was_cut_short_costs_one_batch(scorer, config):
    score.score_folder(scorer, config)
    before, state = contents(config), state_file(config.output) + "l"
    with open(state, "r+b") as file:
        file.truncate(os.path.getsize(state) - 10)
    watched = Watched(scorer)
    score.score_folder(watched, config)
    assert len(watched.fed) == 1 and contents(config) == before
    watched.fed.clear()
    score.score_folder(watched, config)
    assert watched.fed == []


def test_a_picture_that_comes_back_is_in_the_table_again(scorer, config, folder, tmp_path):
    score.score_folder(scorer, config)
    whole, watched = contents(config), Watched(scorer)
    os.rename(folder / "00.png", tmp_path / "away.png")
    score.score_folder(watched, config)
    assert "00.png" not in {row[0] for row in table(config.output)}
    # Another one leaves at the same time, so that there are as many.
    os.rename(tmp_path / "away.png", folder / "00.png")
    os.rename(folder / "01.png", tmp_path / "away.png")
    score.score_folder(watched, config)
    assert [row[0] for row in table(config.output)[1:]] == sorted({*NAMES} - {"01.png"})
    os.rename(tmp_path / "away.png", folder / "01.png")
    score.score_folder(watched, config)
    assert contents(config) == whole
    assert watched.fed == []


def test_a_folder_that_has_changed_is_followed(scorer, config, folder, paint):
    score.score_folder(scorer, config)
    before = {row[0]: row[1] for row in table(config.output)[1:]}
    paint(folder / "00.png", 50, width=30)
    paint(folder / "a" / "cut.png", 51)
    paint(folder / "new" / "z.webp", 52)
    (folder / "01.png").unlink()
    watched = Watched(scorer)
    score.score_folder(watched, config)
    assert watched.fed == [(4, 16, 16, 3)]
    after = {row[0]: row[1] for row in table(config.output)[1:]}
    assert set(after) == {*before, "a/cut.png", "new/z.webp"} - {"01.png"}
    assert {path for path in before if after.get(path) != before[path]} == {"00.png", "01.png"}
    assert len(table(score.skipped_file(config.output))) == 1
    # Put back, a picture is rated anew if it is another one.
    paint(folder / "01.png", 53)
    score.score_folder(watched, config)
    assert len(watched.fed) == 2
    assert {row[0]: row[1] for row in table(config.output)}["01.png"] != before["01.png"]


def test_names_that_are_no_utf_8_are_rated_and_escaped(scorer, tmp_path, paint):
    root = tmp_path / "odd"
    paint(root / "ä,\n.png", 1)
    os.rename(os.fsencode(root / "ä,\n.png"), os.fsencode(root) + b"/\xff,\n.png")
    config = ScoringConfig(
        str(root), str(tmp_path / "a.csv"), keep_above=-100.0, keep_dir=str(tmp_path / "kept")
    )
    score.score_folder(scorer, config)
    assert [row[0] for row in table(config.output)] == ["path", "\\udcff, .png"]
    assert os.listdir(os.fsencode(tmp_path / "kept")) == [b"\xff,\n.png"]


def test_copies_of_what_is_rated_high_enough(scorer, config, folder, tmp_path):
    kept = tmp_path / "kept"
    config = dataclasses.replace(config, keep_above=5.2, keep_dir=str(kept))
    report = score.score_folder(scorer, config)
    wanted = {row[0] for row in table(config.output)[1:] if float(row[1]) >= 5.2}
    assert 0 < len(wanted) < 20
    found = {str(path.relative_to(kept)) for path in kept.rglob("*.*")}
    assert found == wanted
    assert f"{len(wanted)} rated 5.2 or more: copies in {kept}" in report.lines
    for name in wanted:
        assert (kept / name).read_bytes() == (folder / name).read_bytes()
        assert not os.path.samefile(kept / name, folder / name)
    # What is missing is copied again, what is there is left, and leftovers are cleared away.
    first, *rest = sorted(wanted)
    (kept / first).unlink()
    (kept / ".0123.part").write_text("half")
    there = {name: os.stat(kept / name).st_ino for name in rest}
    score.score_folder(scorer, config)
    assert {str(path.relative_to(kept)) for path in kept.rglob("*.*")} == wanted
    assert {name: os.stat(kept / name).st_ino for name in rest} == there
    # A lower threshold adds copies; a higher one, and files of others, need another folder.
    score.score_folder(scorer, dataclasses.replace(config, keep_above=4.9))
    assert len(list(kept.rglob("*.*"))) > len(wanted)
    with pytest.raises(UserError, match="--keep_dir=.*kept: holds .*none of .* rated 5.2 or more"):
        score.score_folder(scorer, config)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    other = dataclasses.replace(config, keep_dir=str(tmp_path / "other"))
    with pytest.raises(UserError, match="holds .*other/mine.txt, which is none of the pictures"):
        score.score_folder(scorer, other)
    assert os.listdir(tmp_path / "other") == ["mine.txt"]


def test_copies_are_not_rated_through_a_link(scorer, config, folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (folder / "to").symlink_to(tmp_path / "elsewhere")
    config = dataclasses.replace(config, keep_dir=str(tmp_path / "elsewhere" / "kept"))
    for _ in range(2):
        score.score_folder(scorer, config)
        assert [row[0] for row in table(config.output)[1:]] == sorted(NAMES)


def test_an_original_that_has_vanished_is_reported(tmp_path):
    with pytest.raises(UserError, match="a.png: cannot be copied to .*No such file"):
        copies.copy_images(
            {"a.png": 7.0}, str(tmp_path), str(tmp_path / "kept"), 5.0, lambda *done: None
        )


def test_the_sheet_goes_from_the_worst_to_the_best(scorer, config, folder, tmp_path):
    config = dataclasses.replace(config, sheet=str(tmp_path / "sheet.png"))
    score.score_folder(scorer, config)
    ratings = {row[0]: float(row[1]) for row in table(config.output)[1:]}
    drawn = plots.sorted_by_rating(ratings, config.input, count=12)
    (_, whole), *_ = plots.sorted_by_rating(ratings, config.input)
    assert [name for name, _ in drawn] == ["worst", "best"]
    captions = [caption for _, cells in drawn for _, caption in cells]
    ranked = sorted((rating, path) for path, rating in ratings.items())
    places = np.linspace(0, 19, 12).round().astype(int)
    assert captions == [
        f"{ranked[place][0]:.2f} {ranked[place][1].rpartition('/')[2]}" for place in places
    ]
    with Image.open(folder / ranked[0][1]) as worst:
        box = (2, 0, 22, 20) if worst.width == 24 else (10, 0, 30, 20)
        expected = np.asarray(worst.convert("RGB").resize((128, 128), Image.BICUBIC, box=box))
    np.testing.assert_array_equal(drawn[0][1][0][0], expected)
    with Image.open(tmp_path / "sheet.png") as image:
        # Three rows of eight, after their names.
        assert image.height == 3 * (128 + 14)
        left = image.width - 8 * 128
        second = np.asarray(image)[:128, left + 128 : left + 256]
    np.testing.assert_array_equal(second, whole[1][0])
    with Image.open(tmp_path / "sheet.histogram.png") as image:
        assert min(image.size) > 250


def test_tables_of_others_are_not_written_over(scorer, config):
    skipped = score.skipped_file(config.output)
    os.makedirs(os.path.dirname(skipped))
    for file in (config.output, skipped):
        with open(file, "w") as mine:
            mine.write("mine")
        watched = Watched(scorer)
        with pytest.raises(UserError, match=f"{file}: is there already.*another --output"):
            score.score_folder(watched, config)
        assert watched.fed == [] and not os.path.exists(state_file(config.output))
        with open(file) as mine:
            assert mine.read() == "mine"
        os.remove(file)


def test_the_histogram_counts_every_picture_on_its_side_of_natural():
    ratings = np.array([1.0, 4.9999, 5.0, 5.1, 9.99, -300.0])
    (axes,) = plots.histogram(ratings, 6.0).axes
    low, high = ([bar for bar in bars if bar.get_height()] for bars in axes.containers)
    assert sum(bar.get_height() for bar in low) == 3 and sum(bar.get_height() for bar in high) == 3
    assert max(bar.get_x() + bar.get_width() for bar in low) == pytest.approx(5.0)
    assert min(bar.get_x() for bar in high) == pytest.approx(5.0)
    assert [line.get_xdata()[0] for line in axes.lines] == [5.0, 6.0]
    (axes,) = plots.histogram(np.array([7.0])).axes
    assert sum(bar.get_height() for bars in axes.containers for bar in bars) == 1


def test_other_settings_are_refused_and_nothing_is_lost(scorer, exported, config, tmp_path, paint):
    score.score_folder(scorer, config)
    before = contents(config)
    with pytest.raises(UserError, match="scores.csv: was begun with another model"):
        score.score_folder(exported, config)
    paint(tmp_path / "elsewhere" / "x.png", 1)
    with pytest.raises(UserError, match="was begun with input '.*faces', now it is .*elsewhere"):
        score.score_folder(scorer, dataclasses.replace(config, input=str(tmp_path / "elsewhere")))
    assert contents(config) == before
    os.remove(state_file(config.output))
    with pytest.raises(UserError, match="scores.csv: is there already, and .*state.json, which"):
        score.score_folder(scorer, config)
    assert contents(config) == before
    assert not os.path.exists(state_file(config.output))


def test_a_batch_that_does_not_fit_into_the_memory_is_reported(scorer, config):
    def greedy(times):
        # As TensorFlow does itself, though only after ten seconds of trying again.
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    with pytest.raises(UserError, match="--batch_size=4: so many .* do not fit into the memory"):
        score.score_folder(Watched(scorer, greedy), config)


def test_a_model_that_rates_with_no_number_is_reported(tmp_path, quality, config):
    import legan_tf
    from legan_tf.models import copy_of

    broken = copy_of(quality, "broken")
    broken.fc1.bias.assign([np.nan])
    broken.save(tmp_path / "model.keras")
    with pytest.raises(UserError, match=f"--model={tmp_path}: rates 00.png with nan"):
        score.score_folder(legan_tf.load(tmp_path), config)
    assert not os.path.exists(config.output)


def test_where_nothing_can_be_read_the_table_is_empty(scorer, tmp_path):
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "a.png").write_bytes(b"")
    config = ScoringConfig(
        str(tmp_path / "faces"), str(tmp_path / "a.csv"), sheet=str(tmp_path / "sheet.png")
    )
    report = score.score_folder(scorer, config)
    assert report.skipped == 1
    assert table(config.output) == [["path", "rating", "natural"]]
    assert not os.path.exists(config.sheet)


def test_pictures_are_read_as_they_are_needed(scorer, folder):
    asked = []

    class Paths(list):
        def __iter__(self):
            for path in super().__iter__():
                asked.append(path)
                yield path

    for batch_size, workers, ahead in ((4, 1, 12), (1, 6, 13)):
        asked.clear()
        batches = inference.rate_files(scorer, str(folder), Paths(NAMES), batch_size, workers)
        ratings, reasons = next(batches)
        assert (list(ratings), reasons) == (NAMES[:batch_size], {})
        batches.close()
        # Counted twice: once for the name of a result, and once for its reading.
        assert len(asked) == batch_size + ahead


def test_a_wrong_input_or_output_is_reported(scorer, config, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.txt").write_text("")
    (tmp_path / "file").write_text("")
    for place, sentence in (
        (f"{tmp_path}/empty", "there is no picture in it, or below"),
        (f"{tmp_path}/none", "there is no such folder"),
        (f"{tmp_path}/file", "is a file; name the folder that holds it"),
        ("gs://x", "must be a folder on this machine"),
    ):
        with pytest.raises(UserError, match=f"--input={place}: {sentence}"):
            score.score_folder(scorer, dataclasses.replace(config, input=place))
    assert not (tmp_path / "out").exists()
    output = str(tmp_path / "file" / "a.csv")
    with pytest.raises(UserError, match="--output=.*file: it cannot be written to as a folder"):
        score.score_folder(scorer, dataclasses.replace(config, output=output))
