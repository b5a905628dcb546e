"""Measure how well each stage of each generator reconstructs recordings that it was not trained on.

python experiments/neural_attacks/analyse.py [--root SPEECH]

Without a folder, the recordings are validation and test clips of the embedded corpus. The table is
printed and written to results.csv.
"""

import argparse
import csv
from pathlib import Path
from time import process_time

import numpy as np
import torch
from objectives import MelDistance
from torch import Tensor

from fakesound.attacks.neural.codec import Codec
from fakesound.attacks.neural.mel import HOP, RATE
from fakesound.attacks.neural.rendering import build_network, read_stages
from fakesound.data.audio import read_audio
from fakesound.data.folders import SUFFIXES
from fakesound.errors import InputError
from fakesound.forging import embedded_clips

ORDER = ("early", "middle", "late")
MOST = 100
SECONDS = 5
PEAK = 0.3


def main() -> None:
    """Measure all stages; print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, help="speech that was not trained on")
    options = parser.parse_args()
    torch.set_num_threads(1)
    audios = [*recordings(options.root)]
    rows = []
    for name in ("neural_istft", "neural_upsampling", "neural_rvq"):
        for stage in sorted(read_stages(name), key=ORDER.index):
            network = build_network(name, stage)
            most = network.quantiser.size if isinstance(network, Codec) else 0
            rows += [
                row(name, stage, network, used, audios) for used in sorted({1 % (most + 1), most})
            ]
    with (Path(__file__).parent / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print("|", " | ".join(rows[0]), "|")
    print("|---|---|" + "---:|" * (len(rows[0]) - 2))
    for one in rows:
        print("|", " | ".join(str(value) for value in one.values()), "|")


def recordings(root: Path | None) -> list[Tensor]:
    """Return the first seconds of up to `MOST` recordings, with the same peak."""
    if root is None:
        paths = [Path(clip.location) for clip in embedded_clips() if clip.split != "train"]
    else:
        paths = [path for path in sorted(root.rglob("*")) if path.suffix in SUFFIXES]
    audios = []
    for path in paths[:: max(1, len(paths) // MOST)]:
        try:
            audio = read_audio(path, RATE)[: SECONDS * RATE]
        except InputError as error:
            print("left out:", error)
            continue
        peak = np.abs(audio).max()
        if len(audio) > RATE // 2 and peak > 1e-3:
            audio = np.pad(audio * (PEAK / peak), (0, -len(audio) % HOP))
            audios.append(torch.from_numpy(audio)[None])
    return audios


@torch.inference_mode()
def row(
    name: str, stage: str, network: torch.nn.Module, used: int, audios: list[Tensor]
) -> dict[str, object]:
    """Return the metrics of one stage; a codec uses ``used`` stages of its quantiser."""
    mel_distance = MelDistance()
    figures, seconds = [], 0.0
    for audio in audios:
        start = process_time()
        output = network(audio, used) if used else network(network.mel(audio))
        seconds += process_time() - start
        level = 20 * torch.log10(output.std() / audio.std())
        distances = log_spectral_distance(audio, output), mel_distance(audio, output), level
        figures.append([float(value) for value in distances])
    spectral, mel, level = np.mean(figures, axis=0)
    return {
        "generator": name,
        "stage": stage,
        "quantiser stages": used or "",
        "log-spectral distance, dB": round(spectral, 2),
        "mel distance, nepers": round(mel, 3),
        "level, dB": round(level, 1),
        "times real time": round(sum(a.shape[1] for a in audios) / RATE / seconds),
    }


def log_spectral_distance(one: Tensor, other: Tensor) -> Tensor:
    """Return the mean over frames of the root mean square difference in dB, above -100 dB."""
    window = torch.hann_window(512)
    bins = [torch.stft(x, 512, 128, window=window, return_complex=True).abs() for x in (one, other)]
    logs = [20 * torch.log10((b * (2 / window.sum())).clamp(min=1e-5)) for b in bins]
    return (logs[0] - logs[1]).square().mean(dim=1).sqrt().mean()


if __name__ == "__main__":
    main()
