"""Iteration over lists of lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from ._file import File

AnyStr = TypeVar("AnyStr", str, bytes)

#: Lines that one attempt takes from the buffer: about 50 µs of work.
LINES_AT_ONCE = 512


class LineBatches(Generic[AnyStr]):
    """An asynchronous iterator of lists of lines. Made by :meth:`File.lines`."""

    __slots__ = ("_count", "_file", "_kept")

    def __init__(self, file: File[AnyStr], count: int) -> None:
        self._file: File[Any] = file
        self._count = count
        #: Lines of a list that was cancelled.
        self._kept: list[AnyStr] = []

    def __aiter__(self) -> LineBatches[AnyStr]:
        return self

    async def __anext__(self) -> list[AnyStr]:
        count = self._count
        batch: list[AnyStr] | None = None
        if count <= LINES_AT_ONCE and not self._kept:
            batch = self._file._lines(count)
        if batch is None or 0 < len(batch) < count:
            batch = await self._fill(batch or [])
        if not batch:
            raise StopAsyncIteration
        return batch

    async def _fill(self, batch: list[AnyStr]) -> list[AnyStr]:
        batch, self._kept = self._kept + batch, []
        try:
            await self._add(batch)
        except Exception:
            # The error comes again with the next list, when the lines before it are out.
            if not batch:
                raise
        except BaseException:
            self._kept = batch
            raise
        return batch

    async def _add(self, batch: list[AnyStr]) -> None:
        file = self._file
        async with file._hold(reads=True):
            while len(batch) < self._count and not (batch and not file._seekable()):
                more = await file._batch(min(self._count - len(batch), LINES_AT_ONCE))
                if not more:
                    break
                batch += more
