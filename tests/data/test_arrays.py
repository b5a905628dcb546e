import os
import pickle

import numpy as np
import pytest

from fakesound.data.arrays import read_arrays
from fakesound.errors import InputError

ARRAYS = {
    "a": np.arange(3.0),
    "b": np.arange(6, dtype=">f4").reshape(2, 3),
    "c": np.array([["x", "0.5"], ["longer", "1"]]),
    "d": np.asfortranarray(np.arange(6).reshape(2, 3)),
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_of_a_pickle_are_restored(tmp_path, protocol):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(ARRAYS, protocol=protocol))
    result = read_arrays(path)
    assert result.keys() == ARRAYS.keys()
    for name, values in ARRAYS.items():
        assert np.array_equal(result[name], values), name
        assert result[name].dtype == values.dtype


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_lists_and_numbers_of_a_pickle(tmp_path, protocol):
    content = [np.array([["u", "0.1"]]), np.float64(2.5), [1, "x"]]
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    table, value, rest = read_arrays(path)
    assert table.tolist() == [["u", "0.1"]]
    assert (value, rest) == (2.5, [1, "x"])


def test_arrays_of_objects(tmp_path):
    ragged = np.empty(2, dtype=object)
    ragged[:] = [np.arange(2), np.arange(3)]
    np.save(tmp_path / "ragged.npy", ragged)
    np.save(tmp_path / "dict.npy", np.array(ARRAYS, dtype=object))
    assert [values.size for values in read_arrays(tmp_path / "ragged.npy")] == [2, 3]
    assert np.array_equal(read_arrays(tmp_path / "dict.npy")["c"], ARRAYS["c"])


def test_npz_and_plain_npy(tmp_path):
    np.savez(tmp_path / "a.npz", **ARRAYS)
    np.save(tmp_path / "d.npy", ARRAYS["d"])
    assert np.array_equal(read_arrays(tmp_path / "a.npz")["b"], ARRAYS["b"])
    assert np.array_equal(read_arrays(tmp_path / "d.npy"), ARRAYS["d"])


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_pickles_run_no_code(tmp_path):
    sprung = tmp_path / "sprung"
    trap = Trap(str(sprung))
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"u": trap}))
    hidden = np.empty(1, dtype=object)
    hidden[0] = trap
    np.save(tmp_path / "a.npy", hidden)
    np.savez(tmp_path / "a.npz", u=hidden)
    for name in ("a.pkl", "a.npy"):
        with pytest.raises(InputError, match=rf"{name}: the pickle asks to run \w+\.mkdir"):
            read_arrays(tmp_path / name)
    with pytest.raises(InputError, match=r"a\.npz: "):
        read_arrays(tmp_path / "a.npz")
    assert not sprung.exists()
    pickle.loads((tmp_path / "a.pkl").read_bytes())
    assert sprung.exists()  # the trap works


@pytest.mark.parametrize("name", ["a.pkl", "a.npy", "a.npz"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no pickle",
        b"PK\x03\x04 no zip",
        b"\x93NUMPY\x01",
        b"\x93NUMPY\x09\x00v\x00{}",
        pickle.dumps(ARRAYS)[:-30],
        pickle.dumps(np.zeros(2, dtype="i4,O")),
    ],
)
def test_damaged_files_are_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        read_arrays(tmp_path / name)


def test_a_pickle_cut_anywhere_is_refused(tmp_path):
    path = tmp_path / "a.pkl"
    whole = pickle.dumps(ARRAYS, protocol=4)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"a\.pkl: "):
            read_arrays(path)


def test_names_with_wrong_arguments_are_refused(tmp_path):
    # a state for a kind of array rather than for an array, and a dtype without a name
    for content in (b"cnumpy\nndarray\n(I1\ntb.", b"cnumpy\ndtype\n)R."):
        path = tmp_path / "a.pkl"
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"a\.pkl: "):
            read_arrays(path)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.pkl: cannot be read"):
        read_arrays(tmp_path / "none.pkl")
