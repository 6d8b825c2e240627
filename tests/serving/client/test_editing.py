"""scripts/client.py as a user starts it, and what it is made of."""

from __future__ import annotations

import csv
import os
import pathlib
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

import legan_tf
from legan_tf import serving
from legan_tf.errors import UserError
from legan_tf.serving.client.editing import FileJob, run_file_job

ROOT = pathlib.Path(__file__).parents[3]
# The script, and whether it has imported TensorFlow.
RUN = """
import runpy, signal, sys
script, sys.argv = sys.argv[1], sys.argv[1:]
# Ctrl-C is ignored in what a shell runs in the background, as it may run the tests.
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    runpy.run_path(script, run_name="__main__")
finally:
    assert "tensorflow" not in sys.modules
"""


def start(*arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-c", RUN, str(ROOT / "scripts" / "client.py"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, **pipes)


def finish(process: subprocess.Popen) -> tuple[int, list[str], str]:
    try:
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert "Traceback" not in err, err
    return process.returncode, out.splitlines(), err


def read(path: pathlib.Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_a_folder_is_edited_mapped_and_rated(server, serving_root, blobs, tmp_path):
    folder, edits, maps, table = (tmp_path / name for name in ("in", "edits", "maps", "s.csv"))
    folder.mkdir()
    for name, seed in (("a.png", 0), ("a.jpg", 1), ("c.bmp", 2)):
        Image.fromarray(blobs(16, 16, seed=seed)[0]).save(folder / name)
    (folder / "b.png").write_bytes(b"damaged")
    (folder / "notes.txt").write_text("no picture")
    edits.mkdir()
    (edits / "c.png").write_bytes(b"of an earlier run")
    common = (f"--server={server.address}", f"--input={folder}", f"--score={table}")
    status, told, err = finish(
        start(
            *common,
            "--model=legan_normal",
            "--expression=smile",
            "--lighting=right",
            f"--output={edits}",
            f"--depth={maps}",
        )
    )
    assert status == 1 and f"Skipped {folder / 'b.png'}: " in err and "done 4/4" in err, err
    assert told[:2] == [f"3 pictures in {edits}", f"3 maps in {maps}"]
    assert told[2].startswith(f"3 ratings in {table}: ") and "% judged natural" in told[2]
    names = ["a.jpg.png", "a.png.png", "c.png"]
    assert sorted(os.listdir(edits)) == sorted(os.listdir(maps)) == names
    editor = legan_tf.load(serving_root / "legan_normal")
    scorer = legan_tf.load(serving_root / "quality")
    rows = list(csv.DictReader(table.open()))
    assert [row["path"] for row in rows] == [str(edits / name) for name in names]
    for source, name, row in zip(("a.jpg", "a.png", "c.bmp"), names, rows):
        edited = editor(folder / source, expression="smile", lighting="right")
        np.testing.assert_allclose(read(edits / name), edited, rtol=0, atol=1)
        edited = read(edits / name)
        np.testing.assert_allclose(read(maps / name), editor.depth(edited), rtol=0, atol=1)
        assert float(row["rating"]) == pytest.approx(scorer(edited), abs=1e-3)
        assert row["natural"] == str(int(float(row["rating"]) >= 5))


def test_pictures_as_they_are_are_mapped_and_rated(server, serving_root, blobs, tmp_path):
    picture, surface, table = (str(tmp_path / name) for name in ("a.png", "map.bmp", "new/s.csv"))
    Image.fromarray(blobs(16, 16)[0]).save(picture)
    with serving.Client(server.address, mapper="depth", timeout=60) as client:
        report = run_file_job(client, FileJob(picture, map_output=surface, scores=table))
    expected = legan_tf.load(serving_root / "depth")(picture)
    np.testing.assert_allclose(read(surface), expected, rtol=0, atol=1)
    rating = legan_tf.load(serving_root / "quality")(picture)
    ((path, rated, natural),) = report.ratings
    assert path == picture and rated == pytest.approx(rating, abs=1e-4)
    assert report.written == () and report.maps == (surface,)
    header, row = pathlib.Path(table).read_text().splitlines()
    assert header == "path,rating,natural" and row == f"{picture},{rated:.4f},{int(natural)}"


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"output": "o.png"}, "--output and a target, as --expression, belong together"),
        ({"targets": {"expression": "smile"}}, "belong together"),
        ({}, "Say what to do"),
        ({"scores": "s.txt"}, "must end in .csv"),
        ({"scores": "folder.csv"}, "is a folder"),
        ({"map_output": "map.jpg"}, "must end in one of .png, .bmp"),
        ({"map_output": "a.png"}, "is the input itself"),
        (
            {"output": "b.png", "targets": {"lighting": "x"}, "map_output": "b.png"},
            "is where the edits go",
        ),
    ],
)
def test_what_cannot_be_done_is_told_before_the_server_is_asked(wanted, told, tmp_path, blobs):
    (tmp_path / "folder.csv").mkdir()
    Image.fromarray(blobs(8, 8)[0]).save(tmp_path / "a.png")
    wanted = {n: v if n == "targets" else str(tmp_path / v) for n, v in wanted.items()}
    with serving.Client("127.0.0.1:1") as client, pytest.raises(UserError, match=told):
        run_file_job(client, FileJob(str(tmp_path / "a.png"), **wanted))
    assert sorted(os.listdir(tmp_path)) == ["a.png", "folder.csv"]


def test_flags_that_cannot_be_used_are_told():
    for flags, told in (
        (("--server=localhost",), "'localhost': give HOST:PORT of gRPC"),
        (("--server=127.0.0.1:1", "--metadata=token"), "--metadata: write NAME=VALUE."),
    ):
        status, out, err = finish(start(*flags, "--input=a.png", "--depth=m.png"))
        assert status == 2 and out == [] and err == f"Error: {err[7:]}" and told in err


def test_a_server_that_is_not_there_is_told_after_the_timeout(tmp_path, blobs):
    Image.fromarray(blobs(8, 8)[0]).save(tmp_path / "a.png")
    flags = (f"--input={tmp_path}/a.png", f"--depth={tmp_path}/m.png", "--timeout=0.3")
    status, _, err = finish(start("--server=127.0.0.1:1", *flags))
    assert status == 2
    assert "Error: 127.0.0.1:1, model legan, signature labels: no server answers" in err


def test_ctrl_c_ends_the_wait_for_a_server(tmp_path, blobs):
    Image.fromarray(blobs(8, 8)[0]).save(tmp_path / "a.png")
    flags = (f"--input={tmp_path}/a.png", f"--depth={tmp_path}/m.png", "--timeout=600")
    process = start("--server=127.0.0.1:1", *flags)
    try:
        said = ""
        while "no server answers" not in said:
            said = process.stderr.readline()
            assert said, "it ended by itself"
        process.send_signal(signal.SIGINT)
        pressed = time.monotonic()
        status, _, err = finish(process)
        assert time.monotonic() - pressed < 20
    finally:
        process.kill()
    assert status == 130 and err.endswith("Interrupted.\n")


def test_ratings_that_were_made_are_written_where_a_later_batch_fails(server, blobs, tmp_path):
    folder, table = tmp_path / "in", tmp_path / "s.csv"
    folder.mkdir()
    for row in range(66):  # A batch and two more.
        Image.fromarray(blobs(8, 8, seed=row)[0]).save(folder / f"{row:02}.png")
    with serving.Client(server.address, timeout=60) as client:
        score, asked = client.score, []

        def once(pictures):
            asked.append(pictures)
            if len(asked) > 1:
                raise UserError("the second one")
            return score(pictures)

        client.score = once
        with pytest.raises(UserError, match="the second one"):
            run_file_job(client, FileJob(str(folder), scores=str(table)))
        rows = list(csv.DictReader(table.open()))
        assert [row["path"] for row in rows] == [str(folder / f"{n:02}.png") for n in range(64)]
        # What was rated stays where nothing is rated.
        with pytest.raises(UserError, match="the second one"):
            run_file_job(client, FileJob(str(folder), scores=str(table)))
        assert list(csv.DictReader(table.open())) == rows


PICTURES, BATCH = 140, 64  # More than two batches of the script.
# The painter is held at level 101, which is that of picture 100, of the second batch.


def test_a_server_killed_amid_requests_and_started_again_loses_and_doubles_nothing(
    server_process, paint, tmp_path, monkeypatch
):
    # Two requests are held, and others are to come through on any machine.
    monkeypatch.setenv("TF_NUM_INTEROP_THREADS", "8")
    paint(tmp_path, 1, ["neutral", "smile"], gate=tmp_path)
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    pictures = np.zeros((PICTURES, 8, 8, 3), np.uint8)
    pictures[..., 1] = 1 + np.arange(PICTURES, dtype=np.uint8)[:, None, None]
    for row, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{row:03}.png")
    flags = ("--model_name=painter", f"--model_base_path={tmp_path / 'painter'}")
    first = server_process(*flags, "--port=-1")
    address = first.address
    client = serving.Client(address, editor="painter", scorer=None, timeout=120, max_batch=4)
    client.wait_until_available()
    flagged = ("--model=painter", "--max_batch=4", "--timeout=120", "--expression=smile")
    process = start(f"--server={address}", f"--input={folder}", f"--output={output}", *flagged)
    expressions = ["neutral", "smile"] * (PICTURES // 2)
    try:
        with ThreadPoolExecutor(1) as thread:
            edited = thread.submit(client.edit, pictures, expression=expressions)
            # Each is within a request: this one's begin with neutral, the script's with smile.
            deadline = time.monotonic() + 120
            while not all((tmp_path / f"begun-{id_}").exists() for id_ in (0, 1)):
                assert time.monotonic() < deadline and process.poll() is None
                time.sleep(0.01)
            first.kill()
            first.wait()
            assert not edited.done() and len(os.listdir(output)) == BATCH
            for id_ in (0, 1):
                (tmp_path / f"go-{id_}").touch()
            server_process(*flags, f"--port={address.rpartition(':')[2]}")
            status, told, err = finish(process)
            edited = edited.result(120)
    finally:
        process.kill()
        client.close()
    assert status == 0 and told == [f"{PICTURES} pictures in {output}"], err
    np.testing.assert_array_equal(edited[:, 0, 0, 1], pictures[:, 0, 0, 1])
    np.testing.assert_array_equal(edited[:, 0, 0, 0], [50, 100] * (PICTURES // 2))
    assert sorted(os.listdir(output)) == [f"{row:03}.png" for row in range(PICTURES)]
    written = np.stack([read(output / f"{row:03}.png")[0, 0] for row in range(PICTURES)])
    np.testing.assert_array_equal(written[:, 1], pictures[:, 0, 0, 1])
    assert set(written[:, 0]) == {100}
