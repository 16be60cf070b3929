"""Writes a compressed log that can be read while it grows, then its summary in one step.

Usage: python compressed_log.py
"""

import asyncio
import collections
import json
import tempfile
from pathlib import Path

import aiofile


async def write(log: Path) -> None:
    async with aiofile.open(log, "a", encoding="utf-8", compression="infer") as file:
        for number in range(1000):
            await file.write(f"{'error' if number % 100 == 0 else 'info'} request {number}\n")
            if number % 250 == 249:
                # Whoever reads it now gets everything up to here.
                await file.flush()


async def summarize(log: Path, summary: Path) -> None:
    levels: collections.Counter[str] = collections.Counter()
    async with aiofile.open(log, encoding="utf-8", compression="infer") as file:
        async for line in file:
            levels[line.split()[0]] += 1
    # Nobody ever sees half of it.
    async with aiofile.atomic_write(summary, durability="data") as target:
        await target.write(json.dumps(levels))


async def main(folder: Path) -> None:
    log, summary = folder / "service.log.zst", folder / "summary.json"
    await write(log)
    await write(log)
    await summarize(log, summary)
    print(f"{log.stat().st_size} bytes of log, {summary.read_text()}")


with tempfile.TemporaryDirectory() as folder:
    asyncio.run(main(Path(folder)))
