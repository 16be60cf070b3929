"""The same actions on a file of `io` and on ours: same results, same errors, same bytes on disk."""

from __future__ import annotations

import inspect
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

import aiofile
from support import PROPERTY, run

SIZES = st.sampled_from([-1, None, 0, 1, 2, 3, 7, 100, 4095, 4096, 8192, 8193, 70_000, 300_000])
OFFSETS = st.sampled_from([-3, -1, 0, 1, 2, 5, 17, 1000, 4096, 8192, 9000, 65_536, 140_000])
MODES = ["r", "r+", "w", "w+", "a", "a+", "x", "x+"]


class Case(NamedTuple):
    """A file and what is done to it."""

    mode: str
    options: dict[str, Any]
    content: bytes
    actions: list[tuple[Any, ...]]

    def __repr__(self) -> str:
        steps = ", ".join(f"({', '.join(map(brief, step))})" for step in self.actions)
        return f"Case({self.mode!r}, {self.options!r}, {brief(self.content)}, [{steps}])"


def brief(value: Any) -> str:
    """The repr of a value, repetition said in short."""
    if isinstance(value, (str, bytes)) and len(value) > 100:
        length = next(n for n in range(1, len(value) + 1) if value[:-n] == value[n:])
        return f"{value[:length]!r} * {len(value) // length}"
    return repr(value)


class Player:
    """Plays actions on one file, of `io` or of ours, and notes what came of each."""

    def __init__(self, path: Path, file: Any, case: Case) -> None:
        self.path = path
        self.file = file
        self.binary = "b" in case.mode
        self.raw = case.options.get("buffering") == 0
        self.is_vague = case.options.get("errors") == "ignore" or case.options.get("newline") in (None, "")
        self.appending = "a" in case.mode
        self.notes: list[Any] = []
        self.cookies: list[int] = []
        self.has_read = False
        self.has_written = False

    async def call(self, name: str, *arguments: Any) -> Any:
        result = getattr(self.file, name)(*arguments)
        return await result if inspect.isawaitable(result) else result

    async def play(self, action: tuple[Any, ...], foreign_cookies: list[int]) -> None:
        name, *arguments = action
        try:
            outcome = await getattr(self, "do_" + name)(*arguments, *self.extra(name, foreign_cookies))
        except (OSError, ValueError, TypeError) as error:
            self.notes.append((action, type(error), described(error)))
        else:
            self.notes.append((action, outcome))

    @staticmethod
    def extra(name: str, foreign_cookies: list[int]) -> list[Any]:
        return [foreign_cookies] if name == "seek_cookie" else []

    async def before_writing(self) -> None:
        # A text file of io writes behind the chunk that it has decoded, wherever that ends.
        if self.has_read and not self.binary:
            if self.is_vague:
                # Bytes that decode to nothing belong to no position, and a cookie of io may feed the
                # decoder a byte behind a carriage return, which it then writes behind as well.
                await self.call("seek", 0, 2)
            else:
                await self.call("seek", await self.call("tell"))
        self.has_read = False
        self.has_written = True
        self.cookies.clear()

    async def before_reading(self) -> None:
        # BufferedRandom.read1 of io, which text is read with, forgets to flush.
        if self.has_written and not self.binary:
            await self.call("flush")
        self.has_read = True
        self.has_written = False

    async def do_read(self, size: int | None) -> Any:
        await self.before_reading()
        return await self.call("read", size)

    async def do_readline(self, size: int | None) -> Any:
        await self.before_reading()
        if size == 0 and not await self.call("readable"):
            return None  # io forgets to refuse.
        return await self.call("readline", -1 if size is None else size)

    async def do_readlines(self, hint: int | None) -> Any:
        await self.before_reading()
        if self.binary or isinstance(self.file, aiofile.File):
            return await self.call("readlines", hint)
        # As `readlines` of io, which would forbid `tell` from here on.
        lines: list[str] = []
        length = 0
        while line := self.file.readline():
            lines.append(line)
            if hint is not None and 0 < hint < length + len(line):
                break
            length += len(line)
        return lines

    async def do_iterate(self, count: int) -> Any:
        await self.before_reading()
        lines = []
        if isinstance(self.file, aiofile.File):
            async for line in self.file:
                lines.append(line)
                if len(lines) == count:
                    break
        else:
            # `for line in file` would forbid `tell` from here on.
            while len(lines) < count and (line := self.file.readline()):
                lines.append(line)
        return lines

    async def do_readinto(self, length: int) -> Any:
        memory = bytearray(length)
        count = await self.call("readinto", memory)
        return count, bytes(memory)

    async def do_read1(self, size: int) -> Any:
        """How much there is in a buffer is nobody's business; that there is something, is."""
        if self.raw:
            return None
        if self.has_written:
            await self.call("flush")  # As in `before_reading`.
        got = await self.call("read1", size)
        if await self.call("seekable") and len(got) > 1:
            await self.call("seek", 1 - len(got), 1)
        return got[:1]

    async def do_peek(self) -> Any:
        # Files of io that are only written have no `peek`, raw ones neither.
        if self.raw or not (await self.call("readable")):
            return None
        return (await self.call("peek"))[:1]

    async def do_seek(self, offset: int, whence: int) -> Any:
        if self.binary:
            result = await self.call("seek", offset, whence)
            await self.check_kernel_position()
            return result
        if whence == 1 and offset == 0:
            moved = await self.call("seek", 0, 1) >= 0
        else:
            # Only `tell` knows which bytes of text can be gone to.
            moved = await self.call("seek", min(offset, 0), whence)
        self.has_read = False
        return moved

    async def do_seek_cookie(self, number: int, foreign: bool, foreign_cookies: list[int]) -> Any:
        cookies = foreign_cookies if foreign else self.cookies
        if not cookies:
            return None
        cookie = cookies[number % len(cookies)]
        assert await self.call("seek", cookie) == cookie
        self.has_read = False
        return "there"

    async def do_tell(self) -> Any:
        if self.appending:
            # Only the write knows where the end was.
            await self.call("flush")
        position = await self.call("tell")
        self.cookies.append(position)
        return position if self.binary else None

    async def do_truncate(self, size: int | None) -> Any:
        if self.binary:
            return await self.call("truncate", size)
        self.cookies.clear()
        await self.call("seek", 0, 2)
        result = await self.call("truncate", size)
        await self.call("seek", 0)
        return result

    async def do_write(self, data: Any, kind: str) -> Any:
        await self.before_writing()
        if kind == "bytearray":
            data = bytearray(data)
        elif kind == "memoryview":
            data = memoryview(data)
        return await self.call("write", data)

    async def do_writelines(self, lines: list[Any]) -> Any:
        await self.before_writing()
        return await self.call("writelines", lines)

    async def do_flush(self) -> Any:
        result = await self.call("flush")
        await self.check_kernel_position()
        return result, self.path.read_bytes()

    async def do_append(self, data: bytes) -> None:
        """Somebody else appends."""
        if await self.call("writable"):
            await self.call("flush")
        with self.path.open("ab", buffering=0) as other:
            other.write(data)

    async def do_close(self) -> Any:
        await self.call("close")
        return self.path.read_bytes()

    async def check_kernel_position(self) -> None:
        if isinstance(self.file, aiofile.File):
            kernel = os.lseek(self.file.fileno(), 0, os.SEEK_CUR)
            assert kernel == await self.file.tell(), "the kernel's position is not the program's"


def described(error: Exception) -> Any:
    """What of an error is the same in every class of io: not how it words that it refuses."""
    if isinstance(error, (UnicodeError, io.UnsupportedOperation)):
        return None
    if isinstance(error, ValueError) and "closed file" in str(error):
        return "closed"
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    return str(error)


@contextmanager
def twins(content: bytes, mode: str) -> Iterator[tuple[Path, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        pair = Path(folder, "theirs"), Path(folder, "ours")
        if "x" not in mode:
            for path in pair:
                path.write_bytes(content)
        yield pair


async def compare(case: Case) -> None:
    with (
        twins(case.content, case.mode) as (their_path, our_path),
        open(their_path, case.mode, **case.options) as their_file,
    ):
        theirs = Player(their_path, their_file, case)
        ours = Player(our_path, await aiofile.open(our_path, case.mode, **case.options), case)
        try:
            for action in [*case.actions, ("close",)]:
                # Each may go where the other was.
                their_cookies = list(theirs.cookies)
                await theirs.play(action, list(ours.cookies))
                await ours.play(action, their_cookies)
                assert ours.notes[-1] == theirs.notes[-1]
                if UnicodeDecodeError in theirs.notes[-1]:
                    # `io` has gone past its chunk; what ours could not decode is still to be read.
                    return
            for name in ("flush", "tell", "close"):
                await theirs.play((name,), [])
                await ours.play((name,), [])
                assert ours.notes[-1] == theirs.notes[-1], "after closing"
        finally:
            await ours.file.close()


def actions(reading: list[Any], writing: list[Any], common: list[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.one_of(*reading, *writing, *common), max_size=14)


def multiplied(unit: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(lambda data, times: data * times, unit, st.sampled_from([1, 1, 1, 700, 20_000]))


BLOBS = multiplied(st.binary(max_size=12).map(lambda data: data.replace(b"\x01", b"\n")))

READS = [
    st.tuples(st.just("read"), SIZES),
    st.tuples(st.just("readline"), SIZES),
    st.tuples(st.just("readlines"), st.sampled_from([-1, None, 0, 1, 10, 5000])),
    st.tuples(st.just("iterate"), st.sampled_from([1, 2, 3, 2000])),
]

binary_actions = actions(
    [
        *READS,
        st.tuples(st.just("readinto"), st.sampled_from([0, 1, 10, 5000, 200_000])),
        st.tuples(st.just("read1"), st.sampled_from([-1, 0, 1, 10, 9000])),
        st.tuples(st.just("peek")),
    ],
    [
        st.tuples(st.just("write"), BLOBS, st.sampled_from(["bytes", "bytearray", "memoryview"])),
        st.tuples(st.just("writelines"), st.lists(BLOBS, max_size=3)),
        st.tuples(st.just("truncate"), st.sampled_from([None, 0, 1, 10, 5000, 100_000])),
    ],
    [
        st.tuples(st.just("seek"), OFFSETS, st.sampled_from([0, 1, 2])),
        st.tuples(st.just("tell")),
        st.tuples(st.just("flush")),
        st.tuples(st.just("append"), BLOBS),
    ],
)


@settings(PROPERTY)
@given(
    mode=st.sampled_from(MODES),
    buffering=st.sampled_from([-1, -1, 0, 2, 7, 100, 4097, 200_000]),
    content=BLOBS,
    steps=binary_actions,
)
def test_binary_files_do_what_io_does(
    mode: str, buffering: int, content: bytes, steps: list[tuple[Any, ...]]
) -> None:
    run(compare(Case(mode + "b", {"buffering": buffering}, content, steps)))


CHARACTERS = {
    "utf-8": st.sampled_from(["a", "\n", "\r", "\r\n", "é", "€", "😀", "xyz", "\x85", "\u2028"]),
    "ascii": st.sampled_from(["a", "\n", "\r", "\r\n", "xyz", "\x0b", "\x1c"]),
    "latin-1": st.sampled_from(["a", "\n", "\r", "\r\n", "é", "ÿ", "\x85"]),
}

#: Bytes that are no text in one of the encodings.
INVALID = st.sampled_from(
    [b"\xff", b"\xc3", b"\xe2\x82", b"\xed\xa0\x80", b"\x80", b"\xf0\x9f\x98", b"\xc0\xaf"]
)


@st.composite
def text_cases(draw: st.DrawFn) -> Case:
    encoding = draw(st.sampled_from(list(CHARACTERS)))
    errors = draw(
        st.sampled_from([None, "strict", "replace", "ignore", "surrogateescape", "backslashreplace"])
    )
    strings = multiplied(st.lists(CHARACTERS[encoding], max_size=8).map("".join))
    blobs = strings.map(lambda string: string.encode(encoding))
    if errors not in (None, "strict"):
        parts = st.lists(
            st.one_of(CHARACTERS[encoding].map(lambda c: c.encode(encoding)), INVALID), max_size=8
        )
        blobs = multiplied(parts.map(b"".join))
    steps = draw(
        actions(
            READS,
            [
                st.tuples(st.just("write"), strings, st.just("str")),
                st.tuples(st.just("writelines"), st.lists(strings, max_size=3)),
                st.tuples(st.just("truncate"), st.sampled_from([0, 1, 10, 5000])),
            ],
            [
                st.tuples(st.just("seek"), st.sampled_from([-1, 0, 1]), st.sampled_from([0, 0, 1, 2])),
                st.tuples(st.just("seek_cookie"), st.integers(0, 5), st.booleans()),
                st.tuples(st.just("tell")),
                st.tuples(st.just("flush")),
                st.tuples(st.just("append"), blobs),
            ],
        )
    )
    options = {
        "buffering": draw(st.sampled_from([-1, -1, 1, 2, 7, 100, 4097, 200_000])),
        "encoding": encoding,
        "errors": errors,
        "newline": draw(st.sampled_from([None, "", "\n", "\r", "\r\n"])),
    }
    return Case(draw(st.sampled_from(MODES)), options, draw(blobs), steps)


@settings(PROPERTY)
@given(case=text_cases())
def test_text_files_do_what_io_does(case: Case) -> None:
    event(f"newline {case.options['newline']!r}")
    run(compare(case))


ATTRIBUTES = ["name", "mode", "closed", "encoding", "errors", "line_buffering", "newlines"]


@pytest.mark.parametrize("kind", ["", "b"])
@pytest.mark.parametrize("mode", ["r", "r+", "w", "w+", "a", "a+", "x", "x+"])
def test_files_have_the_attributes_that_files_of_io_have(tmp_path: Path, mode: str, kind: str) -> None:
    def of(file: Any) -> list[Any]:
        return [getattr(file, name, None) for name in ATTRIBUTES]

    async def main() -> list[Any]:
        async with aiofile.open(path, mode + kind) as file:
            return of(file)

    path = tmp_path / "f"
    if "x" not in mode:
        path.write_bytes(b"")
    with open(path, mode + kind) as file:
        expected = of(file)
    if "x" in mode:
        path.unlink()
    assert run(main()) == expected


@pytest.mark.parametrize("how", ["read", "readlines", "readline", "async for"])
@pytest.mark.parametrize("newline", [None, "", "\n", "\r", "\r\n"])
@pytest.mark.parametrize("content", [b"", b"a\nb\n", b"a\r\nb", b"a\rb\nc\r\n", b"a\r", b"\r\r\n\n"])
def test_line_ends_are_found_and_reported_as_io_does(
    tmp_path: Path, content: bytes, newline: str | None, how: str
) -> None:
    path = tmp_path / "f"
    path.write_bytes(content)

    async def main() -> Any:
        async with aiofile.open(path, newline=newline) as file:
            if how == "read":
                return await file.read(), file.newlines
            if how == "readlines":
                return "".join(await file.readlines()), file.newlines
            if how == "async for":
                return "".join([line async for line in file]), file.newlines
            text = ""
            while line := await file.readline():
                text += line
            return text, file.newlines

    with open(path, newline=newline) as file:
        assert run(main()) == (file.read(), file.newlines)
