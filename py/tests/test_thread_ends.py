"""A thread ends while operations of its loop are in flight: their files go on, in other loops."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import aiofile
from support import LONGEST_WAIT, child, run, succeed

Start = Callable[[], Awaitable[list[Any]]]


def in_a_thread_that_ends(start: Start, *, close: bool = True) -> tuple[asyncio.AbstractEventLoop, list[Any]]:
    """Runs a loop in a thread until ``start`` has started something, and ends the thread."""
    loops: list[asyncio.AbstractEventLoop] = []
    kept: list[Any] = []

    def inside() -> None:
        loop = asyncio.new_event_loop()
        loops.append(loop)
        kept.extend(loop.run_until_complete(start()))
        if close:
            loop.close()

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join(LONGEST_WAIT)
    assert not thread.is_alive(), "the thread does not end"
    return loops[0], kept


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(writer)


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("close", [True, False], ids=["closed", "stopped"])
@pytest.mark.parametrize("keep", [True, False], ids=["kept", "dropped"])
def test_a_read_in_flight_keeps_nothing_from_other_loops(
    pipe: tuple[int, int], keep: bool, close: bool
) -> None:
    reader, writer = pipe
    files: list[Any] = []

    async def start() -> list[Any]:
        files.append(await aiofile.open(reader, "rb"))
        task = asyncio.ensure_future(files[0].readline())
        await turns()
        return [task] if keep else []

    loop, tasks = in_a_thread_that_ends(start, close=close)
    if not keep:
        gc.collect()

    async def main() -> None:
        os.write(writer, b"one\ntwo\n")
        assert await files[0].readline() == b"one\n"
        assert await files[0].readline() == b"two\n"
        await files[0].close()

    run(main())
    if not close:
        # Whoever runs the loop after all finds out.
        if keep:
            with pytest.raises(OSError, match="anceled") as cancelled:
                loop.run_until_complete(tasks[0])
            assert cancelled.value.errno == errno.ECANCELED
        loop.close()


def test_who_waits_for_the_file_already_gets_it_when_the_thread_ends(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    file = run(aiofile_open(reader))
    started, go = threading.Event(), threading.Event()
    kept = []

    async def start() -> None:
        kept.append(asyncio.ensure_future(file.readline()))
        await turns()
        started.set()
        assert go.wait(LONGEST_WAIT)

    def inside() -> None:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(start())
        loop.close()

    async def main() -> None:
        thread = threading.Thread(target=inside)
        thread.start()
        assert started.wait(LONGEST_WAIT)
        waiting = asyncio.ensure_future(file.readline())
        await turns()
        go.set()
        await asyncio.to_thread(thread.join)
        os.write(writer, b"line\n")
        assert await waiting == b"line\n"
        await file.close()

    run(main())


async def aiofile_open(descriptor: int) -> Any:
    return await aiofile.open(descriptor, "rb")


def test_a_write_in_flight_lets_the_file_be_closed(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    files: list[Any] = []

    async def start() -> list[Any]:
        files.append(await aiofile.open(os.dup(writer), "wb"))
        task = asyncio.ensure_future(files[0].write(b"x" * 1_000_000))
        await turns()
        return [task]

    in_a_thread_that_ends(start)
    run(files[0].close())
    os.close(reader)


def test_large_operations_in_flight_let_others_have_the_file(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x" * 64 * 1024 * 1024)
    files: list[Any] = []

    async def start() -> list[Any]:
        files.append(await aiofile.open(path, "r+b"))
        files.append(await aiofile.open(path, "r", encoding="utf-8"))
        files.append(await aiofile.open(path, "r+b"))
        tasks = [
            asyncio.ensure_future(files[0].pread(64 * 1024 * 1024, 0)),
            asyncio.ensure_future(files[1].read()),
            asyncio.ensure_future(files[2].read()),
        ]
        await turns(2)
        return tasks

    in_a_thread_that_ends(start)

    async def main() -> None:
        assert await files[0].write(b"first") == 5
        assert await files[1].read(3) == "xxx"
        assert await files[2].read(3) == b"xxx"
        for file in files:
            await file.close()

    run(main())
    assert path.read_bytes()[:6] == b"firstx"


def test_what_was_written_behind_the_program_is_there(tmp_path: Path) -> None:
    path = tmp_path / "f"
    files: list[Any] = []

    async def start() -> list[Any]:
        files.append(await aiofile.open(path, "wb"))
        for number in range(5000):
            await files[0].write(b"%015d\n" % number)
        return []

    in_a_thread_that_ends(start)

    async def main() -> None:
        await files[0].write(b"end\n")
        await files[0].close()

    run(main())
    assert path.read_bytes() == b"".join(b"%015d\n" % number for number in range(5000)) + b"end\n"


def test_what_cannot_be_cancelled_is_leaked_and_the_file_let_go() -> None:
    program = """
        import aiofile, asyncio, os, threading, time

        # Neither polled nor, on threads, interrupted: the kernel keeps the buffer until something comes.
        counter = os.eventfd(0)
        kept = []

        def inside():
            loop = asyncio.new_event_loop()
            async def start():
                file = await aiofile.open(os.dup(counter), "rb", 0)
                kept.extend([file, asyncio.ensure_future(file.read(8)), loop])
                await asyncio.sleep(0)
            loop.run_until_complete(start())

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        asyncio.run(asyncio.wait_for(kept[0].close(), 30))
        print(kept[0].closed)
        os.eventfd_write(counter, 1)
        kept[2].run_until_complete(asyncio.wait([kept[1]]))
        print(type(kept[1].exception()).__name__)
        kept[2].close()
    """
    assert succeed(child(program)) == "True\nOSError\n"


@pytest.mark.parametrize("daemon", [True, False])
def test_the_interpreter_exits_whatever_is_in_flight_in_threads(tmp_path: Path, daemon: bool) -> None:
    program = """
        import aiofile, asyncio, os, sys, threading, warnings

        warnings.simplefilter("ignore", ResourceWarning)
        reader, writer = os.pipe()
        kept, started, daemon = [], threading.Event(), sys.argv[1] == "True"

        def inside():
            loop = asyncio.new_event_loop()
            async def start():
                file = await aiofile.open(reader, "rb")
                kept.append((loop, file, asyncio.ensure_future(file.readline())))
                await asyncio.sleep(0)
                started.set()
                if daemon:
                    await asyncio.sleep(1000)
            loop.run_until_complete(start())

        threading.Thread(target=inside, daemon=daemon).start()
        assert started.wait(30)

        async def main():
            file = await aiofile.open(os.dup(reader), "rb")
            kept.append((file, asyncio.ensure_future(file.readline())))
            await asyncio.sleep(0)

        # The loop of the main thread is closed with its task left, too.
        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        kept.append(loop)
        print("end", flush=True)
    """
    done = child(program, str(daemon))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "end\n"
    assert "panicked" not in done.stderr
    assert "Fatal" not in done.stderr


def test_threads_that_come_and_go_leave_no_descriptors() -> None:
    program = """
        import aiofile, asyncio, os, threading, time

        def inside():
            async def main():
                async with aiofile.open("/proc/self/status") as file:
                    await file.read()
                reader, writer = os.pipe()
                async with aiofile.open(reader, "rb") as file:
                    reading = asyncio.ensure_future(file.read(1))
                    await asyncio.sleep(0)
                    os.write(writer, b"x")
                    assert await reading == b"x"
                os.close(writer)
            asyncio.run(main())

        def count():
            for _ in range(20):
                thread = threading.Thread(target=inside)
                thread.start()
                thread.join()
            return len(os.listdir("/proc/self/fd"))

        def left_open(first):
            # A thread is joined a little before it has closed its own.
            deadline = time.monotonic() + 30
            left = count() - first
            while left > 0 and time.monotonic() < deadline:
                left = len(os.listdir("/proc/self/fd")) - first
            return max(left, 0)

        first = count()
        print(left_open(first), left_open(first))
    """
    assert succeed(child(program)) == "0 0\n"
