import json
from pathlib import Path

import pytest

from fakesound.corpora.check import check_rows
from fakesound.corpora.fakesound import FAKESOUND
from fakesound.corpora.fakesound2 import DOMAINS, FAKESOUND2
from fakesound.timeline import Region
from tests.corpora.conftest import read_clips

A, B, C = "fsBR7e_X_0Y", "_xylo5_IiaM", "9IIa7qH29ps"
# as published: cut off at 98 letters in the middle of a region
LONG = "_SeparationFlowsep_0.0-1.36_1.48-2.52_2.64-2.76_2.92-3.12_3.32-3.44_3.6-3.88_4."


def row(folder, stem, kind, model, spans, **more):
    path = f"data/test/audio/audio/{folder}/{stem}.wav"
    known = {"fake_type": kind, "model": model, "audio_id": stem, "onset_offset": spans}
    return known | {"filepath": path} | more


EASY, HARD = "inpainting_fakesound1easy", "inpainting_fakesound1hard"
ZEROSHOT = "inpainting_fakesound1zeroshot"
LISTS = {
    "genuine": [row("genuine", f"{A}_Genuine", "genuine", "None", "0-0")],
    EASY: [
        row(
            EASY, f"{C}_InpaintingFakesound1easy_6.12_7.4", "inpainting", "ldm2_audiosr", "6.12-7.4"
        ),
        row(EASY, f"{C}_InpaintingFakesound1easy", "genuine", "None", "0-0"),
    ],
    HARD: [row(HARD, f"{C}_InpaintingFakesound1hard", "genuine", "None", "0_0")],
    ZEROSHOT: [
        row(ZEROSHOT, f"{C}_InpaintingFakesound1zeroshot_1_2", "inpainting", "ldm", "1_2"),
        # the one recording that the new part of the data set has too
        row(ZEROSHOT, f"{A}_InpaintingFakesound1zeroshot", "genuine", "None", "0-0"),
    ],
    "inpainting_ldm2": [row("inpainting_ldm2", f"{B}_InpaintingLdm2", "Inpainting", "ldm2", "1-2")],
    "separation_flowsep": [
        row(
            "separation_flowsep",
            f"{A}{LONG}",
            "separation",
            "flowsep",
            "0.0-1.36_1.48-2.52_9.36-10.0",
            target_caption="loud dry cracking",
        ),
        row("separation_flowsep", f"{B}_SeparationFlowsep", "separation", "flowsep", "0.0-10.0"),
    ],
    "editing_audit": [
        row("editing_audit", f"{A}_EditingAudit", "edit", "audit", "0-10", add_event="bells"),
        row("editing_audit", f"{A}_EditingAudit", "edit", "audit", "0-10", add_event="a dog"),
    ],
    "generation_x2audio": [
        row("generation_x2audio", f"{B}_GenerationX2audio", "generation", "x2audio", "0-10")
    ],
    "addition": [
        row(
            "addition",
            f"{A}_Addition_5.8-6.8",
            "add",
            "manually",
            "5.8-6.8",
            add_event=f"{B}||a man speaks||6.8-7.8",
        )
    ],
    "splicing": [
        row(
            "splicing",
            f"{B}_Splicing_9.48-10.0",
            "splice",
            "manually",
            "9.48-10.0",
            splice_event=f"{C}||birds chirping||8.08-8.6",
            delete_event="a man speaking",
        )
    ],
}


@pytest.fixture
def lists(text):
    def lists(lists=LISTS, place="scr/data/test/meta"):
        for name, rows in lists.items():
            lines = [json.dumps(r) if isinstance(r, dict) else r for r in rows]
            text(f"{place}/{name}.jsonl", "\n".join(lines) + "\n")

    return lists


@pytest.fixture
def published(lists, audio):
    lists()
    # a generator of its own rate and length, and a file that lacks a little
    odd = {"generation_x2audio": (10.24, 2_400), "splicing": (9.98, 1_600)}
    for listed in (r for rows in LISTS.values() for r in rows):
        folder = listed["filepath"].split("/")[4]
        audio(f"scr/{listed['filepath']}", *odd.get(folder, (10.0, 1_600)))


@pytest.mark.parametrize("root", [".", "scr", "scr/data/test", "scr/data/test/meta"])
def test_the_published_lists_become_clips(published, tmp_path, root):
    clips, remarks = read_clips(FAKESOUND2, tmp_path / root)
    result = {c.clip_id: (c.source_id, c.attack, c.regions, *c.subsets) for c in clips}
    expected = [
        (f"{A}_Genuine", A, None, [], "in_domain", "out_domain"),
        (f"{C}_InpaintingFakesound1easy", C, None, [], "out_domain"),
        *(
            (name, source, f"inpainting/{generator}", [span], domain)
            for name, source, generator, span, domain in [
                (f"{C}_InpaintingFakesound1zeroshot_1_2", C, "audioldm1", (1, 2), "out_domain"),
                (
                    f"{C}_InpaintingFakesound1easy_6.12_7.4",
                    *(C, "audioldm2_audiosr", (6.12, 7.4), "out_domain"),
                ),
                (f"{B}_InpaintingLdm2", B, "audioldm2", (1, 2), "in_domain"),
            ]
        ),
        (
            f"{A}{LONG}",
            *(A, "separation/flowsep", [(0, 1.36), (1.48, 2.52), (9.36, 10)], "out_domain"),
        ),
        (f"{B}_SeparationFlowsep", B, "separation/flowsep", [(0, 10)], "out_domain"),
        (f"{A}_EditingAudit", A, "edit/audit", [(0, 10)], "out_domain"),
        (f"{B}_GenerationX2audio", B, "generation/x2audio", [(0, 10.24)], "out_domain"),
        (f"{A}_Addition_5.8-6.8", A, "add/manually", [(5.8, 6.8)], "in_domain"),
        (f"{B}_Splicing_9.48-10.0", B, "splice/manually", [(9.48, 9.98)], "in_domain"),
    ]
    assert result == {
        name: (f"audiocaps/{source}", attack, tuple(Region(*s) for s in spans), *subsets)
        for name, source, attack, spans, *subsets in expected
    }
    assert {clip.split for clip in clips} == {"test"}
    donors = {clip.clip_id: clip.donor_ids for clip in clips if clip.donor_ids}
    assert donors == {
        f"{A}_Addition_5.8-6.8": (f"audiocaps/{B}",),
        f"{B}_Splicing_9.48-10.0": (f"audiocaps/{C}",),
    }
    assert {clip.sample_rate for clip in clips} == {1_600, 2_400}
    assert remarks[-3:] == [
        "4 genuine rows list 2 recordings: merged, with all their subsets",
        "1 rows merged with an earlier row of the same file",
        "1 clips: a region that ended just after the file was cut at its end",
    ]


def test_sources_have_the_names_of_fakesound(published, text, tmp_path):
    theirs = {"audio_id": C, "label": 0, "onset_offset": "0_0", "filepath": "a.wav"}
    text("FakeSound/meta_data/easy.json", json.dumps({"audios": [theirs]}))
    (first,) = FAKESOUND.read(tmp_path).rows
    assert first.source_id in {listed.source_id for listed in FAKESOUND2.read(tmp_path).rows}


def test_ids_that_recur_for_other_files_are_numbered(lists, audio, tmp_path):
    rows = [row(folder, f"{A}_Same", "edit", "audit", "0-10") for folder in ("x", "y", "z")]
    lists({"editing_audit": rows})
    for listed in rows:
        audio(listed["filepath"])
    checked = check_rows(FAKESOUND2.read(tmp_path).rows)
    assert [(clip.clip_id, Path(clip.location).parent.name) for clip in checked.clips] == [
        (f"{A}_Same", "x"),
        (f"{A}_Same~2", "y"),
        (f"{A}_Same~3", "z"),
    ]


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        (row("x", f"{A}_G", "genuine", "None", "1-2"), "label: genuine, but"),
        (row("x", f"{A}_G", "genuine", "ldm", "0-0"), "model: 'ldm'"),
        (row("x", f"{A}_F", "inpainting", "ldm", "0-0"), "label: fake, but"),
        (row("x", f"{A}_F", "inpainting", "None", "1-2"), "model: 'None'"),
        (row("x", f"{A}_F", "inpainting", "ldm", "1-"), "onset_offset: '1-'"),
        (row("x", f"{A}_F", "inpainting", "ldm", "9-10.2"), "regions: [9.0, 10.2]"),
        (row("x", f"{A}_F", "add", "manually", "1-2", add_event="a bell"), "add_event: 'a bell'"),
        (row("x", f"{A}_F", "splice", "manually", "1-2"), "splice_event: ''"),
        (row("x", "tiny", "inpainting", "ldm", "1-2"), "audio_id: 'tiny'"),
        ({"fake_type": "genuine"}, "audio_id: missing"),
        ("{", "not JSON"),
        ("3", "Expected `object`"),
    ],
)
def test_rows_that_contradict_themselves_are_named(lists, audio, tmp_path, listed, message):
    lists({"addition": [LISTS["addition"][0], listed]})
    audio(f"data/test/audio/x/{listed['audio_id']}.wav" if "filepath" in listed else "x/y.wav")
    listing = FAKESOUND2.read(tmp_path)
    (line,) = [*listing.problems, *check_rows(listing.rows).wrong]
    assert line.startswith(f"addition.jsonl row 2, {message}")


def test_all_sixteen_lists_have_a_domain():
    assert len(DOMAINS) == 16
    assert set(LISTS) <= set(DOMAINS)
