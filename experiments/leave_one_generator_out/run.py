"""Train without each group of generators and fold of sources; analyse.py reads the runs.

python experiments/leave_one_generator_out/run.py MANIFEST [key=value ...]

The generators of the bench are divided into groups. A run holds one group out of training,
validation and thresholds. It trains on clips of the other generators in one fold of sources,
validates on a second fold and tests on a third, so that no recording is in two of them. Each clip
is scored by a model that was trained neither on its generator nor on its source. Further arguments
are passed to every run.
"""

import subprocess
import sys
from pathlib import Path

from fakesound.data.manifest import read_manifest

GROUPS, FOLDS = 4, 3


def main(manifest: Path, overrides: list[str]) -> None:
    """Run the sweep; with `resume=auto`, a second call runs only what is missing."""
    names = sorted({c.attack for c in read_manifest(manifest, check_files=False) if c.attack})
    groups = [f"[{','.join(names[first::GROUPS])}]" for first in range(GROUPS)]
    command = [
        *(sys.executable, "-m", "fakesound.run", "-m", "experiment=mt_vim"),
        *("name=leave_one_generator_out", "resume=auto", "split=source_folds"),
        *(f"data.manifest={manifest}", f"split.folds={FOLDS}", "split.inner_held_out=null"),
        f"split.fold={','.join(str(fold) for fold in range(FOLDS))}",
        f"split.held_out={','.join(groups)}",
        # test all fakes of the bench, not one per genuine clip
        *("split.seen_per_genuine=null", *overrides),
    ]
    raise SystemExit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
