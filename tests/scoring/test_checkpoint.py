"""Trained detectors are read from checkpoints of runs and from exported files."""

import json
import os
import pickle

import lightning
import pytest
import safetensors.torch
import torch
from safetensors import safe_open

from fakesound.config.compose import compose_config, run_config
from fakesound.errors import InputError
from fakesound.models.build import build_detector
from fakesound.models.losses import LossWeighting
from fakesound.scoring.calibration import IDENTITY, Calibrator
from fakesound.scoring.checkpoint import (
    annotate_checkpoint,
    load_detector,
    read_checkpoint,
    source_hash,
    write_safetensors,
)
from fakesound.scoring.clip_score import HeadCalibration
from fakesound.scoring.hypotheses import Hypotheses
from fakesound.training.module import Balance, MultiTaskModule

CONFIG = (
    "features.bins=64",
    "backbone.dim=16",
    "backbone.depth=1",
    "backbone.stem.channels=[4,4]",
    "data.crop.seconds=0.4",
    "data.root=/home/someone/recordings",
    "tags=[a]",
)
THRESHOLDS = {"clip": 0.123456789012345678, "frame": 0.5}
LATER = {"clip": 1 / 3, "frame": 0.7}
ATTACKS = ["codec/mp3", "vocoder/world"]
CALIBRATOR = Calibrator("isotonic", knots=((-1 / 3, -2.0), (0.1, 1e-9)))


@pytest.fixture(scope="module")
def trained():
    """Return a configuration and its detector, whose weights differ from those of its seed."""
    config = run_config(compose_config(CONFIG))
    detector = build_detector(config).eval()
    with torch.no_grad():
        for tensor in detector.state_dict().values():
            if tensor.is_floating_point():
                tensor += 0.1 * torch.rand(tensor.shape)
    return config, detector


def build_module(detector, config):
    weighting = LossWeighting("uncertainty", {"clip": 1.0, "frame": 1.0}, 2.0)
    return MultiTaskModule(detector, weighting, config, Balance(0.1, 1.0, 1.0))


def build_trainer():
    quiet = ("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing")
    return lightning.Trainer(
        accelerator="cpu", max_epochs=0, num_sanity_val_steps=0, **dict.fromkeys(quiet, False)
    )


@pytest.fixture
def folder(trained, tmp_path):
    """Return the folder of a run whose checkpoint is written by Lightning."""
    config, detector = trained
    trainer = build_trainer()
    trainer.strategy.connect(build_module(detector, config))
    folder = tmp_path / "run"
    for name in ("best", "last"):
        trainer.save_checkpoint(folder / "checkpoints" / f"{name}.ckpt")
    return folder


def same_scores(one, other):
    waveform = torch.randn(2, 6400, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        left, right = one(waveform), other(waveform)
    return left.keys() == right.keys() and all(map(torch.equal, left.values(), right.values()))


def test_a_run_is_read_from_its_folder_or_its_file(trained, folder):
    config, detector = trained
    for path in (folder, str(folder / "checkpoints" / "best.ckpt")):
        detector, read = load_detector(path)
        assert read == config
        assert not detector.training
        assert same_scores(detector, detector)
    kept = read_checkpoint(folder)
    assert (kept.thresholds, kept.calibrator, kept.attacks) == ({}, IDENTITY, None)
    assert kept.sources is None
    assert kept.heads == HeadCalibration()
    assert "fakesound_heads" not in kept.metadata()


def test_safetensors_read_back_bit_by_bit(trained, folder, tmp_path):
    config, detector = trained
    path = tmp_path / "new" / "detector.safetensors"
    write_safetensors(path, read_checkpoint(folder))
    result = read_checkpoint(path)
    assert (result.thresholds, result.calibrator, result.attacks) == ({}, IDENTITY, None)
    assert same_scores(load_detector(path)[0], detector)
    assert result.config.backbone == config.backbone
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    again = tmp_path / "again.safetensors"
    write_safetensors(again, result)
    assert read_checkpoint(again).metadata() == result.metadata()
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    assert metadata["format"] == "fakesound"
    assert metadata["sample_rate"] == "16000"
    # places on the machine of the training are not passed on
    assert json.loads(metadata["config"])["data"]["root"] == "recordings"


def test_a_checkpoint_stores_its_annotations(trained, folder, tmp_path):
    best = folder / "checkpoints" / "best.ckpt"
    before = torch.load(best, weights_only=True)
    # the second time is the one that counts
    annotate_checkpoint(best, THRESHOLDS, IDENTITY, [])
    annotate_checkpoint(best, LATER, CALIBRATOR, ATTACKS, sources=("speaker/1", "speaker/2"))
    after = torch.load(best, weights_only=True)
    assert after.keys() == before.keys() | {"fakesound"}
    assert after["state_dict"].keys() == before["state_dict"].keys()
    assert after["hyper_parameters"] == before["hyper_parameters"]
    assert {file.name for file in best.parent.iterdir()} == {"best.ckpt", "last.ckpt"}

    path = tmp_path / "detector.safetensors"
    write_safetensors(path, read_checkpoint(folder))
    for place in (folder, path):
        result = read_checkpoint(place)
        assert result.thresholds == LATER
        assert result.calibrator == CALIBRATOR
        assert result.attacks == tuple(ATTACKS)
        assert result.sources == {source_hash("speaker/1"), source_hash("speaker/2")}
        assert same_scores(result.detector(), trained[1])
    assert json.loads(result.metadata()["calibrator"]) == CALIBRATOR.to_plain()


def test_maps_of_the_hypotheses_are_weights_and_compose(tmp_path):
    config = run_config(compose_config([*CONFIG, "heads.pooling=two_way"]))
    trainer = build_trainer()
    trainer.strategy.connect(build_module(build_detector(config), config))
    path = tmp_path / "best.ckpt"
    trainer.save_checkpoint(path)
    first = Hypotheses(Calibrator("logistic", 2.0, 1.0), Calibrator("logistic", 0.5, -1.0))
    then = Hypotheses(Calibrator("logistic", 3.0, -1.0), IDENTITY)
    for hypotheses in (first, then):
        annotate_checkpoint(path, LATER, IDENTITY, ATTACKS, hypotheses=hypotheses)
    write_safetensors(tmp_path / "a.safetensors", read_checkpoint(path))
    for file in (path, tmp_path / "a.safetensors"):
        head = read_checkpoint(file).detector().clip_head
        # 3 (2 x + 1) - 1, and x / 2 - 1
        assert head.maps.tolist() == [[6.0, 2.0], [0.5, -1.0]]


def test_lightning_loads_an_annotated_checkpoint(trained, folder):
    config, detector = trained
    best = folder / "checkpoints" / "best.ckpt"
    annotate_checkpoint(best, LATER, CALIBRATOR, ATTACKS)
    module = build_module(build_detector(config), config)
    assert not same_scores(module.detector.eval(), detector)
    data = torch.utils.data.DataLoader([0])
    build_trainer().fit(module, data, data, ckpt_path=best)
    assert same_scores(module.detector.eval(), detector)


def test_calibration_of_further_heads_is_stored(tmp_path):
    config = run_config(compose_config([*CONFIG, "heads=all", "heads.neck_depth=1"]))
    families = ("codec", "edit", "vocoder")
    detector = build_detector(config, families).eval()
    module = build_module(detector, config)
    module.head_thresholds = {"energy": -1 / 3, "boundary": 0.1}
    trainer = build_trainer()
    trainer.strategy.connect(module)
    path = tmp_path / "last.ckpt"
    trainer.save_checkpoint(path)
    expected = HeadCalibration(families, module.head_thresholds)
    for annotate in (False, True):
        if annotate:
            annotate_checkpoint(path, LATER, CALIBRATOR, ATTACKS)
        result = read_checkpoint(path)
        assert result.heads == expected
        assert same_scores(result.detector(), detector)
        write_safetensors(tmp_path / "detector.safetensors", result)
        again = read_checkpoint(tmp_path / "detector.safetensors")
        assert again.heads == expected
        assert same_scores(again.detector(), detector)
    held = torch.load(path, weights_only=True)
    held["fakesound_heads"] = {"families": 3}
    torch.save(held, path)
    with pytest.raises(InputError, match=r"last\.ckpt: its key 'fakesound_heads' is damaged"):
        read_checkpoint(path)


def test_only_checkpoints_are_annotated(folder, tmp_path):
    exported = tmp_path / "detector.safetensors"
    write_safetensors(exported, read_checkpoint(folder))
    held = exported.read_bytes()
    for path in (exported, tmp_path / "missing.ckpt"):
        with pytest.raises(InputError, match=path.name):
            annotate_checkpoint(path, LATER, IDENTITY, [])
    assert exported.read_bytes() == held


@pytest.mark.parametrize(
    "change", [{"thresholds": 3}, {"calibrator": {}}, {"attacks": 3}, {"sources": 3}]
)
def test_damaged_metadata_is_refused_in_one_line(change, folder):
    best = folder / "checkpoints" / "best.ckpt"
    annotate_checkpoint(best, LATER, IDENTITY, [])
    edit(folder, lambda held: held["fakesound"].update(change))
    with pytest.raises(InputError, match=r"best\.ckpt: its key 'fakesound' is damaged") as caught:
        read_checkpoint(best)
    assert "\n" not in str(caught.value)


def test_the_callers_random_numbers_and_environment_are_left_alone(folder):
    environment = dict(os.environ)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_detector(folder)
    assert torch.equal(torch.rand(3), expected)
    assert dict(os.environ) == environment


def test_the_kernel_is_that_of_this_machine(trained, folder):
    edit(folder, lambda held: held["hyper_parameters"].update(kernel="mamba_ssm"))
    result, config = load_detector(folder)
    assert config.kernel == "mamba_ssm"
    assert same_scores(result, trained[1])
    assert load_detector(folder, "reference")[0].backbone.layers[0].mixer.kernel == "reference"


def test_keys_missing_in_an_old_checkpoint_have_defaults(trained, folder):
    def age(held):
        held["hyper_parameters"].pop("report")
        held["hyper_parameters"]["backbone"].pop("expand")

    edit(folder, age)
    assert load_detector(folder)[1] == trained[0]


def test_a_setting_that_is_not_known_is_named(folder):
    edit(folder, lambda held: held["hyper_parameters"]["backbone"].update(dpeth=3))
    with pytest.raises(InputError, match=r"best\.ckpt: .*backbone\.dpeth: no such key") as caught:
        load_detector(folder)
    assert "\n" not in str(caught.value)


def edit(folder, change):
    path = folder / "checkpoints" / "best.ckpt"
    held = torch.load(path, weights_only=True)
    change(held)
    torch.save(held, path)


class Evil:
    """Object whose unpickling creates a file."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), "w"))


def damaged(kind, folder, tmp_path):
    """Return the path of a file that is not a checkpoint."""
    path = tmp_path / "bad.ckpt"
    good = (folder / "checkpoints" / "best.ckpt").read_bytes()
    if kind == "missing":
        return path
    if kind == "folder":
        path.mkdir()
    elif kind == "code":
        path.write_bytes(pickle.dumps({"state_dict": Evil(tmp_path / "evil")}))
    elif kind == "foreign":
        torch.save({"state_dict": {"a": torch.zeros(1)}, "hyper_parameters": {"lr": 1}}, path)
    elif kind == "weights":
        torch.save([torch.zeros(1)], path)
    elif kind == "shapes":
        edit(folder, lambda held: held["hyper_parameters"]["backbone"].update(dim=32))
        return folder
    elif kind == "names":
        edit(folder, lambda held: held["state_dict"].pop("detector.backbone.cls_token"))
        return folder
    else:
        path.write_bytes({"empty": b"", "text": b"no checkpoint" * 9, "cut": good[:-2000]}[kind])
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "no such file"),
        ("folder", "holds no"),
        ("empty", "is damaged"),
        ("text", "is damaged"),
        ("cut", "is damaged"),
        ("code", "is damaged"),
        ("foreign", "not a checkpoint of fakesound"),
        ("weights", "not a checkpoint of fakesound"),
        ("shapes", "do not fit its configuration"),
        ("names", "do not fit its configuration"),
    ],
)
def test_files_without_a_checkpoint_are_refused_in_one_line(kind, words, folder, tmp_path):
    path = damaged(kind, folder, tmp_path)
    with pytest.raises(InputError, match=words) as caught:
        load_detector(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "evil").exists()


def test_safetensors_that_are_not_ours_are_refused(folder, tmp_path):
    path = tmp_path / "other.safetensors"
    write_safetensors(path, read_checkpoint(folder))
    good = path.read_bytes()
    # not of the file, which is written over
    tensors = safetensors.torch.load(good)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    for change, words in (
        (None, "was not exported by fakesound"),
        ({"format_version": "2"}, "newer fakesound"),
        # a newer format may write its configuration in another form
        ({"format_version": "2", "config": "name: run"}, "newer fakesound"),
        ({"config": "{"}, "metadata is damaged"),
        ({"clip_threshold": "high"}, "metadata is damaged"),
        ({"calibrator": "{}"}, "metadata is damaged"),
        ({"calibrator": "affine"}, "metadata is damaged"),
        ({"attacks": "3"}, "metadata is damaged"),
    ):
        held = None if change is None else metadata | change
        path.write_bytes(safetensors.torch.save(tensors, held))
        with pytest.raises(InputError, match=words):
            load_detector(path)
    path.write_bytes(good[:-500])
    with pytest.raises(InputError, match="damaged or cut short"):
        load_detector(path)
