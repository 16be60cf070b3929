"""What the sequences of `test_against_io.py` found, each as the shortest history that showed it."""

from __future__ import annotations

import asyncio
import io
import os
from pathlib import Path
from typing import Any

import pytest

import aiofile
from differential.case import Case
from differential.stage import Stage
from support import run

#: A file system where every read waits: none of these files has its bytes without asking twice.
WAITS = "/dev/shm"


@pytest.fixture
def waiting() -> Any:
    if not os.access(WAITS, os.W_OK):
        pytest.skip(f"{WAITS} is not there")
    path = Path(WAITS, f"aiofile-{os.getpid()}")
    yield path
    path.unlink(missing_ok=True)


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
def test_the_end_of_a_file_that_makes_reads_wait_is_found_in_every_encoding(
    waiting: Path, encoding: str
) -> None:
    waiting.write_text("one\ntwo", encoding=encoding)

    async def main() -> list[str]:
        async with aiofile.open(waiting, encoding=encoding) as file:
            lines = [line async for line in file]
            return [*lines, await file.readline(), await file.read()]

    assert run(main()) == ["one\n", "two", "", ""]


def test_a_cancelled_read_behind_an_append_goes_back_to_the_end_that_it_made(waiting: Path) -> None:
    async def main(turns: int) -> bool:
        waiting.write_bytes(b"")
        async with aiofile.open(waiting, "a+b") as file:
            await file.write(b"first")
            await file.seek(0)
            await file.write(b"second")
            task = asyncio.ensure_future(file.readlines())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            assert await file.readlines() == []
            assert await file.tell() == 11
            return task.cancelled()

    assert sum(run(main(turns)) for turns in range(1, 8)) > 0


@pytest.mark.parametrize("encoding", ["iso2022_jp", "iso2022_kr"])
def test_a_plain_offset_into_iso_2022_is_the_first_state_and_no_crash(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"one\ntwo\n")

    async def main() -> str:
        async with aiofile.open(path, encoding=encoding) as file:
            assert await file.readline() == "one\n"
            await file.seek(4)
            first: str = await file.read()
            await file.seek(4)
            assert await file.read(3) == "two"
            return first

    assert run(main()) == "two\n"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_plain_offset_behind_the_byte_order_mark_is_in_the_order_of_the_machine(
    tmp_path: Path, encoding: str
) -> None:
    path = tmp_path / "f"
    path.write_text("one two", encoding=encoding)
    width = len("x".encode(encoding)) // 2

    async def main() -> str:
        async with aiofile.open(path, encoding=encoding) as file:
            await file.seek(5 * width)
            return await file.read()

    assert run(main()) == "two"


def text_options(encoding: str, **more: Any) -> dict[str, Any]:
    return {"buffering": -1, "encoding": encoding, "errors": "strict", "newline": "\n", **more}


def test_a_long_text_of_utf_7_is_the_bytes_that_it_is_at_once(stage: Stage) -> None:
    for text in ("中" * 70_000, "é中ab" * 40_000, "x" * 65_535 + "é\r\n中"):
        stage.play(Case("w", text_options("utf-7"), b"", [("write", text, "str")]))


def test_a_character_that_two_make_is_not_cut_in_a_long_text(stage: Stage) -> None:
    for start in range(2):
        text = "x" * start + "か゚" * 33_000 + "\n"
        stage.play(Case("w", text_options("euc_jisx0213"), b"", [("write", text * 2, "str")]))


REFUSED: list[tuple[str, tuple[Any, ...]]] = [
    ("wb", ("read", -1)),
    ("wb", ("read1", 1)),
    ("wb", ("readinto", 1)),
    ("rb", ("write", b"x", "bytes")),
    ("rb", ("write", "x", "bytes")),
    ("w+b", ("write", "x", "bytes")),
    ("rb", ("truncate", 0)),
    ("rb", ("seek", 1 << 63, 0)),
    ("rb", ("seek", 1 << 63, 7)),
    ("rb", ("seek", 0, 7)),
    ("rb", ("seek", -1, 0)),
]


@pytest.mark.parametrize("buffering", [0, -1])
@pytest.mark.parametrize(("mode", "action"), REFUSED)
def test_a_refused_call_of_a_binary_file_is_refused_in_the_words_of_io(
    stage: Stage, mode: str, action: tuple[Any, ...], buffering: int
) -> None:
    stage.play(Case(mode, {"buffering": buffering}, b"abc", [action]))


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
@pytest.mark.parametrize(
    ("mode", "action"), [("r", ("write", b"x", "str")), ("r", ("truncate", 0)), ("w", ("read", 1))]
)
def test_a_refused_call_of_a_text_file_is_refused_in_the_words_of_io(
    stage: Stage, mode: str, action: tuple[Any, ...], encoding: str
) -> None:
    stage.play(Case(mode, text_options(encoding), b"abc", [action]))


# What ours does otherwise, on purpose: docs/decisions/0009-differences-from-io.md.


def test_reading_after_an_append_in_a_binary_file_brings_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"abc")

    async def main() -> bytes:
        async with aiofile.open(path, "a+b") as file:
            await file.seek(1)
            await file.write(b"def")
            return await file.read()

    assert run(main()) == b""
    assert path.read_bytes() == b"abcdef"


def test_text_is_told_while_it_is_iterated_and_written_where_reading_ended(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"one\ntwo\n")

    async def main() -> int:
        async with aiofile.open(path, "r+", encoding="utf-8") as file:
            async for _ in file:
                break
            position: int = await file.tell()
            await file.write("TWO")
            return position

    assert run(main()) == 4
    assert path.read_bytes() == b"one\nTWO\n"


def test_a_file_is_not_emptied_for_an_argument_that_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"precious")

    async def main() -> None:
        await aiofile.open(path, "w", buffering=0)

    with pytest.raises(ValueError, match="unbuffered text"):
        run(main())
    assert path.read_bytes() == b"precious"


def test_the_byte_order_is_known_still_after_a_write(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("one two", encoding="utf-16")

    async def main() -> str:
        async with aiofile.open(path, "r+", encoding="utf-16") as file:
            assert await file.read(3) == "one"
            await file.write("-")
            return await file.read()

    assert run(main()) == "two"


def test_a_text_that_cannot_be_encoded_takes_no_byte_order_mark_with_it(tmp_path: Path) -> None:
    path = tmp_path / "f"

    async def main() -> None:
        async with aiofile.open(path, "w", encoding="utf-16") as file:
            with pytest.raises(UnicodeEncodeError):
                await file.write("\udc80")
            await file.write("text")

    run(main())
    assert path.read_bytes() == "text".encode("utf-16")


def test_a_seek_that_is_refused_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.touch()

    async def main() -> None:
        async with aiofile.open(path, "rb") as file:
            await file.seek(-1)

    with pytest.raises(OSError, match="Invalid argument") as refused:
        run(main())
    assert refused.value.filename == str(path)
    assert not isinstance(refused.value, io.UnsupportedOperation)
