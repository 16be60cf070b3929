"""The player on a file of `io`, whose oddities are all here."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from typing import Any
from unittest.mock import ANY

from .case import Action
from .ours import Ours
from .player import ERRORS, MARKED, READS, SHIFTED, WRITES, Player, writing

#: What a text file of io decodes at a time.
CHUNK_BYTES = 8192


class Theirs(Player):
    """Plays on a file of `io`, and around what is odd about it."""

    #: The other one's file was a blocking one before this action.
    was_blocking = False

    async def play(self, action: Action, other: Player) -> None:
        await super().play(action, other)
        self.was_blocking = self.is_blocking

    async def _open(self) -> Any:
        file, more = self.way_in()
        return open(file, self.case.mode, **self.case.options, **more)

    @property
    def is_blocking(self) -> bool:
        return self.other.is_blocking if self.other.is_ours else self.case.way.has_executor

    def is_not_decoded(self) -> bool:
        return super().is_not_decoded() and not self.is_blocking

    async def before_reading(self) -> None:
        # BufferedRandom.read1 of io, which text is read with, forgets to flush; and BufferedRandom
        # reads what was never written when it is behind an end that it has not written yet.
        oddly = not self.case.is_binary or self.case.appends
        if self.has_written and oddly and not self.is_blocking and self.file.readable():
            await self.flush_append()
        await super().before_reading()

    async def flush_append(self) -> None:
        await self.call("flush")
        if self.case.is_binary and self.case.appends and self.file.readable():
            # It takes what was appended for what is at the place where it was appended.
            position = self.file.tell()
            self.file.seek(0, 2)
            self.file.seek(position)

    async def detour(self, action: Action, ours: Ours) -> int | None:
        """Where both must go for this action to be at the same place in both: 0 the start, 2 the end."""
        name = action[2][0] if action[0] == "cancel" else action[0]
        if ours.is_blocking or self.case.is_binary or self.file.closed or not self.file.readable():
            return None
        if name in READS and self.writes and self.case.options["encoding"] in MARKED:
            # A write makes the decoder of io wait for a mark, in the middle of the file.
            return 0
        shortens = action[2] if action[0] == "cancel" else action
        if shortens[0] == "truncate" and shortens[1] is not None and self.has_read and self.case.is_writable:
            return 2  # What io has decoded, it hands out even where it was cut off.
        return 2 if await self.needs_the_end(name) else None

    async def needs_the_end(self, name: str) -> bool:
        """A text file of io writes behind the chunk that it has decoded: behind all of a small file.

        Where the chunks of a large one end depends on how many characters each byte before made.
        """
        becomes_blocking = name == "touch"
        writes = name.removeprefix("cancelled_") in WRITES and self.case.is_writable
        if not self.has_read or not (writes or becomes_blocking):
            return False
        if self.case.options["errors"] == "ignore":
            return True  # Bytes that decode to nothing belong to no position.
        if writes and os.path.getsize(self.path) > CHUNK_BYTES:
            return True
        if self.case.options["encoding"] in (*SHIFTED, *MARKED):
            return True  # Going there again, io forgets in which characters the text ended.
        try:
            return any([await player.call("tell") >> 64 for player in (self, self.other)])
        except (OSError, ValueError, OverflowError):
            return True

    async def call(self, name: str, *arguments: Any) -> Any:
        encoding = self.case.options.get("encoding", "")
        if self.is_blocking:
            return await super().call(name, *arguments)
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
        return (
            is_marked
            and not self.is_blocking
            and isinstance(self.note, tuple)
            and self.note[0] is UnicodeEncodeError
        )

    async def do_seek(self, offset: int, whence: int) -> Any:
        if self.is_blocking:
            return await super().do_seek(offset, whence)
        if self.has_written and self.case.appends and not self.file.closed:
            # io starts from where the append was buffered, not from where it went.
            await self.flush_append()
        return await super().do_seek(offset, whence)

    async def do_read(self, size: int | None) -> Any:
        # Python 3.13 has a file that cannot be read refuse None before it refuses to be read.
        asked = size is None and not self.is_blocking and not self.file.closed
        unreadable = asked and not self.file.readable()
        return await super().do_read(-1 if unreadable else size)

    async def do_readline(self, size: int | None) -> Any:
        if size == 0 and not self.is_blocking and not self.file.closed:
            return self.file.read(0)  # io forgets to refuse, and reads a chunk of text for nothing.
        return await super().do_readline(size)

    async def do_readlines(self, hint: int | None) -> Any:
        if self.case.is_binary or self.is_blocking:
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
        if self.has_written and not self.is_blocking and self.file.readable():
            await self.flush_append()  # As in `before_reading`.
        return await super().do_read1(size)

    async def do_tell(self) -> Any:
        try:
            return await super().do_tell()
        except (OSError, OverflowError, UnicodeError) as error:
            if (
                self.case.is_binary
                or self.file.closed
                or self.is_blocking
                or isinstance(error, io.UnsupportedOperation)
            ):
                raise
            # It does not find every place of every encoding, nor put every state into its cookies.
            self.cookies.append(None)
            return "told"

    async def kernel_position(self) -> Any:
        if self.is_blocking:
            return await super().kernel_position()
        if self.case.is_binary:
            # Files that are only read are not moved by a flush of io.
            return await (super().kernel_position() if self.file.writable() else self.call("tell"))
        if self.has_read or (self.file.readable() and self.case.is_writable):
            return ANY
        return await super().kernel_position()

    async def do_cancel(self, turns: int, action: Action) -> Any:
        name, *arguments = action
        assert isinstance(self.other, Ours)
        if self.other.was_lost:
            with suppress(*ERRORS):
                await getattr(self, "do_" + name)(*arguments)
            return "lost"
        return await getattr(self, "do_" + name)(*arguments)

    async def do_cancelled_write(self, turns: int, data: Any) -> Any:
        return await self.cancelled_writing("write", data, [data])

    async def do_cancelled_writelines(self, turns: int, lines: list[Any]) -> Any:
        return await self.cancelled_writing("writelines", lines, lines)

    async def cancelled_writing(self, name: str, data: Any, pieces: list[Any]) -> Any:
        assert isinstance(self.other, Ours)
        if self.is_blocking:
            return await self.do_cancel(0, writing(name, data))
        await self.begin_writing()
        if (rest := self.other.written) is None:
            return await self.call(name, data)
        for piece in pieces:
            await self.call("write", piece[:rest])
            rest -= min(rest, len(piece))
        return "cancelled"

    async def do_both(self, first: Action, second: Action) -> Any:
        return await self.step(first), await self.step(second)

    async def do_touch(self, name: str) -> Any:
        await self.start_anew()
        return await super().do_touch(name)

    async def start_anew(self) -> None:
        """Forgets what was read ahead, as one of ours does that has just become a blocking file."""
        if self.was_blocking or self.file.closed:
            return
        self.was_blocking = True
        await self.call("flush")
        if self.file.readable() and self.file.seekable():
            position = self.file.tell()
            self.file.seek(0, 2)
            self.file.seek(position)
