"""Summarise the main metrics of a run in one line."""

from fakesound.metrics import MIN_SOURCES
from fakesound.report.formatting import bounds, number
from fakesound.report.glossary import METRICS
from fakesound.report.run_results import Part, RunResults, interval, shown_parts

NAMED_ATTACKS = 3
FALSE_ALARMS = "false_alarm_minutes_per_hour"


def headline(results: RunResults) -> str:
    """Return the main metric of a run with its interval, or its name if there is no interval."""
    part = shown_parts(results)[0]
    values = [f"{METRICS[key].title} {value}" for key, value in _values(part) if value]
    if not values or not part.enough_sources:
        return results.name
    return f"{subject(part)}: {values[0]}"


def details(results: RunResults) -> list[str]:
    """Return further values for the part of the test in the headline."""
    part = shown_parts(results)[0]
    values = [f"{METRICS[key].title} {value}" for key, value in _values(part)]
    localisation = (results.metrics.get("localisation") or {}).get(part.name) or {}
    if localisation.get(FALSE_ALARMS) is not None:
        values.append(f"{localisation[FALSE_ALARMS]:.1f} false-alarm minutes per hour")
    if part.enough_sources:
        return values[1:]
    few = f"fewer than {MIN_SOURCES} sources of either class: no intervals"
    return [f"{subject(part)}: {values[0]}", *values[1:], few] if values else [few]


def summary(results: RunResults) -> str:
    """Return the main values of a run as one line for the terminal."""
    part = shown_parts(results)[0]
    values = ", ".join(f"{METRICS[key].title} {value}" for key, value in _values(part))
    few = "" if part.enough_sources else f" (fewer than {MIN_SOURCES} sources a class)"
    return f"{subject(part)}: {values or 'no metric is defined'}{few}"


def comparable_note(results: RunResults) -> str | None:
    """Return that unseen and seen attacks cannot be compared; None unless the test has both."""
    parts = {part.name: part for part in shown_parts(results)}
    if not {"unseen", "seen"} <= parts.keys():
        return None
    count = len(parts["seen"].attacks)
    return (
        f"The {count} seen attacks are other attacks, some easier and some harder to detect: "
        "do not compare the two columns."
    )


def subject(part: Part) -> str:
    """Return the title of a part of the test, with its attacks if they are few."""
    named = part.attacks
    if part.name not in ("unseen", "seen") or len(named) > NAMED_ATTACKS:
        return part.title
    return f"{part.title.removesuffix('s') if len(named) == 1 else part.title} {', '.join(named)}"


def _values(part: Part) -> list[tuple[str, str]]:
    found = []
    for key in ("clip/auc", "frame/auc", "segment_f1_20ms", "event_f1"):
        if part.block.get(key) is None:
            continue
        value = f"{number(part.block[key])} {bounds(interval(part.block, key))}".strip()
        floor = part.all_fake.get(key)
        if key == "segment_f1_20ms" and floor is not None:
            value += f" (always-fake baseline {number(floor)})"
        found.append((key, value))
    return found
