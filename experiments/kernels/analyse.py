"""Print the tables of this study from the records that `benchmarks` wrote.

python experiments/kernels/analyse.py
"""

import json
from pathlib import Path

HERE = Path(__file__).parent
DIRECTIONS = ("forward", "forward+backward")


def main() -> None:
    """Print every table."""
    scan = [*records("scan.json"), *records("scan_long.json")]
    for batch in sorted({record["B"] for record in scan}):
        for direction in DIRECTIONS:
            chosen = [r for r in scan if r["B"] == batch and r["direction"] == direction]
            others = ("c_loop", "chunked", "mambapy", "reference")
            by_length(f"scan, two directions, B={batch}, {direction}", chosen, "cpu", others)
    one = records("scan_one_direction.json")
    for direction in DIRECTIONS:
        chosen = [r for r in one if r["direction"] == direction]
        others = ("c_loop", "chunked", "mambapy", "reference")
        by_length(f"scan, one direction, B=8, {direction}", chosen, "cpu", others)
    model = records("model.json")
    for batch in sorted({record["B"] for record in model}):
        for direction in DIRECTIONS:
            chosen = [r for r in model if r["B"] == batch and r["direction"] == direction]
            by_length(f"vim_tiny, B={batch}, {direction}", chosen, "cpu", ("matmul", "transformer"))
    steps("train.json")


def records(name: str) -> list[dict]:
    """Return the records of a file."""
    return json.loads((HERE / name).read_text())["records"]


def by_length(title: str, chosen: list[dict], ours: str, others: tuple[str, ...]) -> None:
    """Print our time and memory at each length, and those of others as multiples of ours."""
    present = [name for name in others if any(r["backend"] == name for r in chosen)]
    print(f"**{title}**\n")
    print("| L | ours, ms | ours, MiB |", " | ".join(f"{n}, time | memory" for n in present), "|")
    print("|---:|" + "---:|" * (2 + 2 * len(present)))
    for length in sorted({record["L"] for record in chosen}):
        by_backend = {r["backend"]: r for r in chosen if r["L"] == length}
        own = by_backend[ours]
        cells = [
            str(length),
            f"{1e3 * own['seconds']:.{0 if own['seconds'] > 0.1 else 1}f}",
            f"{own['peak_bytes'] / 2**20:.1f}",
        ]
        for name in present:
            other = by_backend.get(name)
            cells += (
                ["", ""]
                if other is None
                else [
                    times(other["seconds"] / own["seconds"]),
                    times(other["peak_bytes"] / own["peak_bytes"]),
                ]
            )
        print("|", " | ".join(cells), "|")
    print()


def times(ratio: float) -> str:
    """Return a ratio in a few digits."""
    return f"{ratio:.0f}x" if ratio >= 10 else f"{ratio:.2f}x"


def steps(name: str) -> None:
    """Print the parts of a training step with each kernel, on crops from disk."""
    chosen = [r for r in records(name) if r["data"] == "crops"]
    parts = list(dict.fromkeys(r["what"] for r in chosen))
    kernels = list(dict.fromkeys(r["backend"] for r in chosen))
    print("**a training step of mt_vim**\n")
    print("| |", " | ".join(f"{kernel}, ms" for kernel in kernels), "| ratio |")
    print("|---|" + "---:|" * (len(kernels) + 1))
    for part in parts:
        times = [
            next(r for r in chosen if r["what"] == part and r["backend"] == kernel)["seconds"]
            for kernel in kernels
        ]
        cells = [part, *(f"{1e3 * t:.3g}" for t in times), f"{max(times) / min(times):.2f}"]
        print("|", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
