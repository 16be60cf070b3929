"""The two who play: one on a file of ours, one on a file of `io`, whose oddities are all here."""

from __future__ import annotations

import array
import asyncio
import codecs
import inspect
import io
import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import aiofile

from .case import Action, Case

#: Encodings with a mark at the start of the file.
MARKED = ("utf-16", "utf-32", "utf-8-sig")

#: Encodings that write what says which characters follow.
SHIFTED = ("hz", "iso2022_jp", "iso2022_kr")

READS = ("read", "readline", "readlines", "iterate")
WRITES = ("write", "writelines", "truncate")


class Player:
    """Plays actions on one file and notes what comes of each."""

    def __init__(self, path: Path, case: Case) -> None:
        self.path = path
        self.case = case
        self.file: Any = None
        #: The other player, once there is an action.
        self.other: Player = self
        #: What came of the last action.
        self.note: Any = None
        #: What `tell` of a text file said, in order; None where it said nothing.
        self.cookies: list[Any] = []
        #: The file was read since it was opened, written to, or its position set.
        self.has_read = False
        #: The file was written to since it was flushed.
        self.has_written = False
        #: The file was written to since its position was set.
        self.writes = False
        #: The end of the file is not where the last write left it.
        self.end_moved = False

    async def open(self) -> None:
        try:
            self.file = await self._open()
            self.note = "opened"
        except (OSError, ValueError, LookupError, TypeError) as error:
            self.note = self.described(error)

    async def _open(self) -> Any:
        raise NotImplementedError

    async def call(self, name: str, *arguments: Any) -> Any:
        result = getattr(self.file, name)(*arguments)
        return await result if inspect.isawaitable(result) else result

    async def play(self, action: Action, other: Player) -> None:
        """Plays one action. The other one's cookies, and how far it wrote, are used."""
        name, *arguments = action
        self.other = other
        try:
            self.note = await getattr(self, "do_" + name)(*arguments)
        except (OSError, ValueError, TypeError, LookupError, OverflowError) as error:
            self.note = self.described(error)

    def described(self, error: Exception) -> Any:
        """What of an error is the same in both."""
        undecoded = isinstance(error, UnicodeDecodeError) or "does not start with BOM" in str(error)
        if undecoded or "in error callback" in str(error):
            return type(error), "not decoded"
        if isinstance(error, UnicodeEncodeError):
            # The codec has a name with a byte order, or without: a mark at the start is written again.
            return type(error), error.object, error.start, error.end, error.reason
        if "closed file" in str(error) or "closed." in str(error):
            return type(error), "closed"
        if isinstance(error, OSError) and error.errno is not None:
            # Ours names the file in every error, io in those of opening.
            return type(error), error.errno, error.strerror
        return type(error), str(error)

    def is_not_decoded(self) -> bool:
        return isinstance(self.note, tuple) and self.note[1:] == ("not decoded",)

    # Where the two must be helped to the same position, or the same bytes.

    async def before_reading(self) -> None:
        self.has_read = True
        self.has_written = False

    async def before_writing(self) -> None:
        if self.case.is_writable:
            self.has_read = False
            self.has_written = self.writes = True
            self.cookies.clear()

    def moved(self) -> None:
        self.has_read = self.writes = False

    async def go(self, whence: int) -> None:
        self.moved()
        await self.call("seek", 0, whence)

    async def do_read(self, size: int | None) -> Any:
        await self.before_reading()
        return await self.call("read", size)

    async def do_readline(self, size: int | None) -> Any:
        await self.before_reading()
        return await self.call("readline", -1 if size is None else size)

    async def do_readlines(self, hint: int | None) -> Any:
        await self.before_reading()
        return await self.call("readlines", hint)

    async def do_iterate(self, count: int) -> Any:
        raise NotImplementedError

    async def do_readinto(self, length: int) -> Any:
        await self.before_reading()
        memory = bytearray(length)
        count = await self.call("readinto", memory)
        return count, bytes(memory)

    async def do_read1(self, size: int) -> Any:
        """How much there is in a buffer is nobody's business; that there is something, is."""
        if self.case.options["buffering"] == 0:
            return None
        await self.before_reading()
        got = await self.call("read1", size)
        if len(got) > 1:
            await self.call("seek", 1 - len(got), 1)
        return got[:1]

    async def do_peek(self) -> Any:
        # Files of io that are only written have no `peek`, raw ones neither.
        if self.case.options["buffering"] == 0 or not (await self.call("readable")):
            return None
        await self.before_reading()
        return (await self.call("peek"))[:1]

    async def do_seek(self, offset: int, whence: int) -> Any:
        result = await self.call("seek", offset, whence)
        if whence != 1 or offset or self.case.is_binary:
            self.moved()
        # The numbers of text are each one's own.
        return result if self.case.is_binary or whence != 1 else "there"

    async def do_seek_cookie(self, number: int, foreign: bool) -> Any:
        ours_first = [self, self.other] if isinstance(self, Ours) else [self.other, self]
        cookies = zip(*(player.cookies for player in ours_first), strict=True)
        taken = [pair for pair in cookies if None not in pair]
        if not taken:
            return None
        ours, theirs = taken[number % len(taken)]
        cookie = theirs if foreign else ours
        if self.case.options["encoding"] in MARKED and not theirs >> 64:
            # At the end of the file io forgets that no byte order mark was seen yet.
            cookie = max(ours, theirs)
        assert await self.call("seek", cookie) == cookie
        self.moved()
        return "there"

    async def do_tell(self) -> Any:
        if self.end_moved:
            # Only the write knows where the end was.
            await self.call("flush")
        position = await self.call("tell")
        self.cookies.append(position)
        return position if self.case.is_binary else "told"

    async def do_truncate(self, size: int | None) -> Any:
        if self.case.is_writable:
            self.cookies.clear()
            self.has_read = False
            self.end_moved = True
        return await self.call("truncate", size)

    async def do_write(self, data: Any, kind: str) -> Any:
        await self.before_writing()
        if isinstance(data, bytes):
            if kind == "bytearray":
                data = bytearray(data)
            elif kind == "memoryview":
                data = memoryview(data)
            elif kind == "array":
                data = array.array("B", data)
        return await self.call("write", data)

    async def do_writelines(self, lines: list[Any]) -> Any:
        await self.before_writing()
        return await self.call("writelines", lines)

    def nothing(self) -> Any:
        return b"" if self.case.is_binary else ""

    async def begin_writing(self) -> None:
        """Has the file where writing goes on, whatever was done before."""
        if not await self.call("writable"):
            raise io.UnsupportedOperation("not writable")
        await self.do_write(self.nothing(), "bytes")
        if "a" in self.case.mode:
            # Only then is it known where the end is, and how much there was before.
            await self.call("flush")

    async def do_flush(self) -> Any:
        result = await self.call("flush")
        self.has_written = False
        return result, self.path.read_bytes(), await self.kernel_position()

    async def kernel_position(self) -> Any:
        return os.lseek(self.file.fileno(), 0, os.SEEK_CUR)

    async def do_append(self, data: bytes) -> None:
        """Somebody else appends."""
        if await self.call("writable"):
            await self.call("flush")
        with self.path.open("ab", buffering=0) as other:
            other.write(data)
        self.end_moved = True

    async def do_close(self) -> Any:
        await self.call("close")
        return self.path.read_bytes()


class Ours(Player):
    """Plays on a file of ours, as any program would."""

    #: Bytes or characters that a cancelled write has written; None when it was not cancelled after all.
    written: int | None = None
    cancelled = 0

    async def _open(self) -> Any:
        return await aiofile.open(self.path, self.case.mode, **self.case.options)

    async def do_iterate(self, count: int) -> Any:
        await self.before_reading()
        lines = []
        async for line in self.file:
            lines.append(line)
            if len(lines) == count:
                break
        return lines

    async def do_cancel(self, turns: int, action: Action) -> Any:
        """A cancelled operation leaves everything for the next, which is the same again."""
        name, *arguments = action
        task = asyncio.ensure_future(getattr(self, "do_" + name)(*arguments))
        if await self.was_cancelled(task, turns):
            return await getattr(self, "do_" + name)(*arguments)
        return task.result()

    async def do_cancelled_write(self, turns: int, data: Any) -> Any:
        return await self.cancelled_writing(turns, "write", data, data)

    async def do_cancelled_writelines(self, turns: int, lines: list[Any]) -> Any:
        return await self.cancelled_writing(turns, "writelines", lines, self.nothing().join(lines))

    async def cancelled_writing(self, turns: int, name: str, data: Any, whole: Any) -> Any:
        """The position says how much a cancelled write has written: so much that ``io`` can write it."""
        self.written = None
        await self.begin_writing()
        before = await self.place()
        length = self.encoded_length()
        task = asyncio.ensure_future(self.call(name, data))
        if not await self.was_cancelled(task, turns):
            return task.result()
        count = await self.place() - before
        self.written = count if length is None else chars_of(length, whole, count)
        return "cancelled"

    async def place(self) -> int:
        """The byte that the next write goes to."""
        if "a" in self.case.mode:
            await self.call("flush")
            return self.path.stat().st_size
        position: int = await self.call("tell")
        return position & (1 << 64) - 1

    def encoded_length(self) -> Callable[[str], float] | None:
        """How long a text would be, written now; None for bytes."""
        if self.case.is_binary:
            return None
        options = self.case.options
        encoder = codecs.getincrementalencoder(options["encoding"])(options["errors"])
        if (own := getattr(self.file, "_encoder", None)) is not None:
            encoder.setstate(own.getstate())
        return partial(encoded_len, encoder, encoder.getstate(), options["newline"] or "\n")

    async def was_cancelled(self, task: asyncio.Future[Any], turns: int) -> bool:
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        self.cancelled += task.cancelled()
        return task.cancelled()

    async def kernel_position(self) -> Any:
        kernel = await super().kernel_position()
        if self.case.is_binary:
            assert kernel == await self.call("tell"), "the kernel's position is not the program's"
        return kernel

    async def do_close(self) -> Any:
        if (turns := self.case.close_after) is not None and not self.file.closed:
            await self.was_cancelled(asyncio.ensure_future(self.file.close()), turns)
            assert self.file.closed
        return await super().do_close()

    async def reads_on_to(self, note: Any) -> None:
        """An error comes when the text before it was read; ``io`` has it for the whole of its chunk."""
        size = 8192
        while True:
            await self.play(("read", size), self)
            if self.is_not_decoded() and size > 1:
                size //= 2
            elif self.is_not_decoded() or not self.note:
                break
        assert self.note == note


class Theirs(Player):
    """Plays on a file of `io`, and around what is odd about it."""

    async def _open(self) -> Any:
        return open(self.path, self.case.mode, **self.case.options)

    async def before_reading(self) -> None:
        # BufferedRandom.read1 of io, which text is read with, forgets to flush; and BufferedRandom
        # reads what was never written when it is behind an end that it has not written yet.
        oddly = not self.case.is_binary or "a" in self.case.mode
        if self.has_written and oddly and self.file.readable():
            await self.call("flush")
        await super().before_reading()

    async def detour(self, action: Action) -> int | None:
        """Where both must go for this action to be at the same place in both: 0 the start, 2 the end."""
        name = action[2][0] if action[0] == "cancel" else action[0]
        if self.case.is_binary or self.file.closed or not self.file.readable():
            return None
        if name in READS and self.writes and self.case.options["encoding"] in MARKED:
            # A write makes the decoder of io wait for a mark, in the middle of the file.
            return 0
        return 2 if await self.needs_the_end(name) else None

    async def needs_the_end(self, name: str) -> bool:
        """A text file of io writes behind the chunk that it has decoded, wherever that ends.

        Gone to again, a place says which byte comes next, unless a decoder was within something there.
        """
        if not self.has_read or name.removeprefix("cancelled_") not in WRITES or not self.case.is_writable:
            return False
        if self.case.options["errors"] == "ignore":
            return True  # Bytes that decode to nothing belong to no position.
        if self.case.options["encoding"] in SHIFTED:
            return True  # Going there again, io forgets in which characters the text ended.
        try:
            return any([await player.call("tell") >> 64 for player in (self, self.other)])
        except (OSError, ValueError, OverflowError):
            return True

    async def call(self, name: str, *arguments: Any) -> Any:
        encoding = self.case.options.get("encoding", "")
        if name == "seek" and arguments == (0, 1) and encoding in MARKED:
            return self.file.tell()  # As in `do_seek_cookie`.
        if name == "seek" and arguments == (0, 1) and not self.file.readable():
            return self.file.tell()  # It would forget which characters were last designated.
        if name == "seek" and encoding.startswith("iso2022") and self.file.readable():
            offset, whence = (*arguments, 0)[:2]
            if (offset, whence) == (0, 1):
                offset, whence = self.file.tell(), 0
            if whence == 0 and offset > 0 and not offset >> 65:
                # CPython crashes when it decodes ISO 2022 from a plain offset.
                self.file.seek(0, 2)
                self.file.buffer.seek(offset & (1 << 64) - 1)
                return offset
        return await super().call(name, *arguments)

    def lost_its_mark(self) -> bool:
        """Whether a text that could not be encoded made it take the mark at the start for written."""
        is_marked = self.case.options.get("encoding") in MARKED
        return is_marked and isinstance(self.note, tuple) and self.note[0] is UnicodeEncodeError

    async def leave_chunk(self) -> None:
        is_both = self.case.is_writable and not self.file.closed and self.file.readable()
        if self.has_read and not self.case.is_binary and is_both:
            await self.call("seek", self.file.tell())

    async def before_writing(self) -> None:
        await self.leave_chunk()
        await super().before_writing()

    async def do_truncate(self, size: int | None) -> Any:
        await self.leave_chunk()
        return await super().do_truncate(size)

    async def do_seek(self, offset: int, whence: int) -> Any:
        if self.has_written and "a" in self.case.mode and whence == 1 and not self.file.closed:
            # io starts from where the append was buffered, not from where it went.
            await self.call("flush")
        return await super().do_seek(offset, whence)

    async def do_readline(self, size: int | None) -> Any:
        if size == 0 and not self.file.closed and not self.file.readable():
            return self.file.read(0)  # io forgets to refuse.
        return await super().do_readline(size)

    async def do_readlines(self, hint: int | None) -> Any:
        if self.case.is_binary:
            return await super().do_readlines(hint)
        # As `readlines` of io, which would forbid `tell` from here on.
        await self.before_reading()
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
        lines: list[Any] = []
        # `for line in file` would forbid `tell` from here on.
        while len(lines) < count and (line := self.file.readline()):
            lines.append(line)
        return lines

    async def do_read1(self, size: int) -> Any:
        if self.has_written:
            await self.call("flush")  # As in `before_reading`.
        return await super().do_read1(size)

    async def do_tell(self) -> Any:
        try:
            return await super().do_tell()
        except (OSError, OverflowError, UnicodeError) as error:
            if self.case.is_binary or self.file.closed or isinstance(error, io.UnsupportedOperation):
                raise
            # It does not find every place of every encoding, nor put every state into its cookies.
            self.cookies.append(None)
            return "told"

    async def kernel_position(self) -> Any:
        if self.case.is_binary:
            # Files that are only read are not moved by a flush of io.
            return await (super().kernel_position() if self.file.writable() else self.call("tell"))
        if not self.has_read:
            return await super().kernel_position()
        return ANY

    async def do_cancel(self, turns: int, action: Action) -> Any:
        name, *arguments = action
        return await getattr(self, "do_" + name)(*arguments)

    async def do_cancelled_write(self, turns: int, data: Any) -> Any:
        return await self.cancelled_writing("write", data, [data])

    async def do_cancelled_writelines(self, turns: int, lines: list[Any]) -> Any:
        return await self.cancelled_writing("writelines", lines, lines)

    async def cancelled_writing(self, name: str, data: Any, pieces: list[Any]) -> Any:
        assert isinstance(self.other, Ours)
        await self.begin_writing()
        if (rest := self.other.written) is None:
            return await self.call(name, data)
        for piece in pieces:
            await self.call("write", piece[:rest])
            rest -= min(rest, len(piece))
        return "cancelled"


def encoded_len(encoder: codecs.IncrementalEncoder, state: Any, line_end: str, text: str) -> float:
    """Bytes that a text is written as by an encoder in this state; more than any text if it cannot be."""
    encoder.setstate(state)
    try:
        return len(encoder.encode(text.replace("\n", line_end)))
    except UnicodeEncodeError:
        return math.inf


def chars_of(length: Callable[[str], float], text: str, count: int) -> int:
    """How many characters of a text are written as so many bytes."""
    if length(text) == count:
        return len(text)
    low, high = 0, len(text)
    while low < high:
        middle = (low + high) // 2
        if length(text[:middle]) < count:
            low = middle + 1
        else:
            high = middle
    assert length(text[:low]) == count, f"{count} bytes are no whole characters"
    return low
