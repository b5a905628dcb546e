"""Write a table of listeners and models, on the clips of a listening test.

python experiments/claim/people.py DIR [--models SCORES ...] [--out FOLDER]

DIR is the --out of `fakesound listen`; each SCORES is the score file of a model for
DIR/clips.jsonl. Writes people.md and people.csv.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from fakesound.errors import InputError
from fakesound.metrics import ClipScore, read_scores
from fakesound.metrics.counts import ratio, score_counts
from fakesound.metrics.ranking import auc_draws
from fakesound.metrics.resampling import difference_in_draws, source_draws

NOT_RUN = "not run yet: nobody has listened"
POOLED = "listeners.jsonl"
FIGURES = ("AUC", "AUC, partial", "AUC, whole", "accuracy")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", type=Path, nargs="*", default=[])
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    paths = sorted(options.folder.glob("scores/*.jsonl"))
    listeners = [read_scores(path) for path in paths if path.name != POOLED]
    models = {path.parent.name or path.stem: read_scores(path) for path in options.models}
    rows = table(listeners, models, options.draws)
    names = list(rows[0])
    lines = [names, ["---"] * len(names)] + [[row[name] for name in names] for row in rows]
    page = "".join("| " + " | ".join(line) + " |\n" for line in lines)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "people.md").write_text(page, encoding="utf-8")
    with (options.out / "people.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(page)


def table(
    listeners: Sequence[Sequence[ClipScore]],
    models: dict[str, Sequence[ClipScore]],
    draws: int = 1000,
) -> list[dict[str, str]]:
    """Return a row for people, one for each model, and one for each of their differences.

    Raises:
        InputError: if a model has no score of a clip with answers.
    """
    columns = ("figures of", "listeners", "clips", *FIGURES, "deviation of listeners, AUC")
    empty = dict.fromkeys(columns, "")
    truth = {clip.clip_id: clip for scores in listeners for clip in scores}
    if not truth:
        rows = [empty | {"figures of": name} for name in models]
        return [empty | {"figures of": "people", "listeners": NOT_RUN}, *rows]
    ids = sorted(truth)
    for name, scores in models.items():
        if missing := sorted(set(ids) - {clip.clip_id for clip in scores}):
            raise InputError(
                f"--models: {name} has no score of clip {missing[0]!r}; evaluate it on clips.jsonl"
            )
    # the first draw has every clip and every listener once
    clip_weights = np.concatenate((np.ones((1, len(ids))), source_draws(len(ids), draws, 0)))
    count = len(listeners)
    listener_weights = np.concatenate((np.ones((1, count)), source_draws(count, draws, 1)))
    each = [figures(scores, ids, clip_weights) for scores in listeners]
    people = {
        name: _mean(np.stack([one[name] for one in each], axis=1), listener_weights)
        for name in FIGURES
    }
    spread = np.std([one["AUC"][0] for one in each], ddof=1) if count > 1 else float("nan")
    rows = [
        empty
        | {"figures of": "people", "listeners": str(count), "clips": str(len(ids))}
        | {name: interval(values) for name, values in people.items()}
        | {columns[-1]: "" if np.isnan(spread) else f"{spread:.3f}"}
    ]
    for model, scores in models.items():
        own = figures(scores, ids, clip_weights)
        rows.append(
            empty
            | {"figures of": model, "clips": str(len(ids))}
            | {name: interval(values) for name, values in own.items()}
        )
        rows.append(
            empty
            | {"figures of": f"{model} less people"}
            | {name: difference(own[name], people[name]) for name in FIGURES}
        )
    return rows


def figures(
    scores: Sequence[ClipScore], ids: Sequence[str], weights: Float[np.ndarray, "draw clip"]
) -> dict[str, Float[np.ndarray, " draw"]]:
    """Return each of `FIGURES` of one listener or model in each draw, NaN if undefined.

    Clips without an answer are left out.
    """
    by_id = {clip.clip_id: clip for clip in scores}
    columns = [column for column, name in enumerate(ids) if name in by_id]
    clips = [by_id[ids[column]] for column in columns]
    own = weights[:, columns]
    fake = np.array([clip.fake for clip in clips])
    partial = np.array([clip.kind == "part" for clip in clips])
    right = np.array([(clip.score > clip.clip_threshold) == clip.fake for clip in clips])
    logits = np.array([clip.logit for clip in clips])

    def auc(kind: Bool[np.ndarray, " clip"]) -> Float[np.ndarray, " draw"]:
        return auc_draws(score_counts(logits, own * kind, own * ~fake))

    return {
        "AUC": auc(fake),
        "AUC, partial": auc(partial),
        "AUC, whole": auc(fake & ~partial),
        "accuracy": ratio(own @ right.astype(float), own.sum(axis=1)),
    }


def _mean(
    values: Float[np.ndarray, "draw listener"], weights: Float[np.ndarray, "draw listener"]
) -> Float[np.ndarray, " draw"]:
    """Return the mean over the listeners of each draw whose metric is defined."""
    known = ~np.isnan(values)
    return ratio((np.where(known, values, 0) * weights).sum(1), (known * weights).sum(1))


def interval(values: Float[np.ndarray, " draw"]) -> str:
    """Return a metric with its 95 % interval; empty if undefined."""
    if np.isnan(values[0]):
        return ""
    low, high = np.nanpercentile(values[1:], (2.5, 97.5))
    return f"{values[0]:.3f} [{low:.3f}, {high:.3f}]"


def difference(a: Float[np.ndarray, " draw"], b: Float[np.ndarray, " draw"]) -> str:
    """Return the difference of ``a`` and ``b`` with its 95 % interval and p-value."""
    if np.isnan(a[0]) or np.isnan(b[0]):
        return ""
    one = difference_in_draws(float(a[0]), float(b[0]), a[1:] - b[1:])
    return f"{one.difference:+.3f} [{one.low:+.3f}, {one.high:+.3f}], p = {one.p:.3f}"


if __name__ == "__main__":
    main()
