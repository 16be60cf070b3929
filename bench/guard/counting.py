"""Runs the workload under valgrind and reads what it counted."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

from bench.guard import workload

WORKLOAD = Path(workload.__file__)
# The loop's thread: others wake up when they like. Their count is in files of their own.
LOOP_THREAD = "01"
DUMP = re.compile(rf"counts\.(\d+)-{LOOP_THREAD}")
TOTAL = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)


class CountingError(Exception):
    """valgrind failed, or wrote something else than was asked for."""


def count(python: str, package: Path, shim: Path) -> dict[str, float]:
    """Instructions per operation of every case, with the package that lies in the folder `package`."""
    environment = {key: value for key, value in os.environ.items() if key != "AFX_ENGINE"}
    environment |= {"PYTHONHASHSEED": "0", "PYTHONPATH": str(package), "LD_PRELOAD": str(shim)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [
            *("valgrind", "--tool=callgrind", f"--callgrind-out-file={folder / 'counts'}"),
            *("--dump-before=getppid", "--separate-threads=yes", "--fair-sched=yes", "--quiet"),
            *(python, str(WORKLOAD)),
        ]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CountingError(f"the workload failed under valgrind: {done.stderr.strip()}")
        dumps = {int(found[1]): path for path in folder.iterdir() if (found := DUMP.fullmatch(path.name))}
        return per_operation([total_of(dumps[number].read_text()) for number in sorted(dumps)])


def total_of(dump: str) -> int:
    """Instructions since the mark before; a dump in which nothing was counted has no total."""
    found = TOTAL.search(dump)
    return int(found[1]) if found else 0


def per_operation(totals: list[int]) -> dict[str, float]:
    """From the counters at every mark: what was outside of a pair of marks, inside, outside, and so on.

    The least of the repeats counts, without what a pair of marks costs by itself.
    """
    inside = totals[1::2]
    runs = workload.REPEATS + 1
    if len(totals) != 2 * runs * len(workload.NAMES):
        raise CountingError(f"{len(totals)} marks were counted, not {2 * runs * len(workload.NAMES)}")
    parts = [inside[at : at + runs] for at in range(0, len(inside), runs)]
    least = {name: min(part[1:]) for name, part in zip(workload.NAMES, parts, strict=True)}
    empty = least.pop("empty")
    return {name: (total - empty) / workload.OPERATIONS[name] for name, total in least.items()}
