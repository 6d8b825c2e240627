"""Reader of PyTorch's files of weights that needs no PyTorch and executes no code from them.

``torch.load(weights_only=True)`` would do, but PyTorch is larger than all of our requirements.
"""

from __future__ import annotations

import dataclasses
import io
import math
import pickletools
import struct
import zipfile
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from legan_tf.errors import UserError

_MAGIC = 119547037146038801333356
_PROTOCOL = 1001
_MAX_EXPANSION = 8
"""Tensors may share storage, but the file is refused if they exceed this multiple of its size."""

_DTYPES = {
    "torch DoubleStorage": "<f8",
    "torch FloatStorage": "<f4",
    "torch HalfStorage": "<f2",
    "torch BFloat16Storage": "<u2",
    "torch LongStorage": "<i8",
    "torch IntStorage": "<i4",
    "torch ShortStorage": "<i2",
    "torch CharStorage": "|i1",
    "torch ByteStorage": "|u1",
    "torch BoolStorage": "|u1",
}
_TENSOR_BUILDERS = ("torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2")
_PARAMETER = "torch._utils _rebuild_parameter"
_ORDERED = "collections OrderedDict"
_ALLOWED_NAMES = frozenset({*_DTYPES, *_TENSOR_BUILDERS, _PARAMETER, _ORDERED})


def read_tensors(path: str) -> dict[str, np.ndarray]:
    """Reads a state dict written by ``torch.save``, in the format before or after version 1.6.

    The pickle inside is interpreted by instructions that build plain values and tensors only:
    nothing that it names is imported or called. Of a checkpoint the ``state_dict`` is returned,
    without the prefix ``module.`` of ``DataParallel``.

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


def check_shapes(
    path: str, what: str, found: Mapping[str, Any], wanted: Mapping[str, tuple[int, ...]]
) -> None:
    """Compares the names and shapes in a file with those of a network.

    Args:
        path: The file.
        what: The expected content, for the message.
        found: The content by name, each with a ``shape``.
        wanted: The expected shapes by name.

    Raises:
        UserError: They differ; the message starts with the path.
    """
    problems = []
    for verb, names in (
        ("it lacks", [name for name in wanted if name not in found]),
        ("it also has", [name for name in found if name not in wanted]),
    ):
        if names:
            more = f" and {len(names) - 1} more" if names[1:] else ""
            problems.append(f"{verb} {names[0][:80]}{more}")
    for name in wanted:
        if name in found and tuple(found[name].shape) != wanted[name]:
            problems.append(f"{name} is {tuple(found[name].shape)}, not {wanted[name]}")
            break
    if problems:
        raise UserError(f"{path}: is not {what}: {'; '.join(problems)}.")


def finite_float32(path: str, name: str, tensor: np.ndarray) -> np.ndarray:
    """Returns a tensor of a file as float32.

    Raises:
        UserError: It is not all finite numbers; the message starts with the path.
    """
    if not np.issubdtype(tensor.dtype, np.floating) or not np.isfinite(tensor).all():
        raise UserError(f"{path}: {name} does not hold finite numbers only.")
    with np.errstate(over="ignore"):  # float64 may hold more; what comes out is checked.
        tensor = tensor.astype(np.float32)
    if not np.isfinite(tensor).all():
        raise UserError(f"{path}: {name} holds numbers that are too large.")
    return tensor


class _Refused(Exception):
    """The file cannot be used; the message is a predicate of its name."""


_CORRUPTION = (
    ArithmeticError,
    EOFError,
    LookupError,
    NotImplementedError,  # of zipfile for unknown compression
    RuntimeError,  # of zipfile for encryption
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
)
"""Exceptions of the standard library on corrupt bytes."""


@dataclasses.dataclass(frozen=True)
class _Name:
    """A name in the pickle, which is not imported."""

    text: str


@dataclasses.dataclass(frozen=True)
class _Storage:
    """A block of numbers that tensors are views of."""

    key: str
    kind: str
    count: int

    @property
    def dtype(self) -> np.dtype:
        """Type of the stored numbers."""
        return np.dtype(_DTYPES[self.kind])

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
        if self.storage.kind == "torch BFloat16Storage":
            wide = np.array(view, np.uint32, order="C")
            wide <<= np.uint32(16)  # It is the upper half of a float32.
            return wide.view(np.float32)
        kept = np.bool_ if self.storage.kind == "torch BoolStorage" else view.dtype
        return np.array(view, np.dtype(kept).newbyteorder("="), order="C")


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
        found: dict[str, _Storage] = {}
        tensors = _state_dict(_unpickled(io.BytesIO(read("data.pkl")), found))
        _check_sizes(tensors, found.values(), file.seek(0, io.SEEK_END))
        contents = {}
        for storage in {tensor.storage for tensor in tensors.values()}:
            contents[storage.key] = read(f"data/{storage.key}")
            if len(contents[storage.key]) != storage.size:
                raise _Refused("declares wrong sizes of its tensors")
    return {name: tensor.array(contents[tensor.storage.key]) for name, tensor in tensors.items()}


def _read_pickles(content: bytes) -> dict[str, np.ndarray]:
    """Reads the format of before 1.6: five pickles, then a length and numbers per storage."""
    stream = io.BytesIO(content)
    if _unpickled(stream) != _MAGIC:
        raise _Refused("is a pickle, but not one that torch.save wrote")
    if _unpickled(stream) != _PROTOCOL:
        raise _Refused("is in an unknown version of PyTorch's format")
    if not _unpickled(stream)["little_endian"]:
        raise _Refused("was written on a big-endian machine")
    found: dict[str, _Storage] = {}
    tensors = _state_dict(_unpickled(stream, found))
    keys = _unpickled(stream)
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


def _unpickled(stream: io.BytesIO, storages: dict[str, _Storage] | None = None) -> Any:
    """Interprets one pickle of plain values, tensors and dictionaries.

    Args:
        stream: Read to the end of the pickle.
        storages: Receives the storages of the pickle by their keys.
    """
    machine = _Machine({} if storages is None else storages)
    for code, argument, _ in pickletools.genops(stream):
        machine.step(code.name, argument)
    (value,) = machine.stack
    return value


class _Machine:
    """A pickle machine with only the instructions that a state dict needs.

    A restricted standard Unpickler can still be made to set attributes and to claim any amount of
    memory; here an unlisted instruction does not exist.
    """

    def __init__(self, storages: dict[str, _Storage]) -> None:
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.storages = storages
        self.pairs = 0
        self.steps = 0

    def step(self, code: str, argument: Any) -> None:
        """Executes one instruction."""
        self.steps += 1
        if code in _VALUES:
            self.stack.append(argument)
        elif code in _CONSTANTS:
            self.stack.append(_CONSTANTS[code]())
        elif code in _STEPS:
            _STEPS[code](self, argument)
        else:
            raise _Refused(f"holds an object that is no plain value or tensor ({code})")

    def mark(self, _: None) -> None:
        self.marked.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marked.pop()
        return items

    def put(self, index: int | None) -> None:
        self.memo[len(self.memo) if index is None else index] = self.stack[-1]

    def get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    def gather(self, count: int | None) -> None:
        if count is None:
            items = self.since_mark()
        else:
            items = [self.stack.pop() for _ in range(count)][::-1]
        self.stack.append(tuple(items))

    def extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise TypeError
        target.extend(items)

    def assign(self, items: list[Any]) -> None:
        self.update(self.stack[-1], zip(items[::2], items[1::2]))

    def update(self, target: Any, pairs: Iterable[Any]) -> None:
        if type(target) is not dict:
            raise TypeError
        for key, value in pairs:
            self.pairs += 1
            # Every pair of a genuine dictionary took instructions of its own.
            if type(key) not in (str, int) or self.pairs > self.steps:
                raise ValueError
            target[key] = value

    def name(self, text: str) -> None:
        if text not in _ALLOWED_NAMES:
            what = text.replace(" ", ".")[:80]
            raise _Refused(
                f"asks for {what!r}: only tensors in plain dictionaries are read and no code is "
                "executed; save model.state_dict()"
            )
        self.stack.append(_Name(text))

    def name_on_stack(self, _: None) -> None:
        name, module = _checked(self.stack.pop(), str), _checked(self.stack.pop(), str)
        self.name(f"{module} {name}")

    def state(self, _: None) -> None:
        """Drops the attributes of a state dict, which are versions of PyTorch's modules."""
        self.stack.pop()
        if type(self.stack[-1]) is not dict:
            raise TypeError

    def storage(self, _: None) -> None:
        word, kind, key, _, count, *view = self.stack.pop()
        if view not in ([], [None]):
            raise _Refused("has storages inside storages; load and save it with a later PyTorch")
        found = _Storage(_checked(key, str), _checked(kind, _Name).text, _natural(count))
        if word != "storage" or found.kind not in _DTYPES:
            raise ValueError
        if self.storages.setdefault(found.key, found) != found:
            raise ValueError
        self.stack.append(found)

    def call(self, _: None) -> None:
        """Applies an allowed name to its arguments."""
        arguments = _checked(self.stack.pop(), tuple)
        name = _checked(self.stack.pop(), _Name).text
        if name == _ORDERED:
            made: Any = {}
            for pairs in arguments:
                self.update(made, _checked(pairs, list))
        elif name == _PARAMETER:
            made = _checked(arguments[0], _Tensor)
        elif name in _TENSOR_BUILDERS:
            storage, offset, shape, strides = arguments[:4]
            made = _Tensor(
                _checked(storage, _Storage), _natural(offset), _sides(shape), _sides(strides)
            )
            if len(made.shape) != len(made.strides):
                raise ValueError
        else:
            raise TypeError
        self.stack.append(made)


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


_VALUES = frozenset(
    "BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT BINSTRING SHORT_BINSTRING BINUNICODE "
    "SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8".split()
)
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
}
_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "STOP": lambda machine, _: None,
    "MARK": _Machine.mark,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.put,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "TUPLE": _Machine.gather,
    "TUPLE1": lambda machine, _: machine.gather(1),
    "TUPLE2": lambda machine, _: machine.gather(2),
    "TUPLE3": lambda machine, _: machine.gather(3),
    "APPEND": lambda machine, _: machine.extend([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.assign([machine.stack.pop(-2), machine.stack.pop()]),
    "SETITEMS": lambda machine, _: machine.assign(machine.since_mark()),
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.name_on_stack,
    "REDUCE": _Machine.call,
    "BINPERSID": _Machine.storage,
    "BUILD": _Machine.state,
}
