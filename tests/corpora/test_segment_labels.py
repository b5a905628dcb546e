import pickle
from collections import OrderedDict, defaultdict

import numpy as np
import pytest

from fakesound.corpora.segment_labels import read_rttm, read_segment_labels
from fakesound.errors import InputError
from fakesound.timeline import Region
from tests.data.test_arrays import Trap


def save(path, labels):
    np.save(path, labels, allow_pickle=True)
    return path


LABELS = {
    "CON_T_1": np.array(list("1100110")),
    "CON_T_2": np.array([0, 1, 1, 0]),
    "LA_T_1": ["1", "1"],
    "CON_T_3": np.zeros(3, dtype=int),
}


@pytest.mark.parametrize("labels", [LABELS, OrderedDict(LABELS), defaultdict(list, LABELS)])
def test_runs_of_spoof_become_regions(tmp_path, labels):
    assert read_segment_labels(save(tmp_path / "a.npy", labels), 0.01) == {
        "CON_T_1": [Region(0.02, 0.04), Region(0.06, 0.07)],
        "CON_T_2": [Region(0, 0.01), Region(0.03, 0.04)],
        "LA_T_1": [],
        "CON_T_3": [Region(0, 0.03)],
    }


@pytest.mark.parametrize("protocol", range(2, 6))
def test_pickles_of_every_age_are_read(tmp_path, protocol):
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        header = {"descr": "|O", "fortran_order": False, "shape": ()}
        np.lib.format.write_array_header_1_0(file, header)
        array = np.empty((), dtype=object)
        array[()] = LABELS
        content = pickle.dumps(array, protocol=protocol)
        if protocol < 4:
            # what numpy before version 2 wrote; later protocols count the letters of a name
            content = content.replace(b"numpy._core", b"numpy.core")
            assert b"numpy.core" in content
        file.write(content)
    assert read_segment_labels(path, 0.16)["CON_T_2"] == [Region(0, 0.16), Region(0.48, 0.64)]


def test_pickles_run_no_code(tmp_path):
    path = save(tmp_path / "a.npy", {"a": [Trap(str(tmp_path / "run"))]})
    with pytest.raises(InputError, match=r"a\.npy: the pickle asks to run"):
        read_segment_labels(path, 0.01)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "labels", [[1, 2], {"a": ["2"]}, {"a": ["x"]}, {"a": np.zeros((2, 2))}, np.arange(3)]
)
def test_files_without_a_dictionary_of_labels_are_refused(tmp_path, labels):
    with pytest.raises(
        InputError, match=r"a\.npy: not a dictionary of segment labels .*again"
    ) as caught:
        read_segment_labels(save(tmp_path / "a.npy", labels), 0.01)
    assert "\n" not in str(caught.value)


def test_rttm_gives_the_spans_called_spoof(text):
    path = text(
        "rttm",
        "SPEAKER CON_D_1 1 0.0 0.5 <NA> <NA> bonafide <NA> <NA>\n"
        "SPEAKER CON_D_1 1 0.5 0.25 <NA> <NA> spoof <NA> <NA>\n"
        "SPEAKER CON_D_1 1 0.75 0.25 <NA> <NA> spoof <NA> <NA>\n\n"
        "SPEAKER LA_D_1 1 0.0 3.0 <NA> <NA> bonafide <NA> <NA>\n",
    )
    assert read_rttm(path) == {"CON_D_1": [Region(0.5, 1.0)], "LA_D_1": []}
    text("rttm", "SPEAKER CON_D_1 1 0.0\n")
    with pytest.raises(InputError, match="rttm row 1: not RTTM"):
        read_rttm(path)
