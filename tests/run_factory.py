"""A finished run on disk, with random informative scores."""

import json
from dataclasses import replace

import numpy as np
import yaml

from fakesound.data.audio import write_wav
from fakesound.data.manifest import Clip, write_manifest
from fakesound.data.samples import to_pcm
from fakesound.evaluation.results import apply_calibration, compute_metrics
from fakesound.metrics import ClipScore, Prior, logit, write_scores
from fakesound.timeline import FrameGrid, Region

RATE, FRAMES = 8000, 40
DURATION = FRAMES * 0.02
ATTACKS = ("codec/gsm", "edit/splice", "vocoder/world")
UNSEEN = "vocoder/world"


def make_run(
    folder,
    finished=True,
    changes=None,
    held_out=UNSEEN,
    selection=None,
    sources=6,
    seed=0,
    audio=False,
    first_id="clip-0",
    clip_task=True,
    frame_task=True,
    attacks=ATTACKS,
):
    """Write the folder of a run and return it.

    Args:
        folder: New folder.
        finished: Whether it has metrics, or only a configuration.
        changes: Values of configuration keys, joined by dots.
        held_out: The unseen attack.
        selection: An attack that only served model selection.
        sources: Number of sources; each has a genuine clip and a fake of each attack.
        seed: Seed of scores and configuration.
        audio: Whether clips have audio files.
        first_id: Id of the first fake of the test.
        clip_task: Whether clip metrics are defined.
        frame_task: Whether clips have frame scores.
        attacks: Attacks of the test.
    """
    folder.mkdir(parents=True)
    config = {
        "name": "trial",
        "seed": seed,
        "backbone": {"name": "vim_micro", "dim": 96},
        "loss": {"weighting": "fixed", "frame_share": 0.7},
        "optim": {"lr": 0.002},
        "split": {"name": "leave_one_attack_out", "held_out": held_out},
    }
    for key, value in (changes or {}).items():
        *groups, last = key.split(".")
        place = config
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = value
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    if not finished:
        return folder
    rng = np.random.default_rng(seed)
    parts = {"validation": [a for a in attacks if a != held_out], "test": attacks}
    rows, scores = [], {}
    for part, members in parts.items():
        clips = _clips(folder, part, members, sources, audio, first_id)
        rows += clips
        scores[part] = [_score(clip, held_out, selection, frame_task, rng) for clip in clips]
    calibrated = apply_calibration(scores["test"], scores["validation"], "logistic")
    metrics = compute_metrics(calibrated, Prior(0.5, 0.2), draws=20, seed=0, confidence=0.8) | {
        "audit": {"auc": 0.53, "auc_unseen": None, "features": {"level": 0.51, "odd": None}},
        "provenance": {
            "git": {"commit": "0123456789abcdef", "changed": False},
            "parameters": 1000,
            "seconds": {"prepare": 1.5, "train": 20.0},
        },
    }
    if not clip_task:
        test = metrics["test"]
        for block in (
            metrics["validation"],
            *test["attack"].values(),
            test["unseen"],
            test["seen"],
        ):
            block |= {key: None for key in block if key.startswith("clip/")}
    write_manifest(folder / "manifest.jsonl", rows)
    write_scores(folder / "scores.jsonl", calibrated.test)
    write_scores(folder / "validation_scores.jsonl", calibrated.validation)
    (folder / "metrics.json").write_text(json.dumps(metrics, allow_nan=False))
    epochs = [
        {"epoch": n, "train/loss": 1 / (n + 1), "validation/clip/auc": 0.5 + n / 10}
        | {"train/clip_loss": 0.9 / (n + 1), "validation/selection": 0.5 + n / 10}
        for n in range(3)
    ]
    (folder / "epochs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in epochs))
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "overrides.yaml").write_text("[experiment=mt_vim, resume=auto]")
    return folder


def weakened(scores, by, seed=0):
    """Return the same clips with noise on their scores."""
    rng = np.random.default_rng(seed)
    result = []
    for clip in scores:
        score = round(float(1 / (1 + np.exp(-clip.logit - by * rng.normal()))), 6)
        noise = 0.2 * by * rng.normal(size=clip.frame_scores.size)
        frames = np.clip(clip.frame_scores + noise, 0, 1).astype(np.float32)
        result.append(replace(clip, score=score, logit=logit(score), frame_scores=frames))
    return result


def edit_json(path, change):
    """Apply ``change`` to the content of a JSON file."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def _clips(folder, part, attacks, sources, audio, first_id):
    rng = np.random.default_rng(len(part))
    clips = []
    for source in range(sources):
        for attack in (None, *attacks):
            number = len(clips)
            onset = round(float(rng.uniform(0, 0.4)), 3)
            region = Region(onset, round(onset + float(rng.uniform(0.1, 0.3)), 3))
            path = folder / "audio" / f"{part}-{number}.wav"
            if audio:
                noise = rng.normal(size=int(DURATION * RATE)).astype(np.float32)
                write_wav(path, to_pcm(0.1 * noise), RATE)
            clips.append(
                Clip(
                    clip_id=first_id if part == "test" and number == 1 else f"{part}-{number}",
                    location=str(path),
                    source_id=f"{part} source {source}",
                    label="fake" if attack else "genuine",
                    attack=attack,
                    regions=(region,) if attack else (),
                    duration=DURATION,
                    sample_rate=RATE,
                    corpus="corpus",
                    split=part,
                    domain="corpus",
                )
            )
    return clips


def _score(clip, held_out, selection, frame_task, rng):
    score = round(float(1 / (1 + np.exp(-rng.normal() * 1.2 - (1.5 if clip.is_fake else -1.5)))), 6)
    truth = FrameGrid().targets(clip.regions, FRAMES)
    frames = 1 / (1 + np.exp(-(rng.normal(size=FRAMES) + 4 * truth - 2)))
    fold = None
    if clip.is_fake and clip.attack != selection:
        fold = "unseen" if clip.attack == held_out else "seen"
    fields = {"frame_scores": frames.round(6).astype(np.float32)} if frame_task else {}
    return ClipScore.of(clip, score, fold=fold, **fields)
