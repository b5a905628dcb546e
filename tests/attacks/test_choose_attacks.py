import pytest

from fakesound.attacks import ATTACKS, BUILT_IN, choose_attacks, lpcnet
from fakesound.errors import InputError


def test_globs_match_the_built_in_attacks_in_order():
    assert choose_attacks(["inpainting/*"], "data.attacks") == sorted(
        name for name in BUILT_IN if ATTACKS[name].family == "inpainting"
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
