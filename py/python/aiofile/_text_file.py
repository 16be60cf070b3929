"""The open file of text, in an encoding that the native file decodes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from . import _demoted, _native
from ._file import CHARS_AT_ONCE, File


class TextFile(File[str]):
    """A file of text. Made by :func:`aiofile.open` without ``"b"`` in its mode."""

    encoding: str
    errors: str
    line_buffering: bool
    _newline: str | None

    @property
    def buffer(self) -> Any:
        """The file of bytes of ``io`` behind this one, which is a blocking file from then on.

        Every later call of this file runs in the loop's default executor.

        Raises:
            OSError: what was buffered cannot be written.
            RuntimeError: an operation on the file is under way.
            ValueError: the file is closed.
        """
        return self._demote_text().buffer

    def detach(self) -> Any:
        """Gives the file of bytes of ``io`` away, as :attr:`buffer`; this file is of no use any more."""
        return self._demote_text().detach()

    def _demote_text(self) -> Any:
        text = {
            "encoding": self.encoding,
            "errors": self.errors,
            "newline": self._newline,
            "line_buffering": self.line_buffering,
        }
        return _demoted.demote(self, self.mode, text)

    async def readable(self) -> bool:
        """Whether the file was opened for reading."""
        return self._readable()

    def _check_encodes(self, text: str) -> None:
        text.encode(self.encoding, self.errors)

    async def _read_in_turn(self, size: int) -> Any:
        if size <= CHARS_AT_ONCE or self._stack is not None or not self._seekable():
            return await super()._read_in_turn(size)
        async with self._hold():
            with self._all_or_nothing():
                return "".join([piece async for piece in self._pieces(size)])

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
            return int(await self._owned(self._seek, cookie, whence))
        if whence == 1:
            if cookie != 0:
                raise _native.UnsupportedOperation("can't do nonzero cur-relative seeks")
            return await self.tell()
        if whence == 2 and cookie != 0:
            raise _native.UnsupportedOperation("can't do nonzero end-relative seeks")
        if whence not in (0, 2):
            raise ValueError(f"invalid whence ({whence}, should be 0, 1 or 2)")
        if cookie < 0:
            raise ValueError(f"negative seek position {cookie!r}")
        async with self._hold():
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
