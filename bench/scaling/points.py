"""What is measured: one point per experiment and size."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import data
from bench.cases import BLOCK_BYTES, THREAD_PER_CALL, Case, Work, split
from bench.data import KIB, MIB, Data

GIB = 1024 * MIB
SIZES = [4 * KIB * 4**step for step in range(11)]
TASKS = [4**step for step in range(7)]
OPEN_FILES = [10**step for step in range(5)]
LINE_BYTES = [4**step for step in range(9)]
SEQUENTIAL_BYTES = 64 * KIB
# What a round reads at least, of small files.
ROUND_BYTES = 32 * MIB
MOST_READS = 200
CACHED_READS = 16_384
COLD_READS = 8_192
# So that what a task costs by itself does not hide what its reads cost.
LEAST_READS_OF_A_TASK = 8
LINES_BYTES = 16 * MIB
MOST_LINES = 200_000
LEAST_LINES = 256
# What else the process has open.
OTHER_FILES = 200


@dataclass(frozen=True)
class Point:
    """One case and the value on the horizontal axis."""

    experiment: str
    x: int
    case: Case
    # Room that is needed, in bytes.
    disk: int = 0
    memory: int = 0

    def why_not(self, folder: Path) -> str | None:
        """What this machine lacks for it; None where nothing."""
        is_made = self.disk == 0 or Data(folder).sized_path(self.disk).exists()
        if not is_made and shutil.disk_usage(folder).free < self.disk + GIB:
            return f"{self.disk // MIB} MiB do not fit on the disk"
        if available_memory() < self.memory:
            return f"needs {self.memory // MIB} MiB of memory"
        if self.experiment == "open-files" and self.x + OTHER_FILES > hard_limit():
            return f"a process may open {hard_limit()} files"
        return None


def available_memory() -> int:
    """Bytes that programs can have without swapping."""
    with Path("/proc/meminfo").open(encoding="ascii") as lines:
        return next(int(line.split()[1]) * KIB for line in lines if line.startswith("MemAvailable"))


def hard_limit() -> int:
    """Files that a process may open here at most."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return os.sysconf("SC_OPEN_MAX") if limit == resource.RLIM_INFINITY else limit


def reads_of(size: int) -> int:
    """How often a file of that size is read in one round."""
    return max(1, min(MOST_READS, ROUND_BYTES // size))


def lines_of(length: int) -> int:
    """How many lines of that length a round reads."""
    return max(LEAST_LINES, min(MOST_LINES, LINES_BYTES // length))


def size_point(experiment: str, method: str, size: int, *more: int) -> Point:
    def prepare(made: Data, _library: str, times: int) -> Work:
        path = made.sized(size)
        return Work((path, *more, times), reads=(path,), count=size * times)

    case = point_case(f"{experiment}-{size}", method, reads_of(size), prepare)
    # Its pages in the cache, and for a whole read its bytes once more.
    return Point(experiment, size, case, size, size * (1 if more else 2) + GIB)


def tasks_point(experiment: str, tasks: int, cold: bool) -> Point:
    def prepare(made: Data, _library: str, count: int) -> Work:
        path, size = (made.big(), data.BIG_BYTES) if cold else (made.medium(), data.MEDIUM_BYTES)
        once = data.block_offsets(count, size, BLOCK_BYTES)
        shares = split([once[number % len(once)] for number in range(count)], tasks)
        return Work((path, shares, BLOCK_BYTES), reads=(path,), count=count * BLOCK_BYTES)

    name = f"{experiment}-{tasks}"
    reads = max(COLD_READS if cold else CACHED_READS, LEAST_READS_OF_A_TASK * tasks)
    slow = None if cold else max(4_096, tasks)
    return Point(experiment, tasks, point_case(name, "pread_tasks", reads, prepare, cold=cold, slow=slow))


def open_files_point(files: int) -> Point:
    def prepare(made: Data, _library: str, count: int) -> Work:
        small = made.small()
        paths = [small[number % len(small)] for number in range(count)]
        return Work((paths,), reads=tuple(small), count=count)

    return Point("open-files", files, point_case(f"open-files-{files}", "open_many", files, prepare))


def line_point(length: int) -> Point:
    def prepare(made: Data, _library: str, count: int) -> Work:
        path = made.lines_of(length, count)
        return Work((path,), reads=(path,), count=count)

    count = lines_of(length)
    case = point_case(f"line-length-{length}", "count_lines", count, prepare, slow=min(count, 4_000))
    return Point("line-length", length, case)


def point_case(
    name: str,
    method: str,
    operations: int,
    prepare: Callable[[Data, str, int], Work],
    *,
    cold: bool = False,
    slow: int | None = None,
) -> Case:
    goal = float("inf")  # There is none: these are looked at.
    return Case(
        name, name, method, operations, goal, prepare, cold, slow_operations=slow, slow=THREAD_PER_CALL
    )


POINTS = [
    *(size_point("size-whole", "whole_reads", size) for size in SIZES),
    *(size_point("size-sequential", "sequential_reads", size, SEQUENTIAL_BYTES) for size in SIZES),
    *(tasks_point("tasks-cached", tasks, cold=False) for tasks in TASKS),
    *(tasks_point("tasks-cold", tasks, cold=True) for tasks in TASKS),
    *(open_files_point(files) for files in OPEN_FILES),
    *(line_point(length) for length in LINE_BYTES),
]
EXPERIMENTS = list(dict.fromkeys(point.experiment for point in POINTS))
BY_NAME = {point.case.name: point.case for point in POINTS}
