"""Reading into memory of the program's."""

from __future__ import annotations

import array
import asyncio
import contextlib
import ctypes
import io
import mmap
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import aiofile
from support import child, evict, run, succeed

SIZE = 3_000_000


class Pair(ctypes.LittleEndianStructure):
    _fields_ = [("a", ctypes.c_uint32), ("b", ctypes.c_double)]


@pytest.fixture(scope="module")
def content() -> bytes:
    return random.Random(4).randbytes(SIZE)


@pytest.fixture
def path(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "file"
    path.write_bytes(content)
    return path


BUFFERS: dict[str, Callable[[], Any]] = {
    "bytearray": lambda: bytearray(100_000),
    "empty": bytearray,
    "large": lambda: bytearray(2_000_000),
    "part": lambda: memoryview(bytearray(10_000))[100:9_000],
    "doubles": lambda: array.array("d", bytes(80_000)),
    "two dimensions": lambda: memoryview(bytearray(48_000)).cast("B", (4, 12_000)),
    "doubles in two dimensions": lambda: (
        memoryview(array.array("d", bytes(4800))).cast("B").cast("d", (6, 100))
    ),
    "one number": ctypes.c_uint64,
    "structures": Pair * 1000,
    "empty structures": Pair * 0,
    "memory map": lambda: mmap.mmap(-1, 300_000),
}


@pytest.mark.parametrize("method", ["readinto", "readinto1"])
@pytest.mark.parametrize("kind", BUFFERS)
def test_every_kind_of_memory_is_filled_as_by_io(path: Path, kind: str, method: str) -> None:
    ours, theirs = BUFFERS[kind](), BUFFERS[kind]()

    async def main() -> None:
        with path.open("rb") as file:
            async with aiofile.open(path, "rb") as async_file:
                for step in range(3):
                    if step == 2:
                        evict(path)
                    else:
                        # Something is buffered.
                        assert await async_file.read(10) == file.read(10)
                    count = await getattr(async_file, method)(ours)
                    if method == "readinto":
                        assert count == file.readinto(theirs)
                        assert bytes(ours) == bytes(theirs)
                    else:
                        assert (count > 0) == (memoryview(ours).nbytes > 0)
                        again = file.read(count)
                        assert memoryview(ours).tobytes()[:count] == again
                    assert await async_file.tell() == file.tell()

    run(main())


@pytest.mark.parametrize("cold", [False, True])
def test_an_unbuffered_file_is_read_once(path: Path, content: bytes, cold: bool) -> None:
    async def main() -> None:
        async with aiofile.open(path, "rb", buffering=0) as file:
            position = count = 0
            for size in (1, 5000, 100_000, 1_000_000, SIZE, 10):
                if cold:
                    evict(path)
                buffer = bytearray(size)
                count = await file.readinto(buffer)
                expected = content[position : position + size]
                assert (count, bytes(buffer[:count])) == (len(expected), expected)
                position += count
                assert await file.tell() == position == os.lseek(file.fileno(), 0, os.SEEK_CUR)
            assert count == 0

    run(main())


@pytest.mark.parametrize("method", ["readinto", "readinto1"])
def test_memory_that_io_refuses_is_refused_in_its_words(path: Path, method: str) -> None:
    bad: list[Any] = [
        b"read-only",
        memoryview(b"read-only"),
        "text",
        None,
        3,
        memoryview(bytearray(10))[::2],
        memoryview(bytearray(10))[::-1],
    ]
    with contextlib.suppress(ImportError):
        from _testbuffer import ND_FORTRAN, ND_WRITABLE, ndarray  # type: ignore[import-not-found]

        bad.append(ndarray(list(range(6)), shape=[2, 3], format="B", flags=ND_FORTRAN | ND_WRITABLE))

    async def main() -> None:
        with path.open("rb") as theirs:
            async with aiofile.open(path, "rb") as ours:
                for buffer in bad:
                    with pytest.raises(TypeError) as expected:
                        getattr(theirs, method)(buffer)
                    with pytest.raises(TypeError) as raised:
                        await getattr(ours, method)(buffer)
                    assert str(raised.value) == str(expected.value)
                    if sys.version_info >= (3, 11) and isinstance(buffer, memoryview):
                        # What its words do not say.
                        notes = getattr(raised.value, "__notes__", [])
                        assert any("not in one piece" in note for note in notes) is not buffer.c_contiguous
                assert await ours.tell() == 0

    run(main())


@pytest.mark.parametrize("size", [100_000, 20_000_000])
def test_memory_cannot_be_resized_before_the_read_has_ended(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)

    async def main() -> None:
        async with aiofile.open(path, "rb") as file:
            cancelled = 0
            for turns in range(12):
                evict(path)
                buffer = bytearray(size)
                task = asyncio.ensure_future(file.readinto(buffer))
                await asyncio.sleep(0)
                if not task.done():
                    with pytest.raises(BufferError):
                        buffer.clear()
                for _ in range(turns // 3):
                    await asyncio.sleep(0)
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
                cancelled += task.cancelled()
                # Nothing is read into it any more, and the file is where it was.
                before = bytes(buffer)
                if task.cancelled():
                    assert await file.tell() == 0
                assert bytes(buffer) == before
                buffer.clear()
                await file.seek(0)
            assert cancelled > 0
            whole = bytearray(size)
            assert await file.readinto(whole) == size
            assert whole == b"x" * size

    run(main())


def test_memory_of_a_call_that_is_dropped_is_kept_until_it_is_read(path: Path) -> None:
    async def main() -> None:
        async with aiofile.open(path, "rb") as file:
            evict(path)
            buffer = bytearray(SIZE)
            reading = file.readinto(buffer)
            with contextlib.suppress(StopIteration):
                reading.send(None)
            reading.close()
            # Its turn comes when the memory is given back.
            assert len(await file.read(10)) == 10
            buffer.clear()

    run(main())


def test_a_large_read_goes_to_its_memory_without_another_in_between(tmp_path: Path) -> None:
    path = tmp_path / "file"
    size = 128 * 1024 * 1024
    with path.open("wb") as file:
        file.truncate(size)
    program = """
        import asyncio, resource, sys
        import aiofile

        path, size, buffering = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

        def counted():
            with open("/proc/self/io") as counts:
                reads = next(int(line.split()[1]) for line in counts if line.startswith("syscr"))
            return reads, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

        async def main():
            buffer = bytearray(b"x") * size
            async with aiofile.open(path, "rb", buffering) as file:
                await file.read(1)
                await file.seek(0)
                reads, memory = counted()
                assert await file.readinto(buffer) == size
                more_reads, more_memory = counted()
            assert buffer.count(0) == size
            # Each call of the kernel brings 128 KiB, and only the buffer has memory for so much.
            assert more_reads - reads < size // (128 * 1024) + 60, more_reads - reads
            assert more_memory - memory < 4 * 1024 * 1024, more_memory - memory

        asyncio.run(main())
    """
    for buffering in ("-1", "0"):
        succeed(child(program, str(path), str(size), buffering))


def test_a_read_of_some_pages_is_one_call_and_takes_no_buffer(path: Path) -> None:
    program = """
        import asyncio, sys
        import aiofile
        from aiofile import _native

        def reads():
            with open("/proc/self/io") as counts:
                return next(int(line.split()[1]) for line in counts if line.startswith("syscr"))

        async def main():
            buffer = bytearray(64 * 1024)
            async with aiofile.open(sys.argv[1], "rb") as file:
                await file.readinto(buffer)
                before = reads()
                for number in range(20):
                    await file.seek(number * 65536)
                    assert await file.readinto(buffer) == len(buffer)
                    assert _native.buffers_in_use() == 0
                own = reads() - before
                before = reads()
                assert own - (reads() - before) == 20, own

        asyncio.run(main())
    """
    succeed(child(program, str(path)))


def test_pipes_and_blocking_files_are_read_into_as_well(path: Path, content: bytes) -> None:
    async def main() -> None:
        reading, writing = os.pipe()
        async with aiofile.open(reading, "rb") as pipe, aiofile.open(writing, "wb") as out:
            buffer = array.array("d", bytes(80_000))
            await out.write(content[:50_000])
            await out.flush()
            assert await pipe.readinto1(buffer) > 0
            filling = asyncio.ensure_future(pipe.readinto(memoryview(buffer)[:5000]))
            await out.write(content[:40_000])
            await out.flush()
            assert await filling == 40_000
        async with aiofile.open(path, "rb") as file:
            assert isinstance(file.raw, io.FileIO)
            numbers = array.array("I", bytes(4000))
            assert await file.readinto(numbers) == 4000
            assert numbers.tobytes() == content[:4000]

    run(main())
