import json

import numpy as np
import pytest

from fakesound.errors import InputError
from fakesound.evaluation.score_files import read_score_files, warnings_of
from fakesound.evaluation.score_rows import ScoreFormat
from fakesound.metrics import metrics_block, write_scores
from fakesound.timeline import Region
from tests.factories import manifest_clip
from tests.metrics.conftest import build_clip, build_scores

CLIPS = [manifest_clip("g"), manifest_clip("f", (0.02, 0.06)), manifest_clip("h", (0, 0.1))]
FULL = {
    "clip_id": "f",
    "score": 0.9,
    "label": "fake",
    "attack": "edit/splice",
    "corpus": "corpus",
    "source_id": "s",
    "regions": [[0.02, 0.06]],
    "duration": 0.1,
}


def save(path, *rows):
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


def test_the_same_scores_in_every_format_give_the_same_figures(tmp_path):
    scores = build_scores(pairs=20, gain=0.5)
    clips = [
        manifest_clip(
            score.clip_id,
            source_id=score.source_id,
            label=score.label,
            attack=score.attack,
            regions=score.regions,
            duration=score.duration,
            domain=score.domain,
        )
        for score in scores
    ]
    most = {score.clip_id: float(score.frame_scores.max()) for score in scores}
    odds = {s.clip_id: np.log(s.frame_scores) - np.log1p(-s.frame_scores) for s in scores}
    write_scores(tmp_path / "ours.jsonl", scores)
    lines = [f"{s.clip_id},{most[s.clip_id]},{' '.join(map(str, s.frame_scores))}" for s in scores]
    save(tmp_path / "s.csv", "clip_id,score,frame_scores", *lines)
    rows = [f"{s.clip_id} {i} {-v}" for s in scores for i, v in enumerate(odds[s.clip_id])]
    save(tmp_path / "s.txt", *rows)
    np.savez(tmp_path / "s.npz", **{name: -values for name, values in odds.items()})
    save(tmp_path / "cm.txt", *(f"{name} - {-values.max()}" for name, values in odds.items()))
    blocks = {}
    for name, style in {
        "s.csv": "csv",
        "s.txt": "partialspoof",
        "s.npz": "partialspoof",
        "cm.txt": "asvspoof",
        "ours.jsonl": "jsonl",
    }.items():
        result, notes = read_score_files([tmp_path / name], clips, ScoreFormat(style))
        assert not notes
        blocks[name] = metrics_block(result)
    expected = blocks["s.csv"]
    assert 0.5 < expected["clip/auc"] < 1 > expected["range_eer"] > 0
    for name in ("s.txt", "s.npz"):
        assert blocks[name] == pytest.approx(expected, abs=1e-5)
    assert blocks["ours.jsonl"]["range_eer"] == pytest.approx(expected["range_eer"])
    for key in ("clip/auc", "clip/eer", "clip/min_dcf", "clip/cllr"):
        assert blocks["cm.txt"][key] == pytest.approx(expected[key], abs=1e-5)
    assert blocks["cm.txt"]["range_eer"] is None


def test_truth_may_be_in_the_file(tmp_path):
    path = save(tmp_path / "s.jsonl", FULL)
    (alone,), _ = read_score_files([path])
    (matched,), _ = read_score_files([path], [CLIPS[1]])
    assert alone.regions == matched.regions == (Region(0.02, 0.06),)
    assert (alone.logit, alone.source_id) == (matched.logit, matched.source_id)


@pytest.mark.parametrize("clips", [None, CLIPS])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": 1.2}, r"score: 1\.2 is not in \[0, 1\]"),
        ({"logit": -3}, "logit: -3.0 contradicts score 0.9"),
        ({"frame_scores": [0.1, float("nan"), 0, 0, 0]}, "frame_scores: all values must be in"),
        ({"regions": [[0.02, 0.3]]}, r"regions: \[\[?0.02, 0.3\]"),
        ({"label": "genuine"}, "label|attack"),
        ({"fold": "train"}, "fold: 'train' is not"),
    ],
)
def test_bad_rows_are_named(tmp_path, clips, change, message):
    path = save(tmp_path / "s.jsonl", FULL | {"clip_id": "h", "regions": [[0, 0.1]]}, FULL | change)
    with pytest.raises(InputError, match=rf"s\.jsonl, row 2, ({message})"):
        read_score_files([path], clips)


def test_missing_and_unknown_clips(tmp_path):
    path = save(tmp_path / "cm.txt", "g 1", "x 2")
    style = ScoreFormat("asvspoof")
    with pytest.raises(InputError, match=r"cm\.txt, row 2, clip_id: 'x' is in no manifest"):
        read_score_files([path], CLIPS, style)
    scores, notes = read_score_files([path], CLIPS, style, allow_missing=True)
    assert [score.clip_id for score in scores] == ["g"]
    assert notes == [
        "2 of 3 clips have no score and are skipped",
        "1 of the scores belong to no clip of a manifest and are skipped",
    ]
    path = save(tmp_path / "cm.txt", "g 1")
    with pytest.raises(InputError, match=r"cm\.txt: no score for clip 'f' \(2 of"):
        read_score_files([path], CLIPS, style)


def test_nothing_matches(tmp_path):
    path = save(tmp_path / "s.csv", "clip_id,score", "x,1")
    with pytest.raises(InputError, match=r"s\.csv: no score for clip 'g' \(3 of"):
        read_score_files([path], CLIPS, ScoreFormat("csv"), allow_missing=True)


def test_truth_is_needed(tmp_path):
    with pytest.raises(
        InputError, match=r"cm\.txt: the format asvspoof has no labels; .*--manifest"
    ):
        read_score_files([tmp_path / "cm.txt"], None, ScoreFormat("asvspoof"))


def test_files_are_pooled(tmp_path):
    genuine, fake, other = build_clip("g"), build_clip("f", regions=[(0, 1)]), build_clip("h")
    write_scores(tmp_path / "a.jsonl", [genuine, fake])
    write_scores(tmp_path / "b.jsonl", [other, genuine])
    scores, notes = read_score_files([tmp_path / "a.jsonl", tmp_path / "b.jsonl"])
    assert [score.clip_id for score in scores] == ["g", "f", "h"]
    assert notes == ["1 of the scores repeat a genuine clip of another file and count once"]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (
            build_clip("g", regions=[(0, 1)]),
            build_clip("g", regions=[(0, 1)]),
            "only genuine clips may be repeated",
        ),
        (build_clip("g"), build_clip("g", regions=[(0, 1)]), "only genuine clips may be repeated"),
        (build_clip("g"), build_clip("g", score=0.4), "with another logit"),
        (build_clip("g"), build_clip("g", duration=2.0), "with another duration"),
        (build_clip("g"), build_clip("g", frames=np.zeros(50)), "with another frame_scores"),
    ],
)
def test_clips_that_recur_otherwise(tmp_path, first, second, message):
    write_scores(tmp_path / "a.jsonl", [first])
    write_scores(tmp_path / "b.jsonl", [second])
    with pytest.raises(InputError, match=rf"b\.jsonl, clip_id: 'g' is in .*a\.jsonl.*{message}"):
        read_score_files([tmp_path / "a.jsonl", tmp_path / "b.jsonl"])


def test_frames_for_all_or_for_none(tmp_path):
    write_scores(tmp_path / "a.jsonl", [build_clip("a")])
    write_scores(tmp_path / "b.jsonl", [build_clip("b", frames=np.zeros(50))])
    with pytest.raises(
        InputError, match=r"a\.jsonl, .*b\.jsonl, frame_scores: missing for clip 'a'"
    ):
        read_score_files([tmp_path / "a.jsonl", tmp_path / "b.jsonl"])


def test_warnings_of():
    assert warnings_of(build_scores(pairs=3)) == []
    genuine = build_clip("g", source_id="s")
    fakes = [build_clip(name, regions=[(0, 1)], source_id=name) for name in ("s", "t", "u")]
    lone, silent = warnings_of([genuine, *fakes])
    assert lone.startswith("2 of 3 fakes, such as 't', have no genuine clip of the same")
    assert silent.startswith("no clip has frame scores")
    assert warnings_of(fakes)[0].startswith("no clip is genuine")
    assert warnings_of([genuine])[0].startswith("no clip is fake")
