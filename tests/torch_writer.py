"""Writes files as torch.save does, without PyTorch, and as it never would.

Test modules load it with runpy: they are no package.
"""

from __future__ import annotations

import io
import struct
import zipfile
from typing import Any, NamedTuple

import numpy as np

KINDS = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "int16": "ShortStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
    "uint16": "BFloat16Storage",  # NumPy has no bfloat16; these are its bits.
}


class Name(NamedTuple):
    text: str


class Call(NamedTuple):
    name: str
    arguments: tuple


class Built(NamedTuple):
    value: Any
    state: Any


class Persistent(NamedTuple):
    identity: tuple


class View(NamedTuple):
    """A tensor that looks into a storage; strides in numbers, as PyTorch counts."""

    storage: np.ndarray
    offset: int
    shape: tuple
    strides: tuple
    told: int | None = None
    """How many numbers the file says the storage has, if it lies."""
    rebuilt: str = "_rebuild_tensor_v2"


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


class Encoder:
    def __init__(self, protocol: int = 2, form: str = "zip") -> None:
        self.protocol = protocol
        self.form = form
        self.storages: dict[int, tuple[str, np.ndarray]] = {}

    def pickle(self, value: Any) -> bytes:
        return b"\x80" + bytes([self.protocol]) + self.encoded(value) + b"."

    def encoded(self, value: Any) -> bytes:
        if value is None or isinstance(value, bool):
            return {None: b"N", True: b"\x88", False: b"\x89"}[value]
        if isinstance(value, int):
            size = value.bit_length() // 8 + 1
            return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)
        if isinstance(value, float):
            return b"G" + struct.pack(">d", value)
        if isinstance(value, str):
            return _text(value)
        if isinstance(value, Name):
            module, name = value.text.split(" ")
            if self.protocol >= 4:
                return _text(module) + b"\x94" + _text(name) + b"\x94\x93"
            return f"c{module}\n{name}\n".encode()
        if isinstance(value, Call):
            return self.encoded(Name(value.name)) + self.encoded(value.arguments) + b"R"
        if isinstance(value, Built):
            return self.encoded(value.value) + self.encoded(value.state) + b"b"
        if isinstance(value, Persistent):
            return self.encoded(value.identity) + b"Q"
        if isinstance(value, np.ndarray):
            value = value.copy(order="C")
            strides = tuple(stride // value.itemsize for stride in value.strides)
            return self.tensor(View(value.ravel(), 0, value.shape, strides))
        if isinstance(value, View):
            return self.tensor(value)
        if isinstance(value, dict):
            pairs = b"".join(self.encoded(item) for pair in value.items() for item in pair)
            return b"}q\x01(" + pairs + b"u"
        if isinstance(value, list):
            return b"](" + b"".join(map(self.encoded, value)) + b"e"
        return b"(" + b"".join(map(self.encoded, value)) + b"t"

    def tensor(self, view: View) -> bytes:
        key, storage = self.storages.setdefault(
            id(view.storage), (str(len(self.storages)), view.storage)
        )
        kind = Name(f"torch {KINDS[storage.dtype.name]}")
        count = storage.size if view.told is None else view.told
        identity: tuple = ("storage", kind, key, "cpu", count)
        identity += (None,) if self.form == "pickles" else ()
        looks = (Persistent(identity), view.offset, view.shape, view.strides)
        if view.rebuilt == "_rebuild_tensor_v2":
            looks += (False, Call("collections OrderedDict", ()))
        return self.encoded(Call(f"torch._utils {view.rebuilt}", looks))


def pickled(value: Any, protocol: int = 2) -> bytes:
    return Encoder(protocol).pickle(value)


def saved(root: Any, form: str = "zip", protocol: int = 2, compression: int = 0) -> bytes:
    """The content of a file; form is "zip" (PyTorch 1.6 and later) or "pickles" (before)."""
    encoder = Encoder(protocol, form)
    body = encoder.pickle(root)
    return {"zip": zipped, "pickles": legacy}[form](body, encoder.storages, compression)


def zipped(body: bytes, storages: dict, compression: int) -> bytes:
    file = io.BytesIO()
    members = {"data.pkl": body, "byteorder": b"little", "version": b"3\n"}
    members.update({f"data/{key}": storage.tobytes() for key, storage in storages.values()})
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            # Named by a ZipInfo: its date is fixed, so equal tensors make equal files.
            archive.writestr(zipfile.ZipInfo(f"archive/{name}"), content, compression)
    return file.getvalue()


def legacy(body: bytes, storages: dict, _: int) -> bytes:
    info = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    head = [pickled(119547037146038801333356), pickled(1001), pickled(info)]
    keys = pickled([key for key, _ in storages.values()])
    numbers = [struct.pack("<q", s.size) + s.tobytes() for _, s in storages.values()]
    return b"".join([*head, body, keys, *numbers])
