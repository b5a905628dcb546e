"""Run Lyra V2 and tPLCnet from their TensorFlow Lite files, on clips at 16 kHz."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32

from fakesound.attacks.spectral import Audio

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter

LYRA_HOP = 320
LYRA_FEATURES = 64
LYRA_CODES = 46
# tPLCnet: half a window in samples, and the number of hops of context before the predicted one
HOP = 160
CONTEXT = 4


def lyra(folder: Path, audio: Audio, quantisers: int) -> Audio:
    """Encode and decode ``audio`` at 16 kHz, aligned in time.

    Args:
        folder: folder of the three files.
        audio: audio with a peak below 1.
        quantisers: stages of the residual vector quantiser, 1 to 46; 0.2 kbit/s each.
    """
    # encoder and decoder have a state, so each clip gets new ones
    encode = _interpreter(folder / "soundstream_encoder.tflite").get_signature_runner()
    decode = _interpreter(folder / "lyragan.tflite").get_signature_runner()
    quantise, restore = _quantiser(folder / "quantizer.tflite")
    padded = np.pad(audio, (0, -len(audio) % LYRA_HOP)).astype(np.float32)
    decoded = []
    for frame in padded.reshape(-1, 1, LYRA_HOP):
        features = encode(input_audio=frame)["output_0"].reshape(1, 1, LYRA_FEATURES)
        coded = quantise(input_frames=features, num_quantizers=np.int32(quantisers))
        codes = next(value for value in coded.values() if value.dtype == np.int32)
        restored = restore(encoding_indices=codes.reshape(LYRA_CODES, 1, 1))["output_0"]
        decoded.append(decode(input_audio=restored.reshape(1, 1, LYRA_FEATURES))["output_0"][0])
    return np.concatenate(decoded)[: len(audio)]


def conceal(folder: Path, audio: Audio, gaps: Sequence[slice]) -> Audio:
    """Fill the ``gaps`` of ``audio`` at 16 kHz, which is zero there.

    The network predicts overlapping windows of 20 ms from the preceding 50 ms, its own output
    included, and the following 10 ms. The first window starts with the gap. Audio outside the gaps
    does not change.
    """
    predict = _concealer(folder / "tPLCnet_s.tflite")
    filled = audio.copy()
    for gap in gaps:
        count = -(-(gap.stop - gap.start) // HOP)
        before, after = (CONTEXT + 1) * HOP, (count + 1) * HOP
        context = np.pad(audio, (before, after))[gap.start : gap.start + before + after]
        hops = context.reshape(-1, HOP).copy()
        # only whole hops are lost, so the last one may end outside the gap
        hops[CONTEXT + 1 : CONTEXT + 1 + count] = 0
        # the context is the output so far, with earlier gaps filled
        played = np.pad(filled, (before, after))[gap.start : gap.start + before].reshape(-1, HOP)
        hops[: CONTEXT + 1] = played
        tail = hops[CONTEXT] * _falling()
        for hop in range(CONTEXT, CONTEXT + 1 + count):
            window = predict(np.concatenate([hops[hop - CONTEXT : hop], hops[hop : hop + 2]]))
            hops[hop] = tail + window[:HOP]
            tail = window[HOP:]
        filling = hops[CONTEXT + 1 : CONTEXT + 1 + count].reshape(-1)
        filled[gap] = filling[: gap.stop - gap.start]
    return filled


def _falling() -> Float32[np.ndarray, " hop"]:
    """Return the second half of a periodic Hann window of two hops."""
    sample = np.arange(HOP, 2 * HOP)
    return (0.5 - 0.5 * np.cos(np.pi * sample / HOP)).astype(np.float32)


def _interpreter(path: Path) -> "Interpreter":
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(str(path), num_threads=1)


@cache
def _quantiser(path: Path) -> tuple[Callable[..., Any], Callable[..., Any]]:
    interpreter = _interpreter(path)
    return interpreter.get_signature_runner("encode"), interpreter.get_signature_runner("decode")


@cache
def _concealer(
    path: Path,
) -> Callable[[Float32[np.ndarray, "6 hop"]], Float32[np.ndarray, " window"]]:
    run = _interpreter(path).get_signature_runner()
    return lambda hops: next(iter(run(in_1=hops[None].astype(np.float32)).values()))[0]
