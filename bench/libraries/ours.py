"""This repository's aiofile; the engine is chosen by AFX_ENGINE."""

from __future__ import annotations

import contextlib
import inspect
from typing import TYPE_CHECKING, Any

import aiofile
from bench import data
from bench.libraries.coroutines import Coroutines

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

    from bench.cases import Take


BEHIND_BYTES = 8 * 1024 * 1024


class Ours(Coroutines):
    positional = True

    def open(self, path: Path, mode: Any) -> Any:
        return aiofile.open(path, mode, encoding=None if "b" in mode else "utf-8")

    async def batches(self, path: Path, take: Take) -> int:
        count = 0
        async with self.open(path, "r") as f:
            async for batch in f.lines(batch=512):
                if take is not None:
                    for line in batch:
                        take(line)
                for _ in batch:
                    count += 1
        return count

    if "write_behind" in inspect.signature(aiofile.open).parameters:

        async def write_behind(self, path: Path, pattern: bytes, count: int) -> None:
            opened: Any = aiofile.open
            async with opened(path, "wb", write_behind=BEHIND_BYTES) as f:
                for number in range(count):
                    await f.write(data.piece(number, pattern))

    async def gzip_lines(self, path: Path, take: Take) -> int:
        count = 0
        async with aiofile.open(path, encoding="utf-8", compression="gz") as f:
            async for line in f:
                count += 1
                if take is not None:
                    take(line)
        return count

    async def gzip_whole(self, path: Path, take: Take) -> bytes:
        async with aiofile.open(path, "rb", compression="gz") as f:
            whole: bytes = await f.read()
        if take is not None:
            take(whole)
        return whole

    async def print_lines(self, path: Path, lines: list[str]) -> None:
        async with self.open(path, "w") as f:
            for line in lines:
                await aiofile.print(line, file=f)

    async def print_stdout(self, path: Path, lines: list[str]) -> None:
        with open(path, "w", encoding="utf-8") as f, contextlib.redirect_stdout(f):
            for line in lines:
                await aiofile.print(line)

    def read_at(self, f: Any, offset: int, size: int) -> Awaitable[bytes]:
        read: Awaitable[bytes] = f.pread(size, offset)
        return read


class OursInBatches(Ours):
    """Lines by the list."""

    async def count_lines(self, path: Path) -> int:
        return await self.batches(path, None)
