"""`aiofile.print` to streams of `io`: what is kept in memory, and what a thread hands on."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import io
import os
import random
from pathlib import Path

import pytest

import aiofile
from support import CountingExecutor, child, run, succeed

LINE = "the quick brown fox jumps over the lazy dog"


def text(seed: random.Random) -> str:
    """Of any length up to twice what a stream keeps, ASCII or not."""
    alphabet = seed.choice(["ab\n", "ä\n", "快x", "\N{GRINNING FACE}"])
    return "".join(seed.choices(alphabet, k=seed.choice([0, 1, 50, 500, 8191, 8192, 20_000])))


@pytest.mark.parametrize("seed", range(20))
def test_only_a_thread_hands_on_what_was_printed_and_all_is_there_in_order(tmp_path: Path, seed: int) -> None:
    chosen = random.Random(seed)
    target = tmp_path / "stdout"
    newline = chosen.choice([None, "", "\r\n"])
    expected = io.StringIO(newline=newline)

    async def main() -> None:
        executor = CountingExecutor()
        asyncio.get_running_loop().set_default_executor(executor)
        with open(target, "w", encoding="utf-8", newline=newline) as stream:
            for _ in range(300):
                piece = text(chosen) if chosen.random() < 0.1 else LINE * chosen.randrange(3)
                size, trips = os.fstat(stream.fileno()).st_size, executor.submitted
                await aiofile.print(piece, file=stream, flush=chosen.random() < 0.02)
                assert executor.submitted > trips or os.fstat(stream.fileno()).st_size == size
                expected.write(piece + "\n")
                if chosen.random() < 0.01:
                    builtins.print("another", file=stream, flush=True)
                    expected.write("another\n")
            assert executor.submitted < 200

    run(main())
    assert target.read_bytes() == expected.getvalue().encode()


def test_thousands_of_lines_take_some_tens_of_trips_to_a_thread(tmp_path: Path) -> None:
    async def main() -> int:
        executor = CountingExecutor()
        asyncio.get_running_loop().set_default_executor(executor)
        with open(tmp_path / "stdout", "w", encoding="utf-8") as stream, contextlib.redirect_stdout(stream):
            await asyncio.gather(*(print_lines(number) for number in range(10)))
        return executor.submitted

    async def print_lines(number: int) -> None:
        for line in range(500):
            await aiofile.print(number, line)

    assert run(main()) < 100
    lines = (tmp_path / "stdout").read_text().splitlines()
    for number in range(10):
        assert [line for line in lines if line.startswith(f"{number} ")] == [
            f"{number} {line}" for line in range(500)
        ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1", "ascii", "shift_jis"])
@pytest.mark.parametrize("errors", ["backslashreplace", "namereplace", "xmlcharrefreplace"])
def test_text_of_any_encoding_is_that_of_the_built_in(tmp_path: Path, encoding: str, errors: str) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    lines = [LINE, "ä" * 3000, "", "\N{GRINNING FACE}" * 2000, LINE] * 20

    async def main() -> None:
        with open(ours, "w", encoding=encoding, errors=errors) as stream:
            for line in lines:
                await aiofile.print(line, file=stream)

    run(main())
    with open(theirs, "w", encoding=encoding, errors=errors) as stream:
        for line in lines:
            builtins.print(line, file=stream)
    assert ours.read_bytes() == theirs.read_bytes()


def test_a_stream_that_is_made_to_hand_lines_on_does_so(tmp_path: Path) -> None:
    async def main() -> None:
        with open(tmp_path / "stdout", "w", encoding="utf-8") as stream:
            await aiofile.print("first", file=stream)
            await aiofile.print("second", file=stream)
            stream.reconfigure(line_buffering=True)
            await aiofile.print("third", file=stream)
            assert (tmp_path / "stdout").read_text() == "first\nsecond\nthird\n"
            stream.reconfigure(line_buffering=False, encoding="utf-16")
            for _ in range(300):
                await aiofile.print(LINE, file=stream)
        assert (tmp_path / "stdout").read_bytes().endswith((LINE + "\n").encode("utf-16-le"))

    run(main())


def test_text_that_the_encoding_does_not_have_is_refused_and_what_was_printed_before_stays(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        with open(tmp_path / "stdout", "w", encoding="ascii") as stream:
            for _ in range(3):
                await aiofile.print(LINE, file=stream)
                with pytest.raises(UnicodeEncodeError):
                    await aiofile.print("ä", file=stream)

    run(main())
    assert (tmp_path / "stdout").read_text() == f"{LINE}\n" * 3


def test_a_full_disk_is_told_by_a_print(tmp_path: Path) -> None:
    program = """
        import asyncio, errno, os, resource, signal, sys
        import aiofile

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

        async def main():
            stream = open(sys.argv[1], "w")
            try:
                for number in range(10_000):
                    await aiofile.print("x" * 50, file=stream)
            except OSError as error:
                assert error.errno == errno.EFBIG, error
            return number

        number = asyncio.run(main())
        assert number <= 100_000 // 51 + 200, number
        # What the stream still has cannot be written, and would be warned of.
        os._exit(0)
    """
    succeed(child(program, str(tmp_path / "stdout")))


def test_a_closed_stream_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        stream = open(tmp_path / "stdout", "w")  # noqa: SIM115
        await aiofile.print(LINE, file=stream)
        stream.close()
        with pytest.raises(ValueError, match="closed"):
            await aiofile.print(LINE, file=stream)

    run(main())
