"""Compressed files as unbuffered files of ``io``: what stands between the real file and its buffer.

They block, and only threads of an executor call them; of two calls never both run.
"""

from __future__ import annotations

import errno
import io
import os
from typing import Any

from . import _native
from ._types import ReadableBuffer, WriteableBuffer

#: Bytes that are taken out of a compressed file, or given to a compressor, at once: a thread that waits for
#: the interpreter gets it after each.
INPUT_BYTES = 128 * 1024

#: Bytes that come out at once. As much again is kept of what went before, so that a reader may go back
#: a little for nothing.
OUTPUT_BYTES = 256 * 1024


class _Raw(io.RawIOBase):
    """What both directions have: the file behind them."""

    def __init__(self, file: Any, codec: str) -> None:
        self._file = file
        #: The suffix of its format.
        self.codec = codec

    @property
    def name(self) -> Any:
        """The name of the compressed file."""
        return self._file.name

    def fileno(self) -> int:
        """The descriptor of the compressed file."""
        self._check_open()
        return int(self._file.fileno())

    def isatty(self) -> bool:
        """Whether the compressed file is a terminal."""
        self._check_open()
        return bool(self._file.isatty())

    def _dealloc_warn(self, source: Any) -> None:
        """What the buffer of a file that nobody closed calls, before it does."""
        if (warn := getattr(self._file, "_dealloc_warn", None)) is not None:
            warn(source)

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file.")

    def _broken(self, error: OSError) -> OSError:
        """An error of the native half, in the class that ``gzip`` has for it, with the file's name."""
        if error.errno != errno.EBADMSG:
            return error
        arguments = errno.EBADMSG, error.strerror, self.name
        if self.codec == "gz":
            from gzip import BadGzipFile

            return BadGzipFile(*arguments)
        return OSError(*arguments)


class CompressedSource(_Raw):
    """The content of a compressed file.

    Args:
        file: the compressed file, unbuffered.
        codec: its format, as a suffix.
        begun: what was read of the file already.
    """

    mode = "rb"

    def __init__(self, file: Any, codec: str, begun: bytes = b"") -> None:
        super().__init__(file, codec)
        self._begin(begun)
        self._seekable = file.seekable()
        #: Where the compressed data begins.
        self._origin = file.tell() - len(begun) if self._seekable else 0
        #: Bytes of the content, once its end was met.
        self._size: int | None = None

    def _begin(self, input: bytes = b"") -> None:
        self._transformer = _native.Transformer.decompressor(self.codec)
        self._input, self._used = input, 0
        self._empty = not input
        #: Whether there may be more to come without more input.
        self._full = False
        self._before = self._chunk = b""
        #: Where the chunk starts in the content, and the position in that.
        self._start = self._position = 0
        self._ended = False

    def readable(self) -> bool:
        """It is."""
        self._check_open()
        return True

    def seekable(self) -> bool:
        """Whether the compressed file can be gone back in."""
        self._check_open()
        return bool(self._seekable)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Reads what is there, or else what comes next; 0 at the end."""
        self._check_open()
        with memoryview(buffer).cast("B") as view:
            data = self._take(len(view))
            view[: len(data)] = data
            return len(data)

    def readall(self) -> bytes:
        """Reads everything up to the end."""
        self._check_open()
        start = self._position
        pieces = []
        try:
            while data := self._take(OUTPUT_BYTES):
                pieces.append(data)
        except BaseException:
            # What is in order can be read piece by piece.
            if self._seekable:
                self._go_to(start)
            raise
        return _native.joined_bytes(pieces)

    def _take(self, count: int) -> bytes:
        if count == 0:
            return b""
        if self._position >= self._end() and not self._more():
            return b""
        data = self._at_position(count)
        self._position += len(data)
        return data

    def _end(self) -> int:
        return self._start + len(self._chunk)

    def _at_position(self, count: int) -> bytes:
        """What is in memory from the position on, of one of the chunks."""
        from_start = self._position - self._start
        if from_start < 0:
            from_start += len(self._before)
            return self._before[from_start : from_start + count]
        return self._chunk[from_start : from_start + count]

    def _more(self) -> bool:
        """Has the next chunk, if there is one."""
        while not self._ended:
            chunk = self._step()
            if chunk:
                self._start += len(self._chunk)
                self._before, self._chunk = self._chunk, chunk
                return True
        self._size = self._end()
        return False

    def _step(self) -> bytes:
        if self._used == len(self._input) and not self._full:
            self._input, self._used = self._file.read(INPUT_BYTES), 0
            if not self._input:
                return self._last()
            self._empty = False
        try:
            used, chunk = self._transformer.step(self._input, self._used, OUTPUT_BYTES)
        except OSError as error:
            raise self._broken(error) from None
        self._used += used
        self._full = len(chunk) == OUTPUT_BYTES
        return chunk

    def _last(self) -> bytes:
        if self._empty and self.codec == "gz":
            # As `gzip` has it: nothing is in it.
            self._ended = True
            return b""
        try:
            self._ended, chunk = self._transformer.finish(OUTPUT_BYTES)
        except EOFError as error:
            raise EOFError(f"{error}: {self.name!r}") from None
        return chunk

    def tell(self) -> int:
        """The position in the content."""
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Moves the position, at most to the end; what is before is restored, if need be from the start."""
        self._check_open()
        if not self._seekable:
            raise _native.UnsupportedOperation("underlying stream is not seekable")
        if whence == io.SEEK_CUR:
            offset += self._position
        elif whence == io.SEEK_END:
            if self._size is None:
                self._go_to(None)
            offset += self._size or 0
        elif whence != io.SEEK_SET:
            raise ValueError(f"invalid whence value: {whence}")
        if offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), self.name)
        self._go_to(offset)
        return self._position

    def _go_to(self, target: int | None) -> None:
        """Goes to a place in the content, or to its end."""
        if target is not None and target < self._start - len(self._before):
            self._file.seek(self._origin)
            self._begin()
        while target is None or target > self._end():
            if not self._more():
                target = self._end()
        self._position = target

    def close(self) -> None:
        """Closes the compressed file."""
        if self.closed:
            return
        try:
            self._file.close()
        finally:
            super().close()


class CompressedSink(_Raw):
    """A compressed file in the making.

    Args:
        file: the compressed file, unbuffered.
        codec: its format, as a suffix.
        how: codec and level.
    """

    mode = "wb"

    def __init__(self, file: Any, codec: str, how: str) -> None:
        super().__init__(file, codec)
        self._transformer = _native.Transformer.compressor(how)
        #: Bytes of content that were taken.
        self._position = 0
        #: Why the end is not to be written, in errno and words: somebody may miss something of what is in it.
        self._failure: tuple[int, str] | None = None
        #: Whether the file is as the compressor believes it to be.
        self._in_order = True
        #: Whether nobody wants it any more.
        self._discarded = False

    def writable(self) -> bool:
        """It is."""
        self._check_open()
        return True

    def seekable(self) -> bool:
        """It has a position, which can be moved forward."""
        self._check_open()
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Compresses all of ``data``."""
        self._check_open()
        if not self._in_order:
            self.check()
        with memoryview(data).cast("B") as view:
            for start in range(0, len(view), INPUT_BYTES):
                self._compress(bytes(view[start : start + INPUT_BYTES]))
            return len(view)

    def _compress(self, piece: bytes) -> None:
        used = 0
        while used < len(piece):
            count, made = self._transformer.step(piece, used, OUTPUT_BYTES)
            self._put(made)
            used += count
        self._position += len(piece)

    def _put(self, made: bytes) -> None:
        """Writes all of it: what is compressed cannot be had again."""
        left = memoryview(made)
        try:
            while left:
                # None of a descriptor that never waits: whoever has it there is told so.
                if (written := self._file.write(left)) is None:
                    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
                left = left[written:]
        except BaseException as error:
            self._in_order = False
            if isinstance(error, OSError) and error.errno is not None:
                error.filename = self.name
                self._fail(error.errno, str(error.strerror))
            else:
                self._fail(errno.EIO, f"writing it failed before: {error!r}")
            raise

    def _fail(self, number: int, why: str) -> None:
        if self._failure is None:
            self._failure = number, why

    def check(self) -> None:
        """Refuses to go on with a file that will have no end, with the first failure again.

        It is the same error, for a buffer that is closed writes again what could not be written: its error
        hides the first one.
        """
        if self._failure is not None:
            error = OSError(*self._failure)
            # Not as an argument: that of a BlockingIOError is something else where it is a number.
            error.filename = self.name
            raise error

    def abandon(self, why: str) -> None:
        """Has the file end without an end, so that it is not taken for a whole one."""
        self._fail(errno.EIO, why)

    def discard(self) -> None:
        """Has nothing written any more, not even when it is closed."""
        self.abandon("it was given up")
        self._in_order, self._discarded = False, True

    def sync(self) -> None:
        """Makes everything readable that was written so far."""
        self._check_open()
        self.check()
        self._drain(self._transformer.flush)

    def _drain(self, give: Any) -> None:
        done = False
        while not done:
            done, made = give(OUTPUT_BYTES)
            self._put(made)

    def tell(self) -> int:
        """Bytes of content that were written."""
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Moves the position forward, over zeros that are written."""
        self._check_open()
        if whence == io.SEEK_CUR:
            offset += self._position
        elif whence != io.SEEK_SET:
            raise ValueError("Seek from end not supported")
        if offset < self._position:
            raise OSError(errno.EINVAL, "Negative seek in write mode", self.name)
        zeros = bytes(INPUT_BYTES)
        while self._position < offset:
            self.write(zeros[: offset - self._position])
        return self._position

    def close(self) -> None:
        """Writes the end, unless somebody would be misled by it, and closes the compressed file.

        Raises:
            OSError: writing or closing failed, or a write did before: what is there is no whole file.
        """
        if self.closed:
            return
        failed_before = not self._in_order
        try:
            if self._failure is None:
                self._drain(self._transformer.finish)
            elif self._in_order:
                # All that was written can be read, and then comes the news that something is missing.
                self._drain(self._transformer.flush)
        finally:
            try:
                self._file.close()
            finally:
                super().close()
        if failed_before and not self._discarded:
            self.check()
