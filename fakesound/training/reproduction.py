"""A run repeated from its record, and whether the same came out."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.table import Table

from fakesound import provenance
from fakesound.config import RunConfig
from fakesound.config.saved import from_plain, identity
from fakesound.data.hashes import HASHES, read_list, relative
from fakesound.data.manifest import Clip, clip_row
from fakesound.errors import InputError
from fakesound.files import lock_folder
from fakesound.forging import resolve_corpus
from fakesound.progress import console
from fakesound.report import RunResults, read_run
from fakesound.training.experiment import run_experiment
from fakesound.training.tracking import flatten

PLACE = Path("outputs", "reproduced")
# what numbers may depend on, beside the code and the versions
CIRCUMSTANCES = (
    "machine", "gpu", "device", "processes", "kernel", "precision", "threads", "deterministic",
    "matmul_precision", "environment",
)  # fmt: skip
PARTS = ("all", "seen", "unseen")
FIGURES = ("clip/auc", "clip/eer", "frame/auc", "segment_f1_20ms", "segment_f1_1s")
MOST_NAMED = 5


@dataclass(frozen=True)
class Verdict:
    """What a repetition showed.

    Attributes:
        agrees: whether it bears the record out.
        text: in one line.
    """

    agrees: bool
    text: str


def reproduce(recorded: Path) -> bool:
    """Repeat the run in folder ``recorded`` in a new one, and return whether the figures agree.

    What differs in code, versions, machine or data is said first. A repetition that was stopped
    goes on.

    Raises:
        InputError: if the record is missing or not whole, or the data is gone.
    """
    run = read_run(recorded)
    origin: Mapping[str, Any] = run.metrics.get("provenance") or {}
    config = _recorded_config(run, origin)
    folder = _place(recorded, config)
    lock_folder(folder, "folder")
    said = [f"{what}: {then} then, {now} now" for what, then, now in other_code(origin)]
    _say(said)
    # the last bits of sums depend on it
    if isinstance(origin.get("threads"), int):
        torch.set_num_threads(origin["threads"])

    def look(clips: Sequence[Clip], hashes: Mapping[str, str]) -> None:
        found = other_data(run, clips, hashes)
        said.extend(found)
        _say(found)

    corpus = resolve_corpus(config.data, config.split)
    results = run_experiment(config, corpus, folder, look)
    # as they are read from a file
    results = json.loads(json.dumps(results))
    now = results["provenance"]
    found = [
        f"{name}: {origin[name]} then, {now[name]} now"
        for name in CIRCUMSTANCES
        if name in origin and origin[name] != now[name]
    ]
    _say(found)
    verdict = compare(run.metrics, results, alike=not (said or found))
    console.print(figures_table(run.metrics, results))
    console.print(f"repeated in {folder}", highlight=False)
    print(verdict.text)
    return verdict.agrees


def other_code(origin: Mapping[str, Any]) -> Iterator[tuple[str, object, object]]:
    """Yield what differs in code and versions: the name, as recorded, as it is."""
    then, now = origin.get("git") or {}, provenance.git_state() or {}
    # a record that is older than the hash has the commit alone
    same = origin.get("code", "unknown") == provenance.code_hash()
    if not same:
        yield "code", _commit(then, origin.get("code")), _commit(now, provenance.code_hash())
    versions = provenance.versions()
    for name, version in (origin.get("versions") or {}).items():
        if versions.get(name) != version:
            yield name, version, versions.get(name, "not installed")


def other_data(run: RunResults, clips: Sequence[Clip], hashes: Mapping[str, str]) -> list[str]:
    """Return in words what differs between the data of ``run`` and ``clips``."""
    before, now = run.clips, {clip.clip_id: clip for clip in clips}
    lost, new = sorted(before.keys() - now.keys()), sorted(now.keys() - before.keys())
    common = sorted(before.keys() & now.keys())
    rows = [name for name in common if _row(before[name]) != _row(now[name])]
    said = [
        f"{len(names)} {what}: {_some(names)}"
        for what, names in (
            ("clips of the manifest are gone", lost),
            ("clips are not in the manifest of the record", new),
            ("clips have other rows in the manifest", rows),
        )
        if names
    ]
    path = run.folder / HASHES
    if not path.is_file():
        return [*said, f"audio: cannot be compared, the record has no {HASHES}"]
    listed = read_list(path.read_text(encoding="utf-8"))
    heard = {name: listed.get(relative(before[name].location, run.folder)) for name in common}
    other = [name for name in common if heard[name] != hashes.get(now[name].location)]
    if other:
        said.append(f"{len(other)} clips have other audio: {_some(other)}")
    return said


def compare(recorded: Mapping[str, Any], repeated: Mapping[str, Any], alike: bool) -> Verdict:
    """Return whether ``repeated`` bears ``recorded`` out, both as in ``metrics.json``.

    The same code, versions, data and settings have to give the same figures on a processor, bit for
    bit. Elsewhere, and on a GPU, whose sums are not always done in the same order, those of the
    test have to lie in the intervals of the record.

    Args:
        recorded: the figures.
        repeated: those of the repetition.
        alike: whether nothing is known to differ.
    """
    then, now = _results(recorded), _results(repeated)
    numbers = flatten(then)
    if then == now:
        return Verdict(True, f"agrees: all {len(numbers)} figures are the same, bit for bit")
    changes = differences(recorded, repeated)
    size = f"the largest difference is {changes[0][1]:.2g}, of {changes[0][0]}" if changes else ""
    outside, judged = _outside(recorded, repeated)
    on_gpu = "cuda" in str((recorded.get("provenance") or {}).get("device"))
    if alike and not on_gpu:
        return Verdict(False, f"does not agree: nothing is known to differ, and {size}")
    if not judged:
        return Verdict(False, f"does not agree: no intervals are recorded to judge by, and {size}")
    if outside:
        return Verdict(
            False,
            f"does not agree: {len(outside)} of {judged} test figures lie outside the recorded "
            f"intervals, {_some(outside)}; {size}",
        )
    return Verdict(True, f"agrees within the recorded intervals of {judged} test figures; {size}")


def differences(
    recorded: Mapping[str, Any], repeated: Mapping[str, Any]
) -> list[tuple[str, float]]:
    """Return the figures that differ and by how much, the largest first; one-sided ones by inf."""
    then, now = flatten(_results(recorded)), flatten(_results(repeated))
    sizes = {
        name: abs(then[name] - now[name]) if name in then and name in now else float("inf")
        for name in then.keys() | now.keys()
    }
    found = [(name, size) for name, size in sizes.items() if size > 0]
    return sorted(found, key=lambda each: (-each[1], each[0]))


def figures_table(recorded: Mapping[str, Any], repeated: Mapping[str, Any]) -> Table:
    """Return the main figures of both beside each other."""
    table = Table("figure", "recorded", "repeated", "difference", box=None)
    then, now = flatten(recorded), flatten(repeated)
    for part in ("validation", *(f"test/{name}" for name in PARTS)):
        for figure in FIGURES:
            name = f"{part}/{figure}"
            if name in then or name in now:
                a, b = then.get(name), now.get(name)
                change = "" if a is None or b is None else "0" if a == b else f"{b - a:+.2g}"
                table.add_row(name, _number(a), _number(b), change)
    return table


def _recorded_config(run: RunResults, origin: Mapping[str, Any]) -> RunConfig:
    path = run.folder / "config.yaml"
    try:
        saved = yaml.safe_load(path.read_text(encoding="utf-8"))
        config = from_plain(saved)
    except InputError as error:
        raise InputError(
            f"{path}: is not a configuration of this version of fakesound ({error})"
        ) from None
    if origin.get("config_hash") not in (None, identity(saved)):
        raise InputError(
            f"{path}: is not the configuration that metrics.json is of, or of another version of "
            "fakesound; give a folder as its run left it"
        )
    # one process gives what several gave, to rounding; precision "auto" depends on the host
    pinned = {"devices": 1, "num_nodes": 1, "precision": origin.get("precision")}
    trainer = config.trainer | {k: v for k, v in pinned.items() if v is not None}
    logger = replace(config.logger, mode="disabled")
    return replace(config, resume="auto", logger=logger, trainer=trainer)


def _place(recorded: Path, config: RunConfig) -> Path:
    """Return a new folder, or that of a repetition that was stopped."""
    number = 1
    while True:
        suffix = "" if number == 1 else f"-{number}"
        folder = PLACE / f"{recorded.resolve().name}{suffix}"
        left = folder / "identity"
        same = left.is_file() and left.read_text(encoding="utf-8").strip() == identity(config)
        if not folder.exists() or (same and not (folder / "metrics.json").exists()):
            return folder
        number += 1


def _results(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if name != "provenance"}


def _outside(recorded: Mapping[str, Any], repeated: Mapping[str, Any]) -> tuple[list[str], int]:
    """Return test figures outside the recorded intervals, and the number of those that have one."""
    outside, judged = [], 0
    for part in PARTS:
        then = (recorded.get("test") or {}).get(part) or {}
        now = (repeated.get("test") or {}).get(part) or {}
        for figure, ends in (then.get("ci") or {}).items():
            if not ends or None in ends:
                continue
            judged += 1
            value = now.get(figure)
            if value is None or not ends[0] <= value <= ends[1]:
                outside.append(f"test/{part}/{figure}")
    return outside, judged


def _row(clip: Clip) -> dict[str, Any]:
    """Return the manifest row of ``clip``, wherever its audio lies."""
    return {key: value for key, value in clip_row(clip, Path()).items() if key != "path"}


def _commit(git: Mapping[str, Any], code: object) -> str:
    if not git:
        return str(code or "unknown")
    return f"commit {str(git.get('commit'))[:10]}" + (", changed" if git.get("changed") else "")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _say(lines: Sequence[str]) -> None:
    for line in lines:
        console.print(f"differs: {line}", highlight=False)
