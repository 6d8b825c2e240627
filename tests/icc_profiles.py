"""ICC profiles as bytes, for pictures of tests."""

from __future__ import annotations

import struct

import numpy as np


def fixed(number: float) -> bytes:
    return struct.pack(">i", round(number * 65536))


def icc_profile(space: bytes, device: bytes = b"mntr", **tags: bytes) -> bytes:
    """The bytes of an ICC profile of version 2.4, of tags that are all there."""
    white = b"XYZ " + bytes(4) + fixed(0.9642) + fixed(1.0) + fixed(0.8249)
    named = {"wtpt": white, **tags}
    at, table, content = 128 + 4 + 12 * len(named), struct.pack(">I", len(named)), b""
    for name, tag in named.items():
        table += name.encode() + struct.pack(">II", at + len(content), len(tag))
        content += tag + bytes(-len(tag) % 4)
    head = struct.pack(
        ">I4sI4s4s4s12s4s4s24s", at + len(content), b"", 0x02400000, device, space, b"XYZ ",
        bytes(12), b"acsp", b"", bytes(24),
    )  # fmt: skip
    return head + fixed(0.9642) + fixed(1.0) + fixed(0.8249) + bytes(48) + table + content


def matrix_profile(primaries: np.ndarray, gamma: float) -> bytes:
    """A profile of colours whose XYZ for white of D50 are the columns of ``primaries``."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    columns = {
        f"{name}XYZ": b"XYZ " + bytes(4) + b"".join(map(fixed, column))
        for name, column in zip("rgb", primaries.T)
    }
    return icc_profile(b"RGB ", **columns, **{f"{name}TRC": curve for name in "rgb"})


SRGB = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])
P3 = np.array([[0.5151, 0.2919, 0.1572], [0.2412, 0.6922, 0.0666], [-0.0011, 0.0419, 0.7841]])
ADOBE = np.array([[0.6097, 0.2053, 0.1492], [0.3111, 0.6257, 0.0632], [0.0195, 0.0609, 0.7446]])
