"""A file that is being opened."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

FileT = TypeVar("FileT")


_MISUSED = "the file is not open yet: use 'async with', or await it"


class AiofilesContextManager(Awaitable[FileT], AbstractAsyncContextManager[FileT]):
    """A file that is being opened: await it, or enter it with ``async with``.

    Awaiting it twice gives the same file, also when two tasks do it at once. Where opening failed or was
    cancelled, the next one tries again, if there is a way to. Once it was entered and left it is used up.

    Args:
        coro: opens the file. One that is never awaited warns of that.
        again: makes another such coroutine.
        arguments: of ``again``.
    """

    __slots__ = ("_again", "_arguments", "_coro", "_obj", "_others")

    def __init__(
        self,
        coro: Coroutine[Any, Any, Any],
        again: Callable[..., Coroutine[Any, Any, Any]] | None = None,
        arguments: tuple[Any, ...] = (),
    ) -> None:
        #: None after it failed, where another can be made.
        self._coro: Coroutine[Any, Any, Any] | None = coro
        self._again = again
        self._arguments = arguments
        self._obj: Any = None
        #: Who waits for the one that opens; None when nobody does that.
        self._others: list[asyncio.Future[None]] | None = None

    def __await__(self) -> Generator[Any, Any, FileT]:
        # A subclass may enter by awaiting.
        return AiofilesContextManager.__aenter__(self).__await__()

    if not TYPE_CHECKING:
        # For those who forgot the word; a type checker tells them without these.

        def __enter__(self):
            raise TypeError(_MISUSED)

        def __exit__(self, *_error):
            raise AssertionError("never entered")

        def __iter__(self):
            raise TypeError(f"{_MISUSED}, and 'async for' over the file")

    async def __aenter__(self) -> FileT:
        while self._obj is None:
            if self._others is not None:
                other: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._others.append(other)
                await other
                continue
            self._others = []
            if self._coro is None and self._again is not None:
                self._coro = self._again(*self._arguments)
            try:
                self._obj = await self._coro  # type: ignore[misc]
            except BaseException:
                if self._again is not None:
                    self._coro = None
                raise
            finally:
                others, self._others = self._others, None
                for other in others:
                    if not other.done():
                        other.set_result(None)
        file: FileT = self._obj
        return file

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        file, self._obj = self._obj, None
        if hasattr(type(file), "__aexit__"):
            await file.__aexit__(kind, error, traceback)
        else:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, file._file.__exit__, kind, error, traceback)
