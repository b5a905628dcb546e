"""The verb: ``python -m fakesound.bench``."""

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch

from fakesound import bench
from fakesound.models.scan import available_kernels, reference

from .conftest import SMALL, fakesound

KEYS = {"what", "backend", "direction", "B", "L", "E", "N", "seconds", "peak_bytes"}
KEYS |= {"first_call_seconds", "ratio", "dtype", "rounds"}
SCAN = ["scan", "--tokens", "9,17", "--batch", "2", "--channels", "16", "--state", "4"]
QUICK = ["--rounds", "2", "--threads", "1"]


@pytest.fixture(autouse=True)
def same_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def run(monkeypatch, capfd, tmp_path):
    """Run the verb in this process; return exit code, output, messages and what --json wrote."""

    def run(*arguments):
        file = tmp_path / "bench.json"
        arguments = ["fakesound bench", *map(str, arguments)]
        if len(arguments) > 1 and "--help" not in arguments and "--json" not in arguments:
            arguments += ["--json", str(file)]
        monkeypatch.setattr(sys, "argv", arguments)
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            bench.main()
        printed = capfd.readouterr()
        found = json.loads(file.read_text()) if file.is_file() else None
        return stopped.value.code, printed.out, printed.err, found

    return run


def check(found, backends, baseline="cpu"):
    """Check what the contract says of every file."""
    assert set(found) == {"machine", "records"}
    assert found["machine"]["threads"] == 1
    assert found["machine"]["device"] == "cpu"
    records = found["records"]
    for record in records:
        assert set(record) >= KEYS
        assert record["direction"] in ("forward", "forward+backward")
        assert record["seconds"] > 0
        assert record["rounds"] == 2
        assert record["peak_bytes"] is None or record["peak_bytes"] > 0
        assert record["first_call_seconds"] is None or record["first_call_seconds"] > 0
        (ours,) = (
            other
            for other in records
            if other["backend"] == baseline
            and all(other[k] == record[k] for k in ("what", "direction", "B", "L"))
            and other.get("data") == record.get("data")
        )
        assert record["ratio"] == pytest.approx(record["seconds"] / ours["seconds"])
    assert {record["backend"] for record in records} == set(backends)


def test_scan_with_all_that_can_run(run):
    code, printed, told, found = run(*SCAN, *QUICK)
    assert code == 0, told
    kernels = {name for name in available_kernels() if name not in ("triton", "mamba_ssm")}
    others = {"mambapy"} if find_spec("mambapy") else set()
    loop = {"c_loop"} if shutil.which("cc") else set()
    check(found, kernels | others | loop)
    cases = {(r["backend"], r["direction"], r["L"]) for r in found["records"]}
    both = kernels | others
    expected = {(b, d, n) for b in both for d in ("forward", "forward+backward") for n in (9, 17)}
    assert cases == expected | {(b, "forward", n) for b in loop for n in (9, 17)}
    assert len(found["records"]) == len(cases)
    for record in found["records"]:
        assert (record["what"], record["B"], record["E"], record["N"]) == ("scan", 2, 16, 4)
        assert record["peak_bytes"] >= 4 * 2 * record["L"] * 16
        assert record["seconds_min"] <= record["seconds"]
    for backend in {record["backend"] for record in found["records"]}:
        assert backend in printed
    assert "left out: triton: cannot run on cpu" in told


def test_scan_with_what_is_named(run):
    options = ["--backends", "chunked,cpu,chunked", "--directions", "1", "--dtype", "bfloat16"]
    options += ["--tied-decay"]
    code, _, told, found = run(*SCAN, *QUICK, *options)
    assert code == 0, told
    check(found, ["chunked", "cpu"])
    assert {record["dtype"] for record in found["records"]} == {"bfloat16"}
    assert {record["directions"] for record in found["records"]} == {1}
    assert {record["tied_decay"] for record in found["records"]} == {True}
    assert "left out" not in told


def test_model(run):
    options = ["--backbone", "vim_micro", "--tokens", "9", "--batch", "1"]
    code, printed, told, found = run("model", *options, *QUICK)
    assert code == 0, told
    backends = {"cpu", "chunked", "matmul", "transformer"}
    backends |= {"mambapy"} if find_spec("mambapy") else set()
    check(found, backends)
    floor = {r["direction"]: r["seconds"] for r in found["records"] if r["backend"] == "matmul"}
    for record in found["records"]:
        assert (record["what"], record["L"], record["E"], record["N"]) == ("model", 9, 192, 16)
        ratio = record["seconds"] / floor[record["direction"]]
        assert record["matmul_ratio"] == pytest.approx(ratio)
        assert record["parameters"] > 0
    assert "x matmul" in printed


def test_the_reference_model_runs_if_named(run):
    options = ["--backbone", "vim_micro", "--tied-decay", "--tokens", "3", "--batch", "1"]
    options += ["--backends"]
    code, _, told, found = run("model", *options, "reference,cpu", *QUICK)
    assert code == 0, told
    check(found, ["reference", "cpu"])
    assert {record["matmul_ratio"] for record in found["records"]} == {None}


def test_training_steps_on_noise_and_on_crops(run, recordings, tmp_path):
    overrides = [text for text in SMALL if not text.startswith("experiment")]
    options = ["--experiment", "smoke", "--prepared", tmp_path / "prepared"]
    code, printed, told, found = run(
        "train", *options, f"data.root={recordings}", *overrides, *QUICK
    )
    assert code == 0, told
    check(found, ["cpu", "chunked"])
    parts = ["loading", "features", "forward+backward", "optimiser"]
    for source in ("synthetic", "crops"):
        own = [r for r in found["records"] if (r["backend"], r["data"]) == ("cpu", source)]
        named = {r["what"].removeprefix("train "): r for r in own}
        there = parts if source == "crops" else parts[1:]
        assert set(named) == {"step", *there}
        step = named["step"]
        assert (step["B"], step["L"], step["E"], step["N"]) == (4, 51, 64, 16)
        for part in there:
            assert named[part]["share"] == pytest.approx(named[part]["seconds"] / step["seconds"])
        if source == "crops":
            share = named["loading"]["share"] + named["features"]["share"]
            assert step["loading_and_features_share"] == pytest.approx(share)
        assert source in printed
    assert (tmp_path / "prepared").is_dir()


def test_training_steps_on_noise_alone_touch_no_corpus(run, tmp_path):
    options = ["--experiment", "smoke", "--synthetic", "--backends", "cpu"]
    code, _, told, found = run("train", *options, "--prepared", tmp_path / "prepared", *QUICK)
    assert code == 0, told
    check(found, ["cpu"])
    assert {record["data"] for record in found["records"]} == {"synthetic"}
    assert not (tmp_path / "prepared").exists()


def test_backbones(run):
    named = "transformer_micro,ssd_micro"
    code, printed, told, found = run("backbones", "--backbones", named, "--batch", "1", *QUICK)
    assert code == 0, told
    check(found, named.split(","), "transformer_micro")
    for record in found["records"]:
        assert (record["what"], record["B"]) == ("backbone", 1)
        assert record["parameters"] == pytest.approx(347_317, rel=0.1)
        assert f"{record['parameters']:,}" in printed
        assert record["flops"] > 1e8


def test_data(run, tmp_path):
    (tmp_path / "disk").mkdir()
    options = ["--rows", "2100", "--clips", "9", "--seconds", "2", "--workers", "0,1"]
    code, printed, told, found = run(
        "data", *options, "--folder", tmp_path / "disk", "--rounds", "2"
    )
    assert code == 0, told
    assert list((tmp_path / "disk").iterdir()) == []
    manifest, *crops = found["records"]
    assert (manifest["what"], manifest["B"]) == ("data manifest", 2_100)
    # a Python with numpy takes as much
    assert 10 * 2**20 < manifest["peak_bytes"] < 500 * 2**20
    assert [(r["backend"], r["workers"]) for r in crops] == [
        (backend, workers) for workers in (0, 1) for backend in ("files", "shards")
    ]
    for record in crops:
        (files,) = (
            r for r in crops if (r["backend"], r["workers"]) == ("files", record["workers"])
        )
        assert record["ratio"] == pytest.approx(record["seconds"] / files["seconds"])
        assert (record["B"], record["L"]) == (9, 32_000)
        assert record["seconds"] >= record["seconds_min"] > 0
    assert "shards" in printed


def test_what_computes_something_else_is_told_and_fails(run, monkeypatch):
    true_scan = reference.scan
    monkeypatch.setattr(
        "fakesound.benchmarks.scan_backends.mambapy_scan", lambda inputs: 2 * true_scan(inputs)
    )
    monkeypatch.setattr("fakesound.benchmarks.backends.find_spec", lambda _: True)
    code, _, _, found = run(*SCAN, *QUICK, "--backends", "cpu,mambapy")
    assert (
        code
        == "not timed: mambapy differs from the reference by 1.0e+00 of the largest value, forward"
    )
    check(found, ["cpu"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["scan", "--tokens", "5,x"], "--tokens=5,x: must be whole numbers"),
        (["scan", "--tokens", ""], "--tokens=: must be"),
        (["scan", "--batch", "0"], "--batch=0: must be"),
        (["scan", "--rounds", "0"], "--rounds=0: must be at least 1"),
        (["scan", "--threads", "-1"], "--threads=-1: must be at least 1"),
        (["scan", "--channels", "0"], "--channels=0"),
        (["scan", "--state", "0"], "--state=0"),
        (["scan", "--directions", "3"], "--directions=3: must be 1 or 2"),
        (["scan", "--backends", "cpu,matmul"], "--backends=matmul: choose of cpu"),
        (["scan", "--backends", "triton"], "--backends=triton: cannot run on cpu"),
        (["scan", "--device", "tpu"], "argument --device: invalid choice"),
        (["scan", "--dtype", "int8"], "argument --dtype: invalid choice"),
        (["scan", "--nosuch"], "unrecognized arguments: --nosuch"),
        (["scan", "--json", "."], "--json=.: is a folder"),
        (["model", "--backbone", "vim_huge"], "backbone=vim_huge: no such choice"),
        (["train", "--experiment", "nosuch"], "experiment=nosuch: no such choice"),
        (["train", "backbone.dpeth=3"], "backbone.dpeth: no such key; did you mean depth?"),
        (["model", "--backbone", "ssd_micro"], "backbone=ssd_micro: is no Vision Mamba"),
        (["train", "backbone=fcn_resnet"], "backbone=fcn_resnet: is no Vision Mamba"),
        (["backbones", "--backbones", "vim_huge"], "backbone=vim_huge: no such choice"),
        (["backbones", "--batch", "0"], "--batch=0: must be"),
        (["data", "--workers", "0,-1"], "--workers=0,-1: must be whole numbers from 0"),
        (["data", "--rows", "0"], "--rows=0: must be at least 1"),
        (["data", "--folder", "nosuch"], "--folder=nosuch: no such folder"),
        (["train", "--tokens", "5"], "unrecognized arguments: --tokens"),
        (["walk"], "argument scan|model|train|backbones|data: invalid choice"),
        ([], "the following arguments are required: scan|model|train|backbones|data"),
    ],
)
def test_mistakes_are_told_in_one_line(run, arguments, told):
    code, printed, line, found = run(*arguments)
    assert code == 2
    assert printed == ""
    assert line.startswith(f"error: {told}")
    assert line.count("\n") == 1
    assert found is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_told(run):
    code, _, line, _ = run("scan", "--device", "cuda")
    assert code == 2
    assert line == "error: --device=cuda: torch finds no such device here\n"


def test_help_explains_itself(run):
    code, printed, _, _ = run("--help")
    assert code == 0
    assert all(what in printed for what in ("scan", "model", "train", "backbones", "data"))
    for what, options in {
        "scan": ("--tokens", "--channels", "--directions", "c_loop", "mambapy"),
        "model": ("--backbone", "--tokens", "matmul", "transformer"),
        "train": ("--experiment", "--prepared", "--synthetic", "key=value"),
        "backbones": ("--backbones", "--batch", "FLOPs", "fcn_resnet"),
    }.items():
        code, printed, _, _ = run(what, "--help")
        assert code == 0
        for option in (*options, "--rounds", "--threads", "--device", "--dtype", "--json"):
            assert option in printed


def test_mistakes_are_told_before_torch_is_imported():
    code = (
        "import sys; from fakesound import bench\n"
        "sys.argv = ['bench', 'scan', '--backends', 'nosuch']\n"
        "try:\n    bench.main()\nfinally:\n    assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr


def test_from_the_command_line(tmp_path):
    done = fakesound("bench", *SCAN, *QUICK, "--backends", "cpu", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("cpu") == 4
    assert list(tmp_path.iterdir()) == []
