"""The scan under data parallelism: two processes, half of the clips each."""

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from fakesound.models.mamba import BidirectionalMamba


def gradients(tokens, parallel):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    mixer = BidirectionalMamba(16)
    model = DistributedDataParallel(mixer) if parallel else mixer
    model(tokens).square().mean().backward()
    return {name: parameter.grad for name, parameter in mixer.named_parameters()}


def worker(rank, address, tokens, folder):
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    try:
        torch.save(gradients(tokens[rank::2], parallel=True), f"{folder}/{rank}.pt")
    finally:
        dist.destroy_process_group()


def test_gradients_of_two_processes_are_those_of_one(tmp_path):
    tokens = torch.randn(4, 21, 16, generator=torch.Generator().manual_seed(1))
    address = f"file://{tmp_path / 'meeting'}"
    mp.spawn(worker, (address, tokens, str(tmp_path)), nprocs=2)
    expected = gradients(tokens, parallel=False)
    for rank in (0, 1):
        found = torch.load(tmp_path / f"{rank}.pt")
        assert found.keys() == expected.keys()
        for name, grad in expected.items():
            torch.testing.assert_close(found[name], grad, rtol=1e-4, atol=1e-7)
