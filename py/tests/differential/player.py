"""What both players do alike, each on a file of its own."""

from __future__ import annotations

import array
import inspect
import io
import os
from pathlib import Path
from typing import Any

from .case import Action, Case

#: Encodings with a mark at the start of the file.
MARKED = ("utf-16", "utf-32", "utf-8-sig")

#: Encodings that write what says which characters follow.
SHIFTED = ("hz", "iso2022_jp", "iso2022_kr")

READS = ("read", "readline", "readlines", "iterate")
WRITES = ("write", "writelines", "truncate")


#: What is compared when it is raised.
ERRORS = (OSError, ValueError, TypeError, LookupError, OverflowError, AttributeError)


NOT_DECODED = "not decoded"


class Player:
    """Plays actions on one file and notes what comes of each."""

    is_ours = False

    def __init__(self, path: Path, case: Case) -> None:
        self.path = path
        self.case = case
        self.file: Any = None
        #: The other player, once there is an action.
        self.other: Player = self
        #: The actions that were played.
        self.names: set[str] = set()
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
        #: The descriptor that it was opened with.
        self.descriptor: int | None = None
        #: Whether it was made a blocking file, or was one from the start.
        self.touched = case.way.has_executor
        #: What `detach` gave.
        self.detached: Any = None
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

    def way_in(self) -> tuple[Any, dict[str, Any]]:
        """What is opened, and with what besides the options of the case."""
        way = self.case.way
        if way.by_descriptor:
            flags = os.O_RDWR | os.O_CREAT | (os.O_APPEND if way.appends else 0)
            self.descriptor = os.open(self.path, flags, 0o600)
            os.lseek(self.descriptor, way.offset, os.SEEK_SET)
            return self.descriptor, {"closefd": way.closes}
        return self.path, {"opener": opener} if way.has_opener else {}

    async def finish(self) -> None:
        """Leaves nothing open, whatever has become of the file."""
        if self.detached is not None:
            self.detached.close()
        elif self.file is not None:
            await self.call("close")
        if self.descriptor is not None and not self.case.way.closes:
            os.close(self.descriptor)

    @property
    def is_blocking(self) -> bool:
        """Whether the file of ours is a blocking one of `io`: then both do the same, oddities and all."""
        raise NotImplementedError

    @property
    def only_reads(self) -> bool:
        """Whether the file has been read from its start on, and nothing else was done."""
        known = {"read", "readline", "readlines", "iterate", "tell", "append"}
        return self.case.mode == "r" and not self.case.way.offset and self.names <= known

    async def call(self, name: str, *arguments: Any) -> Any:
        result = getattr(self.file, name)(*arguments)
        return await result if inspect.isawaitable(result) else result

    async def play(self, action: Action, other: Player) -> None:
        """Plays one action. The other one's cookies, and how far it wrote, are used."""
        name, *arguments = action
        self.other = other
        self.names.add(name)
        try:
            self.note = await getattr(self, "do_" + name)(*arguments)
        except ERRORS as error:
            self.note = self.described(error)

    def described(self, error: Exception) -> Any:
        """What of an error is the same in both."""
        undecoded = isinstance(error, UnicodeDecodeError) or "does not start with BOM" in str(error)
        if undecoded or "in error callback" in str(error):
            return type(error), NOT_DECODED
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
        return isinstance(self.note, tuple) and self.note[-1] is NOT_DECODED

    # Where the two must be helped to the same position, or the same bytes.

    async def before_reading(self) -> None:
        if self.case.mode.strip("bt") in ("w", "a", "x"):
            return  # It is refused.
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
        got = await self.call("read", size)
        is_whole = size in (None, -1) and self.only_reads and not self.case.is_binary
        return (got, self.file.newlines) if is_whole else got

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
        ours_first = [self, self.other] if self.is_ours else [self.other, self]
        cookies = zip(*(player.cookies for player in ours_first), strict=True)
        taken = [pair for pair in cookies if None not in pair]
        if not taken:
            return None
        ours, theirs = taken[number % len(taken)]
        cookie = theirs if foreign or self.is_blocking else ours
        if self.case.options["encoding"] in MARKED and not theirs >> 64:
            # At the end of the file io forgets that no byte order mark was seen yet.
            cookie = max(ours, theirs)
        assert await self.call("seek", cookie) == cookie
        self.moved()
        # Going there, io has decoded what is there.
        self.has_read = bool(cookie >> 64)
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
        if lines:
            await self.before_writing()
        return await self.call("writelines", lines)

    def nothing(self) -> Any:
        return b"" if self.case.is_binary else ""

    async def begin_writing(self) -> None:
        """Has the file where writing goes on, whatever was done before."""
        if not await self.call("writable"):
            raise io.UnsupportedOperation("not writable")
        await self.do_write(self.nothing(), "bytes")
        if self.case.appends:
            # Only then is it known where the end is, and how much there was before.
            await self.call("flush")
            self.end_moved = True

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

    async def step(self, action: Action) -> Any:
        """What comes of an action that is one call of the file."""
        name, *arguments = action
        try:
            return await getattr(self, "do_" + name)(*arguments)
        except ERRORS as error:
            return self.described(error)

    async def do_touch(self, name: str) -> Any:
        """Makes a blocking file of one of ours; whoever detaches it has the rest to himself."""
        if not self.case.options["buffering"]:
            return None
        if name == "detach":
            inner = self.detached = self.file.detach()
        else:
            inner = getattr(self.file, name)
        # Later it depends on what either has in its buffers.
        is_first, self.touched = not self.touched, True
        return type(inner).__name__, inner.tell() if is_first else None

    async def do_reconfigure(self, changes: Action) -> Any:
        """Of a blocking file; test_reconfigure.py has the sequences of the others."""
        if not self.is_blocking:
            return None
        result = self.file.reconfigure(**dict(changes))
        return await result if inspect.isawaitable(result) else result

    async def do_close(self) -> Any:
        lent = self.descriptor is not None and not self.case.way.closes and not self.file.closed
        position = await self.last_position() if lent else None
        await self.close()
        # Files of io that are only read leave it behind what they have read ahead.
        if self.descriptor is not None and lent and self.is_ours:
            assert os.lseek(self.descriptor, 0, os.SEEK_CUR) == position, "left at another place"
        return self.path.read_bytes(), position

    async def close(self) -> None:
        await self.call("close")

    async def last_position(self) -> Any:
        """Where the descriptor is to be left, which its owner still has."""
        await self.call("flush")
        return await self.kernel_position()


def opener(path: Any, flags: int) -> int:
    """Opens as the built-in does, in the program's own way."""
    return os.open(path, flags, 0o666)


def writing(name: str, data: Any) -> Action:
    """The action that writes."""
    return (name, data) if name == "writelines" else (name, data, "bytes")
