"""aiofile.os.walk and fwalk: the directories of a tree, as os gives them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import aiofile.os
from support import CountingExecutor, descriptors, run, until

STYLES = [(name, topdown) for name in ("walk", "fwalk") for topdown in (True, False)]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for folder in ("a/b/c", "a/d", "e/f", "g"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("a/1", "a/b/2", "a/b/c/3", "e/f/4", "5"):
        (tmp_path / file).touch()
    (tmp_path / "a/around").symlink_to(tmp_path / "e")
    (tmp_path / "nowhere").symlink_to("missing")
    return tmp_path


async def collect(walk: Any) -> list[Any]:
    return [found[:3] async for found in walk]


def ours(name: str) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(aiofile.os, name)
    return function


@pytest.mark.parametrize(("name", "topdown"), STYLES)
@pytest.mark.parametrize("follow", [False, True])
def test_a_walk_gives_what_that_of_os_gives(name: str, topdown: bool, follow: bool, tree: Path) -> None:
    keywords = {"followlinks" if name == "walk" else "follow_symlinks": follow, "topdown": topdown}
    for top in (str(tree), os.fsencode(tree), tree, tree / "5", tree / "missing"):
        expected = outcome(lambda: [found[:3] for found in getattr(os, name)(top, **keywords)])  # noqa: B023
        assert outcome(lambda: run(collect(ours(name)(top, **keywords)))) == expected  # noqa: B023


def outcome(walk: Callable[[], Any]) -> Any:
    try:
        return walk()
    except OSError as error:
        # The file's name is the number of a descriptor, for some.
        return type(error), error.errno, error.strerror


def test_a_walk_by_descriptors_is_relative_to_one_and_gives_those_of_its_directories(tree: Path) -> None:
    async def check() -> None:
        fd = os.open(tree, os.O_RDONLY)
        found = []
        async for folder, _, files, here in aiofile.os.fwalk("a", dir_fd=fd):
            assert os.stat(here).st_ino == os.stat(folder, dir_fd=fd).st_ino
            found += [os.stat(name, dir_fd=here).st_size for name in files]
        assert found == [0, 0, 0]
        os.close(fd)

    before = descriptors()
    run(check())
    assert descriptors() == before


@pytest.mark.parametrize("name", ["walk", "fwalk"])
def test_what_is_taken_out_of_the_names_is_not_visited_and_what_is_put_in_is(name: str, tree: Path) -> None:
    async def check() -> None:
        visited = []
        async for folder, names, *_ in ours(name)(tree):
            visited.append(os.path.relpath(folder, tree))
            if visited == ["."]:
                (tree / "new").mkdir()
                names[:] = ["new", *sorted(set(names) - {"e"})]
            if folder.endswith("a"):
                names.clear()
        assert visited == [".", "new", "a", "g"]

    run(check())


def test_each_directory_is_one_trip_to_the_executor(tree: Path) -> None:
    async def check() -> None:
        with CountingExecutor() as executor:
            found = await collect(aiofile.os.walk(tree, executor=executor))
            # The last one finds the end.
            assert executor.submitted == len(found) + 1 == 9

    run(check())


def failing(*names: str) -> Any:
    """Makes scandir fail for directories of these names."""
    scandir = os.scandir

    def fail(path: Any = ".") -> Any:
        if os.path.basename(path) in names:
            raise PermissionError(13, "denied", path)
        return scandir(path)

    return mock.patch("os.scandir", fail)


@pytest.mark.parametrize("topdown", [True, False])
def test_errors_are_told_on_the_thread_of_the_loop_before_what_comes_after_them(
    topdown: bool, tree: Path
) -> None:
    events: list[Any] = []

    def theirs(error: OSError) -> None:
        events.append(error.filename)

    def mine(error: OSError) -> None:
        assert threading.current_thread() is threading.main_thread()
        assert asyncio.get_running_loop().is_running()
        events.append(error.filename)

    async def check() -> None:
        async for folder, *_ in aiofile.os.walk(tree, topdown, mine):
            events.append(folder)

    with failing("b", "d", "f"):
        for folder, *_ in os.walk(tree, topdown, theirs):
            events.append(folder)
        expected = events[:]
        events.clear()
        run(check())
    assert len([event for event in events if os.path.basename(event) in {"b", "d", "f"}]) == 3
    assert events == expected


def test_an_error_that_onerror_raises_ends_the_walk(tree: Path) -> None:
    async def check() -> None:
        def refuse(error: OSError) -> None:
            raise error

        walk = aiofile.os.walk(tree, onerror=refuse)
        with failing(tree.name), pytest.raises(PermissionError, match="denied"):
            await anext(walk)
        with pytest.raises(StopAsyncIteration):
            await anext(walk)
        # Without it, they are passed over.
        with failing(tree.name):
            assert await collect(aiofile.os.walk(tree)) == []

    run(check())


def test_an_error_that_onerror_raises_closes_the_descriptors(tree: Path) -> None:
    open_as_ever = os.open
    _, (first, *_), _ = next(os.walk(tree))

    def fail(path: Any, *arguments: Any, **keywords: Any) -> int:
        if path == first:
            raise PermissionError(13, "denied", path)
        return open_as_ever(path, *arguments, **keywords)

    async def check() -> None:
        def refuse(error: OSError) -> None:
            raise error

        before = descriptors()
        walk = aiofile.os.fwalk(tree, onerror=refuse)
        with mock.patch("os.open", fail), pytest.raises(PermissionError, match="denied"):
            await collect(walk)
        assert descriptors() == before
        await walk.aclose()

    run(check())


def test_wrong_arguments_are_refused_as_os_does() -> None:
    wrong: list[Any] = [((), {}), (("/",), {"dir_fd": 1}), (("/", True, None, False, 1), {})]
    for arguments, keywords in wrong:
        with pytest.raises(TypeError):
            os.walk(*arguments, **keywords)
        with pytest.raises(TypeError):
            ours("walk")(*arguments, **keywords)


def test_a_patched_walk_is_the_one_that_is_used() -> None:
    with mock.patch("os.walk", return_value=[("top", [], ["file"])]) as patched:
        assert run(collect(aiofile.os.walk("top"))) == [("top", [], ["file"])]
        patched.assert_called_once_with("top", True, None, False)


@pytest.mark.parametrize("topdown", [True, False])
def test_an_early_break_closes_the_descriptors(topdown: bool, tree: Path) -> None:
    async def check() -> None:
        before = descriptors()
        async for _ in aiofile.os.fwalk(tree, topdown):
            assert descriptors() != before
            break
        assert descriptors() == before
        async with contextlib.aclosing(aiofile.os.fwalk(tree, topdown)) as walk:
            await anext(walk)
            assert descriptors() != before
        assert descriptors() == before
        with pytest.raises(StopAsyncIteration):
            await anext(walk)
        async with aiofile.os.fwalk(tree, topdown) as entered:
            await anext(entered)
        assert descriptors() == before
        await entered.aclose()

    run(check())


class Slow:
    """A walk whose every step waits to be let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.let_go = threading.Event()
        self.closed = threading.Event()

    def __call__(self, *arguments: Any, **keywords: Any) -> Iterator[tuple[str, list[str], list[str]]]:
        try:
            for number in range(3):
                self.begun.set()
                assert self.let_go.wait(60)
                yield str(number), [], []
        finally:
            self.closed.set()


def test_a_cancelled_step_gives_its_directory_to_the_next(tree: Path) -> None:
    async def check() -> None:
        slow = Slow()
        with mock.patch("os.walk", slow):
            walk = aiofile.os.walk(tree)
        waiting = asyncio.ensure_future(anext(walk))
        await until(slow.begun.is_set)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        slow.let_go.set()
        assert [folder for folder, *_ in await collect(walk)] == ["0", "1", "2"]

    run(check())


def test_a_step_that_is_cancelled_when_it_has_ended_loses_nothing(tree: Path) -> None:
    async def check() -> None:
        expected = [found[:3] for found in os.walk(tree)]
        walk = aiofile.os.walk(tree)
        found: list[Any] = []
        while len(found) < len(expected):
            waiting = asyncio.ensure_future(anext(walk))
            for _ in range(len(found) % 4):
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
            if not waiting.cancelled():
                found.append(waiting.result())
            else:
                found.append(await anext(walk))
        assert found == expected

    run(check())


def test_two_tasks_cannot_take_the_same_step(tree: Path) -> None:
    async def check() -> None:
        slow = Slow()
        with mock.patch("os.walk", slow):
            walk = aiofile.os.walk(tree)
        waiting = asyncio.ensure_future(anext(walk))
        await until(slow.begun.is_set)
        with pytest.raises(RuntimeError, match="another task"):
            await anext(walk)
        slow.let_go.set()
        assert (await waiting)[0] == "0"
        await walk.aclose()
        assert slow.closed.is_set()

    run(check())


def test_a_walk_that_is_closed_or_dropped_during_a_step_is_closed_after_it(tree: Path) -> None:
    async def check() -> None:
        for close in (True, False):
            slow = Slow()
            with mock.patch("os.walk", slow):
                walk = aiofile.os.walk(tree)
            waiting = asyncio.ensure_future(anext(walk))
            await until(slow.begun.is_set)
            waiting.cancel()
            await asyncio.wait([waiting])
            assert waiting.cancelled()
            if close:
                closing = asyncio.ensure_future(walk.aclose())
                await asyncio.sleep(0)
                closing.cancel()
                await asyncio.wait([closing])
            del walk, waiting
            gc.collect()
            assert not slow.closed.is_set()
            slow.let_go.set()
            await until(slow.closed.is_set)

    run(check())
