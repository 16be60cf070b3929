"""Lists of lines: what a step did not hand out is still in the file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

import aiofile
from support import run

LINES = [f"{number} é\n" for number in range(60_000)]

#: Bytes, text that the native file decodes, and text that Python's codecs do.
ENCODINGS = [None, "utf-8", "utf-16"]


def written(path: Path, encoding: str | None, lines: list[str]) -> dict[str, Any]:
    """Writes lines, and says how they are read."""
    path.write_text("".join(lines), encoding=encoding or "utf-8", newline="\n")
    return {"mode": "rb"} if encoding is None else {"encoding": encoding}


def as_text(lines: list[Any]) -> list[str]:
    return [line.decode() if isinstance(line, bytes) else line for line in lines]


async def cancelled_after(turns: int, step: Awaitable[Any]) -> bool:
    """Runs a step for some turns of the loop, and cancels it. Returns whether that was in time."""
    task = asyncio.ensure_future(step)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_cancelled_step_leaves_its_lines_in_the_file(tmp_path: Path, encoding: str | None) -> None:
    options = written(tmp_path / "f", encoding, LINES)

    async def check() -> None:
        cancelled = 0
        for turns in range(1, 12):
            async with aiofile.open(tmp_path / "f", **options) as file:
                batches = file.lines(20_000)
                first = as_text(await batches.__anext__())
                assert first == LINES[:20_000]
                position = await file.tell()
                if not await cancelled_after(turns, batches.__anext__()):
                    continue
                cancelled += 1
                assert await file.tell() == position
                assert as_text([await file.readline()]) == LINES[20_000:20_001]
                rest = [line async for batch in file.lines(20_000) for line in batch]
                assert as_text(rest) == LINES[20_001:]
        assert cancelled

    run(check())


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_short_lines_before_a_long_one_stay_when_that_is_waited_for_in_vain(
    tmp_path: Path, encoding: str | None
) -> None:
    lines = ["first\n", "second\n", "x" * (8 << 20) + "\n", "last\n"]
    options = written(tmp_path / "f", encoding, lines)

    async def check() -> None:
        async with aiofile.open(tmp_path / "f", **options) as file:
            assert await cancelled_after(1, file.lines(100).__anext__())
            assert await file.tell() == 0
            found = [line async for batch in file.lines(100) for line in batch]
            assert as_text(found) == lines

    run(check())


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_loop_that_is_left_has_taken_whole_lists_and_nothing_else(
    tmp_path: Path, encoding: str | None
) -> None:
    options = written(tmp_path / "f", encoding, LINES)

    async def check() -> None:
        async with aiofile.open(tmp_path / "f", **options) as file:
            found: list[Any] = []
            for size in (1, 700, 20_000, 3):
                async for batch in file.lines(size):
                    assert len(batch) == size
                    found += batch
                    break
            found += await file.readlines()
        assert as_text(found) == LINES

    run(check())


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_cancelled_step_of_a_pipe_puts_back_what_it_took(encoding: str | None) -> None:
    reader, writer = os.pipe()
    content = "one\ntwo\nthree".encode(encoding or "utf-8")
    options: dict[str, Any] = {"mode": "rb"} if encoding is None else {"encoding": encoding}

    async def check() -> None:
        async with aiofile.open(reader, **options) as file:
            batches = file.lines(1000)
            os.write(writer, content)
            assert as_text(await batches.__anext__()) == ["one\n", "two\n"]
            assert await cancelled_after(3, batches.__anext__())
            os.close(writer)
            assert as_text(await batches.__anext__()) == ["three"]
            with pytest.raises(StopAsyncIteration):
                await batches.__anext__()

    run(check())


def test_a_file_that_became_a_blocking_one_gives_whole_lists(tmp_path: Path) -> None:
    options = written(tmp_path / "f", "utf-8", LINES)

    async def check() -> None:
        async with aiofile.open(tmp_path / "f", **options) as file:
            assert file.buffer.readable()
            batches = [batch async for batch in file.lines(25_000)]
        assert [len(batch) for batch in batches] == [25_000, 25_000, 10_000]
        assert [line for batch in batches for line in batch] == LINES

    run(check())
