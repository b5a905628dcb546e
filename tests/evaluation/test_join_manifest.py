import numpy as np
import pytest

from fakesound.errors import InputError
from fakesound.evaluation.join_manifest import join_manifest
from fakesound.evaluation.score_rows import ScoreRow
from fakesound.timeline import Region
from tests.factories import manifest_clip

GENUINE, FAKE = (
    manifest_clip("g"),
    manifest_clip("f", (0.02, 0.06), source_id="t", attack="vocoder/x", domain="d"),
)


def score_row(clip_id, frames=(), frame_step=0.02, **fields):
    return ScoreRow(
        where="s.txt, row 7",
        clip_id=clip_id,
        score=0.5,
        logit=0.0,
        frame_step=frame_step,
        frame_scores=np.asarray(frames, dtype=np.float32),
        **fields,
    )


def test_truth_comes_from_the_manifest():
    kept = {"fold": "unseen", "clip_threshold": 0.3}
    fake, genuine = join_manifest(
        [score_row("f", [0, 1, 1, 0, 0], extra=kept), score_row("g")], [GENUINE, FAKE]
    )
    assert (fake.label, fake.attack, fake.source_id) == ("fake", "vocoder/x", "t")
    assert (fake.corpus, fake.domain, fake.duration) == ("corpus", "d", 0.1)
    assert fake.regions == (Region(0.02, 0.06),)
    assert (fake.fold, fake.clip_threshold, fake.frame_threshold) == ("unseen", 0.3, 0.5)
    assert (genuine.clip_id, genuine.label, genuine.regions) == ("g", "genuine", ())


def test_unknown_clips():
    with pytest.raises(InputError, match=r"s\.txt, row 7, clip_id: 'x' is in no manifest"):
        join_manifest([score_row("x"), score_row("g")], [GENUINE])
    assert [
        s.clip_id for s in join_manifest([score_row("x"), score_row("g")], [GENUINE], True)
    ] == ["g"]


@pytest.mark.parametrize(
    ("claims", "field"),
    [
        ({"label": "genuine"}, "label: 'genuine', but the manifest has 'fake'"),
        ({"attack": "vocoder/y"}, "attack: 'vocoder/y', but the manifest has 'vocoder/x'"),
        ({"source_id": "s"}, "source_id: 's'"),
        ({"corpus": "other"}, "corpus: 'other'"),
        ({"duration": 0.2}, "duration: 0.2, but the manifest has 0.1"),
        ({"duration": "long"}, "duration: 'long'"),
        ({"regions": []}, r"regions: \[\], but the manifest has \[\[0.02, 0.06\]\]"),
        ({"regions": [[0.02, 0.08]]}, r"regions: \[\[0.02, 0.08\]\]"),
        ({"regions": [[0.02, 0.04], [0.05, 0.06]]}, "regions: "),
        ({"regions": [[0.06, 0.02]]}, "regions: "),
        ({"regions": [[0.06]]}, "regions: "),
        ({"regions": "all"}, "regions: "),
        ({"regions": [["0", "1"]]}, "regions: "),
    ],
)
def test_a_row_that_contradicts_the_manifest(claims, field):
    with pytest.raises(InputError, match=rf"s\.txt, row 7, {field}"):
        join_manifest([score_row("f", claims=claims)], [FAKE])


def test_rows_with_equivalent_values_are_accepted():
    claims = {
        "label": "fake",
        "attack": "vocoder/x",
        "duration": 0.1004,
        "regions": [[0.04, 0.0596], [0.0203, 0.04]],
    }
    assert len(join_manifest([score_row("f", claims=claims)], [FAKE])) == 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([0.1, 0.2, 0.3, 0.4, 0.5], [0.1, 0.2, 0.3, 0.4, 0.5]),
        ([0.1, 0.2, 0.3], [0.1, 0.2, 0.3, 0.3, 0.3]),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], [0.1, 0.2, 0.3, 0.4, 0.5]),
    ],
)
def test_frames_at_the_end_of_a_clip(given, expected):
    (score,) = join_manifest([score_row("f", given)], [FAKE])
    assert score.frame_scores == pytest.approx(np.float32(expected))


@pytest.mark.parametrize("frames", [5, 11])
def test_frames_of_another_length_do_not_fit(frames):
    # the clip has 10 of 20 ms and 20 of 10 ms
    clip = manifest_clip("f", (0.02, 0.06), duration=0.2)
    with pytest.raises(InputError, match=r"s\.txt, row 7, frame_scores: \d+ frames of 0.01 s for"):
        join_manifest([score_row("f", np.zeros(frames - 2), frame_step=0.01)], [clip])
