import pytest

from fakesound.attacks import ATTACKS, BUILT_IN, choose_attacks, lpcnet, match_attacks
from fakesound.errors import InputError

NAMES = ["vocoder/world", "edit/splice", "edit/copy_move", "codec/mp3"]


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (["edit/splice"], ["edit/splice"]),
        (["edit/*"], ["edit/copy_move", "edit/splice"]),
        (["*"], sorted(NAMES)),
        (
            ["vocoder/world", "edit/*", "*/splice"],
            ["edit/copy_move", "edit/splice", "vocoder/world"],
        ),
        (["codec/mp[34]"], ["codec/mp3"]),
        ([], []),
    ],
)
def test_names_and_globs_find_attacks_once_and_in_order(patterns, found):
    assert match_attacks(patterns, NAMES, "data.attacks") == found


@pytest.mark.parametrize("pattern", ["edit/splce", "Edit/splice", "video/*", "edit", ""])
def test_a_pattern_without_an_attack_is_named_with_its_key_and_what_there_is(pattern):
    with pytest.raises(InputError) as caught:
        match_attacks(["codec/*", pattern], NAMES, "split.held_out")
    message = str(caught.value)
    assert f"split.held_out={pattern}" in message
    assert all(name in message for name in NAMES)
    assert "\n" not in message


def test_the_registry_can_be_asked():
    assert match_attacks(["inpainting/*"], ATTACKS, "data.attacks") == sorted(
        name for name, attack in ATTACKS.items() if attack.family == "inpainting"
    )


def test_optional_attacks_are_used_only_by_their_names(monkeypatch):
    optional = [name for name, attack in ATTACKS.items() if attack.optional]
    assert optional == [
        "codec/lpcnet",
        "codec/lyra",
        "vocoder/hifigan",
        "vocoder/hifigan_16k",
        "inpainting/tplcnet",
    ]
    assert choose_attacks(["*"], "data.attacks") == sorted(BUILT_IN)
    assert not set(BUILT_IN) & set(optional)
    monkeypatch.setattr(
        lpcnet.ctypes, "CDLL", lambda name: type("L", (), {"lpcnet_freedv_create": 1})
    )
    lpcnet.library.cache_clear()
    assert choose_attacks(["*", "codec/lpcnet"], "data.attacks") == sorted(
        [*BUILT_IN, "codec/lpcnet"]
    )
    lpcnet.library.cache_clear()


def test_a_missing_library_is_named_with_the_fix(monkeypatch):
    def none(name):
        raise OSError(name)

    monkeypatch.setattr(lpcnet.ctypes, "CDLL", none)
    lpcnet.library.cache_clear()
    with pytest.raises(InputError, match=r"codec/lpcnet: .*apt install libcodec2-1.0"):
        choose_attacks(["codec/lpcnet"], "data.attacks")
    lpcnet.library.cache_clear()
