"""Training crops resume at any step."""

from contextlib import suppress
from dataclasses import replace
from itertools import islice

import lightning
import pytest
import torch

from fakesound.data.dataset import CropLoader, EpochSampler, collate

from .made_clips import crops, same

CROPS, BATCH = 24, 4
STEPS = CROPS // BATCH


class Listener(lightning.LightningModule):
    """Module that records its crops and stops after ``stop`` steps."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.batches = []

    def training_step(self, batch, number):
        self.batches.append((self.current_epoch, number, batch))
        return self.weight.sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


class KillAt(lightning.Callback):
    def __init__(self, step, path, hook):
        self.step, self.path = step, path
        setattr(self, hook, self.kill)

    def kill(self, trainer, *_):
        if trainer.global_step >= self.step:
            trainer.save_checkpoint(self.path)
            raise KeyboardInterrupt


def fit(clips, workers, tmp_path, callbacks=(), resume=None):
    from fakesound.training.datamodule import ClipDataModule

    module = Listener()

    class Few(ClipDataModule):
        def __init__(self):
            lightning.LightningDataModule.__init__(self)
            self.steps, self.later = STEPS, None
            self.train_crops = crops(clips)
            self.data = type("Data", (), {"batch_size": BATCH, "workers": workers})

        prepare_data = setup = lambda self, stage=None: None

    trainer = lightning.Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        limit_val_batches=0,
        callbacks=list(callbacks),
        default_root_dir=tmp_path,
    )
    with suppress(KeyboardInterrupt, SystemExit):
        trainer.fit(module, datamodule=Few(), ckpt_path=resume)
    return module.batches


@pytest.mark.parametrize(
    ("killed", "hook", "workers"),
    [
        (1, "on_train_batch_end", 0),
        (4, "on_train_batch_end", 2),
        (STEPS, "on_train_batch_end", 2),
        (STEPS, "on_train_epoch_end", 2),
        (STEPS + 1, "on_train_batch_end", 0),
        (2 * STEPS, "on_train_epoch_end", 0),
        (3 * STEPS - 1, "on_train_batch_end", 2),
        # within the third step, whose crops count as unused
        (2, "on_train_batch_start", 0),
    ],
)
@pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*val_dataloader.*")
def test_a_run_that_is_killed_continues_with_the_same_crops(clips, tmp_path, killed, hook, workers):
    whole = fit(clips, workers, tmp_path)
    assert [(epoch, number) for epoch, number, _ in whole] == [
        (epoch, number) for epoch in range(3) for number in range(STEPS)
    ]
    path = tmp_path / "killed.ckpt"
    before = fit(clips, workers, tmp_path, [KillAt(killed, path, hook)])
    after = fit(clips, workers, tmp_path, resume=path)
    assert (len(before), len(after)) == (killed, 3 * STEPS - killed)
    for (*place, one), (*other, two) in zip(whole, [*before, *after], strict=True):
        assert place == other
        assert same(one, two)


@pytest.mark.parametrize("workers", [0, 2])
def test_used_crops_are_not_read_again(clips, workers):
    def loader():
        sampler = EpochSampler(STEPS, BATCH)
        sampler.set_epoch(5)
        return CropLoader(crops(clips), sampler, collate_fn=collate, num_workers=workers)

    whole, rest = loader(), loader()
    rest.load_state_dict({"epoch": 5, "steps": 4})
    assert len(rest) == len(whole) == STEPS
    batches = list(rest)
    assert len(batches) == 2
    assert all(same(a, b) for a, b in zip(batches, islice(whole, 4, None), strict=True))
    # the next epoch is whole
    rest.batch_sampler.set_epoch(6)
    assert [batch.number[0].item() for batch in rest] == list(range(6 * CROPS, 7 * CROPS, BATCH))
    if workers == 0:
        read = []
        rest.dataset.changes = replace(
            rest.dataset.changes, augment=lambda *a: read.append(1) or a[0]
        )
        rest.load_state_dict({"epoch": 6, "steps": 5})
        list(rest)
        assert len(read) == BATCH


@pytest.mark.parametrize("steps", [STEPS, STEPS + 1])
def test_an_epoch_that_was_finished_leaves_nothing_out(steps):
    sampler = EpochSampler(STEPS, BATCH)
    CropLoader(range(1), sampler).load_state_dict({"epoch": 0, "steps": steps})
    assert len(list(sampler)) == STEPS
