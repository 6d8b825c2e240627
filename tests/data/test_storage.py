from __future__ import annotations

import hashlib
import http.server
import os
import subprocess
import sys
import threading
import tracemalloc

import pytest

from legan_tf import optional
from legan_tf.data import storage


def usable(module: str) -> bool:
    try:
        optional.require(module, "A test")
    except optional.UnavailableError:
        return False
    return True


WITH_IO = usable("tensorflow_io")
needs_io = pytest.mark.skipif(not WITH_IO, reason="tensorflow-io does not work here")
without_io = pytest.mark.skipif(WITH_IO, reason="tensorflow-io works here")


def test_join_keeps_full_paths():
    assert storage.join("/data", "a/b.png") == "/data/a/b.png"
    assert storage.join("/data", "/other/b.png") == "/other/b.png"
    assert storage.join("s3://bucket/faces", "b.png") == "s3://bucket/faces/b.png"
    assert storage.join("/data", "s3://bucket/b.png") == "s3://bucket/b.png"
    assert storage.join("", "b.png") == "b.png"


def test_written_bytes_are_read_back_and_nothing_is_left(tmp_path):
    path = str(tmp_path / "deep" / "er" / "file")
    storage.write_bytes(path, b"old")
    storage.write_bytes(path, b"new")
    assert storage.exists(path) and not storage.exists(path + "2")
    assert storage.read_bytes(path) == b"new"
    assert os.listdir(tmp_path / "deep" / "er") == ["file"]
    longest = "a" * 251 + ".png"
    storage.write_bytes(str(tmp_path / longest), b"long")
    assert storage.read_bytes(str(tmp_path / longest)) == b"long"


def test_errors_begin_with_the_path(tmp_path):
    with pytest.raises(storage.StorageError, match=f"^{tmp_path}/none: no such file"):
        storage.read_bytes(f"{tmp_path}/none")
    with pytest.raises(storage.StorageError, match=f"^{tmp_path}: cannot be read"):
        storage.read_bytes(str(tmp_path))


def test_failed_write_leaves_nothing(tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "inside").write_bytes(b"")
    with pytest.raises(storage.StorageError, match="taken: cannot be read or written"):
        storage.write_bytes(str(tmp_path / "taken"), b"new")
    assert os.listdir(tmp_path) == ["taken"]


def test_a_file_is_told_by_its_content_and_a_folder_by_its_names_too(tmp_path):
    def write(folder, **files):
        for name, content in files.items():
            path = tmp_path / folder / name.replace("_", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return storage.sha256(str(tmp_path / folder))

    first = write("a", x=b"1", deep_y=b"2")
    assert storage.sha256(str(tmp_path / "a" / "x")) == hashlib.sha256(b"1").hexdigest()
    assert write("b", deep_y=b"2", x=b"1") == first
    assert storage.sha256(str(tmp_path / "b") + "/") == first
    others = [write("c", x=b"2", deep_y=b"1"), write("d", x=b"1", y=b"2"), write("a", z=b"")]
    assert len({first, *others}) == 4
    with pytest.raises(storage.StorageError, match=f"^{tmp_path}/none: no such file"):
        storage.sha256(str(tmp_path / "none"))


def test_what_is_not_done_lies_in_the_folder_that_is_asked_for(tmp_path):
    with storage.atomic_path(str(tmp_path / "a" / "file"), str(tmp_path / "b")) as aside:
        (tmp_path / "b" / aside.rpartition("/")[2]).write_text("content")
        assert list((tmp_path / "a").iterdir()) == []
    assert (tmp_path / "a" / "file").read_text() == "content"
    assert list((tmp_path / "b").iterdir()) == []


def test_the_sha256_of_a_large_file_takes_little_memory(tmp_path):
    content = bytes(range(256)) * (1 << 17)
    (tmp_path / "large").write_bytes(content)
    wanted = hashlib.sha256(content).hexdigest()
    tracemalloc.start()
    assert storage.sha256(str(tmp_path / "large")) == wanted
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < len(content) / 2


@without_io
@pytest.mark.parametrize(
    "use",
    [
        lambda path: storage.read_bytes("s3://bucket/face.png"),
        lambda path: storage.exists("s3://bucket/face.png"),
    ],
)
def test_what_needs_tensorflow_io_says_so_in_a_sentence(use, tmp_path):
    with pytest.raises(optional.UnavailableError, match="needs tensorflow-io, .*TensorFlow 2.15"):
        use(str(tmp_path))


@needs_io
def test_unknown_scheme_is_named():
    with pytest.raises(storage.StorageError, match="no file system is known for bogus://"):
        storage.read_bytes("bogus://bucket/face.png")


class Bucket(http.server.BaseHTTPRequestHandler):
    """As much of the S3 protocol as reading one object takes."""

    protocol_version = "HTTP/1.1"
    objects = {"/bucket/faces/a.bin": bytes(range(256)) * 5}

    def do_HEAD(self):
        content = self.objects.get(self.path.partition("?")[0])
        span = self.headers.get("Range")
        if content is None:
            status, content = 404, b""
        elif span:
            first, last = map(int, span.partition("=")[2].split("-"))
            status, content = 206, content[first : last + 1]
        else:
            status = 200
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return content

    def do_GET(self):
        self.wfile.write(self.do_HEAD())

    def log_message(self, *_):
        pass


@needs_io
def test_objects_are_read_from_s3():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = dict(
        os.environ,
        S3_ENDPOINT=f"http://127.0.0.1:{server.server_port}",
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",
        AWS_REGION="us-east-1",
        AWS_EC2_METADATA_DISABLED="true",
    )
    program = (
        "from legan_tf.data import storage\n"
        "content = storage.read_bytes('s3://bucket/faces/a.bin')\n"
        "print(content == bytes(range(256)) * 5, flush=True)\n"
        "print(storage.exists('s3://bucket/faces/none'), flush=True)\n"
    )
    # In a process of its own, whose status does not count: tensorflow-io's S3 client may abort
    # while Python shuts down, when all is done.
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, timeout=120
    )
    server.shutdown()
    server.server_close()
    assert done.stdout.decode().split() == ["True", "False"]
