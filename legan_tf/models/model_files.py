"""Files of networks (.keras, .h5) and of weights (.h5), which are checked before Keras reads them.

Keras 2 imports whatever module the configuration in a file names, and calls what it finds there.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any

import h5py
import keras

from legan_tf.errors import UserError, first_line
from legan_tf.models.layers import PACKAGE
from legan_tf.models.network import Network

_CONFIG = "config.json"
_WEIGHTS = "model.weights.h5"
_MEMBERS = frozenset({"metadata.json", _CONFIG, _WEIGHTS})
_MAX_JSON = 2**24
_MAX_DEPTH = 200
_MAX_EXPANSION = 8
"""Datasets may be compressed, but a file is refused if they exceed this multiple of its size."""

_VALUES = "__tuple__ __keras_tensor__ __numpy__ __tensor__ TensorShape DTypePolicy Policy"
_LAYERS = """
    Functional InputLayer Model Sequential
    Conv1D Conv2D Conv3D Conv2DTranspose DepthwiseConv2D SeparableConv2D Dense EinsumDense Embedding
    Activation ELU LeakyReLU PReLU ReLU Softmax ThresholdedReLU
    AveragePooling2D GlobalAveragePooling2D GlobalMaxPooling2D MaxPooling2D
    BatchNormalization GroupNormalization LayerNormalization Normalization Rescaling
    SpectralNormalization SyncBatchNormalization UnitNormalization
    Attention AdditiveAttention MultiHeadAttention
    Add Average Concatenate Dot Maximum Minimum Multiply Subtract
    AlphaDropout Dropout GaussianDropout GaussianNoise SpatialDropout2D
    CenterCrop Cropping2D Flatten Permute RepeatVector Reshape Resizing UpSampling2D ZeroPadding2D
    TimeDistributed CustomScaleLayer LayerScale
"""
_PARTS_OF_LAYERS = """
    Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity LecunNormal LecunUniform Ones
    Orthogonal RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros
    L1 L2 L1L2 OrthogonalRegularizer MaxNorm MinMaxNorm NonNeg UnitNorm
"""
_PARTS_OF_TRAINING = """
    Adadelta Adagrad Adam AdamW Adamax Ftrl Lion LossScaleOptimizer Nadam RMSprop SGD
    CosineDecay ExponentialDecay InverseTimeDecay PiecewiseConstantDecay PolynomialDecay
    BinaryCrossentropy CategoricalCrossentropy CosineSimilarity Hinge Huber KLDivergence
    MeanAbsoluteError MeanSquaredError Poisson SparseCategoricalCrossentropy
    AUC Accuracy BinaryAccuracy CategoricalAccuracy Mean MeanMetricWrapper Precision Recall
    RootMeanSquaredError SparseCategoricalAccuracy TopKCategoricalAccuracy
"""
_CLASSES = frozenset(f"{_VALUES} {_LAYERS} {_PARTS_OF_LAYERS} {_PARTS_OF_TRAINING}".split())
"""Classes of Keras that a configuration may name; none takes a function, a file or an address."""
_FUNCTIONS = frozenset(
    """
    elu exponential gelu hard_sigmoid leaky_relu linear mish relu relu6 selu sigmoid silu softmax
    softplus softsign swish tanh
    binary_crossentropy categorical_crossentropy mean_absolute_error mean_squared_error
    sparse_categorical_crossentropy
    """.split()
)
"""Functions of Keras that a configuration may name."""
_MODULES = frozenset(
    """
    builtins keras keras.activations keras.constraints keras.initializers keras.layers keras.losses
    keras.metrics keras.mixed_precision keras.optimizers keras.optimizers.schedules
    keras.regularizers
    keras.src.applications.convnext keras.src.applications.inception_resnet_v2
    keras.src.engine.functional keras.src.engine.sequential
    keras.src.models.functional keras.src.models.sequential
    """.split()
)
"""Modules under which the two versions of Keras name these."""


def load_model(path: str) -> keras.Model:
    """Loads a network from a file, without its optimizers.

    Args:
        path: A ``.keras`` or ``.h5`` file.

    Raises:
        UserError: See ``check_model_file``; or Keras cannot load it. The message starts with
            ``path``.
    """
    check_model_file(path)
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises whatever the damaged or foreign part causes.
        raise UserError(f"{path}: is not a model that can be loaded ({first_line(error)}).") from (
            error
        )


def check_model_file(path: str) -> bool:
    """Checks that a file of a network or of weights names no code, and is as large as it says.

    Its configuration may name networks of this package and layers of Keras that hold no code.

    Args:
        path: A ``.keras`` file, or an HDF5 file of any other name.

    Returns:
        Whether it describes a network; an HDF5 file may hold weights alone.

    Raises:
        UserError: It is damaged, names anything else, refers to other files, or unpacks to far
            more than its size; the message starts with ``path``.
    """
    try:
        with open(path, "rb") as file:
            if path.endswith(".keras"):
                config = _config_of_archive(file)
            else:
                config = _config_of_hdf5(file, os.fstat(file.fileno()).st_size)
        if config:
            _check_config(_parsed(config))
    except _Refused as error:
        raise UserError(f"{path}: {error}.") from error
    except MemoryError as error:
        raise UserError(f"{path}: needs more memory than there is.") from error
    except _CORRUPTION as error:
        kind = ".keras" if path.endswith(".keras") else ".keras or HDF5"
        raise UserError(f"{path}: is not a {kind} file, or is damaged.") from error
    return bool(config)


class _Refused(Exception):
    """The file is not loaded; the message is a predicate of its name."""


_CORRUPTION = (
    EOFError,
    LookupError,
    NotImplementedError,  # of zipfile for unknown compression
    OSError,
    RuntimeError,  # of zipfile for encryption, and of HDF5
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
"""Exceptions of the libraries on corrupt bytes."""


def _config_of_archive(file: IO[bytes]) -> str | bytes:
    """Checks the members of a ``.keras`` file; returns its configuration."""
    size = os.fstat(file.fileno()).st_size
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        for member in members:
            if member.filename not in _MEMBERS:
                raise _Refused(f"holds {member.filename[:80]!r}, which no file of Keras does")
            # Keras never compresses; a compressed file may be a decompression bomb.
            if member.compress_type != zipfile.ZIP_STORED:
                raise _Refused(f"is compressed ({member.filename}), which Keras never does")
            if member.file_size != member.compress_size:
                raise _Refused("declares wrong sizes of its parts")
        if len({member.filename for member in members}) != len(members):
            raise _Refused("holds one part twice")
        if sum(member.file_size for member in members) > size:
            raise _Refused("declares wrong sizes of its parts")
        _parsed(archive.read("metadata.json"))
        weights = archive.read(_WEIGHTS)
        _config_of_hdf5(io.BytesIO(weights), len(weights))
        return archive.read(_CONFIG)


def _config_of_hdf5(content: IO[bytes], size: int) -> str | bytes:
    """Checks the datasets of an HDF5 file of so many bytes; returns its configuration, if any."""
    with h5py.File(content, "r") as file:
        if sum(_sizes(file)) > _MAX_EXPANSION * size:
            raise _Refused(f"unpacks to more than {_MAX_EXPANSION} times its size")
        return file.attrs.get("model_config", "")


def _sizes(file: h5py.File) -> Iterator[int]:
    """Yields the size of each dataset in bytes; refuses what lies outside of the file."""
    pending, seen = [file["/"]], set()
    while pending:
        group = pending.pop()
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise _Refused(
                    f"holds a link in place of {name[:80]!r}; give a file with all in it"
                )
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                continue
            seen.add(address)
            if isinstance(item, h5py.Group):
                pending.append(item)
            elif isinstance(item, h5py.Dataset):
                # Before its shape, for which HDF5 would open the files of a virtual dataset.
                if item.is_virtual or item.external:
                    raise _Refused(
                        f"keeps {name[:80]!r} in another file; give a file with all in it"
                    )
                yield (item.size or 0) * item.dtype.itemsize


def _parsed(text: str | bytes) -> Any:
    """Parses JSON of bounded size and depth."""
    if len(text) > _MAX_JSON:
        raise _Refused(f"has a configuration of {len(text):,} bytes, more than {_MAX_JSON:,}")
    try:
        return json.loads(text)
    except RecursionError as error:
        raise _Refused(_TOO_DEEP) from error


_TOO_DEEP = f"has a configuration that is nested more than {_MAX_DEPTH} deep"


def _check_config(config: Any) -> None:
    """Refuses a configuration that names, at any depth, what is not allowed."""
    pending = [(config, 0)]
    while pending:
        item, depth = pending.pop()
        if depth > _MAX_DEPTH:
            raise _Refused(_TOO_DEEP)
        if isinstance(item, dict):
            _check_names(item)
            pending += [(value, depth + 1) for value in item.values()]
        elif isinstance(item, list):
            pending += [(value, depth + 1) for value in item]


def _check_names(item: dict[str, Any]) -> None:
    """Refuses a dictionary that stands for an object of a class that is not allowed."""
    for key in ("activation", "recurrent_activation"):
        if isinstance(item.get(key), str) and item[key] not in _FUNCTIONS:
            raise _refused(item[key])
    if not item.keys() & {"class_name", "module", "registered_name"}:
        return
    name, module, registered = map(item.get, ("class_name", "module", "registered_name"))
    if isinstance(registered, str) and registered.startswith(f"{PACKAGE}>"):
        made = keras.saving.get_registered_object(registered)
        allowed = isinstance(made, type) and issubclass(made, Network)
        allowed = allowed and registered == f"{PACKAGE}>{name}"
        allowed = allowed and (module is None or str(module).startswith(f"{PACKAGE}."))
    else:
        if name == "function":
            name = item.get("config")
            allowed = name in _FUNCTIONS and registered in (None, "function")
        else:
            allowed = name in _CLASSES and registered in (None, name, f"Custom>{name}")
        allowed = allowed and (module is None or module in _MODULES)
    if not allowed:
        raise _refused(name, module, registered)


def _refused(*names: Any) -> _Refused:
    shown = ", ".join(str(name)[:80] for name in names if name is not None)
    return _Refused(
        f"its configuration names {shown!r}, which could run code; only networks of this package "
        "and Keras' own layers without code are loaded"
    )
