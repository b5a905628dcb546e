import pytest

from fakesound.metrics import metrics_block, subsets
from fakesound.report import read_run
from fakesound.report.glossary import ALL_FIGURES
from fakesound.report.parts import attack_results, shown_parts, validation_part


def test_every_figure_of_the_metrics_block_is_explained():
    from fakesound.metrics import KEYS

    assert {figure.key for figure in ALL_FIGURES} == set(KEYS) - {"clips"}


def test_parts_carry_their_own_baseline(run):
    unseen, seen = shown_parts(run)
    assert (unseen.name, seen.name) == ("unseen", "seen")
    assert unseen.attacks == ["vocoder/world"]
    assert unseen.share_fake == 0.5
    floors = run.metrics["baseline_by_fold"]
    assert unseen.all_fake == floors["unseen"]["all_fake"]
    assert seen.all_fake == floors["seen"]["all_fake"]


def test_without_folds_there_is_one_part(make_run, tmp_path):
    run = read_run(make_run(tmp_path / "run", attacks=("edit/splice",), inner="edit/splice"))
    (part,) = shown_parts(run)
    assert part.name == "all"
    assert part.all_fake == run.metrics["baseline"]["all_fake"]


def test_validation_has_a_baseline_too(run):
    part = validation_part(run)
    assert part.block == run.metrics["validation"]
    assert part.all_fake["clip/auc"] == 0.5


def test_attacks_go_by_family_from_the_best_down(run):
    attacks = attack_results(run)
    assert [attack.family for attack in attacks] == ["codec", "edit", "vocoder"]
    assert [attack.fold for attack in attacks] == [None, "seen", "unseen"]
    assert all(attack.fakes == 6 for attack in attacks)


def test_baseline_of_an_attack_marks_everything(run):
    attack = attack_results(run)[-1]
    clips = subsets(run.test_scores).attack[attack.name]
    fake = sum(clip.regions[0].duration for clip in clips if clip.fake)
    time = sum(clip.duration for clip in clips)
    # boundaries fall inside frames, and a frame is fake when any part of it is
    assert attack.all_fake_f1 == pytest.approx(2 * fake / (fake + time), rel=0.15)
    assert metrics_block(clips)["segment_f1_20ms"] == attack.block["segment_f1_20ms"]
