"""The open file of bytes."""

from __future__ import annotations

from typing import Any

from . import _demoted, _native
from ._file import File
from ._waiting import turn


class BinaryFile(File[bytes]):
    """A file of bytes. Made by :func:`aiofile.open` with ``"b"`` in its mode."""

    @property
    def raw(self) -> Any:
        """The unbuffered file of ``io`` behind this one, which is a blocking file from then on.

        Every later call of this file runs in the loop's default executor.

        Raises:
            AttributeError: the file is unbuffered itself.
            OSError: what was buffered cannot be written.
            RuntimeError: an operation on the file is under way.
            ValueError: the file is closed.
        """
        return _demoted.demote(self, self.mode, None).raw

    def detach(self) -> Any:
        """Gives the unbuffered file of ``io`` away, as :attr:`raw`; this file is of no use any more."""
        return _demoted.demote(self, self.mode, None).detach()

    def readable(self) -> bool:
        """Whether the file was opened for reading."""
        return self._readable()

    async def readall(self) -> bytes:
        """Reads everything up to the end of the file."""
        return await self.read()

    async def read1(self, size: int = -1, /) -> bytes:
        """Reads at most ``size`` bytes with at most one read of the device."""
        result: bytes | None = self._read1(size)
        if result is None:
            result = await self._owned(self._read1, size)
        return result

    async def peek(self, size: int = 0, /) -> bytes:
        """What is buffered, after one read if that is nothing; the position stays."""
        result: bytes | None = self._peek()
        if result is None:
            result = await self._owned(self._peek)
        return result

    async def readinto(self, buffer: Any, /) -> int:
        """Reads into a writable buffer until it is full or the file ends.

        Returns:
            Bytes read; an unbuffered file reads once and may return fewer.
        """
        with memoryview(buffer).cast("B") as view:
            return await self._readinto_in_turn(view)

    async def _readinto_in_turn(self, view: memoryview) -> int:
        async with self._hold():
            if (stack := self._stack) is not None:
                return await _demoted.call(stack.readinto, view)
            with self._all_or_nothing():
                return await self._readinto_owned(view)

    async def _readinto_owned(self, view: memoryview) -> int:
        total = 0
        while True:
            count = self._readinto(view, total, True)
            if count is None:
                await self._progress()
                continue
            total += count
            if count == 0 or total == len(view) or self._raw:
                return total
            large = self._readinto_large(view, total)
            if large is not None:
                read: int = await large
                self._moved(read)
                total += read

    async def seek(self, offset: int, whence: int = 0, /) -> int:
        """Moves the position: ``offset`` bytes from the start (0), the position (1) or the end (2).

        Returns:
            The new position.
        """
        position = self._seek(offset, whence)
        if position is None:
            position = await self._owned(self._seek, offset, whence)
        return position

    async def pread(self, size: int, offset: int) -> bytes:
        """Reads ``size`` bytes at ``offset``; the position is neither used nor moved.

        Any number of these run at the same time.

        Args:
            size: bytes, not negative.
            offset: absolute byte, not negative.

        Returns:
            ``size`` bytes, fewer only at the end of the file.
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
            async with self._hold():
                return await _demoted.call(_demoted.pread_of, stack, size, offset)
        async with self._hold(shared=True):
            return self._pread(size, offset, True)

    async def pwrite(self, data: Any, offset: int) -> int:
        """Writes ``data`` at ``offset``; the position is neither used nor moved.

        Returns:
            The length of ``data`` in bytes, all of it written.

        Raises:
            io.UnsupportedOperation: the file was opened for appending, which has no offsets.
        """
        if self._stack is None:
            self._check_pwrite()
        async with self._hold():
            if (stack := self._stack) is not None:
                return await _demoted.call(_demoted.pwrite_of, stack, data, offset)
            await self._flush_owned()
            count = self._begin_large(data)
            while (step := self._pwrite_step(offset)) is not None:
                offset += await step
            return count
