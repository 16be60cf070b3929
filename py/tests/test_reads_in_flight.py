"""Many reads at once: how much memory those in flight have, and what becomes of those that wait for it.

Only what is not in the page cache waits. With room for one byte, one such read goes on at a time.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import aiofile
from support import child, descriptors, evict, run, succeed, until

BLOCK = 64 * 1024
COUNT = 200


@pytest.fixture
def content() -> bytes:
    return random.Random(11).randbytes(BLOCK) + random.Random(12).randbytes((COUNT - 1) * BLOCK)


@pytest.fixture
def path(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "f"
    path.write_bytes(content)
    evict(path)
    return path


@pytest.fixture
def room_for_one() -> Iterator[None]:
    settings = aiofile.configure()
    aiofile.configure(buffer_bytes=1)
    yield
    aiofile.configure(**settings._asdict())


def block(content: bytes, number: int) -> bytes:
    return content[number * BLOCK : (number + 1) * BLOCK]


def backwards() -> range:
    """Blocks in an order in which the kernel reads nothing ahead."""
    return range(COUNT - 1, -1, -1)


def test_many_reads_at_once_have_no_more_memory_than_they_may(path: Path) -> None:
    program = """
        import aiofile, asyncio, os, sys

        BLOCK, COUNT = 64 * 1024, 200

        def peak():
            with open("/proc/self/status") as status:
                return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024

        async def main():
            async with aiofile.open(sys.argv[1], "rb") as file:
                async def read(number):
                    for _ in range(4):
                        os.posix_fadvise(file.fileno(), number * BLOCK, BLOCK, os.POSIX_FADV_DONTNEED)
                        await file.pread(BLOCK, number * BLOCK)

                await read(0)
                with open("/proc/self/clear_refs", "w") as clear:
                    clear.write("5")  # The peak starts anew.
                before = peak()
                # Every block ten times, which is ten times as much as may be in flight.
                await asyncio.gather(*(read(number % COUNT) for number in range(10 * COUNT)))
                print(peak() - before)

        asyncio.run(main())
    """
    assert int(succeed(child(program, str(path)))) < 24 * 1024 * 1024


@pytest.mark.usefixtures("room_for_one")
def test_each_gets_its_bytes_in_its_turn(path: Path, content: bytes) -> None:
    async def main() -> None:
        ended: list[int] = []
        async with aiofile.open(path, "rb") as file:

            async def read(number: int) -> bytes:
                data = await file.pread(BLOCK, number * BLOCK)
                ended.append(number)
                return data

            tasks = {number: asyncio.ensure_future(read(number)) for number in backwards()}
            assert all([block(content, number) == await task for number, task in tasks.items()])
        assert sorted(ended) == list(range(COUNT))

    run(main())


@pytest.mark.usefixtures("room_for_one")
def test_files_that_fill_their_buffers_wait_for_room_too(path: Path, content: bytes) -> None:
    async def read(number: int) -> bytes:
        async with aiofile.open(path, "rb") as file:
            await file.seek(number * BLOCK)
            return await file.read(BLOCK)

    async def main() -> None:
        read_blocks = await asyncio.gather(*map(read, backwards()))
        assert b"".join(reversed(read_blocks)) == content

    run(main())


@pytest.mark.usefixtures("room_for_one")
def test_pread_many_goes_on_beside_reads_that_wait(path: Path, content: bytes) -> None:
    async def main() -> None:
        async with aiofile.open(path, "rb") as file:
            singles = [asyncio.ensure_future(file.pread(BLOCK, number * BLOCK)) for number in backwards()]
            ranges = [(BLOCK, number * BLOCK) for number in range(0, COUNT, 3)]
            many = await asyncio.gather(*(file.pread_many(ranges) for _ in range(3)))
            assert many == [[block(content, number) for number in range(0, COUNT, 3)]] * 3
            assert [await single for single in singles] == [block(content, number) for number in backwards()]

    run(main())


@pytest.mark.usefixtures("room_for_one")
def test_what_is_cancelled_while_it_waits_leaves_the_others_their_turns(path: Path, content: bytes) -> None:
    async def main() -> None:
        before = descriptors()
        async with aiofile.open(path, "rb") as file:
            for stay in range(4):
                evict(path)
                tasks = {
                    number: asyncio.ensure_future(file.pread(BLOCK, number * BLOCK)) for number in backwards()
                }
                await asyncio.sleep(0)
                cancelled = [task for number, task in tasks.items() if number % 4 != stay]
                for task in cancelled:
                    task.cancel()
                for number, task in tasks.items():
                    if task not in cancelled:
                        assert await task == block(content, number)
                outcomes = await asyncio.gather(*cancelled, return_exceptions=True)
                assert all(isinstance(each, (bytes, asyncio.CancelledError)) for each in outcomes)
        assert descriptors() == before

    run(main())


@pytest.mark.usefixtures("room_for_one")
def test_what_is_in_memory_does_not_wait_for_what_is_not(tmp_path: Path, path: Path) -> None:
    (tmp_path / "cached").write_bytes(b"here")

    async def main() -> None:
        async with aiofile.open(path, "rb") as cold, aiofile.open(tmp_path / "cached", "rb") as cached:
            tasks = [asyncio.ensure_future(cold.pread(BLOCK, number * BLOCK)) for number in backwards()]
            await asyncio.sleep(0)
            reading: Any = cached.pread(4, 0)
            with pytest.raises(StopIteration) as ended:
                reading.send(None)
            assert ended.value.value == b"here"
            await asyncio.gather(*tasks)

    run(main())


@pytest.mark.usefixtures("room_for_one")
def test_reads_without_an_end_take_no_room(path: Path, tmp_path: Path, content: bytes) -> None:
    os.mkfifo(tmp_path / "fifo")

    async def main() -> None:
        writer = os.open(tmp_path / "fifo", os.O_RDWR)
        async with aiofile.open(tmp_path / "fifo", "rb") as fifo, aiofile.open(path, "rb") as file:
            waiting = asyncio.ensure_future(fifo.readline())
            await asyncio.sleep(0)
            for number in backwards():
                assert await file.pread(BLOCK, number * BLOCK) == block(content, number)
            os.write(writer, b"a line\n")
            assert await waiting == b"a line\n"
        os.close(writer)

    run(main())


@pytest.mark.usefixtures("room_for_one")
@pytest.mark.filterwarnings("ignore:.*unclosed file:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_a_closed_loop_leaves_no_reads_behind_that_keep_the_room(path: Path, content: bytes) -> None:
    """Its tasks are gone without a word, and with them whoever would have begun the next read."""

    async def leave() -> None:
        file = await aiofile.open(path, "rb")
        for number in backwards():
            task = asyncio.ensure_future(file.pread(BLOCK, number * BLOCK))
            task.set_name("left")
        await asyncio.sleep(0)

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)
    loop.run_until_complete(leave())
    loop.close()
    evict(path)

    async def main() -> None:
        async with aiofile.open(path, "rb") as file:
            blocks = await asyncio.gather(*(file.pread(BLOCK, number * BLOCK) for number in backwards()))
            assert b"".join(reversed(blocks)) == content

    run(main())
    # Of the loop that was closed.
    gc.collect()


@pytest.mark.usefixtures("room_for_one")
def test_a_closed_file_ends_reads_that_wait(path: Path) -> None:
    async def main() -> None:
        file = await aiofile.open(path, "rb")
        tasks = [asyncio.ensure_future(file.pread(BLOCK, number * BLOCK)) for number in backwards()]
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(file.close())
        await until(closing.done)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(each) for each in outcomes} <= {bytes, ValueError}

    run(main())
