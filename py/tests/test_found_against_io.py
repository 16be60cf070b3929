"""What the sequences of `test_against_io.py` found, each as the shortest history that showed it."""

from __future__ import annotations

import asyncio
import io
import os
from pathlib import Path
from typing import Any

import pytest

import aiofile
from differential.case import Action, Case, Way
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


def test_a_blocking_file_refuses_a_seek_in_the_words_of_io(stage: Stage) -> None:
    way = Way(has_executor=True)
    actions: list[Action] = [("seek", 1 << 63, 7), ("seek", 0, 7), ("seek", 1 << 63, 0)]
    stage.play(Case("rb", {"buffering": -1}, b"abc", actions, way=way))


def test_text_is_encoded_as_the_blocking_file_does_once_there_is_one(stage: Stage) -> None:
    changes = ("reconfigure", (("encoding", "cp1252"), ("errors", "surrogateescape")))
    actions: list[Action] = [("touch", "buffer"), changes, ("write", "é\udc80", "str")]
    stage.play(Case("w", text_options("utf-32-be"), b"", actions))


def test_a_file_that_is_reconfigured_again_does_not_find_its_place_again(stage: Stage) -> None:
    again = ("reconfigure", (("errors", "replace"), ("newline", "\n")))
    actions: list[Action] = [
        ("touch", "buffer"),
        again,
        ("readlines", 1),
        again,
        ("tell",),
        ("touch", "detach"),
        again,
    ]
    stage.play(Case("r", text_options("cp1252"), b"one\ntwo\n", actions))


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_text_has_the_buffer_that_was_asked_for_behind_it(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "f"

    async def main() -> None:
        async with aiofile.open(path, "w", 16, encoding=encoding) as file:
            file.buffer.write(b"0123456789")
            assert path.read_bytes() == b""
            file.buffer.write(b"abcdefghij")
            assert path.read_bytes() != b""

    run(main())


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


def test_text_is_told_while_it_is_iterated_and_written_behind_its_chunk(tmp_path: Path) -> None:
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
    assert path.read_bytes() == b"one\ntwo\nTWO"


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
            await file.seek(0)
            return await file.read()

    assert run(main()) == "one two-"


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


def test_text_that_a_pipe_did_not_take_is_not_forgotten() -> None:
    reader, writer = os.pipe()
    os.close(reader)

    async def main() -> None:
        file = await aiofile.open(writer, "w", encoding="utf-8")
        await file.write("x" * 5000)
        for _ in range(2):
            with pytest.raises(BrokenPipeError):
                await file.flush()
        with pytest.raises(BrokenPipeError):
            await file.close()

    run(main())


@pytest.mark.parametrize("buffering", [-1, 0])
def test_a_memory_view_that_was_released_is_refused_as_one(tmp_path: Path, buffering: int) -> None:
    view = memoryview(b"x")
    view.release()

    async def check() -> None:
        async with aiofile.open(tmp_path / "f", "wb", buffering) as file:
            for write in (
                lambda: file.write(view),
                lambda: file.writelines([view]),
                lambda: file.pwrite(view, 0),
                lambda: aiofile.write_bytes(tmp_path / "f", view),
            ):
                with pytest.raises(ValueError, match="operation forbidden on released memoryview object"):
                    await write()

    run(check())
    assert (tmp_path / "f").read_bytes() == b""


def test_once_appended_bytes_are_flushed_the_position_is_the_end(tmp_path: Path) -> None:
    """Before that, `io` counts on from where `seek` went, and a file of ours that streams need not."""

    async def check() -> None:
        async with aiofile.open(tmp_path / "ours", "ab", 4096) as ours:
            with (tmp_path / "theirs").open("ab", 4096) as theirs:
                for _ in range(6):
                    assert await ours.write(b"x" * 2000) == theirs.write(b"x" * 2000)
                assert await ours.seek(50) == theirs.seek(50)
                for _ in range(3):
                    assert await ours.write(b"y" * 1000) == theirs.write(b"y" * 1000)
                await ours.flush()
                theirs.flush()
                assert await ours.tell() == theirs.tell() == 15_000

    run(check())
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
