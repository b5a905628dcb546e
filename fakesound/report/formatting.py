"""Format numbers for pages and tables."""

from collections.abc import Sequence

from fakesound.scoring.decision import score_text  # noqa: F401  # called by templates

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
SPACE = "\N{NO-BREAK SPACE}"


def number(value: float | None, decimals: int = 2) -> str:
    """Format ``value`` as 0.93, or as a dash if it is None."""
    return DASH if value is None else f"{value:.{decimals}f}"


def signed(value: float | None, decimals: int = 2) -> str:
    """Format a difference as +0.03, with a minus sign below zero; a dash for None."""
    if value is None:
        return DASH
    shown = number(abs(value), decimals)
    if float(shown) == 0:
        return shown
    return f"{'+' if value > 0 else MINUS}{shown}"


def percent(share: float | None) -> str:
    """Format ``share`` as 25 %, or as a dash if it is None."""
    return DASH if share is None else f"{100 * share:.0f}{SPACE}%"


def probability(value: float) -> str:
    """Format a probability as 25 %, 0.3 % or > 99 %; only 0 and 1 themselves are shown as such."""
    share = 100 * value
    if 0 < share < 0.1:
        return f"<{SPACE}0.1{SPACE}%"
    if 99.5 <= share < 100:
        return f">{SPACE}99{SPACE}%"
    return f"{share:.1g}{SPACE}%" if share < 1 else percent(value)


def p_value(p: float | None) -> str:
    """Format a p-value as 0.012 or < 0.001, or as a dash if it is None."""
    if p is None:
        return DASH
    return f"<{SPACE}0.001" if p < 0.001 else number(p, 3)


def bounds(interval: tuple[float, float] | None, decimals: int = 2, sign: bool = False) -> str:
    """Format an interval as [0.89, 0.96] that does not wrap; empty for None."""
    if interval is None:
        return ""
    low, high = (signed(end, decimals) if sign else number(end, decimals) for end in interval)
    return f"[{low},{SPACE}{high}]"


def setting(value: object) -> str:
    """Format a configuration value."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "\N{MULTIPLICATION SIGN}".join(str(part) for part in value)
    return "none" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def listed(names: Sequence[str]) -> str:
    """Join ``names`` as in "a, b and c"."""
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)
