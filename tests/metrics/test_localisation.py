import numpy as np
import pytest

from fakesound.errors import InputError
from fakesound.metrics import eer, event_f1, metrics_block, segment_f1
from fakesound.metrics.frames import frame_table
from fakesound.metrics.localisation import (
    add_score_draws,
    frame_thresholds,
    sed_eval_event_draws,
)

from .conftest import build_clip, called_clip

MS20, S1 = 20_000, 1_000_000
NUDGE = 1e-7  # sed_eval divides floats; a tenth of a microsecond keeps its bins right


def range_eer(clips):
    return metrics_block(clips)["range_eer"]


def events(regions):
    listed = [
        {"event_label": "fake", "onset": a + NUDGE, "offset": b - NUDGE, "file": "f"}
        for a, b in regions
    ]
    # FakeSound writes "nothing here" as an event of no length
    return listed or [{"event_label": "fake", "onset": 0.0, "offset": 0.0, "file": "f"}]


def lists(clip):
    """Return true and detected events of a clip."""
    table = frame_table([clip])
    spans = table.spans(table.called(np.array([clip.frame_threshold])))
    result = np.stack((spans.onset, spans.offset), axis=1) / 1e6
    return events([(r.onset, r.offset) for r in clip.regions]), events(result.tolist())


def sed_segment_f1(sed_eval, scores, resolution):
    metric = sed_eval.sound_event.SegmentBasedMetrics(["fake"], time_resolution=resolution)
    for clip in scores:
        metric.evaluate(*lists(clip))
    return metric.overall_f_measure()["f_measure"]


def sed_event_f1(sed_eval, scores):
    metric = sed_eval.sound_event.EventBasedMetrics(
        ["fake"], t_collar=0.25, percentage_of_length=0.5
    )
    for clip in scores:
        metric.evaluate(*lists(clip))
    return metric.overall_f_measure()["f_measure"]


@pytest.mark.parametrize("step", [0.02, 0.04, 0.16, 0.03])
@pytest.mark.parametrize("seed", range(3))
def test_segment_f1_equals_sed_eval(sed_eval, make_scores, seed, step):
    scores = make_scores(seed, pairs=4, frames=round(4 / step), step=step)
    for resolution in (MS20, S1):
        expected = sed_segment_f1(sed_eval, scores, resolution / 1e6)
        assert segment_f1(scores, resolution) == pytest.approx(expected, abs=5e-5)


def random_clip(name, regions, found):
    """Return a clip of 4 s whose frames with their middle in ``found`` are called fake."""
    middle = (np.arange(200) + 0.5) * 0.02
    frames = [any(a < t < b for a, b in found) for t in middle]
    return build_clip(str(name), regions=regions.tolist(), frames=frames, duration=4.0)


@pytest.mark.parametrize("seed", range(6))
def test_event_f1_equals_sed_eval_on_fakes(sed_eval, seed):
    rng = np.random.default_rng(seed)
    scores = []
    for number in range(8):
        regions = np.sort(rng.choice(199, 6, replace=False)).reshape(3, 2) * 0.02 + 0.007
        # never empty, or sed_eval would credit nothing against nothing
        result = [*(regions + rng.normal(scale=0.2, size=(3, 2))), (0, 0.02)]
        scores.append(random_clip(number, regions, result))
    expected = sed_event_f1(sed_eval, scores)
    assert 0.1 < expected < 0.9
    assert event_f1(scores) == pytest.approx(expected, abs=1e-9)


def event_f1_sed_eval(scores):
    table = frame_table(scores)
    value = sed_eval_event_draws(table, table.called(frame_thresholds(scores)))[0]
    return None if np.isnan(value) else value


@pytest.mark.parametrize("seed", range(6))
def test_event_f1_sed_eval_equals_sed_eval_on_clips_of_all_kinds(sed_eval, seed):
    rng = np.random.default_rng(seed)
    scores = []
    for number in range(40):
        # few and short, so that many clips have no region, or none found
        edges = np.sort(rng.choice(199, 4, replace=False)).reshape(2, 2) * 0.02 + 0.007
        result = (edges + rng.normal(scale=0.15, size=(2, 2)))[: rng.integers(0, 3)]
        scores.append(random_clip(number, edges[: rng.integers(0, 3)], result))
    # short ones at the start, which sed_eval matches with its event of no length
    for called in ([], [(0, 0.1)], [(0, 0.3)]):
        for regions in ([], [(0.007, 0.2)], [(0.1, 0.45)]):
            name = f"{called} {regions}"
            scores.append(called_clip(name, regions, called, duration=4.0))
    expected = sed_event_f1(sed_eval, scores)
    assert 0.1 < expected < 0.9
    assert event_f1_sed_eval(scores) == pytest.approx(expected, abs=1e-9)
    assert event_f1(scores) != pytest.approx(expected, abs=1e-3)


def test_event_f1_sed_eval_of_degenerate_sets(sed_eval):
    sets = [
        [called_clip("silent", [], [])],
        [called_clip("loud", [], [(1, 2)])],
        [called_clip("missed", [(2, 4)], [])],
        [called_clip("missed", [(2, 4)], []), called_clip("silent", [], [])],
        [called_clip("whole", [(0, 10)], [(0, 10)])],
        [called_clip("ends", [(0, 0.5), (9.5, 10)], [(0, 0.5), (9.5, 10)])],
    ]
    for scores, expected in zip(sets, [1, 0, 0, 0.5, 1, 1], strict=True):
        assert event_f1_sed_eval(scores) == expected
        assert np.nan_to_num(sed_event_f1(sed_eval, scores)) == expected
    assert event_f1_sed_eval([]) is None


@pytest.mark.parametrize("resolution", [MS20, S1])
def test_segment_f1_equals_sed_eval_on_degenerate_sets(sed_eval, resolution):
    whole = called_clip("whole", [(0, 10)], [(0, 9.5)])
    missed = called_clip("missed", [(1.3, 2.7)], [])
    start = called_clip("start", [(0, 0.03)], [(0, 0.5)])
    end = called_clip("end", [(9.991, 10)], [(9.98, 10)])
    both = called_clip("both", [(0, 0.013), (8.99, 10)], [(0, 0.02), (9.3, 10)])
    silent = called_clip("silent", [], [])
    loud = called_clip("loud", [], [(0, 1.02), (9.98, 10)])
    for scores in (
        [whole],
        [start, end, both],  # no genuine clip
        [end, silent],
        [both, loud, missed, silent],
        [start, loud],
        [missed],  # nothing predicted: sed_eval's precision, and F, is not a number
        [missed, silent],
    ):
        expected = np.nan_to_num(sed_segment_f1(sed_eval, scores, resolution / 1e6))
        assert segment_f1(scores, resolution) == pytest.approx(expected, abs=5e-5)
    for scores in ([silent], [loud], [silent, loud]):  # no fakes
        assert np.isnan(sed_segment_f1(sed_eval, scores, resolution / 1e6))
        assert segment_f1(scores, resolution) is None


@pytest.mark.parametrize(
    ("regions", "called", "expected"),
    [
        ([(2, 4)], [(2, 4)], 1.0),
        ([(2, 4)], [], 0.0),
        ([(2, 4)], [(6, 8)], 0.0),
        ([(2, 4)], [(2.24, 4)], 1.0),
        ([(2, 4)], [(2.26, 4)], 0.0),
        ([(2, 4)], [(2, 5.0)], 1.0),
        ([(2, 4)], [(2, 5.02)], 0.0),
        ([(2, 2.1)], [(2, 2.34)], 1.0),
        ([(2, 2.1)], [(2, 2.36)], 0.0),
        ([(0, 0.5), (9.5, 10)], [(0, 0.5), (9.5, 10)], 1.0),
        ([(0, 10)], [(0, 10)], 1.0),
        # one event cannot serve two regions
        ([(2, 2.1), (2.2, 2.3)], [(2, 2.3)], 2 / 3),
        # the second event could serve either region, but only one way serves both
        ([(2.0, 2.4), (2.44, 2.6)], [(1.8, 2.16), (2.2, 2.5)], 1.0),
    ],
)
def test_events_by_hand(regions, called, expected):
    assert event_f1([called_clip("a", regions, called)]) == pytest.approx(expected)


def test_offset_exactly_half_the_length_away_matches():
    assert event_f1([called_clip("a", [(2, 4)], [(2, 3)])]) == 1
    assert event_f1([called_clip("a", [(2, 4)], [(2, 2.98)])]) == 0


def test_genuine_clips_earn_nothing_and_can_only_lose(sed_eval):
    fake = called_clip("fake", [(2, 4)], [])
    silent = called_clip("silent", [], [])
    loud = called_clip("loud", [], [(0, 1)])
    hit = called_clip("hit", [(2, 4)], [(2, 4)])
    assert sed_event_f1(sed_eval, [fake, silent]) == 0.5  # what we do not want
    assert event_f1([fake, silent]) == 0
    assert event_f1([hit, silent]) == 1
    assert event_f1([hit, loud]) == pytest.approx(2 / 3)
    assert segment_f1([hit, loud], S1) == pytest.approx(2 * 2 / (2 * 2 + 1))


def test_an_event_never_matches_in_the_next_clip():
    # found at the very end of one clip, true at the very start of the next
    scores = [
        called_clip("a", [], [(9.9, 10)]),
        called_clip("b", [(0, 0.1)], []),
    ]
    assert event_f1(scores) == 0
    assert event_f1(scores[::-1]) == 0


def test_without_fakes_or_frames(make_clip):
    genuine, alarmed = called_clip("genuine", [], []), called_clip("alarmed", [], [(0, 10)])
    for clips in ([], [genuine, alarmed]):
        assert event_f1(clips) is segment_f1(clips, MS20) is None
    with pytest.raises(InputError, match="frame_scores"):
        segment_f1([make_clip()], MS20)


def test_all_500_grid_times_score_perfectly():
    scores = [
        called_clip(str(i), [(i * 0.02, (i + 1) * 0.02)], [(i * 0.02, (i + 1) * 0.02)])
        for i in range(500)
    ]
    assert segment_f1(scores, MS20) == 1
    assert segment_f1(scores, S1) == 1
    assert event_f1(scores) == 1


@pytest.mark.parametrize(
    ("step", "duration", "region", "frames", "f1_20ms", "rate"),
    [
        # segments 8 to 19 are fake, 8 to 15 detected; above .3 are 160 of 240 ms fake, and genuine
        # 160 of 720 ms
        (0.16, 0.96, (0.16, 0.4), [0, 0.9, 0.3, 0.4, 0, 0], 2 * 8 / (2 * 8 + 4), 5 / 18),
        # called is [30, 60), which touches segments 1 and 2, of which only 2 is fake
        (0.03, 0.12, (0.04, 0.06), [0, 0.9, 0, 0], 2 / 3, 1 / 20),
        # called is segment 0, fake are 0 and 1; of the two fake frames one scores as genuine ones
        (0.01, 0.06, (0.01, 0.03), [0, 0.9, 0, 0, 0, 0], 2 / 3, 1 / 4),
        # one frame for all of the clip, cut at its end
        (1.0, 0.5, (0.3, 0.5), [0.9], 2 * 10 / (2 * 10 + 15), 1 / 2),
    ],
)
def test_any_frame_step_by_hand(make_clip, step, duration, region, frames, f1_20ms, rate):
    clip = make_clip(regions=[region], frames=frames, duration=duration, frame_step=step)
    assert segment_f1([clip], MS20) == pytest.approx(f1_20ms)
    assert segment_f1([clip], S1) == 1
    assert range_eer([clip]) == pytest.approx(rate)


def test_add_score():
    values = add_score_draws(np.array([0.8223, np.nan]), np.array([0.6066, 0.5]))
    assert values[0] == pytest.approx(0.6713, abs=5e-5)  # the winner of ADD 2023
    assert np.isnan(values[1])


def test_range_eer_by_hand(make_clip):
    # half of either frame is fake, so any threshold between them errs by half on both sides
    halves = make_clip(regions=[(0.25, 0.75)], frames=[0.9, 0.1], frame_step=0.5)
    assert range_eer([halves]) == 0.5
    # fake of each frame: .3, .3, .1, 0 s; above .4 the third one's is missed, and the genuine
    # time in the first two is a false alarm
    clip = make_clip(
        regions=[(0.2, 0.8), (1.2, 1.3)],
        frames=[0.7, 0.8, 0.4, 0.2],
        frame_step=0.5,
        duration=2.0,
    )
    assert range_eer([clip]) == pytest.approx((0.1 / 0.7 + 0.4 / 1.3) / 2)


@pytest.mark.parametrize("step", [20, 40, 130])
def test_range_eer_equals_the_eer_of_milliseconds(make_clip, step):
    rng = np.random.default_rng(step)
    scores, painted, truth = [], [], []
    for number in range(4):
        duration = int(rng.integers(400, 900))
        on, off = np.sort(rng.choice(duration, 2, replace=False))
        frames = np.round(rng.random(-(-duration // step)), 3).astype(np.float32)
        regions = [(on / 1000, off / 1000)] if number else []
        scores.append(
            make_clip(
                str(number),
                regions=regions,
                frames=frames,
                duration=duration / 1000,
                frame_step=step / 1000,
            )
        )
        fake = np.zeros(duration, dtype=bool)
        fake[on : off if number else on] = True
        painted.append(np.repeat(frames, step)[:duration])
        truth.append(fake)
    expected = eer(np.concatenate(painted).astype(float), np.concatenate(truth))
    assert range_eer(scores) == pytest.approx(expected.rate, abs=1e-12)


def test_range_eer_needs_fake_and_genuine_time(make_clip):
    assert range_eer([make_clip(frames=[0.5] * 50)]) is None
    assert range_eer([make_clip(regions=[(0, 1)], frames=[0.5] * 50)]) is None
