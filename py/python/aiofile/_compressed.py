"""The open file whose content is compressed.

It is a blocking file of :mod:`io` over :mod:`._compressed_raw`, and a thread of the executor makes each call
that may read, write or compress. So that a line costs no trip to a thread, many are read ahead in one, and
what fits in the buffer is written at once.
"""

from __future__ import annotations

import asyncio
import builtins
import codecs
import io
import os
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar, SupportsIndex, TypeVar

from . import _native
from ._binary_file import AsyncBufferedIOBase, AsyncBufferedReader
from ._calls import acquire
from ._compressed_raw import CompressedSink, CompressedSource
from ._file import CHARS_AT_ONCE, File
from ._in_executor import patched_open
from ._mode import Mode
from ._room import opened_with_room
from ._text_file import NATIVE_CODECS, NATIVE_HANDLERS, TextFile
from ._types import ReadableBuffer
from ._waiting import turn

T = TypeVar("T")

#: Bytes of the buffer between the content and the program.
BUFFER_BYTES = 128 * 1024

#: Lines, and bytes or characters of them, that are read ahead in one trip to a thread.
AHEAD_LINES = 2048
AHEAD_LEN = 64 * 1024

#: Bytes or characters of a long read that come in one piece: a thread that has them gives way after each.
PIECE_LEN = 256 * 1024

_LAST_WRITE_CANCELLED = "a write was cancelled: what follows would hide that something is missing"


class CompressedFile(File[Any], ours=True):
    """What compressed files of bytes and of text have in common."""

    _sink: CompressedSink | None = None
    _source: CompressedSource | None = None
    #: Lines that were read and that nobody has asked for, the next one last; and since where, and how many
    #: of them were taken.
    _ahead: ClassVar[list[Any]] = []
    _ahead_from = 0
    _ahead_taken = 0
    #: Where the blocking file is to go first: what it read from there on came too late.
    _back_to: int | None = None
    #: Bytes that its buffer may hold of what was written.
    _unsent = 0

    # Reading.

    async def _held(
        self,
        function: Callable[[], T],
        lost: Callable[[T], object] | None = None,
        certain: bool = False,
        reads: bool = False,
    ) -> T:
        if self._source is None or certain:
            return await super()._held(function, lost, certain, reads)
        start: list[int] = []
        goes_back = reads and self._source.seekable()

        def work() -> T:
            self._settle()
            if not goes_back:
                return function()
            start.append(self._stack.tell())
            try:
                return function()
            except (EOFError, OSError):
                # What is in order before that can be read piece by piece.
                with suppress(Exception):
                    self._stack.seek(start[0])
                raise

        def go_back(_result: T) -> None:
            self._back_to = start[0]

        return await super()._held(work, go_back if goes_back else lost, certain, reads)

    def _settle(self) -> None:
        """Has the blocking file where the program is; in a thread."""
        stack = self._stack
        if (position := self._back_to) is not None:
            stack.seek(position)
            self._back_to = None
        elif self._ahead:
            stack.seek(self._ahead_from)
            for _ in range(self._ahead_taken):
                stack.readline()
        self._ahead = []  # type: ignore[misc]

    def _blocking(self) -> Any:
        # For whoever goes on with that, from where the program is.
        if any(not call.ended for call in self._in_threads):
            raise RuntimeError("an operation on the file is under way")
        self._settle()
        return self._stack

    def _line_ahead(self) -> Any:
        """The next line if it was read ahead."""
        if self._ahead and self._back_to is None and self._is_idle(0):
            self._ahead_taken += 1
            return self._ahead.pop()
        return None

    async def _next(self) -> Any:
        """The next line; empty at the end."""
        if (line := self._line_ahead()) is not None:
            return line
        if _native.must_yield():
            await turn()
        async with self._hold(reads=True):
            if self._source is None or not self._source.seekable():
                return await self._call("readline")
            if self._ahead and self._back_to is None:
                # Somebody else has read ahead meanwhile.
                self._ahead_taken += 1
                return self._ahead.pop()
            start, lines = await self._held(self._read_ahead, reads=True)
            if not lines:
                return "" if isinstance(self, TextFile) else b""
            line, *rest = lines
            rest.reverse()
            self._ahead, self._ahead_from, self._ahead_taken = rest, start, 1  # type: ignore[misc]
            return line

    def _read_ahead(self) -> tuple[int, list[Any]]:
        """Where the blocking file is, and the lines from there on; in a thread."""
        start: int = self._stack.tell()
        lines: list[Any] = []
        room = AHEAD_LEN
        try:
            while room > 0 and len(lines) < AHEAD_LINES and (line := self._stack.readline()):
                lines.append(line)
                room -= len(line)
        except Exception:
            if not lines:
                raise
            # For whoever reads what is wrong, when those before it are taken.
            self._stack.seek(start)
            for _ in lines:
                self._stack.readline()
        return start, lines

    async def read(self, size: int | None = -1, /) -> Any:
        if size is None or (type(size) is int and not 0 <= size <= PIECE_LEN):
            return await self._read_long(-1 if size is None else size)
        return await super().read(size)

    async def _read_long(self, size: int) -> Any:
        """Reads so much, or all, in pieces; cancelled, it ends with the next one."""
        enough: list[bool] = []
        async with self._hold(reads=True):
            try:
                return await self._held(partial(self._pieces_of, size, enough), reads=True)
            except asyncio.CancelledError:
                enough.append(True)
                raise

    def _pieces_of(self, size: int, enough: list[bool]) -> Any:
        """At most ``size`` bytes or characters, unless it is enough before; in a thread."""
        stack = self._stack
        start = stack.tell() if self._source is not None and self._source.seekable() else None
        pieces = []
        left = size
        try:
            while (
                left and not enough and (piece := stack.read(PIECE_LEN if left < 0 else min(left, PIECE_LEN)))
            ):
                pieces.append(piece)
                left -= len(piece) if left > 0 else 0
        except BaseException:
            # What is in order can be read piece by piece.
            if start is not None:
                stack.seek(start)
            raise
        return self._joined(pieces)

    def _joined(self, pieces: list[Any]) -> Any:
        """The pieces as one, made while others may have the interpreter."""
        raise NotImplementedError

    async def readline(self, size: int | None = -1, /) -> Any:
        if size == -1 or size is None:
            return await self._next()
        return await super().readline(size)

    async def readlines(self, hint: int | None = -1, /) -> list[Any]:
        if not (hint is None or isinstance(hint, SupportsIndex)):
            raise TypeError(f"argument should be integer or None, not {type(hint).__name__!r}")
        enough = -1 if hint is None else hint.__index__()
        async with self._hold(reads=True):
            return await self._held(partial(self._lines_of, enough), reads=True)

    def _lines_of(self, enough: int) -> list[Any]:
        """Lines until they are enough; in a thread. After that of ``io`` a text file could not ``tell``."""
        lines: list[Any] = []
        left = enough
        while line := self._stack.readline():
            lines.append(line)
            left -= len(line)
            if enough > 0 and left <= 0:
                break
        return lines

    async def __anext__(self) -> Any:
        line = self._line_ahead()
        if line is None:
            line = await self._next()
        if line:
            return line
        raise StopAsyncIteration

    # Writing.

    def _check_whole(self) -> None:
        if self._sink is not None and not self._sink.closed:
            self._sink.check()

    def _write_at_once(self, data: Any) -> int | None:
        """Writes what fits in the buffer; None where it may not, or a thread has the file."""
        raise NotImplementedError

    def _fits(self, count: int) -> bool:
        fits = self._unsent + count <= BUFFER_BYTES and self._is_idle(count)
        if fits:
            self._unsent += count
        return fits

    async def write(self, data: Any, /) -> int:
        self._check_whole()
        count = self._write_at_once(data)
        if count is None:
            count = await self._compressing(self._write_alone, data)
        return count

    async def writelines(self, lines: Iterable[Any], /) -> None:
        self._check_whole()
        await self._compressing(self._write_all, lines)

    async def flush(self) -> None:
        """Makes everything readable that was written so far, as a reader of a growing file wants it.

        That costs some bytes each time, and the more often it is done, the less small the file gets.

        Raises:
            OSError: writing failed, or something did before.
        """
        self._check_whole()
        await self._compressing(self._sync)

    async def _compressing(self, function: Callable[..., T], *arguments: Any) -> T:
        """Has a thread write. Cancelled, the file is not to be taken for a whole one."""
        try:
            async with self._hold(writes=True):
                return await self._run(function, *arguments)
        except asyncio.CancelledError:
            if self._sink is not None:
                self._sink.abandon(_LAST_WRITE_CANCELLED)
            raise

    def _write_whole(self, data: Any) -> int:
        raise NotImplementedError

    def _write_alone(self, data: Any) -> int:
        return self._write_whole(data)

    def _write_all(self, lines: Iterable[Any]) -> None:
        for line in lines:
            self._write_whole(line)
        self._push()

    def _push(self) -> None:
        """Empties the buffers; in a thread."""
        self._stack.flush()
        self._unsent = 0

    def _sync(self) -> None:
        self._push()
        if self._sink is not None:
            self._sink.sync()


class CompressedBytes(CompressedFile, ours=True):
    """What those of bytes have in common."""

    def _joined(self, pieces: list[Any]) -> bytes:
        return _native.joined_bytes(pieces)

    def _write_at_once(self, data: Any) -> int | None:
        if type(data) is bytes and self._fits(len(data)):
            count: int = self._stack.write(data)
            return count
        return None

    def _write_whole(self, data: Any) -> int:
        count: int = self._stack.write(data)
        self._push()
        return count

    async def read(self, size: int | None = -1, /) -> Any:
        if type(size) is int and size >= 0 and self._has(size):
            return self._stack.read(size)
        return await super().read(size)

    async def pread(self, size: int, offset: int) -> bytes:
        """Refused: the bytes at an offset are compressed ones. Use ``seek`` and ``read``.

        Raises:
            io.UnsupportedOperation: always.
            ValueError: the file is closed.
        """
        raise self._without_offsets("pread")

    async def pread_many(self, ranges: Iterable[tuple[int, int]], /) -> list[bytes]:
        """Refused, as :meth:`pread`.

        Raises:
            io.UnsupportedOperation: always.
            ValueError: the file is closed.
        """
        raise self._without_offsets("pread_many")

    async def pwrite(self, data: ReadableBuffer, offset: int) -> int:
        """Refused: what is compressed cannot be changed in its middle.

        Raises:
            io.UnsupportedOperation: always.
            ValueError: the file is closed.
        """
        raise self._without_offsets("pwrite")

    def _without_offsets(self, method: str) -> Exception:
        if self.closed:
            return ValueError("I/O operation on closed file.")
        return _native.UnsupportedOperation(f"{method}: a compressed file has no offsets, seek instead")

    def _has(self, size: int) -> bool:
        """Whether so much is in the buffer of the blocking file, and its turn."""
        if self._source is None or self._ahead or self._back_to is not None or self.closed:
            return False
        # Its buffer is its own while somebody reads into it.
        return self._is_idle(size) and self._source.tell() - self._stack.tell() >= size


class CompressedReader(CompressedBytes, AsyncBufferedReader, ours=True):
    """A compressed file of bytes that is read."""


class CompressedWriter(CompressedBytes, AsyncBufferedIOBase, ours=True):
    """A compressed file of bytes that is written."""


class CompressedTextFile(CompressedFile, TextFile, ours=True):
    """A compressed file of text."""

    #: The most bytes that an ASCII character can become; 0 where nobody knows.
    _ascii_bytes = 0

    def _joined(self, pieces: list[Any]) -> str:
        joiner = _native.Joiner(pieces)
        while (text := joiner.step()) is None:
            pass
        return text

    def _write_at_once(self, data: Any) -> int | None:
        if type(data) is not str or not self._ascii_bytes or self._stack.line_buffering:
            return None
        # Four bytes are the most of UTF-8.
        if self._fits(len(data) * (self._ascii_bytes if data.isascii() else 4)):
            count: int = self._stack.write(data)
            return count
        return None

    def _write_whole(self, data: Any) -> int:
        stack = self._stack
        if not isinstance(data, str) or len(data) <= CHARS_AT_ONCE:
            count: int = stack.write(data)
        else:
            count = len(data)
            pieces = [data[start : start + CHARS_AT_ONCE] for start in range(0, count, CHARS_AT_ONCE)]
            if not data.isascii():
                self._check_pieces(data, pieces)
            for piece in pieces:
                stack.write(piece)
        self._push()
        return count

    def _write_alone(self, data: Any) -> int:
        count = self._write_whole(data)
        if self._stack.line_buffering and ("\n" in data or "\r" in data):
            self._sync()
        return count

    def _write_all(self, lines: Iterable[Any]) -> None:
        super()._write_all(lines)
        if self._stack.line_buffering:
            # Once: each flush makes the file less small.
            self._sync()

    def _check_pieces(self, data: str, pieces: list[str]) -> None:
        """Refuses text that cannot be encoded before any of it is written."""
        encoding, errors = self._stack.encoding, self._stack.errors
        encoder = codecs.getincrementalencoder(encoding)(errors)
        try:
            for piece in pieces:
                encoder.encode(piece)
        except UnicodeEncodeError:
            # To tell of all of it.
            data.encode(encoding, errors)
            raise

    async def reconfigure(self, **changes: Any) -> None:
        """As of other text files."""
        self._ascii_bytes = 0
        await super().reconfigure(**changes)


class _Opened:
    """A blocking file on its way to be an asynchronous one."""

    def __init__(self, stack: Any, raw: CompressedSource | CompressedSink) -> None:
        self.stack = stack
        self.raw = raw

    def discard(self) -> None:
        """Closes it without having written anything."""
        if isinstance(self.raw, CompressedSink):
            self.raw.discard()
        self.stack.close()


async def open_compressed(
    how: str,
    mode: Mode,
    file: Any,
    mode_text: str,
    buffering: int,
    encoding: str | None,
    errors: str | None,
    newline: str | None,
    closefd: bool,
    opener: Any,
) -> CompressedFile:
    """Opens a compressed file with the arguments of the built-in ``open``, which were checked by now.

    ``how`` is the codec, with a level if it is to be written and one is asked for; ``mode`` is what
    ``mode_text`` means.
    """
    codec = _native.codec_of_name(how)

    def opens() -> _Opened:
        # A program may have put its own in the place of the built-in.
        opens = patched_open() or builtins.open
        letters = mode.raw + "b"
        compressed = opens(file, letters, buffering=0, closefd=closefd, opener=opener)
        try:
            return made(compressed)
        except BaseException:
            compressed.close()
            raise

    def made(compressed: Any) -> _Opened:
        raw: CompressedSource | CompressedSink
        if mode.reading:
            raw = CompressedSource(compressed, codec)
            buffer: Any = io.BufferedReader(raw, BUFFER_BYTES)
        else:
            raw = CompressedSink(compressed, codec, how)
            buffer = io.BufferedWriter(raw, BUFFER_BYTES)
        if mode.binary:
            return _Opened(buffer, raw)
        text = io.TextIOWrapper(buffer, encoding, errors, newline, line_buffering=buffering == 1)
        text.mode = mode_text  # type: ignore[misc]
        return _Opened(text, raw)

    acquires = partial(acquire, opens, _Opened.discard, None, None)
    opened: _Opened = await opened_with_room(acquires, is_native=False)
    return _file_of(opened, mode, file, newline)


def _file_of(opened: _Opened, mode: Mode, name: Any, newline: str | None) -> CompressedFile:
    kind: type[CompressedFile] = CompressedReader if mode.reading else CompressedWriter
    if not mode.binary:
        kind = CompressedTextFile
    made: CompressedFile = _native.File.__new__(kind, None, name, True, (False,) * 4, 0, None)
    made._become(opened.stack, False)
    if isinstance(opened.raw, CompressedSink):
        made._sink = opened.raw
    else:
        made._source = opened.raw
    if isinstance(made, CompressedTextFile):
        is_known = codecs.lookup(opened.stack.encoding).name in NATIVE_CODECS
        if is_known and opened.stack.errors in NATIVE_HANDLERS:
            made._ascii_bytes = 2 if newline == "\r\n" else 1
    return made


def told_by_name(file: Any) -> str | None:
    """The codec that a path tells by its suffix."""
    if isinstance(file, int):
        return None
    suffix = os.path.splitext(os.fsdecode(file))[1].lower()
    return {".gz": "gz", ".zst": "zst"}.get(suffix)


async def told_by_content(file: Any, mode: Mode) -> str | None:
    """The codec of a file that has no suffix, by its first bytes; None where it is no compressed one.

    Raises:
        OSError: opening or reading failed.
        ValueError: what is read can be read only once, or what is written has no name.
    """
    if mode.reading:
        return await acquire(partial(_codec_of, file), lambda _codec: None, None, None)
    if isinstance(file, int):
        raise ValueError("compression='infer' needs a name where something is written: say which it is")
    if mode.appending:
        return await acquire(partial(_codec_of_old, file), lambda _codec: None, None, None)
    return None


def _codec_of(file: Any) -> str | None:
    if not stat.S_ISREG(os.stat(file).st_mode):
        raise ValueError("compression='infer' needs a suffix or a regular file: say which it is")
    if isinstance(file, int):
        return _native.codec_of_magic(os.pread(file, 4, os.lseek(file, 0, os.SEEK_CUR)))
    with (patched_open() or builtins.open)(file, "rb", buffering=0) as content:
        return _native.codec_of_magic(content.read(4))


def _codec_of_old(file: Any) -> str | None:
    """The codec of what is to be appended to, if something is there."""
    try:
        # Of a pipe or a device nothing is there, and looking might wait or take it from somebody.
        return _codec_of(file) if stat.S_ISREG(os.stat(file).st_mode) else None
    except FileNotFoundError:
        return None
