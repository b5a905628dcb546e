"""Local replacement of the Slurm commands that submitit calls."""

import sys
from pathlib import Path

# runs the tasks of an array at once and prints its number, like sbatch
SBATCH = """#!{python}
import os, re, shutil, subprocess, sys
from pathlib import Path
script = Path(sys.argv[-1])
here = Path(__file__).parent
number = str(100 * (1 + len(list(here.glob("*.sbatch")))))
shutil.copy(script, here / (number + ".sbatch"))
array = re.search(r"--array=0-(\\d+)", script.read_text())
for task in range(1 + int(array[1])):
    own = {{
        "SLURM_JOB_ID": str(int(number) + task), "SLURM_ARRAY_JOB_ID": number,
        "SLURM_ARRAY_TASK_ID": str(task), "SLURM_NTASKS": "1", "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_JOB_NUM_NODES": "1",
        "SLURM_JOB_NODELIST": "localhost", "SLURM_JOB_NAME": "run",
    }}
    subprocess.Popen(
        ["bash", str(script)], env=os.environ | own, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
print("Submitted batch job", number)
"""
# runs the one task of a step
SRUN = """#!{python}
import os, sys, time
first = sys.argv.index({python!r})
path = sys.argv[sys.argv.index("--output") + 1].replace("%t", "0")
path = path.replace("%A", os.environ["SLURM_ARRAY_JOB_ID"])
path = path.replace("%a", os.environ["SLURM_ARRAY_TASK_ID"])
# a task of SLURM's starts later than submitit makes its folder
until = time.monotonic() + 60
while not os.path.isdir(os.path.dirname(path)) and time.monotonic() < until:
    time.sleep(0.1)
log = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
os.dup2(log, 1), os.dup2(log, 2)
os.execv(sys.argv[first], sys.argv[first:])
"""
SACCT = """#!{python}
print("JobID|State|NodeList")
"""


def install(folder: Path) -> None:
    """Write the commands to ``folder``."""
    for name, text in {"sbatch": SBATCH, "srun": SRUN, "sacct": SACCT}.items():
        path = folder / name
        path.write_text(text.format(python=sys.executable))
        path.chmod(0o755)
