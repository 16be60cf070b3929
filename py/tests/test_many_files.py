"""Many files read at once: `read_many` and `read_each`."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import aiofile
from aiofile import _native
from support import child, descriptors, run, succeed, threads, until

#: More than all batches of a call have at a time.
FILES = 600


def content_of(number: int) -> bytes:
    """Of different sizes: most small, some larger than a batch may bring of one, some empty."""
    size = [0, 10, 4096, 5000, 70_000, 300_000][number % 6] if number % 40 < 6 else 100 + number
    return (b"%d " % number * (size // 2 + 1))[:size]


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / str(number) for number in range(FILES)]
    for number, path in enumerate(paths):
        path.write_bytes(content_of(number))
    return paths


def assert_nothing_is_left() -> None:
    assert _native.buffers_in_use() == 0


def test_contents_come_in_the_order_of_the_paths(paths: list[Path]) -> None:
    contents = run(aiofile.read_many(paths))
    assert contents == [path.read_bytes() for path in paths] == [content_of(n) for n in range(FILES)]
    assert run(aiofile.read_many(str(path) for path in paths[:100])) == contents[:100]
    assert run(aiofile.read_many([])) == []
    assert_nothing_is_left()


def test_each_file_comes_once_with_its_path(paths: list[Path]) -> None:
    async def main() -> None:
        found = [item async for item in aiofile.read_each(paths)]
        assert len(found) == FILES
        assert dict(found) == {path: content_of(number) for number, path in enumerate(paths)}
        assert [item async for item in aiofile.read_each(iter(()))] == []

    run(main())
    assert_nothing_is_left()


def test_what_is_no_regular_file_is_read_as_by_itself(paths: list[Path], tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    descriptor = os.open(paths[1], os.O_RDONLY)

    async def main() -> None:
        mixed: list[Any] = [paths[3], "/dev/null", fifo, os.fsencode(paths[2]), descriptor, "/proc/self/comm"]
        reading = asyncio.ensure_future(aiofile.read_many(mixed))
        assert await aiofile.write_bytes(fifo, b"through") == 7
        comm = Path("/proc/self/comm").read_bytes()
        assert await reading == [content_of(3), b"", b"through", content_of(2), content_of(1), comm]

    run(main())


def test_the_first_error_is_raised_and_the_rest_is_not_read(paths: list[Path]) -> None:
    paths[0].unlink()
    asked = 0

    def asked_for() -> Iterator[Path]:
        nonlocal asked
        for path in paths:
            asked += 1
            yield path

    async def main() -> None:
        await aiofile.read_many(paths[1:2])
        before = descriptors()
        with pytest.raises(FileNotFoundError) as failed:
            await aiofile.read_many(asked_for())
        assert failed.value.filename == str(paths[0])
        assert descriptors() == before
        assert 0 < asked < FILES

    run(main())
    assert_nothing_is_left()


def test_errors_stand_in_their_places(paths: list[Path], tmp_path: Path) -> None:
    bad: list[Any] = [tmp_path, "missing", "nul\0", None, *paths[:200], tmp_path / "also missing"]

    async def main() -> None:
        results = await aiofile.read_many(bad, return_exceptions=True)
        assert results[4:-1] == [content_of(number) for number in range(200)]
        kinds = [type(each) for each in (*results[:4], results[-1])]
        assert kinds == [IsADirectoryError, FileNotFoundError, ValueError, TypeError, FileNotFoundError]
        found = [item async for item in aiofile.read_each(bad, return_exceptions=True)]
        assert len(found) == len(bad)
        errors = {str(path): type(result) for path, result in found if isinstance(result, Exception)}
        assert list(map(errors.get, map(str, (*bad[:4], bad[-1])))) == kinds

    run(main())
    assert_nothing_is_left()


def test_an_iteration_goes_on_behind_an_error(paths: list[Path]) -> None:
    paths[5].unlink()

    async def main() -> None:
        contents = aiofile.read_each(paths[:20])
        found, failed = [], 0
        while True:
            try:
                found.append((await anext(contents))[0])
            except FileNotFoundError:
                failed += 1
            except StopAsyncIteration:
                break
        assert failed == 1
        assert sorted(found) == sorted(set(paths[:20]) - {paths[5]})

    run(main())


def test_a_cancelled_call_leaves_nothing_open(paths: list[Path]) -> None:
    async def main() -> None:
        await aiofile.read_many(paths)
        before = descriptors()
        cancelled = 0
        for turns in range(30):
            task = asyncio.ensure_future(aiofile.read_many(paths))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            cancelled += task.cancelled()
            assert descriptors() == before
            assert_nothing_is_left()
        assert cancelled > 0

    run(main())


def test_a_cancelled_step_of_an_iteration_loses_no_file(paths: list[Path]) -> None:
    async def main() -> None:
        contents = aiofile.read_each(paths)
        found: list[Path] = []
        cancelled = 0
        while True:
            step = asyncio.ensure_future(anext(contents))
            if len(found) % 50 == 0 and cancelled < 1000:
                for _ in range(cancelled % 4):
                    await asyncio.sleep(0)
                step.cancel()
            try:
                found.append((await step)[0])
            except asyncio.CancelledError:
                cancelled += 1
            except StopAsyncIteration:
                break
        assert cancelled > 0
        assert sorted(found) == sorted(paths)

    run(main())


def test_an_iteration_that_is_left_early_reads_no_more_of_the_paths(paths: list[Path]) -> None:
    asked = 0

    def endless() -> Iterator[Path]:
        nonlocal asked
        while True:
            asked += 1
            yield paths[asked % FILES]

    async def main() -> None:
        await aiofile.read_many(paths[1:2])
        before = descriptors()
        async with aiofile.read_each(endless()) as contents:
            async for _ in contents:
                break
        assert descriptors() == before
        assert asked < 1000
        assert [item async for item in contents] == []

    run(main())
    assert_nothing_is_left()


def test_two_tasks_cannot_wait_for_the_same_step(paths: list[Path]) -> None:
    async def main() -> None:
        contents = aiofile.read_each(paths)
        steps = [asyncio.ensure_future(anext(contents)) for _ in range(2)]
        results = await asyncio.gather(*steps, return_exceptions=True)
        assert sorted(type(result).__name__ for result in results) == ["RuntimeError", "tuple"]
        await contents.aclose()

    run(main())


def test_a_few_threads_read_a_few_files_at_a_time(paths: list[Path]) -> None:
    async def main() -> None:
        await aiofile.read_many(paths)
        turns, most, reading = 0, 0, True

        async def watch() -> None:
            nonlocal turns, most
            while reading:
                turns += 1
                most = max(most, _native.buffers_in_use())
                await asyncio.sleep(0)

        watching = asyncio.ensure_future(watch())
        before = threads()
        for _ in range(5):
            await aiofile.read_many(paths * 2)
        reading = False
        await watching
        assert turns > 5
        # Four of them hold 256 KiB each: 1 MiB for one call.
        assert 0 < most <= 4
        assert threads() - before <= 4

    run(main())


def test_many_files_are_read_where_few_may_be_open(paths: list[Path]) -> None:
    program = """
        import asyncio, os, resource, sys
        from pathlib import Path
        import aiofile

        async def main():
            paths = sorted(Path(sys.argv[1]).iterdir())
            await aiofile.read_many(paths[:1])
            resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 3, 4096))
            contents = await asyncio.gather(*(aiofile.read_many(paths) for _ in range(20)))
            print(all(each == contents[0] for each in contents), len(contents[0]))

        asyncio.run(main())
    """
    assert succeed(child(program, str(paths[0].parent))) == f"True {FILES}\n"


def test_a_replaced_open_is_used_for_each_file(paths: list[Path]) -> None:
    program = """
        import asyncio, builtins, sys
        from pathlib import Path
        import aiofile

        opened = []
        real = builtins.open

        def fake(file, *arguments, **options):
            opened.append(file)
            return real(file, *arguments, **options)

        async def main():
            paths = sorted(Path(sys.argv[1]).iterdir())[:70]
            builtins.open = fake
            contents = await aiofile.read_many(paths)
            builtins.open = real
            assert contents == [path.read_bytes() for path in paths]
            assert opened == paths, opened

        asyncio.run(main())
    """
    succeed(child(program, str(paths[0].parent)))


def test_a_loop_that_ends_in_the_middle_is_no_harm(paths: list[Path]) -> None:
    async def leave() -> None:
        task = asyncio.ensure_future(aiofile.read_many(paths))
        await asyncio.sleep(0)
        assert not task.done()

    for _ in range(5):
        run(leave())

    async def main() -> None:
        assert await aiofile.read_many(paths[:3]) == [content_of(number) for number in range(3)]
        await until(lambda: _native.buffers_in_use() == 0)

    run(main())


@pytest.mark.parametrize("ends", ["goes on", "is closed"])
@pytest.mark.parametrize("where", ["this thread", "another thread"])
def test_an_iteration_that_was_left_can_be_used_in_another_loop(
    paths: list[Path], ends: str, where: str
) -> None:
    program = """
        import asyncio, os, sys, threading
        from pathlib import Path
        import aiofile

        folder, ends, where = sys.argv[1:]
        paths = sorted(Path(folder).iterdir())

        async def leave(found):
            contents = aiofile.read_each(paths)
            async for path, content in contents:
                found[path] = content
                return contents

        async def go_on(contents, found):
            if ends == "is closed":
                await contents.aclose()
            async for path, content in contents:
                assert path not in found
                found[path] = content

        def again(contents, found):
            asyncio.run(go_on(contents, found))
            expected = paths if ends == "goes on" else list(found)[:1]
            assert sorted(found) == sorted(expected), len(found)
            assert all(content == path.read_bytes() for path, content in found.items())

        for _ in range(10):
            found = {}
            contents = asyncio.run(leave(found))
            if where == "this thread":
                again(contents, found)
            else:
                failed = []
                threading.excepthook = failed.append
                thread = threading.Thread(target=again, args=(contents, found))
                thread.start()
                thread.join()
                assert not failed, failed
        print("through")
    """
    assert succeed(child(program, str(paths[0].parent), ends, where)) == "through\n"


def test_the_error_of_the_first_path_that_has_one_is_raised(paths: list[Path], tmp_path: Path) -> None:
    # It is read by itself, behind all that are read by the dozen.
    large = paths[5]
    assert large.stat().st_size > 256 * 1024
    large.write_bytes(bytes(300_000))
    absent = [tmp_path / "absent" / str(number) for number in range(3)]
    orders: list[list[Any]] = [
        [large, tmp_path, absent[0]],
        [absent[0], tmp_path],
        [*paths[:300], absent[1], *paths, absent[2]],
        [3_000_000, absent[0]],
        ["nul\0", absent[0]],
        [absent[0], "nul\0"],
        [*paths[:100], None, absent[0]],
    ]

    async def main() -> None:
        for order in orders:
            one_by_one = [await aiofile.read_many([path], return_exceptions=True) for path in order]
            expected = next(each for (each,) in one_by_one if isinstance(each, Exception))
            with pytest.raises(type(expected)) as raised:
                await aiofile.read_many(order)
            assert str(raised.value) == str(expected)

    run(main())
    assert_nothing_is_left()


@pytest.mark.parametrize(
    "kind", [str, os.fsencode, Path, lambda path: bytearray(path, "ascii"), lambda _path: None]
)
def test_one_path_is_not_taken_for_many(paths: list[Path], kind: Any) -> None:
    one = kind(str(paths[0]))
    message = f"paths must be an iterable of paths, not {type(one).__name__}"

    async def main() -> None:
        # The letters of `bytes` would be descriptors, which would be closed.
        before = descriptors()
        with pytest.raises(TypeError) as refused:
            await aiofile.read_many(one)
        assert str(refused.value) == message
        with pytest.raises(TypeError) as refused:
            aiofile.read_each(one)
        assert str(refused.value) == message
        assert descriptors() == before

    run(main())


class Failing:
    """An iterator that raises before each item at one of some indexes, and goes on with it then."""

    def __init__(self, items: list[Any], *failing: int) -> None:
        self._items = items
        self._failing = set(failing)
        self._next = 0

    def __iter__(self) -> Failing:
        return self

    def __next__(self) -> Any:
        if self._next in self._failing:
            self._failing.remove(self._next)
            raise ZeroDivisionError(self._next)
        if self._next == len(self._items):
            raise StopIteration
        self._next += 1
        return self._items[self._next - 1]


@pytest.mark.parametrize("failing", [(0,), (1,), (63,), (64,), (65,), (300, 301), (FILES,)])
def test_what_the_paths_raise_comes_behind_the_files_before(paths: list[Path], failing: tuple[int]) -> None:
    async def add_paths(contents: Any, found: list[Path]) -> None:
        async for path, _ in contents:
            found.append(path)

    async def main() -> None:
        contents = aiofile.read_each(Failing(paths, *failing))
        found: list[Path] = []
        for index in failing:
            with pytest.raises(ZeroDivisionError, match=str(index)):
                await add_paths(contents, found)
            assert sorted(found) == sorted(paths[:index])
        await add_paths(contents, found)
        assert sorted(found) == sorted(paths)
        with pytest.raises(ZeroDivisionError):
            await aiofile.read_many(Failing(paths, *failing), return_exceptions=True)
        # The first one, which is that of a file.
        with pytest.raises(FileNotFoundError):
            await aiofile.read_many(Failing([Path("absent"), *paths], 300))

    run(main())
    assert_nothing_is_left()


def test_an_audit_hook_refuses_one_file_and_no_others(paths: list[Path]) -> None:
    program = """
        import asyncio, sys, aiofile
        from pathlib import Path

        paths = sorted(Path(sys.argv[1]).iterdir())[:200]
        told = []

        def hook(event, arguments):
            if event == "open" and arguments[0] in map(str, paths):
                told.append(arguments[0])
                if arguments[0] in (str(paths[70]), str(paths[199])):
                    raise PermissionError("not this one")

        async def main():
            # With one that is no path, they are looked at one by one.
            for given in paths, [*paths, None]:
                told.clear()
                contents, found, refused = aiofile.read_each(given), [], []
                while True:
                    try:
                        found.append((await anext(contents))[0])
                    except PermissionError as error:
                        refused.append(error)
                    except TypeError:
                        continue
                    except StopAsyncIteration:
                        break
                assert sorted(found) == sorted(set(paths) - {paths[70], paths[199]})
                assert len(refused) == 2
                assert set(told) == set(map(str, paths))
                results = await aiofile.read_many(given, return_exceptions=True)
                errors = {number for number, result in enumerate(results) if type(result) is PermissionError}
                assert errors == {70, 199}
                for number in set(range(200)) - errors:
                    assert isinstance(results[number], bytes)

        sys.addaudithook(hook)
        asyncio.run(main())
    """
    succeed(child(program, str(paths[0].parent)))
