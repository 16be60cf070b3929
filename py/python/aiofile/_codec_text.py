"""Text files in encodings that the native file does not decode: through Python's incremental codecs."""

from __future__ import annotations

import codecs
import io
import os
import re
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from operator import index
from typing import Any

from . import _native
from ._cookie import Cookie, Decoder, Slice, advance, locate
from ._file import CHARS_AT_ONCE, exact_text
from ._line_ends import line_end, take_lines
from ._text_file import TextFile

#: Bytes decoded between two turns of the loop: up to 1 ms of work with the slowest codecs.
_SLICE_BYTES = 64 * 1024

#: Bytes that a text file of ``io`` decodes at a time: its ``_CHUNK_SIZE``.
_CHUNK_BYTES = 8192

#: Codecs with a byte order mark at the start: what it said holds for all of the file.
_MARKED = {"utf-16", "utf-32", "utf-8-sig"}

#: Characters that are made one text at once: less than 1 ms of copying.
_JOINED_AT_ONCE = 512 * 1024

#: What UTF-7 writes as it is. Its encoder knows nothing of other pieces, and would end behind anything
#: else what it goes on with in a text that is whole.
_AS_IT_IS = r"A-Za-z0-9'(),\-./:?!\"#$%&*;<=>@\[\]^_`{|} \t\r\n"
UTF_7_PIECE = rf"(?s).{{0,{CHARS_AT_ONCE - 1}}}[{_AS_IT_IS}]|[^{_AS_IT_IS}]+[{_AS_IT_IS}]?"


class CodecTextFile(TextFile, ours=True):
    """A file of text over the bytes of its own native file.

    The attempts of :class:`File` are made here again, for text: what was decoded and not yet asked for
    is kept in slices. An attempt decodes at most 64 KiB, and state changes only when it comes to
    something, so a cancelled read leaves everything for the next one.
    """

    _encoder: codecs.IncrementalEncoder | None = None
    _decoder: Decoder | None = None
    #: Why the bytes behind the last slice cannot be decoded.
    _failure: Exception | None = None
    #: The text of the first slice, and the characters of it that were handed out.
    _chars = ""
    _used = 0
    #: Characters in all slices, those handed out included.
    _total = 0
    #: Slices, from the first on, in which no line ends.
    _scanned = 0
    #: The text that is being put together, with what it is made of.
    _joining: tuple[_native.Joiner, tuple[int, int, Slice]] | None = None
    #: Where the bytes end from which the last text was handed out; 0 where no text was.
    _fetched = 0
    #: Nothing was read, nor the position set, since the file was opened or written to.
    _writing = True

    def _configure(self) -> None:
        """Sets up the codec, once the attributes of :class:`TextFile` are set."""
        newline = self._newline
        self._slices: deque[Slice] = deque()
        self._forget()
        self._encoder = self._decoder = None
        self._writing = True
        self._universal = not newline
        self._codec = codecs.lookup(self._encoding).name
        self._translates = newline is None
        self._terminator = "\n" if newline is None else newline
        self._written_terminator = newline or os.linesep
        self._has_position = self._seekable()
        self._updating = self._has_position and "+" in self._mode
        self._bytes_per_char = 0.0
        if self._writable():
            self._encoder = codecs.getincrementalencoder(self._encoding)(self._errors)
            if self._has_position:
                self._start_encoding(super()._tell() == 0)

    def _start_encoding(self, start: bool) -> None:
        """Prepares for writing at the start of the file, where a byte order mark goes, or elsewhere."""
        if self._encoder is None:
            return
        if start:
            self._encoder.reset()
        else:
            self._encoder.setstate(0)

    def _new_decoder(self) -> Decoder:
        self._decoder = self._made_decoder()
        return self._decoder

    def _made_decoder(self) -> Decoder:
        decoder = codecs.getincrementaldecoder(self._encoding)(self._errors)
        return io.IncrementalNewlineDecoder(decoder, self._translates) if self._universal else decoder

    @property
    def newlines(self) -> str | tuple[str, ...] | None:
        """Line ends in what was read so far, and a little ahead of it."""
        stack = self._stack
        return getattr(self._decoder, "newlines", None) if stack is None else stack.newlines

    # Reading. `_used` and `_total` count characters; the first slice stays when it is used up, for `tell`.

    def _decode_more(self, room: int, owned: bool, wanted: int = 0) -> int | None:
        """Decodes at most ``room`` bytes more; ``wanted`` says how many characters are missing, if known.

        Returns:
            How many; 0 at the end of the file; None when they must be waited for.
        """
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        data = self._read_chunk(wanted, owned) if self._updating else self._read1(room, owned)
        if data is None:
            return None
        count = len(data)
        decoder = self._decoder or self._new_decoder()
        held, flags = state = decoder.getstate()
        try:
            chars = decoder.decode(data, not data)
        except Exception as error:
            decoder.setstate(state)
            if not data:
                raise
            good, _ = advance(decoder, data, sys.maxsize)
            data = data[:good]
            decoder.setstate(state)
            chars = decoder.decode(data)
            self._failure = error
        self._writing = False
        self._bytes_per_char = len(data) / len(chars) if chars else 0.0
        if chars or (count and not self._pending()):
            position = super()._tell() - count - len(held) if self._has_position else 0
            self._append(Slice(chars, held + data, flags, position))
        return count

    def _read_chunk(self, wanted: int, owned: bool) -> bytes | None:
        """As many bytes as ``io`` decodes at a time: what is written next goes behind them."""
        hint = min(int(self._bytes_per_char * wanted), _SLICE_BYTES)
        return super()._read(max(_CHUNK_BYTES, hint), owned)  # type: ignore[no-any-return]

    def _pending(self) -> int:
        """Characters decoded and not yet handed out."""
        return self._total - self._used

    def _append(self, piece: Slice) -> None:
        if not self._pending():
            self._drop()
        self._slices.append(piece)
        self._chars = self._slices[0].chars
        self._total += len(piece.chars)

    def _forget(self) -> None:
        """Drops what was read ahead; what could not be decoded is tried again."""
        self._failure = None
        self._drop()
        self._fetched = 0

    def _drop(self) -> None:
        self._slices.clear()
        self._joining = None
        self._chars = ""
        self._used = self._total = self._scanned = 0

    def _take_chars(self, count: int) -> str | None:
        """Hands out the next ``count`` characters, which are here; None: the loop must turn first."""
        end = self._used + count
        if end <= len(self._chars):
            self._scanned = 0
            if self._updating:
                self._fetched = super()._tell()
            text = self._chars[self._used : end]
            self._used = end
            return text
        joined = self._join(count) if count > _JOINED_AT_ONCE else "".join(self._pieces_of(count))
        if joined is None:
            return None
        self._scanned = 0
        if self._updating:
            self._fetched = super()._tell()
        slices = self._slices
        while end > len(slices[0].chars):
            passed = len(slices.popleft().chars)
            self._total -= passed
            end -= passed
        self._chars = slices[0].chars
        self._used = end
        return joined

    def _pieces_of(self, count: int) -> list[str]:
        """The next ``count`` characters, which are more than the first slice has."""
        pieces = [self._chars[self._used :]]
        count -= len(pieces[0])
        for piece in islice(self._slices, 1, None):
            if count <= 0:
                break
            pieces.append(piece.chars[:count])
            count -= len(piece.chars)
        return pieces

    def _join(self, count: int) -> str | None:
        """Puts a long text together, some more of it with each call; nothing is handed out by that."""
        made_of = count, self._used, self._slices[0]
        if self._joining is None or self._joining[1] != made_of:
            self._joining = _native.Joiner(self._pieces_of(count)), made_of
        text = self._joining[0].step()
        if text is not None:
            self._joining = None
        return text

    def _take_rest(self) -> str | None:
        """Hands out all that is here, at the end of the file; of the last slice only its end is kept."""
        text = self._take_chars(self._pending())
        if text is not None:
            self._set_reading(False)
        if text is not None and self._decoder is not None and self._has_position:
            held, flags = self._decoder.getstate()
            self._drop()
            self._append(Slice("", held, flags, super()._tell() - len(held)))
        return text

    def _check_readable(self) -> None:
        if not self._readable():
            raise _native.UnsupportedOperation("not readable")

    def _read(self, size: int, owned: bool = False) -> str | None:
        size = index(size)
        if not self._admit(owned):
            return None
        self._check_readable()
        room = _SLICE_BYTES
        while not 0 <= size <= self._pending():
            if room <= 0:
                return None
            count = self._decode_more(room, owned, max(size - self._pending(), 0))
            if count is None:
                return None
            if count == 0:
                if size < 0:
                    return self._take_rest()
                self._set_reading(True)
                return self._take_chars(min(size, self._pending()))
            room -= count
        return self._take_chars(size)

    def _readline(self, size: int | None = -1, owned: bool = False) -> str | None:
        limit = -1 if size is None else index(size)
        if not self._admit(owned):
            return None
        if limit < 0 and (end := line_end(self._chars, self._used, self._terminator)):
            line = self._chars[self._used : end]
            self._used = end
            return line
        return self._find_line(limit, owned)

    def _find_line(self, limit: int, owned: bool) -> str | None:
        self._check_readable()
        room = _SLICE_BYTES
        while True:
            while self._scanned < len(self._slices):
                if count := self._line_in(self._scanned):
                    return self._take_chars(count if limit < 0 else min(count, limit))
                self._scanned += 1
            if 0 <= limit <= self._pending():
                return self._take_chars(limit)
            if room <= 0:
                return None
            decoded = self._decode_more(room, owned)
            if decoded is None:
                return None
            if decoded == 0 and self._scanned == len(self._slices):
                return self._take_rest()
            room -= decoded

    def _line_in(self, index: int) -> int:
        """Characters of the next line if it ends in the slice with this index, otherwise 0."""
        if index == 0:
            end = line_end(self._chars, self._used, self._terminator)
            return end and end - self._used
        chars = self._slices[index].chars
        end = line_end(chars, 0, self._terminator)
        if self._terminator == "\r\n" and chars[0] == "\n" and self._ends_with_cr(index - 1):
            end = 1
        if not end:
            return 0
        return sum(len(self._slices[before].chars) for before in range(index)) - self._used + end

    def _ends_with_cr(self, index: int) -> bool:
        handed_out = index == 0 and self._used == len(self._chars)
        return not handed_out and self._slices[index].chars.endswith("\r")

    def _lines(self, count: int, owned: bool = False) -> list[str] | None:
        if not self._admit(owned):
            return None
        return self._lines_owned(count) if owned else self._lines_here(count)

    def _lines_here(self, count: int) -> list[str] | None:
        """The next lines if all of them are decoded already."""
        lines: list[str] = []
        end = take_lines(lines, count, self._chars, self._used, self._terminator)
        if len(lines) < count:
            return None
        self._used = end
        return lines

    def _lines_owned(self, count: int) -> list[str] | None:
        lines: list[str] = []
        while True:
            self._used = take_lines(lines, count, self._chars, self._used, self._terminator)
            if len(lines) == count:
                return lines
            try:
                line = self._find_line(-1, True)
            except Exception:
                if not lines:
                    raise
                return lines
            if line is None:
                return lines or None
            if not line:
                return lines
            lines.append(line)

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        mark = self._mark()
        if not mark:
            yield
            return
        decoder = self._decoder or self._new_decoder()
        state = decoder.getstate()
        slices, used, total, writing = list(self._slices), self._used, self._total, self._writing
        fetched = self._fetched
        try:
            yield
        except BaseException:
            if self._is_marked(mark):
                decoder.setstate(state)
                self._forget()
                self._slices.extend(slices)
                self._chars = slices[0].chars if slices else ""
                self._used, self._total, self._writing = used, total, writing
                self._fetched = fetched
            raise
        self._commit()

    async def _read_in_turn(self, size: int) -> Any:
        return await self._owned(self._read, size)

    async def __anext__(self) -> str:
        line = self._readline()
        if line is None:
            line = await self._owned(self._readline, -1)
        if line:
            return line
        raise StopAsyncIteration

    # Writing.

    def _is_long(self, data: Any) -> bool:
        return isinstance(data, str) and len(data) > CHARS_AT_ONCE

    def _cut(self, text: str) -> Iterator[str]:
        if self._codec != "utf-7":
            return super()._cut(text)
        return (found.group() for found in re.finditer(UTF_7_PIECE, text))

    def _checker(self) -> Callable[[str], object]:
        return codecs.getincrementalencoder(self._encoding)(self._errors).encode

    def _flushes_lines(self, data: str) -> bool:
        return self._line_buffering and ("\n" in data or "\r" in data)

    def _encode(self, encoder: codecs.IncrementalEncoder, data: str) -> bytes:
        if self._written_terminator != "\n" and self._terminator and "\n" in data:
            data = data.replace("\n", self._written_terminator)
        return encoder.encode(data)

    def _write(self, data: Any, owned: bool = False) -> int | None:
        if self._stack is not None:
            return None
        if not isinstance(data, str):
            raise TypeError(f"write() argument must be str, not {type(data).__name__}")
        data = exact_text(data)
        if self._encoder is None:
            self._writable()
            raise _native.UnsupportedOperation("not writable")
        if not owned and (self._is_long(data) or self._flushes_lines(data)):
            return None
        if not self._writing:
            if not self._admit(owned):
                return None
            self._turn_to_writing()
        state = self._encoder.getstate()
        if super()._write(self._encode(self._encoder, data), owned) is None:
            self._encoder.setstate(state)
            return None
        return len(data)

    def _write_listed(self, lines: Any, start: int, owned: bool = False) -> int:
        # The native one knows nothing of text.
        return start

    def _write_each(self, lines: Iterator[Any]) -> tuple[Any, ...] | None:
        for line in lines:
            if self._is_long(line) or self._write(line, True) is None:
                return (line,)
        return None

    async def _write_large(self, data: Any) -> int:
        encoder = self._encoder
        assert encoder is not None
        state = encoder.getstate()
        encoded = self._encode(encoder, data)
        try:
            await super()._write_large(encoded)
        except BaseException:
            if self._large_rest() == len(encoded):
                encoder.setstate(state)
            raise
        return len(data)

    def _turn_to_writing(self) -> None:
        """Goes where a text file of ``io`` writes: behind the chunk that it has decoded."""
        if self._slices and self._has_position:
            cookie, position = self._locate()
            end = max(position, self._fetched)
            super()._restore(end)
            if self._codec in _MARKED:
                self._start_encoding(end == 0)
            # A carriage return in front of it is no half of a line end.
            flags = cookie.flags & ~1 if self._universal else cookie.flags
            self._start_decoding(
                end, flags if end == position or self._codec in _MARKED else self._first_flags()
            )
        self._forget()
        self._writing = True

    def _start_decoding(self, position: int, flags: int) -> None:
        """Sets the decoder's state; the one of a new decoder is 0 only in cookies."""
        if self._decoder is None:
            return
        if position == 0 and flags == 0:
            self._decoder.reset()
        else:
            self._decoder.setstate((b"", flags))

    # The position.

    def _locate(self) -> tuple[Cookie, int]:
        """The place of the next character; the next such search starts from there."""
        assert self._decoder is not None
        first = self._slices[0]
        cookie, position = locate(self._decoder, first, self._used)
        if self._used and not cookie.skip:
            chars, data = self._chars[self._used :], first.data[cookie.position - first.position :]
            self._slices[0] = Slice(chars, data, cookie.flags, cookie.position)
            self._chars = chars
            self._total -= self._used
            self._used = 0
        return cookie, position

    def _tell(self) -> int:
        position = super()._tell()
        return self._locate()[0].pack() if self._slices else position

    async def _seek_owned(self, cookie: int, whence: int) -> int:
        target = self._with_state(Cookie.unpack(cookie))
        while (position := self._seek(target.position, whence, True)) is None:
            await self._progress()
        self._forget()
        self._writing = False
        self._start_encoding(position == 0 and target.flags == 0)
        if whence == 2:
            if self._decoder is not None:
                self._decoder.reset()
            return position
        await self._resume_at(target)
        return cookie

    def _with_state(self, target: Cookie) -> Cookie:
        """A plain byte offset has no state of the decoder: it means the first one.

        For most codecs that is 0. ISO 2022 has no state 0: CPython crashes when it decodes in it.
        """
        if target.flags >> self._universal or not target.position or not self._codec.startswith("iso2022"):
            return target
        return target._replace(flags=target.flags | self._first_flags())

    def _first_flags(self) -> int:
        """The state of a decoder that has seen nothing."""
        return self._made_decoder().getstate()[1]

    async def _resume_at(self, target: Cookie) -> None:
        """Brings the decoder to where a cookie was taken, the bytes being at its position."""
        if target == Cookie(0):
            if self._decoder is not None:
                self._decoder.reset()
            return
        if not self._readable():
            return
        decoder = self._decoder or self._new_decoder()
        decoder.setstate((b"", target.flags))
        self._append(Slice("", b"", target.flags, target.position))
        if not target.skip:
            return
        while (data := super()._read(target.feed, True)) is None:
            await self._progress()
        try:
            chars = decoder.decode(data, target.final)
            if len(chars) < target.skip:
                raise OSError("can't restore logical file position")
        except Exception:
            decoder.setstate((b"", target.flags))
            super()._restore(target.position)
            raise
        self._append(Slice(chars, data, target.flags, target.position))
        self._used = target.skip

    def _give_back(self) -> None:
        """Moves the position of the bytes back to that of the text, where decoding can start."""
        if not self._slices or not self._has_position:
            return
        cookie, _ = self._locate()
        if cookie.skip:
            return
        self._start_decoding(cookie.position, cookie.flags)
        super()._restore(cookie.position)
        self._forget()
        self._append(Slice("", b"", cookie.flags, cookie.position))

    def _sync_position(self) -> None:
        if self._updating and self._slices:
            os.lseek(self.fileno(), self._locate()[1], os.SEEK_SET)
            return
        self._give_back()
        super()._sync_position()

    def _truncate(self, size: int | None) -> _native.Operation:
        if size is None and self._updating and self._slices:
            return super()._truncate(max(self._fetched, self._locate()[1]))
        fetched = self._fetched
        self._give_back()
        self._fetched = fetched
        return super()._truncate(size)

    def _stay(self) -> None:
        self._fetched = 0

    def _demote_text(self) -> Any:
        if not self._slices:
            return super()._demote_text()
        if not self._has_position:
            raise _native.UnsupportedOperation("text of a pipe was decoded already")
        cookie = self._tell()
        self._give_back()
        stack = super()._demote_text()
        self._forget()
        stack.seek(cookie)
        return stack

    def _close_now(self) -> bool:
        if self._slices and not self._owns_fd():
            return False
        return super()._close_now()

    def _close(self) -> _native.Operation | None:
        if not self.closed and not self._owns_fd():
            self._give_back()
        self._drop()
        return super()._close()
