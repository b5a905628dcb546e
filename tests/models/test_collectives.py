"""Two processes that share a batch have the losses and gradients of one."""

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from benchmarks.train import SyntheticCrops
from fakesound.config.compose import compose_config, run_config
from fakesound.data.dataset import collate
from fakesound.training.trainer import build_module

PAIRS = 4
CASES = {
    "bce": (),
    "focal": ("loss.frame_loss=focal", "loss.weighting=uncertainty"),
    "dice": ("loss.frame_loss=dice", "loss.weighting=dwa"),
    "convolutions": ("backbone=mobilenet", "backbone.dim=32", "backbone.depth=1"),
    "transformer": (
        "backbone=transformer_micro",
        "backbone.depth=2",
        "backbone.checkpointing=true",
    ),
}


class Step(nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, batch):
        return self.module.training_step(batch, 0)


def pairs(crops, places):
    """Return pairs of crops, whose frames and fake frames differ in number from pair to pair."""
    batch = collate([crops[2 * place + side] for place in places for side in (0, 1)])
    for row, place in enumerate(place for place in places for _ in range(2)):
        batch.frame_mask[row, 40 - 5 * place :] = False
        batch.frame_target[row, : 3 * place] = 0
        batch.family[row] = -1 if row % 2 else place % 2
    batch.frame_target[~batch.frame_mask] = 0
    return batch


def learned(name, rank=None):
    """Return the loss, gradients and statistics of a step on the pairs of ``rank``, or on all."""
    torch.set_num_threads(1)
    chosen = ("experiment=smoke", "heads=all", "heads.dropout=0", "loss.twin=0.5", *CASES[name])
    config = run_config(compose_config([*chosen, "features.mask=0"]))
    crops = SyntheticCrops(config)
    module = build_module(config, crops).train()
    module.log_dict = lambda *_, **__: None
    step = Step(module)
    places = range(PAIRS)
    if rank is not None:
        step, places = DistributedDataParallel(step, broadcast_buffers=False), places[rank::2]
    loss = step(pairs(crops, list(places)))
    loss.backward()
    module.weighting.end_epoch()
    result = {f"{key}.grad": value.grad for key, value in module.named_parameters()}
    return (
        result
        | dict(module.named_buffers())
        | {
            "loss": loss.detach(),
            "history": torch.tensor(module.weighting.history),
        }
    )


def worker(rank, address, folder):
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    try:
        torch.save({name: learned(name, rank) for name in CASES}, f"{folder}/{rank}.pt")
    finally:
        dist.destroy_process_group()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared")
    mp.spawn(worker, (f"file://{folder / 'meeting'}", str(folder)), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


@pytest.mark.parametrize("name", CASES)
def test_two_processes_have_the_gradients_of_one(name, shared):
    expected = learned(name)
    assert any(key.endswith("running_var") for key in expected) or name == "transformer"
    for result in (shared[0][name], shared[1][name]):
        assert result.keys() == expected.keys()
        for key, value in expected.items():
            torch.testing.assert_close(result[key], value, rtol=2e-3, atol=2e-6, msg=key)
    for key, value in shared[0][name].items():
        assert torch.equal(value, shared[1][name][key]), key
