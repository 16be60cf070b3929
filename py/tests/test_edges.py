"""Cases that a reader of the code found, each by what a user would have seen."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

import aiofile
from support import child, run, succeed

BROKEN = [
    b"a\xe2z",
    b"ab\xf0\x9fcd",
    b"\xed\xa0\x80x\xff",
    b"\xe0\x80\x80q",
    b"\xf4\x90\x80\x80w",
    b"caf\xc3\xa9\r\nx\r",
    "h\u20ac\U0001f600".encode() + b"\xe2\x82",
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def in_pieces(path: Path, method: str, size: int, **options: Any) -> Any:
    with path.open(**options) as file:
        try:
            return list(iter(lambda: getattr(file, method)(size), ""))
        except UnicodeDecodeError:
            return UnicodeDecodeError


async def in_pieces_of_ours(path: Path, method: str, size: int, **options: Any) -> Any:
    async with aiofile.open(path, **options) as file:
        pieces = []
        try:
            while piece := await getattr(file, method)(size):
                pieces.append(piece)
        except UnicodeDecodeError:
            return UnicodeDecodeError
        return pieces


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize(
    "errors", ["strict", "ignore", "replace", "surrogateescape", "surrogatepass", "backslashreplace"]
)
@pytest.mark.parametrize("content", BROKEN)
def test_invalid_bytes_are_read_in_pieces_as_io_reads_them(
    path: Path, content: bytes, encoding: str, errors: str
) -> None:
    path.write_bytes(content)
    options = {"encoding": encoding, "errors": errors}
    for method in ("read", "readline"):
        for size in (1, 2, 3):
            expected = in_pieces(path, method, size, **options)
            assert run(in_pieces_of_ours(path, method, size, **options)) == expected, (method, size)


def test_anext_with_a_default_gives_it_at_the_end_of_the_file(path: Path) -> None:
    path.write_text("")

    async def main() -> None:
        async with aiofile.open(path) as file:
            assert await anext(file, "default") == "default"
        with pytest.raises(ValueError, match="closed file"):
            await anext(file, "default")

    run(main())


def test_an_unbuffered_write_goes_behind_the_line_that_was_read(path: Path) -> None:
    path.write_bytes(b"0123456789abcdefghij")

    async def main() -> None:
        async with aiofile.open(path, "r+b", buffering=0) as file:
            assert await file.readline(3) == b"012"
            assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 3
            await file.write(b"XXX")

    run(main())
    assert path.read_bytes() == b"012XXX6789abcdefghij"


@pytest.mark.parametrize("mode", ["r", "rb"])
def test_readline_takes_what_a_pipe_has_when_that_is_enough(mode: Any) -> None:
    async def main() -> None:
        reader, writer = os.pipe()
        os.write(writer, b"abcdefghij")
        async with aiofile.open(reader, mode) as file:
            assert await file.readline(5) in ("abcde", b"abcde")
        os.close(writer)

    run(main())


def test_a_file_whose_size_says_nothing_is_read_to_the_size_asked_for() -> None:
    async def main() -> None:
        for size in (131_073, 1_000_000):
            async with aiofile.open("/proc/kallsyms", "rb") as file:
                ours = await file.read(size)
            with open("/proc/kallsyms", "rb") as file_of_io:
                assert ours == file_of_io.read(size)

    run(main())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a sparse file of eight terabytes")
def test_too_large_to_hold_is_a_memory_error_and_not_the_end_of_the_process(path: Path) -> None:
    with path.open("wb") as file:
        try:
            file.truncate(8 << 40)
        except OSError:  # The file system has no such sizes: the largest it has will do.
            file.truncate(1 << 40)

    async def main() -> None:
        for mode in ("r", "rb"):
            async with aiofile.open(path, mode) as large:
                with pytest.raises(MemoryError):
                    await large.read()

    run(main())


def test_two_tasks_that_stream_get_on_together(path: Path) -> None:
    path.write_text("line\n" * 50_000)
    done = [0, 0]

    async def stream(number: int) -> None:
        async with aiofile.open(path) as file:
            async for _ in file:
                done[number] += 1
                if done[number] == 25_000:
                    others = done[1 - number]
                    assert others > 10_000, f"one task had 25,000 lines when the other had {others}"

    async def main() -> None:
        await asyncio.gather(stream(0), stream(1))

    run(main())


def test_a_refused_seek_leaves_an_unbuffered_file_where_it_was(path: Path) -> None:
    path.write_bytes(b"0123456789")

    async def main() -> None:
        async with aiofile.open(path, "rb", buffering=0) as file:
            await file.read(4)
            with pytest.raises(OSError, match="Invalid argument"):
                await file.seek(-100, os.SEEK_END)
            assert await file.tell() == 4
            assert await file.seek(0, os.SEEK_HOLE) == 10

    run(main())


def test_an_error_handler_may_use_the_file_that_it_serves(path: Path) -> None:
    succeed(
        child(
            """
            import asyncio, codecs, sys
            import aiofile

            async def main():
                file = await aiofile.open(sys.argv[1], "w", encoding="ascii", errors="ours")
                codecs.register_error("ours", lambda error: (repr(file)[:1], error.end))
                await file.write("\\u00e9")
                await file.close()

            asyncio.run(main())
            """,
            str(path),
        )
    )
    assert path.read_text() == "<"


def test_a_loop_that_died_with_its_budget_spent_does_not_spoil_the_next(path: Path) -> None:
    path.write_text("line\n" * 10_000)

    async def spend() -> None:
        async with aiofile.open(path) as file:
            while not aiofile._native.must_yield():
                await file.readline()
            raise SystemExit

    async def read() -> str:
        async with aiofile.open(path) as file:
            return await file.readline()

    loop = asyncio.new_event_loop()
    with pytest.raises(SystemExit):
        loop.run_until_complete(spend())
    loop.close()
    assert run(read()) == "line\n"


@pytest.mark.parametrize("buffering", [-1, 0])
@pytest.mark.parametrize("opened", ["number", "opener"])
def test_a_descriptor_that_never_waits_says_that_there_is_nothing(buffering: int, opened: str) -> None:
    async def check() -> None:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        opening: Any = {
            "number": lambda end, mode: aiofile.open(os.dup(end), mode, buffering),
            "opener": lambda end, mode: aiofile.open(
                "pipe", mode, buffering, opener=lambda _path, _flags: os.dup(end)
            ),
        }[opened]
        async with opening(reader, "rb") as reading, opening(writer, "wb") as writing:
            assert await reading.read(5) is None
            os.write(writer, b"abc")
            assert await reading.read(5) == b"abc"
            assert await reading.read(5) is None
            if buffering == 0:
                assert await writing.write(bytes(1_000_000)) == 65536
                assert await writing.write(b"x") is None
            else:
                with pytest.raises(BlockingIOError) as raised:
                    await writing.write(bytes(1_000_000))
                assert raised.value.characters_written > 0
            # Room for what the close writes.
            os.read(reader, 1 << 20)
        os.close(reader)
        os.close(writer)

    run(check())
