"""Many lines written with one call: as `io` writes them, and the loop goes on meanwhile."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import aiofile
from support import run, until


class Listed(list[Any]):
    """A list that gives other lines than it holds."""

    def __iter__(self) -> Iterator[Any]:
        return (line + line for line in super().__iter__())


ITERABLES: dict[str, Callable[[list[Any]], Any]] = {
    "list": list,
    "tuple": tuple,
    "iterator": iter,
    "generator": lambda lines: (line for line in lines),
    "list of its own kind": Listed,
}

TEXTS = {
    "short": ["line\n", "\n", "", "no end"] * 8000,
    "one": ["x" * 100_000],
    "none": [],
    "of every length": ["x" * length + "\n" for length in range(0, 20_000, 371)] * 5,
    "not ASCII": ["é\n", "漢字\r\n", "plain\n", "\U0001f600"] * 3000,
    "long and not ASCII": ["a\n", "é" * 70_000, "b\n"] * 3,
}

FORMATS: dict[str, dict[str, Any]] = {
    "bytes": {"mode": "wb"},
    "bytes, small buffer": {"mode": "wb", "buffering": 10},
    "bytes, large buffer": {"mode": "wb", "buffering": 300_000},
    "bytes, no buffer": {"mode": "wb", "buffering": 0},
    "appended": {"mode": "ab"},
    "text": {"mode": "w", "encoding": "utf-8"},
    "text, CRLF": {"mode": "w+", "encoding": "utf-8", "newline": "\r\n"},
    "text, by lines": {"mode": "w", "encoding": "utf-8", "buffering": 1},
    "text, of a codec": {"mode": "w", "encoding": "utf-16"},
    "text, ASCII": {"mode": "w", "encoding": "ascii", "errors": "replace"},
}


@pytest.mark.parametrize("iterable", ITERABLES)
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("texts", TEXTS)
def test_lines_of_every_kind_are_written_as_io_writes_them(
    tmp_path: Path, iterable: str, form: str, texts: str
) -> None:
    lines: list[Any] = TEXTS[texts]
    options = FORMATS[form]
    if "b" in options["mode"]:
        lines = [line.encode() for line in lines]
        # Of each kind of object with bytes in it.
        lines[::7] = [bytearray(line) for line in lines[::7]]
    if options.get("buffering", -1) in (0, 1, 10):
        lines = lines[:300]
    with open(tmp_path / "theirs", **options) as theirs:
        for line in lines[:1]:
            theirs.write(line)
        theirs.writelines(ITERABLES[iterable](lines))
        position = theirs.tell()

    async def main() -> None:
        async with aiofile.open(tmp_path / "ours", **options) as ours:
            for line in lines[:1]:
                await ours.write(line)
            await ours.writelines(ITERABLES[iterable](lines))
            assert await ours.tell() == position

    run(main())
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


@pytest.mark.parametrize("iterable", ["list", "tuple", "iterator", "generator"])
@pytest.mark.parametrize("form", ["bytes", "text", "text, CRLF", "text, by lines", "text, of a codec"])
@pytest.mark.parametrize("before", [0, 1, 5, 20_000])
def test_a_line_that_is_refused_leaves_those_before_it_and_takes_none_after_it(
    tmp_path: Path, iterable: str, form: str, before: int
) -> None:
    options = FORMATS[form]
    good: Any = b"good\n" if form == "bytes" else "good\n"
    lines = [good] * before + [None] + [good] * 3

    async def main() -> None:
        async with aiofile.open(tmp_path / "ours", **options) as ours:
            given = ITERABLES[iterable](lines)
            with pytest.raises(TypeError, match=r"NoneType|not None"):
                await ours.writelines(given)
            if isinstance(given, Iterator):
                assert list(given) == [good] * 3
            await ours.write(good)

    run(main())
    with open(tmp_path / "theirs", **options) as theirs:
        for _ in range(before + 1):
            theirs.write(good)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


@pytest.mark.parametrize("iterable", ["list", "tuple", "iterator", "generator"])
@pytest.mark.parametrize(("mode", "buffering"), [("rb", -1), ("rb", 0), ("r", -1)])
def test_a_file_that_is_only_read_refuses_the_first_line_and_none_is_none(
    tmp_path: Path, iterable: str, mode: Any, buffering: int
) -> None:
    (tmp_path / "f").write_bytes(b"")
    line: Any = "line" if mode == "r" else b"line"

    async def main() -> None:
        async with aiofile.open(tmp_path / "f", mode, buffering) as file:
            await file.writelines(ITERABLES[iterable]([]))
            with pytest.raises(io.UnsupportedOperation):
                await file.writelines(ITERABLES[iterable]([line]))

    run(main())


@pytest.mark.parametrize("iterable", ["list", "generator"])
@pytest.mark.parametrize("before", [0, 3, 20_000])
def test_a_line_that_cannot_be_encoded_leaves_those_before_it(
    tmp_path: Path, iterable: str, before: int
) -> None:
    async def main() -> None:
        async with aiofile.open(tmp_path / "f", "w", encoding="ascii") as file:
            with pytest.raises(UnicodeEncodeError):
                await file.writelines(ITERABLES[iterable](["good\n"] * before + ["é\n", "good\n"]))

    run(main())
    assert (tmp_path / "f").read_text() == "good\n" * before


@pytest.mark.parametrize("mode", ["wb", "w"])
def test_an_error_of_the_iterator_comes_when_the_lines_before_it_are_written(
    tmp_path: Path, mode: Any
) -> None:
    def lines() -> Iterator[Any]:
        for _ in range(3000):
            yield b"good\n" if mode == "wb" else "good\n"
        raise KeyError("no more")

    async def main() -> None:
        async with aiofile.open(tmp_path / "f", mode) as file:
            with pytest.raises(KeyError):
                await file.writelines(lines())

    run(main())
    assert (tmp_path / "f").read_text() == "good\n" * 3000


@pytest.mark.parametrize("iterable", ["list", "generator"])
def test_lines_of_two_tasks_do_not_mix(tmp_path: Path, iterable: str) -> None:
    async def main() -> None:
        async with aiofile.open(tmp_path / "f", "w") as file:
            each = [ITERABLES[iterable]([letter + "\n"] * 30_000) for letter in "abc"]
            await asyncio.gather(*map(file.writelines, each))

    run(main())
    assert (tmp_path / "f").read_text() == "".join(f"{letter}\n" * 30_000 for letter in "abc")


@pytest.mark.parametrize("iterable", ["list", "iterator"])
@pytest.mark.parametrize("buffering", [100, 5000])
def test_no_more_stays_buffered_than_the_buffer_holds(tmp_path: Path, iterable: str, buffering: int) -> None:
    async def main() -> None:
        async with aiofile.open(tmp_path / "f", "wb", buffering) as file:
            for count in (1, 20, 3000, 20_000):
                before = await file.tell()
                await file.writelines(ITERABLES[iterable]([b"line\n"] * count))
                written = before + count * 5
                assert await file.tell() == written
                # A part may still be on its way.
                await until(lambda: (tmp_path / "f").stat().st_size >= written - buffering)  # noqa: B023

    run(main())


@pytest.mark.parametrize("iterable", ["list", "generator"])
@pytest.mark.parametrize("mode", ["wb", "w"])
def test_cancelled_it_has_written_a_beginning_and_the_position_says_which(
    tmp_path: Path, iterable: str, mode: Any
) -> None:
    whole: Any = [f"{number:07}\n" for number in range(100_000)]
    if mode == "wb":
        whole = [line.encode() for line in whole]

    async def main() -> None:
        cancelled = 0
        for turns in range(1, 40):
            async with aiofile.open(tmp_path / "f", mode) as file:
                task = asyncio.ensure_future(file.writelines(ITERABLES[iterable](whole)))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                cancelled += task.cancelled()
                position = await file.tell()
                await file.write(whole[0])
            content = (tmp_path / "f").read_bytes()
            expected = "".join(map(str, whole)).encode() if mode == "w" else b"".join(whole)
            assert position % 8 == 0
            assert content == expected[:position] + b"0000000\n"
        assert cancelled > 10

    run(main())


def test_a_list_that_shrinks_meanwhile_ends_earlier(tmp_path: Path) -> None:
    lines = [b"x" * 99 + b"\n"] * 100_000

    async def main() -> None:
        async with aiofile.open(tmp_path / "f", "wb") as file:
            task = asyncio.ensure_future(file.writelines(lines))
            await asyncio.sleep(0)
            lines.clear()
            await task

    run(main())
    content = (tmp_path / "f").read_bytes()
    assert 0 < len(content) < 100 * 100_000
    assert content == (b"x" * 99 + b"\n") * (len(content) // 100)


@pytest.mark.parametrize("mode", ["wb", "w"])
def test_the_loop_goes_on_while_an_iterator_takes_its_time(tmp_path: Path, mode: Any) -> None:
    line: Any = b"x" if mode == "wb" else "x"

    def lines() -> Iterator[Any]:
        for _ in range(320):
            end = time.perf_counter() + 0.0001
            while time.perf_counter() < end:
                pass
            yield line

    async def main() -> None:
        ticks = 0
        async with aiofile.open(tmp_path / "f", mode) as file:
            task = asyncio.ensure_future(file.writelines(lines()))
            while not task.done():
                ticks += 1
                await asyncio.sleep(0)
        # A turn for every 16 lines, which is how often the clock is looked at.
        assert ticks >= 320 // 16

    run(main())
