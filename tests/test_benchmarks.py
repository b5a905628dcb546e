"""Each benchmark once, small: records, ratios and checks against the reference."""

import importlib
import json
import shutil
import sys
from importlib.util import find_spec

import pytest
import torch

from benchmarks import c_loop, common, scan
from fakesound.command_line import guarded
from fakesound.models.scan import reference

from .conftest import SMALL

KEYS = {"what", "backend", "direction", "B", "L", "E", "N", "seconds", "peak_bytes"}
KEYS |= {"first_call_seconds", "ratio", "dtype", "rounds"}
SIZE = ["--tokens", "9", "--batch", "2", "--channels", "16", "--state", "4"]
VIM = ["--backbone", "vim_micro", "--tokens", "9", "--batch", "1"]
mambapy = {"mambapy"} if find_spec("mambapy") else set()


@pytest.fixture(autouse=True)
def same_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run a benchmark in this process; return its exit code and records."""

    def run(name, *arguments):
        file = tmp_path / "records.json"
        given = [*map(str, arguments), "--rounds", "2", "--threads", "1", "--json", str(file)]
        monkeypatch.setattr(sys, "argv", [name, *given])
        with pytest.raises(SystemExit) as stopped:
            guarded(importlib.import_module(f"benchmarks.{name}").main)
        if not file.is_file():
            return stopped.value.code, None
        written = json.loads(file.read_text())
        assert written["machine"]["threads"] == 1
        for record in written["records"]:
            assert set(record) >= KEYS
            assert record["seconds"] >= record.get("seconds_min", 0) > 0 or record["seconds"] > 0
            assert record["rounds"] == 2
        return stopped.value.code, written["records"]

    return run


def backends(records):
    return {record["backend"] for record in records}


def check_ratios(records, ours, *case):
    """Check that ratios are to ``ours`` in the same case."""
    for record in records:
        (own,) = (
            other
            for other in records
            if other["backend"] == ours and all(other[key] == record[key] for key in case)
        )
        assert record["ratio"] == pytest.approx(record["seconds"] / own["seconds"])


def test_scan(run):
    code, records = run("scan", *SIZE)
    assert code == 0
    loop = {"c_loop"} if shutil.which("cc") else set()
    assert backends(records) == {"cpu", "chunked", "reference"} | loop | mambapy
    check_ratios(records, "cpu", "direction")
    for record in records:
        assert (record["what"], record["L"], record["E"], record["N"]) == ("scan", 9, 16, 4)
        assert record["peak_bytes"] >= 4 * 2 * 9 * 16


@pytest.mark.parametrize("name", [*sorted(mambapy), "c_loop"])
def test_scans_of_others_agree_with_the_reference(name):
    if name == "c_loop" and not shutil.which("cc"):
        pytest.skip("no C compiler")
    inputs = scan.make_inputs(
        scan.Size(2, 37, c_loop.LANES, 4, 2), torch.device("cpu"), torch.float32
    )
    direction = common.DIRECTIONS[name != "c_loop"]
    grad = torch.ones_like(inputs.x[0])
    own, expected = (
        scan.call_of(scan.scan_of(each), direction, inputs, grad)() for each in (name, "reference")
    )
    assert common.difference(own, expected) < 1e-5


def test_a_wrong_backend_is_not_timed(run, monkeypatch):
    wrong = reference.scan
    monkeypatch.setattr(
        scan, "scan_of", lambda name: lambda inputs: (1 + (name == "cpu")) * wrong(inputs)
    )
    code, records = run("scan", *SIZE, "--backends", "cpu,chunked")
    assert "cpu" in code
    assert backends(records) == {"chunked"}
    assert {record["ratio"] for record in records} == {None}


def test_model(run):
    code, records = run("model", *VIM)
    assert code == 0
    assert backends(records) == {"cpu", "chunked", "matmul", "transformer"} | mambapy
    check_ratios(records, "cpu", "direction")
    floor = {r["direction"]: r["seconds"] for r in records if r["backend"] == "matmul"}
    for record in records:
        assert record["matmul_ratio"] == pytest.approx(
            record["seconds"] / floor[record["direction"]]
        )
        assert record["parameters"] > 0


def test_train(run, recordings, tmp_path):
    overrides = [f"data.root={recordings}", *SMALL[1:]]
    given = ["--experiment", "smoke", "--prepared", tmp_path / "prepared", "--backends", "cpu"]
    code, records = run("train", *given, *overrides)
    assert code == 0
    check_ratios(records, "cpu", "what", "data")
    parts = ["train loading", "train features", "train forward+backward", "train optimiser"]
    for source, own in (("synthetic", parts[1:]), ("crops", parts)):
        step, *others = (record for record in records if record["data"] == source)
        assert [record["what"] for record in others] == own
        assert (step["what"], step["B"], step["L"]) == ("train step", 4, 51)
        assert 0 < step["loading_and_features_share"] < 1
        assert sum(record["share"] for record in others) < 1.5


def test_backbones(run):
    named = "transformer_micro,ssd_micro"
    code, records = run("backbones", "--backbones", named, "--batch", "1")
    assert code == 0
    check_ratios(records, "transformer_micro", "direction")
    assert len(records) == 4
    for record in records:
        assert record["parameters"] == pytest.approx(347_317, rel=0.1)
        assert record["flops"] > 1e8


def test_the_flops_of_a_matrix_product_and_of_the_scan_are_counted():
    from benchmarks.backbones import FLOPS_PER_STATE, _scan_flops

    assert _scan_flops("cpu", False, (2, 3, 5, 7), 0, 0, (2, 3, 5, 4)) == FLOPS_PER_STATE * 840


def test_data(run, tmp_path):
    sizes = ["--rows", "2100", "--clips", "9", "--seconds", "2", "--workers", "0,1"]
    (tmp_path / "disk").mkdir()
    code, records = run("data", *sizes, "--folder", tmp_path / "disk")
    assert code == 0
    assert list((tmp_path / "disk").iterdir()) == []
    manifest, *crops = records
    assert (manifest["what"], manifest["B"]) == ("data manifest", 2_100)
    # a Python with numpy takes as much
    assert 10 * 2**20 < manifest["peak_bytes"] < 500 * 2**20
    assert [(r["backend"], r["workers"], r["L"]) for r in crops] == [
        (backend, workers, 32_000) for workers in (0, 1) for backend in ("files", "shards")
    ]
    check_ratios(crops, "files", "workers")


@pytest.mark.slow
def test_evaluation(run):
    sizes = ["--clips", "80", "--reported", "120", "--frames", "30", "--attacks", "2"]
    few = ["--draws", "20", "--recordings", "4", "--conditions", "clipping", "trim"]
    code, records = run("evaluation", *sizes, *few)
    assert code == 0
    assert [(r["what"], r["B"]) for r in records] == [
        ("evaluation", 80), ("report", 120), ("clean", 4), ("robustness", 4),
    ]  # fmt: skip
    assert all(record["peak_bytes"] > 10 * 2**20 for record in records)
    assert all(record["page_megabytes"] > 0 for record in records)


@pytest.mark.slow
def test_detection(run):
    code, records = run("detection", "--lengths", "1,5", "--against", ".")
    assert code == 0
    found = [(record["backend"], record["length"], record["L"]) for record in records]
    assert found == [("this", 1, 50), ("other", 1, 50), ("this", 5, 250), ("other", 5, 250)]
    assert all(record["speed"] == record["length"] / record["seconds"] for record in records)
    assert all(record["processor_seconds"] > 0 and record["ratio"] > 0 for record in records)


def test_peak_memory_is_that_of_the_tensors_held_at_once():
    def call():
        kept = torch.ones(2**18)
        del kept
        return torch.ones(2**17)

    assert common.peak_bytes(call, torch.device("cpu")) == 2**20


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("scan", ["--tokens", "5,x"]),
        ("scan", ["--backends", "matmul"]),
        ("scan", ["--backends", "triton"]),
        ("model", ["--backbone", "fcn_resnet"]),
        ("train", ["backbone.dpeth=3"]),
        ("data", ["--folder", "nosuch"]),
    ],
)
def test_wrong_options_exit_with_2(run, capsys, name, arguments):
    assert run(name, *arguments) == (2, None)
    assert arguments[-1].split("=")[0].split(",")[-1] in capsys.readouterr().err
