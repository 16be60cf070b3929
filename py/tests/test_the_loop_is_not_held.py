"""Nothing holds the event loop: time-outs fire, other tasks go on, no executor is borrowed."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import aiofile
from support import CountingExecutor, child, run, succeed

LINES = 300_000
LARGE = 64 * 1024 * 1024


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lines") / "lines"
    path.write_bytes(b"".join(b"line %d of many\n" % number for number in range(LINES)))
    return path


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "large"
    path.write_bytes(b"0123456789abcde\n" * (LARGE // 16))
    return path


async def within(seconds: float, work: Awaitable[Any]) -> None:
    if sys.version_info >= (3, 11):
        async with asyncio.timeout(seconds):
            await work
    else:
        await asyncio.wait_for(work, seconds)


@pytest.mark.parametrize("mode", ["r", "rb"])
def test_a_timeout_fires_in_the_middle_of_a_cached_file(lines: Path, mode: Any) -> None:
    seen = 0

    async def read() -> None:
        nonlocal seen
        async with aiofile.open(lines, mode) as file:
            for _ in range(10):  # However fast the machine is, it does not read that much in time.
                async for _ in file:
                    seen += 1
                await file.seek(0)

    async def main() -> None:
        with pytest.raises((asyncio.TimeoutError, TimeoutError)):
            await within(0.010, read())

    run(main())
    assert 0 < seen < LINES, "the time-out fired only after the whole file"


def test_a_timeout_of_ten_milliseconds_fires_before_300_000_buffered_lines_are_over(lines: Path) -> None:
    """The very case that starved the loop for 115 ms: one pass over the file."""

    async def read() -> int:
        count = 0
        async with aiofile.open(lines) as file:
            async for line in file:
                count += len(line) > 0
                # As much work as a program does with a line.
                line.split()
        return count

    async def main() -> None:
        with pytest.raises((asyncio.TimeoutError, TimeoutError)):
            await within(0.010, read())

    run(main())


@asynccontextmanager
async def ticking() -> AsyncIterator[Callable[[], int]]:
    """Counts how often the loop turns."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    task = asyncio.ensure_future(tick())
    await asyncio.sleep(0)
    try:
        yield lambda: ticks
    finally:
        task.cancel()


async def ticks_during(work: Awaitable[Any]) -> int:
    async with ticking() as count:
        before = count()
        await work
        return count() - before


async def iterate(file: Any) -> None:
    async for _ in file:
        pass


async def batches(file: Any) -> None:
    async for _ in file.lines(20_000):
        pass


async def by_line(file: Any) -> None:
    while await file.readline():
        pass


async def by_character(file: Any) -> None:
    for _ in range(20_000):
        await file.read(1)


@pytest.mark.parametrize("mode", ["r", "rb"])
@pytest.mark.parametrize(
    ("work", "turns"),
    [
        (iterate, LINES // 512),
        (by_line, LINES // 512),
        (by_character, 20_000 // 512),
        (batches, 20),
        (lambda file: file.readlines(), 20),
        (lambda file: file.read(), 2),
        (lambda file: file.read(5_000_000), 2),
    ],
    ids=["async for", "readline", "read(1)", "lines", "readlines", "read", "read(n)"],
)
def test_reading_lets_other_tasks_go_on(lines: Path, mode: Any, work: Any, turns: int) -> None:
    async def main() -> int:
        async with aiofile.open(lines, mode) as file:
            return await ticks_during(work(file))

    assert run(main()) >= turns


@pytest.mark.parametrize("mode", ["r", "rb"])
def test_one_large_read_lets_other_tasks_go_on(large: Path, mode: Any) -> None:
    async def main() -> int:
        async with aiofile.open(large, mode) as file:
            return await ticks_during(file.read())

    assert run(main()) >= 10


async def small_writes(file: Any, data: Any) -> None:
    for _ in range(20_000):
        await file.write(data[:10])


@pytest.mark.parametrize(
    ("mode", "data"),
    [("wb", bytes(LARGE)), ("w", "x" * LARGE), ("w", "é" * (LARGE // 16))],
    ids=["wb", "w", "é"],
)
@pytest.mark.parametrize(
    ("work", "turns"),
    [
        (lambda file, data: file.write(data), 5),
        (small_writes, 20_000 // 512),
        (lambda file, data: file.writelines([data[:10]] * 20_000), 20_000 // 8192),
    ],
    ids=["one write", "small writes", "writelines"],
)
def test_writing_lets_other_tasks_go_on(tmp_path: Path, mode: Any, data: Any, work: Any, turns: int) -> None:
    async def main() -> int:
        async with aiofile.open(tmp_path / "f", mode, encoding="utf-8" if mode == "w" else None) as file:
            return await ticks_during(work(file, data))

    assert run(main()) >= turns


def test_no_executor_is_used_for_regular_files(lines: Path, tmp_path: Path) -> None:
    async def main() -> int:
        executor = CountingExecutor()
        asyncio.get_running_loop().set_default_executor(executor)
        for mode in ("r", "rb"):
            async with aiofile.open(lines, mode) as file:
                await file.readline()
                await file.read(100)
                await file.seek(0)
                await file.readlines(1000)
                await file.read()
        written: list[Any] = [("w+", "é" * 300_000), ("w+b", b"x" * 300_000)]
        for mode, data in written:
            async with aiofile.open(tmp_path / "f", mode) as file:
                await file.write(data[:10])
                await file.flush()
                await file.write(data)
                await file.seek(0)
                await file.read()
                await file.tell()
                await file.truncate(5)
        await asyncio.get_running_loop().run_in_executor(None, os.getpid)
        return executor.submitted

    assert run(main()) == 1, "only the test itself uses it"


STUCK_READER = """
    import asyncio, fcntl, os, pty, sys, tty
    import aiofile

    async def write(file, size):
        # More than any pipe or terminal takes, in pieces of this size.
        for _ in range(2_000_000 // size + 1):
            await file.write(bytes(size))

    async def main(kind, size):
        if kind == "fifo":
            os.mkfifo(sys.argv[3])
            reader = os.open(sys.argv[3], os.O_RDONLY | os.O_NONBLOCK)
            file = await aiofile.open(sys.argv[3], "wb")
        else:
            reader, terminal = pty.openpty()
            tty.setraw(terminal)
            by_name = kind == "terminal by name"
            file = await aiofile.open(os.ttyname(terminal) if by_name else terminal, "wb", closefd=by_name)
        os.set_blocking(reader, False)
        try:
            await asyncio.wait_for(write(file, size), 0.2)
        except asyncio.TimeoutError:
            print("timed out")
        # What was taken can be read; the rest of it has nobody who would write it.
        os.read(reader, 1)
        asyncio.get_running_loop().add_reader(reader, lambda: os.read(reader, 65536))
        await file.close()

    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


@pytest.mark.parametrize("kind", ["fifo", "terminal by name", "terminal by number"])
@pytest.mark.parametrize("size", [1_000, 20_000, 2_000_000])
def test_a_write_that_nobody_reads_ends_with_its_time_limit(tmp_path: Path, kind: str, size: int) -> None:
    assert succeed(child(STUCK_READER, kind, str(size), str(tmp_path / "fifo"))) == "timed out\n"
