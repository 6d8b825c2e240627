"""Prints how much memory requests take that mean to take much: `memory_of_requests.py EXPORT`.

A program of its own, since TensorFlow keeps what it was ever given: in a process that has worked
before, new needs are met from old memory and cannot be seen. For the same reason every figure is
counted from one beginning and includes what the requests before it have taken.
"""

from __future__ import annotations

import contextlib
import json
import struct
import sys
import threading
import zlib

import tensorflow as tf


def black_png(width: int, height: int) -> bytes:
    """A whole picture of one bit per pixel in very few bytes, made without its pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    deflate = zlib.compressobj()
    rows = b"".join(deflate.compress(bytes(1 + (width + 7) // 8)) for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    parts = {b"IHDR": header, b"IDAT": rows + deflate.flush(), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts.items())


def held() -> int:
    """Bytes of the process's own, without pages of libraries, which come and go."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("RssAnon:"))


def most_held(request) -> tuple[bool, int]:
    """Whether the request was answered, and the bytes held at a time meanwhile, at the most."""
    done, seen, answer = threading.Event(), [], None

    def watch() -> None:
        while not done.wait(0.001):
            seen.append(held())

    watcher = threading.Thread(target=watch)
    watcher.start()
    with contextlib.suppress(tf.errors.InvalidArgumentError):
        answer = request()
    seen.append(held())
    done.set()
    watcher.join()
    return answer is not None, max(seen)


def main(folder: str) -> None:
    model = tf.saved_model.load(folder)

    def edit(rows: int, height: int, width: int):
        image, ids = tf.zeros([rows, height, width, 3], tf.uint8), tf.zeros([rows], tf.int32)
        return model.signatures["serving_default"](image=image, expression=ids, lighting=ids)

    def edit_bytes(*pictures: bytes):
        run, unnamed = model.signatures["serving_bytes"], tf.fill([len(pictures)], "")
        return run(image_bytes=tf.constant(pictures), expression=unnamed, lighting=unnamed)

    bomb, small = black_png(12_000, 12_000), black_png(50, 40)
    wide, tall = black_png(1_000_000, 1), black_png(1, 1_000_000)
    many = 100_000
    edit(1, 40, 50)
    edit_bytes(small)
    model.signatures["labels"](row=tf.zeros([1], tf.int32))
    requests = {
        "huge picture": lambda: edit_bytes(bomb),
        "wide file": lambda: edit_bytes(wide),
        "tall file": lambda: edit_bytes(tall),
        "wide pixels": lambda: edit(1, 1, 1_000_000),
        "tall pixels": lambda: edit(1, 1_000_000, 1),
        "many rows": lambda: edit(many, 1, 1),
        "many files": lambda: edit_bytes(*[small] * many),
        "many labels": lambda: model.signatures["labels"](row=tf.zeros([many], tf.int32)),
        "all pixels": lambda: tf.io.decode_png(bomb, channels=3),
    }
    first = held()
    taken, answered = {}, []
    for name, request in requests.items():
        done, most = most_held(request)
        taken[name] = most - first
        answered += [name] * done
    files = {"huge": len(bomb), "wide": len(wide), "tall": len(tall)}
    print(json.dumps({"files": files, "taken": taken, "answered": answered}))


if __name__ == "__main__":
    main(sys.argv[1])
