import pytest
import torch

from fakesound.benchmarks.measure import Method
from fakesound.benchmarks.train_step import PARTS, STEP, SyntheticCrops, Trainee, loader
from fakesound.config.composition import compose_config, run_config
from fakesound.training.trainer import build_module


@pytest.fixture
def config():
    return run_config(compose_config(["experiment=smoke"]))


def test_noise_comes_in_pairs_with_targets(config):
    crops = SyntheticCrops(config)
    fake, twin = crops[4], crops[5]
    assert fake.waveform.shape == (16_000,)
    assert fake.frame_target.shape == fake.frame_mask.shape == (50,)
    assert (float(fake.clip_target), float(twin.clip_target)) == (1, 0)
    assert float(fake.frame_target.mean()) == 0.5
    assert float(twin.frame_target.sum()) == 0
    assert torch.equal(fake.waveform, crops[4].waveform)


def test_noise_is_made_once_and_crops_are_loaded_each_time(config):
    load = loader(SyntheticCrops(config), 4)
    assert load(0) is load(1)

    class Counting:
        asked = ()

        def __getitem__(self, number):
            self.asked = (*self.asked, number)
            return SyntheticCrops(config)[number]

    crops = Counting()
    load = loader(crops, 2)
    load(0)
    batch = load(3)
    assert crops.asked == (0, 1, 6, 7)
    assert batch.number.tolist() == [6, 7]


def test_a_step_trains_and_its_parts_add_up(config):
    crops = SyntheticCrops(config)
    module = build_module(config, crops).train()
    before = {name: value.clone() for name, value in module.named_parameters()}
    trainee = Trainee(module, loader(crops, 4), Method(1, torch.device("cpu"), torch.float32))
    for number in range(2):
        seconds = trainee.step(number)
        assert set(seconds) == {*PARTS, STEP}
        assert all(value > 0 for value in seconds.values())
        assert sum(seconds[part] for part in PARTS) == pytest.approx(seconds[STEP])
    changed = [name for name, value in module.named_parameters() if (value != before[name]).any()]
    assert len(changed) > 0.9 * len(before)
    # the clocks are taken off again
    assert not module.detector.features._forward_hooks
    assert not module.detector.features._forward_pre_hooks
