"""Reader of PyTorch's files of weights that needs no PyTorch and executes no code from them.

``torch.load(weights_only=True)`` would do, but PyTorch is larger than all of our requirements.
"""

from __future__ import annotations

import dataclasses
import io
import math
import pickle
import struct
import zipfile
from collections.abc import Iterable
from typing import Any

import numpy as np

from legan_tf.errors import UserError

_MAGIC = 119547037146038801333356
_PROTOCOL = 1001
_MAX_EXPANSION = 8
"""Tensors may share storage, but the file is refused if they exceed this multiple of its size."""
_BFLOAT16 = np.dtype("<u2")
"""NumPy has no bfloat16; these are its bits."""
_DTYPES = {
    "torch.DoubleStorage": np.dtype("<f8"),
    "torch.FloatStorage": np.dtype("<f4"),
    "torch.HalfStorage": np.dtype("<f2"),
    "torch.BFloat16Storage": _BFLOAT16,
    "torch.LongStorage": np.dtype("<i8"),
    "torch.IntStorage": np.dtype("<i4"),
    "torch.ShortStorage": np.dtype("<i2"),
    "torch.CharStorage": np.dtype("|i1"),
    "torch.ByteStorage": np.dtype("|u1"),
    "torch.BoolStorage": np.dtype("|b1"),
}


def read_tensors(path: str) -> dict[str, np.ndarray]:
    """Reads a state dict written by ``torch.save``, in the format before or after version 1.6.

    Of a checkpoint the ``state_dict`` is returned, without the prefix ``module.`` of
    ``DataParallel``.

    Args:
        path: A local file.

    Returns:
        The tensors by name, in the file's order, as contiguous copies. bfloat16 becomes float32;
        every other type is kept.

    Raises:
        UserError: The file cannot be read, is damaged, holds something other than tensors in plain
            containers, or asks for any code.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(512)
            file.seek(0)
            if start.startswith(b"PK\x03\x04"):
                tensors = _read_zip(file)
            elif start[257:262] == b"ustar":
                raise _Refused(
                    "is in PyTorch's format of before 2017; load and save it with a later PyTorch"
                )
            elif start.startswith(b"\x80"):
                tensors = _read_pickles(file.read())
            else:
                raise _Refused("is not a file that torch.save wrote")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except _Refused as error:
        raise UserError(f"{path}: {error}.") from error
    except MemoryError as error:
        raise UserError(f"{path}: needs more memory than there is.") from error
    except _CORRUPTION as error:
        raise UserError(f"{path}: is a damaged or cut short PyTorch file.") from error
    if tensors and all(name.startswith("module.") for name in tensors):
        tensors = {name[len("module.") :]: tensor for name, tensor in tensors.items()}
    return tensors


class _Refused(Exception):
    """The file cannot be used; the message is a predicate of its name."""


_CORRUPTION = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,  # of zipfile for unknown compression
    RuntimeError,  # of zipfile for encryption
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
)
"""Exceptions of the standard library on corrupt bytes."""


@dataclasses.dataclass(frozen=True)
class _Storage:
    """A block of numbers that tensors are views of."""

    key: str
    dtype: np.dtype
    count: int

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self.count * self.dtype.itemsize


@dataclasses.dataclass(frozen=True)
class _Tensor:
    """A view of a storage; offset and strides count its numbers."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def size(self) -> int:
        """Size in bytes as a copy."""
        return math.prod(self.shape) * self.storage.dtype.itemsize

    def array(self, content: bytes | memoryview) -> np.ndarray:
        """Copies the numbers from the bytes of the storage."""
        flat = np.frombuffer(content, self.storage.dtype)[self.offset :]
        strides = [stride * flat.itemsize for stride in self.strides]
        view = np.lib.stride_tricks.as_strided(flat, self.shape, strides, writeable=False)
        if self.storage.dtype == _BFLOAT16:
            wide = np.array(view, np.uint32, order="C")
            wide <<= np.uint32(16)  # It is the upper half of a float32.
            return wide.view(np.float32)
        return np.array(view, view.dtype.newbyteorder("="), order="C")


def _read_zip(file: io.BufferedReader) -> dict[str, np.ndarray]:
    """Reads the format of PyTorch 1.6 and later: a zip with a pickle and a file per storage."""
    with zipfile.ZipFile(file) as archive:
        members = {member.filename: member for member in archive.infolist()}
        (folder,) = (name[: -len("data.pkl")] for name in members if name.endswith("/data.pkl"))

        def read(name: str) -> bytes:
            member = members[folder + name]
            # PyTorch never compresses; a compressed file may be a decompression bomb.
            if member.compress_type != zipfile.ZIP_STORED:
                raise _Refused(f"is compressed ({name}), which torch.save never does")
            return archive.read(member)

        if folder + "byteorder" in members and read("byteorder") != b"little":
            raise _Refused("was written on a big-endian machine")
        unpickler = _Unpickler(io.BytesIO(read("data.pkl")))
        tensors = _state_dict(unpickler.load())
        _check_sizes(tensors, unpickler.storages.values(), file.seek(0, io.SEEK_END))
        contents = {}
        for storage in {tensor.storage for tensor in tensors.values()}:
            contents[storage.key] = read(f"data/{storage.key}")
            if len(contents[storage.key]) != storage.size:
                raise _Refused("declares wrong sizes of its tensors")
    return {name: tensor.array(contents[tensor.storage.key]) for name, tensor in tensors.items()}


def _read_pickles(content: bytes) -> dict[str, np.ndarray]:
    """Reads the format of before 1.6: five pickles, then a length and numbers per storage."""
    stream = io.BytesIO(content)
    if _Unpickler(stream).load() != _MAGIC:
        raise _Refused("is a pickle, but not one that torch.save wrote")
    if _Unpickler(stream).load() != _PROTOCOL:
        raise _Refused("is in an unknown version of PyTorch's format")
    if not _Unpickler(stream).load()["little_endian"]:
        raise _Refused("was written on a big-endian machine")
    unpickler = _Unpickler(stream)
    tensors, found = _state_dict(unpickler.load()), unpickler.storages
    keys = [_checked(key, str) for key in _Unpickler(stream).load()]
    if sorted(keys) != sorted(found):
        raise _Refused("lists other storages than its tensors use")
    _check_sizes(tensors, found.values(), len(content))
    contents, at = {}, stream.tell()
    for key in keys:
        (count,) = struct.unpack_from("<q", content, at)
        if count != found[key].count:
            raise _Refused("declares wrong sizes of its tensors")
        contents[key] = memoryview(content)[at + 8 : at + 8 + found[key].size]
        at += 8 + found[key].size
    if at != len(content):
        raise _Refused("is cut short" if at > len(content) else "goes on after its last tensor")
    return {name: tensor.array(contents[tensor.storage.key]) for name, tensor in tensors.items()}


def _state_dict(root: Any) -> dict[str, _Tensor]:
    """Returns the tensors of an unpickled state dict or checkpoint."""
    if isinstance(root, dict) and isinstance(root.get("state_dict"), dict):
        root = root["state_dict"]
    if not isinstance(root, dict):
        raise _Refused("holds no dictionary of tensors; save model.state_dict()")
    for name, value in root.items():
        if not isinstance(name, str) or not isinstance(value, _Tensor):
            raise _Refused(
                f"holds something other than a tensor under {str(name)[:80]!r}; save "
                "model.state_dict()"
            )
    return root


def _check_sizes(tensors: dict[str, _Tensor], storages: Iterable[_Storage], file_size: int) -> None:
    """Refuses tensors outside their storage and sizes that exceed the file."""
    if sum(storage.size for storage in storages) > file_size:
        raise _Refused("is cut short, or declares more numbers than it holds")
    for name, tensor in tensors.items():
        last = sum((side - 1) * stride for side, stride in zip(tensor.shape, tensor.strides))
        if math.prod(tensor.shape) and tensor.offset + last >= tensor.storage.count:
            raise _Refused(f"has a tensor that ends outside its storage, {name!r}")
    if sum(tensor.size for tensor in tensors.values()) > _MAX_EXPANSION * file_size:
        raise _Refused(f"unpacks to more than {_MAX_EXPANSION} times its size")


class _Dict(dict):
    """A dictionary whose keys cost nothing to compare and to show."""

    def __setitem__(self, key: Any, value: Any) -> None:
        if type(key) not in (str, int):
            raise TypeError
        super().__setitem__(key, value)


_INSTRUCTIONS = """
    PROTO FRAME STOP MARK BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET
    NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT BINSTRING SHORT_BINSTRING
    BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8
    EMPTY_LIST APPEND APPENDS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 SETITEM SETITEMS
    GLOBAL STACK_GLOBAL REDUCE BINPERSID
"""


_PYTHON_UNPICKLER: Any = pickle._Unpickler


class _Unpickler(_PYTHON_UNPICKLER):
    """Python's own unpickler with only the instructions that a state dict needs.

    Nothing that the pickle names is imported; what can be called is the methods below. The fast
    unpickler of the standard library would also set attributes and claim any amount of memory.

    Attributes:
        storages: Those of the tensors read, by their keys.
    """

    dispatch = {
        getattr(pickle, name)[0]: _PYTHON_UNPICKLER.dispatch[getattr(pickle, name)[0]]
        for name in _INSTRUCTIONS.split()
    }

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream, encoding="utf-8")
        self.storages: dict[str, _Storage] = {}
        self._pairs_left = stream.getbuffer().nbytes

    def find_class(self, module: str, name: str) -> Any:
        """Returns the type of a storage, or the method that stands for a function."""
        wanted = f"{module}.{name}"
        functions = {
            "collections.OrderedDict": self._ordered_dict,
            "torch._utils._rebuild_parameter": self._parameter,
            "torch._utils._rebuild_tensor": self._tensor,
            "torch._utils._rebuild_tensor_v2": self._tensor,
        }
        if wanted not in functions and wanted not in _DTYPES:
            raise _Refused(
                f"asks for {wanted[:80]!r}: only tensors in plain dictionaries are read and no "
                "code is executed; save model.state_dict()"
            )
        return functions.get(wanted) or _DTYPES[wanted]

    def persistent_load(self, pid: Any) -> _Storage:
        """Returns the storage that an identifier describes."""
        word, dtype, key, _, count, *view = _checked(pid, tuple)
        if view not in ([], [None]):
            raise _Refused("has storages inside storages; load and save it with a later PyTorch")
        if word != "storage" or not isinstance(dtype, np.dtype):
            raise ValueError
        found = _Storage(_checked(key, str), dtype, _natural(count))
        if self.storages.setdefault(key, found) != found:
            raise ValueError
        return found

    def _ordered_dict(self, *lists: Any) -> _Dict:
        made = _Dict()
        for pairs in lists:
            # A genuine pair takes bytes of its own; one list may be asked for again and again.
            self._pairs_left -= len(_checked(pairs, list))
            if self._pairs_left < 0:
                raise ValueError
            for key, value in pairs:
                made[key] = value
        return made

    def _parameter(self, tensor: Any, *_: Any) -> _Tensor:
        return _checked(tensor, _Tensor)

    def _tensor(self, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
        made = _Tensor(
            _checked(storage, _Storage), _natural(offset), _sides(shape), _sides(strides)
        )
        if len(made.shape) != len(made.strides):
            raise ValueError
        return made

    def _load_empty_dict(self) -> None:
        self.append(_Dict())

    def _load_build(self) -> None:
        """Drops the attributes of a state dict, which are versions of PyTorch's modules."""
        self.stack.pop()
        _checked(self.stack[-1], _Dict)

    dispatch[pickle.EMPTY_DICT[0]] = _load_empty_dict
    dispatch[pickle.BUILD[0]] = _load_build


def _checked(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError
    return value


def _natural(value: Any) -> int:
    """Checks a size, bounded so that arithmetic on it cannot overflow."""
    if _checked(value, int) < 0 or value >= 2**48:
        raise ValueError
    return value


def _sides(value: Any) -> tuple[int, ...]:
    if len(_checked(value, tuple)) > 32:
        raise ValueError
    return tuple(_natural(side) for side in value)
