import io
from pathlib import Path

from rich.console import Console

from fakesound.corpora import CORPORA
from fakesound.corpora.check import check_rows
from fakesound.corpora.report import clip_table, print_report, warnings
from tests.corpora.test_check import fake, row


def printed(call):
    console = Console(file=io.StringIO(), width=100)
    call(console)
    return console.file.getvalue()


def clips(audio):
    rows = [
        row(audio("a.wav", 9), split="train"),
        row(audio("b.wav", 9), split="test"),
        fake(audio("c.wav", 18, 1_500), (0, 1), split="test"),
        fake(audio("d.wav", 18), (0, 1), split="test"),
    ]
    return check_rows(rows).clips


def test_the_table_counts_by_split_label_and_attack(audio):
    table = printed(lambda console: console.print(clip_table(clips(audio))))
    assert [line.split() for line in table.splitlines()[1:]] == [
        ["train", "genuine", "1", "0.00", "1000"],
        ["test", "genuine", "1", "0.00", "1000"],
        ["test", "fake", "edit/x", "2", "0.01", "1000,", "1500"],
        ["all", "4", "0.01", "1000,", "1500"],
    ]


def test_misleading_properties_are_printed(audio):
    a, b, c, d = clips(audio)
    assert warnings([a, d]) == []
    assert warnings([a, b]) == ["there are no fake clips"]
    (rates,) = warnings([a, c])
    assert rates.startswith("sample rates differ (genuine 1000; fake 1500)")
    (crossing,) = warnings(
        check_rows(
            [
                row(Path(a.location), split="train"),
                fake(Path(d.location), (0, 1), split="test", source_id="a"),
            ]
        ).clips
    )
    assert crossing.startswith("1 sources are in several splits, such as a")


def test_the_report_names_missing_files_and_their_source(audio):
    missing = [f"list row {number}: no such file: [x]/{number}.wav" for number in range(7)]
    corpus = CORPORA["partialspoof"]
    shown = printed(
        lambda console: print_report(console, corpus, clips(audio), missing, ["odd"], ["merged"])
    )
    assert "missing: 7" in shown
    assert "  list row 4: no such file: [x]/4.wav\n  ...\n" in shown
    assert "list row 5" not in shown
    assert "cannot be used: 1\n  odd\n" in shown
    assert "get it: https://zenodo.org/records/5766198" in shown
    assert "note: merged" in shown
    assert "licence: CC-BY-4.0. Cite: Zhang et al." in shown
