"""Work that times itself, since not all that it does is to be measured."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

# Opened before the memory of open files is measured: the allocator takes its first pages for them.
WARM_FILES = 64


@dataclass
class Timed:
    """What such work returns instead of a count: figures that replace the child's own."""

    figures: dict[str, float] = field(default_factory=dict)
    count: int = 0

    @contextmanager
    def clock(self) -> Iterator[None]:
        """Measures what is inside."""
        cpu, began = time.process_time(), time.perf_counter()
        yield
        self.figures["seconds"] = time.perf_counter() - began
        self.figures["cpu_seconds"] = time.process_time() - cpu


def resident_bytes() -> int:
    """Memory of this process that is there now."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def allow_open_files() -> None:
    """As many as the administrator lets this process have."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
