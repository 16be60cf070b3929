"""What the module costs before it does anything: the time to import it, the memory of an idle open file."""

from __future__ import annotations

import statistics
import subprocess
import sys
from dataclasses import dataclass

ROUNDS = 11
FILES = 1_000

# asyncio is there already in every program that could use the module.
IMPORT = """
import asyncio, time
began = time.perf_counter()
import aiofile
print((time.perf_counter() - began) * 1000)
"""

# Each file has read a line, so that its buffers are there; the first ones warm up the allocator.
IDLE = f"""
import asyncio, os, resource, tempfile
import aiofile

def resident_kib():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1024

async def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, ({FILES} + 200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as text:
        text.write("a line\\n" * 10_000)
        text.flush()

        async def idle_file():
            f = await aiofile.open(text.name, encoding="utf-8")
            await f.readline()
            return f

        held = [await idle_file() for _ in range(100)]
        before = resident_kib()
        held += [await idle_file() for _ in range({FILES})]
        print((resident_kib() - before) / {FILES})
        for f in held:
            await f.close()

asyncio.run(main())
"""


@dataclass(frozen=True)
class Footprint:
    """A figure with a limit of its own, not a ratio."""

    name: str
    title: str
    program: str
    unit: str
    goal: float


FOOTPRINTS = [
    Footprint("import", "import aiofile, above import asyncio", IMPORT, "ms", 15),
    Footprint("idle-file", "memory of an idle open file", IDLE, "KiB", 16),
]


def measure(footprint: Footprint) -> str:
    """One line: the median of the rounds, the goal and whether it is met."""
    figures = []
    for _ in range(ROUNDS):
        done = subprocess.run(
            [sys.executable, "-c", footprint.program], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            return f"{footprint.title}: {done.stderr.strip().splitlines()[-1]}"
        figures.append(float(done.stdout))
    median = statistics.median(figures)
    verdict = "ok" if median <= footprint.goal else "MISS"
    return f"{footprint.title}: {median:.1f} {footprint.unit} (goal <= {footprint.goal:g}: {verdict})"
