"""Text as one value of Hydra's grammar of overrides."""

import re

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException


def quoted(text: str) -> str:
    """Return ``text`` as one value, whatever signs are in it."""

    # backslashes stand for themselves, but before a quote and at the end
    def escaped(found: re.Match[str]) -> str:
        return found[1] * 2 + (r"\'" if found[2] else "")

    return "'" + re.sub(r"(\\*)('|$)", escaped, text) + "'"


def plain(key: str, text: str) -> str:
    """Return ``text`` as it is where it can be read as one value of ``key``, else quoted."""
    try:
        (override,) = OverridesParser.create().parse_overrides([f"{key}={text}"])
    except OverrideParseException:
        return quoted(text)
    kept = text == text.strip() and not override.is_sweep_override()
    return text if kept else quoted(text)
