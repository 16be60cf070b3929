"""The open file of text, in an encoding that the native file decodes."""

from __future__ import annotations

import codecs
import io
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from . import _demoted, _native
from ._both_ways import answered_both_ways
from ._file import CHARS_AT_ONCE, File
from ._waiting import turn

#: Tells an argument that was left out from None, which is a way to treat line ends.
_UNCHANGED: Any = object()


#: The encodings that the native file decodes itself, by the name that Python's codecs give them.
NATIVE_CODECS = {"utf-8": "utf-8", "ascii": "ascii", "iso8859-1": "latin-1"}

#: The error handlers that run no Python code and make at most one character of a byte.
NATIVE_HANDLERS = {"strict", "ignore", "replace", "surrogateescape", "surrogatepass"}


def native_text(
    encoding: str, errors: str, newline: str | None, line_buffering: bool
) -> tuple[str, str, str | None, bool] | None:
    """How the native file is told to treat text; None where it leaves that to Python's codecs."""
    codec = NATIVE_CODECS.get(codecs.lookup(encoding).name)
    if codec is None or errors not in NATIVE_HANDLERS:
        return None
    return codec, errors, newline, line_buffering


async def joined(pieces: list[str]) -> str:
    """The pieces of a text as one; the loop turns meanwhile where they are long."""
    if len(pieces) <= 1:
        return "".join(pieces)
    joiner = _native.Joiner(pieces)
    while (text := joiner.step()) is None:
        await turn()
    return text


class TextFile(File[str], ours=True):
    """A file of text. Made by :func:`aiofile.open` without ``"b"`` in its mode."""

    if TYPE_CHECKING:
        # Those of every file; here for their types.
        async def write(self, data: str, /) -> int: ...
        async def writelines(self, lines: Iterable[str], /) -> None: ...

    _names_sizes = False
    _encoding: str
    _errors: str
    #: Of the buffer of bytes behind the text, where that is a blocking file.
    _buffer_bytes: int
    _line_buffering = False
    _write_through = False
    _newline: str | None

    @property
    def encoding(self) -> str:
        """The name of the encoding."""
        stack = self._stack
        return self._encoding if stack is None else stack.encoding

    @property
    def errors(self) -> str:
        """What is done with what cannot be decoded or encoded."""
        stack = self._stack
        return self._errors if stack is None else stack.errors

    async def _settle_position(self) -> None:
        # As `tell()` of io does for all text: the place of appended text is not known before.
        await (self._flush_owned() if "a" in self._mode else super()._settle_position())

    @property
    def line_buffering(self) -> bool:
        """Whether a write with a line end in it is flushed."""
        stack = self._stack
        return self._line_buffering if stack is None else stack.line_buffering

    @property
    def newlines(self) -> str | tuple[str, ...] | None:
        """The line ends that were read so far."""
        stack = self._stack
        found: str | tuple[str, ...] | None = self._newlines() if stack is None else stack.newlines
        return found

    @property
    def write_through(self) -> bool:
        """Whether it was asked for that text goes on to the buffer of bytes at once, as it always does."""
        stack = self._stack
        return self._write_through if stack is None else stack.write_through

    @property
    def buffer(self) -> BinaryIO:
        """The file of bytes of ``io`` behind this one, which is a blocking file from then on.

        Every later call of this file runs in the executor.

        Raises:
            OSError: what was buffered cannot be written.
            RuntimeError: an operation on the file is under way.
            ValueError: the file is closed.
        """
        return self._blocking().buffer  # type: ignore[no-any-return]

    def detach(self) -> BinaryIO:
        """Gives the file of bytes of ``io`` away, as :attr:`buffer`; this file is of no use any more."""
        return self._blocking().detach()  # type: ignore[no-any-return]

    def _blocking(self) -> Any:
        return self._demote_text() if self._stack is None else self._stack

    def _demote_text(self) -> Any:
        text = {
            "encoding": self._encoding,
            "errors": self._errors,
            "newline": self._newline,
            "line_buffering": self._line_buffering,
            "write_through": self._write_through,
        }
        return _demoted.demote(self, self._mode, text, self._buffer_bytes)

    @answered_both_ways
    async def readable(self) -> bool:
        """Whether the file was opened for reading. The answer may be awaited, or taken as it is."""
        stack = self._stack
        return self._readable() if stack is None else stack.readable()

    async def reconfigure(
        self,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = _UNCHANGED,
        line_buffering: bool | None = None,
        write_through: bool | None = None,
    ) -> None:
        """Changes how text is read and written, as ``io.TextIOWrapper.reconfigure``.

        What was written is flushed first. ``errors`` becomes ``"strict"`` with another encoding, unless it
        is given, too.

        Raises:
            io.UnsupportedOperation: encoding, errors or newline cannot change between two reads; they can
                before the first one, at the end of the file, after a seek and after a write.
            LookupError: there is no such encoding.
            OSError: what was written before cannot be flushed.

        Cancellation: nothing is changed.
        """
        changes: dict[str, Any] = {
            "encoding": encoding,
            "errors": errors,
            "line_buffering": line_buffering,
            "write_through": write_through,
        }
        if newline is not _UNCHANGED:
            changes["newline"] = newline
        if self._stack is None and self.closed:
            raise ValueError("I/O operation on closed file.")
        async with self._hold():
            if (stack := self._stack) is not None:
                await self._run(partial(stack.reconfigure, **changes))
            else:
                await self._reconfigure_owned(changes)

    async def _reconfigure_owned(self, changes: dict[str, Any]) -> None:
        # What `io` makes of the changes, or says to them, of a file that it has read as much of.
        like = io.TextIOWrapper(
            io.BytesIO(),
            self._encoding,
            self._errors,
            self._newline,
            self._line_buffering,
            self._write_through,
        )
        if self._is_reading():
            like.read(1)
        like.reconfigure(**changes)
        await self._flush_owned()
        self._sync_position()
        self._line_buffering, self._write_through = like.line_buffering, like.write_through
        if "newline" in changes or (changes["encoding"], changes["errors"]) != (None, None):
            self._encoding, self._errors = like.encoding, like.errors or "strict"
            self._newline = changes.get("newline", self._newline)
            self._recode()
        else:
            self._set_line_buffering(self._line_buffering)

    def _recode(self) -> None:
        """Starts with another codec where the file is; that may make it one of another class."""
        from ._codec_text import CodecTextFile

        native = native_text(self._encoding, self._errors, self._newline, self._line_buffering)
        self._set_text(native)
        self.__class__ = CodecTextFile if native is None else TextFile
        if isinstance(self, CodecTextFile):
            self._configure()

    def _checker(self) -> Callable[[str], object]:
        return lambda piece: piece.encode(self._encoding, self._errors)

    async def _read_in_turn(self, size: int) -> Any:
        if size <= CHARS_AT_ONCE or self._stack is not None or not self._seekable():
            return await super()._read_in_turn(size)
        async with self._hold():
            with self._all_or_nothing():
                return await joined([piece async for piece in self._pieces(size)])

    async def _pieces(self, size: int) -> AsyncIterator[str]:
        """At most ``size`` characters in pieces that are decoded one by one."""
        while size > 0:
            while (piece := self._read(min(size, CHARS_AT_ONCE), True)) is None:
                await self._progress()
            if not piece:
                return
            yield piece
            size -= len(piece)

    async def seek(self, cookie: int, whence: int = 0, /) -> int:
        """Goes to a position that :meth:`tell` gave (of this class or of ``io``), to the start or the end.

        Returns:
            The new position, as :meth:`tell` would give it.

        Raises:
            io.UnsupportedOperation: any other move, which text does not have.
        """
        if self._stack is not None:
            return int(await self._owned(self._seek, cookie, whence, reads=False))
        if whence == 1:
            if cookie != 0:
                raise _native.UnsupportedOperation("can't do nonzero cur-relative seeks")
            position = await self.tell()
            self._stay()
            return position
        if whence == 2 and cookie != 0:
            raise _native.UnsupportedOperation("can't do nonzero end-relative seeks")
        if whence not in (0, 2):
            raise ValueError(f"invalid whence ({whence}, should be 0, 1 or 2)")
        if cookie < 0:
            raise ValueError(f"negative seek position {cookie!r}")
        async with self._hold(writes=True):
            self._set_reading(False)
            return await self._seek_owned(cookie, whence)

    async def _seek_owned(self, cookie: int, whence: int) -> int:
        if whence == 2:
            while (end := self._seek(0, 2, True)) is None:
                await self._progress()
            return end
        halves = cookie & ((1 << 128) - 1), cookie >> 128
        while (found := self._seek_cookie(*halves, True)) is None:
            await self._progress()
        _, skipped = found
        if skipped:
            while self._read(skipped, True) is None:
                await self._progress()
        return cookie
