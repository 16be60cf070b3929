"""aiofile.os.scandir: a directory, iterated over with ``async for``, or awaited as aiofiles' is."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import aiofile.os
from support import CountingExecutor, Turns, descriptors, run, until

MANY = 3_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(b"0123456789")
    (tmp_path / "dir").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "to file").symlink_to("file")
    (tmp_path / "to dir").symlink_to("dir")
    (tmp_path / "to nowhere").symlink_to("missing")
    (tmp_path / "to itself").symlink_to("to itself")
    return tmp_path


@pytest.fixture
def full(tmp_path: Path) -> Path:
    for number in range(MANY):
        (tmp_path / str(number)).touch()
    return tmp_path


def theirs(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except OSError as error:
        return str(error)


async def ours(ask: Callable[[], Any]) -> Any:
    try:
        return await ask()
    except OSError as error:
        return str(error)


QUESTIONS: list[tuple[str, dict[str, bool]]] = [
    (name, keywords)
    for name in ("is_dir", "is_file", "stat")
    for keywords in ({}, {"follow_symlinks": False}, {"follow_symlinks": True})
] + [("is_symlink", {})]
if sys.version_info >= (3, 12):
    QUESTIONS.append(("is_junction", {}))


@pytest.mark.parametrize("first", range(len(QUESTIONS)))
def test_an_entry_is_what_that_of_os_is_whatever_is_asked_first(first: int, folder: Path) -> None:
    questions = QUESTIONS[first:] + QUESTIONS[:first]

    async def check(where: Any) -> None:
        with os.scandir(where) as entries:
            expected = list(entries)
        found = [entry async for entry in aiofile.os.scandir(where)]
        assert [entry.name for entry in found] == [entry.name for entry in expected]
        assert len(found) == 7
        for entry, other in zip(found, expected, strict=True):
            assert (entry.path, os.fspath(entry)) == (other.path, os.fspath(other))
            assert (entry.inode(), repr(entry)) == (other.inode(), repr(other))
            for name, keywords in questions * 2:
                answer = await ours(lambda e=entry, n=name, k=keywords: getattr(e, n)(**k))  # type: ignore[misc]
                assert answer == theirs(lambda e=other, n=name, k=keywords: getattr(e, n)(**k)), name  # type: ignore[misc]

    run(check(folder))
    run(check(str(folder)))
    run(check(os.fsencode(folder)))


def test_a_descriptor_and_the_working_directory_can_be_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)

    async def check() -> None:
        fd = os.open(folder, os.O_RDONLY)
        by_descriptor = {entry.path async for entry in aiofile.os.scandir(fd)}
        os.close(fd)
        assert by_descriptor == set(os.listdir(folder))
        assert {entry.path async for entry in aiofile.os.scandir()} == {e.path for e in os.scandir()}

    run(check())


def test_awaited_it_gives_what_scandir_of_os_gives(folder: Path) -> None:
    async def check() -> None:
        before = descriptors()
        with await aiofile.os.scandir(folder) as entries:
            assert isinstance(next(entries), os.DirEntry)
            assert len(list(entries)) == 6
        rest = await aiofile.os.scandir(path=folder)
        next(rest)
        rest.close()
        assert [entry.is_file() for entry in await aiofile.os.scandir(folder / "dir")] == []
        assert descriptors() == before

    run(check())


def test_it_is_a_coroutine_wherever_one_is_asked_for(folder: Path) -> None:
    async def check() -> None:
        task = asyncio.create_task(aiofile.os.scandir(folder))
        gathered = await asyncio.gather(task, aiofile.os.scandir(folder))
        timed = await asyncio.wait_for(aiofile.os.scandir(folder), 60)
        for entries in (*gathered, timed):
            assert len(list(entries)) == 7
        asked = aiofile.os.scandir(folder)
        assert asyncio.iscoroutine(asked)
        asked.close()
        if sys.version_info >= (3, 12):
            assert inspect.iscoroutinefunction(aiofile.os.scandir)
        with mock.patch("aiofile.os.scandir") as patched:
            assert isinstance(patched, mock.AsyncMock)

    run(check())


def test_one_that_is_never_awaited_warns() -> None:
    asked = [aiofile.os.scandir("/")]
    with pytest.warns(RuntimeWarning, match=r"coroutine 'scandir' was never awaited"):
        asked.clear()


@pytest.mark.parametrize("missing", ["missing", "file", "nul\0", 1.5])
def test_what_cannot_be_read_is_refused_as_os_does_in_each_dialect(missing: Any, folder: Path) -> None:
    path = folder / missing if isinstance(missing, str) else missing
    with pytest.raises((OSError, ValueError, TypeError)) as expected:
        os.scandir(path)

    async def wait() -> None:
        await aiofile.os.scandir(path)

    async def iterate() -> None:
        await anext(aiofile.os.scandir(path))

    async def enter() -> None:
        async with aiofile.os.scandir(path):
            pass

    for ask in (wait, iterate, enter):
        with pytest.raises(expected.type) as caught:
            run(ask())
        assert str(caught.value) == str(expected.value)
        facts = [(getattr(e.value, "errno", 0), getattr(e.value, "filename", 0)) for e in (caught, expected)]
        assert facts[0] == facts[1]


def test_many_entries_come_with_each_trip_to_the_executor(full: Path) -> None:
    async def check() -> None:
        with CountingExecutor() as executor:
            found = [entry async for entry in aiofile.os.scandir(full, executor=executor)]
            assert {entry.name for entry in found} == {str(number) for number in range(MANY)}
            trips = executor.submitted
            assert trips <= 5
            assert [await entry.is_file() for entry in found] == [True] * MANY
            assert not any([await entry.is_symlink() or await entry.is_dir() for entry in found])
            # What kind they are is asked once for all that came together.
            assert executor.submitted - trips == 3
            await found[0].stat()
            await found[0].stat()
            assert executor.submitted - trips == 4

    run(check())


def test_what_a_link_leads_to_is_asked_once_and_again_only_if_it_was_not_there(folder: Path) -> None:
    async def check() -> None:
        with CountingExecutor() as executor:
            found = {entry.name: entry async for entry in aiofile.os.scandir(folder, executor=executor)}
            await found["file"].is_file()
            for name, asked, trips in (("to dir", True, 1), ("to nowhere", False, 2)):
                before = executor.submitted
                assert [await found[name].is_dir() for _ in range(2)] == [asked] * 2
                assert executor.submitted - before == trips
            (folder / "missing").mkdir()
            assert await found["to nowhere"].is_dir()

    run(check())


def test_answers_that_are_there_at_once_do_not_hold_the_loop(full: Path) -> None:
    async def check() -> None:
        entries = [entry async for entry in aiofile.os.scandir(full)]
        with Turns() as turns:
            for _ in range(10):
                for entry in entries:
                    await entry.is_file()
        assert turns.count > 20

    run(check())


def test_a_break_and_each_way_of_closing_close_the_directory(full: Path) -> None:
    async def check() -> None:
        before = descriptors()
        async for _ in aiofile.os.scandir(full):
            assert descriptors() != before
            break
        assert descriptors() == before
        async with aiofile.os.scandir(full) as entries:
            await anext(entries)
            assert descriptors() != before
        assert descriptors() == before
        with pytest.raises(StopAsyncIteration):
            await anext(entries)
        async with contextlib.aclosing(aiofile.os.scandir(full)) as closing:
            await anext(closing)
        assert descriptors() == before
        await aiofile.os.scandir(full).aclose()
        async with aiofile.os.scandir(full):
            pass
        assert descriptors() == before

    run(check())


class HeldScandir:
    """os.scandir, which does not return before it is let go."""

    def __init__(self) -> None:
        self._scandir = os.scandir
        self.begun = threading.Event()
        self.let_go = threading.Event()

    def __call__(self, *arguments: Any) -> Any:
        entries = self._scandir(*arguments)
        self.begun.set()
        assert self.let_go.wait(60)
        return entries


@pytest.mark.parametrize("dialect", ["await", "async for", "async with"])
def test_a_cancelled_call_leaves_no_directory_open(dialect: str, full: Path) -> None:
    kept = []

    async def use() -> None:
        if dialect == "await":
            await aiofile.os.scandir(full)
        elif dialect == "async for":
            async for _ in aiofile.os.scandir(full):
                pass
        else:
            kept.append(aiofile.os.scandir(full))
            async with kept[0]:
                pass

    async def check() -> None:
        before = descriptors()
        held = HeldScandir()
        with mock.patch("os.scandir", held):
            task = asyncio.create_task(use())
            await until(held.begun.is_set)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            del task
            gc.collect()
            held.let_go.set()
            await until(lambda: descriptors() == before)

    run(check())


def test_a_cancelled_iteration_loses_no_entry(full: Path) -> None:
    async def check() -> None:
        entries = aiofile.os.scandir(full)
        found = []
        for turns in range(4):
            waiting = asyncio.ensure_future(anext(entries))
            for _ in range(turns):
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
            if not waiting.cancelled():
                found.append(waiting.result().name)
        found += [entry.name async for entry in entries]
        assert sorted(found) == sorted(os.listdir(full))

    run(check())


def test_the_entries_before_an_error_come_before_it(folder: Path) -> None:
    class Failing:
        """A directory on a disk that fails after some entries."""

        def __init__(self, *_: object) -> None:
            self._entries = scandir(folder)

        def __enter__(self) -> Iterator[Any]:
            yield next(self._entries)
            yield next(self._entries)
            raise OSError(5, "Input/output error", str(folder))

        def __exit__(self, *_: object) -> None:
            self._entries.close()

    scandir = os.scandir

    async def check() -> None:
        with mock.patch("os.scandir", Failing):
            entries = aiofile.os.scandir(folder)
            assert (await anext(entries)).name
            assert (await anext(entries)).name
            with pytest.raises(OSError, match="Input/output error"):
                await anext(entries)
            with pytest.raises(StopAsyncIteration):
                await anext(entries)

    before = descriptors()
    run(check())
    assert descriptors() == before


def test_what_was_awaited_cannot_be_iterated_over_too(folder: Path) -> None:
    async def check() -> None:
        asked = aiofile.os.scandir(folder)
        (await asked).close()
        with pytest.raises(RuntimeError, match="awaited already"):
            await anext(asked)
        with pytest.raises(RuntimeError, match="already awaited"):
            await asked

    run(check())


def test_the_directory_is_read_in_the_executor_that_is_given(folder: Path) -> None:
    async def check() -> None:
        with CountingExecutor() as executor:
            (await aiofile.os.scandir(folder, executor=executor)).close()
            assert executor.submitted == 1
            async for entry in aiofile.os.scandir(folder, executor=executor, loop=asyncio.get_running_loop()):
                await entry.stat(follow_symlinks=False)
            # The entries, the end of them, the attributes of seven.
            assert executor.submitted == 1 + 1 + 1 + 7

    run(check())
