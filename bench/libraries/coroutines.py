"""The work as a user of a library with coroutine methods writes it; libraries differ in how they open."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from bench import data

if TYPE_CHECKING:
    from pathlib import Path

    from bench.cases import Take


class Coroutines:
    """Needs `open(path, mode)`, which gives an async context manager of a file like those of aiofiles."""

    def open(self, path: Path, mode: str) -> Any:
        raise NotImplementedError

    async def each_line(self, path: Path, take: Take) -> int:
        count = 0
        async with self.open(path, "r") as f:
            if take is not None:
                async for line in f:
                    take(line)
                return 0
            async for _ in f:
                count += 1
        return count

    async def readline(self, path: Path, take: Take) -> int:
        count = 0
        async with self.open(path, "r") as f:
            while line := await f.readline():
                count += 1
                if take is not None:
                    take(line)
        return count

    async def write_each(self, path: Path, items: list[str] | list[bytes], mode: str) -> None:
        async with self.open(path, mode) as f:
            for item in items:
                await f.write(item)

    async def write_fresh(self, path: Path, pattern: bytes, count: int) -> None:
        async with self.open(path, "wb") as f:
            for number in range(count):
                await f.write(data.piece(number, pattern))

    async def seek_read(self, path: Path, offsets: list[int], size: int, take: Take) -> int:
        count = 0
        async with self.open(path, "rb") as f:
            for offset in offsets:
                await f.seek(offset)
                chunk = await f.read(size)
                count += len(chunk)
                if take is not None:
                    take(chunk)
        return count

    async def pread(self, path: Path, shares: list[list[int]], size: int, take: Take) -> int:
        """Without a positional read every task needs a file of its own."""
        return sum(await asyncio.gather(*(self.seek_read(path, share, size, take) for share in shares)))

    async def open_read_close(self, shares: list[list[Path]], take: Take) -> int:
        async def one_task(paths: list[Path]) -> int:
            count = 0
            for path in paths:
                async with self.open(path, "rb") as f:
                    chunk = await f.read()
                count += len(chunk)
                if take is not None:
                    take(chunk)
            return count

        return sum(await asyncio.gather(*map(one_task, shares)))

    async def read_whole(self, path: Path, mode: str, take: Take) -> str | bytes:
        async with self.open(path, mode) as f:
            whole: str | bytes = await f.read()
        if take is not None:
            take(whole)
        return whole

    async def pread_by(self, read_at: Any, shares: list[list[int]], take: Take) -> int:
        """For libraries that have a positional read: `read_at(offset)`."""

        async def one_task(offsets: list[int]) -> int:
            count = 0
            for offset in offsets:
                chunk = await read_at(offset)
                count += len(chunk)
                if take is not None:
                    take(chunk)
            return count

        return sum(await asyncio.gather(*map(one_task, shares)))
