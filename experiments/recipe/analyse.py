"""Write the effect of each part of the training recipe on fakes of left-out decoders.

python experiments/recipe/analyse.py FOLDER

FOLDER/SETTING_sSEED/scores.jsonl are the scores of one run on the validation clips. Each setting is
compared with the "default" of the same seed.
"""

import csv
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from fakesound.metrics import ClipScore, auc, read_scores, subset_blocks

HERE = Path(__file__).parent
DEFAULT = "default"
MIN_CLIPS = 4  # of each label on a page
DRAWS = 2000
KINDS = {"partial": "part_score", "whole": "whole_score"}


def main(folder: Path) -> None:
    """Print the table and write ``results.csv``."""
    runs = {path.parent.name: read_scores(path) for path in sorted(folder.glob("*/scores.jsonl"))}
    pages = {name: page_areas(scores) for name, scores in runs.items()}
    rows = []
    for name, scores in runs.items():
        setting, _, seed = name.rpartition("_s")
        row: dict[str, str | float] = {"setting": setting, "seed": seed}
        for key, areas in pages[name].items():
            reference = pages[f"{DEFAULT}_s{seed}"][key]
            change = np.array([areas[page] - reference[page] for page in sorted(areas)])
            row[key] = float(np.mean([*areas.values()]))
            row |= dict(zip((f"{key} {end}" for end in ("change", "low", "high")), spread(change),
                            strict=True))  # fmt: skip
        partial = [clip for clip in scores if clip.kind != "whole"]
        row["frame AUC"] = subset_blocks(partial, draws=0)["test"]["all"]["frame/auc"] or np.nan
        rows.append(row)
    rows.sort(key=lambda row: (row["setting"] != DEFAULT, row["setting"], row["seed"]))
    with (HERE / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {
                key: round(value, 4) if isinstance(value, float) else value
                for key, value in r.items()
            }
            for r in rows
        )
    print("| setting | seed | AUC, partial | change | AUC, whole | change | frame AUC |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        cells = [
            f"{row[kind]:.3f} | {row[f'{kind} change']:+.3f} "
            f"[{row[f'{kind} low']:+.3f}, {row[f'{kind} high']:+.3f}]"
            for kind in KINDS
        ]
        print(f"| {row['setting']} | {row['seed']} |", " | ".join(cells),
              f"| {row['frame AUC']:.3f} |")  # fmt: skip


def page_areas(scores: list[ClipScore]) -> dict[str, dict[str, float]]:
    """Return the AUC of each page by kind of fake, also with the score of its own hypothesis."""
    clips = defaultdict(list)
    for clip in scores:
        clips[clip.domain, clip.kind].append(clip)
    areas: dict[str, dict[str, float]] = defaultdict(dict)
    for kind, own in KINDS.items():
        for page in sorted({clip.domain for clip in scores}):
            fakes, genuine = clips[page, "part" if kind == "partial" else kind], clips[page, None]
            if min(len(fakes), len(genuine)) < MIN_CLIPS:
                continue
            labels = np.array([True] * len(fakes) + [False] * len(genuine))
            for key, name in (("score", kind), (own, f"{kind}, own hypothesis")):
                # a detector with one hypothesis has no other score
                values = [getattr(c, key) if getattr(c, key) is not None else c.score
                          for c in (*fakes, *genuine)]  # fmt: skip
                areas[name][page] = auc(np.array(values), labels)
    return areas


def spread(change: np.ndarray) -> tuple[float, float, float]:
    """Return the mean over pages with its 95 % bootstrap interval."""
    draws = np.random.default_rng(0).integers(change.size, size=(DRAWS, change.size))
    low, high = np.percentile(change[draws].mean(axis=1), (2.5, 97.5))
    return float(change.mean()), float(low), float(high)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
