"""Many ranges of a file in one call."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import aiofile
from aiofile import _native
from support import Turns, child, evict, run, succeed, until

SIZE = 5_000_000


@pytest.fixture(scope="module")
def content() -> bytes:
    return random.Random(3).randbytes(SIZE)


@pytest.fixture
def path(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "file"
    path.write_bytes(content)
    return path


def ranges_of(seed: int, count: int) -> list[tuple[int, int]]:
    """Small, empty and large ones, some of them past the end."""
    randoms = random.Random(seed)
    sizes = [0, 1, 4096, 10_000, 131_072, 131_073, 400_000]
    weights = [1, 5, 20, 5, 2, 1, 1]
    return [(randoms.choices(sizes, weights)[0], randoms.randrange(SIZE + 100_000)) for _ in range(count)]


@pytest.mark.parametrize("cold", [False, True])
@pytest.mark.parametrize("buffering", [-1, 0])
def test_every_range_is_what_pread_gives(path: Path, content: bytes, cold: bool, buffering: int) -> None:
    ranges = ranges_of(1, 1500)

    async def main() -> None:
        async with aiofile.open(path, "rb", buffering) as file:
            if cold:
                evict(path)
            found = await file.pread_many(ranges)
            assert found == [content[offset : offset + size] for size, offset in ranges]
            assert await file.tell() == 0
            assert await file.pread_many([]) == []
            assert await file.pread_many(iter([(3, 7)])) == [content[7:10]]

    run(main())


def test_a_call_is_one_wait_for_all_of_what_the_device_has(path: Path) -> None:
    async def main() -> None:
        async with aiofile.open(path, "rb") as file:
            reads = file._preads([(4096, number * 4096) for number in range(1000)])
            evict(path)
            steps = 0
            while (step := reads.step()) is not True:
                steps += 1
                await (asyncio.sleep(0) if step is False else step)
            # Not one for each range.
            assert steps < 100
            assert [len(each) for each in reads.take()] == [4096] * 1000

    run(main())


def test_what_was_written_is_read(path: Path, content: bytes) -> None:
    async def main() -> None:
        async with aiofile.open(path, "r+b") as file:
            await file.write(b"new")
            assert await file.pread_many([(5, 0), (2, 100)]) == [b"new" + content[3:5], content[100:102]]

    run(main())


def test_bad_ranges_are_refused_before_anything_is_read(path: Path) -> None:
    async def main() -> None:
        async with aiofile.open(path, "rb") as file:
            for bad in ([(1, 0), (-1, 0)], [(1, -1)]):
                with pytest.raises(ValueError, match="must not be negative"):
                    await file.pread_many(bad)
            no_pairs: list[Any] = [[3], [(1, 0), (1, 2, 3)], [(1,)], ["12"], [{1, 0}], [None]]
            for bad in no_pairs:
                with pytest.raises(TypeError, match=r"^ranges must be \(size, offset\) pairs$"):
                    await file.pread_many(bad)
            with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
                await file.pread_many([("1", 0)])  # type: ignore[list-item]
        with pytest.raises(ValueError, match="closed file"):
            await file.pread_many([(1, 0)])

    run(main())


def test_a_pair_may_be_a_list(path: Path, content: bytes) -> None:
    pairs: list[Any] = [[5, 10], (5, 20), [0, 0], [300_000, 1]]

    async def main() -> None:
        async with aiofile.open(path, "rb") as file:
            expected = [content[offset : offset + size] for size, offset in pairs]
            assert await file.pread_many(pairs) == expected
            assert file.raw.readable()
            assert await file.pread_many(pairs) == expected
            with pytest.raises(TypeError, match="ranges must be"):
                await file.pread_many([3])  # type: ignore[list-item]

    run(main())


def test_files_without_offsets_refuse(path: Path) -> None:
    async def main() -> None:
        reading, writing = os.pipe()
        async with aiofile.open(reading, "rb") as pipe, aiofile.open(writing, "wb"):
            with pytest.raises(OSError, match="seekable"):
                await pipe.pread_many([(1, 0)])
        async with aiofile.open(path, "wb") as written:
            with pytest.raises(OSError, match="read"):
                await written.pread_many([(1, 0)])
        async with aiofile.open(path) as text:
            assert not hasattr(text, "pread_many")

    run(main())


def test_an_error_names_the_file_and_ends_all() -> None:
    async def main() -> None:
        # There is nothing at address 0, and so an error for the range that is there.
        async with aiofile.open("/proc/self/mem", "rb") as file:
            for ranges in ([(10, 0)], [(10, 0)] * 1000, [(200_000, 0)]):
                with pytest.raises(OSError, match="Input/output error") as failed:
                    await file.pread_many(ranges)
                assert failed.value.filename == "/proc/self/mem"

    run(main())


def test_a_cancelled_call_gives_all_buffers_back(path: Path, content: bytes) -> None:
    ranges = [(4096, number * 4096) for number in range(1000)]

    async def main() -> None:
        async with aiofile.open(path, "rb") as file:
            cancelled = 0
            for turns in range(30):
                evict(path)
                task = asyncio.ensure_future(file.pread_many(ranges))
                for _ in range(turns // 5):
                    await asyncio.sleep(0)
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
                cancelled += task.cancelled()
                # Nothing of it is under way: the file is free at once.
                assert file._admit()
            assert cancelled > 0
            assert await file.pread_many(ranges[:3]) == [content[at : at + 4096] for _, at in ranges[:3]]

    run(main())


def test_a_call_that_is_dropped_in_the_middle_reads_no_more(path: Path) -> None:
    async def main() -> None:
        async with aiofile.open(path, "rb") as file:
            evict(path)
            reading = file.pread_many([(4096, number * 4096) for number in range(1000)])
            with contextlib.suppress(StopIteration):
                reading.send(None)
            reading.close()
            await asyncio.sleep(0)
            assert len(await file.read(10)) == 10

    run(main())


def test_two_calls_and_other_reads_do_not_disturb_each_other(path: Path, content: bytes) -> None:
    async def main() -> None:
        async with aiofile.open(path, "rb") as file:
            evict(path)
            calls: list[Any] = [file.pread_many(ranges_of(seed, 300)) for seed in range(5)]
            *many, single, line = await asyncio.gather(*calls, file.pread(5, 5), file.read(10))
            for seed, found in enumerate(many):
                assert found == [content[at : at + size] for size, at in ranges_of(seed, 300)]
            assert (single, line) == (content[5:10], content[:10])

    run(main())


def test_a_write_waits_for_the_ranges_and_they_for_it(path: Path, content: bytes) -> None:
    ranges = [(1000, number * 5000) for number in range(1000)]

    async def main() -> None:
        async with aiofile.open(path, "r+b") as file:
            evict(path)
            before = asyncio.ensure_future(file.pread_many(ranges))
            await asyncio.sleep(0)
            writing = asyncio.ensure_future(file.pwrite(b"x" * SIZE, 0))
            await asyncio.sleep(0)
            after = asyncio.ensure_future(file.pread_many(ranges))
            assert await before == [content[at : at + 1000] for _, at in ranges]
            assert await writing == SIZE
            assert await after == [b"x" * 1000] * 1000

    run(main())


@pytest.mark.parametrize("make", [lambda file: file.raw, lambda file: file._blocking()])
def test_a_file_that_became_a_blocking_one_is_read_there(
    path: Path, content: bytes, make: Callable[[Any], Any]
) -> None:
    async def main() -> None:
        async with aiofile.open(path, "rb") as file:
            make(file)
            assert await file.pread_many([(3, 1), (0, 5), (10, SIZE)]) == [content[1:4], b"", b""]

    run(main())


def test_cached_ranges_leave_the_loop_its_turns(path: Path) -> None:
    async def main() -> None:
        with Turns() as turns:
            async with aiofile.open(path, "rb") as file:
                await file.pread_many([(100, number) for number in range(20_000)])
        # At most 512 ranges between two of them.
        assert turns.count > 30

    run(main())


@pytest.mark.parametrize("blocking", [False, True])
def test_half_a_million_ranges_are_looked_at_in_several_turns(
    path: Path, content: bytes, blocking: bool
) -> None:
    count = 500_000
    before_last: list[int] = []

    def ranges(turns: Turns) -> Iterator[tuple[int, int]]:
        for number in range(count):
            yield 4, number
        before_last.append(turns.count)

    async def main() -> None:
        async with aiofile.open(path, "rb") as file:
            if blocking:
                assert file.raw.readable()
            with Turns() as turns:
                found = await file.pread_many(ranges(turns))
            assert found == [content[number : number + 4] for number in range(count)]
            # A range that is none is still found before anything is read.
            refused: Any = [(4, 0)] * 100_000 + [(-1, 0)]
            if not blocking:
                with pytest.raises(ValueError, match="negative"):
                    await file.pread_many(refused)

    run(main())
    assert before_last[0] > 20


def test_a_thread_that_ends_with_ranges_in_flight_is_no_harm(path: Path) -> None:
    program = """
        import asyncio, os, sys, threading
        import aiofile

        path = sys.argv[1]
        ranges = [(4096, number * 4096) for number in range(1000)]

        async def leave():
            file = await aiofile.open(path, "rb")
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            reading = file.pread_many(ranges)
            try:
                reading.send(None)
            except StopIteration:
                pass
            kept.append((file, reading))

        async def use():
            file, reading = kept.pop()
            reading.close()
            assert list(map(len, await file.pread_many(ranges))) == [4096] * 1000
            await file.close()

        for _ in range(5):
            kept = []
            thread = threading.Thread(target=lambda: asyncio.run(leave()))
            thread.start()
            thread.join()
            asyncio.run(use())
        print("done")
    """
    assert succeed(child(program, str(path))) == "done\n"


def test_no_buffer_of_the_pool_is_used(path: Path) -> None:
    async def main() -> None:
        async with aiofile.open(path, "rb") as file:
            evict(path)
            await file.pread_many([(4096, number * 4096) for number in range(1000)])
            await until(lambda: _native.buffers_in_use() == 0)

    run(main())
