import json
from dataclasses import asdict, dataclass, replace

import numpy as np
import pytest
import yaml

from fakesound.data.audio import to_pcm, write_wav
from fakesound.data.manifest import Clip, write_manifest
from fakesound.metrics import (
    ClipScore,
    Prior,
    Thresholds,
    baseline_blocks,
    fold_blocks,
    localisation_block,
    logit,
    metrics_block,
    paired_differences,
    subgroup_blocks,
    subsets,
    write_scores,
)
from fakesound.metrics.abstention import abstention_block
from fakesound.timeline import FrameGrid, Region

RATE, FRAMES = 8000, 40
DURATION = FRAMES * 0.02
ATTACKS = ("codec/gsm", "edit/splice", "vocoder/world")
UNSEEN = "vocoder/world"


@dataclass(frozen=True)
class Setup:
    """What a synthetic run is like."""

    held_out: str | None = UNSEEN
    clip_task: bool = True
    frame_task: bool = True
    attacks: tuple[str, ...] = ATTACKS
    first_id: str = "clip-0"
    pairs: int = 6
    seed: int = 0
    audio: bool = True
    inner: str | None = None


def build_clips(folder, setup, part):
    """Manifest rows of genuine clips with a fake of each attack, their audio beside them."""
    rng = np.random.default_rng([setup.seed, len(part)])
    clips, number = [], 0
    for source in range(setup.pairs):
        for attack in (None, *setup.attacks):
            regions = ()
            if attack:
                onset = round(float(rng.uniform(0, 0.4)), 3)
                regions = (Region(onset, round(onset + float(rng.uniform(0.1, 0.3)), 3)),)
            path = folder / "audio" / f"{part}-{number}.wav"
            if setup.audio:
                tone = np.sin(np.arange(int(DURATION * RATE)) * 0.2) * 0.2
                noise = rng.normal(size=tone.size) * 0.05
                write_wav(path, to_pcm((tone + noise).astype(np.float32)), RATE)
            first = part == "test" and number == 1
            clips.append(
                Clip(
                    clip_id=setup.first_id if first else f"{part}-{number}",
                    path=path,
                    source_id=f"{part} source {source}",
                    label="fake" if attack else "genuine",
                    attack=attack,
                    regions=regions,
                    duration=DURATION,
                    sample_rate=RATE,
                    corpus="corpus",
                    split=part,
                    domain="corpus",
                )
            )
            number += 1
    return clips


def score_clip(clip, setup, rng):
    """Scores that carry some truth."""
    odds = rng.normal() * 1.2 + (1.5 if clip.is_fake else -1.5)
    score = round(float(1 / (1 + np.exp(-odds))), 6)
    truth = FrameGrid().targets(clip.regions, FRAMES)
    frames = 1 / (1 + np.exp(-(rng.normal(size=FRAMES) + 4 * truth - 2)))
    fold = None if not clip.is_fake or clip.attack == setup.inner else "seen"
    return ClipScore(
        clip_id=clip.clip_id,
        score=score,
        logit=logit(score),
        label=clip.label,
        attack=clip.attack,
        corpus=clip.corpus,
        domain=clip.domain,
        source_id=clip.source_id,
        regions=clip.regions,
        duration=clip.duration,
        fold="unseen" if clip.is_fake and clip.attack == setup.held_out else fold,
        **({"frame_scores": frames.round(6).astype(np.float32)} if setup.frame_task else {}),
    )


def build_metrics(validation, test, setup):
    prior = Prior(0.5, 0.2)
    parts = subsets(test)
    folds = {"seen": parts.seen, "unseen": parts.unseen}
    results = {
        "validation": metrics_block(validation),
        "test": fold_blocks(test, draws=20),
        "baseline": baseline_blocks(test, prior),
        "baseline_by_fold": {
            fold: baseline_blocks(scores, prior) for fold, scores in folds.items() if scores
        },
        "audit": {"auc": 0.53, "auc_unseen": None, "features": {"level": 0.51, "odd": None}},
        "thresholds": {"clip": 0.4, "frame": 0.6},
        "objective": 0.876543,
        "provenance": {
            "git": {"commit": "0123456789abcdef", "changed": False},
            "versions": {"torch": "2.13.0"},
            "seconds": {"prepare": 1.5, "train": 20.0, "evaluate": 3.0},
            "config_hash": "feedbeef",
        },
    }
    if not setup.clip_task:
        blocks = [results["validation"], *results["test"]["attack"].values()]
        blocks += [results["test"][name] for name in ("all", "seen", "unseen")]
        for block in blocks:
            for key in [key for key in block if key.startswith("clip/")]:
                block[key] = None
                block.get("ci", {}).pop(key, None)
    return results


def build_config(setup, **changes):
    config = {
        "name": "trial",
        "seed": setup.seed,
        "tags": [],
        "backbone": {"name": "vim_micro", "dim": 96, "depth": 4},
        "loss": {"weighting": "fixed", "clip": 0.3},
        "optim": {"lr": 0.002},
        "split": {
            "name": "leave_one_attack_out" if setup.held_out else "official",
            "held_out": setup.held_out,
        },
    }
    for key, value in changes.items():
        *groups, last = key.split(".")
        place = config
        for group in groups:
            place = place[group]
        place[last] = value
    return config


def build_run(folder, finished=True, changes=None, **fields):
    """Write a run's folder and return it."""
    setup = Setup(**fields)
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(build_config(setup, **(changes or {}))))
    if not finished:
        return folder
    rng = np.random.default_rng(setup.seed)
    validating = replace(setup, attacks=tuple(a for a in setup.attacks if a != setup.held_out))
    clips = {
        "validation": build_clips(folder, validating, "validation"),
        "test": build_clips(folder, setup, "test"),
    }
    thresholds = Thresholds(0.4, 0.6)
    scores = {
        part: thresholds.applied([score_clip(clip, setup, rng) for clip in members])
        for part, members in clips.items()
    }
    write_manifest(folder / "manifest.jsonl", [*clips["validation"], *clips["test"]])
    write_scores(folder / "validation_scores.jsonl", scores["validation"])
    write_scores(folder / "scores.jsonl", scores["test"])
    metrics = build_metrics(scores["validation"], scores["test"], setup)
    (folder / "metrics.json").write_text(json.dumps(metrics))
    epochs = [
        {
            "epoch": epoch,
            "train/loss": 1 / (epoch + 1),
            "train/clip_loss": 0.9 / (epoch + 1),
            "validation/clip/auc": 0.5 + epoch / 10,
            "validation/selection": 0.5 + epoch / 10,
        }
        for epoch in range(3)
    ]
    (folder / "epochs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in epochs))
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "overrides.yaml").write_text(
        yaml.safe_dump(["experiment=mt_vim", "split.held_out=vocoder/world", "resume=auto"])
    )
    return folder


def weakened(scores, by, seed=0):
    """The same clips with so much noise on their scores."""
    rng = np.random.default_rng(seed)
    found = []
    for clip in scores:
        score = round(float(1 / (1 + np.exp(-clip.logit - by * rng.normal()))), 6)
        noise = 0.2 * by * rng.normal(size=clip.frame_scores.size)
        frames = np.clip(clip.frame_scores + noise, 0, 1).astype(np.float32)
        found.append(replace(clip, score=score, logit=logit(score), frame_scores=frames))
    return found


def folds(scores):
    parts = subsets(scores)
    return {"all": parts.all, "seen": parts.seen, "unseen": parts.unseen}


def build_paired(scores, other, keys=("clip/auc", "clip/eer", "segment_f1_20ms", "range_eer")):
    found = {}
    for name, part in folds(scores).items():
        against = folds(other)[name]
        a, b = metrics_block(part), metrics_block(against)
        differences = paired_differences(part, against, 50)
        found[name] = {key: {"a": a[key], "b": b[key], **asdict(differences[key])} for key in keys}
    return {"names": ["ours", "theirs"], "parts": found}


def build_calibration(scores):
    points = {"score": [0.2, 0.8], "share_fake": [0.1, 0.7], "clips": [5.0, 6.0]}
    found = {}
    for name, part in folds(scores).items():
        figures = {key: metrics_block(part)[f"clip/{key}"] for key in ("cllr", "min_dcf", "ece")}
        found[name] = figures | {"act_dcf": None, "brier": 0.125, "reliability": points}
    return found


def build_evaluation(scores):
    """The figures of an evaluation with every section there is."""
    parts, prior = folds(scores), Prior(0.5, 0.2)
    conditions = {"clean": scores, "noise": weakened(scores, 1), "room": weakened(scores, 3)}
    return {
        "validation": None,
        "test": fold_blocks(scores, draws=20),
        "partition": subgroup_blocks(scores, 20),
        "localisation": {name: localisation_block(part) for name, part in parts.items()},
        "baseline": baseline_blocks(scores, prior),
        "baseline_by_fold": {name: baseline_blocks(part, prior) for name, part in parts.items()},
        "thresholds": {"clip": 0.4, "frame": 0.6, "origin": "the checkpoint"},
        "calibration": {
            "method": "logistic",
            "before": build_calibration(weakened(scores, 2)),
            "after": build_calibration(scores),
        },
        "abstention": {"confidence": 0.8}
        | {name: abstention_block(part, 0.8) for name, part in parts.items()},
        "robustness": {
            "conditions": [
                {"name": name, "title": f"heard in {name}"}
                | {part: fold_blocks(clips, draws=20)[part] for part in parts}
                for name, clips in conditions.items()
            ]
        },
        "paired": build_paired(scores, weakened(scores, 1, seed=1)),
        "remarks": ["12 genuine clips occur in two manifests and count once"],
    }


@pytest.fixture(scope="session")
def evaluation(run):
    """An evaluation with every section, in memory."""
    from fakesound.report import RunResults

    scores = run.test_scores
    # what metrics.json would give back
    metrics = json.loads(json.dumps(build_evaluation(scores), allow_nan=False))
    return RunResults(
        *(run.folder, {}, metrics, scores),
        command="python -m fakesound.evaluate --scores scores.jsonl --out 'my results'",
        title="two detectors",
    )


@pytest.fixture(scope="session")
def make_run():
    return build_run


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    """The folder of one finished run, not to be changed."""
    return build_run(tmp_path_factory.mktemp("reporting") / "run", inner="codec/gsm")


@pytest.fixture(scope="session")
def run(run_folder):
    from fakesound.report import read_run

    return read_run(run_folder)
