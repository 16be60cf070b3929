"""Thousands of cancellations at random moments: nothing leaks, nothing is lost."""

from __future__ import annotations

import asyncio
import gc
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

import aiofile
from aiofile import _native
from support import child, descriptors, run, succeed, threads

CANCELS = int(os.environ.get("AFX_CANCELS", "5000"))

#: Threads that the pool may keep for a while: so many CPUs and four.
POOL = len(os.sched_getaffinity(0)) + 4


async def cancelled_at_random(work: Any, chance: random.Random, turns: int = 4) -> bool:
    """Cancels ``work`` after a few turns of the loop; whether that came in time."""
    task = asyncio.ensure_future(work)
    for _ in range(chance.randrange(turns)):
        await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return True
    return False


def binary_work(file: Any, chance: random.Random) -> Any:
    size = chance.choice([0, 1, 100, 5000, 70_000, 400_000])
    works: list[Callable[[], Any]] = [
        lambda: file.read(size),
        file.read,
        file.readline,
        file.readlines,
        lambda: file.readinto(bytearray(size)),
        lambda: file.pread(size, chance.randrange(500_000)),
        lambda: file.pwrite(bytes(size), chance.randrange(500_000)),
        lambda: file.write(bytes(size)),
        lambda: file.write(bytearray(size)),
        lambda: file.writelines([b"x" * 100] * 100),
        lambda: file.seek(chance.randrange(500_000)),
        file.tell,
        file.flush,
        lambda: file.truncate(600_000),
        file.peek,
    ]
    return chance.choice(works)()


def text_work(file: Any, chance: random.Random) -> Any:
    size = chance.choice([0, 1, 100, 5000, 70_000, 400_000])
    works: list[Callable[[], Any]] = [
        lambda: file.read(size),
        file.read,
        file.readline,
        file.readlines,
        lambda: file.write("é" * size),
        lambda: file.write("x" * size),
        lambda: file.seek(0, chance.choice([0, 2])),
        file.tell,
        file.flush,
        lambda: file.truncate(0),
    ]
    return chance.choice(works)()


def test_a_storm_of_cancellations_leaves_nothing_behind(tmp_path: Path) -> None:
    chance = random.Random(1)
    (tmp_path / "b").write_bytes(b"0123456\n" * 80_000)
    (tmp_path / "t").write_bytes("één\n".encode() * 100_000)
    (tmp_path / "o").write_bytes(b"open me")

    async def open_and_close() -> None:
        async with aiofile.open(tmp_path / "o", cast(Any, chance.choice(["r", "rb", "r+", "a"]))) as file:
            if chance.random() < 0.5:
                await file.seek(0)

    async def storm(cancels: int) -> int:
        binary = await aiofile.open(tmp_path / "b", "r+b")
        text = await aiofile.open(tmp_path / "t", "r+", encoding="utf-8", errors="replace")
        in_time = 0
        for number in range(0, cancels, 5):
            works = [binary_work(binary, chance), text_work(text, chance), binary_work(binary, chance)]
            works += [open_and_close(), aiofile.print("x", file=text)]
            in_time += sum(await asyncio.gather(*(cancelled_at_random(work, chance) for work in works)))
            if number % 1000 == 0:
                # It goes on after all that.
                await binary.truncate(640_000)
                await binary.seek(0)
                assert len(await binary.read(100)) == 100
                await text.seek(0)
                await text.truncate(0)
                await text.write("één\n" * 1000)
        await binary.close()
        await text.close()
        return in_time

    run(storm(20))
    before = descriptors(), threads()
    assert run(storm(CANCELS)) > CANCELS // 10, "hardly anything was cancelled in time"
    gc.collect()
    assert descriptors() == before[0]
    assert threads() <= before[1] + POOL
    assert _native.buffers_in_use() == 0


@pytest.mark.parametrize("buffering", [-1, 0])
def test_no_byte_of_a_pipe_is_lost_by_cancelled_reads(buffering: int) -> None:
    chance = random.Random(2)
    sent = b"".join(b"%d\n" % number for number in range(40_000))

    async def main() -> bytes:
        reader, writer = os.pipe()
        got: list[bytes] = []
        left = memoryview(sent)

        async def read(file: Any) -> None:
            size = chance.choice([1, 10, 1000, 50_000])
            kind = chance.choice(["read1", "readline", "read", "peek"])
            if kind == "peek" or (kind != "read" and buffering == 0):
                kind = "read" if buffering == 0 else kind
            result = await getattr(file, kind)(*([] if kind in ("readline", "peek") else [size]))
            if kind != "peek":
                got.append(result)

        async with aiofile.open(reader, "rb", buffering=buffering) as file:
            cancels = 0
            while left:
                left = left[os.write(writer, left[: chance.choice([1, 7, 500, 3000])]) :]
                cancels += await cancelled_at_random(read(file), chance)
            os.close(writer)
            got.append(await file.read())
            assert cancels > 10, "hardly anything was cancelled in time"
        return b"".join(got)

    assert run(main()) == sent


@pytest.mark.parametrize("work", ["readinto", "readlines", "read"])
def test_a_cancelled_read_of_many_steps_gives_a_pipe_its_bytes_back(work: str) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"one\ntwo\n")

    async def main() -> bytes:
        async with aiofile.open(reader, "rb") as file:
            memory = bytearray(100)
            task = asyncio.ensure_future(
                file.readinto(memory) if work == "readinto" else getattr(file, work)()
            )
            for _ in range(50):
                await asyncio.sleep(0)
            assert not task.done()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            os.write(writer, b"six\n")
            os.close(writer)
            return await file.read()

    assert run(main()) == b"one\ntwo\nsix\n"


def test_thousands_of_files_are_open_at_once(tmp_path: Path) -> None:
    program = """
        import aiofile, asyncio, os, resource, sys
        folder, count = sys.argv[1], 2000
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))

        async def one(number):
            path = os.path.join(folder, str(number))
            async with aiofile.open(path, "w") as file:
                await file.write(str(number))
            file = await aiofile.open(path)
            assert await file.read() == str(number)
            return file

        async def main():
            files = await asyncio.gather(*(one(number) for number in range(count)))
            assert len({file.fileno() for file in files}) == count
            await asyncio.gather(*(file.close() for file in files))

        asyncio.run(main())
        print(len(os.listdir("/proc/self/task")))
    """
    assert int(succeed(child(program, str(tmp_path)))) <= POOL + 64
    assert len(os.listdir(tmp_path)) == 2000


def test_too_many_open_files_is_an_error_that_harms_nothing(tmp_path: Path) -> None:
    program = """
        import aiofile, asyncio, errno, os, resource, sys
        (open(os.path.join(sys.argv[1], "f"), "w")).close()

        async def main():
            async with aiofile.open(os.path.join(sys.argv[1], "f")) as file:
                await file.read()
            resource.setrlimit(resource.RLIMIT_NOFILE, (60, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
            async def one(mode):
                return await aiofile.open(os.path.join(sys.argv[1], "f"), mode)
            opened = await asyncio.gather(*(one("ra"[n % 2]) for n in range(100)), return_exceptions=True)
            failed = [error for error in opened if isinstance(error, OSError)]
            assert failed and all(error.errno == errno.EMFILE for error in failed), failed
            for file in opened:
                if isinstance(file, aiofile.File):
                    await file.close()
            assert len(opened) - len(failed) > 30
            await (await one("r")).close()

        asyncio.run(main())
    """
    succeed(child(program, str(tmp_path)))


def test_a_process_that_ends_with_open_files_loses_nothing(tmp_path: Path) -> None:
    program = """
        import aiofile, asyncio, os, sys, warnings
        warnings.simplefilter("ignore")
        kept = []

        async def main():
            for number, mode in enumerate(["w", "wb", "w", "wb"]):
                file = await aiofile.open(os.path.join(sys.argv[1], str(number)), mode)
                await file.write("unsaved" if mode == "w" else b"unsaved")
                kept.append(file)
            reader, writer = os.pipe()
            kept.append(await aiofile.open(reader, "rb"))
            kept.append(asyncio.ensure_future(kept[-1].read()))
            await asyncio.sleep(0)

        if sys.argv[2] == "run":
            asyncio.run(main())
        else:
            loop = asyncio.new_event_loop()
            loop.run_until_complete(main())
            kept.append(loop)
    """
    for way in ("run", "loop left open"):
        done = child(program, str(tmp_path), way)
        assert done.returncode == 0, done.stderr
        for number in range(4):
            assert (tmp_path / str(number)).read_bytes() == b"unsaved", (way, number, done.stderr)
            (tmp_path / str(number)).unlink()
