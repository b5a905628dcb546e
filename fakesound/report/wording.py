"""Results in plain words."""

from collections.abc import Mapping, Sequence
from typing import Any

from fakesound.report.parts import Part, interval, shown_parts
from fakesound.report.run_folder import RunResults

RECOGNISED = 0.8  # clip AUC; below it a detector is right too rarely to rely on
LOCALISED = 0.4  # share of the way from calling everything fake to a perfect F1
NAMED_ATTACKS = 3
DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"


def number(value: float | None, decimals: int = 2) -> str:
    """Return ``value`` as shown: .93, 1.20, or a dash for an undefined one."""
    if value is None:
        return DASH
    text = f"{value:.{decimals}f}"
    return text[1:] if text.startswith("0.") else text


def with_interval(block: Mapping[str, Any], key: str, decimals: int = 2) -> str:
    """Return a figure with its interval: .93 [.89, .96]."""
    ends = interval(block, key)
    value = number(block.get(key), decimals)
    if ends is None:
        return value
    return f"{value} [{number(ends[0], decimals)}, {number(ends[1], decimals)}]"


def percent(share: float) -> str:
    """Return ``share`` as a percentage: 25 %."""
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%"


def signed(value: float | None, decimals: int = 2) -> str:
    """Return a change as shown: +.03, or with a minus sign."""
    if value is None:
        return DASH
    shown = number(abs(value), decimals)
    if float(f"{value:.{decimals}f}") == 0:
        return shown
    return f"{'+' if value > 0 else MINUS}{shown}"


def p_value(p: float) -> str:
    """Return a p-value as shown: .012, or < .001."""
    return "< .001" if p < 0.001 else number(p, 3)


def in_sentence(title: str) -> str:
    """Return the ``title`` of a figure as it is written inside a sentence: clip AUC."""
    short = title.partition(",")[0]
    return short if short[:2].isupper() else f"{short[:1].lower()}{short[1:]}"


def listed(names: Sequence[str]) -> str:
    """Return ``names`` as a list in words."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def subject(part: Part) -> str:
    """Return what ``part`` was tested on, as the start of a sentence."""
    attacks = part.attacks
    several = f"{len(attacks)} attacks" if len(attacks) > 1 else "attack"
    named = f" ({listed(attacks)})" if len(attacks) <= NAMED_ATTACKS else ""
    return {
        "unseen": f"On the {several} it never saw{named}",
        "seen": f"On the {several} it was trained on{named}",
        "all": "On the test clips",
        "validation": "On the validation clips",
    }[part.name]


def summary(results: RunResults) -> str:
    """Return the outcome of a run in one sentence with its figures."""
    part = shown_parts(results)[0]
    said = []
    if part.block.get("clip/auc") is not None:
        said.append(f"clip AUC {with_interval(part.block, 'clip/auc')}")
    if part.block.get("segment_f1_20ms") is not None:
        f1 = f"segment F1 {with_interval(part.block, 'segment_f1_20ms')}"
        floor = part.all_fake.get("segment_f1_20ms")
        said.append(
            f1 if floor is None else f"{f1} where calling everything fake gives {number(floor)}"
        )
    return f"{subject(part)}: {', '.join(said) or 'no figure is defined'}."


def headline(results: RunResults) -> str:
    """Return the outcome of a run in plain words, without figures."""
    part = shown_parts(results)[0]
    attacks = {
        "unseen": "attacks it never saw" if len(part.attacks) > 1 else "an attack it never saw",
        "seen": "the attacks it was trained on",
    }.get(part.name, "the fakes of the test")
    detected, found = _detected(part), _found(part)
    if detected is None and found is None:
        return "No figure is defined for this test."
    if detected is None or found is None:
        return f"It {(detected or found or '').format(it=attacks, of=f' of {attacks}')}."
    joint = "and" if detected.startswith("does not") == found.startswith("does not") else "but"
    return f"It {detected.format(it=attacks)}, {joint} {found.format(of='')}."


def _detected(part: Part) -> str | None:
    auc = part.block.get("clip/auc")
    if auc is None:
        return None
    low, _ = interval(part.block, "clip/auc") or (auc, auc)
    if low <= 0.5:
        return "does not recognise {it}"
    return "recognises {it}" if auc >= RECOGNISED else "recognises {it} only at times"


def _found(part: Part) -> str | None:
    f1, floor = (block.get("segment_f1_20ms") for block in (part.block, part.all_fake))
    if f1 is None or floor is None:
        return None
    low, _ = interval(part.block, "segment_f1_20ms") or (f1, f1)
    if low <= floor:
        return "does not find the fake parts{of}"
    gain = (f1 - floor) / (1 - floor)
    return "finds the fake parts{of}" + ("" if gain >= LOCALISED else " only roughly")
