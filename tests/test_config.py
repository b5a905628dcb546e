import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fakesound import config
from fakesound.config import (
    AugmentConfig,
    BackboneConfig,
    CropConfig,
    DataConfig,
    FeaturesConfig,
    HeadsConfig,
    LoggerConfig,
    LossConfig,
    OptimConfig,
    PublishedConfig,
    ReportConfig,
    RunConfig,
    SplitConfig,
    StemConfig,
    VariationConfig,
)
from fakesound.config.help import keys_of
from fakesound.errors import InputError

ROOT = Path(__file__).parents[1]
SECTIONS = [made for made in vars(config).values() if dataclasses.is_dataclass(made)]
NAN, INFINITY = float("nan"), float("inf")

CHOICES = [
    (DataConfig, "data.source", {"file", "folder"}),
    (DataConfig, "data.on_bad_audio", {"error", "skip"}),
    (DataConfig, "data.shared_sources", {"error", "drop"}),
    (
        SplitConfig,
        "split.name",
        {
            "official",
            "leave_one_attack_out",
            "leave_one_family_out",
            "source_folds",
            "decoder_folds",
        },
    ),
    (FeaturesConfig, "features.kind", {"logstft", "logmel", "lfcc"}),
    (StemConfig, "backbone.stem.kind", {"conv", "patch"}),
    (
        BackboneConfig,
        "backbone.kind",
        {"vim", "transformer", "ssd", "fcn_resnet", "mobilenet"},
    ),
    (BackboneConfig, "backbone.variant", {"v1", "v2", "none"}),
    (BackboneConfig, "backbone.order", {"time", "frequency"}),
    (HeadsConfig, "heads.pooling", {"attention", "linear_softmax", "max", "mean"}),
    (HeadsConfig, "heads.neck", {"none", "mamba"}),
    (LossConfig, "loss.weighting", {"fixed", "uncertainty", "dwa"}),
    (LossConfig, "loss.frame_loss", {"bce", "focal", "dice"}),
    (LoggerConfig, "logger.mode", {"offline", "online", "disabled"}),
    (RunConfig, "resume", {"auto", "never"}),
    (
        RunConfig,
        "kernel",
        {"auto", "cpu", "triton", "mamba_ssm", "chunked", "reference"},
    ),
]

# the section, the key, values that are right up to the bound, values that are not
BOUNDS = [
    (CropConfig, "data.crop.seconds", [0.2, 10], [0.19, 0, -1, NAN]),
    (CropConfig, "data.crop.whole", [0, 1], [-0.01, 1.01, NAN]),
    (CropConfig, "data.crop.shortest", [0.02], [0.019, NAN]),
    (CropConfig, "data.crop.most", [1], [0]),
    *(
        (CropConfig, f"data.crop.{key}", [0, 1], [-0.01, 1.01, NAN])
        for key in ("foreign", "host", "genuine", "independent", "later_from")
    ),
    (CropConfig, "data.crop.longest", [0.06, 2], [0.05, NAN]),
    (CropConfig, "data.crop.later_seconds", [None, 1, 4], [0.9, NAN]),
    *(
        (PublishedConfig, f"data.published.{key}", [0, 1], [-0.1, 1.1, NAN])
        for key in ("forged", "page", "generator", "paste", "align", "band")
    ),
    *(
        (VariationConfig, f"data.variation.{key}", [0, 1], [-0.1, 1.1, NAN])
        for key in ("band", "dilution", "smooth", "clean", "colour")
    ),
    (AugmentConfig, "data.augment.scale", [0, 3], [-0.1, NAN]),
    (DataConfig, "data.window_seconds", [0.2, 10], [0.19, NAN]),
    (FeaturesConfig, "features.mask", [0, 1], [-0.1, 1.1, NAN]),
    (StemConfig, "backbone.stem.blocks", [0, 2], [-1]),
    *(
        (AugmentConfig, f"data.augment.{key}", [0, 1], [-0.1, 1.1, NAN])
        for key in ("gain", "invert", "noise", "tilt")
    ),
    (DataConfig, "data.sample_rate", [8_000, 48_000], [7_999]),
    (DataConfig, "data.clip_seconds", [1], [0.9, NAN]),
    (DataConfig, "data.train_attacks", [1], [0]),
    (DataConfig, "data.evaluation_attacks", [1], [0]),
    (DataConfig, "data.workers", [0], [-1]),
    (DataConfig, "data.batch_size", [2, 64], [0, 1, 33, -2]),
    (SplitConfig, "split.seen_per_genuine", [None, 1], [0]),
    (SplitConfig, "split.at_most", [None, 1], [0]),
    (SplitConfig, "split.validation_share", [0.01, 0.99], [0, 1, -0.1, NAN]),
    (SplitConfig, "split.folds", [3, 10], [2, 0, -1]),
    (SplitConfig, "split.fold", [0, 4], [5, -1]),
    (SplitConfig, "split.seed", [0], [-1]),
    (FeaturesConfig, "features.hop_ms", [1, 2, 4, 5, 10, 20], [0, 3, 40]),
    (FeaturesConfig, "features.bins", [8], [7]),
    (StemConfig, "backbone.stem.patch", [[1, 1]], [[], [16], [16, 0], [1, 2, 3]]),
    (StemConfig, "backbone.stem.stride", [None, [1, 1]], [[], [16], [0, 16]]),
    (BackboneConfig, "backbone.dim", [8], [7]),
    (BackboneConfig, "backbone.depth", [1], [0]),
    (BackboneConfig, "backbone.state", [1], [0]),
    (BackboneConfig, "backbone.expand", [1], [0]),
    (BackboneConfig, "backbone.head_dim", [32], [0, -1]),
    (BackboneConfig, "backbone.drop_path", [0, 0.9], [-0.1, 1.1, NAN]),
    (HeadsConfig, "heads.neck_depth", [1], [0]),
    (HeadsConfig, "heads.dropout", [0, 0.9], [-0.1, 1.1, NAN]),
    *(
        (LossConfig, f"loss.{key}", [0, 5], [-0.1, NAN])
        for key in ("clip", "frame", "boundary", "attribution", "twin", "focal_gamma")
    ),
    (LossConfig, "loss.temperature", [0.1], [0, -1]),
    (OptimConfig, "optim.lr", [1e-9], [0, -1, NAN]),
    (OptimConfig, "optim.weight_decay", [0], [-0.1, NAN]),
    (OptimConfig, "optim.warmup", [0, 1], [-0.1, 1.1]),
    (OptimConfig, "optim.final", [0, 1], [-0.1, 1.1]),
    (OptimConfig, "optim.ema", [None, 0, 0.999], [-0.1, 1.1]),
    (LoggerConfig, "logger.table_clips", [0], [-1]),
    (ReportConfig, "report.draws", [0], [-1]),
    (ReportConfig, "report.examples", [0], [-1]),
    (RunConfig, "epochs", [1], [0]),
    (RunConfig, "steps", [1], [0]),
    (RunConfig, "checkpoint_steps", [1], [0]),
    (RunConfig, "seed", [0], [-1]),
]


def made(section, **values):
    """A section, with what `leave_one_attack_out` cannot do without."""
    if section is SplitConfig:
        values = {"name": "leave_one_attack_out", "held_out": "a/b"} | values
    if section is RunConfig:
        values = {"split": made(SplitConfig)} | values
    return section(**values)


def set_to(section, key, value):
    values = {key.rpartition(".")[2]: value}
    if section is SplitConfig and value == "official":
        values["held_out"] = None
    return made(section, **values)


@pytest.mark.parametrize(("section", "key", "choices"), CHOICES)
def test_choices_are_taken_and_others_told(section, key, choices):
    for choice in choices:
        set_to(section, key, choice)
    with pytest.raises(InputError) as caught:
        set_to(section, key, "nosuch")
    told = re.fullmatch(f"{re.escape(key)}=nosuch: must be one of (.*)", str(caught.value))
    assert set(told[1].split(", ")) == choices


@pytest.mark.parametrize(("section", "key", "right", "wrong"), BOUNDS)
def test_bounds(section, key, right, wrong):
    for value in right:
        set_to(section, key, value)
    for value in wrong:
        with pytest.raises(InputError) as caught:
            set_to(section, key, value)
        message = str(caught.value)
        assert message.startswith(f"{key}=")
        assert "must be" in message
        assert "\n" not in message


def test_choices_are_those_of_the_parts():
    from fakesound.models.heads import POOLINGS
    from fakesound.models.mamba import VARIANTS
    from fakesound.models.neck import NECKS
    from fakesound.models.scan.kernels import KERNELS
    from fakesound.training.losses import FRAME_LOSSES, WEIGHTINGS

    choices = {key: there for _, key, there in CHOICES}
    assert choices["loss.frame_loss"] == set(FRAME_LOSSES)
    assert choices["loss.weighting"] == set(WEIGHTINGS)
    assert choices["heads.pooling"] == set(POOLINGS)
    assert choices["heads.neck"] == set(NECKS)
    assert choices["backbone.variant"] == set(VARIANTS)
    assert choices["kernel"] == {"auto", "reference", *KERNELS}


def test_weights_of_attacks_are_not_negative():
    CropConfig(weights={"edit/*": 0.0, "codec/mp3": 3.0})
    with pytest.raises(InputError, match=r"data\.crop\.weights\.codec/mp3=-1: must be at least 0"):
        CropConfig(weights={"edit/*": 0.0, "codec/mp3": -1})


@pytest.mark.parametrize("value", [3, 1.5, True, ["a/b", 3], {"a": 1}, [["a/b"]]])
@pytest.mark.parametrize("key", ["held_out", "inner_held_out"])
def test_attacks_held_out_are_names(key, value):
    with pytest.raises(InputError, match=rf"split\.{key}=.*: must be a name, a glob or a list"):
        made(SplitConfig, **{key: value})


@pytest.mark.parametrize("value", [None, "", []])
def test_leaving_one_out_needs_one(value):
    for what in ("attack", "family"):
        with pytest.raises(InputError, match=rf"split\.held_out: name the {what} .*split=official"):
            SplitConfig(f"leave_one_{what}_out", held_out=value)
    SplitConfig("official", held_out=value)
    SplitConfig("source_folds", held_out=value)


def test_a_fold_is_one_of_the_folds():
    SplitConfig("source_folds", folds=7, fold=6)
    with pytest.raises(InputError, match=r"split\.fold=6: must be from 0 to 5, .*split\.folds=6"):
        SplitConfig("source_folds", folds=6, fold=6)


@pytest.mark.parametrize("value", ["a/b", ["a/b"]])
def test_the_official_split_leaves_none_out(value):
    with pytest.raises(InputError, match=r"split\.held_out=.* use split=leave_one_attack_out"):
        SplitConfig("official", held_out=value)


def test_attacks_held_out_are_given_as_a_list():
    split = made(SplitConfig, held_out="inpainting/*", inner_held_out=["a/b", "c/d"])
    assert split.patterns("held_out") == ["inpainting/*"]
    assert split.patterns("inner_held_out") == ["a/b", "c/d"]
    assert made(SplitConfig, inner_held_out=None).patterns("inner_held_out") == []


def test_recordings_or_a_manifest():
    DataConfig(root="a")
    DataConfig(manifest="b")
    with pytest.raises(InputError, match=r"data\.root and data\.manifest: give one"):
        DataConfig(root="a", manifest="b")


@pytest.mark.parametrize("other", [{"manifest": "b"}, {"train": ["b"], "test": ["c"]}])
def test_extra_recordings_are_not_given_with_manifests(other):
    DataConfig(extra=["a"])
    DataConfig(extra=["a"], root="b")
    with pytest.raises(InputError, match=rf"data\.extra and data\.{next(iter(other))}: give one"):
        DataConfig(extra=["a"], **other)


@pytest.mark.parametrize("key", ["root", "manifest"])
@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_one_manifest_or_several(key, part):
    with pytest.raises(InputError, match=rf"data\.{key} and data\.{part}: give one of them"):
        DataConfig(**{key: "a", part: ["b"]})


@pytest.mark.parametrize(
    ("given", "lacking"), [("train", "test"), ("test", "train"), ("validation", "train")]
)
def test_what_trains_and_what_tests_are_given_together(given, lacking):
    with pytest.raises(InputError, match=rf"data\.{lacking}: is empty; name its manifests"):
        DataConfig(**{given: ["a"]})


def test_manifests_by_the_key_that_names_them():
    assert DataConfig().manifests() == DataConfig(root="a").manifests() == {}
    assert DataConfig(manifest="a").manifests() == {"manifest": ["a"]}
    found = DataConfig(train=["a", "b"], test=["b"]).manifests()
    assert found == {"train": ["a", "b"], "test": ["b"]}


def test_a_window_limits_the_bins_of_a_linear_spectrum():
    FeaturesConfig("logstft", window=256, bins=128)
    with pytest.raises(InputError, match=r"features\.bins=129: a window of 256 .* at most 128"):
        FeaturesConfig("logstft", window=256, bins=129)
    FeaturesConfig("lfcc", window=256, bins=129)


def test_one_head_at_least():
    HeadsConfig(clip=True, frame=False)
    HeadsConfig(clip=False, frame=True)
    with pytest.raises(InputError, match=r"heads\.clip and heads\.frame: one"):
        HeadsConfig(clip=False, frame=False)


def test_what_belongs_to_a_head_needs_it():
    HeadsConfig(clip=True, frame=False, pooling="max")
    HeadsConfig(clip=True, frame=False, boundary=True, neck="mamba")
    with pytest.raises(InputError, match=r"heads\.pooling=max: is of the clip head"):
        HeadsConfig(clip=False, frame=True, pooling="max")
    with pytest.raises(InputError, match=r"heads\.neck=mamba: is of the frame and boundary heads"):
        HeadsConfig(clip=True, frame=False, neck="mamba")


@pytest.mark.parametrize(
    ("heads", "weights", "learns"),
    [
        ((True, True), (0, 1), True),
        ((True, True), (1, 0), True),
        ((True, True), (0, 0), False),
        ((True, False), (0, 1), False),
        ((True, False), (1, 0), True),
        ((False, True), (1, 0), False),
        ((False, True), (0, 1), True),
    ],
)
def test_a_head_that_is_on_must_have_a_weight(heads, weights, learns):
    values = {"heads": HeadsConfig(*heads), "loss": LossConfig("fixed", *weights)}
    if learns:
        made(RunConfig, **values)
    else:
        with pytest.raises(InputError, match=r"loss\.clip and loss\.frame: no head that is on"):
            made(RunConfig, **values)


@pytest.mark.parametrize(
    ("init", "message"),
    [
        ({"form": "a.pth"}, "init.form: no such key; there are from, grid"),
        ({"from": 3}, "init.from=3: must be the path of a file"),
        ({"from": ""}, "init.from=: must be the path of a file"),
        ({"from": "a.pth", "grid": 8}, "init.grid=8: must be [rows,columns]"),
        ({"from": "a.pth", "grid": [8]}, "init.grid=[8]: must be [rows,columns]"),
        ({"from": "a.pth", "grid": [8, 0]}, "init.grid=[8, 0]: must be [rows,columns]"),
        ({"from": "a.pth", "grid": [8, True]}, "init.grid=[8, True]: must be [rows,columns]"),
        (
            {"grid": [8, 64]},
            "init.grid=[8, 64]: is for a file of weights; give init.from as well",
        ),
    ],
)
def test_what_to_start_from_is_a_file_and_its_grid(init, message):
    with pytest.raises(InputError) as caught:
        made(RunConfig, init=init)
    assert str(caught.value) == message


def test_what_to_start_from_may_be_given_in_part():
    assert made(RunConfig).init == {"from": None, "grid": None}
    assert made(RunConfig, init={}).init == {"from": None, "grid": None}
    assert made(RunConfig, init={"from": "a.pth"}).init == {"from": "a.pth", "grid": None}


def test_sections_do_not_share_what_can_change():
    one, other = made(RunConfig), made(RunConfig)
    one.tags.append("x")
    one.data.attacks.append("x")
    one.data.crop.weights["x"] = 1.0
    one.backbone.stem.channels.append(1)
    one.trainer["x"] = 1
    one.init["from"] = "x"
    assert other == made(RunConfig)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_every_key_is_explained(section):
    own = {field.name for field in dataclasses.fields(section)}
    unexplained = {key for key, _, meaning in keys_of(made(section)) if not meaning}
    assert unexplained & own == set()


def test_the_schema_imports_nothing_heavy():
    heavy = ("torch", "hydra", "omegaconf", "numpy", "lightning", "wandb")
    code = f"import sys, fakesound.config; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert found.stdout.strip() == "[]"
