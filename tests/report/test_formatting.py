import pytest

from fakesound.report.formatting import (
    MINUS,
    SPACE,
    bounds,
    listed,
    number,
    p_value,
    percent,
    probability,
    score_text,
    setting,
    signed,
)


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (number(0.931), "0.93"),
        (number(0.0), "0.00"),
        (number(None), "\N{EN DASH}"),
        (signed(0.034), "+0.03"),
        (signed(-0.2), f"{MINUS}0.20"),
        (signed(-0.001), "0.00"),
        (signed(None), "\N{EN DASH}"),
        (percent(0.25), f"25{SPACE}%"),
        (probability(0.25), f"25{SPACE}%"),
        (probability(0.9956), f">{SPACE}99{SPACE}%"),
        (probability(1), f"100{SPACE}%"),
        (probability(0.0031), f"0.3{SPACE}%"),
        (probability(1e-7), f"<{SPACE}0.1{SPACE}%"),
        (probability(0), f"0{SPACE}%"),
        (score_text(0.003), "< 0.01"),
        (score_text(0), "0.00"),
        (score_text(0.994), "0.99"),
        (score_text(0.9956), "> 0.99"),
        (score_text(1), "1.00"),
        (percent(None), "\N{EN DASH}"),
        (p_value(0.0004), f"<{SPACE}0.001"),
        (p_value(0.012), "0.012"),
        (p_value(None), "\N{EN DASH}"),
        (bounds((0.4, 0.6)), f"[0.40,{SPACE}0.60]"),
        (bounds((-0.1, 0.2), 1, sign=True), f"[{MINUS}0.1,{SPACE}+0.2]"),
        (bounds(None), ""),
        (setting(True), "true"),
        (setting([16, 8]), "16\N{MULTIPLICATION SIGN}8"),
        (setting(0.00123456), "0.001235"),
        (listed([]), ""),
        (listed(["a"]), "a"),
        (listed(["a", "b", "c"]), "a, b and c"),
    ],
)
def test_values_as_text(shown, text):
    assert shown == text
