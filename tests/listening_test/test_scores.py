import numpy as np
import pytest

from fakesound.listening_test import (
    AnswerLog,
    pooled_scores,
    write_listener_scores,
)
from fakesound.listening_test.scores import file_stem, probability
from fakesound.metrics import read_scores

from .test_answers import answer


@pytest.fixture
def clips(listening):
    return list(listening.clips.values())


def test_each_level_of_sureness_has_its_probability(clips):
    def scores(verdict):
        return [probability(answer(clips[0], "Ann", verdict, step)) for step in range(1, 6)]

    assert scores("fake") == [0.55, 0.65, 0.75, 0.85, 0.95]
    assert scores("genuine") == [0.45, 0.35, 0.25, 0.15, 0.05]


def test_marked_and_other_frames_have_their_scores(clips):
    clip = clips[0]
    given = {clip.clip_id: answer(clip, sureness=4, regions=[(0.1, 0.15)])}
    (score,) = pooled_scores([given], clips)
    assert score.score == 0.85
    # 100 to 150 ms touches the frames from 100 to 160 ms
    expected = np.full(-(-round(clip.duration * 1e6) // 20_000), 0.15)
    expected[5:8] = 0.85
    np.testing.assert_allclose(score.frame_scores, expected, atol=1e-6)
    for verdict, expected in (("fake", 0.85), ("genuine", 0.15)):
        (score,) = pooled_scores([{clip.clip_id: answer(clip, "Ann", verdict, 4)}], clips)
        np.testing.assert_allclose(score.frame_scores, expected, atol=1e-6)


def test_listeners_are_pooled_clip_by_clip(clips):
    ann = {clips[0].clip_id: answer(clips[0], "Ann", "fake", 5, [(0.0, 0.1)])}
    bob = {clip.clip_id: answer(clip, "Bob", "genuine", 2) for clip in clips[:2]}
    first, second = pooled_scores([ann, bob], clips)
    assert first.clip_id == clips[0].clip_id
    assert first.score == pytest.approx((0.95 + 0.35) / 2)
    assert first.frame_scores[0] == pytest.approx((0.95 + 0.35) / 2)
    assert first.frame_scores[-1] == pytest.approx((0.05 + 0.35) / 2)
    assert second.score == pytest.approx(0.35)


def test_files_hold_the_truth_and_read_back(listening, clips):
    log = AnswerLog(listening.folder / "answers.jsonl", clips)
    for clip in clips:
        log.add(answer(clip, "Ann Lee", clip.label, 4))
    log.add(answer(clips[0], "Bob"))
    pooled = write_listener_scores(listening, log)
    names = sorted(path.name for path in pooled.parent.iterdir())
    assert names == [f"{file_stem('ann lee')}.jsonl", "bob.jsonl", "listeners.jsonl"]
    ann = {score.clip_id: score for score in read_scores(pooled.parent / names[0])}
    for clip in clips:
        score = ann[clip.clip_id]
        assert (score.label, score.attack, score.regions, score.source_id) == (
            *(clip.label, clip.attack, clip.regions, clip.source_id),
        )
        assert (score.score > 0.5) == clip.is_fake
    assert len(read_scores(pooled.parent / "bob.jsonl")) == 1


def test_no_two_names_share_a_file_and_none_leaves_the_folder():
    names = ["ann", "ann lee", "ann_lee", "ann-lee", "listeners", "../x", "..", "a/b", "zoë", "安"]
    stems = [file_stem(name) for name in names]
    assert len(set(stems)) == len(names)
    assert stems[0] == "ann"
    assert all(set(stem) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_") for stem in stems)
    assert "listeners" not in stems
