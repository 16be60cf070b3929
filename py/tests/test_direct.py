"""`direct=True`: past the page cache, at any offset and of any size."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import fcntl
import mmap
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import aiofile
from support import child, descriptors, run, succeed

SIZES = [0, 1, 7, 511, 512, 513, 4095, 4096, 4097, 10_000, 65_536, 300_000, 1_500_000]
ACTIONS = ["read", "write", "seek", "pread", "pwrite", "truncate", "readinto", "tell"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a file can be that is read and written past the page cache."""
    probe = tmp_path / "probe"
    try:
        os.close(os.open(probe, os.O_CREAT | os.O_RDWR | os.O_DIRECT))
    except OSError:
        pytest.skip("the file system of the temporary folder has no O_DIRECT")
    return tmp_path / "f"


def cached_pages(path: Path) -> int:
    """Pages of the file that are in the page cache."""
    size = path.stat().st_size
    with path.open("rb") as file, mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY) as mapped:
        first = ctypes.c_char.from_buffer(mapped)
        pages = (ctypes.c_ubyte * -(-size // mmap.PAGESIZE))()
        failed = ctypes.CDLL(None).mincore(
            ctypes.c_void_p(ctypes.addressof(first)), ctypes.c_size_t(size), pages
        )
        del first
        assert not failed
        return sum(page & 1 for page in pages)


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("buffering", [-1, 4096, 5000])
def test_any_sequence_does_what_it_does_in_io(path: Path, seed: int, buffering: int) -> None:
    random_ = random.Random(seed)
    path.write_bytes(random_.randbytes(random_.choice(SIZES)))
    twin = path.with_suffix(".io")
    twin.write_bytes(path.read_bytes())

    async def main() -> None:
        mode: Any = random_.choice(["r+b", "w+b"])
        ours: Any = await aiofile.open(path, mode, buffering, direct=True)
        # Without a buffer: that of io would not see what `pwrite` does.
        with twin.open(mode, buffering=0) as theirs:
            assert fcntl.fcntl(ours.fileno(), fcntl.F_GETFL) & os.O_DIRECT
            for _ in range(60):
                size, place = random_.choice(SIZES), random_.choice(SIZES) + random_.choice(SIZES)
                action = random_.choice(
                    ["read", "write", "seek", "pread", "pwrite", "truncate", "readinto", "tell"]
                )
                if action == "write":
                    data = random_.randbytes(1) * size
                    assert await ours.write(data) == theirs.write(data)
                elif action == "read":
                    assert await ours.read(size) == theirs.read(size)
                elif action == "readinto":
                    into = bytearray(size)
                    count = await ours.readinto(into)
                    assert into[:count] == theirs.read(size)
                elif action == "seek":
                    assert await ours.seek(place) == theirs.seek(place)
                elif action == "tell":
                    assert await ours.tell() == theirs.tell()
                elif action == "pread":
                    assert await ours.pread(size, place) == os.pread(theirs.fileno(), size, place)
                elif action == "pwrite":
                    data = random_.randbytes(size)
                    assert await ours.pwrite(data, place) == os.pwrite(theirs.fileno(), data, place)
                elif action == "truncate":
                    assert await ours.truncate(place) == theirs.truncate(place)
            await ours.close()

    run(main())
    assert path.read_bytes() == twin.read_bytes()


def test_whole_blocks_do_not_stay_in_the_page_cache(path: Path) -> None:
    data = os.urandom(4 << 20)

    async def main() -> None:
        async with aiofile.open(path, "wb", direct=True) as file:
            await file.write(data)
        assert cached_pages(path) == 0
        async with aiofile.open(path, "rb", direct=True) as file:
            assert await file.read() == data
            assert await file.pread(5000, 123_457) == data[123_457 : 123_457 + 5000]
        assert cached_pages(path) == 0

    run(main())
    path.read_bytes()
    assert cached_pages(path) == 1024


@pytest.mark.parametrize("size", SIZES)
def test_a_file_gets_no_longer_than_what_was_written(path: Path, size: int) -> None:
    async def main() -> None:
        async with aiofile.open(path, "wb", direct=True) as file:
            await file.write(b"x" * size)

    run(main())
    assert path.stat().st_size == size
    assert path.read_bytes() == b"x" * size


def test_bytes_of_others_in_the_same_block_stay(path: Path) -> None:
    path.write_bytes(b"a" * 20_000)

    async def main() -> None:
        async with aiofile.open(path, "r+b", direct=True) as file:
            with path.open("r+b", buffering=0) as other:
                for number in range(50):
                    await file.pwrite(b"b", 8192 + 2 * number)
                    os.pwrite(other.fileno(), b"c", 8192 + 2 * number + 1)

    run(main())
    assert path.read_bytes() == b"a" * 8192 + b"bc" * 50 + b"a" * (20_000 - 8292)


def test_appended_bytes_go_behind_those_of_others(path: Path) -> None:
    async def main() -> bytes:
        expected = b""
        async with aiofile.open(path, "ab", direct=True) as file:
            for size in SIZES * 2:
                await file.write(b"x" * size)
                await file.flush()
                with path.open("ab") as other:
                    other.write(b"other")
                expected += b"x" * size + b"other"
        return expected

    assert run(main()) == path.read_bytes()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_text_is_read_and_written(path: Path, encoding: str) -> None:
    lines = [f"line {number} é\n" for number in range(30_000)]

    async def main() -> None:
        async with aiofile.open(path, "w", encoding=encoding, direct=True) as file:
            await file.writelines(lines)
        assert path.read_text(encoding) == "".join(lines)
        async with aiofile.open(path, encoding=encoding, direct=True) as file:
            assert [line async for line in file] == lines
            await file.seek(0)
            assert await file.read() == "".join(lines)

    run(main())


def test_many_tasks_read_at_once(path: Path) -> None:
    data = os.urandom(2_000_001)
    path.write_bytes(data)

    async def main() -> None:
        async with aiofile.open(path, "rb", direct=True) as file:
            places = [random.Random(1).randrange(len(data)) for _ in range(200)]
            read = await asyncio.gather(*(file.pread(4096, place) for place in places))
            assert read == [data[place : place + 4096] for place in places]

    run(main())


def test_written_behind_the_program(path: Path) -> None:
    pieces = [os.urandom(size) for size in SIZES * 4]

    async def main() -> None:
        async with aiofile.open(path, "wb", direct=True, write_behind=4 << 20) as file:
            for piece in pieces:
                await file.write(piece)

    run(main())
    assert path.read_bytes() == b"".join(pieces)


def test_a_buffer_that_may_change_is_written(path: Path) -> None:
    async def main() -> None:
        async with aiofile.open(path, "wb", direct=True) as file:
            await file.write(bytearray(b"ab" * 1_500_000))
            await file.write(memoryview(b"cd" * 1_500_000))

    run(main())
    assert path.read_bytes() == b"ab" * 1_500_000 + b"cd" * 1_500_000


def test_a_file_that_becomes_a_blocking_one_uses_the_page_cache(path: Path) -> None:
    async def main() -> None:
        file: Any = await aiofile.open(path, "w+b", direct=True)
        await file.write(b"x" * 5000)
        file.raw.write(b"raw")
        assert not fcntl.fcntl(file.fileno(), fcntl.F_GETFL) & os.O_DIRECT
        await file.seek(0)
        assert await file.read() == b"x" * 5000 + b"raw"
        await file.close()

    run(main())


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_a_file_that_is_collected_is_flushed(path: Path) -> None:
    async def main() -> None:
        file = await aiofile.open(path, "wb", direct=True)
        await file.write(b"x" * 5000)
        del file

    run(main())
    assert path.read_bytes() == b"x" * 5000


def test_an_opener_is_asked_for_it(path: Path) -> None:
    asked = []

    def opener(name: str, flags: int) -> int:
        asked.append(flags)
        return os.open(name, flags & ~os.O_DIRECT)

    async def main() -> None:
        async with aiofile.open(path, "wb", opener=opener, direct=True) as file:
            # Whatever it made of that.
            assert fcntl.fcntl(file.fileno(), fcntl.F_GETFL) & os.O_DIRECT

    run(main())
    assert asked[0] & os.O_DIRECT


def test_a_file_system_that_cannot_do_it_refuses_as_open_does() -> None:
    name = "/proc/self/status"

    async def main() -> None:
        before = descriptors()
        with pytest.raises(OSError, match="Invalid argument") as refused:
            await aiofile.open(name, direct=True)
        assert (refused.value.errno, refused.value.filename) == (errno.EINVAL, name)
        assert descriptors() == before

    with pytest.raises(OSError, match="Invalid argument"):
        os.open(name, os.O_RDONLY | os.O_DIRECT)
    run(main())


def test_a_directory_is_refused_as_one(tmp_path: Path) -> None:
    async def main() -> None:
        before = descriptors()
        with pytest.raises(IsADirectoryError) as refused:
            await aiofile.open(tmp_path, "rb", direct=True)
        assert (refused.value.errno, refused.value.filename) == (errno.EISDIR, str(tmp_path))
        assert descriptors() == before

    run(main())


@pytest.mark.parametrize("direct", ["yes", 1, None, []])
def test_what_is_no_bool_is_refused(tmp_path: Path, direct: Any) -> None:
    async def main() -> None:
        with pytest.raises(TypeError, match=f"direct must be a bool, not {type(direct).__name__}"):
            await aiofile.open(tmp_path / "f", "wb", direct=direct)

    run(main())
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize(
    "options",
    [{"buffering": 0}, {"executor": ThreadPoolExecutor(1)}],
    ids=["unbuffered", "executor"],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="direct is"):
            await aiofile.open(tmp_path / "f", "wb", direct=True, **options)
        reader, writer = os.pipe()
        with pytest.raises(ValueError, match="direct is"):
            await aiofile.open(reader, "rb", direct=True)
        os.close(reader)
        os.close(writer)

    run(main())
    assert not (tmp_path / "f").exists()


def test_many_small_reads_take_little_memory_besides_their_own(path: Path) -> None:
    path.write_bytes(os.urandom(1 << 20))
    program = """
        import asyncio, sys, aiofile
        from aiofile import _native
        from pathlib import Path

        def peak_kib():
            status = Path("/proc/self/status").read_text()
            return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmPeak"))

        async def main():
            async with aiofile.open(sys.argv[1], "rb", direct=True) as file:
                data = Path(sys.argv[1]).read_bytes()
                await asyncio.gather(*(file.pread(16, number) for number in range(1000)))
                before = peak_kib()
                places = [number * 4096 - 8 for number in range(1, 256)] * 12
                found = await asyncio.gather(*(file.pread(16, place) for place in places))
                assert found == [data[place : place + 16] for place in places]
                assert await file.pread_many([(16, place) for place in places]) == found
                assert _native.buffer_bytes_in_use() < 1 << 20
            assert peak_kib() - before < 64 * 1024, peak_kib() - before
            aiofile.configure(idle_bytes=0)
            assert (_native.buffer_bytes_in_use(), _native.idle_buffer_bytes()) == (0, 0)

        asyncio.run(main())
    """
    # Without arenas of memory for each thread, whose address space counts though nobody uses it.
    succeed(child(program, str(path), MALLOC_ARENA_MAX="1"))


def test_buffers_count_as_others_do(path: Path) -> None:
    path.write_bytes(os.urandom(1 << 20))
    program = """
        import asyncio, sys, aiofile
        from aiofile import _native
        from pathlib import Path

        async def main():
            aiofile.configure(buffer_bytes=1 << 20)
            async with aiofile.open(sys.argv[1], "rb", direct=True) as file:
                data = Path(sys.argv[1]).read_bytes()
                places = [number * 1000 for number in range(200)]
                reads = [asyncio.ensure_future(file.pread(100_000, place)) for place in places]
                most = 0
                while not all(read.done() for read in reads):
                    most = max(most, _native.buffer_bytes_in_use())
                    await asyncio.sleep(0)
                assert [await read for read in reads] == [data[place : place + 100_000] for place in places]
                # Those of the threads besides, of which there are 32.
                assert 0 < most < (1 << 20) + 33 * 110_000, most

        asyncio.run(main())
    """
    succeed(child(program, str(path)))


def test_without_memory_a_write_fails_and_the_program_goes_on(path: Path) -> None:
    program = """
        import asyncio, errno, os, resource, sys, aiofile
        from pathlib import Path

        def is_quiet():
            tasks = Path("/proc/self/task")
            return not any("R" in (task / "stat").read_text().split()[2] for task in tasks.iterdir()
                           if task.name != str(os.getpid()))

        async def main():
            data = memoryview(bytes(1) + b"0123456789abcdef" * (1 << 18))[1:]
            path = Path(sys.argv[1])
            async with aiofile.open(path, "wb", direct=True) as file:
                # Threads that wait for work: there is no memory for new ones later.
                others = [await aiofile.open(path.with_suffix(f".{number}"), "wb", direct=True)
                          for number in range(8)]
                await asyncio.gather(file.write(data), *(other.write(data) for other in others))
                await asyncio.gather(*(other.close() for other in others))
                while not is_quiet():
                    await asyncio.sleep(0)
                used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
                soft, hard = resource.getrlimit(resource.RLIMIT_AS)
                resource.setrlimit(resource.RLIMIT_AS, (used, hard))
                try:
                    await file.write(data)
                    raise AssertionError("there was memory")
                except (MemoryError, OSError) as error:
                    # Perhaps there is none for an OSError either.
                    assert isinstance(error, MemoryError) or error.errno == errno.ENOMEM, error
                finally:
                    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
                assert await file.tell() == len(data)
                await file.write(data)
            assert path.read_bytes() == bytes(data) * 2

        asyncio.run(main())
    """
    # Memory that glibc keeps, or has reserved for each thread, would do.
    succeed(child(program, str(path), MALLOC_MMAP_THRESHOLD_="131072", MALLOC_ARENA_MAX="1"))


def test_two_files_that_share_an_open_file_write_any_bytes_at_the_same_time(path: Path) -> None:
    async def write(file: Any, start: int) -> None:
        for number in range(1000):
            await file.seek(start + number * 1000)
            await file.write(b"x" * 1000)
            await file.flush()

    async def main() -> None:
        shared = os.open(path, os.O_RDWR | os.O_CREAT | os.O_DIRECT)
        files = [
            await aiofile.open(path, "wb", direct=True, opener=lambda _name, _flags: os.dup(shared))
            for _ in range(2)
        ]
        os.close(shared)
        await asyncio.gather(*(write(file, place << 20) for place, file in enumerate(files)))
        for file in files:
            await file.close()

    run(main())
    assert path.read_bytes() == (b"x" * 1_000_000).ljust(1 << 20, b"\0") + b"x" * 1_000_000


@pytest.mark.parametrize("mode", ["rb", "r", "wb", "w"])
@pytest.mark.parametrize("blocking", [True, False])
def test_a_pipe_is_refused_with_its_name(mode: Any, blocking: bool) -> None:
    reader, writer = os.pipe()
    end = reader if "r" in mode else writer
    os.set_blocking(end, blocking)

    async def main() -> None:
        before = descriptors()
        opened = aiofile.open("a pipe", mode, direct=True, opener=lambda _name, _flags: os.dup(end))
        with pytest.raises(OSError, match="Invalid argument") as refused:
            await opened
        assert (refused.value.errno, refused.value.filename) == (errno.EINVAL, "a pipe")
        assert descriptors() == before

    run(main())
    os.close(reader)
    os.close(writer)
