import pytest

from fakesound.config.checks import match_globs
from fakesound.errors import InputError

NAMES = ["codec/mp3", "edit/copy_move", "edit/splice", "vocoder/world"]


@pytest.mark.parametrize(
    ("patterns", "matches"),
    [
        (["edit/splice"], ["edit/splice"]),
        (["edit/*"], ["edit/copy_move", "edit/splice"]),
        (["*"], NAMES),
        (
            ["vocoder/world", "edit/*", "*/splice"],
            ["edit/copy_move", "edit/splice", "vocoder/world"],
        ),
        (["codec/mp[34]"], ["codec/mp3"]),
        ([], []),
    ],
)
def test_globs_match_each_name_once_and_in_order(patterns, matches):
    assert match_globs("data.attacks", patterns, NAMES, "attack") == matches


@pytest.mark.parametrize("pattern", ["edit/splce", "Edit/splice", "video/*", "edit", ""])
def test_the_error_names_key_pattern_and_all_names(pattern):
    with pytest.raises(InputError) as caught:
        match_globs("split.held_out", ["codec/*", pattern], NAMES, "attack")
    message = str(caught.value)
    assert message.startswith(f"split.held_out={pattern}: ")
    assert all(name in message for name in NAMES)
    assert "\n" not in message
