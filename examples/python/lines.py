"""Counts and filters the lines of a file: one by one, and in batches where every line counts.

Usage: python lines.py [FILE [WORD]]
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import aiofile


async def filter_lines(path: Path, word: str, target: Path) -> int:
    """Writes the lines that hold the word to the target and returns how many there are."""
    kept = 0
    async with aiofile.open(path) as source, aiofile.open(target, "w") as sink:
        async for line in source:
            if word in line:
                kept += 1
                await sink.write(line)
    return kept


async def count_lines(path: Path) -> int:
    """A batch is a list of lines that were in memory together, so its price is paid once for all of them."""
    count = 0
    async with aiofile.open(path) as source:
        async for batch in source.lines(batch=512):
            count += len(batch)
    return count


async def main(path: Path, word: str, target: Path) -> None:
    count, kept = await asyncio.gather(count_lines(path), filter_lines(path, word, target))
    await aiofile.print(f"{kept:,} of {count:,} lines hold {word!r}")


with tempfile.TemporaryDirectory() as folder:
    given = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder, "numbers.txt")
    if len(sys.argv) == 1:
        given.write_text("".join(f"line {number}\n" for number in range(100_000)))
    asyncio.run(main(given, sys.argv[2] if len(sys.argv) > 2 else "77", Path(folder, "kept.txt")))
