"""The work as a user of a library with coroutine methods writes it; libraries differ in how they open."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from bench import data
from bench.timed import WARM_FILES, Timed, allow_open_files, resident_bytes

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

    from bench.cases import Take


class Coroutines:
    """Needs `open(path, mode)`, which gives an async context manager of a file like those of aiofiles."""

    #: Whether one file serves many tasks, by `read_at`.
    positional = False

    def open(self, path: Path, mode: str) -> Any:
        raise NotImplementedError

    def open_positional(self, path: Path) -> Any:
        return self.open(path, "rb")

    def read_at(self, f: Any, offset: int, size: int) -> Awaitable[bytes]:
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
        async with self.open(path, "rb") as f:
            return await self.seek_share(f, offsets, size, take)

    async def seek_share(self, f: Any, offsets: list[int], size: int, take: Take) -> int:
        """For an open file."""
        count = 0
        for offset in offsets:
            await f.seek(offset)
            chunk = await f.read(size)
            count += len(chunk)
            if take is not None:
                take(chunk)
        return count

    async def pread(self, path: Path, shares: list[list[int]], size: int, take: Take) -> int:
        """Without a positional read every task needs a file of its own."""
        if not self.positional:
            return sum(await asyncio.gather(*(self.seek_read(path, share, size, take) for share in shares)))
        async with self.open_positional(path) as f:
            return sum(await asyncio.gather(*(self.read_share(f, share, size, take) for share in shares)))

    async def read_share(self, f: Any, offsets: list[int], size: int, take: Take) -> int:
        """One task of `pread`."""
        count = 0
        for offset in offsets:
            chunk = await self.read_at(f, offset, size)
            count += len(chunk)
            if take is not None:
                take(chunk)
        return count

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

    async def whole_reads(self, path: Path, times: int) -> int:
        count = 0
        for _ in range(times):
            async with self.open(path, "rb") as f:
                count += len(await f.read())
        return count

    async def sequential_reads(self, path: Path, size: int, times: int) -> int:
        count = 0
        for _ in range(times):
            async with self.open(path, "rb") as f:
                while chunk := await f.read(size):
                    count += len(chunk)
        return count

    async def pread_tasks(self, path: Path, shares: list[list[int]], size: int) -> Timed:
        """As `pread`, but the files are open before the clock starts."""
        allow_open_files()
        timed = Timed()
        async with contextlib.AsyncExitStack() as opened:
            if self.positional:
                files = [await opened.enter_async_context(self.open_positional(path))] * len(shares)
            else:
                files = [await opened.enter_async_context(self.open(path, "rb")) for _ in shares]
            read = self.read_share if self.positional else self.seek_share
            with timed.clock():
                work = (read(f, share, size, None) for f, share in zip(files, shares, strict=True))
                timed.count = sum(await asyncio.gather(*work))
        return timed

    async def open_many(self, paths: list[Path]) -> Timed:
        """All of them stay open, each having read something; the memory that they take is measured, too."""
        allow_open_files()
        timed = Timed()
        async with contextlib.AsyncExitStack() as opened:
            for path in paths[:WARM_FILES]:
                await (await opened.enter_async_context(self.open(path, "rb"))).read(1)
            before = resident_bytes()
            with timed.clock():
                for path in paths:
                    f = await opened.enter_async_context(self.open(path, "rb"))
                    timed.count += len(await f.read(1))
            timed.figures["bytes"] = resident_bytes() - before
        return timed

    async def count_lines(self, path: Path) -> int:
        return await self.each_line(path, None)
