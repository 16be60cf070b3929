"""Reads many places of one file at once: 64 tasks, one descriptor, no threads.

Usage: python concurrent_preads.py [FILE]
"""

import asyncio
import random
import sys
import tempfile
from pathlib import Path

import aiofile

BLOCK_BYTES = 4096
TASKS = 64
READS_PER_TASK = 32


async def main(path: Path) -> None:
    blocks = path.stat().st_size // BLOCK_BYTES
    async with aiofile.open(path, "rb") as f:

        async def read_some(seed: int) -> int:
            choose = random.Random(seed)
            # `pread` takes its offset with it, so the tasks share no position.
            chunks = [
                await f.pread(BLOCK_BYTES, choose.randrange(blocks) * BLOCK_BYTES)
                for _ in range(READS_PER_TASK)
            ]
            return sum(map(len, chunks))

        sizes = await asyncio.gather(*map(read_some, range(TASKS)))
    engine = aiofile.backend_info()["engine"]
    await aiofile.print(f"{TASKS} tasks read {sum(sizes):,} bytes through the {engine} engine")


with tempfile.TemporaryDirectory() as folder:
    given = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder, "data.bin")
    if len(sys.argv) == 1:
        given.write_bytes(bytes(BLOCK_BYTES) * 4096)
    asyncio.run(main(given))
