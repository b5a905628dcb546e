"""Train once for each group of generators and fold of sources, the group left out; then analyse.py.

python experiments/leave_one_generator_out/run.py MANIFEST [key=value ...]

The generators of the bench are dealt into groups; a run leaves one group out of training,
validation and thresholds, trains on the other generators' clips of two folds of the sources (one
of them validates), and tests on the third: no recording is on both sides. So each clip is scored
by a model that heard neither its generator nor its source. Further arguments go to every run.
"""

import subprocess
import sys
from pathlib import Path

from fakesound.data.manifest import read_manifest

GROUPS, FOLDS = 4, 3


def main(manifest: Path, overrides: list[str]) -> None:
    """Run the sweep; `resume=auto` makes a second call do only what is missing."""
    names = sorted({c.attack for c in read_manifest(manifest, check_files=False) if c.attack})
    groups = [f"[{','.join(names[first::GROUPS])}]" for first in range(GROUPS)]
    command = [
        *(sys.executable, "-m", "fakesound.run", "-m", "experiment=mt_vim"),
        *("name=leave_one_generator_out", "resume=auto", "split=source_folds"),
        *(f"data.manifest={manifest}", f"split.folds={FOLDS}", "split.inner_held_out=null"),
        f"split.fold={','.join(str(fold) for fold in range(FOLDS))}",
        f"split.held_out={','.join(groups)}",
        # all fakes of the bench that are tested, not one for each genuine clip
        *("split.seen_per_genuine=null", *overrides),
    ]
    raise SystemExit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
