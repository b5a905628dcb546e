"""Serve a web page for detection, and ``POST /detect`` for programs, on this machine only.

fakesound serve [--port 8400] [--checkpoint PATH]
"""

import argparse
from importlib.util import find_spec

from fakesound import command_line
from fakesound.command_line import entry_point
from fakesound.errors import InputError

DESCRIPTION = """\
Serve detection on a port that only this machine can reach. In a browser, drop or record audio to
see the view of `detect --html`. Programs send a file as the body of POST /detect and get JSON, with
?frames=true also frame scores. Nothing is stored, and nothing leaves the machine.

Requests beyond the limits are refused: 413 too large or too long, 408 too slow, 503 too many.
"""
EXAMPLES = """\
examples:
  fakesound serve
  curl --data-binary @interview.wav 'http://127.0.0.1:8400/detect?name=interview.wav'
"""


@entry_point
def main() -> None:
    """Run from the command line."""
    options = build_parser().parse_args()
    _check(options)
    # imported after the checks: slow
    from fakesound.inference import Detector
    from fakesound.serving.application import Limits
    from fakesound.serving.server import serve

    detector = Detector.from_checkpoint(options.checkpoint, options.confidence)
    limits = Limits(
        megabytes=options.max_megabytes, minutes=options.max_minutes, waiting=options.max_waiting
    )
    serve(detector, limits, options.port)


def _check(options: argparse.Namespace) -> None:
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise InputError(f"{missing[0]}: not installed; pip install 'fakesound[serve]'")
    for name in ("max_megabytes", "max_minutes", "max_waiting"):
        value = getattr(options, name)
        if not 0 < value < 1e6:
            raise InputError(f"--{name.replace('_', '-')}={value}: must be above 0, below 1e6")
    if not 0 <= options.port < 65_536:
        raise InputError(f"--port={options.port}: must be from 0 to 65535")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this verb."""
    parser = command_line.parser("serve", DESCRIPTION, EXAMPLES)
    parser.needs_arguments = False
    parser.add_argument("--port", type=int, default=8400, help="port; 0 for any free port (8400)")
    command_line.add_detector(parser)
    parser.add_argument("--max-megabytes", type=float, default=200, help="largest recording (200)")
    parser.add_argument("--max-minutes", type=float, default=120, help="longest recording (120)")
    parser.add_argument(
        "--max-waiting", type=int, default=8, help="requests that wait for the detector (8)"
    )
    return parser


if __name__ == "__main__":
    main()
