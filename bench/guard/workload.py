"""The fixed small cases of rungs 1 and 2. Runs under valgrind, which writes its counters at every mark.

`python workload.py` prints nothing; `NAMES` says which case the counters of each pair of marks belong to.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

# Who only reads the tables here needs no package.
if TYPE_CHECKING or __name__ == "__main__":
    import aiofile

# A function of libc that nothing else calls: valgrind is told to write its counters whenever it is entered.
mark = os.getppid
REPEATS = 5
LINES = 10_000
BLOCKS = 256
BLOCK_BYTES = 4096
CALLS = 1_000
FILES = 100
LINE = "y" * 55 + "\n"
# What is written fits in, so that no other thread takes part.
WRITE_BUFFER_BYTES = 4 * 1024 * 1024


async def empty(_folder: Path) -> None:
    mark()
    mark()


async def readline(folder: Path) -> None:
    async with aiofile.open(folder / "lines", encoding="utf-8") as f:
        mark()
        while await f.readline():
            pass
        mark()


async def each_line(folder: Path) -> None:
    async with aiofile.open(folder / "lines", encoding="utf-8") as f:
        mark()
        async for _ in f:
            pass
        mark()


async def batches(folder: Path) -> None:
    async with aiofile.open(folder / "lines", encoding="utf-8") as f:
        mark()
        async for _ in f.lines(batch=512):
            pass
        mark()


async def write(folder: Path) -> None:
    async with aiofile.open(folder / "written", "w", WRITE_BUFFER_BYTES, encoding="utf-8") as f:
        mark()
        for _ in range(LINES):
            await f.write(LINE)
        mark()


async def seek_read(folder: Path) -> None:
    async with aiofile.open(folder / "blocks", "rb") as f:
        mark()
        for number in range(CALLS):
            await f.seek(offset_of(number))
            await f.read(BLOCK_BYTES)
        mark()


async def pread(folder: Path) -> None:
    async with aiofile.open(folder / "blocks", "rb") as f:
        mark()
        for number in range(CALLS):
            await f.pread(BLOCK_BYTES, offset_of(number))
        mark()


async def open_read_close(folder: Path) -> None:
    mark()
    for _ in range(FILES):
        async with aiofile.open(folder / "small", "rb") as f:
            await f.read()
    mark()


def offset_of(number: int) -> int:
    """Blocks in an order that no read-ahead guesses."""
    return number * 7919 % BLOCKS * BLOCK_BYTES


CASES = (empty, readline, each_line, batches, write, seek_read, pread, open_read_close)
NAMES = [case.__name__ for case in CASES]
OPERATIONS = {
    "readline": LINES,
    "each_line": LINES,
    "batches": LINES,
    "write": LINES,
    "seek_read": CALLS,
    "pread": CALLS,
    "open_read_close": FILES,
}


async def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "lines").write_text(LINE * LINES)
        (folder / "blocks").write_bytes(bytes(BLOCKS * BLOCK_BYTES))
        (folder / "small").write_bytes(bytes(BLOCK_BYTES))
        gc.disable()
        for case in CASES:
            # The first of them warms up what is made once: caches of the interpreter, a ring, buffers.
            for _ in range(REPEATS + 1):
                await case(folder)
                gc.collect()


if __name__ == "__main__":
    if hasattr(aiofile, "backend_info"):
        sys.stderr.write(f"engine: {aiofile.backend_info()['engine']}\n")
    asyncio.run(main())
