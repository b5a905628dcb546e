"""Score many short files in one process, and on a local Ray cluster while a worker is killed.

The files are half seconds of the embedded recordings. The script compares the rows and prints a
table of both.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from itertools import cycle
from pathlib import Path

import soundfile

from fakesound.data.training_data import training_data

SECONDS = 0.5
FINISHED = 40  # scored files of a shard, after which its worker is killed


def write_files(folder: Path, count: int) -> None:
    """Write ``count`` files, cut from the embedded recordings."""
    written = 0
    for recording in cycle(sorted(training_data("embedded", "many_files").rglob("*.ogg"))):
        samples, rate = soundfile.read(recording, dtype="int16")
        size = int(SECONDS * rate)
        # other cuts when the recordings are used again
        for first in range(written % 997, len(samples) - size, size):
            if written == count:
                return
            place = folder / f"{written // 1000:05d}" / f"{written:08d}.wav"
            place.parent.mkdir(exist_ok=True)
            soundfile.write(place, samples[first : first + size], rate)
            written += 1


def workers_under(pid: int) -> list[int]:
    """Return the processes that score shards and descend from ``pid``; reads /proc."""
    parents, scoring = {}, []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            stat = (place / "stat").read_text()
            parents[int(place.name)] = int(stat.rpartition(")")[2].split()[1])
            if b"score_shard" in (place / "cmdline").read_bytes():
                scoring.append(int(place.name))
        except OSError:  # it has ended
            continue

    def below(child: int) -> bool:
        while child in parents and child != pid:
            child = parents[child]
        return child == pid

    return [child for child in scoring if below(child)]


def timed(command: list[str], out: Path | None = None) -> tuple[float, int]:
    """Run ``command`` and return its seconds and the number of workers killed.

    One worker is killed, in the middle of a shard in ``out``.
    """
    start, killed = time.perf_counter(), 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
        while running.poll() is None:
            if out is not None and not killed and is_working(out):
                for worker in workers_under(running.pid)[:1]:
                    os.kill(worker, signal.SIGKILL)
                    killed += 1
            time.sleep(0.2)
    if running.returncode:
        sys.exit(f"{' '.join(command)}: exit code {running.returncode}")
    return time.perf_counter() - start, killed


def is_working(out: Path) -> bool:
    """Return whether a worker has finished some files of a shard."""
    journals = [path.read_bytes() for path in out.glob("shards/.*.unfinished")]
    return any(journal.count(b'"detection"') > FINISHED for journal in journals)


def rows(path: Path) -> list[dict[str, object]]:
    """Return the rows of a file of results, without the time of their creation."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) | {"created": None} for line in lines]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as place:
        audio, one, out = Path(place, "audio"), Path(place, "one.jsonl"), Path(place, "out")
        audio.mkdir()
        write_files(audio, options.files)
        detect = [sys.executable, "-m", "fakesound.detect", str(audio)]
        alone, _ = timed([*detect, "--jsonl", str(one)])
        ray = ["--out", str(out), "--workers", "ray", "--worker-option"]
        cluster, killed = timed([*detect, *ray, f"num_cpus={options.workers}"], out)
        expected, scored = rows(one), rows(out / "detections.jsonl")
    equal = sum(a == b for a, b in zip(expected, scored, strict=True))
    record = {
        "files": options.files,
        "seconds_of_a_file": SECONDS,
        "workers": options.workers,
        "one_process_seconds": alone,
        "ray_seconds": cluster,
        "workers_killed": killed,
        "rows_equal": equal,
    }
    print(f"| {options.files:,} files | seconds | files a second | killed | equal rows |")
    print("|---|---:|---:|---:|---:|")
    print(f"| one process | {alone:.0f} | {options.files / alone:.1f} | 0 | |")
    speed = options.files / cluster
    print(
        f"| Ray, {options.workers} workers | {cluster:.0f} | {speed:.1f} | {killed} | {equal:,} |"
    )
    if options.json is not None:
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
