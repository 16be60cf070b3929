"""Follows a log by name through a rotation, as `tail -F` does, while the program goes on.

Usage: python follow_log.py [LOG]
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import aiofile


async def rotate(log: Path) -> None:
    """Stands for the program that is watched: it renames its log away and starts a new one."""
    async with aiofile.open(log, "a", buffering=1) as f:
        await f.write("the last line of the old file\n")
        log.rename(log.with_suffix(".log.1"))
    async with aiofile.open(log, "a") as f:
        await f.write("the first line of the new file\nthe end\n")


async def main(log: Path) -> None:
    log.write_text("written before\n")
    rotation = None
    async for line in aiofile.tail(log, lines=10, follow="name"):
        await aiofile.print(line.rstrip("\n"))
        rotation = rotation or asyncio.create_task(rotate(log))
        if line.startswith("the end"):
            break
    if rotation is not None:
        await rotation


async def follow(log: Path) -> None:
    async for line in aiofile.tail(log, lines=10, follow="name"):
        await aiofile.print(line.rstrip("\n"), flush=True)


with tempfile.TemporaryDirectory() as folder:
    if len(sys.argv) > 1:
        asyncio.run(follow(Path(sys.argv[1])))
    else:
        asyncio.run(asyncio.wait_for(main(Path(folder, "service.log")), timeout=30))
