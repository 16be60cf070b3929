"""CPython's blocking `io`: what every figure is divided by."""

from __future__ import annotations

import contextlib
import gzip
import os
from typing import TYPE_CHECKING

from bench import data
from bench.timed import WARM_FILES, Timed, allow_open_files, resident_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from bench.cases import Take


class Blocking:
    """The methods are coroutines only so that one harness times them all."""

    async def each_line(self, path: Path, take: Take) -> int:
        count = 0
        with open(path, encoding="utf-8") as f:
            if take is not None:
                for line in f:
                    take(line)
                return 0
            for _ in f:
                count += 1
        return count

    batches = each_line

    async def readline(self, path: Path, take: Take) -> int:
        count = 0
        with open(path, encoding="utf-8") as f:
            while line := f.readline():
                count += 1
                if take is not None:
                    take(line)
        return count

    async def write_each(self, path: Path, items: list[str] | list[bytes], mode: str) -> None:
        with open(path, mode) as f:
            for item in items:
                f.write(item)

    async def write_fresh(self, path: Path, pattern: bytes, count: int) -> None:
        with open(path, "wb") as f:
            for number in range(count):
                f.write(data.piece(number, pattern))

    write_behind = write_fresh

    async def print_lines(self, path: Path, lines: list[str]) -> None:
        with open(path, "w", encoding="utf-8") as f:
            for line in lines:
                print(line, file=f)

    async def print_stdout(self, path: Path, lines: list[str]) -> None:
        with open(path, "w", encoding="utf-8") as f, contextlib.redirect_stdout(f):
            for line in lines:
                print(line)

    async def seek_read(self, path: Path, offsets: list[int], size: int, take: Take) -> int:
        count = 0
        with open(path, "rb") as f:
            for offset in offsets:
                f.seek(offset)
                chunk = f.read(size)
                count += len(chunk)
                if take is not None:
                    take(chunk)
        return count

    async def pread(self, path: Path, shares: list[list[int]], size: int, take: Take) -> int:
        count = 0
        with open(path, "rb") as f:
            descriptor = f.fileno()
            for offset in (offset for share in shares for offset in share):
                chunk = os.pread(descriptor, size, offset)
                count += len(chunk)
                if take is not None:
                    take(chunk)
        return count

    async def open_read_close(self, shares: list[list[Path]], take: Take) -> int:
        count = 0
        for path in (path for share in shares for path in share):
            with open(path, "rb") as f:
                chunk = f.read()
            count += len(chunk)
            if take is not None:
                take(chunk)
        return count

    async def read_whole(self, path: Path, mode: str, take: Take) -> str | bytes:
        with open(path, mode, encoding=None if "b" in mode else "utf-8") as f:
            whole: str | bytes = f.read()
        if take is not None:
            take(whole)
        return whole

    async def gzip_lines(self, path: Path, take: Take) -> int:
        count = 0
        with gzip.open(path, "rt", encoding="utf-8") as f:
            for line in f:
                count += 1
                if take is not None:
                    take(line)
        return count

    async def gzip_whole(self, path: Path, take: Take) -> bytes:
        with gzip.open(path, "rb") as f:
            whole = f.read()
        if take is not None:
            take(whole)
        return whole

    async def whole_reads(self, path: Path, times: int) -> int:
        count = 0
        for _ in range(times):
            with open(path, "rb") as f:
                count += len(f.read())
        return count

    async def sequential_reads(self, path: Path, size: int, times: int) -> int:
        count = 0
        for _ in range(times):
            with open(path, "rb") as f:
                while chunk := f.read(size):
                    count += len(chunk)
        return count

    async def pread_tasks(self, path: Path, shares: list[list[int]], size: int) -> Timed:
        timed = Timed()
        with timed.clock():
            timed.count = await self.pread(path, shares, size, None)
        return timed

    async def open_many(self, paths: list[Path]) -> Timed:
        allow_open_files()
        timed = Timed()
        with contextlib.ExitStack() as opened:
            for path in paths[:WARM_FILES]:
                opened.enter_context(open(path, "rb")).read(1)
            before = resident_bytes()
            with timed.clock():
                for path in paths:
                    timed.count += len(opened.enter_context(open(path, "rb")).read(1))
            timed.figures["bytes"] = resident_bytes() - before
        return timed

    async def count_lines(self, path: Path) -> int:
        return await self.each_line(path, None)
