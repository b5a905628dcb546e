import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from fakesound.config import HeadsConfig
from fakesound.models.detector import Detector
from fakesound.models.features import POWER, Spectrogram
from fakesound.models.heads import clip_logit, pool_families
from fakesound.models.losses import attribution_loss, edge_target
from fakesound.models.stem import ConvStem, PatchStem
from fakesound.models.tokens import BackboneOutput
from fakesound.models.vim import VisionMamba
from fakesound.scoring.clip_score import pool_frames
from fakesound.scoring.windows import OverlapAdd

from .scan.conftest import one_thread  # noqa: F401  # of every test here too

RATE, HOP, BINS, DIM = 8_000, 80, 16, 16
FRAME = 160
STEMS = {
    "conv": lambda: ConvStem(POWER, DIM, BINS, 2, [8, 8]),
    "patch": lambda: PatchStem(POWER, DIM, (8, 8), (8, 8)),
    "overlap": lambda: PatchStem(POWER, DIM, (8, 6), (8, 4)),
}
HEADS = {"clip": (True, False), "frame": (False, True), "both": (True, True)}
FAMILIES = ("codec", "edit", "vocoder")
ALL = {"boundary": True, "attribution": True, "neck": "mamba", "neck_depth": 1}


def detector(stem="conv", heads="both", seed=0, further=None, families=FAMILIES, **options):
    torch.manual_seed(seed)
    options = {"pos_embed": False, "depth": 2, "kernel": "chunked"} | options
    features = Spectrogram("logstft", RATE, 128, HOP, BINS)
    backbone = VisionMamba(STEMS[stem](), bins=BINS, steps=20, dim=DIM, **options)
    clip, frame = HEADS[heads]
    config = HeadsConfig(clip=clip, frame=frame, **(further or {}))
    return Detector(features, backbone, FRAME // HOP, config, families, kernel="chunked").eval()


def family_logits(output, mask):
    return pool_families(output["family_logits"], output["family_attention"], mask)


def sound(frames, batch=2):
    return 0.1 * torch.randn(batch, frames * FRAME)


@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("order", ["time", "frequency"])
@pytest.mark.parametrize("stem", STEMS)
def test_a_logit_for_every_frame_from_the_heads_that_are_on(stem, order, heads):
    model = detector(stem, heads, order=order, pos_embed=True)
    per_token = model.backbone.windows * HOP // FRAME
    for steps in (20, 5, 1):
        frames = steps * per_token
        output = model(sound(frames))
        clip, frame = HEADS[heads]
        names = ["frame_logits"] * frame + ["evidence", "attention"] * clip
        shapes = {name: tuple(values.shape) for name, values in output.items()}
        assert shapes == dict.fromkeys(names, (2, frames))
        if clip:
            mask = torch.ones(2, frames, dtype=torch.bool)
            assert clip_logit(output, mask).shape == (2,)


@pytest.mark.parametrize("frames", [1, 5, 7, 19])
def test_frames_need_not_fill_token_steps(frames):
    model = detector("patch", pos_embed=True)
    assert frames % (model.backbone.windows * HOP // FRAME)
    waveform = sound(frames)
    output = model(waveform)
    assert all(values.shape == (2, frames) for values in output.values())
    spectrogram = model.features(waveform)
    filled = torch.zeros(*spectrogram.shape[:3], -(-frames // 4) * 8)
    filled[..., : 2 * frames] = spectrogram
    model.features = nn.Identity()
    # the same as with whole steps, cut to the existing frames
    whole = model(filled)
    for name, values in output.items():
        torch.testing.assert_close(values, whole[name][:, :frames])


@pytest.mark.parametrize(("windows", "frame_windows"), [(3, 2), (1, 2), (5, 4)])
def test_a_token_step_must_be_a_whole_number_of_frames(windows, frame_windows):
    backbone = nn.Identity()
    backbone.dim, backbone.windows = DIM, windows
    with pytest.raises(ValueError, match=f"step of {windows} windows .* frames of {frame_windows}"):
        Detector(nn.Identity(), backbone, frame_windows)


@pytest.mark.parametrize("heads", ["clip", "both"])
def test_the_logit_of_a_long_clip_follows_from_windows_scored_apart(heads):
    model, clip = detector(heads=heads), sound(60, 1)
    with torch.no_grad():
        outputs = [model(clip[:, at * FRAME : (at + 20) * FRAME]) for at in (0, 20, 40)]
    whole = {name: torch.cat([o[name] for o in outputs], 1) for name in ("evidence", "attention")}
    expected = clip_logit(whole, torch.ones(1, 60, dtype=torch.bool))
    overlap = OverlapAdd()
    for first, output in zip((0, 20, 40), outputs, strict=True):
        overlap.add(first, {name: v[0].numpy() for name, v in output.items()})
    found = overlap.average(60)
    assert pool_frames(found["evidence"], found["attention"]) == pytest.approx(
        expected.item(), abs=1e-5
    )


def test_the_clip_agrees_with_its_frames():
    """A higher bias of the frame head raises the logit of the clip."""
    model, clips, mask = detector(), sound(20), torch.ones(2, 20, dtype=torch.bool)
    before = clip_logit(model(clips), mask)
    with torch.no_grad():
        model.frame_head.proj.bias += 3
    torch.testing.assert_close(clip_logit(model(clips), mask), before + 3)


def test_clips_of_a_batch_do_not_mix():
    model, clips = detector(further=ALL), sound(20, 3)
    alone = [model(clip[None]) for clip in clips]
    for name, together in model(clips).items():
        apart = torch.cat([output[name] for output in alone])
        torch.testing.assert_close(together, apart, rtol=0, atol=1e-4)


def losses_of(model, clips):
    """Return the loss of each enabled head by name."""
    output, target = model(clips), torch.tensor([1.0, 0, 1, 0])
    frames = target[:, None].expand(4, 40)
    mask, bce = frames > -1, binary_cross_entropy_with_logits
    losses = {
        name: bce(output[f"{name}_logits"], frames)
        for name in ("frame", "boundary")
        if name in model.tasks
    }
    if "clip" in model.tasks:
        losses["clip"] = bce(clip_logit(output, mask, model.pooling), target)
    if "attribution" in model.tasks:
        losses["attribution"] = cross_entropy(
            family_logits(output, mask), torch.tensor([0, 1, 2, 0])
        )
    return losses


@pytest.mark.parametrize("stem", ["conv", "patch"])
@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("class_token", [True, False])
@pytest.mark.parametrize("further", [None, ALL, {"pooling": "linear_softmax"}])
def test_training_reaches_every_parameter(stem, heads, class_token, further):
    """Parameters without a gradient would stop data-parallel training with an error."""
    if heads == "frame" and further and "pooling" in further:
        pytest.skip("pools no clip")
    model = detector(stem, heads, further=further, class_token=class_token, pos_embed=True).train()
    torch.stack([*losses_of(model, sound(40, 4)).values()]).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("task", ["clip", "frame", "boundary", "attribution"])
def test_each_head_teaches_the_backbone(task):
    model = detector(further=ALL).train()
    losses_of(model, sound(40, 4))[task].backward()
    assert model.backbone.layers[0].mixer.in_proj.weight.grad.abs().sum() > 0
    own = {"clip": "clip_head", "frame": "frame_head"}.get(task, f"{task}_head")
    assert all(p.grad is not None for p in getattr(model, own).parameters())


def test_further_heads_do_not_move_the_first_weights_of_the_others():
    plain, further = detector(), detector(further={"boundary": True, "attribution": True})
    others = dict(further.named_parameters())
    for name, parameter in plain.named_parameters():
        assert torch.equal(parameter, others[name]), name


@pytest.mark.parametrize("frames", [40, 7])
def test_further_heads_have_outputs_for_every_frame(frames):
    output = detector("patch", further=ALL)(sound(frames))
    assert output.pop("family_logits").shape == (2, frames, 3)
    assert len(output) == 5
    assert {values.shape for values in output.values()} == {(2, frames)}


@pytest.mark.parametrize("pooling", ["linear_softmax", "max", "mean"])
@pytest.mark.parametrize("heads", ["clip", "both"])
def test_any_pooling_of_stitched_windows_is_that_of_the_whole(pooling, heads):
    """Return windows that agree where they overlap, as of a backbone without context."""
    torch.manual_seed(0)
    clip, frame = HEADS[heads]
    model = Detector(
        nn.Identity(), Frames(), 2, HeadsConfig(clip=clip, frame=frame, pooling=pooling)
    ).eval()
    spectrogram = torch.randn(1, 1, 1, 120)
    with torch.no_grad():
        whole = model(spectrogram)
        outputs = [model(spectrogram[..., 2 * at : 2 * at + 40]) for at in (0, 10, 30, 40)]
    expected = clip_logit(whole, torch.ones(1, 60, dtype=torch.bool), pooling)
    overlap = OverlapAdd()
    for first, output in zip((0, 10, 30, 40), outputs, strict=True):
        overlap.add(first, {"evidence": output["evidence"][0].numpy()})
    assert pool_frames(overlap.average(60)["evidence"], None, pooling) == pytest.approx(
        expected.item(), abs=1e-5
    )


class Frames(nn.Module):
    """Backbone whose tokens depend only on their frames."""

    dim, windows = DIM, 2

    def forward_features(self, spectrogram):
        level = spectrogram.mean((1, 2)).unflatten(1, (-1, 2)).mean(2)
        tokens = torch.sin(level[..., None] * torch.arange(1, DIM + 1))
        return BackboneOutput(tokens, tokens.mean(1))


def test_it_learns_clips_frames_edges_and_families():
    """Return two families of tones with edges at their start and end."""
    torch.manual_seed(0)
    clips, target = sound(20, 12), torch.zeros(12, 20)
    family, time = torch.arange(12) % 3 - 1, torch.arange(8 * FRAME) * 2 * np.pi / RATE
    for clip in range(12):
        if family[clip] >= 0:
            place = 2 + clip % 8
            span = slice(place * FRAME, (place + 8) * FRAME)
            clips[clip, span] += 0.5 * torch.sin(time * (700, 2000)[family[clip]])
            target[clip, place : place + 8] = 1
    model, mask = detector(further=ALL, families=("low", "high")).train(), target > -1
    edges = edge_target(target, mask)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(40):
        output = model(clips)
        loss = binary_cross_entropy_with_logits(output["frame_logits"], target)
        loss = loss + binary_cross_entropy_with_logits(output["boundary_logits"], edges)
        loss = loss + attribution_loss(family_logits(output, mask), family)
        loss = loss + binary_cross_entropy_with_logits(clip_logit(output, mask), target.amax(1))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    output = model(clips)
    assert ((clip_logit(output, mask) > 0) == (target.amax(1) > 0)).all()
    assert ((output["frame_logits"] > 0) == (target > 0)).float().mean() > 0.95
    assert ((output["boundary_logits"] > 0) == (edges > 0)).float().mean() > 0.95
    called = family_logits(output, mask).argmax(1)
    assert (called == family)[family >= 0].all()


def test_any_backbone_is_accepted():
    backbone = nn.Module()
    backbone.dim, backbone.windows = 4, 2
    backbone.forward_features = lambda seen: BackboneOutput(
        tokens=torch.zeros(len(seen), seen.shape[-1] // 2, 4), summary=torch.zeros(len(seen), 4)
    )
    features = Spectrogram("logstft", RATE, 128, HOP, BINS)
    assert Detector(features, backbone, 2)(sound(7))["frame_logits"].shape == (2, 7)
