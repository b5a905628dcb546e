import pytest
import torch

from fakesound.benchmarks import backbones
from fakesound.benchmarks.backbones import bench_backbones, crops, flops, tokens_of
from fakesound.benchmarks.measure import Method
from fakesound.config.composition import compose_config, run_config
from fakesound.models.build import build_detector
from fakesound.models.mamba import BidirectionalMamba
from fakesound.models.residual import ResidualBlock
from fakesound.models.transformer import Attention

CPU = torch.device("cpu")
KINDS = ["vim_micro", "transformer_micro", "ssd_micro", "fcn_resnet", "mobilenet"]
SMALL = ("data.crop.seconds=0.2", "features.bins=64", "backbone.stem.channels=[8,8]")
METHOD = Method(2, CPU, torch.float32)


def configuration(name, *overrides):
    return run_config(compose_config([f"backbone={name}", "backbone.depth=1", *overrides]))


def test_attention_counts_its_matrix_products():
    tokens, dim, batch = 7, 24, 2
    products = 4 * tokens * dim * dim + 2 * tokens * tokens * dim
    assert flops(Attention(dim, 8), torch.randn(batch, tokens, dim)) == 2 * batch * products


@pytest.mark.parametrize("variant", ["v1", "v2", "none"])
def test_mamba_counts_its_products_its_convolution_and_its_scan(variant):
    tokens, dim, state, batch = 7, 16, 4, 2
    mixer = BidirectionalMamba(dim, state=state, variant=variant, kernel="chunked")
    channels, rank = 2 * dim, 1
    own, scans = (2 if variant == "v2" else 1), (1 if variant == "none" else 2)
    products = dim * 2 * channels + channels * dim
    products += own * channels * (rank + 2 * state + rank + 4)
    expected = batch * tokens * (2 * products + scans * 7 * channels * state)
    assert flops(mixer, torch.randn(batch, tokens, dim)) == expected


def test_a_residual_block_counts_its_convolutions():
    block = ResidualBlock(4, 6, 1, 1, 0.0)
    expected = 2 * 5 * 10 * (9 * 4 * 6 + 9 * 6 * 6 + 4 * 6)
    assert flops(block, torch.randn(1, 4, 5, 10)) == expected


@pytest.mark.parametrize("name", KINDS)
def test_the_tokens_are_those_that_the_blocks_see(name):
    config = configuration(name, "data.crop.seconds=0.5")
    detector = build_detector(config).eval()
    blocks = detector.backbone.layers if name.endswith("micro") else detector.backbone.blocks
    seen = []
    first = blocks[0]
    first.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
    detector(crops(config, 1, CPU))
    assert seen[0][1 if name.endswith("micro") else 3] == tokens_of(detector, config)


def test_every_backbone_is_measured_both_ways():
    configs = {name: configuration(name, *SMALL) for name in KINDS}
    records = bench_backbones(configs, [1, 2], METHOD)
    found = [(record.B, record.direction, record.backend) for record in records]
    assert found == [
        (batch, direction, name)
        for batch in (1, 2)
        for direction in ("forward", "forward+backward")
        for name in KINDS
    ]
    for record in records:
        assert record.what == "backbone"
        assert record.seconds >= record.extra["seconds_min"] > 0
        assert record.peak_bytes > 0
        assert record.extra["flops"] > 1e5
        assert (record.extra["ratio"] == 1) == (record.backend == KINDS[0])
    assert {record.backend: record.N for record in records} == {
        "vim_micro": 16,
        "transformer_micro": 0,
        "ssd_micro": 128,
        "fcn_resnet": 0,
        "mobilenet": 0,
    }


def test_what_does_not_fit_into_memory_is_left_out_and_told(monkeypatch, capfd):
    monkeypatch.setattr(backbones, "available_bytes", lambda _: 0)
    configs = {"vim_micro": configuration("vim_micro", "data.crop.seconds=0.2")}
    assert bench_backbones(configs, [3], METHOD) == []
    assert "left out: vim_micro: 3 crops would need some 0 GiB" in capfd.readouterr().err
