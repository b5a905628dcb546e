"""Published neural codecs, vocoders and inpainting networks with their weights: optional attacks.

The user gives the folder of the weights (`fakesound.attacks.weights`). Runtimes are imported for
the first clip.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np

from fakesound.attacks.neural import fill_gaps, resynthesise
from fakesound.attacks.spectral import Audio
from fakesound.attacks.weights import PUBLISHED, weights_folder

RATE = 16_000
# range of the peak in dB of full scale, as in the training of the vocoders
LOUD = (-4.0, -0.4)
# 3.2, 6 and 9.2 kbit/s are the rates of the published codec; with fewer than 8 stages, speech is
# not intelligible
LYRA_STAGES = (16, 30, 46)
LYRA_PUBLISHED = 0.6
LYRA_RANGE = (8, 46)


def lyra(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Encode and decode with Lyra V2 at 1.6 to 9.2 kbit/s: SoundStream with a GAN decoder.

    Zeghidour et al., "SoundStream", TASLP 2021; the codec that Google released in 2022.
    """
    from fakesound.attacks.neural.litert import lyra as coded

    folder = weights_folder("lyra", "codec/lyra")
    stages = int(rng.choice(LYRA_STAGES))
    if rng.random() > LYRA_PUBLISHED:
        stages = int(rng.integers(LYRA_RANGE[0], LYRA_RANGE[1], endpoint=True))
    return resynthesise(audio, rate, rng, RATE, lambda x: coded(folder, x, stages))


def hifigan(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Resynthesise from the mel spectrogram by HiFi-GAN at 22.05 kHz, with two sets of weights.

    Kong, Kim and Bae, "HiFi-GAN", NeurIPS 2020, generator V1.
    """
    from fakesound.attacks.neural.hifigan import UNIVERSAL
    from fakesound.attacks.neural.hifigan import hifigan as vocoded

    names = PUBLISHED["hifigan"].files
    path = weights_folder("hifigan", "vocoder/hifigan") / names[int(rng.integers(len(names)))]
    return resynthesise(
        audio, rate, rng, UNIVERSAL.rate, lambda x: vocoded(path, x, UNIVERSAL), LOUD
    )


def hifigan_16k(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Resynthesise from the mel spectrogram by a HiFi-GAN for Chinese speech at 16 kHz."""
    from fakesound.attacks.neural.hifigan import CHINESE_16K
    from fakesound.attacks.neural.hifigan import hifigan as vocoded

    folder = weights_folder("hifigan_16k", "vocoder/hifigan_16k")
    path = folder / PUBLISHED["hifigan_16k"].files[0]
    return resynthesise(
        audio, rate, rng, CHINESE_16K.rate, lambda x: vocoded(path, x, CHINESE_16K), LOUD
    )


def tplcnet(audio: Audio, rate: int, gaps: Sequence[slice], rng: np.random.Generator) -> Audio:
    """Fill gaps by tPLCnet, from the 50 ms before.

    Westhausen and Meyer, "tPLCnet", Interspeech 2022: concealment of lost packets in calls.
    """
    from fakesound.attacks.neural.litert import conceal

    folder = weights_folder("tplcnet", "inpainting/tplcnet")
    return fill_gaps(audio, rate, gaps, rng, RATE, partial(conceal, folder))
