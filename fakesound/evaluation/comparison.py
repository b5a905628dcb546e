"""Compare two systems on the same clips."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from fakesound.errors import InputError
from fakesound.metrics import ClipScore, paired_differences, subsets


def compare(
    scores_a: Sequence[ClipScore],
    scores_b: Sequence[ClipScore],
    names: tuple[str, str],
    draws: int,
    seed: int,
) -> dict[str, Any]:
    """Return the difference of systems a and b in each metric, for the whole test and its folds.

    The folds are those of system a.

    Raises:
        InputError: naming a clip that only one system scored, or whose labels differ.
    """
    by_id = {clip.clip_id: clip for clip in scores_b}
    lone = {clip.clip_id for clip in scores_a} ^ by_id.keys()
    if lone:
        raise InputError(
            f"clip_id: {min(lone)!r} is scored by only one of {names[0]} and {names[1]} "
            f"({len(lone)} such); give both the same clips, or add --allow-missing"
        )
    parts = {}
    for name, part in subsets(scores_a).parts.items():
        others = [by_id[clip.clip_id] for clip in part]
        differences = paired_differences(part, others, draws, seed)
        parts[name] = {key: asdict(difference) for key, difference in differences.items()}
    return {"names": list(names), "parts": parts}


def common_clips(
    scores_a: Sequence[ClipScore], scores_b: Sequence[ClipScore]
) -> tuple[list[ClipScore], list[ClipScore], int]:
    """Return the clips that both systems scored, and the number that only one scored."""
    shared = {clip.clip_id for clip in scores_a} & {clip.clip_id for clip in scores_b}
    a, b = ([c for c in scores if c.clip_id in shared] for scores in (scores_a, scores_b))
    return a, b, len(scores_a) + len(scores_b) - 2 * len(shared)
