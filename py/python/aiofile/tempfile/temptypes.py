"""Spooled files and temporary directories."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, AnyStr, TypeVar, cast

from .._in_order import calls_in_order
from .._room import opened_with_room
from .._types import FileDescriptorOrPath, ReadableBuffer, WriteableBuffer
from ..base import AsyncBase
from ..threadpool.utils import proxy_property_directly

__all__ = ["AsyncSpooledTemporaryFile", "AsyncTemporaryDirectory"]

ClassT = TypeVar("ClassT", bound=type)

#: Bytes or characters that are copied in memory on the loop's thread at once.
_INLINE_SIZE = 64 * 1024

#: Methods that wait for the disk only once the file is there.
_METHODS = (
    "close",
    "detach",
    "flush",
    "isatty",
    "read",
    "read1",
    "readable",
    "readinto",
    "readinto1",
    "readline",
    "readlines",
    "seek",
    "seekable",
    "tell",
    "truncate",
    "writable",
)


def _with_methods(cls: ClassT) -> ClassT:
    def method_named(name: str) -> Any:
        async def method(self: AsyncSpooledTemporaryFile[Any], *args: Any, **kwargs: Any) -> Any:
            return await self._call(partial(getattr(self._file, name), *args, **kwargs), _size_of(args))

        method.__name__ = name
        method.__doc__ = f"``{name}`` of the file, in memory or on the disk."
        return method

    for name in _METHODS:
        setattr(cls, name, method_named(name))
    return cls


def _size_of(arguments: tuple[Any, ...]) -> int:
    """How much these arguments ask for or bring."""
    return max((len(each) for each in arguments if hasattr(each, "__len__")), default=0)


class _Made(AsyncBase[AnyStr]):
    """The types of what is made by the decorators of the next class."""

    if TYPE_CHECKING:

        @property
        def closed(self) -> bool: ...
        @property
        def encoding(self) -> str: ...
        @property
        def errors(self) -> str | None: ...
        @property
        def mode(self) -> str: ...
        @property
        def name(self) -> FileDescriptorOrPath | None: ...
        @property
        def newlines(self) -> str | tuple[str, ...] | None: ...
        async def close(self) -> None: ...
        async def detach(self) -> Any: ...
        async def flush(self) -> None: ...
        async def isatty(self) -> bool: ...
        async def read(self, n: int | None = -1, /) -> AnyStr: ...
        async def read1(self, n: int = -1, /) -> AnyStr: ...
        async def readable(self) -> bool: ...
        async def readinto(self, buffer: WriteableBuffer, /) -> int: ...
        async def readinto1(self, buffer: WriteableBuffer, /) -> int: ...
        async def readline(self, limit: int | None = -1, /) -> AnyStr: ...
        async def readlines(self, hint: int = -1, /) -> list[AnyStr]: ...
        async def seek(self, offset: int, whence: int = 0) -> int: ...
        async def seekable(self) -> bool: ...
        async def tell(self) -> int: ...
        async def truncate(self, size: int | None = None) -> None: ...
        async def writable(self) -> bool: ...


@_with_methods
@proxy_property_directly("closed", "encoding", "errors", "mode", "name", "newlines")
class AsyncSpooledTemporaryFile(_Made[AnyStr]):
    """A temporary file that is kept in memory until it gets too large, and is on the disk from then on."""

    async def _call(self, call: Callable[[], Any], size: int) -> Any:
        if self._is_at_once(size):
            return call()
        return await calls_in_order.run(self._file, call, self._executor)

    def _is_at_once(self, size: int) -> bool:
        """Whether a call may run here: in memory, on what is small, while no thread has the file."""
        return not self._file._rolled and size <= _INLINE_SIZE and calls_in_order.is_free(self._file)

    async def fileno(self) -> int:
        """The descriptor's number; the file is on the disk from then on."""
        return await calls_in_order.run(self._file, self._file.fileno, self._executor)

    async def rollover(self) -> None:
        """Puts the file on the disk now."""
        rolls = partial(calls_in_order.run, self._file, self._file.rollover, self._executor)
        await opened_with_room(rolls, is_native=False)

    async def write(self, s: AnyStr | ReadableBuffer) -> int:
        """Writes text or bytes, and puts the file on the disk when it has become too large.

        Returns:
            Characters or bytes written.
        """
        file, data = self._file, cast(Any, s)
        if not self._is_at_once(len(data)):
            written: int = await calls_in_order.run(file, partial(file.write, data), self._executor)
            return written
        written = file._file.write(data)
        await self._check()
        return written

    async def writelines(self, iterable: Iterable[AnyStr | ReadableBuffer]) -> None:
        """Writes each of the lines, adding no line ends."""
        for line in iterable:
            await self.write(line)

    async def _check(self) -> None:
        file = self._file
        if file._max_size and not file._rolled and file._file.tell() > file._max_size:
            await self.rollover()

    async def __aenter__(self) -> AsyncSpooledTemporaryFile[AnyStr]:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        exits = partial(self._file.__exit__, kind, error, traceback)
        await calls_in_order.run(self._file, exits, self._executor)


class AsyncTemporaryDirectory:
    """A temporary directory that goes with its contents when it is cleaned up."""

    def __init__(
        self, file: Any, loop: asyncio.AbstractEventLoop | None = None, executor: Executor | None = None
    ) -> None:
        self._file = file
        self._loop = loop
        self._executor = executor

    @property
    def name(self) -> str:
        """The path of the directory."""
        return self._file.name  # type: ignore[no-any-return]

    async def cleanup(self) -> None:
        """Removes the directory and everything in it."""
        await calls_in_order.run(self._file, self._file.cleanup, self._executor)

    async def close(self) -> None:
        """As :meth:`cleanup`."""
        await self.cleanup()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        exits = partial(self._file.__exit__, kind, error, traceback)
        await calls_in_order.run(self._file, exits, self._executor)
