"""Text in the encodings of Python's codecs, beside the same calls on the files of ``io``."""

from __future__ import annotations

import asyncio
import codecs
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

import aiofile
from differential.sequences import CODECS
from support import child, run, succeed

NEWLINES = [None, "", "\n", "\r", "\r\n"]
ENCODINGS = {**CODECS, "unicode_escape": "é中\\"}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
@pytest.mark.parametrize("newline", NEWLINES)
def test_a_character_cut_by_any_boundary_is_read_whole(
    folder: Path, encoding: str, newline: str | None
) -> None:
    path = folder / "cut"
    for shift in range(4):
        text = "a" * shift + ("ab" + "".join(ENCODINGS[encoding]) + "\r\n") * 9000
        path.write_bytes(text.encode(encoding))

        async def check() -> None:
            with open(path, encoding=encoding, newline=newline) as theirs:
                expected = theirs.readlines()
            async with aiofile.open(path, encoding=encoding, newline=newline) as file:
                assert await file.readlines() == expected
            async with aiofile.open(path, encoding=encoding, newline=newline) as file:
                assert [line async for batch in file.lines(batch=100) for line in batch] == expected
            async with aiofile.open(path, encoding=encoding, newline=newline) as file:
                assert [line async for line in file] == expected
                assert await file.readline() == ""

        run(check())


def test_characters_before_an_invalid_byte_are_read_and_none_is_lost_with_it(folder: Path) -> None:
    path = folder / "invalid"
    good = "line é\n" * 20_000
    path.write_bytes(good.encode("cp1252") + b"ab\x81cd\n")

    async def check() -> None:
        async with aiofile.open(path, encoding="cp1252") as file:
            assert "".join([await file.readline() for _ in range(20_000)]) == good
            for _ in range(2):
                with pytest.raises(UnicodeDecodeError):
                    await file.readline()
            assert await file.read(2) == "ab"
            with pytest.raises(UnicodeDecodeError) as caught:
                await file.read(1)
            assert caught.value.object[caught.value.start] == 0x81
            assert await file.tell() == len(good) + 2

        async with aiofile.open(path, encoding="cp1252") as file:
            with pytest.raises(UnicodeDecodeError):
                await file.readlines()
            assert await file.tell() == 0
            assert await file.readline() == "line é\n"

    run(check())


@pytest.mark.parametrize("newline", NEWLINES)
@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("utf-8-sig", b"\xef\xbb\xbf\xe2\xe2\x82\xac\r\n\xe2\x82a\r\r\n\xf0\x9f"),
        ("utf-16", "é\r\n𝄞\r".encode("utf-16") + b"\x0a"),
        ("gb18030", "中𝄞\r\n".encode("gb18030") + b"\x81\x30\x81" + b"a\n"),
        ("iso2022_kr", "가a나\r\n다".encode("iso2022_kr")),
        ("utf-7", "中文a\r\n𝄞".encode("utf-7")),
        ("euc_jisx0213", "か゚\r\nか".encode("euc_jisx0213")),
    ],
)
def test_every_character_has_a_cookie_that_both_libraries_find(
    folder: Path, encoding: str, data: bytes, newline: str | None
) -> None:
    path = folder / "cookies"
    path.write_bytes(data)
    arguments: dict[str, Any] = {"encoding": encoding, "errors": "replace", "newline": newline}

    async def check() -> None:
        with open(path, **arguments) as theirs:
            text = theirs.read()
            async with aiofile.open(path, **arguments) as ours:
                for place in range(len(text) + 1):
                    await ours.seek(0)
                    assert await ours.read(place) == text[:place]
                    cookie = await ours.tell()
                    assert await ours.read() == text[place:]
                    await ours.seek(cookie)
                    assert await ours.read() == text[place:]
                    if not cookie >> 168:
                        theirs.seek(cookie)
                        assert theirs.read() == text[place:]

    run(check())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_batches_bring_the_lines_before_an_invalid_byte(folder: Path, encoding: str) -> None:
    path = folder / "invalid"
    path.write_bytes(b"a\nb\nc\n\xff\nd\n")

    async def check() -> None:
        async with aiofile.open(path, encoding=encoding) as file:
            batches = file.lines()
            assert await batches.__anext__() == ["a\n", "b\n", "c\n"]
            with pytest.raises(UnicodeDecodeError):
                await batches.__anext__()
            assert await file.tell() == 6

    run(check())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_lines_of_a_cancelled_batch_come_with_the_next(folder: Path, encoding: str) -> None:
    path = folder / "batches"
    lines = [f"{number}\n" for number in range(50_000)]
    path.write_text("".join(lines), encoding=encoding)

    async def check() -> None:
        cancelled = 0
        async with aiofile.open(path, encoding=encoding) as file:
            batches = file.lines(batch=20_000)
            found: list[str] = []
            while True:
                task = asyncio.ensure_future(batches.__anext__())
                # A step begins anew: it needs the turns that a whole one takes.
                for _ in range(2 + cancelled):
                    await asyncio.sleep(0)
                cancelled += task.cancel()
                try:
                    found += await task
                except asyncio.CancelledError:
                    continue
                except StopAsyncIteration:
                    break
        assert found == lines
        assert cancelled

    run(check())


def test_a_large_file_is_decoded_while_the_loop_turns(folder: Path) -> None:
    path = folder / "large"
    text = "0123456789abcd é\n" * 620_000
    path.write_text(text, encoding="utf-16", newline="\n")
    assert path.stat().st_size > 20 * 1024 * 1024
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def check() -> None:
        ticker = asyncio.create_task(tick())
        async with aiofile.open(path, encoding="utf-16") as file:
            await asyncio.sleep(0)
            before = turns
            assert await file.read() == text
        ticker.cancel()
        assert turns - before >= 20 * 1024 * 1024 // (64 * 1024)

    run(check())


def test_a_large_text_is_encoded_while_the_loop_turns(folder: Path) -> None:
    path = folder / "large"
    text = "ascii only\n" * 500_000
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def check() -> None:
        ticker = asyncio.create_task(tick())
        async with aiofile.open(path, "w", encoding="utf-16") as file:
            assert await file.write(text) == len(text)
        ticker.cancel()
        assert turns >= len(text) // (64 * 1024)

    run(check())
    assert path.read_text(encoding="utf-16") == text


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252", "gb18030", "iso2022_jp"])
def test_no_cancelled_read_loses_a_character(folder: Path, encoding: str) -> None:
    path = folder / "cancelled"
    text = "".join(f"{number} {''.join(ENCODINGS[encoding])}\n" for number in range(40_000))
    path.write_text(text, encoding=encoding, newline="\n")

    async def check(call: str, arguments: list[int], turns: int) -> bool:
        async with aiofile.open(path, encoding=encoding) as file:
            first = await file.readline()
            task = asyncio.create_task(getattr(file, call)(*arguments))
            for _ in range(turns):
                await asyncio.sleep(0)
            was_cancelled = task.cancel()
            try:
                found = "".join(await task)
            except asyncio.CancelledError:
                found = ""
            place = await file.tell()
            rest = await file.readline() + await file.read(777) + await file.read()
            assert first + found + rest == text
            await file.seek(place)
            assert await file.read() == rest
            return was_cancelled

    calls: list[tuple[str, list[int]]] = [("read", []), ("read", [150_000]), ("readlines", [])]
    cancelled = [run(check(call, arguments, turns)) for call, arguments in calls for turns in range(8)]
    assert sum(cancelled) >= 8


def test_operations_run_in_the_order_asked_for(folder: Path) -> None:
    path = folder / "order"
    text = "".join(f"{number}é\n" for number in range(60_000))
    path.write_text(text, encoding="utf-16", newline="\n")

    async def check() -> None:
        async with aiofile.open(path, encoding="utf-16") as file:
            first, second, third = await asyncio.gather(file.read(200_000), file.readline(), file.read())
            assert len(first) == 200_000
            assert first + second + third == text
            assert second.count("\n") == 1
        async with aiofile.open(path, "w", encoding="utf-16") as file:
            await asyncio.gather(*[file.write(letter * 100_000) for letter in "abc"])
        assert path.read_text(encoding="utf-16") == "a" * 100_000 + "b" * 100_000 + "c" * 100_000

    run(check())


def test_a_cancelled_write_leaves_no_file_without_its_byte_order_mark(folder: Path) -> None:
    path = folder / "mark"

    async def check() -> None:
        for turns in range(8):
            async with aiofile.open(path, "w", encoding="utf-16") as file:
                task = asyncio.create_task(file.write("x" * 1_000_000))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await file.write("end")
            data = path.read_bytes()
            assert data.startswith(codecs.BOM_UTF16)
            assert data.count(codecs.BOM_UTF16) == 1
            assert data.decode("utf-16").strip("x") == "end"

    run(check())


READ_FIRST = ["read(2)", "readline()", "readlines(3)", "read()", "read(0)", "a cancelled read()"]


@pytest.mark.parametrize("length", [3, 3_000, 30_000])
@pytest.mark.parametrize("first", READ_FIRST)
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "utf-16-le", "cp1252", "shift_jis"])
def test_what_is_written_after_reading_goes_where_io_writes_it(
    folder: Path, encoding: str, first: str, length: int
) -> None:
    text = "ab\nc\n" * length
    theirs, ours = folder / "theirs", folder / "ours"

    async def read(file: Any) -> Any:
        if first == "a cancelled read()":
            reading = asyncio.ensure_future(file.read())
            await asyncio.sleep(0)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            return None if reading.cancelled() else reading.result()
        return await eval(f"file.{first}", {"file": file})

    async def check() -> None:
        async with aiofile.open(ours, "r+", encoding=encoding) as file:
            got = await read(file)
            if got is not None:
                with theirs.open("r+", encoding=encoding) as other:
                    call = "file.read()" if first == "a cancelled read()" else f"file.{first}"
                    assert eval(call, {"file": other}) == got
                    other.write("X")
                    other.truncate()
                await file.write("X")
                await file.truncate()
                await file.flush()
                assert ours.read_bytes() == theirs.read_bytes()
            else:
                await file.write("X")
                await file.seek(0)
                assert await file.read() == "X" + text[1:]

    for path in (theirs, ours):
        path.write_text(text, encoding=encoding)
    run(check())


def test_the_descriptor_is_left_where_reading_ended(folder: Path) -> None:
    path = folder / "descriptor"
    path.write_text("one\ntwo\nthree\n", encoding="utf-16-le")

    async def check() -> None:
        fd = os.open(path, os.O_RDONLY)
        try:
            async with aiofile.open(fd, encoding="utf-16-le", closefd=False) as file:
                assert await file.readline() == "one\n"
                await file.flush()
                assert os.lseek(fd, 0, os.SEEK_CUR) == 8
                assert await file.readline() == "two\n"
            assert os.lseek(fd, 0, os.SEEK_CUR) == 16
        finally:
            os.close(fd)

    run(check())


def test_the_blocking_file_behind_it_goes_on_at_the_next_character(folder: Path) -> None:
    path = folder / "demoted"
    path.write_text("one\ntwo\nthree\n", encoding="utf-16")

    async def check() -> None:
        async with aiofile.open(path, encoding="utf-16") as file:
            assert await file.readline() == "one\n"
            assert file.buffer.tell() == 10
            assert await file.readline() == "two\n"
            assert [line async for line in file] == ["three\n"]

    run(check())


def test_a_pipe_is_decoded_as_it_comes(folder: Path) -> None:
    async def check() -> None:
        reader, writer = os.pipe()
        async with aiofile.open(reader, encoding="utf-16") as file:
            data = "é\r\nx".encode("utf-16")
            os.write(writer, data[:3])
            waiting = asyncio.create_task(file.readline())
            await asyncio.sleep(0)
            os.write(writer, data[3:])
            assert await waiting == "é\n"
            os.close(writer)
            assert await file.read() == "x"
            assert await file.read() == ""
            with pytest.raises(OSError, match="not seekable"):
                await file.tell()

    run(check())


def test_more_text_is_found_at_the_end_of_a_file_that_grows(folder: Path) -> None:
    path = folder / "grows"
    path.write_text("one\n", encoding="utf-16")

    async def check() -> None:
        async with (
            aiofile.open(path, encoding="utf-16") as file,
            aiofile.open(path, "a", encoding="utf-16") as more,
        ):
            assert await file.read() == "one\n"
            assert await file.readline() == ""
            end = await file.tell()
            await more.write("two\n")
            await more.flush()
            assert await file.readline() == "two\n"
            await file.seek(end)
            assert await file.readline() == "two\n"

    run(check())


@pytest.mark.parametrize("encoding", [None, "UTF8", "Latin1", "cp1252", "UTF_16", "locale"])
def test_encoding_and_errors_are_named_as_io_names_them(folder: Path, encoding: str | None) -> None:
    path = folder / "named"
    path.touch()

    async def check() -> None:
        async with aiofile.open(path, encoding=encoding) as file:
            with open(path, encoding=encoding) as theirs:
                assert (file.encoding, file.errors) == (theirs.encoding, theirs.errors)
            assert isinstance(file, aiofile.TextFile)

    run(check())


@pytest.mark.parametrize("encoding", ["hex", "rot13", "no-such-codec", "utf-8\0"])
def test_codecs_that_are_not_for_text_are_refused_in_the_words_of_io(folder: Path, encoding: str) -> None:
    path = folder / "refused"
    path.touch()
    with pytest.raises((LookupError, ValueError)) as theirs:
        open(path, encoding=encoding).close()

    async def check() -> None:
        await aiofile.open(path, encoding=encoding)

    with pytest.raises((LookupError, ValueError)) as ours:
        run(check())
    assert ours.type is theirs.type
    assert str(ours.value) == str(theirs.value)


def test_an_unknown_error_handler_is_found_where_it_is_needed(folder: Path) -> None:
    path = folder / "handler"
    path.write_bytes(b"ab\x81")

    async def check() -> None:
        async with aiofile.open(path, encoding="cp1252", errors="no-such") as file:
            assert await file.read(2) == "ab"
            with pytest.raises(LookupError, match="unknown error handler name 'no-such'"):
                await file.read(1)

    if not sys.flags.dev_mode:
        run(check())


def test_wrong_uses_are_refused_in_the_words_of_io(folder: Path) -> None:
    path = folder / "refused"
    path.write_bytes(b"")

    async def check() -> None:
        for mode, call in (
            ("w", ("read",)),
            ("w", ("readline",)),
            ("w", ("read", 0)),
            ("r", ("write", "x")),
            ("w", ("write", b"x")),
            ("r", ("seek", 1, 1)),
            ("r", ("seek", -1)),
        ):
            name, *arguments = call
            with open(path, mode, encoding="utf-16") as file, pytest.raises(Exception) as theirs:  # noqa: PT011
                getattr(file, name)(*arguments)
            ours: Any = aiofile.open(path, cast(Any, mode), encoding="utf-16")
            async with ours as file:
                with pytest.raises(theirs.type) as ours:
                    await getattr(file, name)(*arguments)
                assert str(ours.value) == str(theirs.value), call
            with pytest.raises(ValueError, match="closed"):
                await file.readline()

    run(check())


def test_the_warning_about_the_default_encoding_names_the_line_that_opens() -> None:
    program = """
        import asyncio, warnings
        import aiofile

        async def main():
            file = await aiofile.open(__import__("os").devnull)
            await file.close()
            async with aiofile.open(__import__("os").devnull) as file:
                pass
            async with aiofile.open(__import__("os").devnull, "rb") as file:
                pass

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            asyncio.run(main())
        print([(w.category.__name__, w.filename, w.lineno) for w in caught])
    """
    found = succeed(child(program, PYTHONWARNDEFAULTENCODING="1"))
    assert found == "[('EncodingWarning', '<string>', 6), ('EncodingWarning', '<string>', 8)]\n"
