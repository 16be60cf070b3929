"""Half a buffer is on its way to the kernel while the other half fills; nobody notices but the clock."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import aiofile
from support import child, run, succeed

BUFFER = 8192

#: Enough to fill the buffer several times, in pieces that do not divide it.
LINES = [f"{number:0{20 + number % 50}}\n".encode() for number in range(2000)]
CONTENT = b"".join(LINES)


async def write_lines(file: aiofile.File[bytes]) -> None:
    for line in LINES:
        await file.write(line)


@pytest.mark.parametrize("mode", ["wb", "ab", "w+b", "xb"])
def test_never_more_is_unwritten_than_the_buffer_holds(tmp_path: Path, mode: Any) -> None:
    path = tmp_path / "f"

    async def main() -> None:
        accepted = 0
        async with aiofile.open(path, mode, buffering=BUFFER) as file:
            for line in LINES:
                accepted += await file.write(line)
                assert accepted - path.stat().st_size <= BUFFER

    run(main())
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_a_failed_write_is_told_in_time_and_loses_nothing(tmp_path: Path, mode: str) -> None:
    program = """
        import aiofile, asyncio, errno, os, resource, signal, sys

        path, mode = sys.argv[1:]
        limit, buffer = 20_001, 8192

        async def main():
            file = await aiofile.open(path, mode, buffering=buffer)
            accepted = b""
            try:
                for number in range(3000):
                    line = b"%015d\\n" % number
                    await file.write(line)
                    accepted += line
            except OSError as error:
                assert error.errno == errno.EFBIG, error
                assert error.filename == path, error.filename
            assert limit <= len(accepted) <= limit + buffer, len(accepted)
            try:
                await file.flush()
            except OSError as error:
                assert error.errno == errno.EFBIG, error
            else:
                raise AssertionError("the kernel takes no more")
            with open(path, "rb") as other:
                assert other.read() == accepted[:limit]
            assert await file.tell() == len(accepted)
            # Now there is room.
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
            await file.flush()
            with open(path, "rb") as other:
                assert other.read() == accepted
            await file.close()

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        asyncio.run(main())
    """
    succeed(child(program, str(tmp_path / "f"), mode))


def test_tell_knows_where_appended_bytes_went(tmp_path: Path) -> None:
    path = tmp_path / "f"

    async def main() -> None:
        async with aiofile.open(path, "ab", buffering=BUFFER) as file:
            with path.open("ab", buffering=0) as other:
                for turn in range(20):
                    other.write(b"somebody else's " * 10)
                    for line in LINES[turn * 100 : turn * 100 + 90]:
                        await file.write(line)
                    position = await file.tell()
                    await file.flush()
                    assert await file.tell() == os.lseek(file.fileno(), 0, os.SEEK_CUR) == path.stat().st_size
                    assert position <= path.stat().st_size

    run(main())
    ours = b"".join(LINES[turn * 100 + number] for turn in range(20) for number in range(90))
    assert path.read_bytes().replace(b"somebody else's ", b"") == ours


@pytest.mark.parametrize("apart", [False, True], ids=["this thread", "another thread"])
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_a_file_that_is_collected_meanwhile_writes_the_rest(tmp_path: Path, apart: bool) -> None:
    paths = [tmp_path / f"{number}" for number in range(50)]

    async def main() -> None:
        for path in paths:
            file = await aiofile.open(path, "ab", buffering=BUFFER)
            await write_lines(file)
            held = [file]
            del file
            if apart:
                thread = threading.Thread(target=held.clear)
                thread.start()
                thread.join()
            held.clear()
            gc.collect()
            assert path.read_bytes() == CONTENT

    run(main())


def test_a_file_that_becomes_a_blocking_one_meanwhile_keeps_the_order(tmp_path: Path) -> None:
    path = tmp_path / "f"

    async def main() -> None:
        async with aiofile.open(path, "ab", buffering=BUFFER) as file:
            await write_lines(file)
            blocking: Any = file
            blocking.raw.write(b"raw")
            await write_lines(file)

    run(main())
    assert path.read_bytes() == CONTENT + b"raw" + CONTENT


@pytest.mark.parametrize("how", ["read", "seek", "truncate", "pread", "pwrite", "copy"])
def test_whatever_comes_next_finds_everything_written(tmp_path: Path, how: str) -> None:
    path = tmp_path / "f"

    async def main() -> None:
        async with aiofile.open(path, "w+b", buffering=BUFFER) as file:
            await write_lines(file)
            if how == "read":
                assert await file.read() == b""
            elif how == "seek":
                await file.seek(0)
                assert await file.read() == CONTENT
            elif how == "truncate":
                assert await file.truncate() == len(CONTENT)
            elif how == "pread":
                assert await file.pread(len(CONTENT), 0) == CONTENT
            elif how == "pwrite":
                await file.pwrite(LINES[0], 0)
            else:
                await file.flush()
                assert path.read_bytes() == CONTENT

    run(main())
    assert path.read_bytes() == CONTENT


def test_a_forked_child_leaves_alone_what_is_on_its_way(tmp_path: Path) -> None:
    program = """
        import aiofile, asyncio, os, sys

        async def main():
            file = await aiofile.open(sys.argv[1], "ab", buffering=8192)
            for number in range(200):
                for line in range(300):
                    await file.write(b"%015d\\n" % (number * 300 + line))
                if number % 20 == 0:
                    # What is buffered is the child's, too, as in io; what is on its way is not.
                    await asyncio.sleep(0)
                    if (child := os.fork()) == 0:
                        os._exit(0 if file._has_unwritten() in (True, False) else 1)
                    assert os.waitpid(child, 0)[1] == 0
            await file.close()

        asyncio.run(main())
    """
    succeed(child(program, str(tmp_path / "f")))
    assert (tmp_path / "f").read_bytes() == b"".join(b"%015d\n" % number for number in range(60_000))


def test_no_thread_stays_busy_when_nothing_more_is_written(tmp_path: Path) -> None:
    async def main() -> None:
        files = [await aiofile.open(tmp_path / str(number), "wb", buffering=BUFFER) for number in range(3)]
        await asyncio.gather(*(write_lines(file) for file in files))
        files.pop()
        before = time.process_time()
        await asyncio.sleep(0.2)
        assert time.process_time() - before < 0.1
        await asyncio.gather(*(file.close() for file in files))

    with pytest.warns(ResourceWarning, match="unclosed file"):
        run(main())


def test_files_that_are_written_in_turn_are_each_written_in_order(tmp_path: Path) -> None:
    """More files than there are CPUs: the threads that look out for one are wanted for another."""
    paths = [tmp_path / str(number) for number in range(8)]

    async def main() -> None:
        files = [await aiofile.open(path, "wb", buffering=BUFFER) for path in paths]
        for line in LINES:
            for file in files:
                await file.write(line)
        for file in files:
            await file.close()

    run(main())
    assert all(path.read_bytes() == CONTENT for path in paths)


def test_a_program_that_pauses_finds_its_thread_asleep_or_awake(tmp_path: Path) -> None:
    """Pauses of all lengths around the time for which a thread looks out for the next piece."""
    path = tmp_path / "f"

    async def main() -> None:
        async with aiofile.open(path, "wb", buffering=BUFFER) as file:
            for number in range(3000):
                await file.write(b"%015d\n" % number * 100)
                until = time.perf_counter() + (number % 300) / 1e6
                while time.perf_counter() < until:
                    pass

    run(main())
    assert path.read_bytes() == b"".join(b"%015d\n" % number * 100 for number in range(3000))


def test_two_tasks_on_one_file_do_not_mix_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "f"

    async def main() -> None:
        async with aiofile.open(path, "wb", buffering=BUFFER) as file:
            await asyncio.gather(*(write_lines(file) for _ in range(3)))

    run(main())
    assert sorted(path.read_bytes().splitlines(keepends=True)) == sorted(LINES * 3)
