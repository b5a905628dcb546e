"""Show which parts of a recording, in time and frequency, a detector's score depends on.

fakesound explain FILE [--out PICTURE]
fakesound explain --manifest M [--clips N]
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fakesound import command_line
from fakesound.command_line import check_least, entry_point
from fakesound.data.location import AnyLocation, parse_location
from fakesound.errors import InputError, shown
from fakesound.files import check_outputs
from fakesound.progress import console, print_line, progress_bar

if TYPE_CHECKING:
    from fakesound.inference import Detector

DESCRIPTION = """\
Draw which parts of a recording change its score. Cells of 0.2 s and an eighth of the band are
hidden one at a time: if the score falls, the cell is evidence for "fake" (red); if it rises, for
"genuine" (blue). Recordings may last 30 s; one second of audio takes one or two seconds.

With --manifest, the pictures are tested on partly fake clips: how often the most relevant cell
overlaps a fake part, compared with chance, and how fast the score falls if the most relevant cells
are hidden first, compared with a random order.
"""
EXAMPLES = """\
examples:
  fakesound explain interview.wav --out interview.png
  fakesound explain --manifest prepared/embedded/manifest.jsonl --clips 40
"""


@entry_point
def main() -> None:
    """Run from the command line."""
    options = build_parser().parse_args()
    if (options.recording is None) == (options.manifest is None):
        raise InputError("give either a recording, or --manifest")
    check_least(options, clips=1)
    if options.out is not None and options.out.suffix not in (".png", ".svg"):
        raise InputError(f"--out={options.out}: must end with .png or .svg")
    if options.recording is not None:
        if options.recording.is_dir():
            raise InputError(f"{options.recording}: is a folder; name a recording")
        options.out = options.out or options.recording.with_suffix(".explained.png")
        check_outputs({"--out": options.out}, [options.recording])
    # imported after the checks: slow
    from fakesound.inference import Detector

    detector = Detector.from_checkpoint(options.checkpoint, backend="torch")
    if options.manifest is not None:
        _measure(detector, options.manifest, options.clips)
    else:
        _draw(detector, options.recording, options.out)


def _draw(detector: "Detector", recording: Path, out: Path) -> None:
    from fakesound.data.audio import read_audio
    from fakesound.inference.explanation import Occlusion
    from fakesound.inference.inputs import named_files
    from fakesound.inference.page import detection_content
    from fakesound.report.clip_view import Relevance, Sound, clip_figure
    from fakesound.report.style import save_figure

    with named_files([str(recording)]) as ((_, path), *_):
        audio = read_audio(path, detector.rate)
    occlusion = Occlusion(detector, audio, name=str(recording))
    with progress_bar("hiding parts") as progress:
        explanation = occlusion.explain(progress)
    detection = detector.detect(audio, detector.rate)
    relevance = Relevance(explanation.relevance, explanation.seconds, explanation.hertz)
    sound = Sound(audio, detector.rate)
    content = detection_content(detection, detector.frame_threshold, sound, relevance)
    figure = clip_figure(content)
    assert figure is not None
    save_figure(figure, out)
    message = f"{detection.verdict}, score {detection.score:.2f}; picture: {shown(str(out))}"
    print_line(message)


def _measure(detector: "Detector", manifest: AnyLocation, count: int) -> None:
    from fakesound.data.manifest import read_manifest
    from fakesound.inference.explanation import measure_faithfulness

    clips = [c for c in read_manifest(manifest) if c.is_fake and c.split in (None, "test")]
    with progress_bar("hiding parts") as progress:
        result = measure_faithfulness(detector, clips, count, progress)
    console.print(
        f"{result.clips} partly fake clips\n"
        f"most relevant cell in a fake part: {result.pointing:.2f} (chance {result.chance:.2f})\n"
        f"mean change of the logit while cells are hidden: {result.deletion:+.2f} most relevant "
        f"first, {result.random:+.2f} in random order"
    )


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this verb."""
    parser = command_line.parser("explain", DESCRIPTION, EXAMPLES)
    parser.add_argument("recording", nargs="?", type=Path, metavar="FILE", help="a recording")
    parser.add_argument("--out", type=Path, metavar="PICTURE", help="picture to write, PNG or SVG")
    parser.add_argument(
        "--manifest", type=parse_location, help="labelled clips to test the pictures on"
    )
    parser.add_argument("--clips", type=int, default=40, help="largest number of clips to use (40)")
    parser.add_argument("--checkpoint", default="default", metavar="PATH", help="your own detector")
    return parser


if __name__ == "__main__":
    main()
