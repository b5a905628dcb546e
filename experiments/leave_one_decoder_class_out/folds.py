"""Write a manifest for each fold of decoder classes, and print its commands.

python experiments/leave_one_decoder_class_out/folds.py MANIFEST INIT FOLDER

MANIFEST has the clips of `prepare public_generators`, genuine recordings and forged fakes.
INIT is a detector that was trained on forged fakes only.
"""

import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from fakesound.clip import Clip
from fakesound.data.decoder_folds import deal_decoders, split_by_decoder
from fakesound.data.manifest import read_manifest, write_manifest
from fakesound.data.splits import linked

FOLDS = 7
# clips of an attack, and genuine clips of a page, in the test
AT_MOST = 8
# attacks of the forge, and published pairs, whose decoder is in a class
RELATED = {
    "codec_rvq": ("codec/neural_rvq", "codec/lyra"),
    "gan_vocoder": ("vocoder/neural_upsampling", "vocoder/hifigan", "vocoder/hifigan_16k"),
    "griffin_lim": ("vocoder/griffin_lim", "vocoder/mel_griffin_lim"),
    "istft_vocoder": ("vocoder/neural_istft",),
    "mask": ("separation/spectral_gate", "separation/harmonic_percussive"),
    "source_filter": ("vocoder/world", "vocoder/linear_prediction"),
}
# published networks, which are no attacks of a default run
PUBLISHED = ("codec/lyra", "vocoder/hifigan", "vocoder/hifigan_16k")


def main(manifest: Path, init: str, folder: Path) -> None:
    """Write the manifests and print the commands."""
    clips = read_manifest(manifest, check_files=False)
    decoders = deal_decoders(clips, FOLDS).decoders
    for fold in range(FOLDS):
        classes = [name for name, place in decoders.items() if place == fold]
        related = {attack for name in classes for attack in RELATED.get(name, ())}
        path = folder / f"fold{fold}.jsonl"
        write_manifest(path, fold_clips(clips, fold, related))
        unused = {"codec/gsm", *related} - {*PUBLISHED}
        weights = ",".join(f"{attack}:0" for attack in sorted(unused))
        print(f"# {', '.join(classes)}")
        print(
            f"fakesound run experiment=detector split=official init.path={init} "
            f"data.manifest={path} 'data.crop.weights={{{weights}}}' "
            f"data.on_bad_audio=skip seed={fold} epochs=2 steps=1300 data.crop.later_from=0.5 "
            f"hydra.run.dir={folder / f'run{fold}'}"
        )
        # the test of the run has as many fakes as genuine clips, this one all; the best checkpoint
        # would be chosen and calibrated on a few pages
        last = folder / f"run{fold}/checkpoints/last.ckpt"
        print(
            f"fakesound evaluate --checkpoint {last} "
            f"--manifest {path} --draws 100 --out {folder / f'test{fold}'}"
        )


def fold_clips(clips: Sequence[Clip], fold: int, related: set[str]) -> list[Clip]:
    """Return the clips of a fold: its decoders and their pages are in the test only.

    The validation, which a run needs, has three groups of other pages. The test has published
    fakes, and genuine clips of their pages.
    """
    split = split_by_decoder(clips, -1, fold, FOLDS, at_most=AT_MOST)
    pages = {clip.domain for clip in split if clip.split == "test" and clip.decoder}
    test = [
        clip
        for clip in split
        if clip.split == "test" and clip.domain in pages and (clip.decoder or not clip.is_fake)
    ]
    train = [clip for clip in split if clip.split == "train" and clip.attack not in related]
    validation = validation_sources(train, fold)
    train = [
        replace(clip, split="validation") if validation & {*clip.sources} else clip
        for clip in train
    ]
    kept = {clip.clip_id: clip for clip in (*train, *test)}
    return [without_lost_twin(clip, kept) for clip in kept.values()]


def validation_sources(train: Sequence[Clip], seed: int) -> set[str]:
    """Return the sources of three random groups of pages with 20 to 80 clips of both labels."""
    pages = {clip.domain for clip in train if clip.decoder}
    links = {
        (
            *(f"source {source}" for source in clip.sources),
            *((f"page {clip.domain}",) if clip.domain in pages else ()),
            *((f"group {clip.extra['split_group']}",) if "split_group" in clip.extra else ()),
        )
        for clip in train
    }
    names = linked(sorted(links))
    groups: defaultdict[str, list[Clip]] = defaultdict(list)
    for clip in train:
        groups[names[f"source {clip.source_id}"]].append(clip)
    usable = sorted(
        name
        for name, members in groups.items()
        if 20 <= len(members) <= 80
        and min(fakes := sum(clip.is_fake for clip in members), len(members) - fakes) >= 8
    )
    np.random.default_rng(seed).shuffle(usable)
    return {source for name in usable[:3] for clip in groups[name] for source in clip.sources}


def without_lost_twin(clip: Clip, kept: dict[str, Clip]) -> Clip:
    """Return ``clip`` without its twin if the limit of clips removed the twin."""
    twin = kept.get(clip.twin_id or "")
    if clip.twin_id is None or (twin is not None and twin.split == clip.split):
        return clip
    extra = {key: value for key, value in clip.extra.items() if key != "twin_lag"}
    return replace(clip, twin_id=None, extra=extra)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
