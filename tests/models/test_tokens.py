"""Properties of all backbones of tokens; `test_vim` has those of Vision Mamba."""

from functools import partial

import pytest
import torch

from fakesound.models.ssd import Ssd
from fakesound.models.stem import ConvStem, PatchStem
from fakesound.models.tokens import drop_examples, drop_rates
from fakesound.models.transformer import Transformer
from fakesound.models.vim import VisionMamba

from .scan.conftest import one_thread  # noqa: F401  # of every test here too

DIM, BINS, STEPS = 16, 16, 9
MIXERS = {
    "vim": lambda **options: VisionMamba(kernel="chunked", **options),
    "transformer": lambda **options: Transformer(head_dim=8, expand=2, **options),
    "ssd": lambda **options: Ssd(state=4, head_dim=8, kernel="chunked", **options),
} | {
    f"vim {variant}": partial(VisionMamba, kernel="chunked", variant=variant)
    for variant in ("v1", "none")
}
EVERY = pytest.mark.parametrize("kind", MIXERS)
BIDIRECTIONAL = pytest.mark.parametrize("kind", [kind for kind in MIXERS if kind != "vim none"])


def encoder(kind, stem=None, seed=0, **options):
    torch.manual_seed(seed)
    stem = stem or PatchStem(2, DIM, (8, 4), (8, 4))
    options = {"bins": BINS, "steps": STEPS, "dim": DIM, "depth": 2} | options
    return MIXERS[kind](stem=stem, **options).eval()


def spectrogram(model, steps, batch=2):
    torch.manual_seed(1)
    return torch.randn(batch, 2, BINS, steps * model.windows)


@EVERY
@pytest.mark.parametrize("order", ["time", "frequency"])
@pytest.mark.parametrize("class_token", [True, False])
@pytest.mark.parametrize("stem", ["conv", "patch"])
def test_a_token_a_step_and_a_summary_at_any_length(kind, order, class_token, stem):
    stem_module = ConvStem(2, DIM, BINS, 2, [4, 4]) if stem == "conv" else None
    model = encoder(kind, stem_module, order=order, class_token=class_token)
    for steps in (1, STEPS, 300):
        tokens, summary = model.forward_features(spectrogram(model, steps))[:2]
        assert (tokens.shape, summary.shape) == ((2, steps, DIM), (2, DIM))
        assert tokens.isfinite().all()


@BIDIRECTIONAL
@pytest.mark.parametrize("order", ["time", "frequency"])
def test_every_token_knows_every_other(kind, order):
    model = encoder(kind, order=order)
    seen = spectrogram(model, STEPS, 1).requires_grad_()
    tokens = model.forward_features(seen).tokens
    for step in (0, 4, STEPS - 1):
        (grad,) = torch.autograd.grad(tokens[0, step].square().sum(), seen, retain_graph=True)
        assert (grad[0].abs().sum((0, 1)) > 0).all()


@EVERY
def test_a_step_knows_most_of_itself(kind):
    """With misaligned tokens, another step would have the largest gradient."""
    model = encoder(kind, depth=1, class_token=False)
    seen = spectrogram(model, STEPS, 1).requires_grad_()
    tokens = model.forward_features(seen).tokens
    for step in range(STEPS):
        (grad,) = torch.autograd.grad(tokens[0, step, 0], seen, retain_graph=True)
        share = grad[0].abs().sum((0, 1)).view(STEPS, -1).sum(1)
        assert share.argmax() == step


@EVERY
def test_examples_do_not_mix(kind):
    model = encoder(kind)
    seen = spectrogram(model, STEPS, 3)
    alone = torch.cat([model.forward_features(one[None]).tokens for one in seen])
    torch.testing.assert_close(model.forward_features(seen).tokens, alone, rtol=0, atol=1e-5)


@EVERY
@pytest.mark.parametrize("class_token", [True, False])
def test_every_parameter_gets_a_gradient(kind, class_token):
    model = encoder(kind, class_token=class_token).train()
    tokens, summary = model.forward_features(spectrogram(model, STEPS))[:2]
    (tokens.square().sum() + summary.sum()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


@EVERY
def test_paths_are_dropped_in_training_alone(kind):
    model, plain = encoder(kind, drop_path=0.9, depth=4), encoder(kind, depth=4)
    seen = spectrogram(model, STEPS)
    torch.testing.assert_close(model.forward_features(seen), plain.forward_features(seen))
    dropped, whole = model.train().forward_features(seen), plain.train().forward_features(seen)
    assert not torch.equal(dropped.tokens, whole.tokens)


@EVERY
def test_stem_class_token_and_positions_are_named_alike(kind):
    """Backbones differ only in the module that mixes tokens."""
    names = {name: value.shape for name, value in encoder(kind).state_dict().items()}
    own = {name: shape for name, shape in names.items() if not name.startswith("layers.")}
    assert own == {
        "cls_token": (1, 1, DIM),
        "pos_embed": (1, 2 * STEPS + 1, DIM),
        "stem.proj.weight": (DIM, 2, 8, 4),
        "stem.proj.bias": (DIM,),
        "norm_f.weight": (DIM,),
    }


@EVERY
def test_the_deeper_the_smaller_every_output_starts(kind):
    def scale(depth):
        weights = encoder(kind, depth=depth).layers.named_parameters()
        return max(
            w.detach().abs().max() for name, w in weights if name.endswith("out_proj.weight")
        )

    assert float(scale(1) / scale(16)) == pytest.approx(4, rel=0.1)


def test_rates_rise_to_the_last():
    assert drop_rates(4, 0.3) == pytest.approx([0, 0.1, 0.2, 0.3])
    assert drop_rates(1, 0.3) == [0]


@pytest.mark.parametrize("shape", [(4000, 3, 2), (4000, 1, 2, 3)])
def test_whole_paths_are_dropped_and_the_others_scaled(shape):
    torch.manual_seed(0)
    found = drop_examples(torch.ones(shape), 0.25).flatten(1)
    assert ((found == 0).all(1) | (found == 1 / 0.75).all(1)).all()
    assert float(found.mean()) == pytest.approx(1, abs=0.03)
