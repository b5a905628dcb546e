import json

import pytest

from fakesound.errors import InputError
from fakesound.listening_test import AnswerLog
from fakesound.listening_test.answers import read_answer
from fakesound.timeline import Region


@pytest.fixture
def clips(listening):
    return list(listening.clips.values())


@pytest.fixture
def path(listening):
    return listening.folder / "answers.jsonl"


def answer(clip, listener="Ann", verdict="fake", sureness=3, regions=()):
    row = {
        "listener": listener,
        "verdict": verdict,
        "sureness": sureness,
        "regions": [list(span) for span in regions],
    }
    return read_answer(row, clip)


def test_the_last_answer_counts_and_all_stay_in_the_file(clips, path):
    log = AnswerLog(path, clips)
    log.add(answer(clips[0], sureness=1))
    log.add(answer(clips[1], "Bob", regions=[(0.1, 0.4)]))
    log.add(answer(clips[0], "ANN", "genuine", 5))
    again = AnswerLog(path, clips)
    assert again.answers == log.answers
    assert again.of("ann")[clips[0].clip_id].verdict == "genuine"
    assert again.of("Bob")[clips[1].clip_id].regions == (Region(0.1, 0.4),)
    assert len(path.read_text().splitlines()) == 3


def test_a_line_cut_short_anywhere_costs_no_other(clips, path):
    log = AnswerLog(path, clips)
    log.add(answer(clips[0]))
    whole = path.read_bytes()
    log.add(answer(clips[1], "Zoë", regions=[(0.1, 0.4)]))
    line = path.read_bytes()[len(whole) :]
    for length in range(1, len(line)):
        path.write_bytes(whole + line[:length])
        cut = AnswerLog(path, clips)
        # without its end of line a row is whole, and counts
        complete = length == len(line) - 1
        assert cut.cut == ([] if complete else [2])
        cut.add(answer(clips[2], "Cem", "genuine"))
        again = AnswerLog(path, clips)
        assert set(again.of("Ann")) == {clips[0].clip_id}
        assert set(again.of("Cem")) == {clips[2].clip_id}
        assert bool(again.of("Zoë")) == complete


def test_a_full_disk_does_not_count_as_an_answer(clips, path):
    log = AnswerLog(path, clips)
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        log.add(answer(clips[0]))
    assert not log.answers


def test_a_line_that_is_wrong_is_named(clips, path):
    good = {"listener": "Ann", "clip_id": clips[0].clip_id, "verdict": "fake", "sureness": 2}
    for change, message in (
        ({"clip_id": "elsewhere"}, "clip_id: 'elsewhere' is not in this test"),
        ({"sureness": 9}, "sureness: 9; "),
        ({"listener": ""}, "listener: give a name"),
    ):
        path.write_text(json.dumps(good) + "\n" + json.dumps(good | change) + "\n")
        with pytest.raises(InputError, match=rf"answers\.jsonl, row 2, {message}"):
            AnswerLog(path, clips)
    path.write_text("[]\n")
    with pytest.raises(InputError, match="row 1, not a JSON object"):
        AnswerLog(path, clips)


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "spoof"},
        {"verdict": None},
        {"sureness": 0},
        {"sureness": 6},
        {"sureness": True},
        {"sureness": 2.5},
        {"sureness": "3"},
        {"regions": None},
        {"regions": [[0.1, 0.2]] * 101},
        {"regions": [[0.1]]},
        {"regions": [[True, 2]]},
        {"regions": [[0.1, float("nan")]]},
        {"regions": [[0.1, float("inf")]]},
        {"regions": [[-0.1, 0.2]]},
        {"regions": [[0.3, 0.2]]},
        {"regions": [[0.3, 9.0]]},
        {"regions": [[0.1, 0.2]], "verdict": "genuine"},
    ],
)
def test_an_invalid_answer_names_the_field(clips, change):
    row = {"listener": "Ann", "verdict": "fake", "sureness": 3, "regions": []}
    read_answer(row, clips[0])
    with pytest.raises(InputError, match=f"^{next(iter(change))}: "):
        read_answer(row | change, clips[0])


def test_marks_end_with_the_clip_and_do_not_overlap(clips):
    end = clips[0].duration
    marks = [(0.5, 0.8), (0.1, 0.3), (0.2, 0.4), (end - 0.1, end + 0.04), (end, end + 0.01)]
    given = answer(clips[0], regions=marks)
    assert given.regions == (Region(0.1, 0.4), Region(0.5, 0.8), Region(end - 0.1, end))
