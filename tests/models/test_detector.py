import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from fakesound.features import Spectrogram
from fakesound.models.detector import Detector, DetectorOutput
from fakesound.models.stem import ConvStem, PatchStem
from fakesound.models.vim import BackboneOutput, VisionMamba
from fakesound.scoring import pool_frames, stitch

from .scan.conftest import one_thread  # noqa: F401  # of every test here too

RATE, HOP, BINS, DIM = 8_000, 80, 16, 16
FRAME = 160
STEMS = {
    "conv": lambda: ConvStem(Spectrogram.channels, DIM, BINS, 2, [8, 8]),
    "patch": lambda: PatchStem(Spectrogram.channels, DIM, (8, 8), (8, 8)),
    "overlap": lambda: PatchStem(Spectrogram.channels, DIM, (8, 6), (8, 4)),
}
HEADS = {"clip": (True, False), "frame": (False, True), "both": (True, True)}


def detector(stem="conv", heads="both", seed=0, **options):
    torch.manual_seed(seed)
    options = {"position": False, "depth": 2, "kernel": "chunked"} | options
    features = Spectrogram("logstft", RATE, 128, HOP, BINS)
    backbone = VisionMamba(STEMS[stem](), bins=BINS, steps=20, dim=DIM, **options)
    clip, frame = HEADS[heads]
    return Detector(features, backbone, FRAME // HOP, clip, frame).eval()


def sound(frames, batch=2):
    return 0.1 * torch.randn(batch, frames * FRAME)


@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("order", ["time", "frequency"])
@pytest.mark.parametrize("stem", STEMS)
def test_a_logit_for_every_frame_from_the_heads_that_are_on(stem, order, heads):
    model = detector(stem, heads, order=order, position=True)
    per_token = model.backbone.windows * HOP // FRAME
    for steps in (20, 5, 1):
        frames = steps * per_token
        output = model(sound(frames))
        shapes = [None if values is None else tuple(values.shape) for values in output]
        clip, frame = HEADS[heads]
        assert shapes == [(2, frames) if on else None for on in (frame, clip, clip)]
        logit = output.clip_logit(torch.ones(2, frames, dtype=torch.bool))
        assert (None if logit is None else tuple(logit.shape)) == ((2,) if clip else None)


@pytest.mark.parametrize("frames", [1, 5, 7, 19])
def test_frames_need_not_fill_token_steps(frames):
    model = detector("patch", position=True)
    assert frames % (model.backbone.windows * HOP // FRAME)
    waveform = sound(frames)
    output = model(waveform)
    assert all(values.shape == (2, frames) for values in output)
    spectrogram = model.features(waveform)
    filled = torch.zeros(*spectrogram.shape[:3], -(-frames // 4) * 8)
    filled[..., : 2 * frames] = spectrogram
    model.features = nn.Identity()
    # the same as what is given whole steps, cut to the frames that there are
    whole = model(filled)
    for values, expected in zip(output, whole, strict=True):
        torch.testing.assert_close(values, expected[:, :frames])


@pytest.mark.parametrize(("windows", "frame_windows"), [(3, 2), (1, 2), (5, 4)])
def test_a_token_step_must_be_a_whole_number_of_frames(windows, frame_windows):
    backbone = nn.Identity()
    backbone.dim, backbone.windows = DIM, windows
    with pytest.raises(ValueError, match=f"step of {windows} windows .* frames of {frame_windows}"):
        Detector(nn.Identity(), backbone, frame_windows)


def test_the_clip_logit_is_the_weighted_mean_of_the_evidence():
    output = detector()(sound(20))
    mask = torch.ones(2, 20, dtype=torch.bool)
    mask[0, 12:] = False
    logits = output.clip_logit(mask)
    for row, count in ((0, 12), (1, 20)):
        weight = output.attention[row, :count].exp()
        expected = (weight * output.evidence[row, :count]).sum() / weight.sum()
        torch.testing.assert_close(logits[row], expected)


def test_masked_frames_do_not_matter_to_the_clip():
    output = detector()(sound(20))
    mask = torch.arange(20).expand(2, 20) < 13
    changed = DetectorOutput(*(torch.where(mask, v, 1e3 * torch.randn_like(v)) for v in output))
    torch.testing.assert_close(output.clip_logit(mask), changed.clip_logit(mask))


@pytest.mark.parametrize("heads", ["clip", "both"])
def test_the_logit_of_a_long_clip_follows_from_windows_scored_apart(heads):
    model, clip = detector(heads=heads), sound(60, 1)
    with torch.no_grad():
        outputs = [model(clip[:, at * FRAME : (at + 20) * FRAME]) for at in (0, 20, 40)]
    whole = [torch.cat(values, 1) for values in zip(*(o[1:] for o in outputs), strict=True)]
    expected = DetectorOutput(None, *whole).clip_logit(torch.ones(1, 60, dtype=torch.bool))
    evidence, attention = (
        stitch([o[place][0].numpy() for o in outputs], [0, 20, 40], 60) for place in (1, 2)
    )
    assert pool_frames(evidence, attention) == pytest.approx(expected.item(), abs=1e-5)


def test_the_clip_agrees_with_its_frames():
    """Raising the logits of frames alone, by their own head's bias, raises the clip's."""
    model, clips, mask = detector(), sound(20), torch.ones(2, 20, dtype=torch.bool)
    before = model(clips).clip_logit(mask)
    with torch.no_grad():
        model.frame_head.proj.bias += 3
    torch.testing.assert_close(model(clips).clip_logit(mask), before + 3)


def test_clips_of_a_batch_do_not_mix():
    model, clips = detector(), sound(20, 3)
    alone = [model(clip[None]) for clip in clips]
    for together, apart in zip(model(clips), zip(*alone, strict=True), strict=True):
        torch.testing.assert_close(together, torch.cat(apart), rtol=0, atol=1e-4)


@pytest.mark.parametrize("stem", ["conv", "patch"])
@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("class_token", [True, False])
def test_training_reaches_every_parameter(stem, heads, class_token):
    """Parameters that no gradient reaches make data-parallel training stop with an error."""
    model = detector(stem, heads, class_token=class_token, position=True).train()
    output, target = model(sound(40, 4)), torch.tensor([1.0, 0, 1, 0])
    frames, losses = target[:, None].expand(4, 40), []
    clip_logit = output.clip_logit(frames > -1)
    for logits, truth in ((clip_logit, target), (output.frame_logits, frames)):
        if logits is not None:
            losses.append(binary_cross_entropy_with_logits(logits, truth))
    torch.stack(losses).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_it_learns_to_tell_and_to_find_a_tone():
    torch.manual_seed(0)
    clips, target = sound(20, 8), torch.zeros(8, 20)
    tone = 0.5 * torch.sin(torch.arange(8 * FRAME) * 2 * np.pi * 1000 / RATE)
    for clip in range(0, 8, 2):
        clips[clip, clip * FRAME : (clip + 8) * FRAME] += tone
        target[clip, clip : clip + 8] = 1
    model, mask = detector().train(), torch.ones(8, 20, dtype=torch.bool)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(30):
        output = model(clips)
        loss = binary_cross_entropy_with_logits(output.frame_logits, target)
        loss = loss + binary_cross_entropy_with_logits(output.clip_logit(mask), target.amax(1))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    output = model(clips)
    assert ((output.clip_logit(mask) > 0) == (target.amax(1) > 0)).all()
    assert ((output.frame_logits > 0) == (target > 0)).float().mean() > 0.95


def test_any_backbone_will_do():
    backbone = nn.Module()
    backbone.dim, backbone.windows = 4, 2
    backbone.forward_features = lambda seen: BackboneOutput(
        tokens=torch.zeros(len(seen), seen.shape[-1] // 2, 4), summary=torch.zeros(len(seen), 4)
    )
    features = Spectrogram("logstft", RATE, 128, HOP, BINS)
    assert Detector(features, backbone, 2)(sound(7)).frame_logits.shape == (2, 7)
