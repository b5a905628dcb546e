"""Arrays out of .npz, .npy and pickle files in which nothing is ever run.

A pickle is a program. Here its few words for numpy arrays build arrays of numbers, text and lists
by our own functions, and every other word is refused.
"""

import pickle
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile

import numpy as np

from fakesound.errors import InputError

PLAIN_KINDS = "biufSU"  # numbers and text: of a fixed size, and no pointers among them
NPY_MAGIC = b"\x93NUMPY"
# what the readers raise for bytes that are not what they expect
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
    """Return the content of a file: arrays, and lists, tuples and dicts of them.

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
        raise InputError(f"{path}: no arrays could be read from it ({error})") from error


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
    """A numpy dtype in a pickle: its name first, its byte order in the state."""

    def __init__(self, name: str, *_: object) -> None:
        self.dtype = np.dtype(name)
        if self.dtype.kind not in PLAIN_KINDS + "O":
            raise InputError(f"holds {name!r}; give arrays of numbers or text")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if self.dtype.kind != "O":
            self.dtype = self.dtype.newbyteorder(state[1])

    def array(self, content: object, shape: tuple[int, ...], fortran: bool) -> np.ndarray:
        """Return the array of ``content``: bytes, or a list of what the array points to."""
        if self.dtype.kind != "O" and isinstance(content, bytes | bytearray):
            values = np.frombuffer(bytes(content), self.dtype)
        elif self.dtype.kind == "O" and isinstance(content, list):
            values = np.empty(len(content), dtype=object)
            for index, value in enumerate(content):  # at once, numpy would stack equal arrays
                values[index] = _plain(value)
        else:
            raise InputError("an array in it is damaged")
        return values.reshape(shape, order="F" if fortran else "C")


class _Array:
    """A numpy array in a pickle: made empty, and filled by its state."""

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


# older numpy keeps them in numpy.core
_WORDS: dict[str, Callable[..., object]] = {
    "multiarray._reconstruct": _Array,
    "multiarray.scalar": _scalar,
    "numeric._frombuffer": _from_buffer,
}
WORDS: dict[str, Callable[..., object]] = {
    **{f"numpy.core.{name}": word for name, word in _WORDS.items()},
    **{f"numpy._core.{name}": word for name, word in _WORDS.items()},
    "numpy.ndarray": _Array,
    "numpy.dtype": _Type,
    "_codecs.encode": _encode,
    "collections.OrderedDict": dict,
    "collections.defaultdict": lambda *_: {},
    "builtins.list": list,
}


class _Reader(pickle.Unpickler):
    """An unpickler that knows :data:`WORDS` and no others."""

    def find_class(self, module: str, name: str) -> Callable[..., object]:
        word = WORDS.get(f"{module}.{name}")
        if word is None:
            raise InputError(
                f"a pickle that asks for {module}.{name}, which is not run; save plain arrays "
                "as .npz"
            )
        return word


def _plain(value: object) -> object:
    """Return ``value`` with the arrays themselves in place of their stand-ins."""
    if isinstance(value, _Array):
        value = value.values
    if isinstance(value, np.ndarray) and value.shape == () and value.dtype.kind == "O":
        return _plain(value[()])  # a dict that was saved as an array
    if isinstance(value, dict):
        return {_plain(key): _plain(content) for key, content in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(content) for content in value]
    return value
