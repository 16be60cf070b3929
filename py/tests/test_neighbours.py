"""Beside other loops: those of uvloop, several in several threads, and one after the other."""

from __future__ import annotations

import asyncio
import hashlib
import os
import queue
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import aiofile
from support import LONGEST_WAIT, Turns, descriptors, rings, run, threads, until

LARGE = 3 * 1024 * 1024

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture
def uvrun() -> Run:
    """Runs a coroutine on a loop of uvloop."""
    uvloop = pytest.importorskip("uvloop", reason="uvloop cannot be installed for this Python")

    def runs(coroutine: Coroutine[Any, Any, Any]) -> Any:
        async def main() -> Any:
            assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
            return await asyncio.wait_for(coroutine, LONGEST_WAIT)

        return uvloop.run(main())

    return runs


def forget_cached(path: Path) -> None:
    """Has the next read of a file come from its device, where it has one."""
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


# uvloop.


@pytest.mark.parametrize("size", [0, 5, 100_000, LARGE])
def test_uvloop_reads_back_what_was_written(tmp_path: Path, uvrun: Run, size: int) -> None:
    content = random.Random(size).randbytes(size)

    async def main() -> None:
        async with aiofile.open(tmp_path / "f", "wb") as file:
            assert await file.write(content) == size
        assert (tmp_path / "f").read_bytes() == content
        forget_cached(tmp_path / "f")
        async with aiofile.open(tmp_path / "f", "rb") as file:
            assert await file.read() == content
            await file.seek(size // 2)
            buffer = bytearray(size)
            assert await file.readinto(buffer) == size - size // 2
            assert buffer[: size - size // 2] == content[size // 2 :]

    uvrun(main())


@pytest.mark.parametrize("batch", [None, 1, 700])
def test_uvloop_reads_every_line_once(tmp_path: Path, uvrun: Run, batch: int | None) -> None:
    lines = [f"{number} é\n" for number in range(20_000)]

    async def main() -> list[str]:
        async with aiofile.open(tmp_path / "f", "w", encoding="utf-8") as file:
            await file.writelines(lines)
        forget_cached(tmp_path / "f")
        async with aiofile.open(tmp_path / "f", encoding="utf-8") as file:
            if batch is None:
                return [line async for line in file]
            return [line async for part in file.lines(batch=batch) for line in part]

    assert uvrun(main()) == lines


def test_uvloop_reads_many_places_at_once(tmp_path: Path, uvrun: Run) -> None:
    content = random.Random(1).randbytes(LARGE)
    (tmp_path / "f").write_bytes(content)
    forget_cached(tmp_path / "f")

    async def main() -> None:
        async with aiofile.open(tmp_path / "f", "r+b") as file:
            offsets = range(0, LARGE, 8192)
            parts = await asyncio.gather(*(file.pread(8192, offset) for offset in offsets))
            assert b"".join(parts) == content
            await asyncio.gather(*(file.pwrite(b"!", offset) for offset in offsets))
            assert await file.tell() == 0

    uvrun(main())
    assert (tmp_path / "f").read_bytes()[::8192] == b"!" * (LARGE // 8192)


def test_uvloop_copies_and_hashes(tmp_path: Path, uvrun: Run) -> None:
    (tmp_path / "source").write_bytes(content := random.Random(2).randbytes(LARGE))

    async def main() -> None:
        with Turns() as turns:
            copied = await aiofile.copy(tmp_path / "source", tmp_path / "target", hash="sha256")
        assert turns.count > 1, "the copy held the loop"
        assert copied.digest == hashlib.sha256(content).hexdigest()
        assert await aiofile.hash(tmp_path / "target") == copied.digest

    uvrun(main())
    assert (tmp_path / "target").read_bytes() == content


def test_uvloop_follows_a_file_through_a_rotation(tmp_path: Path, uvrun: Run) -> None:
    log = tmp_path / "log"
    log.write_text("one\n")

    async def main() -> list[str]:
        seen = []
        async with aiofile.tail(log, follow="name") as lines:
            async for line in lines:
                seen.append(line)
                if line == "one\n":
                    with log.open("a") as file:
                        file.write("two\n")
                elif line == "two\n":
                    log.rename(tmp_path / "log.1")
                    log.write_text("three\n")
                else:
                    break
        return seen

    assert uvrun(main()) == ["one\n", "two\n", "three\n"]


def test_uvloop_prints_in_order(uvrun: Run, capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        await asyncio.gather(*(aiofile.print(number, end=" ") for number in range(500)))
        await aiofile.print("x" * LARGE)

    uvrun(main())
    assert capsys.readouterr().out == "".join(f"{number} " for number in range(500)) + "x" * LARGE + "\n"


@pytest.mark.parametrize("mode", ["r", "rb"])
def test_uvloop_cancels_the_read_of_a_fifo_and_loses_nothing(tmp_path: Path, uvrun: Run, mode: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    before = descriptors()

    async def main() -> None:
        opening = asyncio.ensure_future(open_(tmp_path / "fifo", mode))
        writer = await aiofile.open(tmp_path / "fifo", "wb", buffering=0)
        async with writer, await opening as reader:
            for number in range(20):
                task = asyncio.ensure_future(reader.readline())
                for _ in range(number % 4):
                    await asyncio.sleep(0)
                await writer.write(b"half ")
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            await writer.write(b"end\n")
            assert await reader.readline() in ("half " * 20 + "end\n", b"half " * 20 + b"end\n")

    uvrun(main())
    assert not {name for name in descriptors() - before if "fifo" in name}


def test_uvloop_cancels_an_open_that_waits_for_the_other_end(tmp_path: Path, uvrun: Run) -> None:
    os.mkfifo(tmp_path / "fifo")

    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(open_(tmp_path / "fifo"), 0.05)

    uvrun(main())
    assert not {name for name in descriptors() if "fifo" in name}


def test_uvloop_runs_in_a_row_use_one_ring_and_leave_nothing(tmp_path: Path, uvrun: Run) -> None:
    uvrun(write_and_read(tmp_path / "f", LARGE))
    before = descriptors(), rings(), threads()
    for _ in range(100):
        uvrun(write_and_read(tmp_path / "f", 200_000))
    assert (descriptors(), rings()) == before[:2]
    assert threads() <= before[2] + 1


def test_uvloop_and_asyncio_take_turns_at_one_file(tmp_path: Path, uvrun: Run) -> None:
    lines = [b"%d\n" % number for number in range(100_000)]
    (tmp_path / "f").write_bytes(b"".join(lines))
    file = run(open_(tmp_path / "f"))
    seen: list[bytes] = []
    runs: list[Run] = [run, uvrun]
    forget_cached(tmp_path / "f")
    while part := runs[0](file.readlines(9999)):
        seen += part
        runs.reverse()
        # The next one, too, is to wait for the device on its own loop.
        forget_cached(tmp_path / "f")
    assert seen == lines
    uvrun(file.close())


# Several loops.


def test_loops_in_several_threads_do_not_disturb_each_other(tmp_path: Path) -> None:
    async def kinds() -> Counter[str]:
        """How many descriptors there are of which kind, those of the loop that asks among them."""
        return Counter(re.sub(r"\d+ |:.*", "", name) for name in descriptors())

    run(write_and_read(tmp_path / "f", LARGE))
    before = run(kinds())
    together = threading.Barrier(6)

    async def work(name: str) -> None:
        reader, writer = os.pipe()
        async with aiofile.open(reader, "rb") as pipe:
            for size in (10, 5000, 300_000) * 5:
                waiting = asyncio.ensure_future(pipe.read(1))
                await write_and_read(tmp_path / name, size)
                await aiofile.copy(tmp_path / name, tmp_path / f"{name}.copy")
                assert (tmp_path / f"{name}.copy").stat().st_size == size
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
        os.close(writer)

    def thread(number: int) -> None:
        together.wait(LONGEST_WAIT)
        for _ in range(3):
            run(work(f"f{number}"))

    with ThreadPoolExecutor(6) as pool:
        for result in [pool.submit(thread, number) for number in range(6)]:
            result.result()
    # A thread is joined before the last of it is gone. What an earlier test left may go meanwhile.
    deadline = time.monotonic() + LONGEST_WAIT
    while left := run(kinds()) - before:
        assert time.monotonic() < deadline, left


def test_loops_that_wait_at_one_pipe_are_served_in_turn(tmp_path: Path) -> None:
    """Each read waits in a loop and thread of its own; the first is cancelled, the second gets the bytes."""
    reader, writer = os.pipe()
    file = run(open_(reader))
    read: queue.Queue[bytes] = queue.Queue()
    started, cancel = threading.Event(), threading.Event()

    async def first() -> None:
        task = asyncio.ensure_future(file.readline())
        await asyncio.sleep(0)
        started.set()
        await until(cancel.is_set)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def second() -> None:
        task = asyncio.ensure_future(file.readline())
        await asyncio.sleep(0)
        os.write(writer, b"half ")
        cancel.set()
        os.write(writer, b"a line\n")
        read.put(await task)

    def in_thread(coroutine: Coroutine[Any, Any, None], pool: ThreadPoolExecutor) -> Any:
        return pool.submit(run, coroutine)

    with ThreadPoolExecutor(2) as pool:
        one = in_thread(first(), pool)
        assert started.wait(LONGEST_WAIT)
        other = in_thread(second(), pool)
        one.result()
        other.result()
    line = read.get_nowait()
    os.close(writer)
    assert line == b"half a line\n"
    run(file.close())


def test_loops_hand_on_a_file_with_what_is_read_ahead_and_not_yet_written(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"one\ntwo\nthree\n")
    file = run(open_(tmp_path / "f", "r+b"))
    steps: list[tuple[Callable[[], Awaitable[Any]], Any]] = [
        (file.readline, b"one\n"),
        (file.readline, b"two\n"),
        (lambda: file.write(b"THREE"), 5),
        (file.tell, 13),
        (lambda: file.write(b"!!\n"), 3),
        (file.flush, None),
        (lambda: file.seek(4), 4),
        (file.read, b"two\nTHREE!!\n"),
    ]

    async def step(operation: Callable[[], Awaitable[Any]]) -> Any:
        return await operation()

    # The loops of a thread, then those of others, of which each is gone when the next one comes.
    for number, (operation, result) in enumerate(steps):
        if number % 2:
            with ThreadPoolExecutor(1) as pool:
                assert pool.submit(run, step(operation)).result() == result
        else:
            assert run(step(operation)) == result
    run(file.close())
    assert (tmp_path / "f").read_bytes() == b"one\ntwo\nTHREE!!\n"


def test_loops_of_one_thread_may_alternate_while_both_are_open(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    loops = [asyncio.new_event_loop(), asyncio.new_event_loop()]
    file = loops[0].run_until_complete(open_(reader))
    waiting = loops[0].create_task(file.read(3))
    loops[0].run_until_complete(asyncio.sleep(0))
    # The other loop is where the thread goes on; the first one's read is under way meanwhile.
    loops[1].run_until_complete(asyncio.wait_for(write_and_read(tmp_path / "f", LARGE), LONGEST_WAIT))
    os.write(writer, b"abcdef")
    assert loops[0].run_until_complete(asyncio.wait_for(waiting, LONGEST_WAIT)) == b"abc"
    assert loops[1].run_until_complete(asyncio.wait_for(file.read(3), LONGEST_WAIT)) == b"def"
    loops[0].run_until_complete(file.close())
    os.close(writer)
    for loop in loops:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


async def open_(path: Any, mode: Any = "rb") -> Any:
    return await aiofile.open(path, mode)


async def write_and_read(path: Path, size: int) -> None:
    content = random.Random(size).randbytes(size)
    async with aiofile.open(path, "w+b") as file:
        await file.write(content)
        await file.seek(0)
        assert await file.read() == content
