"""Calls of blocking files run in threads: cancelled, they let go of their task, and of nothing else."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import threading
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import pytest

import aiofile
import aiofile.threadpool
from support import LONGEST_WAIT, CountingExecutor, run, until


async def cancelled(call: Awaitable[Any]) -> None:
    """Cancels a call that has come as far as it can; it must return without anything else happening."""
    task = asyncio.ensure_future(call)
    for _ in range(20):
        await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, LONGEST_WAIT)


@asynccontextmanager
async def pipe(kind: str, mode: Any = "rb") -> AsyncIterator[tuple[Any, int]]:
    """A blocking file over the reading end of a pipe, and the writing end."""
    reading, writing = os.pipe()
    with ThreadPoolExecutor(2) as threads:
        if kind == "executor":
            file: Any = await aiofile.open(reading, mode, executor=threads)
        elif kind == "wrapped":
            file = aiofile.threadpool.wrap(os.fdopen(reading, mode), executor=threads)
        else:
            file = await aiofile.open(reading, mode)
            assert file._file is file._stack
            file._executor = threads
        try:
            yield file, writing
        finally:
            os.close(writing)
            await file.close()


class Slow:
    """An object whose calls end when they are told to, and of which there must be one at a time."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.ended: list[str] = []
        self.go = threading.Semaphore(0)
        self.closed = False
        self._running = False

    def __getattr__(self, name: str) -> Any:
        def call(*_arguments: Any) -> str:
            assert not self._running
            self._running = True
            self.calls.append(name)
            assert self.go.acquire(timeout=LONGEST_WAIT)
            self._running = False
            self.closed |= name == "close"
            self.ended.append(name)
            return name

        return call

    def seekable(self) -> bool:
        return True

    def begun(self, count: int) -> Callable[[], bool]:
        return lambda: len(self.calls) == count


def wrapped(slow: Slow, executor: Any = None) -> Any:
    return aiofile.threadpool.AsyncBufferedReader(slow, None, executor)


@pytest.mark.parametrize("kind", ["executor", "wrapped", "demoted"])
@pytest.mark.parametrize("mode", ["r", "rb"])
def test_a_cancelled_read_of_a_pipe_gives_its_bytes_to_the_next_one(kind: str, mode: str) -> None:
    def given(data: bytes) -> Any:
        return data if mode == "rb" else data.decode()

    async def check() -> None:
        async with pipe(kind, mode) as (file, writing):
            await cancelled(file.readline())
            os.write(writing, b"one\ntwo\nthree\n")
            assert await file.readline() == given(b"one\n")
            assert await file.read(2) == given(b"tw")
            assert await file.readline() == given(b"o\n")
            assert await file.readline(10) == given(b"three\n")
            await cancelled(file.read(7))
            os.write(writing, b"four\nfive\nsix\n")
            assert await file.readline() == given(b"four\n")
            assert await file.__anext__() == given(b"five\n")
            assert await file.readline() == given(b"six\n")

    run(check())


@pytest.mark.parametrize("kind", ["executor", "wrapped", "demoted"])
def test_what_a_cancelled_readinto_brings_is_read_next(kind: str) -> None:
    async def check() -> None:
        async with pipe(kind) as (file, writing):
            await cancelled(file.readinto(bytearray(4)))
            os.write(writing, b"abcdefgh")
            buffer = bytearray(3)
            assert await file.readinto(buffer) == 3
            assert buffer == b"abc"
            assert await file.read(1) == b"d"
            assert await file.read(4) == b"efgh"

    run(check())


@pytest.mark.parametrize("kind", ["executor", "wrapped", "demoted"])
def test_a_timeout_ends_the_read_of_a_silent_pipe(kind: str) -> None:
    async def check() -> None:
        async with pipe(kind) as (file, _writing):
            for _ in range(3):
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(file.readline(), 0.01)

    run(check())


def test_a_result_that_came_in_the_moment_of_cancellation_is_kept() -> None:
    async def check() -> None:
        async with pipe("wrapped") as (file, writing):
            task = asyncio.ensure_future(file.readline())
            await until(lambda: file._in_threads)
            (call,) = file._in_threads
            os.write(writing, b"one\n")
            deadline = time.monotonic() + LONGEST_WAIT
            while not call.ended and time.monotonic() < deadline:
                pass  # Without a turn of the loop.
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.wait_for(file.readline(), LONGEST_WAIT) == b"one\n"

    run(check())


def test_there_are_never_two_calls_of_an_object() -> None:
    async def check() -> None:
        slow = Slow()
        file = wrapped(slow)
        await cancelled(file.write(b"x"))
        flushing = asyncio.ensure_future(file.flush())
        await cancelled(file.tell())
        await until(slow.begun(1))
        slow.go.release()
        await until(slow.begun(2))
        slow.go.release()
        assert await flushing == "flush"
        assert slow.ended == ["write", "flush"]

    run(check())


def test_a_cancelled_call_that_was_not_begun_is_not_made() -> None:
    async def check() -> None:
        slow, blocker = Slow(), threading.Event()
        with ThreadPoolExecutor(1) as threads:
            threads.submit(blocker.wait, LONGEST_WAIT)
            file = wrapped(slow, threads)
            await cancelled(file.write(b"x"))
            assert not file._in_threads
            slow.go.release()
            tell = asyncio.ensure_future(file.tell())
            blocker.set()
            assert await tell == "tell"
            assert slow.calls == ["tell"]

    run(check())


@pytest.mark.parametrize("begun", [True, False])
def test_a_cancelled_close_of_a_blocking_file_still_closes(begun: bool) -> None:
    async def check() -> None:
        slow = Slow()
        file = wrapped(slow)
        if not begun:
            await cancelled(file.read())
        await cancelled(file.close())
        slow.go.release(2)
        await until(lambda: slow.closed)
        assert slow.ended == (["close"] if begun else ["read", "close"])

    run(check())


def test_a_file_whose_loop_ended_in_the_middle_of_a_call_is_closed_after_it() -> None:
    slow = Slow()
    threads = ThreadPoolExecutor(1)

    async def check() -> None:
        file = wrapped(slow, threads)
        await cancelled(file.read())
        await until(slow.begun(1))
        await cancelled(file.close())

    run(check())
    assert slow.ended == []
    slow.go.release(2)
    threads.shutdown(wait=True)
    assert slow.ended == ["read", "close"]


def test_an_executor_that_refuses_leaves_the_file_to_the_next_call() -> None:
    async def check() -> None:
        executor = CountingExecutor()
        file = aiofile.threadpool.AsyncBufferedIOBase(io.BytesIO(b"abc"), None, executor)
        executor.shutdown()
        with pytest.raises(RuntimeError, match="shutdown"):
            await file.read()
        file._executor = None
        assert await asyncio.wait_for(file.read(), LONGEST_WAIT) == b"abc"

    run(check())


def test_an_executor_that_drops_its_calls_does_not_keep_the_file() -> None:
    async def check() -> None:
        slow, blocker = Slow(), threading.Event()
        threads = ThreadPoolExecutor(1)
        threads.submit(blocker.wait, LONGEST_WAIT)
        file = wrapped(slow, threads)
        dropped = asyncio.ensure_future(file.read())
        await until(lambda: file._in_threads)
        threads.shutdown(wait=False, cancel_futures=True)
        with pytest.raises(asyncio.CancelledError):
            await dropped
        blocker.set()
        file._executor = None
        slow.go.release()
        assert await asyncio.wait_for(file.tell(), LONGEST_WAIT) == "tell"

    run(check())


def test_a_blocking_file_goes_with_the_last_reference_to_it() -> None:
    async def check() -> None:
        gc.collect()
        gc.disable()
        try:
            blocking = io.BytesIO(b"abc")
            file = aiofile.threadpool.wrap(blocking)
            await file.read()
            await cancelled_at_once(file)
            gone = weakref.ref(blocking)
            del blocking, file
            await until(lambda: gone() is None)
        finally:
            gc.enable()

    async def cancelled_at_once(file: Any) -> None:
        task = asyncio.ensure_future(file.read())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    run(check())
