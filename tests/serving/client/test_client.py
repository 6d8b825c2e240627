"""Clients against the local server and the models it serves."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import legan_tf
from legan_tf import serving
from legan_tf.data.images import to_square
from legan_tf.errors import UserError
from legan_tf.serving import inputs
from legan_tf.serving.local_server import LocalServer, Options

HELD = 101  # The level of pictures that are not answered before the test says so.


@pytest.fixture(scope="module")
def client(server):
    with serving.Client(server.address, timeout=120) as client:
        yield client


@pytest.fixture(scope="module")
def of(server):
    """Clients with other models, by their names for them."""
    made = []

    def make(**models):
        made.append(serving.Client(server.address, timeout=120, **models))
        return made[-1]

    yield make
    for client in made:
        client.close()


def close_to(actual, expected, levels=1):
    assert actual.dtype == expected.dtype == np.uint8 and actual.shape == expected.shape
    assert np.abs(actual.astype(int) - expected).max() <= levels


def test_edits_are_those_of_the_loaded_model(client, serving_root, blobs, tmp_path):
    editor = legan_tf.load(serving_root / "legan")
    own_size = blobs(16, 16, 3, seed=3)
    close_to(
        client.edit(own_size, expression="smile", lighting="right"),
        editor(own_size, expression="smile", lighting="right"),
    )
    Image.fromarray(blobs(31, 50)[0]).save(tmp_path / "a.png")
    mixed = [
        str(tmp_path / "a.png"),
        tmp_path / "a.png",
        Image.fromarray(blobs(50, 31, seed=1)[0]),
        blobs(16, 16, seed=2)[0],
        blobs(20, 24, seed=4)[0].astype(np.float32) / 127.5 - 1,
    ]
    targets = {
        "expression": ["smile", 2, None, "neutral", 0],
        "lighting": [None, "left", 1, 0, "right"],
    }
    edited = client.edit(mixed, **targets)
    squares = np.stack([to_square(picture, 16) for picture in inputs.as_list(mixed)[0]])
    close_to(edited, editor(squares, **targets))
    # Resized here and not in the graph, pictures may differ by a level before the network.
    differences = np.abs(edited.astype(int) - editor(mixed, **targets))
    assert differences.mean() < 2
    one = client.edit(tmp_path / "a.png", lighting="left")
    close_to(one, editor(squares[0], lighting="left"))
    assert one.shape == (16, 16, 3)
    assert client.edit([tmp_path / "a.png"], expression="smile").shape == (1, 16, 16, 3)
    assert one.flags.writeable


def test_masks_are_those_of_the_model(client, serving_root, blobs):
    pictures = blobs(16, 16, 3)
    masks = client.masks(pictures, expression=["smile", "scream", None], lighting="left")
    signature = tf.saved_model.load(str(serving_root / "legan" / "1")).signatures["masks"]
    ids = {"expression": tf.constant([1, 2, -1]), "lighting": tf.constant([0, 0, 0])}
    expected = signature(image=tf.constant(pictures), **ids)
    close_to(masks["expression"], expected["expression_mask"].numpy()[..., 0])
    close_to(masks["lighting"], expected["lighting_mask"].numpy()[..., 0])
    assert set(masks) == {"expression", "lighting"}
    assert client.masks(pictures[0], expression="smile")["lighting"].shape == (16, 16)


def test_scores_are_those_of_the_loaded_model(client, serving_root, blobs):
    pictures = np.concatenate([blobs(16, 16, 3), np.zeros((1, 16, 16, 3), np.uint8)])
    scores = client.score(pictures)
    expected = legan_tf.load(serving_root / "quality")(pictures)
    assert scores.rating.dtype == np.float32 and scores.natural.dtype == np.bool_
    np.testing.assert_allclose(scores.rating, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(scores.natural, scores.rating >= 5)
    assert scores.natural_share == np.mean(scores.natural)
    one = client.score(pictures[0])
    assert one.rating == pytest.approx(scores.rating[0], abs=1e-4)
    assert one.natural_share in (0.0, 1.0)


def test_maps_come_from_the_mapper_or_from_beside_the_editor(of, serving_root, blobs):
    pictures = blobs(16, 16, 2)
    for models, name, shape in (
        ({"mapper": "depth"}, "depth", (2, 16, 16)),
        ({"editor": "unlit_depth"}, "unlit_depth", (2, 16, 16)),
        ({"editor": "legan_normal"}, "legan_normal", (2, 16, 16, 3)),
    ):
        loaded = legan_tf.load(serving_root / name)
        maps = of(**models).depth(pictures)
        close_to(maps, loaded(pictures) if name == "depth" else loaded.depth(pictures))
        assert maps.shape == shape
        assert of(**models).depth(pictures[0]).shape == shape[1:]


def test_labels_and_status_are_those_of_the_server(client):
    labels = client.labels()
    assert labels.expressions == ("neutral", "smile", "scream") and labels.image_size == 16
    assert client.labels("quality").kind == "scorer"
    (version,) = client.status()
    assert (version.version, version.state, version.error) == (1, "available", "")
    client.wait_until_available()
    client.wait_until_available(models=["depth"])


@pytest.mark.parametrize(
    ("models", "call", "kind", "told"),
    [
        ({"editor": "none"}, "edit", serving.ModelNotFound, "model none.* is not served"),
        ({"editor": "quality"}, "edit", serving.SignatureNotFound, "it rates pictures, and"),
        ({"scorer": "legan"}, "score", serving.SignatureNotFound, "it edits pictures, and"),
        ({"scorer": None}, "score", UserError, "has no scorer"),
        ({}, "depth", serving.SignatureNotFound, "no depth network beside it.*mapper"),
        ({"editor": "unlit_depth"}, "masks", serving.SignatureNotFound, "masks.*is not offered"),
    ],
)
def test_what_a_server_does_not_offer_is_told(of, blobs, models, call, kind, told):
    named = {"expression": "smile"} if call in ("edit", "masks") else {}
    with pytest.raises(kind, match=told) as caught:
        getattr(of(**models), call)(blobs(8, 8), **named)
    assert "\n" not in str(caught.value)


def test_an_error_knows_where_it_comes_from(of, server):
    with pytest.raises(serving.ModelNotFound) as caught:
        of(editor="none").labels()
    error = caught.value
    assert (error.address, error.model, error.signature) == (server.address, "none", "labels")
    assert str(error).startswith(f"{server.address}, model none, signature labels: ")
    with pytest.raises(serving.ModelNotFound, match="model none: is not served"):
        of(editor="none").status()
    with pytest.raises(serving.ModelNotFound, match="model none: is not served"):
        of(editor="none").wait_until_available(timeout=0.2)


@pytest.mark.parametrize(
    ("pictures", "targets", "told"),
    [
        (np.ones((2, 8, 8, 3), np.uint8), {"expression": "smirk"}, "no expression.*'smile'"),
        (np.ones((2, 8, 8, 3), np.uint8), {"expression": ["smile"]}, "1 targets for 2 pictures"),
        (np.ones((2, 8, 8, 3), np.uint8), {"lighting": 2}, "2 is no lighting id"),
        (np.ones((8, 8), np.uint8), {}, "must be arrays"),
        (np.full((8, 8, 3), 2.0), {}, r"must lie in \[-1, 1\]"),
        ([], {}, "empty"),
        (["/none.png"], {}, "^/none.png: no such file.$"),
        ([np.ones((8, 8, 3), np.uint8), __file__], {}, "test_client.py: .*no known picture"),
    ],
)
def test_a_callers_mistakes_are_told_as_by_a_loaded_model(client, pictures, targets, told):
    with pytest.raises(UserError, match=told):
        client.edit(pictures, **targets)


def test_without_tensorflow_to_the_end_of_the_program(server, blobs, tmp_path):
    Image.fromarray(blobs(20, 20)[0]).save(tmp_path / "a.png")
    code = """
import sys
from legan_tf import serving
address, path = sys.argv[1:]
def use(client, seen):
    assert client.edit([path] * seen, expression="smile").shape == (seen, 16, 16, 3)
client = serving.Client(address, timeout=60)
use(client, 1)
use(client, 2)
client.score(path)
for call, given in ((client.edit, path + "x"), (client.edit, __file__), (client.labels, "none")):
    try:
        call(given)
    except ValueError as error:
        print(error)
print("tensorflow" in sys.modules)
"""
    (tmp_path / "use.py").write_text(code)
    command = [sys.executable, str(tmp_path / "use.py"), server.address, str(tmp_path / "a.png")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    missing, unreadable, unknown, imported = done.stdout.splitlines()
    assert missing == f"{tmp_path}/a.pngx: no such file."
    assert "no known picture format" in unreadable and "model none" in unknown
    assert imported == "False"


@pytest.fixture(scope="module")
def painted(tmp_path_factory, paint):
    """A server whose model tells what it was asked, and whose versions a test may add to."""
    root = tmp_path_factory.mktemp("painted")
    paint(root, 1, ["neutral", "smile"])
    options = Options(port=-1, model_name="painter", model_base_path=str(root / "painter"))
    with LocalServer(options) as server:
        yield server


def greens(levels, size=8):
    """Grey pictures that can be told from each other."""
    return np.stack([np.full((size, size, 3), level, np.uint8) for level in levels])


def painter(address, **options):
    return serving.Client(address, **{"editor": "painter", "timeout": 60, **options})


def test_chunks_have_at_most_so_many_rows_and_come_back_in_order(painted):
    levels = np.arange(1, 12)
    with painter(painted.address, max_batch=4) as client:
        expressions = ["smile", "neutral"] * 5 + [None]
        edited = client.edit(greens(levels), expression=expressions[:10] + ["smile"])
    np.testing.assert_array_equal(edited[:, 0, 0, 1], levels)
    np.testing.assert_array_equal(edited[:, 0, 0, 0], [100, 50] * 5 + [100])
    np.testing.assert_array_equal(edited[:, 0, 0, 2], [4] * 8 + [3] * 3)


def test_refused_pictures_are_named_by_their_places_and_paths(painted, tmp_path):
    pictures = list(greens(range(1, 9)))
    for row in (4, 6):
        pictures[row] = np.zeros((8, 8, 3), np.uint8)
    with painter(painted.address, max_batch=5) as client:
        with pytest.raises(serving.InvalidRequest) as caught:
            client.edit(pictures[:6], expression="smile")
        told = f"{painted.address}, model painter, signature serving_default: Row 4: is black."
        assert str(caught.value) == told
        pictures[4], pictures[6] = pictures[0], tmp_path / "dark.png"
        Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "dark.png")
        with pytest.raises(serving.InvalidRequest) as caught:
            client.edit(pictures, expression="smile")
        assert str(caught.value).endswith(f": Row 6 ({tmp_path}/dark.png): is black.")
        assert client.edit(pictures[:2], expression="smile").shape == (2, 8, 8, 3)


def test_many_calls_at_once_from_threads(painted):
    with painter(painted.address) as client, ThreadPoolExecutor(8) as threads:

        def edit(n):
            return client.edit(greens([n, n + 100]), expression="smile")

        for n, edited in zip(range(1, 41), threads.map(edit, range(1, 41))):
            np.testing.assert_array_equal(edited[:, 0, 0, 1], [n, n + 100])


def test_a_version_with_other_classes_and_size_is_noticed(painted, paint, tmp_path):
    root = tmp_path / "root"
    paint(root, 1, ["neutral", "smile", "wink"])
    options = Options(port=-1, model_name="painter", model_base_path=str(root / "painter"))
    with LocalServer(options) as server, painter(server.address, max_batch=2) as client:

        def publish(version, *classes, size=8):
            paint(root, version, classes, size)
            deadline = time.monotonic() + 60
            while [v.version for v in client.status() if v.state == "available"] != [version]:
                assert time.monotonic() < deadline
                time.sleep(0.05)

        def levels(*expressions, size=8):
            edited = client.edit(
                greens(range(1, len(expressions) + 1)), expression=list(expressions)
            )
            assert edited.shape[1:] == (size, size, 3)
            np.testing.assert_array_equal(edited[:, 0, 0, 1], range(1, len(expressions) + 1))
            return edited[:, 0, 0, 0].tolist()

        assert levels("wink", "smile", "smile") == [150, 100, 100]
        publish(2, "wink", "smile", size=12)  # The id of wink is another one.
        assert levels("wink", "smile", "smile", size=12) == [150, 100, 100]
        publish(3, "smile")  # The id of smile is beyond the last one.
        assert levels("smile", "smile", "smile") == [100] * 3
        with pytest.raises(UserError, match="'wink' is no expression of this model"):
            levels("wink")
        publish(4, "smile", "wink")  # A name that was not known so far.
        assert levels("wink", "smile") == [150, 100]


def descriptors():
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="Linux tells them")
def test_clients_that_are_closed_leave_no_descriptors(painted):
    def use():
        with painter(painted.address) as client:
            client.labels()

    use()
    before = descriptors()
    for _ in range(10):
        use()
    # The server's ends of the connections are in this process, and close a little later.
    deadline = time.monotonic() + 30
    while descriptors() >= before + 10:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_no_time_is_told_as_such(tmp_path, paint):
    paint(tmp_path, 1, ["smile"], gate=tmp_path)
    options = Options(port=-1, model_name="painter", model_base_path=str(tmp_path / "painter"))
    with LocalServer(options) as server:
        with painter(server.address, timeout=2) as client:
            client.labels()
            try:
                with pytest.raises(serving.DeadlineExceeded, match="no answer within the timeout"):
                    client.edit(greens([HELD]), expression="smile")
            finally:
                (tmp_path / "go-0").touch()
