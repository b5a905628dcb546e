from dataclasses import replace

from fakesound.report import choose_clips, pick_examples
from fakesound.report.examples import clip_f1


def test_examples_are_of_the_unseen_fold_and_say_why(run):
    examples = pick_examples(run, 8)
    assert [example.why for example in examples] == [
        "Best localised fake",
        "Typical fake",
        "Typical fake",
        "Typical fake",
        "Typical fake",
        "Worst miss",
        "Genuine clip nearest to a false alarm",
        "Typical genuine clip",
    ]
    assert {e.clip.attack for e in examples} == {"vocoder/world", None}
    assert len({e.clip.clip_id for e in examples}) == 8


def test_each_rule_picks_what_it_says(run):
    by_why = {example.why: example.clip for example in pick_examples(run, 5)}
    fakes = [clip for clip in run.test_scores if clip.fold == "unseen"]
    genuines = [clip for clip in run.test_scores if not clip.fake]
    assert clip_f1(by_why["Best localised fake"]) == max(clip_f1(clip) for clip in fakes)
    assert by_why["Worst miss"].score == min(clip.score for clip in fakes)
    nearest = by_why["Genuine clip nearest to a false alarm"]
    assert nearest.score == max(clip.score for clip in genuines) < nearest.clip_threshold


def test_a_genuine_clip_called_fake_is_a_false_alarm(run):
    lowered = [replace(clip, clip_threshold=0.0) for clip in run.test_scores]
    why = [example.why for example in pick_examples(replace(run, test_scores=lowered), 5)]
    assert why[3] == "Worst false alarm"
    assert why[2] == "Fake with the lowest score"


def test_picking_does_not_depend_on_order(run):
    turned = replace(run, test_scores=run.test_scores[::-1])
    ids = [example.clip.clip_id for example in pick_examples(run, 8)]
    assert [example.clip.clip_id for example in pick_examples(turned, 8)] == ids


def test_few_and_too_many(run):
    assert pick_examples(run, 0) == []
    assert [example.why for example in pick_examples(run, 2)] == ["Typical fake", "Worst miss"]
    assert len(pick_examples(run, 1000)) == 6 + 2  # all unseen fakes, two genuine clips


def test_nothing_is_called_wrong_that_is_right(run):
    sure = [replace(clip, clip_threshold=0.0 if clip.fake else 1.0) for clip in run.test_scores]
    reasons = {example.why for example in pick_examples(replace(run, test_scores=sure), 5)}
    assert {"Fake with the lowest score", "Genuine clip nearest to a false alarm"} <= reasons


def test_half_of_the_logged_clips_are_the_worst(run):
    chosen = choose_clips(run, 6)
    error = {c.clip_id: abs(c.fake - c.score) for c in run.test_scores}
    worst = sorted(error, key=lambda clip: -error[clip])[:3]
    assert [clip.clip_id for clip in chosen[:3]] == worst
    assert len({clip.clip_id for clip in chosen}) == 6
    assert chosen == choose_clips(run, 6)
    assert len(choose_clips(run, 1000)) == len(run.test_scores)
