"""Iteration over lists of lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ._kept_reads import seeks

if TYPE_CHECKING:
    from ._file import File

AnyStr = TypeVar("AnyStr", str, bytes)

#: Lines that one attempt takes from the buffer: about 50 µs of work.
LINES_AT_ONCE = 512


class LineBatches(Generic[AnyStr]):
    """An asynchronous iterator of lists of lines. Made by :meth:`File.lines`.

    It has no lines of its own: what it did not hand out is in the file.
    """

    __slots__ = ("_count", "_file")

    def __init__(self, file: File[AnyStr], count: int) -> None:
        self._file: File[Any] = file
        self._count = count

    def __aiter__(self) -> LineBatches[AnyStr]:
        return self

    async def __anext__(self) -> list[AnyStr]:
        count = self._count
        batch: list[AnyStr] | None = None
        if count <= LINES_AT_ONCE:
            batch = self._file._lines(count)
        if batch is None:
            batch = await self._fill()
        if not batch:
            raise StopAsyncIteration
        return batch

    async def _fill(self) -> list[AnyStr]:
        file, count = self._file, self._count
        batch: list[AnyStr] = []
        async with file._hold(reads=True):
            seekable = file._seekable() if file._stack is None else seeks(file._stack)
            # Of a blocking file all at once: nobody puts back what an earlier call of it gave.
            at_once = count if seekable and file._stack is not None else LINES_AT_ONCE
            with file._all_or_nothing():
                try:
                    while len(batch) < count and (seekable or not batch):
                        more = await file._batch(min(count - len(batch), at_once))
                        if not more:
                            break
                        batch += more
                except Exception:
                    # The error comes again with the next list, when the lines before it are out.
                    if not batch:
                        raise
        return batch
