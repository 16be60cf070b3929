"""What a program may set, and what memory that bounds: counted, not timed."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import aiofile
from aiofile import _native
from support import ENGINE, child, run, succeed

KIB, MIB = 1024, 1024 * 1024


@pytest.fixture(autouse=True)
def restored() -> Iterator[aiofile.Configuration]:
    settings = aiofile.configure()
    yield settings
    aiofile.configure(**settings._asdict())


def test_the_defaults_are_those_of_the_limits(restored: aiofile.Configuration) -> None:
    assert restored == aiofile.Configuration()
    limits = (Path(__file__).parents[2] / "core/src/limits.rs").read_text()
    assert f"RING_ENTRIES: u32 = {restored.queue_depth};" in limits
    assert restored.buffer_bytes == 7 * MIB
    assert "IN_FLIGHT_BYTES: usize = 7 * 1024 * 1024;" in limits
    assert restored.idle_bytes == 6 * MIB
    assert "IDLE_BUFFER_BYTES: usize = 6 * 1024 * 1024;" in limits


def test_what_is_left_out_stays_as_it_is() -> None:
    first = aiofile.configure(buffering=10_000, queue_depth=512)
    assert first == aiofile.Configuration(buffering=10_000, queue_depth=512)
    second = aiofile.configure(buffer_bytes=MIB, buffering=None)
    assert second == first._replace(buffer_bytes=MIB) == aiofile.configure()
    assert aiofile.configure(buffering=-1).buffering == -1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("buffering", 0),
        ("buffering", 1),
        ("buffering", -2),
        ("buffering", 2**40),
        ("queue_depth", 7),
        ("queue_depth", 32_769),
        ("buffer_bytes", -1),
        ("idle_bytes", 2**60),
    ],
)
def test_a_setting_out_of_its_bounds_is_refused_and_nothing_changed(name: str, value: int) -> None:
    before = aiofile.configure()
    asked: dict[str, Any] = {"idle_bytes": 12_345, name: value}
    with pytest.raises(ValueError, match=f"{name} must be between .*, not {value}"):
        aiofile.configure(**asked)
    for bad in ("8", 1.5, b"8"):
        with pytest.raises(TypeError, match=f"{name} must be an integer"):
            aiofile.configure(**{name: bad})  # type: ignore[arg-type]
    assert aiofile.configure() == before


def test_a_file_without_a_buffering_of_its_own_gets_that(tmp_path: Path) -> None:
    async def on_disk(mode: Any, data: Any, buffering: int = -1) -> int:
        """Bytes that are in a file before it is flushed."""
        opening: Any = aiofile.open(tmp_path / "file", mode, buffering)
        async with opening as file:
            await file.write(data)
            return (tmp_path / "file").stat().st_size

    async def main() -> None:
        assert await on_disk("wb", b"x" * 30_000) == 30_000
        aiofile.configure(buffering=100_000)
        assert await on_disk("wb", b"x" * 30_000) == 0
        assert await on_disk("w", "x" * 30_000) == 0
        assert await on_disk("wb", b"x" * 30_000, 10_000) == 30_000
        assert await on_disk("wb", b"x", 0) == 1
        aiofile.configure(buffering=-1)
        assert await on_disk("wb", b"x" * 30_000) == 30_000

    run(main())
    assert (tmp_path / "file").stat().st_size == 30_000


@pytest.mark.skipif(ENGINE != "uring", reason="there is no ring")
def test_a_ring_that_is_made_later_is_as_deep_as_asked_for(tmp_path: Path) -> None:
    program = """
        import asyncio, os, sys, threading
        import aiofile

        def entries():
            found = []
            for number in os.listdir("/proc/self/fd"):
                try:
                    if "io_uring" not in os.readlink(f"/proc/self/fd/{number}"):
                        continue
                except FileNotFoundError:
                    continue
                with open(f"/proc/self/fdinfo/{number}") as info:
                    mask = next(line.split()[1] for line in info if line.startswith("SqMask"))
                found.append(int(mask, 16) + 1)
            return sorted(found)

        async def use(check=False):
            async with aiofile.open(sys.argv[1], "wb") as file:
                await file.write(b"x" * 1_000_000)
            kept.extend(entries() if check else [])

        kept = []
        asyncio.run(use())
        assert entries() == [256], entries()
        aiofile.configure(queue_depth=1024)
        asyncio.run(use())
        assert entries() == [256], entries()
        thread = threading.Thread(target=lambda: asyncio.run(use(True)))
        thread.start()
        thread.join()
        assert kept == [256, 1024], kept
    """
    succeed(child(program, str(tmp_path / "file")))


def test_many_files_that_are_read_at_once_share_what_is_read_ahead(tmp_path: Path) -> None:
    count = 400
    for number in range(count):
        (tmp_path / str(number)).write_bytes(b"a line of the file\n" * 12_000)

    async def most_in_use() -> int:
        files = [await aiofile.open(tmp_path / str(number), "rb") for number in range(count)]
        most = 0
        # Each has read enough to be read ahead as far as ever.
        for lines in (10, 2000, 4000, 1000):
            for file in files:
                for _ in range(lines):
                    await file.readline()
                most = max(most, _native.buffer_bytes_in_use())
        for file in files:
            await file.close()
        assert _native.buffer_bytes_in_use() == 0
        return most

    async def main() -> None:
        # GOALS: 8 MiB in flight for a loop, and 16 KiB for each file that is open.
        assert 6 * MIB < await most_in_use() <= 7 * MIB + count * 16 * KIB
        aiofile.configure(buffer_bytes=MIB)
        assert await most_in_use() <= MIB + count * 8 * KIB
        aiofile.configure(buffer_bytes=100 * MIB)
        assert await most_in_use() == count * 64 * KIB

    run(main())


def test_an_idle_file_has_at_most_sixteen_kib_of_buffers(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("a line of the file\n" * 10_000)

    async def main() -> None:
        before = _native.buffer_bytes_in_use()
        files: list[Any] = []
        for mode in ("r", "rb", "r+", "a"):
            for _ in range(50):
                files.append(await aiofile.open(path, mode))
                await (files[-1].write("x") if mode == "a" else files[-1].readline())
        assert _native.buffer_bytes_in_use() - before <= len(files) * 16 * KIB
        for file in files:
            await file.close()
        assert _native.buffer_bytes_in_use() == before

    run(main())


def test_calls_that_read_many_files_share_the_buffers_in_use(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(500)]
    for path in paths:
        path.write_bytes(b"x" * 4096)

    async def main() -> int:
        most, reading = 0, True

        async def watch() -> None:
            nonlocal most
            while reading:
                most = max(most, _native.buffer_bytes_in_use())
                await asyncio.sleep(0)

        watching = asyncio.ensure_future(watch())
        for found in await asyncio.gather(*(aiofile.read_many(paths) for _ in range(20))):
            assert list(map(len, found)) == [4096] * 500
        reading = False
        await watching
        return most

    assert run(main()) > 20 * 256 * KIB
    aiofile.configure(buffer_bytes=MIB)
    # Each call has one at the least.
    assert run(main()) <= MIB + 20 * 256 * KIB


def test_as_many_unused_buffers_are_kept_as_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a line of the file\n" * 12_000)

    async def use() -> None:
        files = [await aiofile.open(path, "rb") for _ in range(200)]
        for file in files:
            for _ in range(3000):
                await file.readline()
        for file in files:
            await file.close()

    run(use())
    assert 0 < _native.idle_buffer_bytes() <= 6 * MIB
    aiofile.configure(idle_bytes=MIB)
    assert 0 < _native.idle_buffer_bytes() <= MIB
    run(use())
    assert _native.idle_buffer_bytes() <= MIB
    aiofile.configure(idle_bytes=0)
    assert _native.idle_buffer_bytes() == 0
    run(use())
    assert _native.idle_buffer_bytes() == 0


def test_one_call_has_as_many_ranges_in_flight_as_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(4_000_000))

    async def main() -> None:
        async with aiofile.open(path, "rb") as file:
            for settings in ({"queue_depth": 8}, {"buffer_bytes": 0}):
                aiofile.configure(**settings)
                os.posix_fadvise(int(file.fileno()), 0, 0, os.POSIX_FADV_DONTNEED)
                found = await file.pread_many([(4000, at * 4000) for at in range(1000)])
                assert b"".join(found) == path.read_bytes()

    run(main())


def test_settings_are_changed_by_many_threads_at_once() -> None:
    def change(number: int) -> None:
        for _ in range(500):
            settings = aiofile.configure(buffer_bytes=number, idle_bytes=number)
            if settings.buffer_bytes != settings.idle_bytes:
                mixed.append(settings)

    mixed: list[aiofile.Configuration] = []
    threads = [threading.Thread(target=change, args=(number * 1000,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not mixed
    settings = aiofile.configure()
    assert settings.buffer_bytes == settings.idle_bytes
