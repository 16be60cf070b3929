"""The open file of bytes."""

from __future__ import annotations

import io
import sys
from collections import deque
from collections.abc import Iterable
from io import FileIO
from itertools import chain, islice
from operator import index
from typing import TYPE_CHECKING, Any

from . import _demoted, _native
from ._file import File
from ._types import ReadableBuffer, WriteableBuffer
from ._waiting import turn

#: Ranges that are looked at between two turns of the loop: up to 1 ms of work.
RANGES_AT_ONCE = 8192


def _target(buffer: WriteableBuffer, method: str) -> _native.Target:
    """The memory of any object that ``io`` would read into.

    Raises:
        TypeError: it would not.
    """
    try:
        return _native.Target(buffer)
    except Exception:
        # In its words.
        try:
            getattr(io.BytesIO(), method)(buffer)
        except TypeError as error:
            if sys.version_info >= (3, 11) and isinstance(buffer, memoryview) and not buffer.c_contiguous:
                error.add_note("The memory is not in one piece: only some of its items are in the view.")
            raise
        raise


def _pairs(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges as a list of tuples.

    Raises:
        TypeError: one of them is no pair.
    """
    pairs: list[Any] = list(ranges)
    if any(type(pair) is not tuple or len(pair) != 2 for pair in pairs):
        if not all(isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in pairs):
            raise TypeError("ranges must be (size, offset) pairs")
        pairs = [(size, offset) for size, offset in pairs]
    return pairs


class BinaryFile(File[bytes], ours=True):
    """A file of bytes. Made by :func:`aiofile.open` with ``"b"`` in its mode."""

    if TYPE_CHECKING:
        # Those of every file; here for their types.
        async def write(self, data: ReadableBuffer, /) -> int: ...
        async def writelines(self, lines: Iterable[ReadableBuffer], /) -> None: ...

    def _blocking(self) -> Any:
        stack = self._stack
        return _demoted.demote(self, self._mode, None) if stack is None else stack

    def readable(self) -> bool:
        """Whether the file was opened for reading."""
        stack = self._stack
        return self._readable() if stack is None else stack.readable()

    async def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Reads into a writable buffer until it is full or the file ends.

        What was not read ahead goes there without a copy.

        Args:
            buffer: any object whose memory can be written to and is in one piece: a bytearray, a memoryview,
                an array, an array of numpy. It must not be used, and cannot be resized, until this returns.

        Returns:
            Bytes read; an unbuffered file reads once and may return fewer.

        Raises:
            OSError, ValueError: as for :meth:`read`.
            TypeError: a buffer that ``io`` does not take either.

        Cancellation: when CancelledError is raised nothing more is written to the buffer, and the position is
        where it was.
        """
        if self._stack is not None:
            return await self._asked("readinto", buffer)  # type: ignore[no-any-return]
        with _target(buffer, "readinto") as target:
            async with self._hold(reads=True):
                if self._stack is not None:
                    return int(await self._call("readinto", buffer))
                with self._all_or_nothing():
                    return await self._fill(target)

    async def _fill(self, target: _native.Target) -> int:
        total, size = 0, len(target)
        while True:
            count = await self._read_into(target, total)
            total += count
            if count == 0 or total == size or self._raw:
                return total

    async def _read_into(self, target: _native.Target, start: int, once: bool = False) -> int:
        """Reads something into memory from byte ``start`` on, for the owner of the file; 0 at the end."""
        while (count := self._readinto(target, start, once)) is None:
            await self._progress()
        if count < 0:
            # Straight from the device, or so much that it takes long.
            read: int = await self._readinto_step(target, start)
            self._moved(read)
            return read
        return count

    async def seek(self, offset: int, whence: int = 0, /) -> int:
        """Moves the position: ``offset`` bytes from the start (0), the position (1) or the end (2).

        Returns:
            The new position.
        """
        position = self._seek(offset, whence)
        if position is None:
            position = await self._owned(self._seek, offset, whence, reads=False)
        return position

    async def pread(self, size: int, offset: int) -> bytes:
        """Reads ``size`` bytes at ``offset``; the position is neither used nor moved.

        Any number of these run at the same time.

        Args:
            size: bytes, not negative.
            offset: absolute byte, not negative.

        Returns:
            ``size`` bytes, fewer only at the end of the file.

        Raises:
            OSError: reading failed.
            OverflowError: a size or an offset that no file can have.
            ValueError: a negative size or offset; the file is closed.
            io.UnsupportedOperation: the file is not open for reading, or has no offsets.
        """
        result = self._pread(size, offset)
        if result is None:
            result = await self._pread_in_turn(size, offset)
        if not isinstance(result, bytes):
            result = await result
            while 0 < len(result) < size:
                more = await self.pread(size - len(result), offset + len(result))
                if not more:
                    break
                result += more
        return result

    async def _pread_in_turn(self, size: int, offset: int) -> Any:
        if _native.must_yield():
            await turn()
        if self._has_unwritten():
            await self.flush()
        if (stack := self._stack) is not None:
            async with self._hold(writes=True):
                return await self._run(_demoted.pread_of, stack, size, offset)
        async with self._hold(shared=True):
            return self._pread(size, offset, True)

    async def pread_many(self, ranges: Iterable[tuple[int, int]], /) -> list[bytes]:
        """Reads many ranges; the position is neither used nor moved.

        They are under way together, as many as the queue is deep, so it takes less time and fewer turns of
        the loop than so many :meth:`pread`.

        Args:
            ranges: for each a pair of a size in bytes and an offset, as for :meth:`pread`: a tuple or a list,
                the size first. They may overlap, and come in any order.

        Returns:
            What each :meth:`pread` would return, in the order of ``ranges``.

        Raises:
            OSError: reading failed; what was read is lost.
            OverflowError, ValueError, io.UnsupportedOperation: as for :meth:`pread`, before anything is read.
            TypeError: a range that is no pair of integers, before anything is read.

        Cancellation: CancelledError is raised when the kernel has given all buffers back.

        Example:
            >>> header, tail = await file.pread_many([(100, 0), (22, size - 22)])
        """
        iterator = iter(ranges)
        parts = deque([_pairs(islice(iterator, RANGES_AT_ONCE))])
        while more := _pairs(islice(iterator, RANGES_AT_ONCE)):
            parts.append(more)
            await turn()
        reads: deque[_native.Preads] = deque()
        for part in parts:
            # All of them are looked at before the first is read.
            if reads:
                await turn()
            if self._stack is None:
                reads.append(self._preads(part))
        if self._stack is None and self._has_unwritten():
            await self.flush()
        if self._stack is None:
            async with self._hold(shared=True):
                if self._stack is None:
                    results: list[bytes] = []
                    while parts:
                        # Let go of one by one, which takes its time, too.
                        results += await self._pread_all(parts.popleft(), reads.popleft())
                    return results
        async with self._hold(writes=True):
            return await self._run(_demoted.pread_many_of, self._stack, chain.from_iterable(parts))

    async def _pread_all(self, ranges: list[tuple[int, int]], reads: _native.Preads) -> list[bytes]:
        """Reads ranges beside other positional reads, with a place there."""
        try:
            while (step := reads.step()) is not True:
                await (turn() if step is False else step)
        finally:
            reads.stop()
        large = reads.large()
        results: list[bytes] = reads.take()
        for number in large:
            size, offset = ranges[number]
            results[number] = await self._pread_entered(size, offset)
        return results

    async def _pread_entered(self, size: int, offset: int) -> bytes:
        result = b""
        while len(result) < size:
            more: Any = self._pread(size - len(result), offset + len(result), True)
            if not isinstance(more, bytes):
                more = await more
            if not more:
                break
            result = result + more if result else more
        return result

    async def pwrite(self, data: ReadableBuffer, offset: int) -> int:
        """Writes ``data`` at ``offset``; the position is neither used nor moved.

        Args:
            data: any bytes-like object.
            offset: absolute byte, not negative. Behind the end of the file a gap of zero bytes is left.

        Returns:
            The length of ``data`` in bytes, all of it written.

        Raises:
            OSError: writing failed; what was written by then is not told.
            OverflowError: an offset that no file can have.
            TypeError: data that is not bytes-like.
            ValueError: a negative offset; the file is closed.
            io.UnsupportedOperation: the file has no offsets to write at: it is not open for writing, was
                opened for appending, or is a pipe, a terminal or a socket.
        """
        if not 0 <= (offset := index(offset)) <= sys.maxsize:
            if offset < 0:
                raise ValueError("offset of pwrite must not be negative")
            # In the words of `pread`.
            raise OverflowError("Python int too large to convert to C long")
        if self._stack is None:
            self._check_pwrite()
        async with self._hold(writes=True):
            if (stack := self._stack) is not None:
                return await self._run(_demoted.pwrite_of, stack, data, offset)
            await self._flush_owned()
            count = self._begin_large(data)
            while (step := self._pwrite_step(offset)) is not None:
                offset += await step
            return count


class AsyncFileIO(BinaryFile, ours=True):
    """A file of bytes without a buffer, as ``io.FileIO``."""

    _raw = True

    async def readall(self) -> bytes:
        """Reads everything up to the end of the file."""
        if self._stack is not None:
            return await self._asked("readall")  # type: ignore[no-any-return]
        return await self.read()


class AsyncBufferedIOBase(BinaryFile, ours=True):
    """A file of bytes with a buffer, as ``io.BufferedWriter``."""

    @property
    def raw(self) -> FileIO:
        """The unbuffered file of ``io`` behind this one, which is a blocking file from then on.

        Every later call of this file runs in the executor.

        Raises:
            OSError: what was buffered cannot be written.
            RuntimeError: an operation on the file is under way.
            ValueError: the file is closed.
        """
        return self._blocking().raw  # type: ignore[no-any-return]

    def detach(self) -> FileIO:
        """Gives the unbuffered file of ``io`` away, as :attr:`raw`; this file is of no use any more."""
        return self._blocking().detach()  # type: ignore[no-any-return]

    async def read1(self, size: int = -1, /) -> bytes:
        """Reads at most ``size`` bytes with at most one read of the device."""
        result: bytes | None = self._read1(size)
        if result is None:
            result = await self._owned(self._read1, size)
        return result

    async def readinto1(self, buffer: WriteableBuffer, /) -> int:
        """Reads into a writable buffer with at most one read of the device.

        Returns:
            Bytes read, 0 at the end of the file.
        """
        if self._stack is not None:
            return await self._asked("readinto1", buffer)  # type: ignore[no-any-return]
        with _target(buffer, "readinto1") as target:
            async with self._hold(reads=True):
                if self._stack is not None:
                    return int(await self._call("readinto1", buffer))
                return await self._read_into(target, 0, True)


class AsyncBufferedReader(AsyncBufferedIOBase, ours=True):
    """A file of bytes with a buffer that is read, as ``io.BufferedReader`` or ``io.BufferedRandom``."""

    async def peek(self, size: int = 0, /) -> bytes:
        """What is buffered, after one read if that is nothing; the position stays."""
        if self._stack is not None:
            return await self._asked("peek", size)  # type: ignore[no-any-return]
        result: bytes | None = self._peek()
        if result is None:
            result = await self._owned(self._peek)
        return result
