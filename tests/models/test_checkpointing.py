"""Backbones that recompute their activations."""

import pytest
import torch

from benchmarks.common import peak_bytes
from fakesound.config.compose import compose_config, run_config
from fakesound.errors import InputError
from fakesound.models.backbones import build_backbone
from fakesound.models.features import Spectrogram

FEATURES = Spectrogram("logstft", 16_000, 512, 160, 256)


def step(kind, checkpointing):
    """Return tokens and gradients of a step whose blocks are dropped at random, and its memory."""
    chosen = [f"backbone={kind}_micro", "backbone.depth=4", "backbone.drop_path=0.5"]
    config = run_config(compose_config([*chosen, f"backbone.checkpointing={checkpointing}"]))
    torch.manual_seed(0)
    backbone = build_backbone(config.backbone, FEATURES, 1.0, "auto").train()
    # of the blocks alone: nothing else is computed again
    tokens = torch.randn(4, 301, backbone.dim, requires_grad=True)
    backbone.stem.tokens_and_statistics = lambda grid: (grid, None)
    found = []

    def learn():
        torch.manual_seed(1)
        out = backbone.forward_features(tokens.transpose(1, 2).unsqueeze(2)).tokens
        out.square().mean().backward()
        found.append(out.detach())

    memory = peak_bytes(learn, torch.device("cpu"))
    grads = {name: value.grad for name, value in backbone.layers.named_parameters()}
    return found[0], grads, memory


@pytest.mark.parametrize("kind", ["vim", "ssd", "transformer"])
def test_gradients_are_the_same_and_memory_is_less(kind):
    tokens, grads, memory = step(kind, False)
    again, same, less = step(kind, True)
    assert torch.equal(again, tokens)
    for name, grad in grads.items():
        torch.testing.assert_close(same[name], grad, rtol=1e-5, atol=1e-9, msg=name)
    assert less < 0.7 * memory


def test_convolutional_networks_refuse_checkpointing():
    with pytest.raises(InputError, match=r"backbone\.checkpointing=true: .*mobilenet"):
        run_config(compose_config(["backbone=mobilenet", "backbone.checkpointing=true"]))
