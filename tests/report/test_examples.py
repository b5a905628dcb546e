from dataclasses import replace

import numpy as np

from fakesound.report import choose_clips
from fakesound.report.examples import clip_f1, example_view, pick_examples


def test_examples_are_of_the_unseen_part_and_have_a_reason(run):
    examples = pick_examples(run, 7)
    assert [example.why for example in examples][:4] == ["Best localised fake"] + [
        "Typical fake"
    ] * 3
    assert {example.clip.attack for example in examples} == {"vocoder/world", None}
    assert len({example.clip.clip_id for example in examples}) == 7


def test_each_rule_picks_its_clip(run):
    wrong = [replace(clip, clip_threshold=1.0 if clip.fake else 0.0) for clip in run.test_scores]
    results = replace(run, test_scores=wrong)
    by_why = {example.why: example.clip for example in pick_examples(results, 5)}
    fakes = [clip for clip in run.test_scores if clip.fold == "unseen"]
    genuines = [clip for clip in run.test_scores if not clip.fake]
    assert clip_f1(by_why["Best localised fake"]) == max(clip_f1(clip) for clip in fakes)
    assert by_why["Worst miss"].score == min(clip.score for clip in fakes)
    assert by_why["Worst false alarm"].score == max(clip.score for clip in genuines)
    assert all(example_view(each, results).wrong for each in pick_examples(results, 5))


def test_the_view_names_the_parts_found_and_embeds_the_audio(run):
    (example,) = pick_examples(run, 1)
    view = example_view(example, run)
    assert view.alt == f"{example.why}; called fake: {view.facts['marked']}"
    assert view.picture.startswith("data:image/svg+xml;base64,")
    assert view.audio.startswith("data:audio/flac;base64,")
    assert view == example_view(example, run)
    bare = replace(example.clip, frame_scores=np.zeros(0, np.float32))
    view = example_view(replace(example, clip=bare), replace(run, clips={}))
    assert (view.picture, view.audio, view.area) == (None, None, None)


def test_typical_fakes_are_of_different_attacks(run):
    scores = [replace(clip, fold=None) for clip in run.test_scores]
    examples = pick_examples(replace(run, test_scores=scores), 7)
    typical = [e.clip.attack for e in examples if e.why == "Typical fake"]
    assert len({*typical}) == len(typical) == 3


def test_nothing_correct_is_called_wrong(run):
    sure = [replace(clip, clip_threshold=0.0 if clip.fake else 1.0) for clip in run.test_scores]
    examples = pick_examples(replace(run, test_scores=sure), 5)
    reasons = {example.why for example in examples}
    assert {"Fake with the lowest score", "Genuine clip with the highest score"} <= reasons
    assert not any(example_view(each, replace(run, clips={})).wrong for each in examples)


def test_examples_do_not_depend_on_the_order_of_clips(run):
    reverse = replace(run, test_scores=run.test_scores[::-1])
    ids = [example.clip.clip_id for example in pick_examples(run, 8)]
    assert [example.clip.clip_id for example in pick_examples(reverse, 8)] == ids


def test_few_and_too_many(run):
    assert pick_examples(run, 0) == []
    two = [example.clip for example in pick_examples(run, 2)]
    assert all(clip.fold == "unseen" for clip in two)
    assert len(pick_examples(run, 1000)) == 20 + 2  # all unseen fakes, two genuine clips


def test_half_of_the_logged_clips_have_the_worst_scores(run):
    chosen = choose_clips(run, 6)
    error = {c.clip_id: abs(c.fake - c.score) for c in run.test_scores}
    worst = sorted(error, key=lambda clip: -error[clip])[:3]
    assert [clip.clip_id for clip in chosen[:3]] == worst
    assert len({clip.clip_id for clip in chosen}) == 6
    assert chosen == choose_clips(run, 6)
    assert len(choose_clips(run, 1000)) == len(run.test_scores)
