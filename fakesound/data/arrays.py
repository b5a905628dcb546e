"""Read arrays from .npz, .npy and pickle files without running code.

A pickle is a program. The few names that it needs for numpy arrays are mapped to our own functions,
which build arrays of numbers, text and lists; every other name is refused.
"""

import pickle
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile

import numpy as np

from fakesound.errors import InputError

PLAIN_KINDS = "biufSU"  # numbers and text: fixed size, no pointers
NPY_MAGIC = b"\x93NUMPY"
# errors that the readers raise for damaged files
DAMAGE = (
    AttributeError,
    BadZipFile,
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OverflowError,
    pickle.UnpicklingError,
    RecursionError,
    TypeError,
    ValueError,
    zlib.error,
)


def read_arrays(path: Path) -> object:
    """Return the arrays in a file, or lists, tuples and dicts of them.

    Raises:
        InputError: naming the file, if it is damaged or holds anything else.
    """
    try:
        with path.open("rb") as file:
            if path.suffix.lower() == ".npz":
                with np.load(file, allow_pickle=False) as members:
                    return dict(members)
            return _plain(_npy(file) if file.peek(6)[:6] == NPY_MAGIC else _Reader(file).load())
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    except DAMAGE as error:
        raise InputError(f"{path}: cannot be read as arrays ({error})") from error


def _npy(file: BinaryIO) -> object:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0
    if version != (1, 0):
        read = np.lib.format.read_array_header_2_0
    shape, fortran, kind = read(file)
    if kind.hasobject:
        return _Reader(file).load()
    values = np.frombuffer(file.read(), dtype=kind)
    return values.reshape(shape, order="F" if fortran else "C")


class _Type:
    """A numpy dtype in a pickle; its state holds the byte order."""

    def __init__(self, name: str, *_: object) -> None:
        self.dtype = np.dtype(name)
        if self.dtype.kind not in PLAIN_KINDS + "O":
            raise InputError(f"holds the type {name!r}; give arrays of numbers or text")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if self.dtype.kind != "O":
            self.dtype = self.dtype.newbyteorder(state[1])

    def array(self, content: object, shape: tuple[int, ...], fortran: bool) -> np.ndarray:
        """Return the array of ``content``: bytes, or a list of objects."""
        if self.dtype.kind != "O" and isinstance(content, bytes | bytearray):
            values = np.frombuffer(bytes(content), self.dtype)
        elif self.dtype.kind == "O" and isinstance(content, list):
            values = np.empty(len(content), dtype=object)
            for index, value in enumerate(content):  # one by one: numpy would stack equal arrays
                values[index] = _plain(value)
        else:
            raise InputError("holds a damaged array")
        return values.reshape(shape, order="F" if fortran else "C")


class _Array:
    """A numpy array in a pickle: created empty and filled by its state."""

    def __init__(self, *_: object) -> None:
        self.values = np.zeros(0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, content = state
        self.values = kind.array(content, shape, fortran)


def _from_buffer(content: bytes, kind: _Type, shape: tuple[int, ...], order: str) -> _Array:
    array = _Array()
    array.values = kind.array(content, shape, order == "F")
    return array


def _scalar(kind: _Type, content: bytes) -> Any:  # noqa: ANN401
    return kind.array(content, (1,), False)[0]


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise InputError(f"text in {encoding!r}")
    return text.encode("latin1")


_CORE: dict[str, Callable[..., object]] = {
    "multiarray._reconstruct": _Array,
    "multiarray.scalar": _scalar,
    "numeric._frombuffer": _from_buffer,
}
ALLOWED: dict[str, Callable[..., object]] = {
    # the module of numpy before version 2
    **{f"numpy.core.{name}": function for name, function in _CORE.items()},
    **{f"numpy._core.{name}": function for name, function in _CORE.items()},
    "numpy.ndarray": _Array,
    "numpy.dtype": _Type,
    "_codecs.encode": _encode,
    "collections.OrderedDict": dict,
    "collections.defaultdict": lambda *_: {},
    "builtins.list": list,
}


class _Reader(pickle.Unpickler):
    """Unpickler that resolves the names in `ALLOWED` and no others."""

    def find_class(self, module: str, name: str) -> Callable[..., object]:
        function = ALLOWED.get(f"{module}.{name}")
        if function is None:
            raise InputError(
                f"the pickle asks to run {module}.{name}, which is refused; save plain arrays "
                "as .npz"
            )
        return function


def _plain(value: object) -> object:
    """Return ``value`` with every `_Array` replaced by the array it holds."""
    if isinstance(value, _Array):
        value = value.values
    if isinstance(value, np.ndarray) and value.shape == () and value.dtype.kind == "O":
        return _plain(value[()])  # numpy saves a dict as such an array
    if isinstance(value, dict):
        return {_plain(key): _plain(content) for key, content in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(content) for content in value]
    return value
